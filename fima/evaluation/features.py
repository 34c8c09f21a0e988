"""Pooled features of every video of a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fima.checkpoints import LoadedBackbone
from fima.data.datasets import VideoRecord
from fima.data.readers.open import open_video
from fima.data.sampling import clip_indices, uniform_clip_starts
from fima.errors import InputError, VideoError
from fima.input_spec import InputSpec
from fima.transforms.normalize import normalize

__all__ = ["VideoFeatures", "pooled_features", "read_clips"]


@dataclass(frozen=True)
class VideoFeatures:
    """Features of videos.

    Attributes:
        video_ids: in order.
        labels: ``(V,)`` int64; -1 where a video has none.
        vectors: ``(V, K, C)`` float32, the feature map's mean over time and space, of each video's K clips.
        skipped: videos that could not be read, with the reason.
    """

    video_ids: tuple[str, ...]
    labels: NDArray[np.int64]
    vectors: NDArray[np.float32]
    skipped: dict[str, str]

    @property
    def mean(self) -> NDArray[np.float32]:
        """``(V, C)``: the mean over each video's clips."""
        return np.asarray(self.vectors.mean(axis=1))


def pooled_features(
    loaded: LoadedBackbone,
    videos: Sequence[VideoRecord],
    *,
    clips: int = 1,
    batch_size: int = 32,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> VideoFeatures:
    """Feature vectors of uniformly spaced clips: short side scaled to the backbone's size, center-cropped.

    One thread decodes ahead while the backbone runs.

    Args:
        loaded: the backbone; in eval mode and without gradient here.
        videos: of a data set.
        clips: of every video, at least 1.
        batch_size: clips in a forward pass.
        device: of the backbone.
        progress: called with (videos done, videos in all).

    Raises:
        InputError: if no video can be read.
    """
    backbone = loaded.backbone.to(device).eval()
    kept: list[VideoRecord] = []
    skipped: dict[str, str] = {}
    vectors: list[Tensor] = []
    waiting: list[Tensor] = []

    def flush() -> None:
        while sum(map(len, waiting)) >= batch_size or (waiting and len(kept) + len(skipped) == len(videos)):
            frames = torch.cat(waiting)
            waiting[:] = [frames[batch_size:]] if len(frames) > batch_size else []
            with torch.inference_mode():
                batch = to_clip_batch(frames[:batch_size], device)
                vectors.append(backbone(normalize(batch, loaded.input)).float().mean(dim=(2, 3, 4)).cpu())

    for record, clip_frames in _ahead(videos, loaded.input, clips):
        if isinstance(clip_frames, str):
            skipped[record.video_id] = clip_frames
        else:
            kept.append(record)
            waiting.append(clip_frames)
        flush()
        if progress is not None:
            progress(len(kept) + len(skipped), len(videos))
    if not kept:
        reason = next(iter(skipped.values()), "there is none")
        raise InputError(f"none of the {len(videos)} videos can be read; the first: {reason}")
    labels = np.array([-1 if record.label is None else record.label for record in kept])
    table = torch.cat(vectors).view(len(kept), clips, -1).numpy()
    return VideoFeatures(tuple(record.video_id for record in kept), labels, table, skipped)


def to_clip_batch(frames: Tensor, device: torch.device | str = "cpu") -> Tensor:
    """uint8 ``(N, T, 3, H, W)`` → float ``(N, 3, T, H, W)`` in [0, 1], laid out for 3-D convolutions."""
    clip = frames.to(device, non_blocking=True).permute(0, 2, 1, 3, 4)
    return clip.to(torch.float32, memory_format=torch.channels_last_3d).div_(255)


def read_clips(record: VideoRecord, spec: InputSpec, clips: int) -> Tensor:
    """uint8 ``(K, T, 3, size, size)``: uniformly spaced clips of a video, each frame decoded once.

    Raises:
        VideoError: if it cannot be read.
    """
    with open_video(record) as reader:
        starts = uniform_clip_starts(len(reader), clips, num_frames=spec.num_frames, frame_stride=spec.frame_stride)
        indices = [
            clip_indices(len(reader), s, num_frames=spec.num_frames, frame_stride=spec.frame_stride) for s in starts
        ]
        frames = reader.frames(np.concatenate(indices), short_side=spec.size)
    top, left = (frames.shape[2] - spec.size) // 2, (frames.shape[3] - spec.size) // 2
    cropped = frames[:, :, top : top + spec.size, left : left + spec.size]
    return cropped.reshape(clips, spec.num_frames, *cropped.shape[1:])


def _ahead(videos: Sequence[VideoRecord], spec: InputSpec, clips: int) -> Iterator[tuple[VideoRecord, Tensor | str]]:
    """Videos in order with their clips, or why there are none; read in a thread, a few ahead."""

    def read(record: VideoRecord) -> Tensor | str:
        try:
            return read_clips(record, spec, clips)
        except (VideoError, OSError) as error:
            return str(error)

    ahead = 8
    with ThreadPoolExecutor(1, "video-reader") as pool:
        futures = [pool.submit(read, record) for record in videos[:ahead]]
        for place, record in enumerate(videos):
            result = futures.pop(0).result()
            if place + ahead < len(videos):
                futures.append(pool.submit(read, videos[place + ahead]))
            yield record, result
