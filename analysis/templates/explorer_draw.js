/* 2: how it is drawn. The three parts of the explorer's script stand in one function: explorer_data, explorer_draw, explorer. */
/* Panels: one of each checkpoint. */
const panels = names.map((name, index) => {
  const panel = element("div", "fx-panel"), figure = element("figure", "fx-matrix"), read = element("div", "fx-read");
  const frame = element("canvas", "fx-frame fx-active"), matrix = element("canvas", "fx-grid fx-active");
  const head = element("div", "fx-head"), verdict = element("div", "fx-verdict"), list = element("dl", "");
  const caption = element("figcaption", "fx-head");
  for (const made of [frame, matrix]) made.setAttribute("role", "img");
  const what = element("span", "fx-soft");
  head.append(element("span", "", name), what);
  head.title = name;
  const titles = [element("span", ""), element("span", "fx-soft")];
  caption.append(...titles);
  const [down, across] = ["RGB patch", "motion patch"].map((label, i) => {
    const axis = element("span", i ? "fx-across" : "fx-down"), last = element("span", "");
    axis.append(element("span", "", "0"), element("span", "", label), last);
    axis.setAttribute("aria-hidden", "true");
    return { axis, last };
  });
  const cells = {};
  for (const [key, label] of [["own", "same place"], ["top", "best match"], ["where", "at"], ["off", "off by"]]) {
    cells[key] = element("dd");
    list.append(element("dt", "", label), cells[key]);
  }
  const all = element("div", "fx-summary fx-number");
  read.append(verdict, list, all);
  figure.append(caption, down.axis, matrix, across.axis);
  panel.append(head, frame, read, figure);
  find("maps").append(panel);
  const made = { index, name, panel, frame, matrix, verdict, cells, all, what, titles, figure, ends: [down.last, across.last], heat: element("canvas"), glow: element("canvas"), whole: element("canvas"), stale: "" };
  const pick = (event) => {
    if (attentionOf(clipNow(), made)) return chooseAt(matrix, event);
    const box = matrix.getBoundingClientRect(), clip = clipNow();
    const patch = Math.min(clip.cells - 1, Math.max(0, Math.floor(((event.clientY - box.top) / box.height) * clip.cells)));
    choose(Math.floor(patch / clip.columns), patch % clip.columns);
  };
  follow(matrix, pick);
  follow(frame, (event) => chooseAt(frame, event));
  return made;
});

/* Marks, all with a dark casing: they are told apart by their form. */
function cased(pen, width, color, trace) {
  for (const [w, c] of [[width + 2.4, "rgba(0, 0, 0, .85)"], [width, color]]) {
    pen.lineWidth = w;
    pen.strokeStyle = c;
    pen.beginPath();
    trace();
    pen.stroke();
  }
}
const MARK = "#e69f00";
function box(pen, side, clip, row, column) {
  const w = side / clip.columns, h = side / clip.rows, inset = 1.4;
  cased(pen, 2.4, MARK, () => pen.rect(column * w + inset, row * h + inset, w - 2 * inset, h - 2 * inset));
}
function lines(pen, side, clip) {
  pen.lineWidth = 0.6;
  pen.strokeStyle = "rgba(255, 255, 255, .28)";
  pen.beginPath();
  for (let i = 1; i < clip.columns; i++) { pen.moveTo((i * side) / clip.columns, 0); pen.lineTo((i * side) / clip.columns, side); }
  for (let i = 1; i < clip.rows; i++) { pen.moveTo(0, (i * side) / clip.rows); pen.lineTo(side, (i * side) / clip.rows); }
  pen.stroke();
}
function ring(pen, side, clip, found) {
  const w = side / clip.columns, h = side / clip.rows, r = 0.32 * Math.min(w, h);
  const center = (row, column) => [(column + 0.5) * w, (row + 0.5) * h];
  const [x, y] = center(found.row, found.column), [x0, y0] = center(found.row - found.down, found.column - found.right);
  if (found.distance > 0) {
    const length = Math.hypot(x - x0, y - y0), ux = (x - x0) / length, uy = (y - y0) / length;
    const from = Math.min(length / 2, Math.min(w, h) / 2);
    for (const [dash, width, color] of [[[], 4, "rgba(0, 0, 0, .85)"], [[6, 4], 1.8, "#fff"]]) {
      pen.setLineDash(dash);
      pen.lineWidth = width;
      pen.strokeStyle = color;
      pen.beginPath();
      pen.moveTo(x0 + ux * from, y0 + uy * from);
      pen.lineTo(x - ux * r, y - uy * r);
      pen.stroke();
    }
    pen.setLineDash([]);
  }
  cased(pen, 2.4, "#fff", () => pen.arc(x, y, r, 0, 2 * Math.PI));
}

/* Sizes are measured when they change, not at every movement. */
const sizes = new Map();
function measure(target) {
  const ratio = window.devicePixelRatio || 1, side = target.clientWidth;
  sizes.set(target, side);
  if (target.width !== Math.round(side * ratio)) target.width = target.height = Math.round(side * ratio);
}
function begin(target) {
  if (!sizes.has(target)) measure(target);
  const pen = target.getContext("2d"), side = sizes.get(target), ratio = side ? target.width / side : 1;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, side, side);
  return [pen, side];
}
function frame(pen, kind, side) {
  const image = picture(kind);
  pen.imageSmoothingEnabled = true;
  if (image.complete && image.naturalWidth) pen.drawImage(image, 0, 0, side, side);
}
function sign(number) { return (number < 0 ? "−" : "") + Math.abs(number).toFixed(3); }
function steps(found) {
  if (!found.distance) return "0 cells";
  const parts = [];
  if (found.down) parts.push(`${Math.abs(found.down)} ${found.down > 0 ? "down" : "up"}`);
  if (found.right) parts.push(`${Math.abs(found.right)} ${found.right > 0 ? "right" : "left"}`);
  return `${found.distance.toFixed(1)} ${found.distance === 1 ? "cell" : "cells"} (${parts.join(", ")})`;
}
const VERDICTS = { right: "✓ best match is the same place", wrong: "✗ best match is elsewhere" };

function drawPanel(made, clip, patch) {
  const map = clip.maps[made.index], found = facts(clip, map, patch);
  const key = `${now.clip} ${now.time} ${now.limits}`;
  if (made.stale !== key) {
    made.stale = key;
    map.colors = colors(map);
    for (const end of made.ends) end.textContent = clip.cells - 1;
    paint(made.whole, map, rowStart(clip, 0), clip.cells, clip.cells);
    const all = summary(clip, map);
    made.all.textContent = `All ${clip.cells} patches: ${(100 * all.top1).toFixed(0)} % right (chance ${(100 / clip.cells).toFixed(1)} %), off by ${all.distance.toFixed(1)} on average`;
  }
  paint(made.heat, map, rowStart(clip, patch), clip.columns, clip.rows);
  const [pen, side] = begin(made.frame);
  frame(pen, "motion", side);
  pen.imageSmoothingEnabled = false;
  pen.globalAlpha = now.opacity;
  pen.drawImage(made.heat, 0, 0, side, side);
  pen.globalAlpha = 1;
  lines(pen, side, clip);
  box(pen, side, clip, now.row, now.column);
  ring(pen, side, clip, found);
  drawBeside(made, clip, patch, found);
  made.verdict.dataset.verdict = found.verdict;
  made.verdict.textContent = VERDICTS[found.verdict] || `= tied: ${found.ties} places match as well`;
  made.cells.own.textContent = sign(found.own);
  made.cells.top.textContent = sign(found.top);
  made.cells.where.textContent = `row ${found.row}, col ${found.column}`;
  made.cells.off.textContent = steps(found);
}
/* Beside the affinity: what the patch looks at, of a network that has attention, where that was chosen. */
function attentionOf(clip, made) { return now.beside ? clip.attention[made.index] : null; }
function times(share) { return `${share < 9.95 ? share.toFixed(1) : Math.round(share)} ×`; }
function drawAttention(made, clip, patch, map) {
  const found = facts(clip, map, patch), [pen, side] = begin(made.matrix);
  map.colors ||= warmth(map);
  paint(made.glow, map, rowStart(clip, patch), clip.columns, clip.rows);
  frame(pen, "rgb", side);
  pen.imageSmoothingEnabled = false;
  pen.globalAlpha = Math.min(1, now.opacity + 0.2);
  pen.drawImage(made.glow, 0, 0, side, side);
  pen.globalAlpha = 1;
  lines(pen, side, clip);
  box(pen, side, clip, now.row, now.column);
  ring(pen, side, clip, { ...found, distance: 0 });
  made.titles[1].textContent = `${times(found.top)} at row ${found.row}, col ${found.column}; itself ${times(found.own)}`;
}
function drawBeside(made, clip, patch, found) {
  const map = attentionOf(clip, made);
  made.figure.classList.toggle("fx-attention", Boolean(map));
  made.titles[0].textContent = map ? "Its attention" : "Affinity matrix";
  if (map) return drawAttention(made, clip, patch, map);
  made.titles[1].textContent = "patches row by row";
  drawMatrix(made, clip, patch, found);
}
function drawMatrix(made, clip, patch, found) {
  const [pen, side] = begin(made.matrix), cell = side / clip.cells, y = (patch + 0.5) * cell;
  pen.imageSmoothingEnabled = false;
  pen.drawImage(made.whole, 0, 0, side, side);
  const half = Math.max(cell / 2, 2) + 1;
  cased(pen, 1.2, "#fff", () => pen.rect(-4, y - half, side + 8, 2 * half));
  const d = Math.max(cell / 2, 3.5);
  cased(pen, 2, MARK, () => pen.rect(y - d, y - d, 2 * d, 2 * d));
  cased(pen, 1.8, "#fff", () => pen.arc((found.best + 0.5) * cell, y, d, 0, 2 * Math.PI));
}
function drawSource(clip) {
  const [pen, side] = begin(canvas);
  frame(pen, "rgb", side);
  lines(pen, side, clip);
  box(pen, side, clip, now.row, now.column);
  find("patch").textContent = `row ${now.row}, column ${now.column}`;
  find("pin").textContent = now.pinned ? "Pinned – let go" : "Pin";
  find("pin").setAttribute("aria-pressed", String(now.pinned));
}
function when(clip) {
  if (!now.time) return clip.slices > 1 ? "middle of the clip" : "";
  return clip.seconds ? `at ${clip.seconds[now.time - 1].toFixed(2)} s` : `slice ${now.time} of ${clip.slices}`;
}
function render() {
  queued = false;
  const clip = clipNow(), patch = now.row * clip.columns + now.column;
  if (fresh) {
    fresh = false;
    find("when").textContent = when(clip);
    for (const made of panels) made.what.textContent = now.time || clip.slices < 2 ? "affinity over motion" : "affinity over mean motion";
    drawScale();
  }
  drawSource(clip);
  for (const made of panels) if (!made.panel.hidden) drawPanel(made, clip, patch);
  drawings += 1;
}
function draw() {
  if (queued) return;
  queued = true;
  requestAnimationFrame(render);
}
function drawRamp(ramp, shades) {
  ramp.width = 256;
  ramp.height = 1;
  const pen = ramp.getContext("2d"), image = pen.createImageData(256, 1);
  for (let i = 0; i < 256; i++) image.data.set([shades[3 * i], shades[3 * i + 1], shades[3 * i + 2], 255], 4 * i);
  pen.putImageData(image, 0, 0);
}
function drawWarmScale() {
  const most = data.attention.most;
  drawRamp(find("warm"), warm);
  find("warm").setAttribute("aria-label", `Color bar from 1, an even share, to ${times(most)}, yellow`);
  find("warm-ticks").replaceChildren(...[1, Math.sqrt(most), most].map((share, i) => element("span", "", i ? times(share) : "≤ 1 ×")));
}
function drawScale() {
  const ramp = find("ramp"), ticks = find("ticks"), [low, high] = now.limits;
  drawRamp(ramp, palette);
  const text = (value) => (value < 0 ? "−" : "") + Math.abs(value).toFixed(2);
  ramp.setAttribute("aria-label", `Color bar from ${text(low)}, dark violet, to ${text(high)}, yellow`);
  ticks.replaceChildren(...[0, 0.5, 1].map((t) => element("span", "", text(low + t * (high - low)))));
  const whole = data.clips.length > 1 || names.length > 1;
  find("limits-note").textContent = now.limits === WIDE ? "Fixed: all that a cosine can be." :
    `Fixed: lowest to highest of ${whole ? "all clips, times and checkpoints here" : "all times of this clip"}.`;
}
