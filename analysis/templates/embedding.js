{
const data = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const canvas = find("map"), legend = find("legend"), details = find("details");
const count = data.points.length;
const MARKS = 11;
let grouping = data.groups[0] || null, current = -1, chosen = null, side = 0;

/* Groups that have clips, in order; a group's place gives its color and its mark, as in the figure. */
function present() {
  const seen = new Map();
  for (const code of grouping ? grouping.codes : []) seen.set(code, (seen.get(code) || 0) + 1);
  return [...seen].sort((a, b) => a[0] - b[0]);
}
let places = new Map();

function polygon(pen, corners, radius, turn, inner = 1) {
  pen.beginPath();
  for (let i = 0; i < corners; i++) {
    const angle = turn + (i * 2 * Math.PI) / corners, r = i % 2 ? radius * inner : radius;
    pen.lineTo(r * Math.cos(angle), r * Math.sin(angle));
  }
  pen.closePath();
}
function trace(pen, mark, r) {
  const up = -Math.PI / 2;
  if (mark === 0) { pen.beginPath(); pen.arc(0, 0, r, 0, 2 * Math.PI); }
  else if (mark === 1) { pen.beginPath(); pen.rect(-0.9 * r, -0.9 * r, 1.8 * r, 1.8 * r); }
  else if (mark === 2) polygon(pen, 3, 1.25 * r, up);
  else if (mark === 3) polygon(pen, 4, 1.25 * r, up);
  else if (mark === 4) polygon(pen, 3, 1.25 * r, -up);
  else if (mark === 5 || mark === 6) {
    const t = 0.42 * r, e = 1.2 * r;
    pen.save();
    if (mark === 6) pen.rotate(Math.PI / 4);
    pen.beginPath();
    for (const [x, y] of [[-t, -e], [t, -e], [t, -t], [e, -t], [e, t], [t, t], [t, e], [-t, e], [-t, t], [-e, t], [-e, -t], [-t, -t]]) pen.lineTo(x, y);
    pen.closePath();
    pen.restore();
  }
  else if (mark === 7) polygon(pen, 3, 1.25 * r, Math.PI);
  else if (mark === 8) polygon(pen, 10, 1.4 * r, up, 0.42);
  else if (mark === 9) polygon(pen, 3, 1.25 * r, 0);
  else { pen.save(); pen.scale(0.6, 1); polygon(pen, 4, 1.3 * r, up); pen.restore(); }
}
function ink() { return getComputedStyle(document.body).color; }
function colorOf(place) {
  const color = data.colors[place % data.colors.length];
  return color === "#000000" ? ink() : color;
}
function drawMark(pen, x, y, place, r) {
  pen.save();
  pen.translate(x, y);
  trace(pen, place < 0 ? 0 : place % MARKS, r);
  pen.fillStyle = place < 0 ? "#8c8c8c" : colorOf(place);
  pen.fill();
  pen.lineWidth = 0.6;
  pen.strokeStyle = ink();
  pen.stroke();
  pen.restore();
}
const margin = 16, heights = data.points.map((point) => point[1]);
const [lowest, highest] = [Math.min(...heights), Math.max(...heights)];
const tall = Math.max(0.55, highest - lowest);  /* of the map, in its width: one scale for both axes, and no empty stripes */
function at(i) {
  const [x, y] = data.points[i];
  return [margin + x * (side - 2 * margin), margin + ((highest + lowest + tall) / 2 - y) * (side - 2 * margin)];
}
function draw() {
  side = canvas.clientWidth;
  const ratio = window.devicePixelRatio || 1;
  const height = tall * (side - 2 * margin) + 2 * margin;
  canvas.style.height = `${height}px`;
  [canvas.width, canvas.height] = [Math.round(side * ratio), Math.round(height * ratio)];
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.clearRect(0, 0, side, height);
  const radius = Math.max(2.2, Math.min(5.5, 70 / Math.sqrt(count)));
  for (let i = 0; i < count; i++) {
    const code = grouping ? grouping.codes[i] : -1;
    pen.globalAlpha = chosen === null || chosen === code ? 1 : 0.12;
    drawMark(pen, ...at(i), grouping ? places.get(code) : -1, radius);
  }
  pen.globalAlpha = 1;
  if (current < 0) return;
  const [x, y] = at(current);
  pen.strokeStyle = ink();
  pen.setLineDash([4, 3]);
  for (const [rank, near] of neighbors(current).entries()) {
    pen.lineWidth = rank ? 0.8 : 1.8;
    pen.beginPath(); pen.moveTo(x, y); pen.lineTo(...at(near)); pen.stroke();
  }
  pen.setLineDash([]);
  drawMark(pen, x, y, grouping ? places.get(grouping.codes[current]) : -1, radius * 1.4);
  pen.lineWidth = 2;
  pen.beginPath(); pen.arc(x, y, radius * 1.4 + 5, 0, 2 * Math.PI); pen.stroke();
}

/* Names are set as text only: whatever a file is called, it is never read as markup. */
function element(tag, text, name) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
}
function neighbors(i) { return data.neighbors[i].filter((near) => near >= 0); }

/* A film is its frames on a sheet, one after the other. */
function turnTo(made, frame) {
  const tiles = data.tiles, at = Number(made.dataset.clip) * data.frames + frame, tile = at % (tiles * tiles);
  const rows = Math.ceil(Math.min(tiles * tiles, count * data.frames - (at - tile)) / tiles);
  made.style.backgroundImage = `url("${data.sheets[Math.floor(at / (tiles * tiles))]}")`;
  made.style.backgroundSize = `${tiles * 100}% ${rows * 100}%`;
  const down = rows > 1 ? (Math.floor(tile / tiles) / (rows - 1)) * 100 : 0;
  made.style.backgroundPosition = `${((tile % tiles) / (tiles - 1)) * 100}% ${down}%`;
}
function picture(i) {
  const made = element("div", undefined, "picture");
  made.dataset.clip = i;
  made.setAttribute("role", "img");
  made.setAttribute("aria-label", data.frames > 1 ? "film of the clip" : "middle frame of the clip");
  turnTo(made, data.frames >> 1);
  return made;
}
const still = matchMedia("(prefers-reduced-motion: reduce)"), play = find("play");
let playing = data.frames > 1 && !still.matches, turn = 0;
function namePlay() { play.textContent = playing ? "Pause the films" : "Play the films"; }
play.addEventListener("click", () => { playing = !playing; namePlay(); });
play.hidden = data.frames < 2;
namePlay();
setInterval(() => {
  if (!playing || current < 0) return;
  turn = (turn + 1) % data.frames;
  for (const made of details.querySelectorAll(".picture")) turnTo(made, turn);
}, Math.max(60, data.milliseconds));
function card(i, title, other) {
  const made = element("section"), text = element("div");
  if (data.sheets.length) made.append(picture(i));
  else made.className = "bare";
  made.append(text);
  text.append(element("p", title, "soft"), element("p", data.video_id[data.video[i]], "name"));
  text.append(element("p", data.seconds ? `clip at ${data.seconds[i].toFixed(2)} s` : `clip ${data.clip[i] + 1}`));
  for (const group of data.groups) {
    if (group.by === "video") continue;
    const same = other === undefined ? "" : group.codes[i] === group.codes[other] ? " (the same)" : " (another)";
    const name = group.names[group.codes[i]];
    text.append(element("p", `${name.startsWith(group.by) ? "" : `${group.by}: `}${name}${same}`));
  }
  return made;
}
function select(i) {
  if (i === current) return;
  current = i;
  details.replaceChildren();
  if (i >= 0) {
    details.append(card(i, "this clip"));
    for (const [rank, near] of neighbors(i).entries()) details.append(card(near, rank ? `${rank + 1}.` : "1. nearest of other videos", i));
  } else details.append(element("p", details.dataset.empty, "soft"));
  draw();
}
function nearestTo(x, y, reach) {
  let best = -1, least = reach * reach;
  for (let i = 0; i < count; i++) {
    const [a, b] = at(i), gap = (a - x) ** 2 + (b - y) ** 2;
    if (gap < least) { least = gap; best = i; }
  }
  return best;
}
function step(dx, dy) {
  const [x, y] = at(current);
  let best = -1, least = Infinity;
  for (let i = 0; i < count; i++) {
    const [a, b] = at(i), along = (a - x) * dx + (b - y) * dy, across = Math.abs((a - x) * dy) + Math.abs((b - y) * dx);
    if (i === current || along <= 0 || across > 2 * along) continue;
    if (along + across < least) { least = along + across; best = i; }
  }
  if (best >= 0) select(best);
}
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
canvas.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "Escape") select(-1);
  else if (event.key === "Home") select(0);
  else if (event.key === "End") select(count - 1);
  else if (event.key === "n" || event.key === "p") select((current + (event.key === "n" ? 1 : count - 1) + count) % count);
  else if (ARROWS[event.key]) { if (current < 0) select(0); else step(...ARROWS[event.key]); }
  else return;
  event.preventDefault();
});
canvas.addEventListener("focus", () => { if (current < 0 && canvas.matches(":focus-visible")) select(0); });
function point(event, reach) {
  const box = canvas.getBoundingClientRect();
  const i = nearestTo(event.clientX - box.left, event.clientY - box.top, reach);
  if (i >= 0) select(i);
}
canvas.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse") point(event, 14); });
canvas.addEventListener("pointerdown", (event) => point(event, event.pointerType === "mouse" ? 14 : 28));

function showLegend() {
  legend.replaceChildren();
  if (!grouping) return;
  for (const [code, clips] of present()) {
    const button = element("button"), sign = element("canvas");
    button.type = "button";
    sign.width = sign.height = 32;
    sign.setAttribute("aria-hidden", "true");
    const pen = sign.getContext("2d");
    pen.scale(2, 2);
    drawMark(pen, 8, 8, places.get(code), 5);
    button.append(sign, element("span", `${grouping.names[code]} (${clips})`));
    button.setAttribute("aria-pressed", String(chosen === code));
    button.addEventListener("click", () => {
      chosen = chosen === code ? null : code;
      for (const [k, other] of [...legend.children].entries()) other.setAttribute("aria-pressed", String(present()[k][0] === chosen));
      draw();
    });
    legend.append(button);
  }
}
function colorBy(group) {
  grouping = group;
  chosen = null;
  places = new Map(present().map(([code], place) => [code, place]));
  showLegend();
  draw();
}
for (const group of data.groups) {
  const label = element("label"), choice = element("input");
  choice.type = "radio";
  choice.name = "by";
  choice.value = group.by;
  choice.checked = group === grouping;
  choice.addEventListener("change", () => colorBy(group));
  label.append(choice, element("span", group.by));
  find("by").append(label);
}
find("by").hidden = data.groups.length < 2;
addEventListener("theme", () => { showLegend(); draw(); });
new ResizeObserver(() => { if (canvas.clientWidth !== side) draw(); }).observe(canvas);
colorBy(grouping);
select(0);
}
