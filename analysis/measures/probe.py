"""Motion variables: how an object moves, and how well a ridge regression reads it from features. Arrays in, arrays out.

Which variables, and the controls, is ours after arXiv 2602.07050, which reads physical variables from video backbones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.measures.common.statistics import relative_gain
from fima.errors import InputError

__all__ = ["CHANCE_ERROR", "VARIABLES", "circular_error", "motion_variables", "predict_ridge", "probe_scores"]

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]

VARIABLES = ("direction", "speed", "acceleration", "scale_change", "rotation")
CHANCE_ERROR = 90.0
"""Degrees: the mean circular error of a direction that is drawn evenly."""
_FOLDS = 5
_STRENGTHS = tuple(10.0**power for power in range(-2, 7))
_STRAIGHT = 0.5  # share of the way that is left between its ends, below which it has no direction
_LEAST_WAY = 1.0  # pixels


def motion_variables(path: Floats, *, stride: int, side: int) -> dict[str, float]:
    """How an object moves over a clip.

    Args:
        path: ``(T, 4)``, T ≥ 3: x and y of its center in shares of the picture's side, to the right and down; its angle
            in radians, clockwise on the screen; its scale.
        stride: Frames of the video from one row to the next.
        side: Pixels of the side.

    Returns:
        ``direction`` of the way from the first to the last place, degrees in (-180, 180], 0 to the right, 90 down; NaN
        of what moves less than a pixel, or whose ends are closer than half of its way; ``speed``, the mean, pixels per
        frame; ``acceleration``, by how much the second half is faster, pixels per frame per frame; ``scale_change``,
        logarithm of the last over the first scale; ``rotation``, degrees per frame.

    Raises:
        InputError: If the path is of another shape.
    """
    if path.ndim != 2 or path.shape[1] != 4 or len(path) < 3:
        raise InputError(f"path must be (T, 4) with three rows or more, got {path.shape}")
    steps = np.diff(path[:, :2], axis=0) * side
    speeds, ends = np.hypot(*steps.T) / stride, steps.sum(axis=0)
    way, frames = float(speeds.sum() * stride), stride * len(steps)
    straight = float(np.hypot(*ends)) >= max(_STRAIGHT * way, _LEAST_WAY)
    half = len(speeds) // 2
    return {
        "direction": float(np.degrees(np.arctan2(ends[1], ends[0]))) if straight else np.nan,
        "speed": float(speeds.mean()),
        "acceleration": float((speeds[-half:].mean() - speeds[:half].mean()) / (frames / 2)),
        "scale_change": float(np.log(path[-1, 3] / path[0, 3])),
        "rotation": float(np.degrees(path[-1, 2] - path[0, 2]) / frames),
    }


def predict_ridge(features: Floats, targets: Floats, groups: ArrayLike) -> Doubles:
    """What ridge regressions say of samples whose group they have not seen.

    Args:
        features: ``(N, C)``; standardized by the training samples; their strength is chosen by leave-one-out there.
        targets: ``(N, K)``.
        groups: ``(N,)``, at least two different ones, cut into up to five folds.

    Returns:
        ``(N, K)``.

    Raises:
        InputError: For fewer than two groups, or features that are not finite.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import GroupKFold

    groups = np.asarray(groups)
    if (count := len(np.unique(groups))) < 2:
        raise InputError("a ridge probe needs samples of at least two groups to hold one out")
    if not np.isfinite(features).all():
        raise InputError("features must be finite; some are not")
    said = np.empty(targets.shape)
    for train, test in GroupKFold(min(_FOLDS, count)).split(features, groups=groups):
        mean, scale = features[train].mean(axis=0), features[train].std(axis=0)
        inputs = (features - mean) / np.where(scale > 1e-12, scale, 1)
        model = RidgeCV(_STRENGTHS, alpha_per_target=True).fit(inputs[train], targets[train])
        said[test] = model.predict(inputs[test]).reshape(len(test), -1)
    return said


def circular_error(first: Floats, second: Floats) -> Doubles:
    """Degrees between directions in degrees, ``(N,)`` in [0, 180]."""
    return np.asarray(np.abs((first - second + 180) % 360 - 180), np.float64)


def probe_scores(
    features: Floats, truth: dict[str, Floats], groups: Sequence[Any] | NDArray[Any]
) -> tuple[dict[str, Doubles], Doubles]:
    """How well motion variables are read from features of samples whose group was held out.

    Args:
        features: ``(N, C)``.
        truth: ``VARIABLES`` → ``(N,)``; NaN where a sample has none.
        groups: ``(N,)``.

    Returns:
        Each ``(N,)``, NaN where a sample has none: ``direction_error``, degrees, by ridge on sine and cosine; of the
        other variables ``<name>_r2``, whose mean over samples is R² (as a ratio's linear form, so that intervals hold);
        NaN of one that does not vary. And the directions that were predicted, degrees ``(N,)``.
    """
    groups = np.asarray(groups)
    found = {"direction_error": np.full(len(features), np.nan)}
    predicted = np.full(len(features), np.nan)
    has = np.isfinite(truth["direction"])
    if len(np.unique(groups[has])) > 1:
        angle = np.radians(truth["direction"][has])
        sine, cosine = predict_ridge(features[has], np.stack([np.sin(angle), np.cos(angle)], axis=1), groups[has]).T
        predicted[has] = np.degrees(np.arctan2(sine, cosine))
        found["direction_error"][has] = circular_error(predicted[has], truth["direction"][has])
    targets = np.stack([truth[name] for name in VARIABLES[1:]], axis=1)
    scale = targets.std(axis=0)
    targets = (targets - targets.mean(axis=0)) / np.where(scale > 1e-9, scale, np.inf)
    errors = (predict_ridge(features, targets, groups) - targets) ** 2
    fits = {f"{name}_r2": -relative_gain(errors[:, i], targets[:, i] ** 2) for i, name in enumerate(VARIABLES[1:])}
    return found | fits, predicted
