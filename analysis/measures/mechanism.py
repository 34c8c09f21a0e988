"""FIMA's own mechanism, measured: matching cells of two views, the decoder's attention, predicted against true motion.

Pure functions of what a method computes from two views m and n of each of N videos (the first axis of size 2, in that
order). ``P = H'·W'`` cells of a view's feature grid, row by row. Means over nothing are NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from fima.errors import InputError
from fima.methods.losses import cell_centers

__all__ = [
    "Trace",
    "both_ways",
    "box_overlap",
    "foreground_overlap",
    "matching_cells",
    "mean_where",
    "mechanism_scores",
    "positive_pairs",
    "rank_one",
    "share_on",
]


@dataclass(frozen=True)
class Trace:
    """What a FIMA method computes from the views m and n of N videos.

    Attributes:
        boxes: ``(2, N, 4)``, ``x1, y1, x2, y2`` as shares of the source frame; ``x1 > x2`` in a flipped view.
        masks: ``(2, N, H', W')`` bool, the foreground.
        predicted: ``(2, T', N, P, D)`` unit vectors: index 0 is the motion of n at the positions of m, from slice i of
            both; index 1 the motion of m at the positions of n.
        keys: ``(2, T', N, P, D)`` unit vectors: the true motion of m and of n.
        attention: ``(2, T', N, layers, heads, S, P)``: index 0 is m looking at n; S counts the class token, if there is
            one, and then the positions. None without a decoder.
    """

    boxes: Tensor
    masks: Tensor
    predicted: Tensor
    keys: Tensor
    attention: Tensor | None

    @property
    def has_token(self) -> bool:
        """Whether the first row of the attention is the class token's."""
        return self.attention is not None and self.attention.shape[-2] > self.attention.shape[-1]


def matching_cells(boxes: Tensor, grid: tuple[int, int], *, radius: float) -> Tensor:
    """Which cells of the two views show the same place of the source frame.

    Args:
        boxes: ``(2, N, 4)``, see ``Trace``.
        grid: H' and W'.
        radius: In diagonals of the larger of the two cells; nearer centers match.

    Returns:
        ``(N, P, P)`` bool, cell of m by cell of n.

    Raises:
        InputError: If boxes or radius cannot be used.

    Source: FIMA, section 3.3; the pixel loss of ``fima.methods.losses`` takes those of them that are foreground.
    """
    if boxes.ndim != 3 or boxes.shape[0] != 2 or boxes.shape[2] != 4:
        raise InputError(f"boxes must be (2, N, 4), got {tuple(boxes.shape)}")
    if not radius > 0:
        raise InputError(f"radius must be above 0, got {radius}")
    m, n = boxes.to(torch.promote_types(boxes.dtype, torch.float32))
    offset = cell_centers(m, *grid)[:, :, None] - cell_centers(n, *grid)[:, None]
    diagonal = torch.maximum(_cell_diagonal(m, grid), _cell_diagonal(n, grid))
    distance = offset.square().sum(dim=-1).sqrt() / diagonal[:, None, None]
    return distance.lt(radius)


def positive_pairs(boxes: Tensor, masks: Tensor, *, radius: float) -> Tensor:
    """The positives of the pixel loss: cells that match and are foreground, both.

    Args:
        boxes: ``(2, N, 4)``.
        masks: ``(2, N, H', W')`` bool.
        radius: As of ``matching_cells``.

    Returns:
        ``(N, P, P)`` bool, cell of m by cell of n; the other direction is its transpose.
    """
    if masks.ndim != 4 or masks.shape[:2] != boxes.shape[:2] or masks.dtype != torch.bool:
        raise InputError(f"masks must be (2, N, H', W') bool as boxes are, got {tuple(masks.shape)} {masks.dtype}")
    m, n = masks.flatten(2)
    grid = (masks.shape[2], masks.shape[3])
    pairs: Tensor = matching_cells(boxes, grid, radius=radius) & m[:, :, None] & n[:, None]
    return pairs


def both_ways(pairs: Tensor) -> Tensor:
    """Pairs ``(N, P, P)`` of m and n, as m sees them and as n does: ``(2, 1, N, P, P)``, to go with every slice."""
    return torch.stack((pairs, pairs.mT))[:, None]


def box_overlap(boxes: Tensor) -> Tensor:
    """What the two views have in common: ``(2, N, 4)`` → ``(N, 4)``, ``x1 ≤ x2``; NaN where nothing."""
    low = torch.minimum(boxes[..., :2], boxes[..., 2:]).amax(dim=0)
    high = torch.maximum(boxes[..., :2], boxes[..., 2:]).amin(dim=0)
    empty = (low >= high).any(dim=-1, keepdim=True)
    return torch.cat((low, high), dim=-1).masked_fill(empty, math.nan)


def foreground_overlap(matching: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Do the two views agree on what is foreground where they show the same place?

    Args:
        matching: ``(N, P, P)`` of ``matching_cells``.
        masks: ``(2, N, H', W')`` bool.

    Returns:
        ``(N,)`` each: of the matching pairs with a foreground cell, the share in which both are (the masks' IoU at
        matching places); and what masks that take as many of these places, but independently, would have.
    """
    m, n = masks.flatten(2)
    pairs = matching.sum(dim=(1, 2))
    both = (matching & m[:, :, None] & n[:, None]).sum(dim=(1, 2))
    in_m, in_n = (matching & m[:, :, None]).sum(dim=(1, 2)), (matching & n[:, None]).sum(dim=(1, 2))
    by_chance = in_m * in_n / pairs
    return both / (in_m + in_n - both), by_chance / (in_m + in_n - by_chance)


def mean_where(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean of the chosen entries of the last axis, NaN where there is none; the two shapes are broadcast."""
    chosen = chosen.expand_as(values)
    return values.masked_fill(~chosen, 0).sum(dim=-1) / chosen.sum(dim=-1)


def rank_one(similarity: Tensor, positives: Tensor) -> tuple[Tensor, Tensor]:
    """How often the key cell that is most similar to a prediction is one of its positives; of equal ones, their share.

    Args:
        similarity: ``(…, P, P)``, predicted cell by key cell.
        positives: bool, broadcast to it.

    Returns:
        ``(…)`` each: the share of the predicted cells that have a positive, and what a random key cell would give.
    """
    positives = positives.expand_as(similarity)
    effective = positives.any(dim=-1)
    first = (similarity == similarity.amax(dim=-1, keepdim=True)).to(similarity.dtype)
    hit = (first * positives).sum(dim=-1) / first.sum(dim=-1)
    chance = positives.to(similarity.dtype).mean(dim=-1)
    return mean_where(hit, effective), mean_where(chance, effective)


def share_on(attention: Tensor, cells: Tensor) -> Tensor:
    """Attention ``(…, P)`` that falls on the chosen cells, in [0, 1]; shapes are broadcast. Chance: their share."""
    return (attention * cells).sum(dim=-1)


def prediction_cosine(trace: Trace, keys: Tensor, *, radius: float) -> Tensor:
    """Cosine of predicted motion with motion in matching cells: mean over a cell's positives, then over such cells.

    Args:
        trace: What the method computed.
        keys: ``(2, T', N or 1, P, D)``, the motion: the trace's own, or, as a chance level, another video's.
        radius: Radius of the method's pixel loss.

    Returns:
        ``(N,)`` in [-1, 1]; NaN for views without positives.
    """
    positives = both_ways(positive_pairs(trace.boxes, trace.masks, radius=radius))
    similarity = _similarity(trace.predicted.float(), keys.float().expand_as(trace.keys))
    return _over_views(mean_where(similarity, positives).nanmean(dim=-1))


def mechanism_scores(trace: Trace, *, radius: float) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Scores of each pair of views, and their chance levels; averaged over slices, both directions, layers and heads.

    Args:
        trace: What the method computed.
        radius: Radius of the method's pixel loss.

    Returns:
        Name → ``(N,)``, scores and chance levels, NaN where a pair of views cannot tell:

        - ``positive_pairs``: their number; no chance level.
        - ``foreground_overlap``: see the function of that name.
        - ``prediction_cosine``: see the function of that name. Chance: with another video's motion (not among these).
        - ``elsewhere_cosine``: the same predictions with all other cells of the right video; no chance level.
        - ``rank_one``: see the function of that name, over the cells of the right video and slice.
        - ``attention_on_foreground``, ``token_on_foreground``: share of the attention of positions, and of the class
          token, that falls on the other view's foreground. Chance: the foreground's share of the cells.
        - ``attention_on_match``: share of a position's attention on cells that show the same place, for positions that
          have such cells. Chance: the share of these cells.

    Source: ours; the paper shows none of this.
    """
    masks = trace.masks
    matching = matching_cells(trace.boxes, (masks.shape[2], masks.shape[3]), radius=radius)
    pairs = positive_pairs(trace.boxes, masks, radius=radius)
    positives = both_ways(pairs)
    similarity = _similarity(trace.predicted, trace.keys)
    overlap, overlap_chance = foreground_overlap(matching, masks)
    ranked, ranked_chance = rank_one(similarity, positives)
    scores = {
        "positive_pairs": pairs.sum(dim=(1, 2)),
        "foreground_overlap": overlap,
        "prediction_cosine": prediction_cosine(trace, trace.keys, radius=radius),
        "elsewhere_cosine": _over_views(_elsewhere(similarity, positives).nanmean(dim=-1)),
        "rank_one": _over_views(ranked),
    }
    chance = {"foreground_overlap": overlap_chance, "rank_one": _over_views(ranked_chance)}
    if trace.attention is not None:
        for name, (score, level) in _attention_scores(trace, both_ways(matching)).items():
            scores[name], chance[name] = score, level
    return scores, chance


def _attention_scores(trace: Trace, matching: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    assert trace.attention is not None
    weights = trace.attention.mean(dim=(3, 4))  # over layers and heads: (2, T', N, S, P)
    seen = trace.masks.flatten(2).flip(0)[:, None, :, None]  # the foreground of the view that is looked at
    level = _over_views(seen.expand(-1, weights.shape[1], -1, -1, -1).to(weights.dtype).mean(dim=(3, 4)))
    tokens = int(trace.has_token)
    positions = weights[:, :, :, tokens:]
    scores = {"attention_on_foreground": (_over_views(share_on(positions, seen).mean(dim=-1)), level)}
    if tokens:
        scores["token_on_foreground"] = (_over_views(share_on(weights[:, :, :, :1], seen)[..., 0]), level)
    cells, found = matching.expand_as(positions), matching.any(dim=-1).expand(positions.shape[:-1])
    on_match = mean_where(share_on(positions, cells), found)
    by_chance = mean_where(cells.to(weights.dtype).mean(dim=-1), found)
    return scores | {"attention_on_match": (_over_views(on_match), _over_views(by_chance))}


def _similarity(predicted: Tensor, keys: Tensor) -> Tensor:
    """Cosines ``(2, T', N, P, P)`` of predictions with the motion of the view that they predict, the other one."""
    return predicted @ keys.flip(0).mT


def _elsewhere(similarity: Tensor, positives: Tensor) -> Tensor:
    """Mean over the keys that are not positives, at the positions that have a positive."""
    return mean_where(similarity, positives.any(dim=-1, keepdim=True) & ~positives)


def _over_views(values: Tensor) -> Tensor:
    """``(2, T', N)`` → ``(N,)``."""
    return values.nanmean(dim=(0, 1))


def _cell_diagonal(boxes: Tensor, grid: tuple[int, int]) -> Tensor:
    x1, y1, x2, y2 = boxes.unbind(dim=-1)
    return (((x2 - x1) / grid[1]).square() + ((y2 - y1) / grid[0]).square()).sqrt()
