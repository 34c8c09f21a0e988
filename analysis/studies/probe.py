"""Motion variables of drawn videos, read from features by ridge regressions that have not seen the video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from analysis.inputs.backbone.taps import pooled_at
from analysis.inputs.backbone.twins import untrained_twin
from analysis.inputs.sessions import Progress, Session
from analysis.inputs.video.clips import Clip, to_batch
from analysis.measures.probe import CHANCE_ERROR, VARIABLES, motion_variables, probe_scores
from analysis.measures.temporal import pool_features
from analysis.studies.common.collecting import Collector
from analysis.studies.common.labeled import pooled, with_default_data
from analysis.studies.common.study import Study
from fima.data.sampling import clip_indices
from fima.data.shapes import ShapesRecord
from fima.errors import InputError
from fima.models.registry import FeatureTap

__all__ = ["DEFAULT_DATA", "LEVELS", "run", "run_at"]

DEFAULT_DATA = ("shapes:easy,videos=400,period=50-90", "test")
"""So slow that a clip sees a part of a way, which has a direction."""
_GRID = 7  # cells along a side that features of single cells are averaged to, at most
_PIXELS = (8, 16, 16)  # frames, rows and columns that pixels are averaged to before they are projected
_BINS = 4  # of speed, each held out in turn
LEVELS = {"direction_error": CHANCE_ERROR} | {f"{name}_r2": 0.0 for name in VARIABLES[1:]}
"""Chance levels, whatever the features."""


def run(session: Session, progress: Progress | None = None) -> Study:
    """Ridge regressions from features of clips to how the drawn object moves in them.

    Scores, per video: those of ``analysis.measures.probe.probe_scores`` from the pooled features; of features of single
    cells, averaged over time (``cells_``); of controls: the object's place and size in the middle frame (``layout_``),
    a random projection of the pixels (``pixels_``) and the untrained twin (``twin_``); and of pooled features with all
    videos of a background's pattern, of an object's texture or of a quarter of the speeds held out together
    (``_backgrounds``, ``_textures``, ``_speeds``).

    Args:
        session: Backbone and drawn videos; without any, ``DEFAULT_DATA``.
        progress: Called after each video.

    Returns:
        The study; ``arrays["true_direction"]`` and ``["predicted_direction"]`` are degrees of the clips that have one.

    Raises:
        InputError: If a video is not drawn, or there are fewer than two.
    """
    session = _with_drawn(session)
    measuring = _Measuring(session)
    collector = Collector(session)
    clips = [(video, found) for video, some in collector.read(measuring, progress) for _, found in some]
    truth = {name: np.array([found["truth"][name] for _, found in clips]) for name in VARIABLES}
    features = {kind: np.stack([found[kind] for _, found in clips]) for kind in measuring.kinds}
    places = {video.video_id: place for place, (video, _) in enumerate(clips)}
    own = np.array([places[video.video_id] for video, _ in clips])
    scores: dict[str, NDArray[np.float64]] = {}
    predicted = np.zeros(0)
    for kind, rows in features.items():
        found, directions = probe_scores(rows, truth, own)
        scores |= {f"{kind}{name}": values for name, values in found.items()}
        predicted = directions if kind == "" else predicted
    for what, groups in _held_out([video.record for video, _ in clips], truth["speed"]).items():
        found, _ = probe_scores(features[""], truth, groups)
        scores |= {f"{name}_{what}": values for name, values in found.items()}
    collector.add_columns([video for video, _ in clips], scores)
    arrays = {"true_direction": truth["direction"], "predicted_direction": predicted}
    levels = {name: CHANCE_ERROR if "direction_error" in name else 0.0 for name in scores}
    references = frozenset(name for name in scores if name.startswith(("layout_", "pixels_", "twin_")))
    return collector.study("probe", arrays, levels=levels, references=references)


def run_at(
    session: Session, taps: Sequence[FeatureTap], progress: Progress | None
) -> tuple[Collector, dict[str, Study]]:
    """The scores of pooled features alone, at each of several layers of one pass.

    Args:
        session: Backbone and drawn videos; without any, ``DEFAULT_DATA``.
        taps: The layers.
        progress: Called after each video.

    Returns:
        What read the videos, and name of the layer → study.
    """
    session = _with_drawn(session)

    def measure(batch: list[Clip]) -> list[tuple[list[NDArray[Any]], dict[str, float]]]:
        layers = pooled_at(session.extractor, to_batch(batch, session.extractor.device), taps)
        rows = [layer.float().cpu().numpy() for layer in layers]
        return [([layer[i] for layer in rows], _truth(session, clip)) for i, clip in enumerate(batch)]

    reader = Collector(session)
    clips = [(video, found) for video, some in reader.read(measure, progress) for _, found in some]
    truth = {name: np.array([found[1][name] for _, found in clips]) for name in VARIABLES}
    own = np.unique([video.video_id for video, _ in clips], return_inverse=True)[1]
    studies = {}
    for place, tap in enumerate(taps):
        collector = Collector(
            replace(session, settings=replace(session.settings, layer=tap.layer or None, layers=None))
        )
        scores, _ = probe_scores(np.stack([found[0][place] for _, found in clips]), truth, own)
        collector.add_columns([video for video, _ in clips], scores)
        studies[tap.layer or "output"] = collector.study("probe", levels=LEVELS)
    return reader, studies


def _with_drawn(session: Session) -> Session:
    """The session, if its videos are drawn and two or more."""
    session = with_default_data(session, DEFAULT_DATA)
    for video in session.videos:
        if not isinstance(video.record, ShapesRecord):
            raise InputError(f"probe needs drawn videos, whose motion is known (--data shapes:…); got {video.video_id}")
    if len(session.videos) < 2:
        raise InputError("probe needs at least two videos, to hold one out")
    return session


class _Measuring:
    """A batch of clips → features of each kind, and how its object moves.

    Attributes:
        kinds: Prefixes of the scores.
    """

    def __init__(self, session: Session) -> None:
        self._session, self._twin = session, untrained_twin(session)
        self.kinds = ["", "cells_", "layout_", "pixels_", *([] if self._twin is None else ["twin_"])]
        self._projection: Tensor | None = None

    def __call__(self, batch: list[Clip]) -> list[dict[str, Any]]:
        clip = to_batch(batch, self._session.extractor.device)
        with torch.no_grad():
            maps = self._session.extractor.feature_map(clip)
            found = {"": pool_features(maps), "cells_": _cells(maps), "pixels_": self._project(clip, maps.shape[1])}
        arrays = {kind: tensor.float().cpu().numpy() for kind, tensor in found.items()}
        if self._twin is not None:
            arrays["twin_"] = pooled(self._twin.extractor, clip)
        return [
            {kind: rows[i] for kind, rows in arrays.items()}
            | {"layout_": _layout(_path(self._session, one)), "truth": _truth(self._session, one)}
            for i, one in enumerate(batch)
        ]

    def _project(self, clip: Tensor, channels: int) -> Tensor:
        """As many random sums of coarse pixels as there are channels, ``(N, C)``."""
        frames, rows, columns = (min(wanted, given) for wanted, given in zip(_PIXELS, clip.shape[2:], strict=True))
        pixels = F.adaptive_avg_pool3d(clip, (frames, rows, columns)).flatten(1).cpu()
        if self._projection is None:
            generator = torch.Generator().manual_seed(self._session.settings.seed)
            self._projection = torch.randn(pixels.shape[1], channels, generator=generator) / pixels.shape[1] ** 0.5
        return pixels @ self._projection


def _cells(maps: Tensor) -> Tensor:
    """Features of every cell, averaged over time, ``(N, C · H · W)``."""
    mean = maps.mean(dim=2)
    return F.adaptive_avg_pool2d(mean, (min(_GRID, mean.shape[2]), min(_GRID, mean.shape[3]))).flatten(1)


def _path(session: Session, clip: Clip) -> NDArray[np.float64]:
    """``(T, 4)`` of a clip's object: x, y, angle, scale, times its size at scale 1."""
    assert isinstance(clip.video.record, ShapesRecord)
    drawn, spec = clip.video.record.draw(), session.spec
    indices = clip_indices(len(drawn), clip.start, num_frames=spec.num_frames, frame_stride=spec.frame_stride)
    mover = drawn.layers[-1]
    return np.asarray(mover.path[indices] * np.array([1, 1, 1, mover.sprite.radius]), np.float64)


def _truth(session: Session, clip: Clip) -> dict[str, float]:
    """How the object of a clip moves."""
    return motion_variables(_path(session, clip), stride=session.spec.frame_stride, side=session.spec.size)


def _layout(path: NDArray[np.float64]) -> NDArray[np.float64]:
    """Place and size in the middle frame, their squares and products, ``(9,)``."""
    x, y, size = path[len(path) // 2, [0, 1, 3]]
    return np.array([x, y, size, x * x, y * y, size * size, x * y, x * size, y * size])


def _held_out(records: list[Any], speed: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """What is held out together, as far as there are two kinds of it → the kind of every clip."""
    groups: dict[str, NDArray[Any]] = {"backgrounds": np.array([record.pattern for record in records])}
    kinds = [getattr(record.draw().layers[-1].sprite, "kind", None) for record in records]
    if None not in kinds:
        groups["textures"] = np.array(kinds)
    ends = np.quantile(speed, np.linspace(0, 1, _BINS + 1)[1:-1])
    groups["speeds"] = np.searchsorted(ends, speed)
    return {name: of for name, of in groups.items() if len(np.unique(of)) > 1}
