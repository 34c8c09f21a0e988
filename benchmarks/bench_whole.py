"""``cam --whole`` of a long video: seconds over those of its windows' passes plus decode plus encode, and flat memory.

The study decodes the video at the backbone's size, the film once more at its own: both are among the parts, each timed
alone. Memory is that of a process of its own.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from limits import check, finish, peak_elsewhere, peak_mib, timed
from numpy.typing import NDArray

from analysis.inputs.allocator import return_large_blocks
from analysis.inputs.sessions import Session
from analysis.inputs.video.clips import to_batch
from analysis.measures.common.windows import covering_starts
from analysis.settings import Settings
from analysis.studies import open_session, run
from fima.data.readers.file import VideoReader
from fima.data.sampling import clip_span
from fima.data.transcode.encode import write_video

SLOWER, MEMORY = 1.1, 1.05
LENGTH, SHORT, LONG, HEIGHT, WIDTH = 1400, 100, 1000, 240, 320
ARCH, BATCH = "r3d_18", 8


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        video = _film(Path(folder), LENGTH)
        settings = Settings(ckpt="random", arch=ARCH, video=(str(video),), batch_size=BATCH, size=112)
        _whole(str(_film(Path(folder), SHORT)), Path(folder) / "warm-up", arch=ARCH)
        parts = _parts(open_session(settings), video, Path(folder))
        whole, _ = timed(lambda: _whole(str(video), Path(folder) / "out", arch=ARCH))
        said = " + ".join(f"{name} {seconds:.1f} s" for name, seconds in parts.items())
        check(f"{LENGTH} frames: {whole:.1f} s over {said}", whole / sum(parts.values()), most=SLOWER)
        peaks = [
            peak_elsewhere(str(_film(Path(folder), length)), str(Path(folder) / str(length)))
            for length in (SHORT, LONG)
        ]
        said = f"{LONG} frames: peak of {peaks[1]:.0f} MiB over {peaks[0]:.0f} MiB with {SHORT}"
        check(said, peaks[1] / peaks[0], most=MEMORY)


def _film(folder: Path, length: int) -> Path:
    """A noisy disc that goes round before a gradient."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    ground = np.stack([rows % 256, columns % 256, (rows + columns) % 256], axis=-1).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 255, ground.shape, np.uint8)

    def frames() -> Iterator[NDArray[np.uint8]]:
        for t in range(length):
            y, x = 120 + 70 * np.sin(t / 20), 160 + 100 * np.cos(t / 20)
            yield np.where((np.hypot(rows - y, columns - x) < 35)[..., None], noise, ground)

    return write_video(folder / f"{length}.mp4", frames(), fps=25)


def _parts(session: Session, video: Path, folder: Path) -> dict[str, float]:
    """Seconds of what cannot be spared."""
    spec = session.spec
    span = clip_span(spec.num_frames, spec.frame_stride)
    place = lambda seconds, _: covering_starts(len(seconds), span, span // 2)  # noqa: E731
    cell = session.extractor.info.spatial_stride
    decode_small, batches = timed(lambda: list(session.stream(place, cell=cell).batches(BATCH)))
    passes, _ = timed(lambda: [session.extractor(to_batch(batch)) for batch in batches])
    with VideoReader(video) as reader:
        decode, frames = timed(lambda: reader.frames(range(len(reader))).movedim(1, -1).numpy())
    encode, _ = timed(lambda: write_video(folder / "plain.mp4", frames, fps=25))
    return {"windows decoded": decode_small, "their passes": passes, "video decoded": decode, "encoded": encode}


def _whole(video: str, out: Path, arch: str = "tiny") -> None:
    settings = Settings(ckpt="random", arch=arch, video=(video,), batch_size=BATCH, size=112, whole=True)
    run("cam", settings).save(out)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        return_large_blocks()
        torch.set_num_threads(1)
        _whole(sys.argv[1], Path(sys.argv[2]))
        print(peak_mib())
        sys.exit()
    main()
    finish()
