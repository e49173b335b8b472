// What is wrong with a page, as somebody meets it: `width` is that of the screen, `touch` whether it is
// worked with fingers.
(width, touch) => {
  const faults = [];
  const shown = (one) => one.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && one.getClientRects().length > 0;
  const told = (one) => one.outerHTML.slice(0, 120);
  const all = (selector) => [...document.querySelectorAll(selector)].filter(shown);

  // Nothing is wider than the screen.
  if (document.documentElement.scrollWidth > width) {
    const wide = all('main *').filter((one) => one.getBoundingClientRect().right > width + 1 && !one.closest('.diff, pre, svg'));
    faults.push(`wider than the screen: ${wide.slice(0, 3).map(told).join(' | ')}`);
  }

  // What is touched is large enough. Links within a sentence are as large as the sentence.
  const within = 'p:not(.buttons, .paging), dd, .log, footer, .skip, ol.plain, ul.targets, span.quiet, .pills';
  for (const one of touch ? all('a, button, summary, select, textarea, input:not([type=hidden], [type=radio], [type=checkbox]), .pick') : []) {
    if (one.closest(within) && !one.matches('.button, button')) continue;
    const box = (one.querySelector('rect') || one).getBoundingClientRect();
    if (box.height < 43.5 || box.width < 43.5) faults.push(`too small to touch: ${Math.round(box.width)} by ${Math.round(box.height)} ${told(one)}`);
  }

  // The parts of a page, and its headings one below the other.
  for (const part of ['header', 'main', 'footer']) {
    if (document.querySelectorAll(`body > ${part}`).length !== 1) faults.push(`there is not one ${part}`);
  }
  const levels = all('h1, h2, h3, h4').map((one) => Number(one.tagName[1]));
  if (levels.filter((level) => level === 1).length !== 1 || levels[0] !== 1) faults.push(`there is not one first heading: ${levels}`);
  if (levels.some((level, place) => place > 0 && level > levels[place - 1] + 1)) faults.push(`a level of headings is left out: ${levels}`);
  if (!document.querySelector('[aria-live]')) faults.push('news are told to nobody who only listens');
  if (!document.title || !document.documentElement.lang) faults.push('the page has no title or no language');

  // What can be filled in or pressed says what it is, also without a script.
  for (const field of all('input:not([type=hidden]), select, textarea')) {
    if (!field.labels.length || !field.labels[0].textContent.trim()) faults.push(`a field without a name: ${told(field)}`);
  }
  for (const form of document.querySelectorAll('form')) {
    if (!form.querySelector('button:not([type=button])')) faults.push(`a form that cannot be sent: ${told(form)}`);
    if (form.method === 'post' && !form.querySelector('input[name=csrf]')) faults.push(`a form that is not known as ours: ${told(form)}`);
  }
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    if (/\b(undefined|null|NaN)\b|Some\(|^None$/.test(node.nodeValue) && !node.parentElement.closest('pre, .diff, code, script, .log')) faults.push(`it says ${node.nodeValue.trim()}`);
  }
  return faults;
}
