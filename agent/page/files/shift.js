// The staff page: the shift with its reports, and cash in and out.
'use strict';

// One act at the desk at a time, whichever view is shown meanwhile: a close waits for
// minutes until the queue is empty.
let acting = false;
let word = '';            // what went wrong with the last one
let ready = () => {};     // shows both in the view that is there
let money = {};           // what is typed of cash in or out: {sum, note, order}
let whose = '';           // word and money are this person's

// desk does one, and afterwards (then) goes on with its answer, as long as the same
// person is there.
const desk = (path, body, then) => async (event) => {
  event?.preventDefault();
  if (acting) return;
  const who = me();
  acting = true;
  word = '';
  ready();
  let answer;
  try {
    answer = await api('POST', path, body?.() ?? {});
  } catch (err) {
    if (!(err instanceof Problem)) throw err;
    if (who !== me()) return;
    if (tab === 'shift' && $('view') && !$('sheet').open) word = err.message;
    else tell(t('page.shift'), err.message);
  } finally {
    acting = false;
    ready();
  }
  if (answer && who === me()) then?.(answer);
  await refresh();
};

// paper shows a report that was asked for, once the sheet is free.
const paper = (title) => (answer) => {
  const who = me(), show = () => { if (who === me()) report(answer, t(title)); };
  if ($('sheet').open) $('sheet').addEventListener('close', show, { once: true });
  else show();
};

function viewShift(panel) {
  if (whose !== me()) {
    whose = me();
    word = '';
    money = {};
  }
  const does = (what, words, onclick, cls) => el('button', { type: onclick ? 'button' : 'submit', class: cls, 'data-do': what, onclick }, t(words));
  let shift = status?.shift;
  const open = does('open', 'page.open_shift', desk('/v1/shift/open'));
  const x = does('x', 'page.x_report', desk('/v1/shift/x-report', null, paper('page.x_report')));
  const close = does('close', 'page.close_shift', askClose, 'grave');
  const said = failure(''), age = el('div');
  const { section: drawer, buttons: moves, fill: fillCash } = viewCash();
  const { form: period, button: show } = viewPeriod();
  const reports = el('ul', { class: 'list', id: 'reports' });
  panel.append(el('section', {}, el('h2', {}, t('page.shift')), age, el('div', { class: 'row' }, open, x, close), said),
    drawer, el('section', {}, el('h2', {}, t('page.reports')), reports, period));

  ready = () => {
    open.className = shift && !shift.open ? 'main' : '';
    open.disabled = acting || Boolean(shift?.open);
    x.disabled = close.disabled = acting || Boolean(shift && !shift.open);
    for (const b of [...moves, show]) b.disabled = acting;
    said.className = acting ? 'soft' : 'error';
    said.textContent = acting ? t('page.wait') : word;
  };
  ready();
  let trouble = '', asking = false, asked = 0;
  const draw = () => {
    ready();
    redraw(age, [trouble, shift], () => [
      trouble && failure(trouble),
      shift && el('p', { id: 'shift' }, shift.open ? t('page.shift_since', { since: clock(shift.opened_at), lasting: lasting(shift.age_seconds) }) : t('page.shift_closed')),
      shift?.open && shift.cash && el('p', { class: 'soft' }, t('page.drawer', { sum: azn(shift.cash) })),
    ]);
  };
  // live asks the register itself, which may be at something else for minutes.
  const live = async () => {
    if (asking) return;
    asking = true;
    try {
      shift = await api('GET', '/v1/shift', undefined, patience.act);
      trouble = '';
    } catch (err) {
      if (!(err instanceof Problem)) throw err;
      trouble = err.code === 'away' ? '' : err.message;
    } finally {
      asking = false;
    }
    draw();
  };
  return async (gently) => {
    const mine = ++asked;
    shift = status?.shift ?? shift;
    const told = gently && !trouble ? null : live();
    const [zs, xs, moved] = await Promise.all([
      api('GET', '/v1/reports?kind=z&limit=40'), api('GET', '/v1/reports?kind=x&limit=20'), api('GET', '/v1/cash?limit=20'),
    ]);
    await Promise.race([told, pause(1)]);
    if (mine !== asked) return;
    fillCash(moved.receipts);
    draw();
    const all = zs.reports.concat(xs.reports).sort((a, b) => (a.at < b.at ? 1 : -1));
    redraw(reports, all, () => (all.length ? all.map(filed) : [el('li', { class: 'soft' }, t('page.no_reports'))]));
  };
}

// askClose asks once more, and why where receipts are not finished.
async function askClose() {
  const mine = turn;
  const { queue } = await look() ?? status ?? {}; // it may have emptied since
  if (mine !== turn || acting) return;
  const waiting = queue ? queue.waiting + queue.checking + queue.held : 0;
  const why = el('input', { name: 'why', required: true, maxlength: 256 });
  const close = desk('/v1/shift/close', () => (waiting ? { why: why.value } : {}), paper('page.z_report'));
  sheet(t('page.close_shift'), el('form', { onsubmit: (event) => { event.preventDefault(); putAway(); close(); } },
    el('p', {}, t('page.close_sure')),
    waiting ? [failure(t('page.close_waiting', { count: waiting })), el('label', {}, el('span', {}, t('page.why')), why)] : null,
    el('div', { class: 'row' }, el('button', { class: 'grave', 'data-do': 'close-sure' }, t('page.close_shift')),
      el('button', { type: 'button', onclick: putAway }, t('page.cancel')))));
}

// viewCash gives the section, its buttons, and what fills its list.
function viewCash() {
  const field = (name, props) => {
    const input = el('input', { name, autocomplete: 'off', ...props, oninput: () => { money[name] = input.value; } });
    input.value = money[name] ?? '';
    return input;
  };
  const sum = field('sum', { inputmode: 'decimal', required: true, pattern: '[0-9]+([.,][0-9]{1,2})?', placeholder: '0.00' });
  const note = field('note', { maxlength: 256 });
  // settle empties the form of what is stored, unless something else was typed since.
  const settle = (id) => {
    if (money.order?.id !== id) return;
    if (money.order.sum === sum.value && money.order.note === note.value) sum.value = note.value = money.sum = money.note = '';
    money.order = null;
  };
  // One id for one sum that a person typed, however often it is sent, until it is seen
  // to be stored.
  const move = (path) => (event) => {
    event.preventDefault();
    if (acting || !sum.reportValidity()) return;
    const [whole, part = ''] = sum.value.replace(',', '.').split('.');
    const body = { amount: `${whole.replace(/^0+(?=[0-9])/, '')}.${part.padEnd(2, '0')}`, ...(note.value ? { note: note.value } : {}) };
    const of = JSON.stringify([path, body]);
    if (money.order?.of !== of) money.order = { of, id: 'page-' + Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, '0')).join('') };
    Object.assign(money.order, { sum: sum.value, note: note.value });
    const { id } = money.order;
    desk(path, () => ({ id, ...body }), () => settle(id))(event);
  };
  const buttons = [el('button', { 'data-do': 'deposit' }, t('page.cash_in'))];
  if (manager()) buttons.push(el('button', { type: 'button', 'data-do': 'withdraw-cash', onclick: move('/v1/cash/withdraw') }, t('page.cash_out')));
  const list = el('ul', { class: 'list', id: 'cash' });
  const section = el('section', {}, el('h2', {}, t('page.cash')), el('form', { onsubmit: move('/v1/cash/deposit') },
    el('label', {}, el('span', {}, t('page.sum')), sum), el('label', {}, el('span', {}, t('page.note')), note),
    el('div', { class: 'row' }, buttons)), list);
  const fill = (moved) => {
    redraw(list, moved, () => moved.map((r) => el('li', {}, el('button', { type: 'button', 'data-id': r.id, onclick: () => details(r.id, 'cash') },
      dot(r), el('span', {}, t('kind.' + r.kind)), el('span', { class: 'money' }, azn(r.total)),
      el('span', { class: 'line' }, sentence(r)), el('span', { class: 'line soft' }, clock(r.time), r.cashier ? ` · ${r.cashier}` : '')))));
    const { order } = money;
    if (!acting && order && moved.some((r) => r.id === order.id)) { // its answer was lost, and here it is
      settle(order.id);
      word = '';
    }
  };
  return { section, buttons, fill };
}

function viewPeriod() {
  const day = (name) => el('input', { name, type: 'date', required: true, value: (status?.time || '').slice(0, 10) });
  const from = day('from'), to = day('to'), button = el('button', { 'data-do': 'period' }, t('page.show'));
  const form = el('form', { onsubmit: desk('/v1/period-report', () => ({ from: from.value, to: to.value }), paper('page.period')) }, el('h3', {}, t('page.period')),
    el('div', { class: 'row' }, el('label', {}, el('span', {}, t('page.first_day')), from), el('label', {}, el('span', {}, t('page.last_day')), to), button));
  return { form, button };
}

// --- reports

// verdict is what comparing a report with the journal came to: a colour and a sentence;
// null where there is nothing to compare.
function verdict(x) {
  if (x.missing) return { dot: 'waiting', tone: 'wait', text: t('page.no_figures') };
  if (!x.balance) return null;
  return x.balance.differences?.length ? { dot: 'refused', tone: 'person', text: t('page.differs') } : { dot: 'fiscal', tone: 'good', text: t('page.agrees') };
}

// filed is a report in the list.
function filed(x) {
  const name = t(x.kind === 'z' ? 'page.z_report' : 'page.x_report'), v = verdict(x.report);
  return el('li', {}, el('button', { type: 'button', 'data-id': `${x.kind} ${x.at}`, onclick: () => report(x.report, name, x) },
    el('span', { class: 'dot ' + (v?.dot ?? 'fiscal'), 'aria-hidden': 'true' }),
    el('span', {}, `${name} ${x.report.number || x.report.shift}`), el('span', { class: 'money' }, x.report.missing ? '' : azn(x.report.sales.sum)),
    v && v.tone !== 'good' ? el('span', { class: 'line' }, v.text) : null,
    el('span', { class: 'line soft' }, clock(x.at), x.by ? ` · ${x.by}` : '')));
}

// figure names one of a report, such as sales.card or refunds.vat 18.00.
function figure(name) {
  const [group, of, rate] = name.split(/[. ](.+?)(?: (.+))?$/);
  return `${t('page.group_' + group)}: ${{ vat: `${t('page.vat')} ${rate}%`, count: t('page.figure_count'), sum: t('page.figure_sum') }[of] || t('page.pay_' + of)}`;
}

// report shows one as on paper, and beside a Z what the journal has.
function report(x, title, of) {
  const groups = ['sales', 'refunds', 'cancels', 'prepayments', 'credit_payments', 'corrections', 'deposits', 'withdrawals'];
  const lines = [];
  for (const g of groups) {
    const s = x[g];
    if (x.missing || !s || (!s.count && g !== 'sales')) continue;
    lines.push(row(`${t('page.group_' + g)} × ${s.count}`, s.sum, 'money'));
    for (const p of ['cash', 'card', 'bonus', 'prepaid', 'credit']) if (Number(s[p]) && g !== 'deposits' && g !== 'withdrawals') lines.push(row('  ' + t('page.pay_' + p), s[p], 'money'));
    for (const v of s.vat || []) lines.push(row(`  ${t('page.vat')} ${v.rate}%`, v.amount, 'money'));
  }
  const b = x.balance, v = verdict(x);
  sheet(title,
    v ? el('p', { class: 'card state ' + v.tone }, v.text) : null,
    x.missing ? el('p', { class: 'soft', lang: 'en' }, x.missing) : null,
    el('div', { class: 'paper' }, el('table', {}, el('tbody', {},
      x.shift ? row(t('page.shift'), x.shift) : null, x.number ? row(t('page.document'), x.number) : null,
      x.opened_at ? row(t('page.opened'), clock(x.opened_at)) : null, of ? row(t('page.made'), clock(of.at)) : null,
      lines, x.cash ? row(t('page.in_drawer'), x.cash, 'money') : null))),
    b ? el('section', {},
      b.differences?.length ? el('table', {}, el('thead', {}, el('tr', {}, el('th', {}), el('th', {}, t('page.journal')), el('th', {}, t('page.register')))),
        el('tbody', {}, b.differences.map((d) => el('tr', {}, el('th', { scope: 'row' }, figure(d.figure), d.receipts ? el('span', { class: 'line soft' }, t('page.explained', { ids: d.receipts.join(', ') })) : null),
          el('td', { class: 'money' }, d.journal), el('td', { class: 'money' }, d.register))))) : null,
      b.doubtful?.length ? el('p', {}, t('page.doubtful', { ids: b.doubtful.join(', ') })) : null,
      b.open?.length ? el('p', {}, t('page.left_open', { ids: b.open.join(', ') })) : null) : null);
}
