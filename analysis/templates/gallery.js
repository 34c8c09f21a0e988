{
const data = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const list = find("queries"), count = find("count"), order = find("order");
const still = matchMedia("(prefers-reduced-motion: reduce)");
const named = Object.fromEntries(data.inputs);

/* Names are set as text only: whatever a file is called, it is never read as markup. */
function element(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}
function chosen(name) { return document.querySelector(`input[name="${name}"]:checked`).value; }
function isHit(query) { return query.near.rgb[0][2] === 1; }

/* A video as a button: its still, which a film covers while it plays, and what is known of it. */
function tile(place, lines, title) {
  const video = data.videos[place], made = element("button", "tile"), frame = element("span", "frame");
  const picture = element("img");
  made.type = "button";
  picture.src = video.still;
  picture.alt = "";
  picture.width = picture.height = 128;
  frame.append(picture);
  made.append(frame);
  for (const [name, text] of lines) made.append(element("span", name, text));
  made.append(element("span", "soft name", video.name));
  made.title = title === undefined ? video.name : `${title}: ${video.name}`;
  made.dataset.video = place;
  return made;
}
function about(video) {
  const lines = [["class", data.classes[video.label]]];
  if (video.background !== null) lines.push(["soft", `on ${data.backgrounds[video.background]}`]);
  return lines;
}
function neighbor([place, distance, hit], rank, query) {
  const lines = [["verdict", hit ? "✓ hit" : "✗ miss"], ...about(data.videos[place]), ["soft", `distance ${distance.toFixed(3)}`]];
  const made = tile(place, lines, `${rank + 1}.`), item = element("li");
  made.classList.add(hit ? "hit" : "miss");
  made.dataset.query = query.video;
  item.append(made);
  return item;
}
function strip(query, shown, most) {
  const made = element("ol", "strip");
  query.near[shown].slice(0, most).forEach((one, rank) => made.append(neighbor(one, rank, query)));
  return made;
}
function card(query) {
  const made = element("article"), own = element("div", "query"), found = element("div", "found");
  const video = data.videos[query.video], split = chosen("view") === "bias";
  const asked = tile(query.video, about(video));
  const first = query.first === null ? "no hit among all that were looked for" : `first hit at rank ${query.first}`;
  made.setAttribute("aria-label", `Query ${video.name}, ${data.classes[video.label]}, ${isHit(query) ? "hit" : "miss"}`);
  made.classList.toggle("split", split);
  own.append(element("p", "soft", "query"), asked, element("p", "soft", first));
  for (const [shown, name] of split ? data.inputs : [["rgb", "nearest by RGB clip"]]) {
    const part = element("section");
    const same = split && shown !== "rgb" && query.near[shown][0][0] === query.near.rgb[0][0];
    part.append(element("p", "soft", same ? `${name} (same nearest as RGB)` : name), strip(query, shown, split ? 3 : 5));
    part.setAttribute("aria-label", name);
    found.append(part);
  }
  made.append(own, found);
  [...made.querySelectorAll(".tile")].forEach((one, i) => { one.tabIndex = i ? -1 : 0; });
  return made;
}

/* A neighbor plays together with its query: what they share is motion, and is seen only in time. */
let playing = [];
function stop() {
  for (const film of playing) { film.pause(); film.remove(); }
  playing = [];
}
function cover(button) {
  const film = element("video");
  film.muted = film.loop = film.playsInline = true;
  film.setAttribute("aria-hidden", "true");
  film.src = data.videos[button.dataset.video].film;
  button.querySelector(".frame").append(film);
  film.play().catch(() => {});
  playing.push(film);
}
function play(button) {
  if (playing.length && playing[0].closest(".tile") === button) return;
  stop();
  cover(button);
  if (button.dataset.query !== undefined) cover(button.closest("article").querySelector(".query .tile"));
}
const tileOf = (event) => event.target.closest && event.target.closest(".tile");
list.addEventListener("pointerover", (event) => { if (event.pointerType === "mouse" && tileOf(event) && !still.matches) play(tileOf(event)); });
list.addEventListener("pointerout", (event) => { if (event.pointerType === "mouse" && !still.matches && tileOf(event) && !tileOf(event).contains(event.relatedTarget)) stop(); });
list.addEventListener("focusin", (event) => { if (tileOf(event) && !still.matches && event.target.matches(":focus-visible")) play(tileOf(event)); });
list.addEventListener("focusout", stop);
list.addEventListener("click", (event) => {
  const button = tileOf(event);
  if (!button) return;
  if (still.matches && playing.length && playing[0].closest(".tile") === button) stop();
  else play(button);
});
list.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || !tileOf(event)) return;
  const tiles = [...tileOf(event).closest("article").querySelectorAll(".tile")], at = tiles.indexOf(tileOf(event));
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tiles.length - 1 }[event.key];
  if (event.key === "Escape") stop();
  else if (to !== undefined && tiles[to]) {
    tiles[at].tabIndex = -1;
    tiles[to].tabIndex = 0;
    tiles[to].focus();
  } else return;
  event.preventDefault();
});

const ORDERS = {
  drawn: () => 0,
  class: (a, b) => data.videos[a.video].label - data.videos[b.video].label,
  near: (a, b) => a.near.rgb[0][1] - b.near.rgb[0][1],
  far: (a, b) => b.near.rgb[0][1] - a.near.rgb[0][1],
  late: (a, b) => (b.first === null ? Infinity : b.first) - (a.first === null ? Infinity : a.first) || 0,
};
function show() {
  stop();
  const wanted = chosen("show");
  const shown = data.queries.filter((query) => wanted === "all" || isHit(query) === (wanted === "hits")).sort(ORDERS[order.value]);
  list.replaceChildren(...shown.map(card));
  count.textContent = `${shown.length} of ${data.queries.length} queries shown`;
}
const right = data.queries.filter(isHit).length;
find("n-all").textContent = data.queries.length;
find("n-hits").textContent = right;
find("n-misses").textContent = data.queries.length - right;
find("controls").hidden = false;
for (const input of document.querySelectorAll("#controls input, #controls select")) input.addEventListener("change", show);
still.addEventListener("change", stop);
show();
}
