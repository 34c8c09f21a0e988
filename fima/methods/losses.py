"""Contrastive losses of features that the caller has made unit vectors: by clip and by pixel.

Pure functions in at least float32: under autocast too, because similarities are divided by a temperature near 0.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from fima.errors import InputError

__all__ = ["Contrast", "cell_centers", "contrast", "contrast_pixels", "info_nce", "pixel_contrastive_loss", "unit"]


class Contrast(NamedTuple):
    """A contrastive loss and how often its positive won.

    Attributes:
        loss: scalar with a graph.
        accuracy: share in [0, 1] of the queries whose most similar key is a positive; without gradient.
    """

    loss: Tensor
    accuracy: Tensor


def unit(features: Tensor, dim: int = -1) -> Tensor:
    """Features of length 1 along an axis, in float32 at least; a zero vector stays zero."""
    return F.normalize(_full_precision(features), dim=dim)


def info_nce(query: Tensor, key: Tensor, negatives: Tensor, *, temperature: float) -> Tensor:
    """InfoNCE: mean over the queries of ``−log(e^{q·k/τ} / (e^{q·k/τ} + Σ_negatives e^{q·n/τ}))``.

    Args:
        query: ``(N, D)``, unit vectors (they are not normalized here); gradients flow to it.
        key: ``(N, D)``, the positive of each query, unit vectors.
        negatives: ``(M, D)``, shared by all queries, unit vectors; M may be 0.
        temperature: τ, above 0.

    Returns:
        Scalar, at least 0.

    Raises:
        InputError: If the shapes do not fit or the temperature is not above 0.

    Source: MoCo (He et al., CVPR 2020), equation 1; FIMA, equations 1 and 6, and its reference code, ZMHH-H/FIMA
    ``moco/builder.py`` (``compute_logits``), commit fd63cbd.
    """
    return contrast(query, key, negatives, temperature=temperature).loss


def contrast(
    query: Tensor, key: Tensor, *negatives: Tensor, temperature: float, excluded: Tensor | None = None
) -> Contrast:
    """`info_nce` and the share of queries that are more similar to their key than to every negative.

    Args:
        query: As in `info_nce`.
        key: As in `info_nce`.
        negatives: Any number of ``(M, D)``; together they are the negatives, and are not copied to be joined.
        temperature: As in `info_nce`.
        excluded: ``(N, M)`` bool, true where a row of the first negatives is none for a query.

    Raises:
        InputError: As `info_nce`.
    """
    _check_contrast(query, key, negatives, excluded, temperature)
    query = _full_precision(query) / temperature
    positive = (query * key.to(query.dtype)).sum(dim=1)
    negative = [_similarities(query, rows) for rows in negatives]
    if excluded is not None:
        negative[0] = negative[0].masked_fill(excluded, -torch.inf)
    negative = [logits for logits in negative if logits.shape[1]]
    if not negative:
        return Contrast((positive * 0).mean(), torch.ones_like(positive).mean())
    total = _total([torch.logsumexp(logits, dim=1) for logits in negative])
    with torch.no_grad():
        hardest = torch.stack([logits.amax(dim=1) for logits in negative]).amax(dim=0)
        accuracy = (positive > hardest).to(positive.dtype).mean()
    return Contrast(F.softplus(total - positive).mean(), accuracy)


def pixel_contrastive_loss(
    query: Tensor,
    key: Tensor,
    other_keys: Tensor,
    query_boxes: Tensor,
    key_boxes: Tensor,
    query_mask: Tensor,
    key_mask: Tensor,
    *,
    radius: float = 0.7,
    temperature: float = 0.1,
    queue: Tensor | None = None,
) -> Tensor:
    """FIMA's pixel loss: predicted pixels against motion pixels at the same place of the source frame.

    A pixel of the query and one of the key (of the same video) are a positive pair where the centers of their cells, in
    the source frame, are nearer than ``radius`` times the longer of the two cell diagonals and both are foreground. The
    loss of a query pixel is ``−log(Σ_positives e^{s/τ} / Σ_all e^{s/τ})``, *all* being every pixel of ``key`` and
    ``other_keys`` of the whole batch and every row of the queue; averaged over the pixels that have a positive, then
    over the videos that have such a pixel. If there is none: 0, with a graph.

    Args:
        query: ``(N, D, H', W')`` predicted pixels, unit vectors along D (not normalized here); gradients flow to it.
        key: ``(N, D, H', W')`` motion key pixels of the same slice, unit vectors.
        other_keys: ``(N, D, …)`` those of the other slices; may have no element.
        query_boxes: ``(N, 4)``, ``(x1, y1, x2, y2)`` of the view that the query pixels lie in, as shares of the source
            frame; ``x1 > x2`` marks a flipped view.
        key_boxes: ``(N, 4)``, the same of the view of ``key``.
        query_mask: ``(N, H', W')``, true (or not 0) where the query's view is foreground.
        key_mask: ``(N, H', W')``, the same of the view of ``key``.
        radius: Above 0, in diagonals of a cell.
        temperature: τ, above 0.
        queue: ``(K, D)`` more negatives, unit vectors.

    Returns:
        Scalar, at least 0.

    Raises:
        InputError: If shapes do not fit, or the radius or the temperature is not above 0.

    Source: FIMA, section 3.3 and equation 4; ZMHH-H/FIMA ``moco/loss.py``, commit fd63cbd, which returns a positive
    number near 0 where we return 0.
    """
    return contrast_pixels(
        query,
        key,
        other_keys,
        query_boxes,
        key_boxes,
        query_mask,
        key_mask,
        radius=radius,
        temperature=temperature,
        queue=queue,
    ).loss


def contrast_pixels(
    query: Tensor,
    key: Tensor,
    other_keys: Tensor,
    query_boxes: Tensor,
    key_boxes: Tensor,
    query_mask: Tensor,
    key_mask: Tensor,
    *,
    radius: float = 0.7,
    temperature: float = 0.1,
    queue: Tensor | None = None,
) -> Contrast:
    """`pixel_contrastive_loss` and the share of pixels with a positive whose most similar key is one of them.

    Arguments and errors are those of `pixel_contrastive_loss`. Without a pixel that has a positive the accuracy is 0.
    """
    _check_pixels(query, key, other_keys, queue, radius=radius, temperature=temperature)
    _check_geometry(query, query_boxes=query_boxes, key_boxes=key_boxes, query_mask=query_mask, key_mask=key_mask)
    positives = _positives(query_boxes, key_boxes, query_mask, key_mask, radius=radius)
    num_videos, num_pixels = positives.shape[:2]

    rows = _full_precision(query).flatten(2).transpose(1, 2) / temperature
    same_video = _outside_autocast(torch.bmm, rows, key.flatten(2).to(rows.dtype))
    sources = [_pixel_rows(key), _pixel_rows(other_keys)] + ([] if queue is None else [queue])
    logits = [_similarities(rows.flatten(0, 1), source) for source in sources if source.shape[0]]
    total = _total([torch.logsumexp(part, dim=1) for part in logits]).view(num_videos, num_pixels)

    effective = positives.any(dim=2)
    # A pixel without positives takes all of its video instead, so that its value, which is dropped, has a gradient.
    chosen = positives | ~effective[..., None]
    positive = torch.logsumexp(same_video.masked_fill(~chosen, -torch.inf), dim=2)
    loss = _mean_of_means((total - positive).masked_fill(~effective, 0), effective)
    return Contrast(loss, _pixel_accuracy(logits, same_video, positives, effective))


def cell_centers(boxes: Tensor, height: int, width: int) -> Tensor:
    """Where the centers of a grid's cells lie in the source frame.

    Args:
        boxes: ``(N, 4)``, ``(x1, y1, x2, y2)``; ``x1 > x2`` for a flipped view, whose first column then lies right.
        height: Rows of the grid.
        width: Columns of the grid.

    Returns:
        ``(N, height · width, 2)``: x and y in the unit of the boxes, row by row.
    """
    x1, y1, x2, y2 = boxes[:, :, None].unbind(dim=1)
    columns = torch.arange(width, dtype=boxes.dtype, device=boxes.device) + 0.5
    rows = torch.arange(height, dtype=boxes.dtype, device=boxes.device) + 0.5
    x = columns * ((x2 - x1) / width) + x1
    y = rows * ((y2 - y1) / height) + y1
    grid = torch.stack((x[:, None, :].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)), dim=-1)
    return grid.flatten(1, 2)


def _positives(
    query_boxes: Tensor, key_boxes: Tensor, query_mask: Tensor, key_mask: Tensor, *, radius: float
) -> Tensor:
    """``(N, P, P)`` bool: near each other in the source frame, and both foreground."""
    height, width = query_mask.shape[1:]
    query_boxes, key_boxes = _full_precision(query_boxes.detach()), _full_precision(key_boxes.detach())
    offset = cell_centers(query_boxes, height, width)[:, :, None] - cell_centers(key_boxes, height, width)[:, None]
    diagonal = torch.maximum(_cell_diagonal(query_boxes, height, width), _cell_diagonal(key_boxes, height, width))
    near = offset.square().sum(dim=-1).sqrt() / diagonal[:, None, None] < radius
    return near & query_mask.bool().flatten(1)[:, :, None] & key_mask.bool().flatten(1)[:, None]


def _cell_diagonal(boxes: Tensor, height: int, width: int) -> Tensor:
    x1, y1, x2, y2 = boxes.unbind(dim=1)
    return (((x2 - x1) / width).square() + ((y2 - y1) / height).square()).sqrt()


@torch.no_grad()
def _pixel_accuracy(logits: list[Tensor], same_video: Tensor, positives: Tensor, effective: Tensor) -> Tensor:
    """Share of the effective pixels more similar to one of their positives than to every other key.

    Args:
        logits: ``(N·P, …)`` with the keys of the slice, video by video, then with every other source.
        same_video: ``(N, P, P)``: those of the first that belong to the pixel's own video.
        positives: ``(N, P, P)``.
        effective: ``(N, P)``.
    """
    num_videos, num_pixels = effective.shape
    by_video = logits[0].view(num_videos, num_pixels, num_videos, num_pixels).amax(dim=3)
    negatives = same_video.masked_fill(positives, -torch.inf).amax(dim=2)
    by_video.diagonal(dim1=0, dim2=2).copy_(negatives.t())
    others = [part.amax(dim=1).view(num_videos, num_pixels) for part in logits[1:]]
    hardest = torch.stack([by_video.amax(dim=2), *others]).amax(dim=0)
    best = same_video.masked_fill(~positives, -torch.inf).amax(dim=2)
    return ((best > hardest) & effective).sum() / effective.sum().clamp(min=1)


def _mean_of_means(losses: Tensor, effective: Tensor) -> Tensor:
    """Mean over a video's effective pixels, then over the videos that have any; elsewhere the losses are 0."""
    pixels = effective.sum(dim=1)
    per_video = losses.sum(dim=1) / pixels.clamp(min=1)
    return per_video.sum() / (pixels > 0).sum().clamp(min=1)


def _pixel_rows(maps: Tensor) -> Tensor:
    """``(N, D, …)`` → ``(pixels of the batch, D)``."""
    return maps.flatten(2).transpose(1, 2).flatten(0, 1)


def _similarities(query: Tensor, rows: Tensor) -> Tensor:
    return _outside_autocast(torch.matmul, query, rows.to(query.dtype).t())


def _outside_autocast(product: Callable[[Tensor, Tensor], Tensor], left: Tensor, right: Tensor) -> Tensor:
    with torch.autocast(left.device.type, enabled=False):
        return product(left, right)


def _total(parts: list[Tensor]) -> Tensor:
    """Log of the sum of exponentials over several sources of keys."""
    return parts[0] if len(parts) == 1 else torch.logsumexp(torch.stack(parts), dim=0)


def _full_precision(values: Tensor) -> Tensor:
    """Half precision as float32; float32 and float64 as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _check_contrast(
    query: Tensor, key: Tensor, negatives: tuple[Tensor, ...], excluded: Tensor | None, temperature: float
) -> None:
    if query.ndim != 2 or query.shape != key.shape:
        raise InputError(f"query and key must both be (N, D), got {tuple(query.shape)} and {tuple(key.shape)}")
    for rows in negatives:
        if rows.ndim != 2 or rows.shape[1] != query.shape[1]:
            raise InputError(f"negatives must be (M, {query.shape[1]}), got {tuple(rows.shape)}")
    if excluded is not None and excluded.shape != (len(query), *(len(rows) for rows in negatives[:1])):
        raise InputError(f"excluded must be a row for each query and a column for each negative, got {excluded.shape}")
    _check_positive(temperature=temperature)


def _check_pixels(
    query: Tensor, key: Tensor, other_keys: Tensor, queue: Tensor | None, *, radius: float, temperature: float
) -> None:
    if query.ndim != 4 or query.shape != key.shape:
        raise InputError(f"query and key must both be (N, D, H', W'), got {tuple(query.shape)} and {tuple(key.shape)}")
    if other_keys.ndim < 3 or other_keys.shape[:2] != query.shape[:2]:
        raise InputError(f"other_keys must be {tuple(query.shape[:2])} and more axes, got {tuple(other_keys.shape)}")
    if queue is not None and (queue.ndim != 2 or queue.shape[1] != query.shape[1]):
        raise InputError(f"queue must be (K, {query.shape[1]}), got {tuple(queue.shape)}")
    _check_positive(radius=radius, temperature=temperature)


def _check_geometry(query: Tensor, **tensors: Tensor) -> None:
    n, _, height, width = query.shape
    for name, tensor in tensors.items():
        expected = (n, 4) if name.endswith("boxes") else (n, height, width)
        if tuple(tensor.shape) != expected:
            raise InputError(f"{name} must be {expected}, got {tuple(tensor.shape)}")


def _check_positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise InputError(f"{name} must be above 0, got {value}")
