"""A FIMA step against the bare encoder passes inside it: time, memory, batch size, queue size.

The step goes from a batch's windows (frames of 320 × 240) to gradients: views, colors, momentum, ten encoder passes,
losses, queues, backward. The bare passes are 8 forwards of the key backbone and 2 of the query backbone with one
backward, on eight clips that are ready, in the same memory layout and precision. Step and passes take turns, so that a
busy moment hits both; ratios are those of the medians. Memory is the peak of a fresh process that holds the batch, too
(of the device's allocator on a GPU). No optimizer: it is the same for whatever is trained.

python benchmarks/bench_fima_step.py
python benchmarks/bench_fima_step.py --busy     where others use the processors too
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from limits import peak_elsewhere, peak_mib

from fima.methods import FIMA
from fima.seeding import SampleKeys
from fima.tasks.pretrain.module import compile_encoders
from fima.transforms.views import make_views

SIZE, FRAMES, BATCH, HEIGHT, WIDTH = 112, 16, 4, 240, 320
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
TIME_LIMITS = {"fp32": 1.15, "bf16": 1.3}
MEMORY_LIMIT, BATCH_LIMIT, QUEUE_LIMIT = 1.1, 1.1, 1.05
KEY_PASSES, QUERY_PASSES, LONG_QUEUE, MEMORY_STEPS = 8, 2, 65536, 3


class Bench:
    """The networks of one method, and a batch as the loader leaves it."""

    def __init__(
        self, device: str, precision: str, *, batch: int = BATCH, queue_size: int = 2240, size: int = SIZE
    ) -> None:
        self.device, self.dtype, self.batch, self.size = torch.device(device), PRECISIONS[precision], batch, size
        torch.manual_seed(0)
        self.method = FIMA("i3d", queue_size=queue_size).to(self.device)
        shape = (2, 2 * FRAMES, HEIGHT, WIDTH, 3)
        self.windows = [torch.randint(256, shape, dtype=torch.uint8).to(self.device) for _ in range(batch)]
        self.count = 0

    def make_step(self) -> Callable[[], None]:
        """The whole step."""

        def step() -> None:
            self.count += 1
            keys = SampleKeys(0, self.count, np.arange(self.batch))
            self.method.zero_grad(set_to_none=True)
            with self._precision():  # as in training, no name keeps the views until the backward
                total = self.method(make_views(self.windows, keys, size=self.size))["total"]
            torch.autograd.backward(total)

        return step

    def make_passes(self) -> Callable[[], None]:
        """The bare passes. Both queries' graphs live until the backward, as any loss that compares them needs."""
        shape = (self.batch, 3, FRAMES, self.size, self.size)
        random = (torch.randn(shape, device=self.device, dtype=self.dtype) for _ in range(KEY_PASSES))
        clips = [clip.contiguous(memory_format=torch.channels_last_3d) for clip in random]

        def passes() -> None:
            self.method.zero_grad(set_to_none=True)
            with self._precision():
                with torch.no_grad():
                    for clip in clips:
                        self.method.encoder_k(clip)
                maps = [self.method.encoder_q(clip) for clip in clips[:QUERY_PASSES]]
            torch.autograd.backward(torch.stack([feature_map.float().mean() for feature_map in maps]).sum())

        return passes

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)


def main() -> int:
    args = _arguments()
    if args.memory:
        bench = Bench(args.device, args.precision)
        print(_peak(bench.make_step() if args.memory == "step" else bench.make_passes(), args.device))
        return 0
    if args.busy:
        torch.set_num_threads(1)
    if args.sizes_only:
        _largest(args)
        return 0
    print(f"FIMA step, I3D, {FRAMES} × {SIZE}², batch {BATCH}, {_where(args)}, medians of {args.rounds}", flush=True)
    # Memory first: a child starts with its parent's peak as its own.
    missed = [_memory(args.device, precision) for precision in PRECISIONS]
    missed += [_time(args, precision) for precision in PRECISIONS]
    missed += _growth(args)
    return int(any(missed))


def _memory(device: str, precision: str) -> bool:
    step, passes = (
        peak_elsewhere("--memory", what, "--device", device, "--precision", precision) for what in ("step", "passes")
    )
    said = f"{precision}: peak memory, step {step:.0f} MiB, bare passes {passes:.0f} MiB"
    return _tell(said, step / passes, MEMORY_LIMIT)


def _time(args: argparse.Namespace, precision: str) -> bool:
    bench = Bench(args.device, precision)
    step, passes = medians(args, bench.make_step(), bench.make_passes())
    said = f"{precision}: step {step:.2f} s, bare passes {passes:.2f} s"
    return _tell(said, step / passes, TIME_LIMITS[precision])


def _largest(args: argparse.Namespace) -> None:
    """Step against bare passes in bfloat16, batch after batch, until memory is full; nothing here has a limit."""
    print(f"FIMA step, I3D, {FRAMES} × {args.size}², bf16, {'compiled' if args.compile else 'eager'}, {_where(args)}")
    batch = BATCH
    while batch <= (BATCH if args.device == "cpu" else 512):
        try:
            bench = Bench(args.device, "bf16", batch=batch, size=args.size)
            if args.compile:
                compile_encoders(bench.method)
            step, passes = medians(args, bench.make_step(), bench.make_passes())
        except torch.OutOfMemoryError:
            print(f"batch {batch}: out of memory", flush=True)
            return
        peak = torch.cuda.max_memory_allocated() / 2**30 if args.device != "cpu" else float("nan")
        print(
            f"batch {batch}: step {step:.3f} s, bare passes {passes:.3f} s = {step / passes:.2f} x; "
            f"{batch / step:.1f} videos/s, peak {peak:.1f} GiB",
            flush=True,
        )
        batch *= 2


def _growth(args: argparse.Namespace) -> list[bool]:
    """With the batch, and with the queues."""
    usual, double, long = (
        Bench(args.device, "fp32", **settings).make_step()
        for settings in ({}, {"batch": 2 * BATCH}, {"queue_size": LONG_QUEUE})
    )
    base, twice, queue = medians(args, usual, double, long)
    return [
        _tell(
            f"per video: {twice / (2 * BATCH):.3f} s in a batch of {2 * BATCH}, {base / BATCH:.3f} s in one of {BATCH}",
            twice / 2 / base,
            BATCH_LIMIT,
        ),
        _tell(f"queues of {LONG_QUEUE}: step {queue:.2f} s, of 2240: {base:.2f} s", queue / base, QUEUE_LIMIT),
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds after one that warms up")
    parser.add_argument(
        "--busy", action="store_true", help="one thread, its processor time instead of the clock's: others do not count"
    )
    parser.add_argument("--size", type=int, default=SIZE, help="of the clips, with --sizes-only")
    parser.add_argument("--sizes-only", action="store_true", help="growing batches in bf16, up to what fits")
    parser.add_argument("--compile", action="store_true", help="with --sizes-only: encoders compiled")
    parser.add_argument("--precision", choices=tuple(PRECISIONS), default="fp32", help=argparse.SUPPRESS)
    parser.add_argument("--memory", choices=("step", "passes"), help=argparse.SUPPRESS)  # for the fresh process
    return parser.parse_args()


def medians(args: argparse.Namespace, *tasks: Callable[[], None]) -> list[float]:
    """Median seconds of each task; the tasks take turns."""
    clock = time.process_time if args.busy else time.perf_counter
    seconds: list[list[float]] = [[] for _ in tasks]
    for _ in range(args.rounds + 1):
        for task, times in zip(tasks, seconds, strict=True):
            start = clock()
            task()
            _wait(args.device)
            times.append(clock() - start)
    return [statistics.median(times[1:]) for times in seconds]


def _peak(task: Callable[[], None], device: str) -> float:
    """Peak memory of this process, or of the device's allocator, in MiB."""
    for _ in range(MEMORY_STEPS):
        task()
    _wait(device)
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return peak_mib()


def _wait(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def _where(args: argparse.Namespace) -> str:
    if torch.device(args.device).type == "cuda":
        return torch.cuda.get_device_name()
    time_of = "processor time of 1 thread" if args.busy else f"{torch.get_num_threads()} threads"
    return f"{time_of}, load {os.getloadavg()[0]:.1f}"


def _tell(said: str, ratio: float, limit: float) -> bool:
    """Print a ratio with its limit; whether it was missed."""
    print(f"{said} = {ratio:.3f} x (limit: at most {limit:g} x)  {'MISSED' if ratio > limit else 'ok'}", flush=True)
    return ratio > limit


if __name__ == "__main__":
    sys.exit(main())
