// The first start: from a new agent to a till that sells. What is answered here
// and not yet written is kept in this page alone, registers that were tried in the
// agent; nothing is written before the last button.

let app;             // what the staff page lends: $, el, t, api, begin
let state = null;    // GET /setup/state
let found = null;    // registers that answered; null: not looked yet
let at = null;       // the one that is being tried
let more = false;    // another one is added
let step = 1;
let made = null;     // what became of the test receipt, in the words of
let tongue = '';     // this language
let running = false; // one thing at a time, whatever is drawn meanwhile
let wrong = '';      // why it could not be done
const said = {};     // what was typed, by field

export async function lead(lent) {
  app = lent;
  if (tongue !== document.documentElement.lang) {
    wrong = '';
    if (made?.training) made = null; // what is real stays, in whatever words
  }
  tongue = document.documentElement.lang;
  try {
    await know();
  } catch (err) {
    if (!err.code?.startsWith('setup_code')) throw err;
    code();
  }
}

async function know(answer) {
  state = answer || await app.api('GET', '/setup/state');
  if (state.done && step < 3) step = 3;
  draw();
}

const { entries } = Object;
const text = (key, args) => app.t('setup.' + key, args);

// put shows a step.
function put(title, ...children) {
  const { $, el } = app;
  const here = document.activeElement?.name;
  $('main').replaceChildren(el('section', {}, el('p', { class: 'soft' }, text('title')), el('h1', {}, title), ...children));
  $('main').querySelector(here ? `[name="${here}"]` : '[autofocus]')?.focus();
}

// field is one that remembers what was typed.
function field(name, label, props = {}) {
  const { el } = app;
  const input = el('input', { name, autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false', ...props, oninput: (e) => { said[name] = e.target.value; } });
  input.value = said[name] ?? props.value ?? '';
  return el('label', {}, el('span', {}, label), input);
}

function choice(name, label, options) {
  const { el } = app;
  const select = el('select', { name, onchange: (e) => { said[name] = e.target.value; draw(); } }, options.map(([value, words]) => el('option', { value }, words)));
  said[name] ??= options[0][0];
  select.value = said[name];
  return el('label', {}, el('span', {}, label), select);
}

// form does something once at a time, and says why it could not.
function form(words, act, ...children) {
  const { el } = app;
  const note = el('p', { role: 'alert' });
  const button = el('button', { class: 'main', 'data-do': 'go' }, words);
  const show = () => {
    button.disabled = running;
    note.className = running ? 'soft' : 'error';
    note.textContent = running ? text('wait') : wrong;
  };
  show();
  return el('form', {
    onsubmit: async (event) => {
      event.preventDefault();
      if (running) return;
      running = true;
      wrong = '';
      show();
      try {
        await act();
      } catch (err) {
        if (!lost(err)) wrong = err.message;
      }
      running = false;
      if (note.isConnected) show();
      else if (state) draw(); // it was drawn anew meanwhile
      else code();
    },
  }, ...children, note, el('div', { class: 'row' }, button));
}

// lost says whether this browser may not go on: another one has the code, or all is done.
function lost(err) {
  const is = err.code === 'setup_code_needed' || err.code === 'setup_over';
  if (is) app.begin();
  return is;
}

// go leads to another step.
function go(to) {
  step = to;
  wrong = '';
  draw();
}

function code() {
  const { el, api } = app;
  put(text('code_title'), el('p', {}, text('page_hello')),
    form(text('next'), async () => {
      const typed = said.code || '';
      delete said.code;
      app.$('main').querySelector('[name=code]').value = '';
      await api('POST', '/setup/code', { code: typed });
      await know();
    }, field('code', text('code_label'), { class: 'pin', inputmode: 'numeric', maxlength: 12, required: true, autofocus: true })),
    el('details', {}, el('summary', {}, text('code_where')), el('p', {}, text('code_log')), el('p', {}, el('code', {}, 'journalctl -u ekassa-agent')),
      el('p', {}, text('code_new')), el('p', {}, el('code', {}, 'sudo ekassa-agent setup --code --config /etc/ekassa-agent/agent.yaml')), el('p', {}, text('code_here'))));
}

function draw() {
  [registers, shop, notes, receipt][step - 1]();
}

const numbered = (key) => text('step', { n: String(step) }) + ' · ' + text(key);

// --- 1: registers

async function search() {
  const { api } = app;
  found = undefined;
  wrong = '';
  draw();
  try {
    found = (await api('POST', '/setup/search')).found;
  } catch (err) {
    found = [];
    if (lost(err)) return;
    wrong = err.message;
  }
  if (step === 1) draw();
}

function registers() {
  const { el } = app;
  const added = el('ul', { class: 'list', id: 'added' }, state.registers.map((r, n) => el('li', {},
    el('div', { class: 'row' }, el('span', { class: 'dot fiscal', 'aria-hidden': 'true' }), el('p', { class: 'grow' }, text('works', { serial: r.serial }))),
    el('div', { class: 'sides' }, field('name' + n, text('name'), { value: r.name, maxlength: 64 }), field('till' + n, text('till'), { value: r.till, maxlength: 64 })))));
  const some = state.registers.length > 0;
  if (some && !more) {
    put(numbered('step_registers'), added, el('div', { class: 'row' },
      el('button', { type: 'button', class: 'main', 'data-do': 'next', onclick: () => go(2) }, text('next')),
      el('button', { type: 'button', 'data-do': 'more', onclick: () => { more = true; at = null; search(); } }, text('another'))));
    return;
  }
  if (found === null) {
    search();
    return;
  }
  const pick = (place) => { at = place; wrong = ''; for (const f of ['merchant_id', 'username', 'password']) delete said[f]; draw(); };
  const chosen = (f) => at && f.address === at.address && f.driver === at.driver;
  const list = found === undefined ? el('p', { role: 'status' }, text('searching')) : el('ul', { class: 'list', id: 'found' },
    found.map((f) => el('li', {}, el('button', { type: 'button', 'data-address': f.address, 'aria-pressed': String(!!chosen(f)), onclick: () => pick(f) },
      el('span', { class: 'dot ' + (chosen(f) ? 'fiscal' : '') }), el('span', {}, text('maker_' + f.driver)), el('span', { class: 'money' }, f.address),
      f.name ? el('span', { class: 'line soft' }, f.name) : null))),
    found.length || wrong ? null : el('li', {}, el('p', {}, text('none'))));
  put(numbered('step_registers'), some ? added : el('p', {}, text('switch_on')), list,
    el('div', { class: 'row' },
      el('button', { type: 'button', 'data-do': 'look', disabled: found === undefined, onclick: search }, text('look_again')),
      el('button', { type: 'button', 'data-do': 'type', 'aria-pressed': String(at?.typed === true), onclick: () => pick({ typed: true }) }, text('type_address')),
      some ? el('button', { type: 'button', class: 'quiet', onclick: () => { more = false; draw(); } }, app.t('page.back')) : null),
    at ? secrets() : wrong ? el('p', { class: 'error', role: 'alert' }, wrong) : null);
}

// secrets asks for what the register is tried with.
function secrets() {
  const { el, api } = app;
  const typed = at.typed ? [choice('driver', text('maker_label'), state.makers.map((m) => [m, text('maker_' + m)])),
    field('address', text('address_label'), { required: true, placeholder: '192.168.1.50:8008', inputmode: 'url' })] : null;
  const driver = at.typed ? said.driver : at.driver;
  const secret = driver === 'azsmart' ? field('merchant_id', text('merchant_id'), { required: true })
    : [field('username', text('username')), field('password', text('password'), { type: 'password' })];
  return form(text('try'), async () => {
    const answer = await api('POST', '/setup/try', {
      driver, address: at.typed ? said.address : at.address, announced: !!at.announced,
      merchant_id: said.merchant_id || '', username: said.username || '', password: said.password || '',
    });
    for (const f of ['merchant_id', 'username', 'password', 'address']) delete said[f];
    at = null;
    more = false;
    await know(answer);
  }, el('h2', {}, at.typed ? text('type_address') : at.address), typed, secret);
}

// --- 2: the shop

function shop() {
  const { el, api } = app;
  put(numbered('step_shop'), form(text('finish'), async () => {
    const answer = await api('POST', '/setup/write', {
      names: state.registers.map((r, n) => ({ name: said['name' + n] ?? r.name, till: said['till' + n] ?? r.till })),
      tax: said.tax, manager: said.manager || '', cloud: said.cloud || '', code: said.cloud_code || '',
    });
    step = 3;
    await know(answer);
  },
  choice('tax', text('tax_label'), state.taxes.map((x) => [x, text('tax_' + x)])),
  field('manager', text('manager'), { required: true, maxlength: 40, autocapitalize: 'words' }),
  el('details', { open: !!said.cloud }, el('summary', {}, text('with_cloud')),
    field('cloud', text('cloud'), { type: 'url', placeholder: 'https://' }), field('cloud_code', text('cloud_code'))),
  el('p', { class: 'soft' }, text('finish_what'))),
  el('button', { type: 'button', class: 'quiet', onclick: () => go(1) }, app.t('page.back')));
}

function picture(svg, name) {
  const e = document.importNode(new DOMParser().parseFromString(svg, 'image/svg+xml').documentElement, true);
  for (const [k, v] of entries({ class: 'qr', role: 'img', 'aria-label': name })) e.setAttribute(k, v);
  return e;
}

// --- 3: what is shown once

function notes() {
  const { el } = app;
  const done = state.done;
  put(numbered('step_notes'), el('p', { class: 'card state wait' }, text('once')),
    el('h2', {}, text('pin_of', { name: done.manager })), el('p', {}, el('code', { class: 'big', id: 'pin' }, done.pin)),
    done.tills.flatMap((x) => [el('h2', {}, text('token_of', { till: x.name })),
      el('div', { class: 'row' }, picture(x.qr, text('token_of', { till: x.name })), el('code', { class: 'grow token' }, x.token))]),
    state.registers.filter((r) => r.spare).map((r) => el('p', { class: 'card' }, text('spare', { name: r.name, till: r.till }))),
    done.agent ? el('p', { class: 'card state good' }, text('enrolled', { agent: done.agent })) : null,
    done.trouble ? el('p', { class: 'error' }, text('not_enrolled', { detail: done.trouble })) : null,
    el('div', { class: 'row' }, el('button', { type: 'button', class: 'main', 'data-do': 'noted', onclick: () => go(4) }, text('noted'))));
}

// --- 4: a receipt

function receipt() {
  const { el, api } = app;
  const tills = state.done.tills;
  const kinds = [['training', text('test_training')], ['real', text('test_real')]];
  const end = async () => {
    await api('POST', '/setup/end').catch(() => {}); // whether it was heard, is seen
    await app.begin();
  };
  const real = said.kind === 'real';
  put(numbered('step_test'),
    form(text(real ? 'test_go_real' : 'test_go'), async () => {
      // A real one has one id until it has come to its end: asked for again it is the same.
      const id = sessionStorage.test ??= crypto.getRandomValues(new Uint32Array(4)).join('-');
      made = await api('POST', '/setup/test', { till: said.till || tills[0].id, real, id });
      if (!made.trouble && !made.made?.some((r) => ['waiting', 'sending', 'checking'].includes(r.state))) delete sessionStorage.test;
      draw();
    },
    tills.length > 1 ? choice('till', text('test_till'), tills.map((x) => [x.id, x.name])) : null,
    choice('kind', text('test_kind'), kinds),
    el('p', { class: real ? 'error' : 'soft' }, text(said.kind === 'real' ? 'test_real_what' : 'test_training_what'))),
    made ? el('ul', { class: 'list', id: 'made' }, (made.made || []).map(outcome),
      made.trouble ? el('li', {}, el('p', { class: 'error', role: 'alert' }, made.trouble)) : null) : null,
    el('div', { class: 'row' }, el('button', { type: 'button', class: made ? 'main' : '', 'data-do': 'end', onclick: end }, text('open_page'))));
}

// outcome is one receipt, or the X report. In training each says that it is none.
function outcome(r) {
  const { el } = app;
  return el('li', {}, made.training ? el('p', { class: 'training' }, text('test_training_mark')) : null,
    r.kind ? el('div', { class: 'row' }, el('span', { class: 'dot ' + r.state, 'aria-hidden': 'true' }), el('strong', { class: 'grow' }, `${app.t('kind.' + r.kind)} · 0.01 AZN`)) : null,
    el('p', {}, r.text), r.fiscal_id ? el('p', { class: 'soft' }, r.fiscal_id) : null,
    r.qr ? picture(r.qr, r.url) : null);
}
