"""Tables of features: a parquet file with a row per clip, and what it says about itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fima.errors import InputError
from fima.evaluation.features import VideoFeatures
from fima.files.reading import parse_json
from fima.legacy import american_keys, input_name

__all__ = [
    "FORMAT",
    "FeatureSet",
    "FeatureSetBuilder",
    "read_clip_vectors",
    "read_features",
    "read_metadata",
    "schema",
    "table",
]

FORMAT = "fima-features"
_VERSION = 1
_KINDS: dict[str, type] = {
    "class_names": list, "skipped": list, "data": dict, "protocol": dict, "input": dict, "checkpoint": str, "arch": str,
    "sha256": str, "shown": str, "layer": str, "preset": str,
}  # fmt: skip
_LONGEST_VECTOR = 10**6
_MOST_CLASSES = 10**6
_COLUMNS = ("video", "clip", "label", "class_name", "vector")


@dataclass(frozen=True)
class FeatureSet:
    """One vector per video.

    Attributes:
        video_ids: in order.
        labels: ``(V,)`` int64; -1 where a video has none.
        class_names: by label.
        vectors: ``(V, C)`` float32, the mean over each video's clips.
        clips: ``(V,)`` how many those are.
        contents: of each video, what tells its file (`fima.data.duplicates.content_key`); None if unknown.
        metadata: what the features were made from and how.
        skipped: videos that could not be read, with the reason.
    """

    video_ids: tuple[str, ...]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    vectors: NDArray[np.float32]
    clips: NDArray[np.int64]
    contents: tuple[str | None, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.video_ids)


class FeatureSetBuilder:
    """Adds up the clips of videos, which may come in parts.

    Args:
        unit_clips: scale every clip's vector to length 1 first.
    """

    def __init__(self, *, unit_clips: bool = False) -> None:
        self._unit = unit_clips
        self._places: dict[str, int] = {}
        self._labels: list[int] = []
        self._contents: list[str | None] = []
        self._sums: list[NDArray[np.float64]] = []
        self._counts: list[int] = []

    def add(self, video: str, label: int | None, vectors: NDArray[np.float32], content: str | None = None) -> None:
        """Clips ``(K, C)`` of a video."""
        if self._unit:
            length = np.linalg.norm(vectors, axis=1, keepdims=True)
            vectors = (vectors / np.where(length > 0, length, 1)).astype(np.float32)
        total = vectors.sum(axis=0, dtype=np.float64)
        place = self._places.setdefault(video, len(self._places))
        if place == len(self._sums):
            self._labels.append(-1 if label is None else label)
            self._contents.append(content)
            self._sums.append(total)
            self._counts.append(len(vectors))
        else:
            self._sums[place] += total
            self._counts[place] += len(vectors)

    def finish(
        self,
        class_names: Iterable[str],
        metadata: Mapping[str, Any] | None = None,
        skipped: Mapping[str, str] | None = None,
    ) -> FeatureSet:
        """The videos, in the order of their first clips."""
        counts = np.array(self._counts, np.int64)
        means = np.stack(self._sums) / counts[:, None] if self._sums else np.empty((0, 0))
        return FeatureSet(
            tuple(self._places),
            np.array(self._labels, np.int64),
            tuple(class_names),
            means.astype(np.float32),
            counts,
            tuple(self._contents),
            metadata or {},
            skipped or {},
        )


def schema(channels: int, metadata: Mapping[str, Any]) -> pa.Schema:
    """Of a table of features: ``video``, ``clip``, ``label``, ``class_name``, ``content``, ``vector``."""
    columns = [
        pa.field("video", pa.string()),
        pa.field("clip", pa.int32()),
        pa.field("label", pa.int64()),
        pa.field("class_name", pa.string()),
        pa.field("content", pa.string()),
        pa.field("vector", pa.list_(pa.float32(), channels) if channels else pa.list_(pa.float32())),
    ]
    about = {"format": FORMAT, "version": _VERSION, **metadata}
    return pa.schema(columns, metadata={FORMAT: json.dumps(about, sort_keys=True)})


def table(videos: Iterable[tuple[VideoFeatures, str | None]], name: str, metadata: Mapping[str, Any]) -> pa.Table:
    """Rows of videos that were read, those of input ``name``; with each, what tells its file."""
    rows = [(one, content, one.vectors[name]) for one, content in videos if one.reason is None]
    vectors = np.concatenate([part for _, _, part in rows]) if rows else np.empty((0, 0), np.float32)
    repeat = [(one.record, content, clip) for one, content, part in rows for clip in range(len(part))]
    columns = [
        [record.video_id for record, _, _ in repeat],
        [clip for _, _, clip in repeat],
        [record.label for record, _, _ in repeat],
        [record.class_name for record, _, _ in repeat],
        [content for _, content, _ in repeat],
        pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1]) if rows else [],
    ]
    form = schema(vectors.shape[1], metadata)
    return pa.table(
        [pa.array(c, f.type) if isinstance(c, list) else c for c, f in zip(columns, form, strict=True)], form
    )


def read_metadata(path: Path) -> dict[str, Any]:
    """What a table says of itself.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is no table of features.
    """
    with _opened(path) as file:
        return _metadata(file, path)


def read_features(path: Path, *, unit_clips: bool = False) -> FeatureSet:
    """The videos of a table, their clips averaged; a row group at a time is in memory.

    Args:
        path: as ``fima extract`` writes it; other tables with columns ``video``, ``clip``, ``label``, ``class_name``
            and ``vector`` are read too.
        unit_clips: scale every clip's vector to length 1 before they are averaged.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is no table of features, or holds vectors of several lengths or that are not finite.
    """
    builder = FeatureSetBuilder(unit_clips=unit_clips)
    names: dict[int, str] = {}
    with _opened(path) as file:
        about = _metadata(file, path)
        columns = [*_COLUMNS, *(["content"] if "content" in file.schema_arrow.names else [])]
        for batch in file.iter_batches(columns=columns):
            vectors = _vectors(batch, path)
            videos, labels = batch.column("video").to_pylist(), batch.column("label").to_pylist()
            classes = batch.column("class_name").to_pylist()
            contents = batch.column("content").to_pylist() if "content" in columns else [None] * len(videos)
            starts = [i for i in range(len(videos)) if i == 0 or videos[i] != videos[i - 1]]
            if wrong := [label for label in labels if label is not None and not -1 <= label < _MOST_CLASSES]:
                raise InputError(f"{path}: holds a label {wrong[0]}, expected -1 to {_MOST_CLASSES - 1}")
            for first, end in zip(starts, [*starts[1:], len(videos)], strict=True):
                builder.add(videos[first], labels[first], vectors[first:end], contents[first])
                if labels[first] is not None and classes[first] is not None:
                    names[labels[first]] = classes[first]
    known = about.get("class_names") or [names.get(label, "") for label in range(max(names, default=-1) + 1)]
    return builder.finish(known, about, dict(about.get("skipped", [])))


def read_clip_vectors(path: Path, videos: Sequence[str]) -> tuple[NDArray[np.float32], ...]:
    """Vectors of the clips of each video, ``(K, C)``, in the order of the table's rows; all are in memory.

    Args:
        path: of a table that `read_features` reads.
        videos: the ids that it gives.
    """
    with _opened(path) as file:
        rows = file.read(columns=["video", "vector"])
    flat = rows["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    vectors = flat.astype(np.float32, copy=False).reshape(len(rows), -1)
    place = {video: number for number, video in enumerate(videos)}
    of = np.array([place[video] for video in rows["video"].to_pylist()], np.int64)
    ends = np.cumsum(np.bincount(of, minlength=len(videos)))
    return tuple(np.split(vectors[np.argsort(of, kind="stable")], ends[:-1]))


def _opened(path: Path) -> pq.ParquetFile:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0][:120]
        raise InputError(f"{path}: is no parquet file as fima extract writes it ({reason})") from None


def _metadata(file: pq.ParquetFile, path: Path) -> dict[str, Any]:
    missing = [name for name in _COLUMNS if name not in file.schema_arrow.names]
    if missing:
        raise InputError(f"{path}: is no table of features: it has no column {', '.join(missing)}")
    about = (file.schema_arrow.metadata or {}).get(FORMAT.encode())
    content = american_keys(parse_json(about, path)) if about else {}
    if not isinstance(content, dict):
        raise InputError(f"{path}: is no table of features: its metadata are a {type(content).__name__}")
    for name, kind in _KINDS.items():
        if not isinstance(content.get(name), kind | None):
            raise InputError(f"{path}: is no table of features: its {name} is a {type(content[name]).__name__}")
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in content.get("skipped") or ()):
        raise InputError(f"{path}: is no table of features: its skipped are no pairs of video and reason")
    _check_lengths(file, path)
    return {**content, "shown": input_name(content["shown"])} if "shown" in content else content


def _check_lengths(file: pq.ParquetFile, path: Path) -> None:
    """Refuse vectors that a few bytes make gigabytes of."""
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    for group in groups:
        longest = max(group.column(number).num_values for number in range(group.num_columns))
        if longest > _LONGEST_VECTOR * max(group.num_rows, 1):
            raise InputError(f"{path}: holds vectors of more than {_LONGEST_VECTOR} values")


def _vectors(batch: pa.RecordBatch, path: Path) -> NDArray[np.float32]:
    column = batch.column("vector")
    flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    if len(column) == 0 or len(flat) % len(column) or any(len(one) != len(flat) // len(column) for one in column):
        raise InputError(f"{path}: its vectors are not all of one length")
    if not np.isfinite(flat).all():
        raise InputError(f"{path}: holds vectors that are not finite")
    return np.asarray(flat.reshape(len(column), -1))
