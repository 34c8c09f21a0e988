"""What several studies of the same clips need not do twice: decode frames, and extract the features of a batch.

Both sit beneath what a study is given (its videos and its extractor), so a study is the same code, with the same
numbers, alone and in a comparison.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.inputs.backbone.features import FeatureExtractor, Features
from analysis.inputs.video.videos import FrameReader, VideoList, VideoSource

__all__ = ["FrameCache", "SharedExtractor", "SharedVideo", "share_videos"]

FRAMES_LIMIT = 2**30
"""Bytes of decoded frames that are kept."""
FEATURES_LIMIT = 2**29
"""Bytes of features that are kept of one checkpoint."""


class _Facts(NamedTuple):
    length: int
    fps: float
    seconds: NDArray[np.float64]
    duration_seconds: float
    concealed: frozenset[int]

    @classmethod
    def of(cls, reader: FrameReader) -> _Facts:
        return cls(len(reader), reader.fps, reader.seconds, reader.duration_seconds, frozenset(reader.concealed))


class FrameCache:
    """Decoded frames up to a bound; beyond it they are decoded again.

    What came first stays: studies read the same videos in the same order, and of a sequence that is longer than the
    bound, the least recently used would always be thrown out just before it is wanted.

    Args:
        limit: Bytes.
    """

    def __init__(self, limit: int = FRAMES_LIMIT) -> None:
        self.limit, self.used = limit, 0
        self._frames: dict[tuple[str, int | None, int], Tensor] = {}
        self._truth: dict[tuple[Any, ...], np.ndarray] = {}
        self._facts: dict[str, _Facts] = {}
        self._lock = threading.Lock()  # a study decodes in a thread, and reads the clips it shows in another

    def facts(self, video_id: str) -> _Facts | None:
        """What is known of a video, if it was opened before."""
        return self._facts.get(video_id)

    def note(self, video_id: str, facts: _Facts) -> None:
        """Keep what ``facts`` returns."""
        self._facts[video_id] = facts

    def get(self, video_id: str, short_side: int | None, index: int) -> Tensor | None:
        """A frame uint8 ``(3, H, W)``, if it is kept."""
        return self._frames.get((video_id, short_side, index))

    def add(self, video_id: str, short_side: int | None, indices: Sequence[int], frames: Tensor) -> None:
        """Keep frames ``(len(indices), 3, H, W)`` decoded together, all or (without room) none of them."""
        if self._takes(frames.numel() * frames.element_size()):
            for index, frame in zip(indices, frames, strict=True):
                self._frames[video_id, short_side, index] = frame

    def truth(self, key: tuple[Any, ...]) -> np.ndarray | None:
        """What a drawn video knows of itself, if it is kept."""
        return self._truth.get(key)

    def add_truth(self, key: tuple[Any, ...], array: np.ndarray) -> None:
        """Keep what ``truth`` returns, where there is room."""
        if self._takes(array.nbytes):
            self._truth[key] = array

    def _takes(self, size: int) -> bool:
        with self._lock:
            fits = self.used + size <= self.limit
            self.used += size if fits else 0
            return fits


@dataclass(frozen=True)
class SharedVideo(VideoSource):
    """A video whose decoded frames are kept in a cache; it is opened only when a frame is wanted that is not there."""

    cache: FrameCache = field(default_factory=FrameCache, compare=False, repr=False)

    def open(self) -> FrameReader:
        """See ``VideoSource.open``."""
        return _DrawnReader(self) if self.drawn else _SharedReader(self)

    def open_file(self) -> FrameReader:
        """The video itself, past the cache."""
        return super().open()


def share_videos(listed: VideoList, cache: FrameCache | None = None) -> VideoList:
    """The same videos, reading through one cache; those that share their frames already stay as they are."""
    cache = FrameCache() if cache is None else cache
    videos: list[VideoSource] = [
        v if isinstance(v, SharedVideo) else SharedVideo(**vars(v), cache=cache) for v in listed.videos
    ]
    return replace(listed, videos=videos)


class _SharedReader:
    """A ``FrameReader`` over a cache."""

    def __init__(self, video: SharedVideo) -> None:
        self._video, self._cache = video, video.cache
        self._reader: FrameReader | None = None
        self._facts = self._cache.facts(video.video_id) or _Facts.of(self._file())
        self.fps, self.seconds = self._facts.fps, self._facts.seconds
        self.duration_seconds = self._facts.duration_seconds

    @property
    def concealed(self) -> frozenset[int]:
        known = self._facts.concealed
        return known if self._reader is None else known | frozenset(self._reader.concealed)

    def __len__(self) -> int:
        return self._facts.length

    def frames(self, indices: Sequence[int], *, short_side: int | None = None) -> Tensor:
        name = self._video.video_id
        found = {i: self._cache.get(name, short_side, i) for i in indices}
        if missing := sorted(i for i, frame in found.items() if frame is None):
            decoded = self._file().frames(missing, short_side=short_side)
            self._cache.add(name, short_side, missing, decoded)
            found |= dict(zip(missing, decoded, strict=True))
        return torch.stack([frame for i in indices if (frame := found[i]) is not None])

    def __getattr__(self, name: str) -> Any:
        """Anything else that the video's own reader has, such as its height."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._file(), name)

    def _file(self) -> FrameReader:
        if self._reader is None:
            self._reader = self._video.open_file().__enter__()
        return self._reader

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cache.note(self._video.video_id, self._facts._replace(concealed=self.concealed))
        if self._reader is not None:
            self._reader.__exit__(kind, error, trace)
            self._reader = None


class _DrawnReader(_SharedReader):
    """Of a drawn video, whose truth is drawn with it: see ``analysis.inputs.video.truth.KnowsTruth``."""

    def masks(self, indices: Sequence[int]) -> np.ndarray:
        return self._truth("masks", indices)

    def background(self, indices: Sequence[int]) -> np.ndarray:
        return self._truth("background", indices)

    def _truth(self, what: str, indices: Sequence[int]) -> np.ndarray:
        key = (self._video.video_id, what, tuple(indices))
        if (known := self._cache.truth(key)) is not None:
            return known
        array: np.ndarray = getattr(self._file(), what)(indices)
        self._cache.add_truth(key, array)
        return array


class SharedExtractor(FeatureExtractor):
    """An extractor that keeps the features of the batches it has seen, so that two studies of the same clips pay once.

    A batch is known by its content (all its bits), so that any study may call it with anything.

    Args:
        limit: Bytes of features that are kept; what came first stays.
        arguments: As of ``FeatureExtractor``.
    """

    def __init__(self, *arguments: Any, limit: int = FEATURES_LIMIT, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.limit, self.used = limit, 0
        self._known: dict[tuple[bytes, torch.Size, int], Features] = {}

    def __call__(self, clip: Tensor) -> Features:
        """See ``FeatureExtractor.__call__``."""
        if self.gradient:
            return super().__call__(clip)
        key = _digest(clip), clip.shape, self.dense
        if (known := self._known.get(key)) is not None:
            return known
        features = super().__call__(clip)
        size = sum(maps.numel() * maps.element_size() for maps in (features.rgb, features.motion))
        if self.used + size <= self.limit:
            self.used += size
            self._known[key] = features
        return features

    def forget(self) -> None:
        """Free what is kept."""
        self._known.clear()
        self.used = 0


def _digest(clip: Tensor) -> bytes:
    """Of the values; a clip in the channels-last order, as studies make them, is read where it lies."""
    return hashlib.sha1(clip.movedim(1, -1).cpu().contiguous().numpy().data, usedforsecurity=False).digest()
