/* 3: how it is chosen. The three parts of the explorer's script stand in one function: explorer_data, explorer_draw, explorer. */
/* What was chosen, for those who hear it: not at every movement, but when it rests. */
function speak() {
  clearTimeout(speaking);
  speaking = setTimeout(() => {
    const clip = clipNow(), patch = now.row * clip.columns + now.column;
    const told = panels.filter((made) => !made.panel.hidden).map((made) => {
      const found = facts(clip, clip.maps[made.index], patch);
      made.frame.setAttribute("aria-label", `Motion frame of ${clip.name} with the affinity of ${made.name}: best match at row ${found.row}, column ${found.column}`);
      const looks = attentionOf(clip, made), paid = looks && facts(clip, looks, patch);
      made.matrix.setAttribute("aria-label", paid ? `Attention of the patch in ${made.name}` : `Affinity matrix of ${made.name}, ${clip.cells} by ${clip.cells}`);
      const looking = paid ? `; looks most at row ${paid.row}, column ${paid.column}, ${times(paid.top)} an even share` : "";
      return `${made.name}: same place ${sign(found.own)}, best match ${sign(found.top)} at row ${found.row}, column ${found.column}, off by ${steps(found)}, ${found.verdict}${looking}`;
    });
    canvas.setAttribute("aria-label", `RGB frame of ${clip.name}, ${clip.rows} by ${clip.columns} patches; arrow keys choose one`);
    if (touched) remember();
    status.textContent = `Row ${now.row}, column ${now.column}${now.pinned ? ", pinned" : ""}. ${told.join(". ")}.`;
  }, 350);
}

/* Choices. */
function choose(row, column) {
  const clip = clipNow();
  const r = Math.min(clip.rows - 1, Math.max(0, row)), c = Math.min(clip.columns - 1, Math.max(0, column));
  if (r === now.row && c === now.column) return;
  [now.row, now.column] = [r, c];
  draw();
  speak();
}
function pin(on) {
  now.pinned = on;
  draw();
  speak();
}
function press(group, chosen) {
  for (const [i, button] of [...group.querySelectorAll("button[data-value]")].entries()) button.setAttribute("aria-pressed", String(i === chosen));
}
function choice(group, label, value, act, hint) {
  const button = element("button", "", label);
  button.type = "button";
  button.dataset.value = value;
  if (hint) button.title = hint;
  button.addEventListener("click", act);
  group.append(button);
  return button;
}
function setTime(time) {
  now.time = time;
  press(find("times"), time);
  fresh = true;
  draw();
  speak();
}
function setClip(index) {
  const before = data.clips[now.clip].rgb.length;
  now.clip = index;
  const clip = clipNow();
  press(find("clips"), index);
  now.pinned = false;
  now.row = Math.floor(data.clips[index].patch / clip.columns);
  now.column = data.clips[index].patch % clip.columns;
  listTimes(clip);
  setTime(data.clips[index].rgb.length === before ? now.time : 0);
}
function setOnly(index) {
  now.only = index;
  for (const made of panels) made.panel.hidden = index >= 0 && made.index !== index;
  press(find("checkpoints"), index + 1);
  const count = index < 0 ? names.length : 1;
  find("stage").style.setProperty("--fx-columns", Math.min(count, 3));
  find("stage").style.setProperty("--fx-wide", Math.min(Math.max(count, 2), 3)); // alone: the map and its matrix
  for (const made of panels) made.panel.classList.toggle("fx-alone", count === 1);
  resize();
  speak();
}
function setLimits(wide) {
  now.limits = wide ? WIDE : data.limits;
  press(find("limits"), wide ? 1 : 0);
  fresh = true;
  draw();
}
function setBeside(what) {
  now.beside = what;
  press(find("beside"), what);
  find("warm-scale").hidden = !what;
  resize();
  speak();
}
function listTimes(clip) {
  const group = find("times");
  stop();
  group.replaceChildren();
  find("time-field").hidden = clip.slices < 2;
  choice(group, "Averaged", 0, () => setTime(0), "Features averaged over time");
  for (let t = 1; t <= clip.slices; t++) {
    const button = choice(group, clip.seconds ? `${clip.seconds[t - 1].toFixed(2)} s` : String(t), t, () => setTime(t));
    button.setAttribute("aria-label", clip.seconds ? `Slice ${t}, ${clip.seconds[t - 1].toFixed(2)} seconds` : `Slice ${t}`);
  }
  const play = element("button", "fx-play", "▶");
  play.type = "button";
  play.setAttribute("aria-label", "Play the slices");
  play.setAttribute("aria-pressed", "false");
  play.hidden = still.matches;
  play.addEventListener("click", () => {
    if (playing) return stop();
    playing = setInterval(() => setTime((now.time % clip.slices) + 1), 700);
    play.textContent = "❚❚";
    play.setAttribute("aria-pressed", "true");
  });
  group.append(play);
}
function stop() {
  clearInterval(playing);
  playing = 0;
  const play = find("times").querySelector(".fx-play");
  if (!play) return;
  play.textContent = "▶";
  play.setAttribute("aria-pressed", "false");
}

/* Pointer: a mouse shows as it moves, unless a patch is pinned; a finger chooses where it is. A click pins. */
function follow(target, pick) {
  let before = -1;
  target.addEventListener("pointermove", (event) => { if (!now.pinned || event.pointerType === "touch") pick(event); });
  target.addEventListener("pointerdown", (event) => {
    before = now.pinned ? now.row * clipNow().columns + now.column : -1;
    if (event.pointerType === "touch") pick(event);
  });
  target.addEventListener("click", (event) => {
    pick(event);
    pin(now.row * clipNow().columns + now.column !== before);
  });
}
function chooseAt(frame, event) {
  const place = frame.getBoundingClientRect(), clip = clipNow();
  choose(Math.floor(((event.clientY - place.top) / place.height) * clip.rows), Math.floor(((event.clientX - place.left) / place.width) * clip.columns));
}
follow(canvas, (event) => chooseAt(canvas, event));
const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
canvas.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const clip = clipNow(), last = clip.slices > 1 ? clip.slices : 0;
  if (ARROWS[event.key]) choose(now.row + ARROWS[event.key][0], now.column + ARROWS[event.key][1]);
  else if (event.key === "Home") choose(now.row, 0);
  else if (event.key === "End") choose(now.row, clip.columns - 1);
  else if (event.key === "PageUp") setTime(Math.max(0, now.time - 1));
  else if (event.key === "PageDown") setTime(Math.min(last, now.time + 1));
  else if (event.key === "Enter" || event.key === " ") pin(!now.pinned);
  else if (event.key === "Escape" && now.pinned) pin(false);
  else return;
  event.preventDefault();
});
canvas.addEventListener("focus", speak);
find("pin").addEventListener("click", () => pin(!now.pinned));
find("opacity").addEventListener("input", (event) => {
  now.opacity = event.target.value / 100;
  find("opacity-value").textContent = `${event.target.value} %`;
  draw();
});
still.addEventListener("change", () => { if (still.matches) stop(); find("times").querySelector(".fx-play").hidden = still.matches; });

/* Selectors. */
for (const [i, clip] of data.clips.entries()) {
  const button = choice(find("clips"), "", i, () => setClip(i), clip.name), image = element("img");
  image.alt = "";
  image.src = clip.rgb[0];
  button.append(image, element("span", "", clip.name));
}
find("clips").hidden = data.clips.length < 2;
find("checkpoint-field").hidden = names.length < 2;
choice(find("checkpoints"), names.length === 2 ? "Both" : "All", -1, () => setOnly(-1));
for (const [i, name] of names.entries()) choice(find("checkpoints"), name, i, () => setOnly(i));
choice(find("limits"), "Range of the data", 0, () => setLimits(false));
choice(find("limits"), "−1 … 1", 1, () => setLimits(true));
for (const [i, what] of ["Affinity matrix", "Attention"].entries()) choice(find("beside"), what, i, () => setBeside(i));
find("beside-field").hidden = !data.attention;
if (data.attention) drawWarmScale();
function resize() {
  for (const target of [canvas, ...panels.flatMap((made) => [made.frame, made.matrix])]) measure(target);
  draw();
}
new ResizeObserver(resize).observe(root);

/* For tests and for scripts of the page. */
root.fimaExplorer = {
  state: () => ({ ...now, limits: [...now.limits], name: clipNow().name, drawings, checkpoints: panels.filter((made) => !made.panel.hidden).map((made) => made.name) }),
  row: (index = 0) => {
    const clip = clipNow(), map = clip.maps[index], start = rowStart(clip, now.row * clip.columns + now.column);
    return Array.from(map.codes.subarray(start, start + clip.cells), (code) => map.low + map.step * code);
  },
  facts: (index = 0) => { const clip = clipNow(); return facts(clip, clip.maps[index], now.row * clip.columns + now.column); },
  choose, pin, setTime, setClip, setOnly, setLimits, setBeside,
  attention: (index = 0) => {
    const clip = clipNow(), map = attentionOf(clip, panels[index]), patch = now.row * clip.columns + now.column;
    if (!map) return null;
    return { facts: facts(clip, map, patch), row: Array.from(map.codes.subarray(rowStart(clip, patch), rowStart(clip, patch) + clip.cells), (code) => map.low + map.step * code) };
  },
};
/* What is looked at stands in the page's address, for those who send it on: clip, time, row, column, checkpoint, limits, and what is beside. */
const KEY = `explorer${[...document.querySelectorAll(".fima-explorer")].indexOf(root) || ""}`;
function remember() {
  const hash = new URLSearchParams(location.hash.slice(1));
  hash.set(KEY, [now.clip, now.time, now.row, now.column, now.only + 1, Number(now.limits === WIDE), ...(data.attention ? [now.beside] : [])].join("-"));
  try { history.replaceState(null, "", `#${hash.toString().replace(/(^|&)([^&=]+)=(?=&|$)/g, "$1$2")}`); } catch { /* a frame of a notebook has no address */ }
}
function recall() {
  const given = (new URLSearchParams(location.hash.slice(1)).get(KEY) || "").split("-").map(Number);
  const [clip, time, row, column, only, wide, beside] = given;
  if (![6, 7].includes(given.length) || !given.every((n) => Number.isInteger(n) && n >= 0) || clip >= data.clips.length || only > names.length) return;
  setLimits(wide === 1);
  if (data.attention && beside !== undefined) setBeside(Math.min(1, beside));
  setClip(clip);
  setOnly(only - 1);
  if (time < data.clips[clip].rgb.length) setTime(time);
  choose(row, column);
  pin(true);
}
for (const kind of ["pointerdown", "keydown"]) root.addEventListener(kind, () => { touched = true; });
setLimits(false);
setClip(0);
setOnly(-1);
setBeside(now.beside);
recall();
