"""A linear probe on features, with scikit-learn's logistic regression. Arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fima.errors import InputError

__all__ = ["LinearProbe", "fit_linear_probe"]

_Floats = NDArray[np.floating[Any]]
_Ints = NDArray[np.int64]
STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)
"""Inverse regularisation strengths that a linear probe is chosen from."""


@dataclass(frozen=True)
class LinearProbe:
    """A linear classifier of standardized features.

    Attributes:
        strength: inverse regularisation that the validation videos chose.
        validation_accuracy: what it reached there, in [0, 1].
        mean, scale: ``(C,)``, of the training features.
        model: scikit-learn's logistic regression.
    """

    strength: float
    validation_accuracy: float
    mean: _Floats
    scale: _Floats
    model: Any

    def predict(self, features: _Floats) -> _Ints:
        """Labels ``(V,)`` of features ``(V, C)``."""
        return np.asarray(self.model.predict((features - self.mean) / self.scale), np.int64)

    def accuracy(self, features: _Floats, labels: _Ints) -> float:
        """Share of right labels."""
        return float((self.predict(features) == labels).mean())


def fit_linear_probe(
    train: _Floats,
    train_labels: _Ints,
    val: _Floats,
    val_labels: _Ints,
    *,
    strengths: Sequence[float] = STRENGTHS,
) -> LinearProbe:
    """Multinomial logistic regression on features that are standardized by the training set.

    The regularisation is chosen on the validation videos; the test videos are never seen. Deterministic.

    Args:
        train: ``(V, C)`` features.
        train_labels: ``(V,)``, at least two classes.
        val: ``(W, C)``.
        val_labels: ``(W,)``.
        strengths: inverse regularisation strengths to choose from; of equals the strongest regularisation.

    Raises:
        InputError: if the shapes do not fit or there are fewer than two classes.
    """
    from sklearn.linear_model import LogisticRegression

    _check(train, train_labels, "train")
    _check(val, val_labels, "val")
    if len(np.unique(train_labels)) < 2:
        raise InputError("a linear probe needs videos of at least two classes to be trained on")
    mean, scale = train.mean(axis=0), train.std(axis=0)
    scale = np.where(scale > 0, scale, 1)
    inputs, val_inputs = (train - mean) / scale, (val - mean) / scale
    best: LinearProbe | None = None
    for strength in sorted(strengths):
        model = LogisticRegression(C=strength, max_iter=2000).fit(inputs, train_labels)
        accuracy = float((model.predict(val_inputs) == val_labels).mean())
        if best is None or accuracy > best.validation_accuracy:
            best = LinearProbe(strength, accuracy, mean, scale, model)
    if best is None:
        raise InputError("a linear probe needs at least one strength to choose from")
    return best


def _check(features: _Floats, labels: _Ints, name: str) -> None:
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        raise InputError(f"{name} must be (V, C) features with (V,) labels, got {features.shape} and {labels.shape}")
