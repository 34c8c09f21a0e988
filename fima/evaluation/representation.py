"""What features are worth without training on them: effective ranks, and what neighbors know."""

from __future__ import annotations

import torch
from torch import Tensor

from fima.errors import InputError

__all__ = ["lidar", "neighbor_accuracy", "rank_me"]


def rank_me(features: Tensor) -> Tensor:
    """In how many directions features vary: the exponential of the entropy of their singular values' shares.

    Args:
        features: ``(N, D)``, finite; not centered, as in the source.

    Returns:
        A scalar in [1, min(N, D)]: 1 if all lie on one line, D if all directions are used alike.

    Source: RankMe, Garrido et al., ICML 2023, equations 1 and 2.
    """
    return _effective(torch.linalg.svdvals(features.double()))


def lidar(features: Tensor) -> Tensor:
    """In how many directions samples can be told apart, given how much their own views differ.

    The effective rank of ``Σw^-½ Σb Σw^-½``, of the scatter between samples and that within them. Features are scaled
    to a mean variance of 1 first, so that the regularization of Σw (1e-4) does not depend on their scale.

    Args:
        features: ``(N, Q, D)``: Q ≥ 2 views (clips) of each of N ≥ 2 samples (videos), finite.

    Returns:
        A scalar in [1, min(N − 1, D)].

    Raises:
        InputError: If there are fewer samples or views.

    Source: LiDAR, Thilak et al., ICLR 2024, equations 1 to 4; the scaling is ours.
    """
    if features.ndim != 3 or min(features.shape[:2]) < 2:
        raise InputError(f"features must be (N, Q, D) with two samples and two views or more, got {(*features.shape,)}")
    views = features.double()
    samples, count, width = views.shape
    spread = (views - views.mean(dim=(0, 1))).square().mean().sqrt()
    views = views / spread.clamp(min=1e-12)
    centers = views.mean(dim=1)
    between, within = centers - centers.mean(dim=0), (views - centers[:, None]).flatten(0, 1)
    scatter = within.T @ within / (samples * (count - 1)) + 1e-4 * torch.eye(width, dtype=views.dtype)
    values, vectors = torch.linalg.eigh(scatter)
    whitened = between @ (vectors * values.clamp(min=1e-12).rsqrt()) / (samples - 1) ** 0.5
    return _effective(torch.linalg.svdvals(whitened).square())


def neighbor_accuracy(features: Tensor, labels: Tensor, groups: Tensor, k: int = 5) -> Tensor:
    """Share of samples whose label most of their nearest neighbors of other groups have, weighted by similarity.

    Args:
        features: ``(N, D)``, by cosine.
        labels: ``(N,)`` whole numbers from 0.
        groups: ``(N,)``, such as source recordings; samples of one group are no neighbors.
        k: Neighbors that vote.

    Returns:
        A scalar in [0, 1]; NaN where all are of one group.
    """
    rows = torch.nn.functional.normalize(features.double(), dim=1)
    similarity = (rows @ rows.T).masked_fill(groups[:, None] == groups, -torch.inf)
    k = min(k, int((similarity > -torch.inf).sum(dim=1).min()))
    if k < 1:
        return features.new_full((), float("nan"))
    nearest = similarity.topk(k, dim=1)
    votes = torch.zeros(len(rows), int(labels.max()) + 1, dtype=rows.dtype)
    votes.scatter_add_(1, labels[nearest.indices], nearest.values + 1)
    return (votes.argmax(dim=1) == labels).double().mean()


def _effective(values: Tensor) -> Tensor:
    """Effective rank: the exponential of the entropy of the values' shares."""
    shares = values / values.sum().clamp(min=1e-30)
    return torch.exp(torch.special.entr(shares).sum())
