"""Is the representation healthy? Three numbers of unit vectors, and a watch over them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from fima.errors import InputError

__all__ = [
    "CollapseWatch",
    "alignment",
    "collapse_measures",
    "feature_spread",
    "uniformity",
]

_ROWS = 5  # a fresh network's features lie close together for a while


def collapse_measures(query: Tensor, key: Tensor) -> dict[str, Tensor]:
    """All three for a batch of pairs.

    Args:
        query: ``(2, N, D)`` unit vectors of the views m and n.
        key: the same.

    Returns:
        "spread" and "uniformity" of the queries, averaged over the views, and "alignment" of each query with the
        other view's key: scalars.
    """
    if query.ndim != 3 or query.shape != key.shape:
        raise InputError(f"query and key must be (2, N, D) alike, got {tuple(query.shape)} and {tuple(key.shape)}")
    views = [view.float() for view in query]
    return {
        "spread": torch.stack([feature_spread(view) for view in views]).mean(),
        "alignment": alignment(query.float().flatten(0, 1), key.float().flip(0).flatten(0, 1)),
        "uniformity": torch.stack([uniformity(view) for view in views]).mean(),
    }


def feature_spread(features: Tensor) -> Tensor:
    """How far unit vectors spread: 0 if all are one vector, about 1 if they point everywhere alike.

    The root of ``N/(N−1) · Σ_d var_d`` over the N vectors ``(N, D)``: the standard deviation of the features over that
    of vectors spread evenly on the sphere, which is ``1/√D`` in each dimension.

    Source: the watch on the output's standard deviation of SimSiam (Chen and He, CVPR 2021, figure 2).
    """
    if len(features) < 2:
        return features.new_full((), float("nan"))
    return features.var(dim=0, correction=1).sum().clamp(min=0).sqrt()


def alignment(query: Tensor, key: Tensor) -> Tensor:
    """Mean squared distance of positive pairs ``(N, D)``, in [0, 4]; 0 where each equals its partner.

    Source: Wang and Isola, ICML 2020, equation 1 (α = 2).
    """
    return (query - key).square().sum(dim=1).mean()


def uniformity(features: Tensor) -> Tensor:
    """Logarithm of the mean of ``exp(−2 ‖x − y‖²)`` over pairs of N vectors ``(N, D)``: 0 if all are one, else lower.

    Source: Wang and Isola, ICML 2020, equation 2 (t = 2).
    """
    if len(features) < 2:
        return features.new_full((), float("nan"))
    distances = torch.pdist(features).square()
    return (-2 * distances).logsumexp(dim=0) - torch.log(distances.new_tensor(float(len(distances))))


class CollapseWatch:
    """Says in words that a representation collapses, once each time it has for a while; a listener of the `Recorder`.

    Args:
        threshold: Least healthy spread.
        tell: Called with a line.
    """

    def __init__(self, threshold: float, tell: Callable[[str], None]) -> None:
        self.threshold, self.tell = threshold, tell
        self.low = 0

    def __call__(self, row: dict[str, float]) -> None:
        """Look at a row of metrics."""
        spread = row.get("spread")
        if spread is None or spread != spread:  # unknown, or of a single sample
            return
        self.low = self.low + 1 if spread < self.threshold else 0
        if self.low == _ROWS:
            self.tell(
                f"step {row['step']:.0f}: the features may be collapsing: for {_ROWS} rows their spread was below "
                f"{self.threshold:g} of that of evenly spread ones, now {spread:.2f} (uniformity "
                f"{row['uniformity']:.2f}, 0 when all are one; alignment {row['alignment']:.2f}). A lower learning "
                "rate, a warm-up, or a larger batch are the usual cures"
            )
