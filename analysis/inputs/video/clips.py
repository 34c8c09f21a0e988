"""Clips of many videos as one stream: decoded ahead in a thread, batched across videos, flat in memory.

A broken video is skipped whole and listed; nothing of it reaches a result (see ``per_video``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.inputs.video.videos import FrameReader, VideoSource
from fima.data.read_ahead import produce_ahead
from fima.data.sampling import clip_indices, clip_span, start_from_seconds, uniform_clip_starts
from fima.errors import InputError
from fima.input_spec import InputSpec

__all__ = [
    "Clip",
    "ClipStream",
    "ClipTruth",
    "Placement",
    "center_crop",
    "nothing_moves",
    "place_clips",
    "read_clip",
    "to_batch",
]

TruthOf = Callable[[VideoSource, FrameReader, NDArray[np.int64], InputSpec], "ClipTruth | None"]
"""(video, its open reader, frames of a clip, how clips are cut) → where the object is, if that is known."""

Placement = Callable[[NDArray[np.float64], float], Sequence[int]]
"""(when each frame of a video is shown, its duration, both in seconds) → start frames of its clips."""


@dataclass(frozen=True)
class ClipTruth:
    """Where the object is in a clip.

    Attributes:
        mask: bool ``(T, size, size)``, cut out as the frames are.
        known: bool ``(T,)``, frames whose mask is known.
    """

    mask: Tensor
    known: Tensor


@dataclass(frozen=True)
class Clip:
    """One clip of one video.

    Attributes:
        video: Where it comes from.
        video_index: Place of that video in the study's list.
        start: Its first frame.
        fps: Frames per second of the video, on average.
        video_seconds: When each frame of the video is shown.
        duration_seconds: Duration of the video.
        frames: uint8 ``(T, 3, size, size)``.
        seconds: Times ``(T,)`` of its frames in the video; they start again where a short video is repeated.
        last: Whether it is the last clip of its video.
        truth: Where its object is, if a study asked for it and it is known.
        still: Whether nothing moves in it (`nothing_moves`).
    """

    video: VideoSource
    video_index: int
    start: int
    fps: float
    video_seconds: NDArray[np.float64]
    duration_seconds: float
    frames: Tensor
    seconds: NDArray[np.float64]
    last: bool
    truth: ClipTruth | None = None
    still: bool = False

    def repeated(self, spec: InputSpec) -> bool:
        """Whether the video is shorter than a clip, and so repeated in time."""
        return len(self.video_seconds) < clip_span(spec.num_frames, spec.frame_stride)


def place_clips(spec: InputSpec, clips: int = 1, start_seconds: float | None = None) -> Placement:
    """Where to take clips: the middle, uniformly spaced, or at a time.

    Args:
        spec: Gives the frames and stride of a clip.
        clips: Clips per video.
        start_seconds: Start of the only clip, instead.
    """

    def place(seconds: NDArray[np.float64], duration: float) -> Sequence[int]:
        if start_seconds is not None:
            return [start_from_seconds(start_seconds, seconds, duration)]
        return uniform_clip_starts(len(seconds), clips, num_frames=spec.num_frames, frame_stride=spec.frame_stride)

    return place


def center_crop(frames: Tensor, size: int, *, cell: int = 0) -> Tensor:
    """The central ``size`` × ``size`` of frames ``(T, 3, H, W)`` whose shorter side is at least ``size``.

    Args:
        frames: Any tensor whose last axes are height and width.
        size: Side of the square.
        cell: Where it is more than 0: as much of the whole frame as is whole cells of so many pixels, instead.
    """
    sides = [side // cell * cell if cell else size for side in frames.shape[-2:]]
    top, left = ((whole - side) // 2 for whole, side in zip(frames.shape[-2:], sides, strict=True))
    return frames[..., top : top + sides[0], left : left + sides[1]]


def nothing_moves(frames: Tensor) -> bool:
    """Whether no block of 4 × 4 pixels changes by a gray level on average, from any frame to the next.

    Whole blocks, so that the noise of a codec in a picture at rest does not pass for motion, nor a small object for
    noise.

    Args:
        frames: uint8 ``(T, 3, H, W)``.
    """
    gray = frames.float().mean(dim=1)
    side = min(4, *gray.shape[1:])
    return bool((torch.nn.functional.avg_pool2d(gray[:, None], side).diff(dim=0).abs() < 1).all())


def read_clip(reader: FrameReader, start: int, spec: InputSpec, *, size: int | None = None, cell: int = 0) -> Tensor:
    """One clip of an open video: short side scaled to ``size`` (``spec.size`` by default), center-cropped.

    Args:
        reader: An open video.
        start: First frame.
        spec: Frames, stride and size.
        size: Instead of the spec's.
        cell: As of ``center_crop``.

    Returns:
        uint8 ``(T, 3, size, size)``, or of the whole frame.
    """
    side = spec.size if size is None else size
    return center_crop(reader.frames(_indices(reader, start, spec).tolist(), short_side=side), side, cell=cell)


def _indices(reader: FrameReader, start: int, spec: InputSpec) -> NDArray[np.int64]:
    return clip_indices(len(reader), start, num_frames=spec.num_frames, frame_stride=spec.frame_stride)


def to_batch(clips: Sequence[Clip], device: torch.device | str = "cpu") -> Tensor:
    """Clips as one float batch ``(N, 3, T, H, W)`` in [0, 1], contiguous for 3-D channels-last convolutions."""
    frames = torch.stack([clip.frames for clip in clips])  # (N, T, 3, H, W)
    batch = frames.to(device, non_blocking=True).permute(0, 2, 1, 3, 4)
    return batch.to(torch.float32, memory_format=torch.channels_last_3d).div_(255)


class ClipStream:
    """An iterator of clips over many videos; decoding runs ahead in one thread while the caller computes.

    Args:
        videos: Read in this order.
        spec: Frames, stride and size of a clip.
        place: Start frames for each video.
        skip_broken: Note a video that cannot be read in ``skipped`` and go on; otherwise raise its error.
        missing: Videos known to be missing, to begin ``skipped`` with.
        chunk: Clips of one video that are decoded in one go (neighboring windows share frames).
        ahead: Clips that may wait decoded.
        truth: Gives the truth of a clip (``analysis.inputs.video.truth``); None: not asked for.
        concealed: Filled with the frames that the decoder had to make up, by video.
        cell: As of ``center_crop``.
    """

    def __init__(
        self,
        videos: Sequence[VideoSource],
        spec: InputSpec,
        place: Placement,
        *,
        skip_broken: bool = False,
        missing: Mapping[str, str] | None = None,
        chunk: int = 8,
        ahead: int = 16,
        truth: TruthOf | None = None,
        concealed: dict[str, list[int]] | None = None,
        cell: int = 0,
    ) -> None:
        self.videos = list(videos)
        self.skipped: dict[str, str] = dict(missing or {})
        self._spec, self._place, self._skip_broken, self._chunk, self._ahead = spec, place, skip_broken, chunk, ahead
        self._truth, self._cell = truth, cell
        self.concealed = {} if concealed is None else concealed

    def __iter__(self) -> Iterator[Clip]:
        return produce_ahead(self._decode, self._ahead)

    def batches(self, batch_size: int) -> Iterator[list[Clip]]:
        """Clips in lists of ``batch_size`` (the last may be shorter), across videos."""
        batch: list[Clip] = []
        with closing(iter(self)) as clips:  # type: ignore[type-var]
            for clip in clips:
                if batch and clip.frames.shape != batch[0].frames.shape:  # whole frames of another video
                    yield batch
                    batch = []
                batch.append(clip)
                if len(batch) == batch_size:
                    yield batch
                    batch = []
        if batch:
            yield batch

    def per_video(
        self, batch_size: int, measure: Callable[[list[Clip]], Sequence[Any]]
    ) -> Iterator[tuple[VideoSource, list[tuple[Clip, Any]]]]:
        """Measure clips in batches and hand them back video by video, each only when it is complete.

        Args:
            batch_size: Clips per call of ``measure``.
            measure: A batch of clips → one result for each.

        Yields:
            The video and ``(clip without frames, result)`` for each of its clips; broken videos are left out whole.
        """
        pending: list[tuple[Clip, Any]] = []
        for batch in self.batches(batch_size):
            results = measure(batch)
            for index, group in groupby(zip(batch, results, strict=True), key=lambda pair: pair[0].video_index):
                if pending and pending[0][0].video_index != index:  # that video broke half-way
                    pending = []
                for clip, result in group:
                    pending.append((_without_frames(clip), result))
                    if clip.last:
                        yield clip.video, pending
                        pending = []

    def _decode(self) -> Iterator[Clip]:
        for index, video in enumerate(self.videos):
            try:
                yield from self._decode_video(index, video)
            except (InputError, OSError) as error:
                if not self._skip_broken:
                    raise
                self.skipped[video.video_id] = str(error)

    def _decode_video(self, index: int, video: VideoSource) -> Iterator[Clip]:
        with video.open() as reader:
            starts, times = self._starts(video, reader), (reader.seconds, reader.duration_seconds)
            for first in range(0, len(starts), self._chunk):
                part = starts[first : first + self._chunk]
                for offset, frames in enumerate(self._read(reader, part)):
                    last = first + offset == len(starts) - 1
                    start, indices = part[offset], _indices(reader, part[offset], self._spec)
                    truth = self._truth and self._truth(video, reader, indices, self._spec)
                    self._note_concealed(video.video_id, indices, reader)
                    seconds, still = times[0][indices], nothing_moves(frames)
                    yield Clip(video, index, start, reader.fps, *times, frames, seconds, last, truth, still)

    def _note_concealed(self, video_id: str, indices: NDArray[np.int64], reader: FrameReader) -> None:
        if made_up := reader.concealed:
            seen = set(self.concealed.get(video_id, ())) | set(made_up).intersection(indices.tolist())
            self.concealed |= {video_id: sorted(seen)} if seen else {}

    def _starts(self, video: VideoSource, reader: FrameReader) -> list[int]:
        """Distinct start frames; a time beyond a video's end is that video's error."""
        try:
            return list(dict.fromkeys(self._place(reader.seconds, reader.duration_seconds)))
        except InputError as error:
            raise InputError(f"{video.path or video.video_id}: {error}") from None

    def _read(self, reader: FrameReader, starts: Sequence[int]) -> Iterator[Tensor]:
        """Clips at ``starts``, every frame decoded once where their spans touch, one by one where they do not."""
        span = clip_span(self._spec.num_frames, self._spec.frame_stride)
        if len(starts) == 1 or max(starts) - min(starts) > span * len(starts):
            for start in starts:
                yield read_clip(reader, start, self._spec, cell=self._cell)
            return
        wanted = [_indices(reader, start, self._spec) for start in starts]
        union = sorted({int(i) for indices in wanted for i in indices})
        place = {frame: at for at, frame in enumerate(union)}
        size = self._spec.size
        frames = center_crop(reader.frames(union, short_side=size), size, cell=self._cell)
        for indices in wanted:
            yield frames[[place[int(i)] for i in indices]]


def _without_frames(clip: Clip) -> Clip:
    return dataclasses.replace(clip, frames=torch.empty(0, dtype=torch.uint8), truth=None)
