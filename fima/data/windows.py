"""Training samples: two windows of each video, as uint8 frames, drawn by (seed, epoch, index).

Frames leave the loader as they were decoded; crops, resizes and colors happen on the device (`fima.transforms.views`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from fima.data.datasets import VideoDataset, VideoRecord
from fima.data.flow import FlowFolder
from fima.data.readers.open import open_video
from fima.data.sampling import clip_indices, clip_span
from fima.data.shapes import ShapesRecord
from fima.data.window_batches import LENDER, VideoFailure, WindowBatch, WindowSample, collate_windows
from fima.errors import InputError, VideoError
from fima.seeding import SampleKeys, uniforms

__all__ = ["VideoFailure", "WindowBatch", "WindowDataset", "WindowSample", "collate_windows", "draw_window_starts"]

_SUBSTITUTES = 10  # videos tried in place of one that cannot be read


class WindowDataset(Dataset[WindowSample]):
    """Two windows of every video, their starts drawn anew each epoch.

    A sample is a function of (seed, epoch, index): neither workers nor order nor batches change it. `set_epoch` also
    reaches workers that already run (``persistent_workers``); call it before iterating over the loader.

    A video that cannot be read, or whose frames are smaller than ``min_side``, is replaced by one that the same
    numbers choose, and reported in the sample's ``failures``; how many are too many is the training loop's decision.

    Args:
        videos: the videos, at least one.
        seed: in [0, 2**64).
        num_frames: frames in a window, at least 1: 2T for FIMA.
        frame_stride: frames of the video from one frame of a window to the next, at least 1.
        min_gap: least distance of the two starts in frames of the video, at least 1.
        gap_seconds: least and greatest distance of the starts in seconds, by the video's own rate; ``min_gap`` holds
            too. None: no greatest distance.
        short_side: scale frames on reading so that the shorter side has this many pixels; None: as they are.
        min_side: least pixels of the shorter side after scaling; set it to the crop's size.
        flow: optical flow made beforehand, from each frame of a video to its next, read along with the frames. With a
            ``frame_stride`` s, s times that flow stands for the way to the window's next frame, as if it were steady.
        masks: also give where something moves by itself; all videos must be drawn ones, which know it.

    Raises:
        InputError: if there is no video or a value is out of its range.

    Source: FIMA's windows (spec: paper section 3.1 and ZMHH-H/FIMA ``moco/loader.py``, ``dataset/ucf101_pretrain.py``,
    commit fd63cbd). The gap in seconds is MaCLR's.
    """

    def __init__(
        self,
        videos: VideoDataset | Sequence[VideoRecord],
        *,
        seed: int = 0,
        num_frames: int = 32,
        frame_stride: int = 1,
        min_gap: int = 1,
        gap_seconds: tuple[float, float] | None = None,
        short_side: int | None = None,
        min_side: int = 1,
        flow: FlowFolder | None = None,
        masks: bool = False,
    ) -> None:
        self.records = tuple(videos)
        _check_settings(len(self.records), min_gap, gap_seconds, short_side, min_side)
        self._span = clip_span(num_frames, frame_stride)
        self.seed, self.num_frames, self.frame_stride = seed, num_frames, frame_stride
        self.min_gap, self.gap_seconds = min_gap, gap_seconds
        self.short_side, self.min_side, self.flow, self.masks = short_side, min_side, flow, masks
        if masks and (unknown := [one.video_id for one in self.records if not isinstance(one, ShapesRecord)]):
            raise InputError(f"masks: only drawn videos know what moves, and {unknown[0]} is none (--data shapes:…)")
        # In shared memory, so that a running worker's copy of this data set sees the next epoch.
        self._epoch: Tensor = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
        SampleKeys(seed, 0, np.zeros(1, np.int64))  # refuses a seed out of range here, not in a worker

    def __len__(self) -> int:
        return len(self.records)

    @property
    def epoch(self) -> int:
        """The epoch that samples are drawn for."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Draws all further samples for this epoch."""
        if not 0 <= epoch < 2**32:
            raise InputError(f"epoch must be in [0, 2**32), got {epoch}")
        self._epoch.fill_(epoch)

    def __getitem__(self, index: int | tuple[int, int]) -> WindowSample:
        epoch, number = index if isinstance(index, tuple) else (self.epoch, index)
        return self.sample(number, epoch)

    def sample(self, index: int, epoch: int) -> WindowSample:
        """The sample of an index in any epoch, whatever `epoch` says; ``self[epoch, index]`` is the same.

        Raises:
            IndexError: if there is no such index.
            VideoError: if neither the video nor those that stand in for it can be read.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} is outside this data set of {len(self)} videos")
        keys = SampleKeys(self.seed, epoch, np.array([index]))
        failures: list[VideoFailure] = []
        for number in self._candidates(index, keys):
            record = self.records[number]
            try:
                windows, flow, masks = self._read(record, keys)
            except (VideoError, OSError) as error:
                failures.append(VideoFailure(record.path, str(error)))
            else:
                return WindowSample(windows, keys, record, tuple(failures), flow, masks)
        raise VideoError(
            f"{failures[0].reason}; nor could any of {len(failures) - 1} other videos be read in its place"
        )

    def _candidates(self, index: int, keys: SampleKeys) -> Iterator[int]:
        yield index
        tried = {index}
        for draw in uniforms(keys, "substitute", _SUBSTITUTES)[0]:
            number = int(draw * len(self))
            if number not in tried:
                tried.add(number)
                yield number

    def _read(self, record: VideoRecord, keys: SampleKeys) -> tuple[Tensor, Tensor | None, Tensor | None]:
        path = record.path
        worker = get_worker_info() is not None
        with open_video(record, threads=int(worker)) as reader:
            starts = draw_window_starts(len(reader), self._span, keys, gap=self._gap(reader.fps))[0]
            indices = [
                clip_indices(len(reader), int(start), num_frames=self.num_frames, frame_stride=self.frame_stride)
                for start in starts
            ]
            # The reader decodes in ascending order and each frame once, also where the windows overlap.
            frames = reader.frames(
                np.concatenate(indices), short_side=self.short_side, allocate=LENDER.allocate if worker else None
            )
        if min(frames.shape[-2:]) < self.min_side:
            height, width = frames.shape[-2:]
            raise VideoError(f"{path}: frames are {width}×{height}, expected at least {self.min_side} on each side")
        windows = frames.permute(0, 2, 3, 1).view(2, self.num_frames, *frames.shape[-2:], 3)
        masks = self._draw_masks(record, indices, windows)
        if self.flow is None:
            return windows, None, masks
        try:
            return windows, self._read_flow(self.flow, record.video_id, indices, windows), masks
        except (InputError, OSError) as error:
            raise VideoError(f"{path}: its flow cannot be read: {error}") from error

    def _draw_masks(self, record: VideoRecord, indices: list[NDArray[np.int64]], windows: Tensor) -> Tensor | None:
        """Masks of the windows' frames, at their size: ``(2, F, H, W)`` uint8."""
        if not (self.masks and isinstance(record, ShapesRecord)):
            return None
        drawn = torch.from_numpy(record.draw().masks(np.concatenate(indices))).to(torch.uint8) * 255
        if drawn.shape[-2:] != windows.shape[2:4]:
            drawn = F.interpolate(drawn[:, None], size=windows.shape[2:4], mode="nearest")[:, 0]
        return drawn.view(2, self.num_frames, *windows.shape[2:4])

    def _read_flow(
        self, folder: FlowFolder, video_id: str, indices: list[NDArray[np.int64]], windows: Tensor
    ) -> Tensor:
        """Flow of the windows' frames, at the windows' own size: ``(2, 2, F, H, W)``."""
        height, width = windows.shape[2:4]
        flow = torch.stack([folder.read(video_id, part) for part in indices])
        scale = torch.tensor([width / flow.shape[-1], height / flow.shape[-2]]) * self.frame_stride
        if flow.shape[-2:] != (height, width):
            # Antialiased, unlike the crops: videos are often read at a fraction of the size that flow was made at.
            flow = F.interpolate(
                flow.flatten(0, 1), size=(height, width), mode="bilinear", align_corners=False, antialias=True
            ).view(2, 2, -1, height, width)
        return (flow * scale.view(1, 2, 1, 1, 1)).to(torch.float16)

    def _gap(self, fps: float) -> tuple[int, int | None]:
        if self.gap_seconds is None:
            return self.min_gap, None
        least, greatest = (math.floor(seconds * fps + 0.5) for seconds in self.gap_seconds)
        return max(least, self.min_gap), max(greatest, least, self.min_gap)


def draw_window_starts(
    video_length: int, span: int, keys: SampleKeys, *, gap: tuple[int, int | None] = (1, None)
) -> NDArray[np.int64]:
    """The first frames of two windows, uniformly from all ordered pairs that are far enough apart.

    Args:
        video_length: frames in the video, at least 1.
        span: frames of the video that a window covers, at least 1. A shorter video is repeated in time, and a window
            may then start at any of its frames.
        keys: N samples.
        gap: least (at least 1) and greatest distance of the starts in frames; None: no greatest. Where the video has
            no such pair, its two outermost starts are taken, which are one if a single window fits.

    Returns:
        ``(N, 2)`` starts, of views m and n.
    """
    starts = video_length - span + 1 if video_length >= span else video_length
    least = min(gap[0], starts - 1)
    greatest = starts - 1 if gap[1] is None else min(max(gap[1], least), starts - 1)
    draws = uniforms(keys, "window starts", 3)
    distances = np.arange(least, greatest + 1)
    pairs = np.cumsum(starts - distances)  # a distance d leaves room for starts - d pairs
    distance = distances[np.searchsorted(pairs, np.floor(draws[:, 0] * pairs[-1]), side="right")]
    first = np.floor(draws[:, 1] * (starts - distance)).astype(np.int64)
    ordered = np.stack([first, first + distance], axis=1)
    return np.where(draws[:, 2:] < 0.5, ordered, ordered[:, ::-1])


def _check_settings(
    videos: int, min_gap: int, gap_seconds: tuple[float, float] | None, short_side: int | None, min_side: int
) -> None:
    if not videos:
        raise InputError("a data set of windows needs at least one video, got none")
    if min_gap < 1:
        raise InputError(f"min_gap must be at least 1, since the two starts are distinct, got {min_gap}")
    if gap_seconds is not None and not 0 <= gap_seconds[0] <= gap_seconds[1] < math.inf:
        raise InputError(f"gap_seconds must be two ascending values of at least 0, got {gap_seconds}")
    if short_side is not None and short_side < max(min_side, 1):
        raise InputError(f"short_side must be at least min_side, {max(min_side, 1)} pixels, got {short_side}")
