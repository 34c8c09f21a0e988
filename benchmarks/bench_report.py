"""``fima-analyze report`` as a user types it, against the bare passes of its backbones: two checkpoints, two clips.

One run. The report runs twice: in this process, where every pass of a backbone is noted, and as a command of its own,
which is timed with its start, imports, drawing, films, page and files. The bare passes are then repeated here: the same
backbones, shapes and gradients, and nothing else. Seconds of the processor decide, since on a shared machine those of
the clock say more about the others; both are printed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from limits import check, finish
from star import moving_shape
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from analysis.cli import main as fima_analyze
from analysis.inputs.backbone.features import FeatureExtractor
from fima.data.transcode.encode import write_video

RATIO, BESIDE = 1.3, 10.0
"""Limit: so many times the bare passes, and so many seconds."""


@dataclass(frozen=True)
class Pass:
    """A pass of a backbone over a batch.

    Attributes:
        backbone: With the weights it had.
        shape: Of its input.
        backward: Whether the gradient of the input was taken.
    """

    backbone: nn.Module
    shape: torch.Size
    backward: bool

    def repeat(self) -> None:
        """The pass, and nothing else."""
        inputs = torch.rand(self.shape).contiguous(memory_format=torch.channels_last_3d)
        with torch.set_grad_enabled(self.backward):
            features = self.backbone(inputs.requires_grad_(self.backward))
        if self.backward:
            torch.autograd.grad(features.sum(), inputs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=2, help="videos (default: 2)")
    parser.add_argument("--ckpt", nargs="+", default=("tiny-vd", "tiny-fima"))
    parser.add_argument("flags", nargs="*", help="further flags of the report, after --; --data instead of videos")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        flags = ["report", "--ckpt", *args.ckpt, *args.flags]
        if "--data" not in flags:
            flags += ["--video", *map(str, _videos(folder, args.clips))]
        with _noted() as passes:
            fima_analyze([*flags, "--out", str(folder / "noted")])
        command = [sys.executable, "-m", "analysis.cli", *flags, "--out", str(folder / "out")]
        clock, processor = _timed(lambda: subprocess.run(command, check=True, capture_output=True), of_child=True)
        bare, of_bare = _timed(lambda: _repeat(passes))
        size = (folder / "out" / "index.html").stat().st_size
    print(f"{len(passes)} passes: {bare:.1f} s, of the processor {of_bare:.1f} s; page of {size / 1e6:.1f} MB")
    print(f"report: {clock:.1f} s, of the processor {processor:.1f} s")
    said = f"report's {processor:.1f} s over {RATIO} x {of_bare:.1f} s of passes + {BESIDE:.0f} s"
    check(said, processor / (RATIO * of_bare + BESIDE), most=1.0)


def _repeat(passes: Sequence[Pass]) -> None:
    for one in passes:
        one.repeat()


@contextmanager
def _noted() -> Iterator[list[Pass]]:
    """The passes of all backbones that extractors read, while the block runs."""
    passes: list[Pass] = []
    read = FeatureExtractor._read

    def noting(extractor: FeatureExtractor, inputs: Tensor) -> Any:
        def note(module: nn.Module, _: Any) -> None:
            if module is extractor.backbone:
                passes.append(Pass(module, inputs.shape, torch.is_grad_enabled() and inputs.requires_grad))

        hook = register_module_forward_pre_hook(note)
        try:
            return read(extractor, inputs)
        finally:
            hook.remove()

    FeatureExtractor._read = noting  # type: ignore[method-assign,assignment]
    try:
        yield passes
    finally:
        FeatureExtractor._read = read  # type: ignore[method-assign]


def _videos(folder: Path, count: int) -> list[Path]:
    paths = []
    for i in range(count):
        frames = moving_shape(i, num_frames=64, height=240, width=320).frames
        paths.append(folder / f"{i}.mp4")
        write_video(paths[-1], [frame.transpose(1, 2, 0) for frame in frames], fps=25)
    return paths


def _timed(work: Callable[[], object], *, of_child: bool = False) -> tuple[float, float]:
    """Seconds of the clock, and of the processor."""
    clock, processor = time.perf_counter(), _processor_seconds(of_child)
    work()
    return time.perf_counter() - clock, _processor_seconds(of_child) - processor


def _processor_seconds(of_child: bool) -> float:
    times = os.times()
    return times.children_user + times.children_system if of_child else times.user + times.system


if __name__ == "__main__":
    main()
    finish()
