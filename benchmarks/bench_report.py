"""``fima-analyze report`` without notebooks against its measures alone: two checkpoints, eight clips.

One run. The parts are the measures, each by itself as ``analysis.studies.run`` gives it: an open session, no figure, no
file, nothing shared between measures or checkpoints. The whole is all that follows the imports: reading the
checkpoints, measuring, drawing, films, explorer, page and files. Seconds of the processor stand beside those of the
clock, since on a shared machine the clock says more about the others.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from limits import check, finish
from star import moving_shape

from analysis.report import Report, make_report
from analysis.settings import Settings
from analysis.studies import open_session, run
from fima.checkpoints import save_backbone, untrained_backbone
from fima.data.transcode.encode import write_video

CLIPS, LIMIT = 8, 1.3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", default="i3d", help="of both checkpoints (default: i3d)")
    parser.add_argument("--size", type=int, default=112, help="pixels (default: 112)")
    parser.add_argument("--measure", nargs="+", default=("cam", "affinity", "temporal", "sensitivity", "attribution"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = tuple(_checkpoint(folder, args.arch, seed) for seed in (1, 2))
        settings = Settings(video=tuple(map(str, _videos(folder))), size=args.size, show=CLIPS)
        sessions = [open_session(replace(settings, ckpt=file)) for file in files]
        with torch.inference_mode():
            sessions[0].extractor(torch.zeros(1, 3, 16, args.size, args.size))
        parts = {
            measure: _timed(lambda measure=measure: [run(measure, session) for session in sessions])  # type: ignore[misc]
            for measure in args.measure
        }
        report = Report(settings, files, (), folder / "out", measures=tuple(args.measure))
        clock, processor = _timed(lambda: make_report(report))
        size = (folder / "out" / "index.html").stat().st_size
    for measure, (seconds, of_processor) in parts.items():
        print(f"{measure:12} {seconds:7.1f} s, of the processor {of_processor:7.1f} s")
    bare, of_bare = (sum(part[i] for part in parts.values()) for i in (0, 1))
    said = f"report, 2 checkpoints, {CLIPS} clips, {args.arch} at {args.size} px, page of {size / 1e6:.1f} MB"
    check(f"{said}: {clock:.1f} s over its measures alone, {bare:.1f} s", clock / bare, most=LIMIT)
    check(f"of the processor {processor:.1f} s over {of_bare:.1f} s", processor / of_bare, most=LIMIT)


def _checkpoint(folder: Path, arch: str, seed: int) -> str:
    loaded = untrained_backbone(arch, seed=seed)
    return str(save_backbone(folder / f"seed{seed}.pth", loaded.backbone, arch=arch, input=loaded.input))


def _videos(folder: Path) -> list[Path]:
    paths = []
    for i in range(CLIPS):
        frames = moving_shape(i, num_frames=64, height=240, width=320).frames
        paths.append(folder / f"{i}.mp4")
        write_video(paths[-1], [frame.transpose(1, 2, 0) for frame in frames], fps=25)
    return paths


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the clock, and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


if __name__ == "__main__":
    main()
    finish()
