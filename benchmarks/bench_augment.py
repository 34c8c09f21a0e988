"""Color augmentation of a training step's clips against kornia's stock one, in the same run.

The eight clips that FIMA augments per step (RGB and motion, two views, two local clips each), 16 × 112², batch 4.

python benchmarks/bench_augment.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import kornia.augmentation as K
import numpy as np
import torch

from fima.input_spec import FIMA_112
from fima.seeding import SampleKeys
from fima.transforms.colors import ColorAugment, blur_kernel_size

CLIPS, BATCH, FRAMES, SIZE, ROUNDS = 8, 4, 16, 112, 9
LIMIT = 0.27  # of kornia's time: 0.12 s where kornia takes 0.45 s


def stock() -> K.VideoSequential:
    """As the reference code builds it."""
    taps = blur_kernel_size(SIZE)
    return K.VideoSequential(
        K.RandomGrayscale(p=0.2),
        K.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8),
        K.RandomGaussianBlur((taps, taps), (1.0, 1.0), p=0.5),
        K.Normalize(torch.tensor(FIMA_112.mean), torch.tensor(FIMA_112.std)),
        data_format="BCTHW",
        same_on_frame=True,
    )


def main() -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    clips = [torch.rand(BATCH, 3, FRAMES, SIZE, SIZE, device=device) for _ in range(CLIPS)]
    theirs, ours = stock(), ColorAugment()

    def run_theirs(_: int) -> None:
        with torch.no_grad():
            for clip in clips:
                theirs(clip)

    def run_ours(epoch: int) -> None:
        keys = SampleKeys(0, epoch, np.arange(BATCH))
        for i, clip in enumerate(clips):
            ours(clip, keys, str(i), FIMA_112)

    kornia_seconds, our_seconds = medians(device, run_theirs, run_ours)
    ratio = our_seconds / kornia_seconds
    print(
        f"{CLIPS} clips of {BATCH} × {FRAMES} × {SIZE}² on {device.type}, medians of {ROUNDS}: kornia "
        f"{kornia_seconds:.3f} s, ours {our_seconds:.3f} s = {ratio:.3f} x (limit: at most {LIMIT} x)"
    )


def medians(device: torch.device, *tasks: Callable[[int], None]) -> list[float]:
    """Median seconds of each task; the tasks take turns, so that a busy moment hits all of them."""
    seconds: list[list[float]] = [[] for _ in tasks]
    for round_ in range(ROUNDS + 1):  # the first is a warm-up
        for task, times in zip(tasks, seconds, strict=True):
            start = time.perf_counter()
            task(round_)
            if device.type == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
    return [statistics.median(times[1:]) for times in seconds]


if __name__ == "__main__":
    main()
