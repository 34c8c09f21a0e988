"""Clips of videos → pooled feature vectors: the one path, video by video in constant memory, or all at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fima.checkpoints import LoadedBackbone
from fima.data.clip_protocol import INPUTS, ClipProtocol
from fima.data.datasets import VideoRecord
from fima.data.protocol_clips import iterate_test_clips
from fima.errors import InputError
from fima.models.capture import find_tap, read_maps
from fima.seeding import shuffled_order
from fima.transforms.motion import frame_difference
from fima.transforms.normalize import normalize

__all__ = ["ClipFeatures", "VideoFeatures", "clip_features", "iterate_features", "show", "to_clip_batch"]


@dataclass(frozen=True)
class VideoFeatures:
    """What became of one video.

    Attributes:
        place: in the sequence of videos.
        record: the video.
        vectors: input → ``(K, C)`` float32, one vector per clip, the mean over its crops; empty if it was not read.
        reason: why it could not be read, in one line; None if it was.
    """

    place: int
    record: VideoRecord
    vectors: dict[str, NDArray[np.float32]]
    reason: str | None = None


@dataclass(frozen=True, eq=False)
class ClipFeatures:
    """Pooled features of the clips of videos.

    Attributes:
        video_ids: of those that could be read, in order.
        labels: ``(V,)`` int64; -1 where a video has none.
        vectors: of each video ``(K, C)`` float32; K may differ.
        skipped: videos that could not be read, with the reason.
    """

    video_ids: tuple[str, ...]
    labels: NDArray[np.int64]
    vectors: tuple[NDArray[np.float32], ...]
    skipped: dict[str, str]

    @property
    def mean(self) -> NDArray[np.float32]:
        """``(V, C)``: the mean over each video's clips."""
        return np.stack([clips.mean(axis=0) for clips in self.vectors])

    def pick(self, places: NDArray[np.int64]) -> ClipFeatures:
        """Some of the videos, in the order of their places."""
        ids, vectors = (tuple(part[place] for place in places) for part in (self.video_ids, self.vectors))
        return ClipFeatures(ids, self.labels[places], vectors, {})


def clip_features(
    loaded: LoadedBackbone,
    videos: Sequence[VideoRecord],
    protocol: ClipProtocol,
    *,
    layer: str | None = None,
    batch_size: int = 32,
    device: torch.device | str = "cpu",
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> ClipFeatures:
    """Features of all clips of all videos.

    Args:
        loaded: as for `iterate_features`, which has the other arguments too.
        videos: of a data set.
        protocol: which clips and crops.
        layer: whose feature map is averaged; None: the backbone's output.
        batch_size: views in a forward pass.
        device: of the backbone.
        threads: that decode.
        progress: called with (videos done, videos in all).

    Raises:
        InputError: if no video can be read, and as `iterate_features`.
    """
    kept: list[VideoFeatures] = []
    skipped: dict[str, str] = {}
    for video in iterate_features(
        loaded, videos, protocol, layer=layer, batch_size=batch_size, device=device, threads=threads
    ):
        if video.reason is None:
            kept.append(video)
        else:
            skipped[video.record.video_id] = video.reason
        if progress is not None:
            progress(video.place + 1, len(videos))
    if not kept:
        reason = next(iter(skipped.values()), "there is none")
        raise InputError(f"none of the {len(videos)} videos can be read; the first: {reason}")
    labels = [-1 if video.record.label is None else video.record.label for video in kept]
    ids, vectors = tuple(video.record.video_id for video in kept), tuple(video.vectors["rgb"] for video in kept)
    return ClipFeatures(ids, np.array(labels, np.int64), vectors, skipped)


def iterate_features(
    loaded: LoadedBackbone,
    videos: Sequence[VideoRecord],
    protocol: ClipProtocol,
    *,
    inputs: Sequence[str] = ("rgb",),
    layer: str | None = None,
    batch_size: int = 32,
    device: torch.device | str = "cpu",
    threads: int = 1,
    chunk: int | None = None,
) -> Iterator[VideoFeatures]:
    """Vectors of every video, in order; threads decode ahead while the backbone runs.

    Args:
        loaded: the backbone; in eval mode and without gradient here.
        videos: of a data set.
        protocol: which clips and crops.
        inputs: what of a clip the backbone is shown, each for itself: some of `fima.data.clip_protocol.INPUTS`.
        layer: whose feature map is averaged over time and space; None: the backbone's output.
        batch_size: views in a forward pass; one never holds views of two chunks.
        device: of the backbone.
        threads: that decode.
        chunk: videos; what is computed for one does not depend on others outside its chunk. None: all are one.

    Raises:
        InputError: for an unknown input or layer, or if a vector is not finite.
    """
    unknown = next((name for name in inputs if name not in INPUTS), None)
    if unknown is not None:
        raise InputError(f"--inputs must be some of {', '.join(INPUTS)}, got {unknown!r}")
    if batch_size < 1 or threads < 1:
        raise InputError(f"--batch-size and --threads must be at least 1, got {batch_size} and {threads}")
    pool = _Pool(loaded, layer, tuple(inputs), device)
    read = iterate_test_clips(videos, loaded.input, protocol, threads=threads)
    return _in_batches(pool, read, len(videos), protocol.crops, batch_size, chunk)


def _in_batches(
    pool: _Pool,
    read: Iterator[tuple[int, VideoRecord, Tensor | str]],
    videos: int,
    crops: int,
    batch_size: int,
    chunk: int | None,
) -> Iterator[VideoFeatures]:
    views: deque[Tensor] = deque()
    pending: deque[tuple[int, VideoRecord, int | str]] = deque()  # with the number of views, or why there are none
    rows = np.empty((len(pool.inputs), 0, 0), np.float32)
    for place, record, clips in read:
        pending.append((place, record, clips if isinstance(clips, str) else len(clips)))
        if not isinstance(clips, str):
            views.append(clips)
        last = place + 1 == videos or (chunk is not None and (place + 1) % chunk == 0)
        while (waiting := sum(map(len, views))) >= batch_size or (last and waiting):
            new = pool(_take(views, min(batch_size, waiting)))
            rows = np.concatenate([rows, new], axis=1) if rows.size else new
        while pending and (isinstance(count := pending[0][2], str) or count <= rows.shape[1]):
            number, one, _ = pending.popleft()
            if isinstance(count, str):
                yield VideoFeatures(number, one, {}, count)
            else:
                yield VideoFeatures(number, one, _per_clip(rows[:, :count], crops, pool.inputs, one))
                rows = rows[:, count:]


def to_clip_batch(frames: Tensor, device: torch.device | str = "cpu") -> Tensor:
    """uint8 ``(N, T, 3, H, W)`` → float ``(N, 3, T, H, W)`` in [0, 1], laid out for 3-D convolutions."""
    clip = frames.to(device, non_blocking=True).permute(0, 2, 1, 3, 4)
    return clip.to(torch.float32, memory_format=torch.channels_last_3d).div_(255)


def show(clip: Tensor, what: str) -> Tensor:
    """A clip as one of `fima.data.clip_protocol.INPUTS`: ``(N, 3, T, H, W)`` in [0, 1] → the same."""
    if what == "static":
        middle = clip.shape[2] // 2
        return clip[:, :, middle : middle + 1].expand_as(clip)
    if what == "shuffled":
        return clip[:, :, shuffled_order(clip.shape[2]).tolist()]
    return clip if what == "rgb" else frame_difference(clip, "repeat" if clip.shape[2] > 1 else "wrap")


def _per_clip(
    rows: NDArray[np.float32], crops: int, inputs: tuple[str, ...], record: VideoRecord
) -> dict[str, NDArray[np.float32]]:
    clips = rows.reshape(len(inputs), -1, crops, rows.shape[-1]).mean(axis=2)
    if not np.isfinite(clips).all():
        raise InputError(f"{record.path}: its features are not finite; look at the checkpoint with fima info")
    return {name: np.ascontiguousarray(part) for name, part in zip(inputs, clips, strict=True)}


def _take(views: deque[Tensor], count: int) -> list[Tensor]:
    """The first views, taken out of the queue."""
    parts: list[Tensor] = []
    while count:
        head = views.popleft()
        if len(head) > count:
            views.appendleft(head[count:])
            head = head[:count]
        parts.append(head)
        count -= len(head)
    return parts


class _Pool:
    """uint8 views, some tensors ``(n, T, 3, H, W)`` → pooled vectors ``(inputs, N, C)``."""

    def __init__(
        self, loaded: LoadedBackbone, layer: str | None, inputs: tuple[str, ...], device: torch.device | str
    ) -> None:
        self._backbone, self._spec = loaded.backbone.to(device).eval(), loaded.input
        self.inputs, self._device = inputs, device
        self._buffer: Tensor | None = None
        self._tap = find_tap(self._backbone, layer or None, loaded.info, arch=loaded.arch)

    def __call__(self, views: Sequence[Tensor]) -> NDArray[np.float32]:
        with torch.inference_mode():
            pooled = [self._features(self._normalized(views, what)).float() for what in self.inputs]
            pooled = [found.mean(dim=(2, 3, 4)) for found in pooled]
            return np.asarray(torch.stack(pooled).cpu().numpy())

    def _normalized(self, views: Sequence[Tensor], what: str) -> Tensor:
        """What the backbone reads. Memory is used again: to get it anew for every batch takes as long as to fill it."""
        plain = what == "rgb" and self._spec.channel_order == "rgb"
        count, (frames, channels, height, width) = sum(map(len, views)), views[0].shape[1:]
        if self._buffer is None or len(self._buffer) < count:
            shape = (count, channels, frames, height, width)
            self._buffer = torch.empty(shape, device=self._device).to(memory_format=torch.channels_last_3d)
        clip = self._buffer[:count]
        # On a processor view by view, which its cache holds; on an accelerator all of a video's at once.
        parts = [view[None] for part in views for view in part] if clip.device.type == "cpu" else views
        mean, std = (
            torch.tensor(values, device=clip.device).view(1, 3, 1, 1, 1) for values in (self._spec.mean, self._spec.std)
        )
        for part, target in zip(parts, torch.split(clip, [len(part) for part in parts]), strict=True):
            target.copy_(part.to(self._device, non_blocking=True).permute(0, 2, 1, 3, 4)).div_(255)
            if plain:
                target.sub_(mean).div_(std)  # `normalize`, in place
        return clip if plain else normalize(show(clip, what), self._spec)

    def _features(self, clip: Tensor) -> Tensor:
        return read_maps(self._backbone, clip, [self._tap])[self._tap.layer]
