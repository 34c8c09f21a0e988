"""How close the training loader comes to a bare decoding loop over the same windows of the same files, in the same run.

The bare loop does no more than must be done: told where the frames are, it seeks to the keyframe before them, decodes,
converts them to RGB with one thread and one reformatter (``to_ndarray(format="rgb24")``, which makes one for every
frame, takes several times as long), and puts them into a new array. The loader also finds out what is in each file,
checks what comes out, and hands whole batches to another process. For information: a loop that keeps no frame.

python benchmarks/bench_loader.py
"""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from limits import check, finish
from numpy.typing import NDArray
from star import moving_shape
from torch.utils.data import DataLoader

from fima.data.datasets import VideoRecord
from fima.data.readers.file import VideoReader
from fima.data.transcode.encode import write_video
from fima.data.transcode.preparation import plan
from fima.data.transcode.prepare import prepare
from fima.data.transcode.reencode import Encoding
from fima.data.windows import WindowDataset, collate_windows, draw_window_starts
from fima.seeding import SampleKeys

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "data" / "clips"  # real video, where it is beside the checkout
NAMES = ("arm_wrestling", "baseball", "bedroom", "dog", "guitar", "pancake", "yoga")
NUM_FRAMES, FPS, SHORT_SIDE, GOP = 300, 30, 240, 12
WINDOW, BATCH, REPEATS, ROUNDS = 32, 4, 8, 9
LIMIT = 0.85


class Windows(NamedTuple):
    """What the bare loop is told: a file and where its two windows start, in order."""

    path: str
    starts: tuple[int, int]


def make_files(folder: Path) -> list[Path]:
    """Prepared videos of ten seconds: real clips played to and fro, or procedural ones where there are none."""
    source = folder / "source"
    source.mkdir()
    for seed, name in enumerate(NAMES):
        if (CLIPS / f"{name}.mp4").is_file():
            with VideoReader(CLIPS / f"{name}.mp4") as reader:
                pictures = reader.frames(range(len(reader))).permute(0, 2, 3, 1).numpy()
        else:
            pictures = moving_shape(seed, num_frames=150, height=256, width=340).frames.transpose(0, 2, 3, 1)
        to_and_fro = np.concatenate([pictures, pictures[::-1]])[:NUM_FRAMES]
        write_video(source / f"{name}.mp4", to_and_fro, fps=FPS)
    list(prepare(plan(source, folder / "prepared", Encoding(short_side=SHORT_SIDE, gop=GOP)), workers=2))
    return sorted((folder / "prepared").glob("*.mp4"))


def bare_loop(windows: Windows) -> int:
    """Decodes the frames of both windows, each once, into an array; returns how many."""
    frames: NDArray[np.uint8] | None = None
    number = 0
    for number, frame in enumerate(_wanted_frames(windows), 1):
        if frames is None:
            frames = np.empty((2 * WINDOW, *frame.shape), np.uint8)
        frames[number - 1] = frame
    return number


def keep_nothing(windows: Windows) -> int:
    return sum(1 for _ in _wanted_frames(windows))


def _wanted_frames(windows: Windows) -> Iterator[NDArray[Any]]:
    first, second = windows.starts
    spans = [(first, first + WINDOW), (second, second + WINDOW)]
    if second <= first + WINDOW + GOP:  # as near as this, decoding on is quicker than seeking
        spans = [(first, second + WINDOW)]
    wanted = {*range(first, first + WINDOW), *range(second, second + WINDOW)}
    reformatter = VideoReformatter()
    with av.open(windows.path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for start, stop in spans:
            container.seek(_pts(start, stream), stream=stream)
            for frame in container.decode(stream):
                index = round(float(frame.time or 0) * FPS)
                if index in wanted:
                    yield reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
                    wanted.discard(index)
                if index >= stop - 1:
                    break


def _pts(index: int, stream: Any) -> int:
    return round(index / FPS / float(stream.time_base))


def windows_of(dataset: WindowDataset, epoch: int) -> list[Windows]:
    chosen = []
    for number, record in enumerate(dataset.records):
        starts = draw_window_starts(NUM_FRAMES, WINDOW, SampleKeys(dataset.seed, epoch, np.array([number])))[0]
        chosen.append(Windows(str(record.path), (int(starts.min()), int(starts.max()))))
    return chosen


def time_loop(pool: Pool, loop: Callable[[Windows], int], windows: list[Windows]) -> float:
    start = time.perf_counter()
    for frames in pool.imap_unordered(loop, windows):
        assert WINDOW < frames <= 2 * WINDOW, frames
    return time.perf_counter() - start


def time_loader(loader: DataLoader[Any], dataset: WindowDataset, epoch: int) -> float:
    dataset.set_epoch(epoch)
    start = time.perf_counter()
    samples = 0
    for batch in loader:
        assert not batch.failures
        samples += len(batch)
    assert samples == len(dataset)
    return time.perf_counter() - start


def rounds(files: list[Path], workers: int) -> Iterator[tuple[float, float, float]]:
    """Seconds of the bare loop, of the one that keeps nothing, and of the loader, taking turns in lasting processes."""
    records = [VideoRecord(path, path.stem, None, None) for path in files] * REPEATS
    dataset = WindowDataset(records, num_frames=WINDOW)
    loader = DataLoader(
        dataset, BATCH, shuffle=False, num_workers=workers, collate_fn=collate_windows, persistent_workers=True
    )
    with multiprocessing.get_context("forkserver").Pool(workers) as pool:
        for epoch in range(ROUNDS + 1):
            windows = windows_of(dataset, epoch)
            bare, nothing = time_loop(pool, bare_loop, windows), time_loop(pool, keep_nothing, windows)
            loaded = time_loader(loader, dataset, epoch)
            if epoch:  # the first is a warm-up
                yield bare, nothing, loaded


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = make_files(Path(folder))
        for workers in (1, 2):
            times = list(rounds(files, workers))
            bare, _, loaded = (len(files) * REPEATS / statistics.median(column) for column in zip(*times, strict=True))
            ratio, strict = (statistics.median(row[i] / row[2] for row in times) for i in (0, 1))
            said = f"{workers} worker{'s' * (workers > 1)}, two windows of {WINDOW} frames, medians of {ROUNDS}"
            print(f"{said}: {strict:.2f} of a loop that keeps nothing")
            check(f"{said}: loader {loaded:.1f} over bare {bare:.1f} videos/s", ratio, least=LIMIT)


if __name__ == "__main__":
    main()
    finish()
