"""Features of a data set into one parquet file: in parts, so that a killed run goes on, alone or with other processes.

The videos are cut into chunks of a fixed size. A chunk's features depend on nothing but its videos, the backbone and
the protocol; it is written beside the file, in a hidden folder, and gets its name when it is whole. Process r of n does
chunks r, r + n, …; the first one joins them when all are there.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fima.checkpoints import LoadedBackbone
from fima.checkpoints.shipped import checkpoint_name
from fima.data.clip_protocol import ClipProtocol
from fima.data.datasets import VideoDataset
from fima.data.duplicates import content_key
from fima.errors import InputError
from fima.evaluation.feature_parts import Parts, check_same
from fima.evaluation.feature_store import read_metadata, table
from fima.evaluation.features import VideoFeatures, iterate_features

__all__ = ["Extraction", "describe_features", "extract"]

_CHUNK = 64
_PATIENCE = 1800.0  # seconds without a new part until other processes are given up
_PACKAGES = ("fima", "torch", "numpy", "av", "pyarrow")


@dataclass(frozen=True)
class Extraction:
    """What `extract` did.

    Attributes:
        videos: in the data set.
        skipped: videos that could not be read, with the reason: all, or of a process that does not join, its own.
        before: videos whose features were there already.
        joined: whether the file is written, by this process or before.
    """

    videos: int
    skipped: dict[str, str]
    before: int
    joined: bool


def describe_features(
    loaded: LoadedBackbone,
    data: VideoDataset,
    protocol: ClipProtocol,
    *,
    source: Mapping[str, Any] | None = None,
    shown: str = "rgb",
    layer: str | None = None,
    preset: str | None = None,
    seed: int | None = None,
) -> dict[str, Any]:
    """What tells features from others: written into the file, and compared before a run goes on.

    Args:
        loaded: the backbone.
        data: the videos.
        protocol: clips and crops.
        source: the data set's path and split, as typed.
        shown: what of a clip the backbone is shown.
        layer: whose map is averaged; None: the output.
        preset: that the protocol is from.
        seed: of random weights.
    """
    lines = "\n".join(f"{record.video_id}\t{record.label}" for record in data)
    return {
        "checkpoint": checkpoint_name(loaded.path) if loaded.path else "random",
        "sha256": loaded.sha256,
        "seed": None if loaded.trained else seed,
        "arch": loaded.arch,
        "settings": loaded.settings,
        "input": loaded.input.to_dict(),
        "shown": shown,
        "layer": layer,
        "preset": preset,
        "protocol": protocol.to_dict(),
        "data": {
            **(source or {}),
            "videos": len(data),
            "missing": len(data.missing),
            "digest": hashlib.sha256(lines.encode()).hexdigest(),
        },
        "class_names": list(data.class_names),
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def extract(
    loaded: LoadedBackbone,
    data: VideoDataset,
    protocol: ClipProtocol,
    out: Path,
    metadata: Mapping[str, Any],
    *,
    batch_size: int = 32,
    device: torch.device | str = "cpu",
    threads: int = 1,
    rank: int = 0,
    world: int = 1,
    overwrite: bool = False,
    chunk: int = _CHUNK,
    progress: Callable[[int, int], None] | None = None,
) -> Extraction:
    """Write the features of every video, or go on doing so.

    Args:
        loaded: the backbone.
        data: the videos, at least one.
        protocol: clips and crops.
        out: the parquet file; it appears whole or not at all.
        metadata: of `describe_features`.
        batch_size: views in a forward pass.
        device: of the backbone.
        threads: that decode.
        rank: this process, 0 joins.
        world: processes at work.
        overwrite: make everything again; what is there is replaced at the end.
        chunk: videos in a part.
        progress: called with (videos done, videos of this process).

    Raises:
        InputError: if the file, or what an earlier run left, is of other features; if no video can be read; or if the
            other processes do not go on.
    """
    if not len(data):
        raise InputError("--data: there is no video in it")
    content = json.loads(json.dumps({**metadata, "chunk": chunk}))
    parts = Parts(out, -(-len(data) // chunk))
    if overwrite:
        if world > 1:
            raise InputError(f"--overwrite is for one process; remove {out} before several are started")
        parts.remove()
    if not overwrite and (ready := _ready(out, content)) is not None:
        return ready
    mine = range(rank, parts.count, world)
    done = [number for number in mine if parts.is_whole(number)] if parts.are_of(content) else []
    skipped, todo = parts.skipped(done), [number for number in mine if number not in done]
    before = sum(_size(data, number, chunk) for number in done)
    records = [record for number in todo for record in data.records[number * chunk : (number + 1) * chunk]]
    vectors = iterate_features(
        loaded, records, protocol, inputs=(metadata["shown"],), layer=metadata["layer"], batch_size=batch_size,
        device=device, threads=threads, chunk=chunk,
    )  # fmt: skip
    parts.open(content)
    if not overwrite and (ready := _ready(out, content)) is not None:  # joined by another process meanwhile
        parts.remove()
        return ready
    for number, part in zip(todo, _chunks(vectors, chunk, progress, len(records)), strict=True):
        skipped |= _write_part(parts, number, part, metadata["shown"])
    if rank:
        return Extraction(len(data), skipped, before, joined=False)
    parts.wait(_PATIENCE)
    return Extraction(len(data), parts.join(content), before, joined=True)


def _write_part(
    parts: Parts, number: int, videos: list[tuple[VideoFeatures, str | None]], shown: str
) -> dict[str, str]:
    """Write a chunk's videos; returns those that could not be read, with the reason."""
    skipped = {video.record.video_id: video.reason for video, _ in videos if video.reason is not None}
    parts.write(number, table(videos, shown, {"skipped": list(skipped.items())}))
    return skipped


def _ready(out: Path, content: Mapping[str, Any]) -> Extraction | None:
    """What is there, if the file is; of other features it is an error."""
    if not out.exists():
        return None
    theirs = read_metadata(out)
    check_same(theirs, content, out)
    return Extraction(content["data"]["videos"], dict(theirs["skipped"]), content["data"]["videos"], joined=True)


def _size(data: VideoDataset, number: int, chunk: int) -> int:
    return len(data.records[number * chunk : (number + 1) * chunk])


def _chunks(
    vectors: Iterator[VideoFeatures], size: int, progress: Callable[[int, int], None] | None, total: int
) -> Iterator[list[tuple[VideoFeatures, str | None]]]:
    part: list[tuple[VideoFeatures, str | None]] = []
    for one in vectors:
        part.append((one, content_key(one.record.path)))
        if progress is not None:
            progress(one.place + 1, total)
        if len(part) == size or one.place + 1 == total:
            yield part
            part = []
