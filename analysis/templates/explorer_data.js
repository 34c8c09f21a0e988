"use strict";
/* 1: what there is to see. The three parts of the explorer's script stand in one function: explorer_data, explorer_draw, explorer. */
/* Everything is found from this root: a page may hold several explorers. */
const root = document.currentScript.closest(".fima-explorer");
const find = (part) => root.querySelector(`[data-part="${part}"]`);
const data = JSON.parse(find("data").textContent);
const names = data.checkpoints, canvas = find("rgb"), status = find("status");
const still = matchMedia("(prefers-reduced-motion: reduce)");
const WIDE = [-1, 1];
const now = { clip: 0, time: 0, row: 0, column: 0, pinned: false, only: -1, limits: data.limits, opacity: 0.7, beside: data.attention ? 1 : 0 };
let queued = false, fresh = true, drawings = 0, speaking = 0, playing = 0, touched = false;

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}
function bytes(text) {
  const raw = atob(text), out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}
const palette = bytes(data.palette), warm = data.attention && bytes(data.attention.palette);

/* Clips are unpacked when they are first shown; pictures when they are first drawn. */
const unpacked = new Map(), pictures = new Map();
function unpack(map) {
  return map && {
    low: map.low, step: map.step, codes: bytes(map.codes),
    best: new Uint16Array(bytes(map.best).buffer), ties: new Uint16Array(bytes(map.ties).buffer),
    own: new Float32Array(bytes(map.own).buffer), top: new Float32Array(bytes(map.top).buffer),
  };
}
function clipNow() {
  if (!unpacked.has(now.clip)) {
    const clip = data.clips[now.clip], [rows, columns] = clip.grid;
    unpacked.set(now.clip, {
      name: clip.name, rows, columns, cells: rows * columns, seconds: clip.seconds, slices: clip.rgb.length - 1,
      maps: clip.maps.map(unpack), attention: clip.attention.map(unpack),
    });
  }
  return unpacked.get(now.clip);
}
function picture(kind) {
  const key = `${kind} ${now.clip} ${now.time}`;
  if (!pictures.has(key)) {
    const image = new Image();
    image.addEventListener("load", draw);
    image.src = data.clips[now.clip][kind][now.time];
    pictures.set(key, image);
  }
  return pictures.get(key);
}

/* Numbers of one checkpoint at the chosen time. Best matches are of the exact affinities, not of their codes. */
function rowStart(clip, patch) { return (now.time * clip.cells + patch) * clip.cells; }
function facts(clip, map, patch) {
  const at = now.time * clip.cells + patch, best = map.best[at], ties = map.ties[at];
  const own = map.own[at], top = map.top[at], across = (i) => [Math.floor(i / clip.columns), i % clip.columns];
  const [r, c] = across(patch), [br, bc] = across(best), hit = own === top;
  return {
    own, top, ties, patch, best, row: br, column: bc, down: br - r, right: bc - c, distance: Math.hypot(br - r, bc - c),
    verdict: hit ? (ties > 1 ? "tied" : "right") : "wrong",
  };
}
function summary(clip, map) {
  let hits = 0, far = 0;
  for (let patch = 0; patch < clip.cells; patch++) {
    const found = facts(clip, map, patch);
    if (found.own === found.top) hits += 1 / found.ties;
    far += found.distance;
  }
  return { top1: hits / clip.cells, distance: far / clip.cells };
}
function level(value) {
  const [low, high] = now.limits;
  return Math.round(255 * Math.min(1, Math.max(0, (value - low) / (high - low))));
}
/* The color of every code of a map; of attention it fades where a place gets no more than an even share. */
function colors(map) {
  const table = new Uint8Array(256 * 4);
  for (let code = 0; code < 256; code++) {
    const at = 3 * level(map.low + map.step * code);
    for (let k = 0; k < 3; k++) table[4 * code + k] = palette[at + k];
    table[4 * code + 3] = 255;
  }
  return table;
}
function warmth(map) {
  const table = new Uint8Array(256 * 4);
  for (let code = 0; code < 256; code++) {
    const shown = Math.round(255 * Math.min(1, map.low + map.step * code));
    for (let k = 0; k < 3; k++) table[4 * code + k] = warm[3 * shown + k];
    table[4 * code + 3] = Math.min(255, 2 * shown);
  }
  return table;
}
function paint(target, map, start, width, height) {
  if (target.width !== width || target.height !== height) { target.width = width; target.height = height; }
  const pen = target.getContext("2d"), image = pen.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    const at = 4 * map.codes[start + i];
    for (let k = 0; k < 4; k++) image.data[4 * i + k] = map.colors[at + k];
  }
  pen.putImageData(image, 0, 0);
}
