"""The views that a FIMA method is shown: cut from videos as its training cuts them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from analysis.inputs.sessions import Session
from analysis.inputs.video.clips import nothing_moves
from analysis.inputs.video.videos import VideoSource
from analysis.settings import untrained_seed
from analysis.studies.common.collecting import NOTHING_MOVES
from fima.checkpoints.files import read_checkpoint
from fima.data.sampling import clip_indices, clip_span
from fima.data.windows import draw_window_starts
from fima.errors import CheckpointError, InputError
from fima.methods import FIMA, load_method
from fima.seeding import SampleKeys
from fima.transforms.views import AREA, ASPECT, Views, make_views

__all__ = ["Drawn", "Sampling", "draw_pairs", "load_fima"]


@dataclass(frozen=True)
class Sampling:
    """How training draws and cuts windows: ``fima.tasks.pretrain.config``, and ``fima.transforms.views.make_views``."""

    short_side: int
    min_gap: int = 1
    gap_seconds: tuple[float, float] | None = None
    area: tuple[float, float] = AREA
    aspect: tuple[float, float] = ASPECT
    flip_probability: float = 0.5

    def gap(self, fps: float) -> tuple[int, int | None]:
        """Frames from one window of a video to the other: at least, and at most (None: no bound)."""
        if self.gap_seconds is None:
            return self.min_gap, None
        least, greatest = (round(seconds * fps) for seconds in self.gap_seconds)
        return max(least, self.min_gap), max(greatest, self.min_gap)


def load_fima(session: Session) -> tuple[FIMA, Sampling]:
    """The method of the session's checkpoint, and how it was fed."""
    settings, spec = session.settings, session.spec
    if spec.frame_stride % 2:
        raise InputError(
            f"frame_stride must be even, since a view takes every second frame of its window, got {spec.frame_stride}"
        )
    # Without a word of the training, frames of 256 pixels for crops that become 224, as everybody has them.
    usual = Sampling(short_side=round(spec.size * 8 / 7))
    seed = untrained_seed(settings.checkpoint, settings.seed)
    if seed is not None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return FIMA(copy.deepcopy(session.loaded.backbone), queue_size=1), usual
    path = session.loaded.path or Path(settings.checkpoint)
    needed = f"{settings.checkpoint}: mechanism needs a whole FIMA method, as fima pretrain writes it"
    try:
        method = load_method(
            path, trust=settings.trust_checkpoint, **({"arch": settings.arch} if settings.arch else {})
        )
    except CheckpointError as error:
        raise InputError(f"{needed}, or random; found {session.loaded.report.format}") from error
    if not isinstance(method, FIMA):
        raise InputError(f"{needed}, or random; found {type(method).__name__}")
    content = read_checkpoint(path, trust=settings.trust_checkpoint)
    config = content.get("config") if isinstance(content, Mapping) else None
    return method, usual if config is None else _sampling(config, usual, spec.size)


def _sampling(config: Mapping[str, Any], usual: Sampling, size: int) -> Sampling:
    """What a checkpoint of ``fima pretrain`` says."""
    windows, views = config["windows"], config["views"]
    return Sampling(
        short_side=max(windows["short_side"] or usual.short_side, size),
        **{name: windows[name] for name in ("min_gap", "gap_seconds")},
        **{name: views[name] for name in ("area", "aspect", "flip_probability")},
    )


@dataclass(frozen=True)
class Drawn:
    """A pair of views of a video; ``frames`` ``(2, T)`` are the frames of the video that the global clips show."""

    views: Views
    frames: np.ndarray
    fps: float
    repeated: bool


def draw_pairs(session: Session, sampling: Sampling, video: VideoSource, index: int) -> list[Drawn]:
    """Windows and crops of a video, one pair for each of ``settings.clips`` epochs."""
    spec, stride = session.spec, session.spec.frame_stride // 2
    span = clip_span(2 * spec.num_frames, stride)
    drawn = []
    with video.open() as reader:
        for epoch in range(session.settings.clips):
            keys = SampleKeys(session.settings.seed, epoch, np.array([index]))
            starts = draw_window_starts(len(reader), span, keys, gap=sampling.gap(reader.fps))[0]
            indices = np.stack([
                clip_indices(len(reader), int(start), num_frames=2 * spec.num_frames, frame_stride=stride)
                for start in starts
            ])  # fmt: skip
            frames = reader.frames(indices.ravel().tolist(), short_side=sampling.short_side)
            if nothing_moves(frames):
                raise InputError(f"{video.path or video.video_id}: {NOTHING_MOVES}")
            window = torch.stack(frames.permute(0, 2, 3, 1).chunk(2))
            views = make_views(
                [window], keys, size=spec.size, num_slices=0,
                area=sampling.area, aspect=sampling.aspect, flip_probability=sampling.flip_probability,
            )  # fmt: skip
            drawn.append(Drawn(views, indices[:, ::2], reader.fps, len(reader) < span))
    return drawn
