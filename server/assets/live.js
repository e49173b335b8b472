// Keeps pages live: whenever something was written, the page is fetched again and its `data-live` parts
// take over what has changed. Focus, scroll, open details and what was typed stay as they are. All pages
// work without this.
'use strict';
(() => {
  const SOONEST = 100;          // ms between two fetches
  const AGAIN = [1000, 2000, 5000, 10000];
  const live = () => document.querySelectorAll('[data-live][id]');
  const status = document.getElementById('live');
  // A page that came of a form says where it is to be had again.
  const from = () => (document.querySelector('[data-from]') || { dataset: {} }).dataset.from || location.href;

  function say(text, lost) {
    if (!status || status.textContent === text) return;
    status.textContent = text;
    status.classList.toggle('lost', Boolean(lost));
  }

  // Makes `old` like `fresh`, touching as little as can be.
  function morph(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeType !== Node.ELEMENT_NODE) { old.nodeValue = fresh.nodeValue; return; }
    attributes(old, fresh);
    // What somebody types belongs to them.
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(old.tagName)) return;
    children(old, fresh);
  }

  function attributes(old, fresh) {
    const kept = (name) => name === 'open' && old.tagName === 'DETAILS';
    for (const { name, value } of [...fresh.attributes]) {
      if (!kept(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    for (const { name } of [...old.attributes]) {
      if (!kept(name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
    }
  }

  function children(old, fresh) {
    const byId = new Map([...old.children].filter((one) => one.id).map((one) => [one.id, one]));
    const alike = (a, b) => a && a.nodeType === b.nodeType && a.nodeName === b.nodeName && !a.id && !b.id;
    let place = old.firstChild;
    for (const next of [...fresh.childNodes]) {
      let match = next.id ? byId.get(next.id) : null;
      if (match && match.nodeName !== next.nodeName) match = null;
      if (!match && alike(place, next)) match = place;
      if (!match) { old.insertBefore(document.importNode(next, true), place); continue; }
      if (match === place) place = place.nextSibling;
      else old.insertBefore(match, place);
      morph(match, next);
    }
    while (place) { const gone = place; place = place.nextSibling; gone.remove(); }
  }

  function take(fresh) {
    for (const part of live()) {
      const now = fresh.getElementById(part.id);
      if (!now) continue;
      // What somebody is about to decide upon is not exchanged under their hands.
      if (part.dataset.version && now.dataset.version !== part.dataset.version) {
        part.querySelectorAll('[data-moved]').forEach((notice) => { notice.hidden = false; });
      } else if (part.dataset.version) {
        continue;
      } else {
        const focused = document.activeElement;
        morph(part, now);
        if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
      }
    }
    // An answered question has another heading and no such part any more.
    document.querySelectorAll('[data-live][data-version]').forEach((part) => {
      if (!fresh.getElementById(part.id)) part.querySelectorAll('[data-moved]').forEach((notice) => { notice.hidden = false; });
    });
    if (fresh.title) document.title = fresh.title;
  }

  let fetching = false, wanted = false, last = 0;
  async function look() {
    if (fetching) { wanted = true; return; }
    fetching = true;
    try {
      do {
        wanted = false;
        await new Promise((done) => setTimeout(done, Math.max(0, last + SOONEST - Date.now())));
        last = Date.now();
        const answer = await fetch(from(), { headers: { accept: 'text/html' }, credentials: 'same-origin' });
        if (answer.redirected && new URL(answer.url).pathname === '/login') { stop(); say('Signed out: load again', true); return; }
        if (answer.ok) take(new DOMParser().parseFromString(await answer.text(), 'text/html'));
      } while (wanted);
    } catch { /* the stream of events tells when it is there again */ } finally { fetching = false; }
  }

  let events = null, tries = 0, timer = 0;
  function listen() {
    if (events || !live().length || !window.EventSource) return;
    events = new EventSource('/api/v1/events');
    events.onopen = () => { tries = 0; say('Live'); look(); };
    events.addEventListener('changed', look);
    events.onerror = () => {
      say('Offline, trying again', true);
      // A browser gives up where it got an answer that is no stream.
      if (events && events.readyState === EventSource.CLOSED) {
        stop();
        timer = setTimeout(listen, AGAIN[Math.min(tries++, AGAIN.length - 1)]);
      }
    };
  }
  function stop() {
    clearTimeout(timer);
    if (events) events.close();
    events = null;
  }
  // A page that nobody looks at holds no connection: browsers allow only a few.
  document.addEventListener('visibilitychange', () => { if (document.hidden) stop(); else listen(); });
  window.addEventListener('pagehide', stop);
  window.addEventListener('pageshow', (event) => { if (event.persisted) listen(); });
  listen();

  function relative(at) {
    const seconds = Math.round((Date.now() - at) / 1000), size = Math.abs(seconds);
    if (size < 5) return 'now';
    const text = size < 60 ? `${size} s` : size < 3600 ? `${Math.floor(size / 60)} min`
      : size < 172800 ? `${Math.floor(size / 3600)} h` : `${Math.floor(size / 86400)} days`;
    return seconds > 0 ? `${text} ago` : `in ${text}`;
  }
  setInterval(() => {
    for (const time of document.querySelectorAll('time[data-relative]')) {
      const text = relative(new Date(time.dateTime).getTime());
      if (time.textContent !== text) time.textContent = text;
    }
  }, 15000);

  // A link into a closed step opens it.
  function reveal() {
    const part = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (part && part.tagName === 'DETAILS') { part.open = true; part.scrollIntoView(); }
  }
  window.addEventListener('hashchange', reveal);
  reveal();

  // A form is sent once, however often it is tapped.
  document.addEventListener('submit', (event) => {
    const form = event.target;
    if (form.method === 'dialog') return;
    if (form.dataset.going) { event.preventDefault(); return; }
    form.dataset.going = 'yes';
    setTimeout(() => { delete form.dataset.going; }, 5000);
  });

  const keys = document.getElementById('keys');
  const button = document.querySelector('[data-keys]');
  if (button && keys) { button.hidden = false; button.addEventListener('click', () => keys.showModal()); }
  let before = '';
  document.addEventListener('keydown', (event) => {
    const typing = event.target.closest && event.target.closest('input, textarea, select, dialog[open]');
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (before === 'g') {
      const place = document.querySelector(`.way a[data-key="${CSS.escape(event.key)}"]`);
      if (place) { event.preventDefault(); place.click(); }
    } else if (event.key === '?' && keys) {
      event.preventDefault();
      keys.showModal();
    } else if (event.key === '/') {
      const field = document.querySelector('main input:not([type=hidden]), main select, main textarea');
      if (field) { event.preventDefault(); field.focus(); }
    }
    before = event.key === 'g' ? 'g' : '';
    setTimeout(() => { before = ''; }, 1500);
  });
})();
