// The staff page: receipts as a list, one with all that is known of it, and what a
// person may do with it.
'use strict';

let list = [];       // the receipts that are shown
let next = '';       // where older ones go on
let find = '';
let only = '';       // states that are shown; '': all
let shown = 0;       // of the listing that was asked for last: an older answer is dropped
let subject = null;  // what the sheet showed the details of in that turn: {id, of, turn, drawn, busy}

function viewReceipts(panel) {
  let soon = 0;
  const search = el('input', {
    type: 'search', value: find, 'aria-label': t('page.search'), placeholder: t('page.search'), class: 'grow',
    oninput: (event) => {
      find = event.target.value;
      clearTimeout(soon);
      soon = setTimeout(() => renew(), 250);
    },
  });
  const filters = Object.entries({ '': 'page.all', 'waiting,sending,checking': 'page.not_yet', 'held,refused': 'page.for_people' }).map(([states, key]) =>
    el('button', { type: 'button', 'data-states': states, onclick: () => { only = states; press(); renew(); } }, t(key)));
  const press = () => { for (const b of filters) b.setAttribute('aria-pressed', String(b.dataset.states === only)); };
  press();
  panel.append(el('section', {}, el('div', { class: 'row' }, el('div', { class: 'grow' }, search), el('div', { class: 'row', role: 'group' }, filters)),
    el('ul', { id: 'list', class: 'list' }), el('div', { id: 'more' })));
  return () => listing(false);
}

async function listing(older) {
  const query = new URLSearchParams({ limit: older || !list.length ? 30 : Math.min(200, Math.max(30, list.length)) });
  if (find.trim()) query.set('find', find.trim());
  if (only) query.set('state', only);
  if (older) query.set('cursor', next);
  const mine = ++shown;
  let page;
  try {
    page = await api('GET', '/v1/receipts?' + query);
  } catch (err) {
    if (mine === shown) throw err;
    return;
  }
  if (mine !== shown || !$('list')) return;
  list = older ? list.concat(page.receipts) : page.receipts;
  next = page.next || '';
  redraw($('list'), [find, only, list], () => (list.length ? list.map(line) : [el('li', { class: 'soft' }, t(find || only ? 'page.nothing_found' : 'page.no_receipts'))]));
  redraw($('more'), next, () => [next && el('button', { type: 'button', onclick: () => renew(() => listing(true)) }, t('page.older'))]);
}

const line = (r) => el('li', {}, el('button', { type: 'button', 'data-id': r.id, onclick: () => details(r.id) },
  dot(r), el('span', {}, `${t('kind.' + r.kind)} ${r.number || r.id}`, r.note ? ` · ${r.note}` : ''),
  el('span', { class: 'money' }, azn(r.total)),
  el('span', { class: 'line' }, sentence(r)),
  el('span', { class: 'line soft' }, clock(r.time), r.document?.short_id ? ` · ${r.document.short_id}` : '')));

const detailed = (id, of) => api('GET', `/v1/${of}/${encodeURIComponent(id)}/details`);

// details shows a receipt, or cash in or out, with all that is known of it.
async function details(id, of = 'receipts') {
  const mine = ++turn;
  let d;
  try {
    d = await detailed(id, of);
  } catch (err) {
    if (!(err instanceof Problem)) throw err;
    if (mine !== turn) return;
    sheet(id, failure(err.message));
    subject = { id, of, turn, drawn: '', busy: false };
    return;
  }
  if (mine === turn) unfold(d, of);
}

// again shows the details that lie open as they are by now, unless somebody is at them
// or was told something there.
async function again() {
  const at = subject;
  const left = () => at?.turn !== turn || at.busy || $('sheet').querySelector('form, .told, details[open]');
  if (left()) return;
  const d = await detailed(at.id, at.of);
  if (!left() && JSON.stringify(d) !== at.drawn) unfold(d, at.of);
}

function unfold(d, of) {
  const r = d.receipt, doc = r.document;
  const tax = (x) => (x.rate && x.rate !== x.name ? `${x.name} ${x.rate}%` : x.name);
  const till = el('div', {}, el('table', {}, el('tbody', {},
    d.items.map((i) => row(`${i.name} · ${i.quantity} × ${i.price}`, i.sum ?? '', 'money')),
    ['cash', 'card', 'bonus', 'prepaid', 'credit'].filter((p) => Number(d.payments[p])).map((p) => row(t('page.pay_' + p), azn(d.payments[p]), 'money')),
    d.taxes.map((x) => row(tax(x), azn(x.amount), 'money')),
    row(t('page.total'), azn(r.total), 'money'),
    Number(r.change) ? row(t('page.change'), azn(r.change), 'money') : null,
    row(t('page.closed'), clock(r.time)),
    r.number ? row(t('page.number'), r.number) : null,
    r.note ? row(t('page.note'), r.note) : null,
    r.cashier ? row(t('page.cashier'), r.cashier) : null,
    row('id', r.id))));
  const tried = el('div', {}, d.tries.length ? el('ul', {}, d.tries.map((x) => el('li', {},
    t('page.try', { at: clock(x.at), register: x.register, last: x.last }),
    el('ul', {}, x.learned.map((l) => el('li', {}, el('details', {}, el('summary', {}, `${clock(l.at)} ${t('proof.' + l.proof)}`), el('span', { class: 'soft', lang: 'en' }, l.text))))))))
    : el('p', {}, t('page.no_try')));
  const paper = doc ? el('div', { class: 'row' },
    doc.url && of === 'receipts' ? el('img', { class: 'qr', alt: t('page.qr'), src: `/v1/receipts/${encodeURIComponent(r.id)}/qr.svg` }) : null,
    el('table', { class: 'grow' }, el('tbody', {}, row(t('page.fiscal_id'), doc.fiscal_id), row(t('page.document'), doc.number),
      row(t('page.serial'), doc.register_serial), doc.at ? row(t('page.made'), clock(doc.at)) : null))) : null;
  sheet(`${t('kind.' + r.kind)} ${r.number || r.id} · ${azn(r.total)}`,
    el('p', { class: 'card state ' + (unprinted(r) || ['held', 'refused'].includes(r.state) ? 'person' : r.state === 'fiscal' ? 'good' : 'wait') }, sentence(r)),
    paper,
    el('div', { class: 'sides' }, el('section', {}, el('h2', {}, t('page.till_side')), till), el('section', {}, el('h2', {}, t('page.register_side')), tried)),
    answers(r, of));
  subject = { id: r.id, of, turn, drawn: JSON.stringify(d), busy: false };
}

// typed is what a person wrote of a receipt and could not get through, by its id.
const typed = {};

// answers are what a person may do with it now.
function answers(r, of) {
  const said = failure('');
  const box = el('div', { class: 'answers' });
  const act = (path, body) => async (event) => {
    event?.preventDefault();
    const mine = turn, at = subject, who = me(), buttons = [...box.querySelectorAll('button')];
    for (const b of buttons) b.disabled = true;
    at.busy = true;
    try {
      await api('POST', `/v1/${of}/${encodeURIComponent(r.id)}/${path}`, body?.() ?? {});
    } catch (err) {
      if (!(err instanceof Problem)) throw err;
      if (who !== me()) return;
      if (mine !== turn) {
        tell(`${t('kind.' + r.kind)} ${r.number || r.id}`, err.message);
      } else if (err.code === 'away') { // perhaps it is done: it is looked at before anything is done again
        box.replaceChildren(failure(err.message), el('button', { type: 'button', class: 'main', 'data-do': 'look', onclick: () => details(r.id, of) }, t('page.look_again')));
      } else {
        said.textContent = err.message;
        for (const b of buttons) b.disabled = false;
        at.busy = false;
      }
      return;
    }
    delete typed[r.id];
    if (mine === turn) await details(r.id, of);
    await refresh();
  };
  const button = (key, cls, onclick) => el('button', { type: 'button', class: cls, onclick, 'data-do': key }, t('page.' + key));
  // asked opens a small form that wants to know why, and more where it is so.
  const asked = (key, cls, path, body, document) => button(key, cls, () => {
    const field = (name, required) => {
      const input = el('input', { name, required, maxlength: 256, autocomplete: 'off', oninput: () => { typed[r.id] = { ...typed[r.id], [name]: input.value }; } });
      input.value = typed[r.id]?.[name] ?? '';
      return input;
    };
    const why = field('why', true);
    const fiscal = document && field('fiscal', true);
    const number = document && field('number', false);
    box.replaceChildren(el('form', { onsubmit: act(path, () => body(why.value, fiscal?.value.trim(), number?.value.trim())) },
      el('p', {}, el('strong', {}, t('page.' + key))),
      document ? [el('label', {}, el('span', {}, t('page.fiscal_id_paper')), fiscal), el('label', {}, el('span', {}, t('page.document')), number)] : null,
      el('label', {}, el('span', {}, t('page.why')), why),
      el('div', { class: 'row' }, el('button', { class: cls || 'main' }, t('page.confirm')),
        el('button', { type: 'button', onclick: () => details(r.id, of) }, t('page.cancel')))), said);
    (fiscal || why).focus();
  });
  const buttons = [];
  if (r.state === 'held' || r.state === 'checking') {
    buttons.push(el('h2', {}, t(r.state === 'checking' ? 'page.question_soon' : r.reason?.code === 'waits_for_answer' ? 'page.question_other' : 'page.question')));
    if (manager()) {
      buttons.push(
        asked('was_made', 'main', 'resolve', (why, fiscal, number) => ({ verdict: 'was_made', why, document: { fiscal_id: fiscal, number } }), true),
        asked('send', 'grave', 'resolve', (why) => ({ verdict: 'send', why })),
        asked('drop', '', 'resolve', (why) => ({ verdict: 'withdraw', why })));
    } else buttons.push(el('p', {}, t('problem.role.detail')));
  }
  if (r.state === 'refused') buttons.push(button('retry', 'main', act('retry')));
  if (['waiting', 'refused'].includes(r.state) && manager()) buttons.push(asked('withdraw', '', 'withdraw', (why) => ({ why })));
  if (r.state === 'non_fiscal' && of === 'receipts' && manager()) buttons.push(button('fiscalise', 'main', act('fiscalise')));
  if (r.state === 'fiscal' && of === 'receipts') buttons.push(button('reprint', unprinted(r) ? 'main' : '', act('reprint')));
  if (status?.slip && of === 'receipts' && ['waiting', 'sending', 'checking', 'refused', 'held'].includes(r.state)) buttons.push(button('slip', '', act('slip')));
  box.append(...buttons, said);
  return box;
}
