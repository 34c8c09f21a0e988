"""``fima extract`` against its parts: decoding every clip, then the bare forward pass over all of them.

python benchmarks/bench_extract.py [CASE …]

Two cases: the small network, where what is around the forward pass weighs most, and one of a usual size (i3d, 112
pixels), where it should not be seen. Videos are files, written here first. One run, the parts and the whole in turn;
the ratio is that of the medians, in processor seconds of all threads, and in seconds of the clock. By the clock the
whole may take less than its parts one after the other, since it decodes beside the forward pass.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from limits import check, finish
from numpy.typing import NDArray

from fima.checkpoints import untrained_backbone
from fima.data.clip_protocol import ClipProtocol
from fima.data.datasets import open_dataset
from fima.data.protocol_clips import read_test_clips
from fima.data.shapes.export import write_shapes
from fima.evaluation.extract import describe_features, extract
from fima.evaluation.features import to_clip_batch
from fima.transforms.normalize import normalize

BATCH, ROUNDS, LIMIT, SAMPLE = 32, 3, 1.15, 8


class Case(NamedTuple):
    """Backbone, what it reads, and how much of it."""

    arch: str
    input_spec: str | None
    videos: int
    clips: int


CASES = {"tiny": Case("tiny", None, 64, 10), "i3d-112": Case("i3d", "size=112", 16, 2)}


def main() -> None:
    names = sys.argv[1:] or list(CASES)
    unknown = [name for name in names if name not in CASES]
    if unknown:
        sys.exit(f"no case {unknown[0]}; there are {', '.join(CASES)}")
    for name in names:
        measure(name, CASES[name])


def measure(title: str, case: Case) -> None:
    """Print the ratios of a case."""
    loaded = untrained_backbone(case.arch, input_spec=case.input_spec)
    protocol = ClipProtocol(case.clips)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_shapes(folder / "videos", "shapes:easy", {"train": case.videos}, truth=())
        data = open_dataset(folder / "videos", split="train")

        def decode() -> None:
            for record in data:
                read_test_clips(record, loaded.input, protocol)

        clips = torch.cat([read_test_clips(record, loaded.input, protocol) for record in data.records[:SAMPLE]])
        batches = [normalize(to_clip_batch(part), loaded.input) for part in torch.split(clips, BATCH)]
        share = len(data) / SAMPLE

        def forward() -> None:
            with torch.inference_mode():
                for batch in batches:
                    loaded.backbone(batch)

        about = describe_features(loaded, data, protocol, seed=0)

        def whole() -> None:
            extract(loaded, data, protocol, folder / "out.parquet", about, batch_size=BATCH, overwrite=True)

        forward()
        taken = [(_timed(decode), share * _timed(forward), _timed(whole)) for _ in range(ROUNDS)]
    decoded, forwarded, extracted = np.median(taken, axis=0)
    print(f"{title}, {case.videos} videos, {case.clips} clips of each, limit {LIMIT} x:")
    for i, kind in enumerate(("processor", "clock")):
        ratio = extracted[i] / (decoded[i] + forwarded[i])
        parts = f"(decode {decoded[i]:.2f} s + forward {forwarded[i]:.2f} s)"
        check(f"{kind}: extract {extracted[i]:.2f} s over {parts}", ratio, most=LIMIT)


def _timed(work: Callable[[], object]) -> NDArray[np.float64]:
    """Seconds: of the processor, of the clock."""
    start = np.array([time.process_time(), time.perf_counter()])
    work()
    return np.asarray(np.array([time.process_time(), time.perf_counter()]) - start)


if __name__ == "__main__":
    main()
    finish()
