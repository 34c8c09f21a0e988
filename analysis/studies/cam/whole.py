"""Activation along whole videos: overlapping windows as one map for each frame, and two curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.inputs.sessions import Progress, Session
from analysis.inputs.video.clips import Clip, center_crop
from analysis.inputs.video.videos import VideoSource
from analysis.measures.common.windows import blend_windows, covering_starts
from fima.data.sampling import clip_span
from fima.errors import InputError
from fima.methods.activation import class_agnostic_activation_map

__all__ = ["MOMENTS", "Windows", "takes_whole_frames", "whole_arrays"]

MOMENTS = 6
"""Of a video that its figure shows."""
_SHORT_SIDE = 224  # pixels of the frames that are kept for the figure


class Windows:
    """Where the windows of whole videos lie, and how many of them are done.

    Args:
        session: Its ``settings.hop`` is the hop; by default half a window.
        progress: Called after each batch with (windows done, windows in all, as far as videos have been opened).

    Raises:
        InputError: For a hop that is longer than a window.
    """

    def __init__(self, session: Session, progress: Progress | None) -> None:
        self._span = clip_span(session.spec.num_frames, session.spec.frame_stride)
        self.hop = session.settings.hop or max(1, self._span // 2)
        if self.hop > self._span:
            raise InputError(
                f"--hop {self.hop}: windows of {self._span} frames would leave frames out; give at most that"
            )
        self._progress, self._done, self._total = progress, 0, 0

    def __call__(self, seconds: NDArray[np.float64], duration: float) -> Sequence[int]:
        """As of `analysis.inputs.video.clips.Placement`."""
        starts = covering_starts(len(seconds), self._span, self.hop)
        self._total += len(starts)
        return starts

    def done(self, count: int) -> None:
        """So many more windows were measured."""
        self._done += count
        if self._progress is not None:
            self._progress(self._done, self._total)


def takes_whole_frames(session: Session) -> bool:
    """Whether the backbone also takes frames that are no squares; tried once, on one that is a cell wider."""
    spec, cell = session.spec, session.extractor.info.spatial_stride
    height = spec.size // cell * cell
    try:
        clip = torch.full((1, 3, spec.num_frames, height, height + cell), 0.5, device=session.extractor.device)
        session.extractor.coarse().feature_map(clip)
    except (InputError, RuntimeError, ValueError, AssertionError, IndexError):
        return False
    return True


def whole_arrays(
    session: Session, video: VideoSource, clips: Sequence[tuple[Clip, Any]], cell: int
) -> dict[str, NDArray[Any]]:
    """What figure and film show of a video.

    Args:
        session: How the windows were cut.
        video: The video.
        clips: Its windows, and of each ``rgb`` and ``motion`` ``(1, T', H', W')``, the channel means of its features,
            and ``energy`` ``(1, T', H', W')``.
        cell: As of ``center_crop``.

    Returns:
        ``seconds`` (F,), when each frame is shown; ``rgb_map`` and ``motion_map`` float16 (F, H', W') in [0, 1];
        ``activation`` (F,), the mean of the RGB map before it is scaled; ``energy`` (F,) in [0, 1]; ``frames`` uint8
        (K, h, w, 3) at ``moments`` (K,); ``region`` (4,), where the maps lie in the picture: top, left, height and
        width as shares of it.
    """
    first, windows = clips[0][0], [kept for _, kept in clips]
    how = {"num_frames": session.spec.num_frames, "frame_stride": session.spec.frame_stride}
    starts, length = [clip.start for clip, _ in clips], len(first.video_seconds)

    def blended(maps: Sequence[Tensor]) -> NDArray[np.float32]:
        return np.asarray(blend_windows(maps, starts, length, **how).numpy())

    scaled = {
        f"{name}_map": _in_unit(blended([_scaled(getattr(kept, name), session) for kept in windows]), session)
        for name in ("rgb", "motion")
    }
    curves = {
        "activation": blended([kept.rgb[0].mean(dim=(1, 2)) for kept in windows]),
        "energy": blended([kept.energy[0].mean(dim=(1, 2)) for kept in windows]),
    }
    moments = np.linspace(0, length - 1, min(MOMENTS, length)).round().astype(int)
    return {
        "seconds": first.video_seconds,
        "moments": moments,
        **scaled,
        **curves,
        **_frames(session, video, moments, cell),
    }


def _scaled(mean: Tensor, session: Session) -> Tensor:
    """A window's map ``(T', H', W')``, scaled frame by frame; over a clip only when the windows are together."""
    if session.settings.normalize == "clip":
        return mean[0]
    return class_agnostic_activation_map(mean[None])[0]


def _in_unit(maps: NDArray[np.float32], session: Session) -> NDArray[np.float16]:
    if session.settings.normalize == "clip":
        maps = class_agnostic_activation_map(torch.from_numpy(maps)[None, None], normalize="clip")[0].numpy()
    return maps.astype(np.float16)


def _frames(session: Session, video: VideoSource, moments: NDArray[np.int64], cell: int) -> Mapping[str, NDArray[Any]]:
    """Frames to show, and the part of the picture that was analyzed."""
    with video.open() as reader:
        frames = reader.frames(moments.tolist(), short_side=_SHORT_SIDE)
        analyzed = reader.frames([0], short_side=session.spec.size)
    height, width = analyzed.shape[-2:]
    inside = center_crop(analyzed, session.spec.size, cell=cell).shape[-2:]
    top, left = (height - inside[0]) // 2 / height, (width - inside[1]) // 2 / width
    region = np.array([top, left, inside[0] / height, inside[1] / width])
    return {"frames": frames.movedim(1, -1).contiguous().numpy(), "region": region}
