// The staff page: what the till's API says, and the buttons that it allows.
// Every word is in the texts of the agent; nothing is kept here but the language.
// This file leads: language, sign-in, the state of things, and which view is shown.
'use strict';

const languages = { az: 'Azərbaycanca', ru: 'Русский', en: 'English' };

let tab = 'receipts';
let view = null;      // the one that is shown: how it is read anew, where it says that this failed, and whether it did
let stream = null;    // of events
let spoken = 0;       // of the languages that were tapped the last
let begun = 0;        // of begin's turns the last: an older one that still waits for an answer ends
let looks = 0;        // of look's
let looking = false;
let refreshing = false;
let due = false;      // what is shown is to be read anew
let leaving = false;  // who signed out stays out, also before the agent has heard of it
let called = '';      // what people were last called for by sound

// --- the beginning

const words = async (name) => (await fetch(`/page/${name}.json`, { signal: AbortSignal.timeout?.(1000 * patience.glance) })).json();

async function speak(lang) {
  const mine = ++spoken;
  let all = await words(lang);
  if (session?.setup) all = { ...all, ...await words('setup-' + lang) };
  if (mine !== spoken) return;
  texts = all;
  language = lang;
  document.documentElement.lang = lang;
  localStorage.setItem('language', lang);
  const here = $('languages').contains(document.activeElement);
  $('languages').setAttribute('aria-label', t('page.language'));
  $('languages').replaceChildren(...Object.entries(languages).map(([id, name]) => el('button', {
    type: 'button', title: name, lang: id, 'aria-pressed': String(id === lang), onclick: () => { begun++; busy(true); speak(id).catch(() => away(true)).then(begin); },
  }, id.toUpperCase())));
  if (here) $('languages').querySelector('[aria-pressed=true]').focus();
  $('out').textContent = t('page.sign_out');
}

const busy = (is) => $('main').setAttribute('aria-busy', String(is));

// begin shows what there is for whoever sits here: the first start, the sign-in, the work.
async function begin() {
  const mine = ++begun;
  if (leaving) {
    $('main').replaceChildren(el('section', {}, el('p', {}, t('page.wait'))));
    busy(false);
    return;
  }
  busy(true);
  stream?.close();
  stream = null;
  try {
    const now = await api('GET', '/v1/session', undefined, patience.glance);
    if (mine !== begun) return;
    session = now;
    putAway();
    $('out').hidden = !session.person;
    $('where').textContent = 'E-kassa';
    if (session.setup) await firstStart();
    else if (!session.shown) $('main').replaceChildren(el('section', {}, el('p', {}, t('problem.page_off.detail'))));
    else if (!session.person) signIn();
    else await work();
  } catch (err) { // the agent starts, or the network is away
    if (!(err instanceof Problem)) console.error(err);
    await pause(3);
    if (mine === begun) begin();
    return;
  }
  if (mine === begun) busy(false);
}

async function firstStart() {
  while (!texts['setup.title']) {
    const of = language, more = await words('setup-' + of);
    if (of === language) Object.assign(texts, more); // else another one was tapped meanwhile
  }
  await (await import('/page/setup.js')).lead({ $, el, t, api, begin });
}

function forget() {
  list = [];
  find = only = '';
  tab = 'receipts';
  shown++;
}

function signIn() {
  forget();
  if (!session.people.length) {
    $('main').replaceChildren(el('section', {}, el('h1', {}, t('page.sign_in')), el('p', {}, t('page.nobody')),
      el('p', {}, el('code', {}, 'ekassa-agent pin add NAME --role manager'))));
    return;
  }
  const said = failure('');
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

async function signOut() {
  leaving = true;
  session = null;
  stream?.close();
  stream = null;
  forget();
  $('out').hidden = true;
  putAway();
  begin();
  while (leaving) {
    try {
      await api('POST', '/v1/session/end', undefined, patience.glance);
      leaving = false;
    } catch (err) {
      if (!(err instanceof Problem)) throw err;
      leaving = err.code === 'away'; // it has not heard of it
      if (leaving) await pause(3);
    }
  }
  begin();
}

// --- at work

const views = { receipts: viewReceipts, shift: viewShift, register: viewRegister, acts: viewActs };

// A view fills its panel, and gives what reads it anew, gently where nobody and
// nothing asked for it. It keeps hold of what it fills, so that an answer which comes
// once another one was chosen changes nothing that is shown.
async function work() {
  const till = session.terminals.find((x) => x.id === session.person.terminal);
  $('where').textContent = `${till?.name || session.person.terminal} · ${session.person.name}`;
  const here = document.activeElement?.id;
  const tabs = Object.keys(views).filter((id) => id !== 'acts' || manager()).map((id) => el('button', {
    type: 'button', id: 'tab-' + id, 'aria-current': tab === id ? 'page' : null, onclick: () => { tab = id; work(); },
  }, t({ receipts: 'page.receipts', shift: 'page.shift', register: 'page.register', acts: 'page.acts' }[id])));
  // Nothing moves under a finger: it is shown once it is filled.
  const trouble = failure(''), panel = el('div', { id: 'view', hidden: true }, trouble);
  $('main').replaceChildren(
    el('section', { id: 'now', class: 'state', role: 'status', 'aria-live': 'polite', hidden: true }), el('nav', { class: 'tabs' }, tabs), panel);
  if (here) $(here)?.focus();
  ready = () => {};
  view = { refresh: views[tab](panel), trouble, failed: false };
  listen();
  await look();
  if (panel.isConnected) await renew();
  panel.hidden = false;
}

// renew reads the view anew. What fails is said above it, and tried again once the
// agent answers.
async function renew(how = view.refresh) {
  const mine = view;
  try {
    await how();
    mine.failed = false;
    mine.trouble.textContent = '';
  } catch (err) {
    if (!(err instanceof Problem)) throw err;
    mine.failed = true;
    mine.trouble.textContent = err.code === 'away' ? '' : err.message; // of which there is a banner
  }
}

// listen hears of every change; what it is, is then asked, in the page's language.
function listen() {
  if (stream?.readyState === EventSource.CLOSED) stream = null; // it gave up
  if (stream) return;
  stream = new EventSource('/v1/events');
  let soon = 0;
  stream.addEventListener('receipt', () => {
    soon ||= setTimeout(() => {
      soon = 0;
      refresh();
    }, 300);
  });
  stream.addEventListener('hello', () => refresh());
}

// refresh reads all that is shown anew; asked for meanwhile, it does so once more.
async function refresh() {
  due = true;
  if (refreshing) return;
  refreshing = true;
  try {
    while (due && session?.person) {
      due = false;
      await look();
      if (session?.person) await renew();
      await again().catch((err) => { if (!(err instanceof Problem)) throw err; });
    }
  } finally {
    refreshing = false;
  }
}

// look shows the state of things in one sentence, and none where it is not known; it
// gives it.
async function look() {
  if (!session?.person) return null;
  const mine = ++looks;
  looking = true;
  let s = null, lines = [];
  try {
    s = await api('GET', '/v1/status', undefined, patience.glance);
  } catch (err) {
    if (!(err instanceof Problem)) throw err;
    if (err.code !== 'away') lines = [el('p', {}, err.message)]; // of which there is a banner
  } finally {
    if (mine === looks) looking = false;
  }
  if (mine !== looks || !$('now') || !session?.person) return s;
  if (s) {
    status = s;
    lines = sentences(s);
  }
  $('now').className = 'state ' + (s ? tone(s) : 'person');
  $('now').hidden = !lines.length;
  redraw($('now'), lines.map((l) => l.textContent), () => lines); // a screen reader hears it when it is another
  call(s ? tone(s) === 'person' && s.message.code : 'away');
  if (s && view?.failed) await renew();
  return s;
}

function sentences(s) {
  const q = s.queue, lines = [el('p', {}, s.message.text)];
  if (q.waiting + q.checking > 0) lines.push(el('p', { class: 'soft' }, t('page.offline', { lasting: lasting(q.oldest_seconds) })));
  if (s.shift?.open) lines.push(el('p', { class: 'soft' }, t('page.shift_since', { since: clock(s.shift.opened_at), lasting: lasting(s.shift.age_seconds) })));
  if (s.slip?.problem) lines.push(el('p', { class: 'soft' }, s.slip.problem.text));
  return lines;
}

// tone says how grave the state of things is.
function tone(s) {
  const q = s.queue;
  if (['ready'].includes(s.message.code)) return 'good';
  if (['asking', 'sending', 'asking_register'].includes(s.message.code)) return 'wait';
  if (['shift_old', 'clock_off'].includes(s.message.code) && !q.held && !q.refused) return 'wait';
  return 'person';
}

// call makes a short sound when something new needs a person.
function call(what) {
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

// --- registers

function viewRegister(panel) {
  const cards = new Map(); // of each register: its button stays while the rest is drawn anew
  const none = el('section', { hidden: true }, t('problem.no_register.detail'));
  panel.append(none);
  const card = (r) => {
    const state = el('div'), said = failure('');
    const button = el('button', {
      type: 'button', class: 'main', 'data-do': 'check', onclick: async () => {
        button.disabled = true;
        said.textContent = '';
        try {
          await api('POST', `/v1/registers/${encodeURIComponent(r.id)}/check`);
        } catch (err) {
          if (!(err instanceof Problem)) throw err;
          said.textContent = err.message;
        }
        button.disabled = false;
        await refresh();
      },
    }, t('page.check'));
    const section = el('section', {}, state, said, button);
    panel.append(section);
    return { section, state };
  };
  return async () => {
    const { registers } = await api('GET', '/v1/registers');
    none.hidden = registers.length > 0;
    for (const [id, { section }] of cards) {
      if (registers.some((r) => r.id === id)) continue;
      section.remove();
      cards.delete(id);
    }
    for (const r of registers) {
      if (!cards.has(r.id)) cards.set(r.id, card(r));
      redraw(cards.get(r.id).state, r, () => registerState(r));
    }
  };
}

function registerState(r) {
  const id = r.identity || {};
  const ahead = r.clock?.ahead_seconds;
  return [
    el('h2', {}, `${r.name || r.id} · ${r.driver}`),
    el('p', { class: 'card state ' + (r.problem ? 'person' : { ready: 'good', unknown: 'wait' }[r.link] || 'person') }, r.problem?.text || t('link.' + r.link)),
    el('table', {}, el('tbody', {},
      r.address ? row(t('page.address'), r.address) : null, id.serial ? row(t('page.serial'), id.serial) : null,
      id.company ? row(t('page.company'), id.company) : null, id.last_online ? row(t('page.last_online'), clock(id.last_online)) : null,
      id.not_after ? row(t('page.certificate'), id.not_after.slice(0, 10).split('-').reverse().join('.')) : null,
      r.clock ? row(t('page.clock'), r.clock.off ? t('page.clock_off', { minutes: String(Math.round(Math.abs(ahead) / 60)) })
        : Math.abs(ahead) < 2 ? t('page.clock_right')
          : t(ahead > 0 ? 'page.clock_ahead' : 'page.clock_behind', { seconds: String(Math.abs(ahead)) }), r.clock.off ? 'error' : '') : null,
      r.seen_at ? row(t('page.seen'), clock(r.seen_at)) : null)),
  ];
}

// --- who did what

function viewActs(panel) {
  const lines = el('tbody');
  panel.append(el('section', {}, el('h2', {}, t('page.acts')), el('table', {}, lines)));
  const outcome = (x) => (x.outcome === 'done' ? '' : x.outcome ? ' — ' + t('problem.' + x.outcome) : ' — ' + t('page.not_known'));
  return async () => {
    const { acts } = await api('GET', '/v1/acts');
    redraw(lines, acts, () => acts.map((x) => el('tr', {},
      el('td', {}, clock(x.at)), el('td', {}, x.who), el('td', {}, t('act.' + x.what) + outcome(x), x.subject ? el('span', { class: 'soft' }, ' ' + x.subject) : null))));
  };
}

// --- start

$('out').addEventListener('click', signOut);
setInterval(() => {
  if (!session?.person || !view) return;
  listen();
  if (!looking) look();
  if (tab === 'register' || tab === 'shift') renew(() => view.refresh(true)); // of which no event tells
}, 5000);

(async () => {
  let lang = localStorage.getItem('language');
  if (!languages[lang]) {
    try {
      lang = (await (await fetch('/v1/session', { headers: { Accept: 'application/json' } })).json()).language;
    } catch (err) {
      lang = 'az';
    }
  }
  lang = languages[lang] ? lang : 'az';
  while (language !== lang) await speak(lang).catch(() => pause(3));
  await begin();
})();
