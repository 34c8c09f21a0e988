"""Background battery: does a probe of classes look at what acts, or at where it acts? Arrays in, arrays out.

Sources: SCUBA, SCUFO and their contrast: Li et al., "Mitigating and Evaluating Static Bias of Action Representations in
the Background and the Foreground" (StillMix), ICCV 2023; action swap, background only and human only: Chung et al.,
"Enabling Detailed Action Recognition Evaluation Through Video Dataset Augmentation" (HAT), NeurIPS 2022. The fill, the
stripes and the noise are ours.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.measures.common.probing import mean_of_known
from fima.errors import InputError

__all__ = ["FOREIGN", "background_scores", "fill_background", "noise_picture", "still_of", "stripes_picture"]

FOREIGN = ("video", "stripes", "noise")
"""Kinds of foreign backgrounds: another video's, at rest; colored stripes; noise in every pixel."""
_Ints = NDArray[np.int64]
_WAVES = (2.0, 8.0)  # periods of the stripes along the picture's side


def fill_background(frames: Tensor, mask: Tensor) -> Tensor:
    """A clip without its object: where the object is, the median over time of what is seen there without it.

    A pixel that the object never leaves takes the nearest one that it does.

    Args:
        frames: ``(T, 3, H, W)`` uint8.
        mask: ``(T, H, W)`` bool, true on the object; at least one pixel is free of it at some time.

    Returns:
        ``(T, 3, H, W)`` uint8; exact where the camera rests.

    Raises:
        InputError: If the shapes do not fit, or the object fills every frame.
    """
    return torch.where(mask[:, None], still_of(frames, mask), frames)


def still_of(frames: Tensor, mask: Tensor) -> Tensor:
    """The background at rest, ``(3, H, W)`` uint8: the median over time; arguments and errors of `fill_background`."""
    from scipy.ndimage import distance_transform_edt

    if frames.ndim != 4 or mask.dtype != torch.bool or tuple(mask.shape) != (len(frames), *frames.shape[2:]):
        raise InputError(f"frames must be (T, 3, H, W) and mask (T, H, W) bool, got {(*frames.shape,)}, {mask.dtype}")
    if bool(mask.all()):
        raise InputError("the object fills every frame: there is no background")
    median = frames.float().masked_fill(mask[:, None], torch.nan).nanmedian(dim=0).values
    hidden = mask.all(dim=0).numpy()
    if hidden.any():
        rows, columns = distance_transform_edt(hidden, return_distances=False, return_indices=True)
        median = median[:, torch.from_numpy(rows).long(), torch.from_numpy(columns).long()]
    return median.round().to(torch.uint8)


def stripes_picture(size: int, name: str) -> Tensor:
    """Sinusoidal stripes of two colors, ``(3, size, size)`` uint8; direction, width and colors are the name's."""
    rng = _generator("stripes", name)
    angle, waves, phase = rng.uniform(0, math.pi), rng.uniform(*_WAVES), rng.uniform(0, 2 * math.pi)
    ticks = np.arange(size) / size
    along = math.cos(angle) * ticks[None, :] + math.sin(angle) * ticks[:, None]
    share = np.sin(2 * math.pi * waves * along + phase) / 2 + 0.5
    first, second = rng.uniform(0, 255, (2, 3, 1, 1))
    return torch.from_numpy(np.rint(first * share + second * (1 - share)).astype(np.uint8))


def noise_picture(size: int, name: str) -> Tensor:
    """Noise, every pixel and color for itself, ``(3, size, size)`` uint8; drawn for the name."""
    return torch.from_numpy(_generator("noise", name).integers(0, 256, (3, size, size), dtype=np.uint8))


def background_scores(
    answers: Mapping[str, _Ints], labels: _Ints, background_labels: _Ints
) -> dict[str, NDArray[np.float64]]:
    """Scores of every video from what a probe said of it and of its altered selves.

    Args:
        answers: Predicted labels ``(V,)``, -1 where nothing was asked, of ``original``; ``scuba_<kind>`` and
            ``scufo_<kind>`` for the kinds of ``FOREIGN``; ``swap``; ``background_only``; ``foreground_only``.
        labels: ``(V,)``.
        background_labels: ``(V,)`` class of the video whose background ``swap`` has; -1 without one.

    Returns:
        Each ``(V,)`` in [0, 1], NaN where nothing was asked: the names of ``answers`` but for ``swap``, right or wrong;
        ``scuba`` and ``scufo``, their means over kinds; ``contra``, likewise, right on the first and wrong on the
        second; ``swap_foreground`` and ``swap_background``, whether the answer is that one's class.
    """
    right = {name: _equal(found, labels) for name, found in answers.items() if name != "swap"}
    contra = []
    for kind in FOREIGN:
        scuba, scufo = right[f"scuba_{kind}"], right[f"scufo_{kind}"]
        contra.append(np.where(np.isnan(scuba + scufo), np.nan, (scuba == 1) & (scufo == 0)))
    means = {what: mean_of_known([right[f"{what}_{kind}"] for kind in FOREIGN]) for what in ("scuba", "scufo")}
    swapped = {"swap_foreground": labels, "swap_background": background_labels}
    return (
        right | means | {"contra": mean_of_known(contra)} | {n: _equal(answers["swap"], s) for n, s in swapped.items()}
    )


def _equal(answers: _Ints, labels: _Ints) -> NDArray[np.float64]:
    return np.where(answers < 0, np.nan, answers == labels)


def _generator(*words: str) -> np.random.Generator:
    """Of the words alone, so that nothing depends on batches or on the order of the videos."""
    digest = hashlib.blake2b(":".join(words).encode(errors="surrogateescape"), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))
