"""The explorer in Chromium: frames per second while the pointer moves 300 times, and how long the page takes to open.

Two checkpoints, four clips, 8 slices; 7 x 7 and 14 x 14 patches; a window of 1280 x 900 pixels. A frame counts when the
explorer has drawn all its panels; the pointer moves anew after each frame of the browser, over another patch each time,
so that 60 per second are possible. Opening ends with the load event: the script has run, and has asked for its first
drawing. Medians of three rounds.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from limits import check, finish

from analysis.pages.explorer import ExplorerClip, explorer_page

SIDE, SLICES, CLIPS, MOVES, ROUNDS = 224, 8, 4, 300, 3
LEAST = 30

_MOVE = """(moves) => new Promise((done) => {
  const root = document.querySelector('.fima-explorer'), canvas = root.querySelector('[data-part=rgb]');
  const [rows, columns] = JSON.parse(root.querySelector('[data-part=data]').textContent).clips[0].grid;
  const box = canvas.getBoundingClientRect(), before = root.fimaExplorer.state().drawings, times = [];
  let move = 0;
  const step = () => {
    times.push(performance.now());
    if (move === moves) return requestAnimationFrame(() => done([times, root.fimaExplorer.state().drawings - before]));
    const cell = (5 * move++) % (rows * columns);
    canvas.dispatchEvent(new PointerEvent('pointermove', { pointerType: 'mouse', bubbles: true,
      clientX: box.left + ((cell % columns) + 0.5) * box.width / columns,
      clientY: box.top + (Math.floor(cell / columns) + 0.5) * box.height / rows }));
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})"""


def main() -> None:
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        raise SystemExit("no Chromium on this machine")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for cells in (7, 14):
            page = Path(name) / f"{cells}.html"
            page.write_text(explorer_page([_clip(cells, seed) for seed in range(CLIPS)]))
            rate, said = _measure(browser, page)
            said = f"{cells} x {cells} x {SLICES}, page of {page.stat().st_size / 1e6:.1f} MB, {said}"
            check(said, rate, least=LEAST, unit="frames per second")
        browser.close()


def _clip(cells: int, seed: int) -> ExplorerClip:
    """Pictures that cost a JPEG what real ones do, and affinities that fall with the distance."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (SLICES, SIDE // 8, SIDE // 8, 3), dtype=np.uint8)
    rgb = coarse.repeat(8, axis=1).repeat(8, axis=2)
    rows, columns = np.divmod(np.arange(cells**2), cells)
    near = np.exp(-np.hypot(rows[:, None] - rows, columns[:, None] - columns) / 3)
    affinity = {
        name: np.clip(near + 0.2 * rng.standard_normal((SLICES, cells**2, cells**2)), -1, 1)
        for name in ("first", "second")
    }
    mean = {name: array.mean(axis=0) for name, array in affinity.items()}
    return ExplorerClip(f"clip {seed}", rgb, rgb[..., 0], affinity, mean, (cells, cells))


def _measure(browser: Any, page: Path) -> tuple[float, str]:
    opened, rates, longest, drawn = [], [], [], []
    for _ in range(ROUNDS):
        tab = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        tab.goto(page.as_uri())
        tab.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        opened.append(tab.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd"))
        times, drawings = tab.evaluate(_MOVE, MOVES)
        gaps = np.diff(times)
        rates.append(1000 * drawings / (times[-1] - times[0]))
        longest.append(float(np.quantile(gaps, 0.99)))
        drawn.append(drawings)
        tab.context.close()
    said = f"{min(drawn)} of {MOVES} moves drawn, 99 % of the gaps below {statistics.median(longest):.0f} ms"
    return statistics.median(rates), f"{said}, opens in {statistics.median(opened):.0f} ms"


if __name__ == "__main__":
    main()
    finish()
