"""Feature colors: the first three principal components of a network's features, and what they follow."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fima.errors import InputError
from fima.methods.activation import check_feature_maps

__all__ = ["Basis", "Moments", "component_colors", "fit_basis", "principal_components", "share_explained_by"]

NUM_COMPONENTS = 3
_WIDTH = 2.5
"""Standard deviations from gray to full color."""


@dataclass(frozen=True)
class Basis:
    """The first three principal components of features.

    Attributes:
        mean: ``(C,)``.
        components: ``(3, C)`` of unit length, orthogonal, each with its largest loading positive; zeros where the
            features have fewer.
        variances: ``(3,)``, of the features along them.
        total: Variance of the features in all.
    """

    mean: Tensor
    components: Tensor
    variances: Tensor
    total: float

    @property
    def explained(self) -> Tensor:
        """``(3,)``: share of the variance in each component; NaN for constant features."""
        return self.variances / self.total if self.total > 0 else torch.full_like(self.variances, torch.nan)


class Moments:
    """Mean and covariance of features that come clip by clip; memory does not grow with their number."""

    def __init__(self) -> None:
        self._count, self._mean, self._scatter = 0, torch.zeros(()), torch.zeros(())

    def add(self, feature_map: Tensor) -> None:
        """Add all cells of ``(N, C, T', H', W')``.

        Raises:
            InputError: If it is not such.
        """
        check_feature_maps(feature_map=feature_map)
        cells = feature_map.movedim(1, -1).flatten(0, -2).double().cpu()
        count, mean = len(cells), cells.mean(dim=0)
        centered = cells - mean
        total, step = self._count + count, mean - self._mean
        self._scatter = self._scatter + centered.T @ centered + torch.outer(step, step) * (self._count * count / total)
        self._mean = self._mean + step * (count / total)
        self._count = total

    def basis(self) -> Basis:
        """The components of everything that was added.

        Raises:
            InputError: For fewer than two cells.
        """
        if self._count < 2:
            raise InputError(f"components need at least 2 cells, got {self._count}")
        variances, vectors = torch.linalg.eigh(self._scatter / self._count)
        known = min(NUM_COMPONENTS, len(variances))
        components = torch.zeros(NUM_COMPONENTS, len(variances), dtype=torch.float64)
        components[:known] = vectors.T.flip(0)[:known]
        largest = components.gather(1, components.abs().argmax(dim=1, keepdim=True))
        components = torch.where(largest < 0, -components, components)
        first = torch.zeros(NUM_COMPONENTS, dtype=torch.float64)
        first[:known] = variances.flip(0)[:known].clamp(min=0)
        return Basis(self._mean, components, first, float(variances.clamp(min=0).sum()))


def fit_basis(feature_map: Tensor) -> Basis:
    """The components of all cells of a feature map ``(N, C, T', H', W')``.

    >>> line = torch.tensor([[1.0, 2.0, 3.0], [-1.0, -2.0, -3.0]]).reshape(1, 2, 1, 1, 3)
    >>> fit_basis(line).components[0].round(decimals=4).abs().tolist()
    [0.7071, 0.7071]
    """
    moments = Moments()
    moments.add(feature_map)
    return moments.basis()


def principal_components(feature_map: Tensor, basis: Basis) -> Tensor:
    """Features along the components.

    Args:
        feature_map: ``(N, C, T', H', W')``, of the network that the basis is of.
        basis: Of `fit_basis`.

    Returns:
        ``(N, 3, T', H', W')`` float64 on the CPU, 0 at the basis' mean.

    Raises:
        InputError: If it is no such feature map.
    """
    check_feature_maps(feature_map=feature_map)
    if feature_map.shape[1] != len(basis.mean):
        raise InputError(f"feature_map must have the basis' {len(basis.mean)} channels, got {feature_map.shape[1]}")
    centered = feature_map.double().cpu().movedim(1, -1) - basis.mean
    return (centered @ basis.components.T).movedim(-1, 1)


def component_colors(components: Tensor, basis: Basis) -> Tensor:
    """Three components as red, green and blue.

    Args:
        components: ``(N, 3, T', H', W')`` of `principal_components`.
        basis: That they are of; its standard deviations set the scale, so that equal features have equal colors.

    Returns:
        The same shape, in [0, 1]: 0.5 at the mean, 0 and 1 from 2.5 standard deviations on.
    """
    deviations = basis.variances.sqrt().clamp(min=1e-12)[:, None, None, None]
    return (0.5 + components / (2 * _WIDTH * deviations)).clamp(0, 1)


def share_explained_by(components: Tensor, regressors: Tensor) -> Tensor:
    """Share of the variance of three components that a linear function of other maps tells.

    Args:
        components: ``(N, 3, T', H', W')``.
        regressors: ``(N, R, T', H', W')``, such as brightness, or the coordinates of the cells.

    Returns:
        ``(N,)`` in [0, 1]: R² of least squares, each component weighing as its variance; NaN where nothing varies.

    Raises:
        InputError: If grids or numbers of clips differ.
    """
    if components.shape[0] != regressors.shape[0] or components.shape[2:] != regressors.shape[2:]:
        raise InputError(f"maps must share clips and grid, got {tuple(components.shape)}, {tuple(regressors.shape)}")
    told, given = (maps.double().flatten(2).mT for maps in (components, regressors))
    told, given = (values - values.mean(dim=1, keepdim=True) for values in (told, given))
    # An orthonormal basis of what the regressors span; directions that they do not have are left out.
    span, sizes, _ = torch.linalg.svd(given, full_matrices=False)
    span = span * (sizes > 1e-9 * sizes.amax(dim=1, keepdim=True).clamp(min=1e-300))[:, None]
    total = told.pow(2).sum(dim=(1, 2))
    share = (span.mT @ told).pow(2).sum(dim=(1, 2)) / total
    return torch.where((total > 0) & (sizes.amax(dim=1) > 0), share, torch.nan)
