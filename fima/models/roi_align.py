"""Features inside boxes: RoIAlign in plain torch, as two small matrices for each box."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fima.errors import InputError

__all__ = ["roi_align"]


def roi_align(
    features: Tensor,
    boxes: Sequence[Tensor],
    *,
    output_size: int = 7,
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
) -> Tensor:
    """The feature map inside each box on a grid of one size, by bilinear sampling.

    A box is cut into ``output_size``² bins; each is the mean of samples on a regular grid inside it. Coordinates are
    continuous: cell (0, 0) of the map covers [0, 1) × [0, 1) of scaled coordinates, and its value is at (½, ½)
    (``aligned=True`` in Detectron2). Samples up to one cell outside the map have the value at its border, those
    further out 0. Bilinear sampling on a grid is separable, so a bin is ``rowsᵀ · map · columns`` with weights that
    are built here; gradients reach the map, not the boxes.

    Args:
        features: ``(N, C, H, W)``.
        boxes: of each of the N maps ``(R, 4)``: x1, y1, x2, y2 in the input's pixels; R may be 0.
        output_size: P, bins along each side, at least 1.
        spatial_scale: cells per pixel, such as 1/16.
        sampling_ratio: samples along each side of a bin; 0: as many as the bin is long in cells, rounded up (at least
            1, so a box without area has the value at its place).

    Returns:
        ``(ΣR, C, P, P)``, the boxes of the first map first.

    Raises:
        InputError: if a shape or number is out of its range.

    Source: He et al., "Mask R-CNN", ICCV 2017, section 3; conventions of Detectron2's ``ROIAlign``.
    """
    _check(features, boxes, output_size, spatial_scale, sampling_ratio)
    height, width = features.shape[2:]
    pooled = []
    for single, own in zip(features, boxes, strict=True):
        corners = own.detach().to(single.device, torch.float32) * spatial_scale - 0.5
        rows = _weights(corners[:, 1], corners[:, 3], height, output_size, sampling_ratio).to(single.dtype)
        columns = _weights(corners[:, 0], corners[:, 2], width, output_size, sampling_ratio).to(single.dtype)
        pooled.append(torch.einsum("rpw,crow->rcop", columns, torch.einsum("roh,chw->crow", rows, single)))
    return torch.cat(pooled)


def _weights(start: Tensor, end: Tensor, cells: int, bins: int, ratio: int) -> Tensor:
    """``(R, bins, cells)``: how much of each cell is in each bin along one side."""
    length = (end - start) / bins
    samples = torch.full_like(length, ratio) if ratio else length.ceil().clamp_min(1)
    most = int(samples.max()) if len(samples) else 1
    number = torch.arange(most, device=start.device)
    inside = (torch.arange(bins, device=start.device)[:, None] + (number + 0.5) / samples[:, None, None]).float()
    place = start[:, None, None] + inside * length[:, None, None]  # (R, bins, samples)
    counts = (number < samples[:, None, None]) & (place >= -1) & (place <= cells)
    place = place.clamp(0, cells - 1)
    hat = (1 - (place[..., None] - torch.arange(cells, device=start.device)).abs()).clamp_min(0)
    return (hat * counts[..., None]).sum(dim=2) / samples[:, None, None]


def _check(features: Tensor, boxes: Sequence[Tensor], size: int, scale: float, ratio: int) -> None:
    if features.ndim != 4 or len(boxes) != len(features):
        raise InputError(f"roi_align needs (N, C, H, W) and boxes for each, got {tuple(features.shape)}, {len(boxes)}")
    wrong = next((own for own in boxes if own.ndim != 2 or own.shape[1] != 4), None)
    if wrong is not None:
        raise InputError(f"boxes must be (R, 4), got {tuple(wrong.shape)}")
    if size < 1 or ratio < 0 or not scale > 0:
        raise InputError(f"output_size ≥ 1, sampling_ratio ≥ 0, spatial_scale > 0; got {size}, {ratio}, {scale}")
