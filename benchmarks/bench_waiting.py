"""How much of a small run's time goes by waiting for data, here; limit 5 %.

Runs `fima pretrain` as a user types it, on prepared videos, for some dozens of steps, and reads the share that the run
itself records. Videos: ../shared/data/surveillance-fight if it is there, else generated ones.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
from pathlib import Path

from limits import check, finish

LIMIT = 0.05
REAL = Path(__file__).parents[2] / "shared" / "data" / "surveillance-fight"
WARM_UP = 10  # steps before the loader's workers are ahead


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--recipes", nargs="+", default=["fima-small", "moco-small"])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = _prepared(folder)
        shares = {recipe: _share(recipe, data, folder / recipe, args.steps) for recipe in args.recipes}
    for recipe, share in shares.items():
        check(f"{recipe}: share of the time that it waits for data", share, most=LIMIT, unit="")


def _prepared(folder: Path) -> Path:
    source = REAL
    if not REAL.is_dir():
        source = folder / "made"
        _make_videos(source)
    command = [sys.executable, "-m", "fima.cli", "prepare", str(source), str(folder / "data"), "--short-side", "96"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return folder / "data"


def _make_videos(folder: Path, count: int = 64) -> None:
    from star import moving_shape

    from fima.data.transcode.encode import write_video

    folder.mkdir()
    for number in range(count):
        frames = moving_shape(number, num_frames=60, height=240, width=320).frames
        write_video(folder / f"{number:03d}.mp4", frames.transpose(0, 2, 3, 1), fps=30)


def _share(recipe: str, data: Path, out: Path, steps: int) -> float:
    flags = [
        f"--recipe={recipe}",
        f"--data={data}",
        f"--out={out}",
        f"--trainer.max_steps={steps}",
        "--log.every_steps=1",
    ]
    subprocess.run([sys.executable, "-m", "fima.cli", "pretrain", *flags], check=True, stderr=subprocess.DEVNULL)
    with (out / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[WARM_UP:]
    # A row is one step of 1 / pace seconds for the same number of clips, so shares are weighted by that.
    seconds = [1 / float(row["clips_per_second"]) for row in rows]
    return sum(s * float(row["data_wait"]) for s, row in zip(seconds, rows, strict=True)) / sum(seconds)


if __name__ == "__main__":
    main()
    finish()
