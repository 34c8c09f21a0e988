"""The mover against its still copy, over many videos: do the features see motion, or only what moves?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from analysis.inputs.backbone.twins import untrained_twin
from analysis.inputs.sessions import Progress, Session
from analysis.inputs.video.clips import place_clips
from analysis.inputs.video.stickers import KINDS, Pasted, background_motion, paste_copy
from analysis.inputs.video.truth import as_record, mask_source
from analysis.inputs.video.videos import VideoSource, procedural_record
from analysis.measures.localization import baseline_maps
from analysis.measures.mover import plain_maps, prefers_mover
from analysis.studies.common.attended import attention_map
from analysis.studies.common.collecting import Collector, Measured
from analysis.studies.common.display import DISPLAY_SIZE
from analysis.studies.common.study import Study
from fima.data.sampling import clip_indices
from fima.data.shapes import ShapesRecord
from fima.errors import InputError
from fima.methods.activation import class_agnostic_activation_map

__all__ = ["LEVELS", "measure_cut", "read_cuts", "run"]

_Maps = Mapping[str, Tensor]
_SHOWN = ("picture", "world")
_TIMES = 2  # frames of a clip that are shown
_BOX = (168, 300)  # height and width that they fit into, pixels


@dataclass(frozen=True)
class _Cut:
    """A clip of a video in each kind that it has: kind → frames with the copy and both masks."""

    seconds: NDArray[np.float64]
    kinds: dict[str, Pasted]


def run(session: Session, progress: Progress | None = None) -> Study:
    """Activation on a moving object against that on a copy of it at rest in the same clip.

    Real clips need masks; a copy is pasted into them (`analysis.inputs.video.stickers`). Drawn videos are drawn with
    one. The whole frame is looked at, its short side scaled to the backbone's size, not a square of it.

    Scores, per video, `analysis.measures.mover.prefers_mover` of each kind of copy: ``picture``, ``world``, and the
    controls ``control`` and ``seam``; the same of the motion map (``motion_picture``, …), of the attention
    received (``attention_``, of token networks), of an untrained twin (``twin_``), and of maps without a network
    (``difference_``, ``contrast_``, ``center_``).

    Args:
        session: Backbone and videos; masks from ``settings.masks``, or of drawn videos.
        progress: Called after each video.

    Returns:
        The study; videos without a place for a copy are named in ``provenance["without_place"]``.

    Raises:
        InputError: If there are no masks, or no video has a place for a copy.
    """
    twin = untrained_twin(session)
    collector = Collector(session)
    shown: list[dict[str, Any]] = []
    without: list[str] = []
    for index, (video, cuts) in enumerate(read_cuts(session, collector, progress)):
        if not any(cut.kinds for cut in cuts):
            without.append(video.video_id)
        for number, cut in enumerate(cuts):
            maps = {kind: _maps(session, twin, pasted) for kind, pasted in cut.kinds.items()}
            if not maps:
                continue
            measured = _score(maps)
            collector.add(video, measured)
            if set(_SHOWN) <= maps.keys() and (
                (len(session.videos) == 1 and number < session.settings.show)
                or (number == 0 and collector.examples.take(index))
            ):
                shown.append(_example(video, cut, maps, measured))
    if len(without) == len(session.videos):
        where = " before a resting camera (--masks auto)" if session.settings.masks == "auto" else ""
        raise InputError(f"{without[0]}: no clip has a moving object{where} and a free place beside it for a copy")
    references = frozenset(f"{prefix}{kind}" for prefix in _PREFIXES[3:] for kind in KINDS)
    source = {
        "masks": session.settings.masks or "drawn",
        "without_place": without,
        "crop": "whole frame",
        "normalize": "frame",
    }
    return collector.study("mover", _stacked(shown), levels=LEVELS, source=source, references=references)


_PREFIXES = ("", "motion_", "attention_", "twin_", "difference_", "contrast_", "center_")
LEVELS = {f"{prefix}{kind}": 0.5 for prefix in _PREFIXES for kind in KINDS}
"""Chance levels of all scores."""


def read_cuts(
    session: Session, collector: Collector, progress: Progress | None
) -> Iterator[tuple[VideoSource, list[_Cut]]]:
    """Clips of all videos with their copies.

    Args:
        session: Videos and masks.
        collector: Notes videos that are broken or short.
        progress: Called after each video.
    """
    reader = _Reader(session)
    return collector.read_videos(lambda _, video: reader.cut(video), progress)


def measure_cut(session: Session, cut: _Cut, sessions: Callable[[Tensor], list[Session]]) -> list[Measured | None]:
    """The scores of the network's own maps of a clip, by each of several sessions, such as one for each layer.

    Args:
        session: How large a clip is.
        cut: Of ``read_cuts``.
        sessions: Clip ``(1, 3, T, H, W)`` → the sessions; the same number for every clip.
    """
    at: list[dict[str, _Maps]] = []
    for kind, pasted in cut.kinds.items():
        found = sessions(_clip_of(session, pasted))
        at = at or [{} for _ in found]
        for maps, one in zip(at, found, strict=True):
            maps[kind] = _maps(one, None, pasted, plain=False)
    return [_score(maps) for maps in at]


class _Reader:
    """Cuts clips with copies out of videos."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._place = place_clips(session.spec, session.settings.clips, session.settings.start_seconds)
        self._masks = mask_source(session.settings.masks, session.videos)

    def cut(self, video: VideoSource) -> tuple[list[_Cut], bool]:
        """The clips of a video, and whether it is shorter than one."""
        spec = self._session.spec
        with video.open() as reader:
            starts = list(dict.fromkeys(self._place(reader.seconds, reader.duration_seconds)))
            every = [
                clip_indices(len(reader), start, num_frames=spec.num_frames, frame_stride=spec.frame_stride)
                for start in starts
            ]
            short = len(reader) < (spec.num_frames - 1) * spec.frame_stride + 1
            cuts = [_Cut(reader.seconds[indices], dict(self._kinds(video, reader, indices))) for indices in every]
        return cuts, short

    def _kinds(self, video: VideoSource, reader: Any, indices: NDArray[np.int64]) -> Iterator[tuple[str, Pasted]]:
        if self._masks is None:
            yield from _drawn(video, indices)
            return
        record = as_record(video)
        if record is None or record not in self._masks:
            return
        short_side = min(max(self._session.spec.size, DISPLAY_SIZE), reader.height, reader.width)
        frames = reader.frames(indices.tolist(), short_side=short_side).permute(0, 2, 3, 1).numpy()
        found = self._masks.read(record, indices.tolist(), height=frames.shape[1], width=frames.shape[2])
        if not found.known.all():
            return
        motion = background_motion(frames, found.masks)
        for kind in KINDS:
            if kind != "world" or motion is not None:
                pasted = paste_copy(frames, found.masks, kind, motion=motion if kind == "world" else None)
                if pasted is not None:
                    yield kind, pasted


def _drawn(video: VideoSource, indices: NDArray[np.int64]) -> Iterator[tuple[str, Pasted]]:
    """The same drawn video with its object's copy at rest in the picture, and in the world."""
    record = video.record if isinstance(video.record, ShapesRecord) else procedural_record(video.seed)
    kinds: tuple[tuple[str, Literal["picture", "world"]], ...] = (
        ("picture", "picture"),
        ("world", "world"),
        ("seam", "picture"),
    )
    for kind, where in kinds:
        times = np.full(len(indices), indices[len(indices) // 2]) if kind == "seam" else indices
        drawn = replace(record, world=replace(record.world, still_copies=1, still_in=where)).draw()
        mover, copy = drawn.masks(times), drawn.copy_masks(times)
        if copy.any():
            yield kind, Pasted(drawn.frames(times), mover, copy, 0.0)


def _maps(session: Session, twin: Session | None, pasted: Pasted, *, plain: bool = True) -> dict[str, Tensor]:
    """Maps ``(1, T, H, W)`` of a clip by prefix (``plain``: also attention and without a network), and its masks."""
    clip = _clip_of(session, pasted)
    size = (clip.shape[2], clip.shape[3], clip.shape[4])
    features = session.extractor(clip)
    maps = {
        "": class_agnostic_activation_map(features.rgb, size=size),
        "motion_": class_agnostic_activation_map(features.motion, size=size),
    }
    if twin is not None:
        maps["twin_"] = class_agnostic_activation_map(
            twin.extractor.feature_map(clip.to(features.rgb.device)), size=size
        )
    if plain:
        attention = attention_map(session.extractor, clip.to(features.rgb.device), session.settings.layer)
        if attention is not None:
            maps["attention_"] = class_agnostic_activation_map(attention[:, None], size=size)
        found = baseline_maps(clip)
        maps |= {"difference_": found["motion"], "contrast_": plain_maps(clip)["contrast"], "center_": found["center"]}
    for name, mask in (("mover", pasted.mover), ("copy", pasted.copy)):
        share = F.interpolate(torch.from_numpy(np.ascontiguousarray(mask)).float()[:, None], size[1:], mode="area")
        maps[name] = share[:, 0][None] >= 0.5
    return {name: values.cpu() for name, values in maps.items()}


def _clip_of(session: Session, pasted: Pasted) -> Tensor:
    """The clip ``(1, 3, T, H, W)`` in [0, 1] as the network sees it."""
    frames = torch.from_numpy(np.ascontiguousarray(pasted.frames)).permute(0, 3, 1, 2).float()
    size = _fitting(session, pasted.frames.shape[1:3])
    return F.interpolate(frames, size=size, mode="area").div_(255).transpose(0, 1)[None]


def _fitting(session: Session, shape: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of the whole frame at the backbone's scale, whole cells of its grid."""
    cell, size = session.extractor.info.spatial_stride, session.spec.size
    height, width = (max(1, round(side * size / min(shape) / cell)) * cell for side in shape)
    return height, width


def _score(maps: Mapping[str, _Maps]) -> Measured:
    scores = {f"{prefix}{kind}": np.nan for prefix in _PREFIXES for kind in KINDS}
    for kind, found in maps.items():
        for prefix in _PREFIXES:
            if prefix in found:
                scores[f"{prefix}{kind}"] = float(prefers_mover(found[prefix], found["mover"], found["copy"])[0])
    return Measured({name: value for name, value in scores.items() if not np.isnan(value)})


def _example(video: VideoSource, cut: _Cut, maps: Mapping[str, _Maps], measured: Measured) -> dict[str, Any]:
    """What the figure shows of a clip; the first axis of frames, masks and map is over the two kinds."""
    pasted = [cut.kinds[kind] for kind in _SHOWN]
    times = np.linspace(0, len(cut.seconds) - 1, _TIMES).round().astype(int)
    activations = [_upscaled(maps[kind][""], cut.kinds[kind].frames.shape[1:3]) for kind in _SHOWN]
    return {
        "video_id": video.video_id,
        "seconds": cut.seconds[times],
        "frames": np.stack([_boxed(p.frames[times]) for p in pasted]),
        "mover": np.stack([_boxed(p.mover[times]) for p in pasted]),
        "copy": np.stack([_boxed(p.copy[times]) for p in pasted]),
        "map": np.stack([_boxed(activation[times], np.nan) for activation in activations]),
        "score": np.array([measured.scores[kind] for kind in _SHOWN]),
    }


def _upscaled(activation_map: Tensor, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.asarray(F.interpolate(activation_map, size=shape[:2], mode="bilinear")[0].numpy(), np.float32)


def _boxed(frames: NDArray[Any], fill: float | None = None) -> NDArray[Any]:
    """Frames ``(T, H, W, …)`` in the middle of a box, so that those of all videos can be kept together."""
    length, height, width = frames.shape[:3]
    factor = min(_BOX[0] / height, _BOX[1] / width)
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    rows, columns = ((np.arange(n) + 0.5) / n for n in size)
    around = {np.dtype(np.uint8): 255, np.dtype(np.bool_): False}.get(frames.dtype, fill)
    out = np.full((length, *_BOX, *frames.shape[3:]), around, frames.dtype)
    top, left = (_BOX[0] - size[0]) // 2, (_BOX[1] - size[1]) // 2
    scaled = frames[:, (rows * height).astype(int)[:, None], (columns * width).astype(int)]
    out[:, top : top + size[0], left : left + size[1]] = scaled
    return out


def _stacked(shown: list[dict[str, Any]]) -> dict[str, NDArray[Any]]:
    """Examples as arrays ``example_*``, their boxes cut to what the widest of them fills."""
    if not shown:
        return {}
    arrays = {f"example_{name}": np.stack([np.asarray(example[name]) for example in shown]) for name in shown[0]}
    filled = ~np.isnan(arrays["example_map"]).all(axis=(0, 1, 2))
    rows, columns = filled.any(axis=1), filled.any(axis=0)
    for name in ("example_frames", "example_mover", "example_copy", "example_map"):
        arrays[name] = arrays[name][:, :, :, rows][:, :, :, :, columns]
    return arrays
