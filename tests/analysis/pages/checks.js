/* What a visitor of a page cannot read, hit or find: evaluated in the page by test_every_page.py. */
({
/* WCAG 2.1, 1.4.3: contrast of every text with the first opaque background behind it. */
contrast: () => {
  const parse = (text) => { const found = text.match(/[\d.]+/g).map(Number); return found.length < 4 ? [...found, 1] : found; };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (one) => { for (let at = one; at; at = at.parentElement) { const c = parse(getComputedStyle(at).backgroundColor); if (c[3] > 0.99) return c; } return [255, 255, 255, 1]; };
  const wrong = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const one = node.parentElement, style = getComputedStyle(one);
    if (!node.textContent.trim() || !one.checkVisibility({ visibilityProperty: true, opacityProperty: true }) || one.closest("script, style, noscript, .skip")) continue;
    const [a, b] = [light(parse(style.color)), light(behind(one))].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (large ? 3 : 4.5)) wrong.push(`${ratio.toFixed(2)}: ${node.textContent.trim().slice(0, 40)}`);
  }
  return wrong;
},
/* WCAG 2.2, 2.5.8: 24 by 24 CSS pixels, but for links within a sentence; a label is part of its control. */
targets: () => [...document.querySelectorAll("a, button, input, select, summary, [role=slider], canvas[tabindex]")]
  .filter((one) => one.checkVisibility() && !one.closest("p, .skip"))
  .map((one) => [one, (one.closest("label") || one).getBoundingClientRect()])
  .filter(([, box]) => box.width && (box.width < 24 || box.height < 24))
  .map(([one, box]) => `${one.outerHTML.slice(0, 60)} ${box.width}x${box.height}`),
/* What is cut off at the right. */
beyond: () => [...document.querySelectorAll("main *, header *")]
  .filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > innerWidth + 1 && !one.closest("svg"))
  .map((one) => one.outerHTML.slice(0, 80)),
})
