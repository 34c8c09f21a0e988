"""Motion sensitivity: how far features go when a clip's motion is changed, and when its appearance is.

spec analysis.md: "motion sensitivity"; the alterations and their strengths are ours. Clips are ``(N, 3, T, H, W)`` in
[0, 1], floating point, and are left as they were. What is drawn depends on the seed alone, so that every clip of a
study is altered in the same way whatever its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from analysis.measures.affinity import cosine_matrix
from fima.errors import InputError
from fima.seeding import shuffled_order
from fima.transforms.colors import Colors, apply_colors

__all__ = [
    "ALTERATIONS",
    "APPEARANCE_CHANGES",
    "MOTION_CHANGES",
    "change_speed",
    "color_jitter",
    "cosine_distance",
    "frozen",
    "grayscale",
    "replace_background",
    "sensitivity_scores",
    "shuffled",
    "time_reversed",
]

JITTER = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}
"""The ends of the ranges of FIMA's training (``fima.transforms.colors.ColorAugment``), in the order in which they
are applied: factors 1 ± x, hue ± x turns."""


def frozen(clip: Tensor) -> Tensor:
    """The middle frame, ``T // 2``, all the time: the appearance without the motion."""
    _check_clip(clip)
    length = clip.shape[2]
    return clip[:, :, length // 2].unsqueeze(2).repeat(1, 1, length, 1, 1)


def shuffled(clip: Tensor, seed: int = 0) -> Tensor:
    """The frames in another order, the same for all clips of a length; never the order that they had (T ≥ 2)."""
    _check_clip(clip)
    return _at(clip, shuffled_order(clip.shape[2], seed))


def time_reversed(clip: Tensor) -> Tensor:
    """The frames from last to first."""
    _check_clip(clip)
    return clip.flip(2)


def change_speed(clip: Tensor, factor: float) -> Tensor:
    """The clip played faster or slower, from its own frames alone, with its own length.

    Frames are taken as they are, none is blended: two half-transparent objects would be a change of appearance.
    Slower shows the middle ``factor · T`` frames, each as often as it takes (0.5: twice). Faster skips frames, and on
    reaching the end plays backwards, so that there is no jump cut; at 2, with T even, every frame is seen once: the
    odd ones forwards, then the even ones backwards. Half of it is thus reversed motion.

    Args:
        clip: ``(N, 3, T, H, W)``.
        factor: Factor of the speed, above 0; 1 changes nothing.

    Raises:
        InputError: If the clip is not of that shape, or the factor is not above 0.
    """
    _check_clip(clip)
    if not factor > 0:
        raise InputError(f"factor must be above 0, got {factor}")
    length = clip.shape[2]
    begin = max(0.0, length * (1 - factor) / 2)
    played = np.floor(begin + factor * (np.arange(length) + 0.5)).astype(np.int64) % (2 * length)
    return _at(clip, np.minimum(played, 2 * length - 1 - played))


def grayscale(clip: Tensor) -> Tensor:
    """Luma (ITU-R BT.601) in all three channels."""
    return apply_colors(clip, _colors(len(clip), gray=True))


def color_jitter(clip: Tensor, seed: int = 0) -> Tensor:
    """Brightness, contrast, saturation and hue changed by ``JITTER``, in that order, alike in all frames of all clips.

    The seed gives directions, never strengths. It is always darker and never brighter: a bright object before a bright
    wall would be clipped to white with it, and its motion be gone.
    """
    signs = np.random.default_rng(seed).integers(2, size=len(JITTER)) * 2 - 1
    signs[0] = -1
    return apply_colors(clip, _colors(len(clip), signs=signs))


def replace_background(clip: Tensor, mask: Tensor, background: Tensor) -> Tensor:
    """The object as it moves, before another background; the edge is hard.

    Args:
        clip: ``(N, 3, T, H, W)``.
        mask: ``(N, T, H, W)`` bool, true on the object.
        background: ``(N, 3, T, H, W)``, or ``(N, 3, 1, H, W)`` for one that rests.

    Raises:
        InputError: If a shape does not fit or the mask is not bool.
    """
    _check_clip(clip)
    n, channels, length, height, width = clip.shape
    if mask.dtype != torch.bool or tuple(mask.shape) != (n, length, height, width):
        raise InputError(f"mask must be {(n, length, height, width)} bool, got {tuple(mask.shape)} {mask.dtype}")
    fitting = [(n, channels, frames, height, width) for frames in (length, 1)]
    if tuple(background.shape) not in fitting:
        raise InputError(f"background must be {fitting[0]} or {fitting[1]}, got {tuple(background.shape)}")
    return torch.where(mask[:, None], clip, background.to(clip.dtype))


ALTERATIONS: Mapping[str, Callable[[Tensor, int], Tensor]] = {
    "frozen": lambda clip, _seed: frozen(clip),
    "shuffled": shuffled,
    "reversed": lambda clip, _seed: time_reversed(clip),
    "half_speed": lambda clip, _seed: change_speed(clip, 0.5),
    "double_speed": lambda clip, _seed: change_speed(clip, 2.0),
    "grayscale": lambda clip, _seed: grayscale(clip),
    "color_jitter": color_jitter,
}
"""Clip and seed → altered clip, by name: those that need nothing else."""
MOTION_CHANGES = ("frozen", "shuffled", "reversed", "half_speed", "double_speed")
APPEARANCE_CHANGES = ("grayscale", "color_jitter", "background_replaced")
"""They keep the motion of the object."""


def cosine_distance(first: Tensor, second: Tensor) -> Tensor:
    """``1 − cosine`` of vectors in pairs.

    Args:
        first: ``(N, C)``, floating point.
        second: ``(N, C)``.

    Returns:
        ``(N,)`` float64 in [0, 2]; exactly 0 for equal vectors, NaN where one has length 0.

    Raises:
        InputError: If the shapes differ or are not 2-D.
    """
    if first.ndim != 2 or first.shape != second.shape:
        raise InputError(
            f"features must be (N, C), one shape for both, got {tuple(first.shape)}, {tuple(second.shape)}"
        )
    cosine = cosine_matrix(first.double()[:, None], second.double()[:, None])[:, 0, 0]
    empty = (first == 0).all(dim=1) | (second == 0).all(dim=1)
    return (1 - cosine).masked_fill(empty, torch.nan)


def sensitivity_scores(features: Tensor, altered: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """How far the features of clips are from those of their altered selves.

    Args:
        features: ``(N, C)`` of the clips, averaged over time and space.
        altered: Name of the alteration → ``(N, C)`` of the altered clips; NaN where there is none.

    Returns:
        Each ``(N,)`` float64:

        - the names of ``altered``: cosine distance, in [0, 2]; 0: the alteration changes nothing. NaN where a feature
          vector is zero.
        - ``motion_share``, given ``frozen`` and ``background_replaced``: frozen / (frozen + background replaced), in
          [0, 1]; 0.5: motion and background weigh the same. NaN where neither changes anything.

    Raises:
        InputError: If a shape does not fit.
    """
    scores = {name: cosine_distance(features, changed) for name, changed in altered.items()}
    if "frozen" in scores and "background_replaced" in scores:
        scores["motion_share"] = scores["frozen"] / (scores["frozen"] + scores["background_replaced"])  # 0 / 0 = NaN
    return scores


def _at(clip: Tensor, frames: np.ndarray) -> Tensor:
    return clip.index_select(2, torch.as_tensor(frames, device=clip.device))


def _colors(count: int, *, gray: bool = False, signs: np.ndarray | None = None) -> Colors:
    """The same for all clips: luma, or the four changes of ``JITTER`` in these directions."""
    brightness, contrast, saturation, hue = np.array(list(JITTER.values())) * (0 if signs is None else signs)
    return Colors(
        gray=np.full(count, gray),
        jitter=np.full(count, signs is not None),
        brightness=np.full(count, 1 + brightness),
        contrast=np.full(count, 1 + contrast),
        saturation=np.full(count, 1 + saturation),
        hue=np.full(count, hue),
        order=np.tile(np.arange(len(JITTER)), (count, 1)),
        blur=np.zeros(count, dtype=np.bool_),
        sigma=np.ones(count),
    )


def _check_clip(clip: Tensor) -> None:
    if clip.ndim != 5 or clip.shape[1] != 3 or not clip.is_floating_point():
        raise InputError(f"clip must be (N, 3, T, H, W) floating point, got {tuple(clip.shape)} {clip.dtype}")
