// What the staff page's other files stand on: elements, words, the agent's API, and
// the sheet that lies over the page.
'use strict';

const $ = (id) => document.getElementById(id);

let texts = {};      // of the language
let language = '';
let session = null;  // GET /v1/session
let status = null;   // GET /v1/status

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

// redraw puts what is new into an element, and leaves one alone in which nothing is:
// a button is not taken from under a finger.
function redraw(into, what, children) {
  const drawn = JSON.stringify([language, what]);
  if (into.drawn === drawn) return;
  into.drawn = drawn;
  const focus = into.contains(document.activeElement) && document.activeElement.dataset.id;
  into.replaceChildren(...children().flat().filter(Boolean));
  if (focus) [...into.querySelectorAll('[data-id]')].find((e) => e.dataset.id === focus)?.focus();
}

// --- words

// t gives a sentence, with {name} replaced, and without the [parts] that lack one.
function t(key, args = {}) {
  const text = texts[key];
  if (text === undefined) {
    console.error('no text ' + key);
    return key;
  }
  const whole = (s) => [...s.matchAll(/\{(\w+)\}/g)].every((m) => args[m[1]]);
  return text.split(/\[([^\]]*)\]/).map((s, n) => (n % 2 && !whole(s) ? '' : s.replace(/\{(\w+)\}/g, (_, name) => args[name] ?? ''))).join('');
}

const azn = (s) => `${s} AZN`;
const two = (n) => String(n).padStart(2, '0');
// clock shows a time as the shop's wall does, whatever zone this device is in.
const clock = (time) => (time ? `${time.slice(8, 10)}.${time.slice(5, 7)} ${time.slice(11, 16)}` : '');
const lasting = (seconds) => `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}`;
// sentence is the one truth of a receipt: the reason where there is one.
const sentence = (r) => (!r.reason ? r.sentence : ['fiscal', 'held', 'refused'].includes(r.state) ? r.reason.text : `${r.sentence} ${r.reason.text}`);
const unprinted = (r) => r.state === 'fiscal' && r.document && !r.document.printed;
const dot = (r) => el('span', { class: 'dot ' + (unprinted(r) ? 'unprinted' : r.state), 'aria-hidden': 'true' });
const row = (name, value, cls) => el('tr', {}, el('th', { scope: 'row' }, name), el('td', { class: cls }, value));
const failure = (text) => el('p', { class: 'error', role: 'alert' }, text);
const manager = () => session?.person?.role === 'manager';
const me = () => JSON.stringify(session?.person ?? null);
const pause = (seconds) => new Promise((on) => setTimeout(on, 1000 * seconds));

// --- the API

class Problem extends Error {
  constructor(code, status, text) {
    super(text);
    this.code = code; // 'away': no answer came
    this.status = status;
  }
}

// Seconds that an answer is waited for. What is done at the desk is waited for by
// the agent itself, for less than that.
const patience = { glance: 8, read: 30, act: 300 };

// api asks the agent. Where it does not answer, the page says so until it does. What
// is only read is asked for again where that was too often; nothing else is.
async function api(method, path, body, seconds = method === 'GET' ? patience.read : patience.act) {
  const init = { method, headers: { 'Accept-Language': language, Accept: 'application/json' } };
  if (method !== 'GET') {
    init.headers['Content-Type'] = 'application/json';
    init.body = JSON.stringify(body ?? {});
  }
  const ask = () => fetch(path, { ...init, signal: AbortSignal.timeout?.(1000 * seconds) });
  let answer, data;
  try {
    answer = await ask();
    while (method === 'GET' && answer.status === 429) {
      await new Promise((on) => setTimeout(on, 1000 * (answer.headers.get('Retry-After') || 1)));
      answer = await ask();
    }
    data = await answer.json();
  } catch (err) {
    away(true);
    throw new Problem('away', 0, t(method === 'GET' ? 'page.away' : 'page.unsure'));
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

// --- the sheet

let turn = 0; // counts what the sheet was opened for: an answer that comes later than that changes nothing in it
let shut = 0; // how often it was put away of which the browser has not told yet: it does so with the next picture

function putAway() {
  turn++;
  if (!$('sheet').open) return;
  shut++;
  $('sheet').close();
}

$('sheet').addEventListener('close', () => {
  if (shut) shut--;
  else turn++; // by a key
});

function sheet(title, ...children) {
  turn++;
  $('sheet').replaceChildren(el('div', { class: 'row' }, el('h2', { id: 'sheet-title', class: 'grow' }, title),
    el('button', { type: 'button', class: 'quiet', onclick: putAway }, t('page.back'))), ...children.filter(Boolean));
  if (!$('sheet').open) $('sheet').showModal();
}

// tell says to somebody who is at something else by now what went wrong.
function tell(title, text) {
  if ($('sheet').open) $('sheet').firstElementChild.after(el('p', { class: 'error told', role: 'alert' }, `${title}: ${text}`));
  else sheet(title, failure(text));
}
