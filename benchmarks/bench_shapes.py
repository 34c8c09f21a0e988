"""How much of a run on moving shapes goes by drawing them (at most 5 % of 24 epochs), and how fast natural looks are.

Runs the quickest recipes, `moco-shapes` on the drawn world that takes longest to draw and `moco-natural` on natural
looks, for three epochs as a user types it: the first draws every video, the others copy from memory. The share of 24
epochs follows from the two.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from limits import check, finish, timed

from fima.data.shapes import REGIMES, draw_video

LIMIT = 0.05
EPOCHS = 24
BATCH = 32  # of both recipes
RUNS = (
    ("moco-shapes", "clutter", 480),
    ("moco-natural", "natural,scenes=2,num_frames=32,size=96,pan=0.03,radius=0.1-0.22,blur=0,shadow=0.2", 480),
)
"""Recipe, world, videos."""
CLIPS_A_SECOND, CLIPS = {"natural": 40, "outdoors": 25}, 40  # of 16 x 112 x 112 on one core, at least; clips drawn


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    for recipe, world, videos in RUNS:
        _check_waiting(recipe, world, videos)
    for regime, least in CLIPS_A_SECOND.items():
        _draw(regime, 1)  # reads the pictures
        drawing, _ = timed(partial(_draw, regime, CLIPS), clock=time.process_time)
        check(f"{regime}, 16 x 112 x 112", CLIPS / drawing, least=least, unit="clips/s of one core")


def _check_waiting(recipe: str, world: str, videos: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        rows = _rows(recipe, world, videos, Path(name))
    steps = videos // BATCH
    seconds = [BATCH / float(row["clips_per_second"]) for row in rows]
    waits = [s * float(row["data_wait"]) for s, row in zip(seconds, rows, strict=True)]
    first, later = sum(waits[:steps]), sum(waits[steps:]) / (len(rows) / steps - 1)
    epoch = sum(s - w for s, w in zip(seconds, waits, strict=True)) / (len(rows) / steps)
    share = (first + (EPOCHS - 1) * later) / (first + (EPOCHS - 1) * later + EPOCHS * epoch)
    print(f"first epoch: {first / videos * 1000:.1f} ms of waiting a video; later epochs wait {later / epoch:.1%}")
    check(f"{recipe} on {world.partition(',')[0]}: share of {EPOCHS} epochs that it waits", share, most=LIMIT, unit="")


def _draw(regime: str, clips: int) -> None:
    cv2.setNumThreads(1)
    world = replace(REGIMES[regime], num_frames=16)
    for seed in range(clips):
        draw_video(world, seed).frames(np.arange(16))


def _rows(recipe: str, world: str, videos: int, out: Path) -> list[dict[str, str]]:
    flags = [
        f"--recipe={recipe}",
        f"--data=shapes:{world},videos={videos}",
        f"--out={out / 'run'}",
        f"--trainer.max_steps={3 * videos // BATCH}",
        "--trainer.threads=1",
        "--log.every_steps=1",
    ]
    subprocess.run([sys.executable, "-m", "fima.cli", "pretrain", *flags], check=True, stderr=subprocess.DEVNULL)
    with (out / "run" / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main()
    finish()
