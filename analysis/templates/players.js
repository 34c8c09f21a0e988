{
/* One checkpoint's figure at a time. */
for (const choices of document.querySelectorAll(".choices")) {
  const panels = [...choices.parentElement.querySelectorAll(".panel")];
  const show = () => { for (const panel of panels) panel.hidden = panel.dataset.label !== choices.querySelector(":checked").value; };
  choices.addEventListener("change", show);
  show();
}

/* Films of one clip play, stop and move together; the first, of the frames, leads. */
class Clip {
  constructor(figure) {
    const find = (what) => figure.querySelector(what);
    this.films = [...figure.querySelectorAll("video")];
    this.lead = this.films[0];
    this.seconds = JSON.parse(figure.dataset.seconds);
    [this.button, this.slider, this.time] = [find("button"), find("input"), find("output")];
    this.playing = false;
    this.speed = 1;
    for (const film of this.films) film.removeAttribute("controls");
    this.button.addEventListener("click", () => (this.playing ? this.pause() : this.play()));
    this.slider.addEventListener("input", () => { this.pause(); this.seek(Number(this.slider.value)); });
    this.seek(0);
  }
  length(film) { return film.dataset.frames / film.dataset.fps; }
  scale(film) { return this.length(film) / this.length(this.lead); }
  frame() { return Math.min(this.seconds.length - 1, Math.floor(this.lead.currentTime * this.lead.dataset.fps + 1e-3)); }
  move(time) { for (const film of this.films) film.currentTime = time * this.scale(film); }
  seek(frame) { this.move((frame + 0.5) / this.lead.dataset.fps); this.tell(frame); }
  tell(frame) {
    const text = `${this.seconds[frame].toFixed(2)} s`;
    this.slider.value = frame;
    this.slider.setAttribute("aria-valuetext", text);
    this.time.textContent = text;
  }
  play() {
    if (this.playing) return;
    this.playing = true;
    this.button.textContent = "Pause";
    if (this.frame() === this.seconds.length - 1) this.move(0);
    for (const film of this.films) { film.playbackRate = Math.min(16, Math.max(0.07, this.speed * this.scale(film))); film.play().catch(() => this.pause()); }
    requestAnimationFrame(() => this.tick());
  }
  tick() {
    if (!this.playing) return;
    if (this.lead.ended) {
      this.move(0);
      for (const film of this.films) film.play().catch(() => this.pause());
    } else for (const film of this.films) {
      const wanted = this.lead.currentTime * this.scale(film);
      if (!film.seeking && !film.ended && Math.abs(film.currentTime - wanted) > 0.5 / film.dataset.fps) film.currentTime = wanted;
    }
    this.tell(this.frame());
    requestAnimationFrame(() => this.tick());
  }
  pause() {
    if (!this.playing) return;
    this.playing = false;
    this.button.textContent = "Play";
    for (const film of this.films) film.pause();
    this.seek(this.frame());
  }
}
const clips = [...document.querySelectorAll(".clip")].map((figure) => new Clip(figure));
const all = document.getElementById("play-all"), speed = document.getElementById("speed");
if (all) {
  all.addEventListener("click", () => {
    const playing = clips.some((clip) => clip.playing);
    for (const clip of clips) playing ? clip.pause() : clip.play();
  });
  speed.addEventListener("change", () => {
    for (const clip of clips) {
      clip.speed = Number(speed.value);
      if (clip.playing) { clip.pause(); clip.play(); }
    }
  });
  const watch = () => { all.textContent = clips.some((clip) => clip.playing) ? "Pause all" : "Play all"; };
  for (const clip of clips) new MutationObserver(watch).observe(clip.button, { childList: true });
}
addEventListener("beforeprint", () => { for (const clip of clips) clip.pause(); });
}
