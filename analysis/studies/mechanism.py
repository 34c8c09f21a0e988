"""FIMA's own mechanism, seen: two views of a video as in training, and what the method makes of them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from analysis.features import FeatureExtractor
from analysis.mechanism import Trace, box_overlap, mechanism_scores, positive_pairs
from analysis.plotting.mechanism import draw_mechanism
from analysis.settings import untrained_seed
from analysis.sources import VideoSource
from analysis.statistics import VideoScores
from analysis.studies.base import Progress, Session, Study, provenance, score_arrays
from analysis.studies.display import DISPLAY_SIZE
from fima.activation import foreground_mask
from fima.checkpoints import LoadedBackbone
from fima.checkpoints.files import read_checkpoint
from fima.data.sampling import clip_indices, clip_span
from fima.data.windows import draw_window_starts
from fima.draws import SampleKeys
from fima.errors import CheckpointError, InputError
from fima.losses import unit
from fima.methods import FIMA, load_method
from fima.views import AREA, ASPECT, Crops, Views, cut, make_views

__all__ = ["Mechanism", "run"]


def run(session: Session, progress: Progress | None = None) -> Study:
    """Two views of every video, cut as in training, and what a FIMA method makes of them.

    Windows, crops and flips are drawn from ``settings.seed`` and the place of the video, as training draws them in its
    first epoch (``settings.clips`` takes as many epochs); how far apart, how large and whether flipped as the
    checkpoint says it was trained, else as the paper has it. Colours are left alone, and the networks are in eval mode,
    so that no number depends on what else is in the batch.

    Scores, per video: ``analysis.mechanism.mechanism_scores``. The chance level of ``prediction_cosine`` is that with
    the motion of the video before; one video has none.

    Args:
        session: Its checkpoint must be that of a whole FIMA method, or ``random``.
        progress: Called after each video.

    Returns:
        The study; ``arrays["example_*"]`` are of the first video that has positive pairs and, if any does, another
        video before it.

    Raises:
        InputError: If the checkpoint holds no FIMA method, or ``layer`` or ``start_seconds`` is set.
    """
    settings = session.settings
    for name in ("layer", "start_seconds"):
        if getattr(settings, name) is not None:
            raise InputError(f"{name} does not go with mechanism: it reads FIMA's own layers and draws windows itself")
    method, sampling = _load(session)
    measured = _measure(session, method, sampling, progress)
    levels = {name: summary.mean for name, summary in measured.chance.summaries().items()}
    summaries = measured.scores.summaries(levels, seed=settings.seed)
    per_video = {"video_id": np.array(measured.scores.video_ids), **measured.scores.per_video()}
    source = {
        "space": "projected",
        "crop": "random resized crops, as in training",
        "method": {"class": type(method).__name__, **method.settings},
        "windows": vars(sampling),
    }
    return Study(
        measure="mechanism",
        arrays={**measured.shown.arrays(session, sampling), **score_arrays(per_video, summaries)},
        scores=summaries,
        per_video=per_video,
        provenance=provenance(session, "mechanism") | source,
        skipped=measured.skipped,
        repeated=measured.repeated,
        draw=draw_mechanism,
    )


class _Measured:
    """What is gathered video by video; it grows with the number of videos by a few numbers each."""

    def __init__(self, skipped: Mapping[str, str]) -> None:
        self.scores, self.chance = VideoScores(), VideoScores()
        self.shown = _Shown()
        self.skipped, self.repeated = dict(skipped), list[str]()
        self._before: Tensor | None = None

    def add(self, video: VideoSource, drawn: list[_Drawn], traces: list[Trace], radius: float) -> None:
        """One video's pairs of views."""
        for trace in traces:
            scores, levels = mechanism_scores(trace, radius=radius, other_keys=self._before)
            self.scores.add(video.video_id, scores)
            self.chance.add(video.video_id, levels)
        self.shown.offer(video, drawn[0], traces[0], self._before, radius)
        self._before = traces[-1].keys
        if drawn[0].repeated:
            self.repeated.append(video.video_id)


def _measure(session: Session, method: FIMA, sampling: _Sampling, progress: Progress | None) -> _Measured:
    """All videos, one after the other; broken ones of a data set are skipped."""
    settings, total = session.settings, len(session.videos) + len(session.missing)
    mechanism = Mechanism(method, session.loaded, boundary=settings.boundary, device=session.extractor.device)
    measured = _Measured(session.missing)
    for index, video in enumerate(session.videos):
        try:
            drawn = _draw(session, sampling, video, index)
        except (InputError, OSError) as error:
            if settings.data is None:
                raise
            measured.skipped[video.video_id] = str(error)
        else:
            measured.add(video, drawn, [mechanism(part.views) for part in drawn], method.radius)
        if progress is not None:
            progress(index + 1 + len(session.missing), total)
    if not measured.scores.video_ids:
        first = next(iter(measured.skipped.values()))
        raise InputError(f"{settings.data}: none of its {total} videos can be used; the first: {first}")
    return measured


class Mechanism:
    """A FIMA method's forward pass as its losses see it, with the decoder's attention; in eval mode, without gradient.

    Args:
        method: The method; it is moved to ``device`` and put in eval mode.
        loaded: Says how the backbone's input is normalised.
        boundary: First frame of the frame difference; training wraps.
        device: Where to compute.

    Source: FIMA, sections 3.1–3.4, as ``fima.methods.FIMA`` has it.
    """

    def __init__(self, method: FIMA, loaded: LoadedBackbone, *, boundary: str, device: torch.device) -> None:
        self.method = method.eval().to(device)
        self._query, self._key = (
            FeatureExtractor(replace(loaded, backbone=backbone), boundary=boundary, device=device)
            for backbone in (self.method.encoder_q, self.method.encoder_k)
        )

    @torch.no_grad()
    def __call__(self, views: Views) -> Trace:
        """Trace N videos; the result is on the CPU, in float32."""
        method = self.method
        clips = views.global_clips.flatten(0, 1).to(self._key.device)
        features = self._key(clips)
        rgb, motion = (torch.stack(maps.chunk(2)) for maps in (features.rgb, features.motion))
        masks = torch.ones_like(rgb[:, :, 0, 0], dtype=torch.bool)
        if method.foreground:
            masks = torch.stack([foreground_mask(*maps) for maps in zip(rgb, motion, strict=True)])
        rows = _rows(torch.stack(self._query.feature_map(clips).chunk(2)))
        predicted, attention = rows, None
        if method.decoder is not None:
            embedded = method.decoder.embed(rows)
            asked, memory = embedded.flatten(0, 2), embedded.flip(0).flatten(0, 2)
            decoded = method.decoder(asked, memory, attention=True)
            predicted = decoded.positions.reshape(*rows.shape[:4], -1)
            attention = decoded.attention.reshape(*rows.shape[:3], *decoded.attention.shape[1:]).float().cpu()
        return Trace(
            boxes=views.boxes.cpu(),
            masks=masks.cpu(),
            predicted=unit(method.projector_dense.project(predicted)).cpu(),
            keys=unit(method.projector_dense_k.project(_rows(motion))).cpu(),
            attention=attention,
        )


def _rows(maps: Tensor) -> Tensor:
    """``(2, N, C, T', H', W')`` → ``(2, T', N, P, C)``."""
    return maps.flatten(4).permute(0, 3, 1, 4, 2)


@dataclass(frozen=True)
class _Sampling:
    """How training draws and cuts windows: ``fima.training.config``, and ``fima.views.make_views``."""

    short_side: int
    min_gap: int = 1
    gap_seconds: tuple[float, float] | None = None
    area: tuple[float, float] = AREA
    aspect: tuple[float, float] = ASPECT
    flip_probability: float = 0.5

    def gap(self, fps: float) -> tuple[int, int | None]:
        if self.gap_seconds is None:
            return self.min_gap, None
        least, greatest = (round(seconds * fps) for seconds in self.gap_seconds)
        return max(least, self.min_gap), max(greatest, self.min_gap)


def _load(session: Session) -> tuple[FIMA, _Sampling]:
    """The method of the session's checkpoint, and how it was fed."""
    settings, spec = session.settings, session.spec
    if spec.frame_stride % 2:
        raise InputError(
            f"frame_stride must be even, since a view takes every second frame of its window, got {spec.frame_stride}"
        )
    # Without a word of the training, frames of 256 pixels for crops that become 224, as everybody has them.
    usual = _Sampling(short_side=round(spec.size * 8 / 7))
    seed = untrained_seed(settings.checkpoint, settings.seed)
    if seed is not None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return FIMA(copy.deepcopy(session.loaded.backbone), queue_size=1), usual
    path = session.loaded.path or Path(settings.checkpoint)
    needed = f"{path}: mechanism needs a whole FIMA method (query and key network, motion decoder), as of fima pretrain"
    try:
        method = load_method(
            path, trust=settings.trust_checkpoint, **({"arch": settings.arch} if settings.arch else {})
        )
    except CheckpointError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise InputError(f"{needed}, or random; found {session.loaded.report.format}: {reason}") from error
    if not isinstance(method, FIMA):
        raise InputError(f"{needed}, or random; found {type(method).__name__}")
    content = read_checkpoint(path, trust=settings.trust_checkpoint)
    config = content.get("config") if isinstance(content, Mapping) else None
    return method, usual if config is None else _sampling(config, usual, spec.size)


def _sampling(config: Mapping[str, Any], usual: _Sampling, size: int) -> _Sampling:
    """What a checkpoint of ``fima pretrain`` says."""
    windows, views = config["windows"], config["views"]
    return _Sampling(
        short_side=max(windows["short_side"] or usual.short_side, size),
        **{name: windows[name] for name in ("min_gap", "gap_seconds")},
        **{name: views[name] for name in ("area", "aspect", "flip_probability")},
    )


@dataclass(frozen=True)
class _Drawn:
    """A pair of views of a video; ``frames`` ``(2, T)`` are the frames of the video that the global clips show."""

    views: Views
    frames: np.ndarray
    fps: float
    repeated: bool


def _draw(session: Session, sampling: _Sampling, video: VideoSource, index: int) -> list[_Drawn]:
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
            window = torch.stack(frames.permute(0, 2, 3, 1).chunk(2))
            views = make_views(
                [window], keys, size=spec.size, num_slices=0,
                area=sampling.area, aspect=sampling.aspect, flip_probability=sampling.flip_probability,
            )  # fmt: skip
            drawn.append(_Drawn(views, indices[:, ::2], reader.fps, len(reader) < span))
    return drawn


class _Shown:
    """The pair of views that the figure shows."""

    def __init__(self) -> None:
        self._rank = -1
        self._example: dict[str, Any] = {}
        self._source: tuple[VideoSource, _Drawn] | None = None

    def offer(self, video: VideoSource, drawn: _Drawn, trace: Trace, before: Tensor | None, radius: float) -> None:
        """Take it, if it shows more than what was taken before: positive pairs first, then another video's motion."""
        pairs = positive_pairs(trace.boxes, trace.masks, radius=radius)[0]
        rank = 2 * bool(pairs.any()) + (before is not None)
        if rank <= self._rank:
            return
        self._rank, self._source = rank, (video, drawn)
        shown = trace.keys.shape[1] // 2  # the slice in the middle: the first may hold the difference's wrapped frame
        predicted, motion = trace.predicted[0, shown, 0], trace.keys[1, shown, 0]
        other = motion[:0] if before is None else before[1, shown, 0]
        self._example = {
            "boxes": trace.boxes[:, 0],
            "overlap": box_overlap(trace.boxes)[0],
            "masks": trace.masks[:, 0],
            "pairs": pairs,
            "slice": torch.tensor([shown, trace.keys.shape[1]]),
            "similarity": predicted @ motion.T,
            "other_similarity": predicted @ other.T,
        }
        if trace.attention is not None:
            self._example["attention"] = trace.attention[0, shown, 0]

    def arrays(self, session: Session, sampling: _Sampling) -> dict[str, np.ndarray]:
        """What the figure draws, named ``example_*``; the frames are read again, large enough to look at."""
        assert self._source is not None
        video, drawn = self._source
        shown, slices = self._example["slice"].tolist()
        moments = drawn.frames[:, int((shown + 0.5) * drawn.frames.shape[1] / slices)]
        with video.open() as reader:
            frames = reader.frames(moments.tolist(), short_side=max(DISPLAY_SIZE, sampling.short_side))
        frames = frames.permute(0, 2, 3, 1)
        views = [_cut_out(frame, box) for frame, box in zip(frames, self._example["boxes"], strict=True)]
        arrays = {
            "video_id": np.array(video.video_id),
            "seconds": moments / drawn.fps,
            "source": frames[0].contiguous().numpy(),
            "views": np.stack(views),
            **{name: tensor.numpy() for name, tensor in self._example.items()},
        }
        return {f"example_{name}": array for name, array in arrays.items()}


def _cut_out(frame: Tensor, box: Tensor) -> np.ndarray:
    """The view ``(S, S, 3)`` uint8 that a box ``(4,)`` cuts out of a frame ``(H, W, 3)``."""
    height, width = frame.shape[:2]
    x1, y1, x2, y2 = (box * torch.tensor([width - 1, height - 1] * 2)).round().int().tolist()
    left, right = min(x1, x2), max(x1, x2)
    top, start, rows, columns = (np.array(value) for value in (y1, left, y2 - y1 + 1, right - left + 1))
    out = torch.empty(3, 1, DISPLAY_SIZE, DISPLAY_SIZE)
    cut(frame[None], Crops(top, start, rows, columns, np.array(x1 > x2)), out=out)
    view: np.ndarray = (out[:, 0].permute(1, 2, 0) * 255).round().to(torch.uint8).contiguous().numpy()
    return view
