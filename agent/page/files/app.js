// The staff page: what the till's API says, and the buttons that it allows.
// Every word is in the texts of the agent; nothing is kept here but the language.
'use strict';

const $ = (id) => document.getElementById(id);
const languages = { az: 'Azərbaycanca', ru: 'Русский', en: 'English' };

let texts = {};      // of the language
let language = '';
let session = null;  // GET /v1/session
let status = null;   // GET /v1/status
let list = [];       // the receipts that are shown
let next = '';       // where older ones go on
let tab = 'receipts';
let find = '';
let only = '';       // states that are shown; '': all
let stream = null;
let shown = 0;       // of the listing that was asked for last: an older answer is dropped
let called = '';     // what people were last called for by sound

// t gives a sentence, with {name} replaced, and without the [parts] that lack one.
function t(key, args = {}) {
  const put = (s) => s.replace(/\{(\w+)\}/g, (_, name) => args[name] ?? '');
  const text = texts[key];
  if (text === undefined) {
    console.error('no text ' + key);
    return key;
  }
  return text.replace(/\[([^\]]*)\]/g, (_, part) => ([...part.matchAll(/\{(\w+)\}/g)].every((m) => args[m[1]]) ? put(part) : ''))
    .replace(/\{(\w+)\}/g, (_, name) => args[name] ?? '');
}

// el makes an element: properties, listeners (on…), then children. Text stays text.
function el(tag, props, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (name.startsWith('on')) e.addEventListener(name.slice(2), value);
    else if (name === 'class') e.className = value;
    else if (value === true) e.setAttribute(name, '');
    else if (value !== undefined && value !== null && value !== false) e.setAttribute(name, value);
  }
  e.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return e;
}

class Problem extends Error {
  constructor(code, status, text) {
    super(text);
    this.code = code;
    this.status = status;
  }
}

// api asks the agent. Where it does not answer, the page says so until it does.
async function api(method, path, body) {
  const init = { method, headers: { 'Accept-Language': language, Accept: 'application/json' } };
  if (method !== 'GET') {
    init.headers['Content-Type'] = 'application/json';
    init.body = JSON.stringify(body ?? {});
  }
  let answer, data;
  try {
    answer = await fetch(path, init);
    data = await answer.json();
  } catch (err) {
    away(true);
    throw new Problem('away', 0, t('page.away'));
  }
  away(false);
  if (!answer.ok) {
    const code = String(data.type || '').split(':').pop();
    const fields = (data.errors || []).map((e) => e.message);
    if (answer.status === 401 && code === 'token' && session?.person) begin();
    throw new Problem(code, answer.status, [data.detail, data.register?.text, ...fields].filter(Boolean).join(' '));
  }
  return data;
}

function away(is) {
  $('away').hidden = !is;
  $('away').textContent = is ? t('page.away') : '';
}

// --- words

const azn = (s) => `${s} AZN`;
const two = (n) => String(n).padStart(2, '0');
// clock shows a time as the shop's wall does, whatever zone this device is in.
const clock = (time) => (time ? `${time.slice(8, 10)}.${time.slice(5, 7)} ${time.slice(11, 16)}` : '');
const lasting = (seconds) => `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}`;

// sentence is the one truth of a receipt: the reason where there is one.
const sentence = (r) => (!r.reason ? r.sentence : ['fiscal', 'held', 'refused'].includes(r.state) ? r.reason.text : `${r.sentence} ${r.reason.text}`);
const unprinted = (r) => r.state === 'fiscal' && r.document && !r.document.printed;
const dot = (r) => el('span', { class: 'dot ' + (unprinted(r) ? 'unprinted' : r.state), 'aria-hidden': 'true' });

// tone says how grave the state of things is.
function tone(s) {
  const q = s.queue;
  if (['ready'].includes(s.message.code)) return 'good';
  if (['asking', 'sending', 'asking_register'].includes(s.message.code)) return 'wait';
  if (['shift_old', 'clock_off'].includes(s.message.code) && !q.held && !q.refused) return 'wait';
  return 'person';
}

// call makes a short sound when something new needs a person.
function call(s) {
  const what = tone(s) === 'person' ? s.message.code : '';
  if (what && what !== called && navigator.userActivation?.hasBeenActive) {
    const audio = new AudioContext();
    for (const [n, hertz] of [660, 880].entries()) {
      const tone = audio.createOscillator(), loud = audio.createGain();
      tone.frequency.value = hertz;
      loud.gain.value = 0.15;
      tone.connect(loud).connect(audio.destination);
      tone.start(audio.currentTime + n * 0.2);
      tone.stop(audio.currentTime + n * 0.2 + 0.15);
    }
    setTimeout(() => audio.close(), 1000);
  }
  called = what;
  document.title = (what ? '● ' : '') + 'E-kassa';
}

// --- the beginning

const words = async (name) => (await fetch(`/page/${name}.json`)).json();

async function speak(lang) {
  let all = await words(lang);
  if (session?.setup) all = { ...all, ...await words('setup-' + lang) };
  texts = all;
  language = lang;
  document.documentElement.lang = lang;
  localStorage.setItem('language', lang);
  $('languages').setAttribute('aria-label', t('page.language'));
  $('languages').replaceChildren(...Object.entries(languages).map(([id, name]) => el('button', {
    type: 'button', title: name, lang: id, 'aria-pressed': String(id === lang), onclick: () => { busy(true); speak(id).then(begin); },
  }, id.toUpperCase())));
  $('out').textContent = t('page.sign_out');
}

const busy = (is) => $('main').setAttribute('aria-busy', String(is));

async function begin() {
  busy(true);
  stream?.close();
  stream = null;
  try {
    session = await api('GET', '/v1/session');
  } catch (err) {
    setTimeout(begin, 3000); // the agent starts, or the network is away
    return;
  }
  $('sheet').close();
  $('out').hidden = !session.person;
  $('where').textContent = 'E-kassa';
  if (session.setup) {
    while (!texts['setup.title']) {
      const of = language, more = await words('setup-' + of);
      if (of === language) Object.assign(texts, more); // else another one was tapped meanwhile
    }
    await (await import('/page/setup.js')).lead({ $, el, t, api, begin });
  } else if (!session.shown) {
    $('main').replaceChildren(el('section', {}, el('p', {}, t('problem.page_off.detail'))));
  } else if (!session.person) {
    signIn();
  } else {
    const till = session.terminals.find((x) => x.id === session.person.terminal);
    $('where').textContent = `${till?.name || session.person.terminal} · ${session.person.name}`;
    await work();
  }
  busy(false);
}

function signIn() {
  if (!session.people.length) {
    $('main').replaceChildren(el('section', {}, el('h1', {}, t('page.sign_in')), el('p', {}, t('page.nobody')),
      el('p', {}, el('code', {}, 'ekassa-agent pin add NAME --role manager'))));
    return;
  }
  const said = el('p', { class: 'error', role: 'alert' });
  const options = (list) => list.map((x) => el('option', { value: x.id ?? x }, x.name || x.id || x));
  const person = el('select', { name: 'person' }, options(session.people));
  const till = el('select', { name: 'till' }, options(session.terminals));
  const pin = el('input', { class: 'pin', name: 'pin', type: 'password', inputmode: 'numeric', autocomplete: 'off', maxlength: 6, required: true });
  const button = el('button', { class: 'main' }, t('page.sign_in'));
  const send = async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await api('POST', '/v1/session', { name: person.value, pin: pin.value, terminal: till.value });
      await begin();
    } catch (err) {
      said.textContent = err.message;
      pin.value = '';
      pin.focus();
    }
    button.disabled = false;
  };
  $('main').replaceChildren(el('section', {}, el('h1', {}, t('page.sign_in')), el('form', { onsubmit: send },
    el('label', {}, el('span', {}, t('page.who')), person),
    el('label', { hidden: session.terminals.length < 2 }, el('span', {}, t('page.till')), till),
    el('label', {}, el('span', {}, t('page.pin')), pin), said, button)));
  pin.focus();
}

const manager = () => session?.person?.role === 'manager';

// --- at work

async function work() {
  const view = (id, key) => el('button', {
    type: 'button', role: 'tab', id: 'tab-' + id, 'aria-selected': String(tab === id), onclick: () => { tab = id; work(); },
  }, t(key));
  const tabs = [view('receipts', 'page.receipts'), view('shift', 'page.shift'), view('register', 'page.register')];
  if (manager()) tabs.push(view('acts', 'page.acts'));
  $('main').replaceChildren(
    el('section', { id: 'now', class: 'state', role: 'status', 'aria-live': 'polite' }),
    el('nav', { class: 'tabs', role: 'tablist' }, tabs),
    el('div', { id: 'view', role: 'tabpanel', 'aria-labelledby': 'tab-' + tab }));
  listen();
  await look();
  await views[tab]().catch(failed);
}

function failed(err) {
  if (err instanceof Problem) $('view')?.replaceChildren(el('p', { class: 'error', role: 'alert' }, err.message));
  else throw err;
}

// listen hears of every change; what it is, is then asked, in the page's language.
function listen() {
  if (stream) return;
  stream = new EventSource('/v1/events');
  let soon = 0;
  stream.addEventListener('receipt', () => {
    clearTimeout(soon);
    soon = setTimeout(refresh, 150);
  });
  stream.addEventListener('hello', () => refresh());
}

async function refresh() {
  try {
    await look();
    if (tab === 'receipts') await listing(false);
    if (tab === 'shift' && !document.activeElement?.matches('input')) await viewShift(); // nobody is typing there
  } catch (err) {
    if (!(err instanceof Problem)) throw err;
  }
}

async function look() {
  if (!session?.person) return;
  const s = await api('GET', '/v1/status').catch((err) => { if (err instanceof Problem) return null; throw err; });
  if (!s || !$('now')) return;
  status = s;
  const q = s.queue, wait = q.waiting + q.checking;
  $('now').className = 'state ' + tone(s);
  const lines = [el('p', {}, s.message.text)];
  if (wait > 0) lines.push(el('p', { class: 'soft' }, t('page.offline', { lasting: lasting(q.oldest_seconds) })));
  if (s.shift?.open) lines.push(el('p', { class: 'soft' }, t('page.shift_since', { since: clock(s.shift.opened_at), lasting: lasting(s.shift.age_seconds) })));
  if (s.slip?.problem) lines.push(el('p', { class: 'soft' }, s.slip.problem.text));
  const text = lines.map((l) => l.textContent).join('\n');
  if ($('now').dataset.text !== text) { // a screen reader hears it when it is another
    $('now').dataset.text = text;
    $('now').replaceChildren(...lines);
  }
  call(s);
}

const views = { receipts: viewReceipts, shift: viewShift, register: viewRegister, acts: viewActs };

// --- receipts

async function viewReceipts() {
  let soon = 0;
  const search = el('input', {
    type: 'search', value: find, 'aria-label': t('page.search'), placeholder: t('page.search'), class: 'grow',
    oninput: (event) => {
      find = event.target.value;
      clearTimeout(soon);
      soon = setTimeout(() => listing(false).catch(failed), 250);
    },
  });
  const filters = { '': 'page.all', 'waiting,sending,checking': 'page.not_yet', 'held,refused': 'page.for_people' };
  const filter = el('div', { class: 'row', role: 'group' }, Object.entries(filters).map(([states, key]) => el('button', {
    type: 'button', 'data-states': states, 'aria-pressed': String(states === only),
    onclick: () => { only = states; viewReceipts().catch(failed); },
  }, t(key))));
  $('view').replaceChildren(el('section', {}, el('div', { class: 'row' }, el('div', { class: 'grow' }, search), filter),
    el('ul', { id: 'list', class: 'list' }), el('div', { id: 'more' })));
  await listing(false);
}

async function listing(older) {
  const query = new URLSearchParams({ limit: older || !list.length ? 30 : Math.min(200, Math.max(30, list.length)) });
  if (find.trim()) query.set('find', find.trim());
  if (only) query.set('state', only);
  if (older) query.set('cursor', next);
  const mine = ++shown;
  const page = await api('GET', '/v1/receipts?' + query);
  const into = $('list');
  if (mine !== shown || !into) return;
  list = older ? list.concat(page.receipts) : page.receipts;
  next = page.next || '';
  const drawn = JSON.stringify([language, find, only, list, next]);
  if (into.drawn === drawn) return; // a button is not taken from under a finger
  into.drawn = drawn;
  const focus = document.activeElement?.dataset?.id;
  into.replaceChildren(...list.map((r) => el('li', {}, el('button', { type: 'button', 'data-id': r.id, onclick: () => details(r.id) },
    dot(r), el('span', {}, `${t('kind.' + r.kind)} ${r.number || r.id}`, r.note ? ` · ${r.note}` : ''),
    el('span', { class: 'money' }, azn(r.total)),
    el('span', { class: 'line' }, sentence(r)),
    el('span', { class: 'line soft' }, clock(r.time), r.document?.short_id ? ` · ${r.document.short_id}` : '')))));
  if (!list.length) into.append(el('li', { class: 'soft' }, t(find || only ? 'page.nothing_found' : 'page.no_receipts')));
  if (focus) [...into.querySelectorAll('button')].find((b) => b.dataset.id === focus)?.focus();
  $('more').replaceChildren(...(next ? [el('button', { type: 'button', onclick: () => listing(true).catch(failed) }, t('page.older'))] : []));
}

function sheet(title, ...children) {
  $('sheet').replaceChildren(el('div', { class: 'row' }, el('h2', { id: 'sheet-title', class: 'grow' }, title),
    el('button', { type: 'button', class: 'quiet', onclick: () => $('sheet').close() }, t('page.back'))), ...children.filter(Boolean));
  if (!$('sheet').open) $('sheet').showModal();
}

const row = (name, value, cls) => el('tr', {}, el('th', { scope: 'row' }, name), el('td', { class: cls }, value));

// details shows a receipt, or cash in or out, with all that is known of it.
async function details(id, of = 'receipts') {
  let d;
  try {
    d = await api('GET', `/v1/${of}/${encodeURIComponent(id)}/details`);
  } catch (err) {
    sheet(id, el('p', { class: 'error', role: 'alert' }, err.message));
    return;
  }
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
    doc.url && of === 'receipts' ? el('img', { class: 'qr', alt: t('page.qr'), src: `/v1/receipts/${encodeURIComponent(id)}/qr.svg` }) : null,
    el('table', { class: 'grow' }, el('tbody', {}, row(t('page.fiscal_id'), doc.fiscal_id), row(t('page.document'), doc.number),
      row(t('page.serial'), doc.register_serial), doc.at ? row(t('page.made'), clock(doc.at)) : null))) : null;
  sheet(`${t('kind.' + r.kind)} ${r.number || r.id} · ${azn(r.total)}`,
    el('p', { class: 'card state ' + (unprinted(r) || ['held', 'refused'].includes(r.state) ? 'person' : r.state === 'fiscal' ? 'good' : 'wait') }, sentence(r)),
    paper,
    el('div', { class: 'sides' }, el('section', {}, el('h2', {}, t('page.till_side')), till), el('section', {}, el('h2', {}, t('page.register_side')), tried)),
    answers(r, of));
}

// answers are what a person may do with it now.
function answers(r, of) {
  const said = el('p', { class: 'error', role: 'alert' });
  const box = el('div', { class: 'answers' });
  const act = (path, body) => async (event) => {
    event?.preventDefault();
    for (const b of box.querySelectorAll('button')) b.disabled = true;
    try {
      await api('POST', `/v1/${of}/${encodeURIComponent(r.id)}/${path}`, body?.() ?? {});
      await details(r.id, of);
      await refresh();
    } catch (err) {
      said.textContent = err.message;
      for (const b of box.querySelectorAll('button')) b.disabled = false;
    }
  };
  const button = (key, cls, onclick) => el('button', { type: 'button', class: cls, onclick, 'data-do': key }, t('page.' + key));
  // asked opens a small form that wants to know why, and more where it is so.
  const asked = (key, cls, path, body, document) => button(key, cls, () => {
    const why = el('input', { name: 'why', required: true, maxlength: 256 });
    const fiscal = document && el('input', { name: 'fiscal', required: true, maxlength: 256, autocomplete: 'off' });
    const number = document && el('input', { name: 'number', maxlength: 256, autocomplete: 'off' });
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
    buttons.push(el('h2', {}, t(r.state === 'held' ? 'page.question' : 'page.question_soon')));
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

// --- the shift

async function viewShift() {
  const view = $('view');
  const said = el('p', { class: 'error', role: 'alert' });
  const [shift, zs, xs, cash] = await Promise.all([
    api('GET', '/v1/shift').catch((err) => { said.textContent = err.message; return null; }),
    api('GET', '/v1/reports?kind=z&limit=40'), api('GET', '/v1/reports?kind=x&limit=20'), api('GET', '/v1/cash?limit=20'),
  ]);
  const reports = zs.reports.concat(xs.reports).sort((a, b) => (a.at < b.at ? 1 : -1));
  if (tab !== 'shift') return;
  const act = (path, body, show) => async (event) => {
    event?.preventDefault();
    const buttons = [...view.querySelectorAll('button')];
    for (const b of buttons) b.disabled = true;
    said.textContent = '';
    try {
      const answer = await api('POST', path, body?.() ?? {});
      await look();
      await viewShift();
      if (show) report(answer, t(show));
    } catch (err) {
      for (const b of buttons) b.disabled = false;
      said.textContent = err.message;
    }
  };
  const first = el('section', {}, el('h2', {}, t('page.shift')));
  if (shift) {
    first.append(el('p', { id: 'shift' }, shift.open ? t('page.shift_since', { since: clock(shift.opened_at), lasting: lasting(shift.age_seconds) }) : t('page.shift_closed')));
    if (shift.open && shift.cash) first.append(el('p', { class: 'soft' }, t('page.drawer', { sum: azn(shift.cash) })));
  }
  const close = async () => {
    await look(); // the queue may have emptied since
    const waiting = status ? status.queue.waiting + status.queue.checking + status.queue.held : 0;
    const why = el('input', { name: 'why', required: true, maxlength: 256 });
    sheet(t('page.close_shift'), el('form', {
      onsubmit: (event) => {
        const body = waiting ? { why: why.value } : {};
        $('sheet').close();
        act('/v1/shift/close', () => body, 'page.z_report')(event);
      },
    }, el('p', {}, t('page.close_sure')),
    waiting ? [el('p', { class: 'error' }, t('page.close_waiting', { count: waiting })), el('label', {}, el('span', {}, t('page.why')), why)] : null,
    el('div', { class: 'row' }, el('button', { class: 'grave', 'data-do': 'close-sure' }, t('page.close_shift')),
      el('button', { type: 'button', onclick: () => $('sheet').close() }, t('page.cancel')))));
  };
  first.append(el('div', { class: 'row' },
    el('button', { type: 'button', class: shift && !shift.open ? 'main' : '', disabled: shift?.open, 'data-do': 'open', onclick: act('/v1/shift/open') }, t('page.open_shift')),
    el('button', { type: 'button', disabled: shift && !shift.open, 'data-do': 'x', onclick: act('/v1/shift/x-report', null, 'page.x_report') }, t('page.x_report')),
    el('button', { type: 'button', class: 'grave', disabled: shift && !shift.open, 'data-do': 'close', onclick: close }, t('page.close_shift'))), said);

  const sum = el('input', { name: 'sum', inputmode: 'decimal', required: true, autocomplete: 'off', pattern: '[0-9]+([.,][0-9]{1,2})?', placeholder: '0.00' });
  const note = el('input', { name: 'note', maxlength: 256, autocomplete: 'off' });
  // One id for one sum that a person typed, however often it is sent.
  let order = null;
  const move = (path) => (event) => {
    event.preventDefault();
    if (!sum.reportValidity()) return;
    const amount = sum.value.replace(',', '.'), text = path + amount + note.value;
    if (order?.text !== text) order = { text, id: 'page-' + Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, '0')).join('') };
    act(path, () => ({ id: order.id, amount, ...(note.value ? { note: note.value } : {}) }))(event);
  };
  const drawer = el('section', {}, el('h2', {}, t('page.cash')), el('form', { onsubmit: move('/v1/cash/deposit') },
    el('label', {}, el('span', {}, t('page.sum')), sum), el('label', {}, el('span', {}, t('page.note')), note),
    el('div', { class: 'row' }, el('button', { 'data-do': 'deposit' }, t('page.cash_in')),
      manager() ? el('button', { type: 'button', 'data-do': 'withdraw-cash', onclick: move('/v1/cash/withdraw') }, t('page.cash_out')) : null)),
  el('ul', { class: 'list', id: 'cash' }, cash.receipts.map((r) => el('li', {}, el('button', { type: 'button', onclick: () => details(r.id, 'cash') },
    dot(r), el('span', {}, t('kind.' + r.kind)), el('span', { class: 'money' }, azn(r.total)),
    el('span', { class: 'line' }, sentence(r)), el('span', { class: 'line soft' }, clock(r.time), r.cashier ? ` · ${r.cashier}` : ''))))));
  const day = (name) => el('input', { name, type: 'date', required: true, value: (status?.time || '').slice(0, 10) });
  const from = day('from'), to = day('to');
  const period = el('form', { onsubmit: act('/v1/period-report', () => ({ from: from.value, to: to.value }), 'page.period') }, el('h3', {}, t('page.period')),
    el('div', { class: 'row' }, el('label', {}, el('span', {}, t('page.first_day')), from), el('label', {}, el('span', {}, t('page.last_day')), to),
      el('button', { 'data-do': 'period' }, t('page.show'))));
  const papers = el('section', {}, el('h2', {}, t('page.reports')), reports.length ? null : el('p', { class: 'soft' }, t('page.no_reports')),
    el('ul', { class: 'list', id: 'reports' }, reports.map((x) => {
      const name = t(x.kind === 'z' ? 'page.z_report' : 'page.x_report');
      return el('li', {}, el('button', { type: 'button', onclick: () => report(x.report, name, x) },
        el('span', { class: 'dot ' + (x.report.balance?.differences?.length ? 'refused' : 'fiscal') }),
        el('span', {}, `${name} ${x.report.number || x.report.shift}`), el('span', { class: 'money' }, azn(x.report.sales.sum)),
        el('span', { class: 'line soft' }, clock(x.at), x.by ? ` · ${x.by}` : '')));
    })));
  papers.append(period);
  view.replaceChildren(first, drawer, papers);
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
    if (!s || (!s.count && g !== 'sales')) continue;
    lines.push(row(`${t('page.group_' + g)} × ${s.count}`, s.sum, 'money'));
    for (const p of ['cash', 'card', 'bonus', 'prepaid', 'credit']) if (Number(s[p]) && g !== 'deposits' && g !== 'withdrawals') lines.push(row('  ' + t('page.pay_' + p), s[p], 'money'));
    for (const v of s.vat || []) lines.push(row(`  ${t('page.vat')} ${v.rate}%`, v.amount, 'money'));
  }
  const b = x.balance;
  sheet(title,
    x.missing ? el('p', { class: 'error' }, x.missing) : null,
    el('div', { class: 'paper' }, el('table', {}, el('tbody', {},
      x.shift ? row(t('page.shift'), x.shift) : null, x.number ? row(t('page.document'), x.number) : null,
      x.opened_at ? row(t('page.opened'), clock(x.opened_at)) : null, of ? row(t('page.made'), clock(of.at)) : null,
      lines, x.cash ? row(t('page.in_drawer'), x.cash, 'money') : null))),
    b ? el('section', {}, el('p', { class: 'card state ' + (b.differences?.length ? 'person' : 'good') }, t(b.differences?.length ? 'page.differs' : 'page.agrees')),
      b.differences?.length ? el('table', {}, el('thead', {}, el('tr', {}, el('th', {}), el('th', {}, t('page.journal')), el('th', {}, t('page.register')))),
        el('tbody', {}, b.differences.map((d) => el('tr', {}, el('th', { scope: 'row' }, figure(d.figure), d.receipts ? el('span', { class: 'line soft' }, t('page.explained', { ids: d.receipts.join(', ') })) : null),
          el('td', { class: 'money' }, d.journal), el('td', { class: 'money' }, d.register))))) : null,
      b.doubtful?.length ? el('p', {}, t('page.doubtful', { ids: b.doubtful.join(', ') })) : null,
      b.open?.length ? el('p', {}, t('page.left_open', { ids: b.open.join(', ') })) : null) : null);
}

// --- registers

async function viewRegister() {
  const { registers } = await api('GET', '/v1/registers');
  if (tab !== 'register') return;
  const said = el('p', { class: 'error', role: 'alert' });
  $('view').replaceChildren(said, ...registers.map((r) => {
    const id = r.identity || {};
    return el('section', {}, el('h2', {}, `${r.name || r.id} · ${r.driver}`),
      el('p', { class: 'card state ' + (r.problem || !['ready', 'unknown'].includes(r.link) ? 'person' : 'good') }, r.problem?.text || t('link.' + r.link)),
      el('table', {}, el('tbody', {},
        r.address ? row(t('page.address'), r.address) : null, id.serial ? row(t('page.serial'), id.serial) : null,
        id.company ? row(t('page.company'), id.company) : null, id.last_online ? row(t('page.last_online'), clock(id.last_online)) : null,
        id.not_after ? row(t('page.certificate'), id.not_after.slice(0, 10).split('-').reverse().join('.')) : null,
        r.clock ? row(t('page.clock'), r.clock.off ? t('page.clock_off', { minutes: String(Math.round(Math.abs(r.clock.ahead_seconds) / 60)) })
          : Math.abs(r.clock.ahead_seconds) < 2 ? t('page.clock_right')
            : t(r.clock.ahead_seconds > 0 ? 'page.clock_ahead' : 'page.clock_behind', { seconds: String(Math.abs(r.clock.ahead_seconds)) }), r.clock.off ? 'error' : '') : null,
        r.seen_at ? row(t('page.seen'), clock(r.seen_at)) : null)),
      el('button', {
        type: 'button', class: 'main', 'data-do': 'check', onclick: async (event) => {
          event.target.disabled = true;
          try {
            await api('POST', `/v1/registers/${encodeURIComponent(r.id)}/check`);
            await viewRegister();
          } catch (err) {
            said.textContent = err.message;
            event.target.disabled = false;
          }
          await look();
        },
      }, t('page.check')));
  }));
  if (!registers.length) $('view').append(el('section', {}, t('problem.no_register.detail')));
}

// --- who did what

async function viewActs() {
  const { acts } = await api('GET', '/v1/acts');
  if (tab !== 'acts') return;
  const outcome = (x) => (x.outcome === 'done' ? '' : x.outcome ? ' — ' + t('problem.' + x.outcome) : ' — ' + t('page.not_known'));
  $('view').replaceChildren(el('section', {}, el('h2', {}, t('page.acts')), el('table', {}, el('tbody', {}, acts.map((x) => el('tr', {},
    el('td', {}, clock(x.at)), el('td', {}, x.who), el('td', {}, t('act.' + x.what) + outcome(x), x.subject ? el('span', { class: 'soft' }, ' ' + x.subject) : null)))))));
}

// --- start

$('out').addEventListener('click', async () => {
  await api('POST', '/v1/session/end').catch((err) => { if (!(err instanceof Problem)) throw err; });
  list = []; find = ''; only = ''; tab = 'receipts';
  begin();
});
setInterval(() => { if (session?.person) look(); }, 5000);

(async () => {
  let lang = localStorage.getItem('language');
  if (!languages[lang]) {
    try {
      lang = (await (await fetch('/v1/session', { headers: { Accept: 'application/json' } })).json()).language;
    } catch (err) {
      lang = 'az';
    }
  }
  await speak(languages[lang] ? lang : 'az');
  await begin();
})();
