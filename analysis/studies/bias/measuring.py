"""Background-bias gap: does a motion probe on a backbone's features lean on the background?

Ours, after the paper's claim that motion cures background bias; drawn videos (`fima.data.shapes`) have a background
that can be swapped while motion and object stay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from fima.checkpoints import LoadedBackbone
from fima.data.clip_protocol import MIDDLE_CLIP
from fima.data.datasets import VideoDataset, open_dataset
from fima.data.shapes import ShapesRecord, require_backgrounds
from fima.errors import InputError
from fima.evaluation.features import clip_features
from fima.evaluation.probes import fit_linear_probe

__all__ = ["BiasGap", "BiasWorlds", "Labeled", "bias_gap", "bias_worlds", "measure_bias"]

Labeled = tuple[NDArray[np.floating[Any]], NDArray[np.int64]]
"""Features ``(V, C)`` and labels ``(V,)``."""


@dataclass(frozen=True)
class BiasGap:
    """What a motion probe gets right with the backgrounds it was trained with, and with swapped ones.

    Attributes:
        correlated: ``(V,)`` bool: right where the background tells the class as often as in training.
        swapped: ``(V,)`` bool: right on the same motions and objects before the background of another class.
        strength: Inverse regularization that the validation videos chose.
        validation_accuracy: What it reached there, in [0, 1].
    """

    correlated: NDArray[np.bool_]
    swapped: NDArray[np.bool_]
    strength: float
    validation_accuracy: float

    @property
    def gap(self) -> NDArray[np.float64]:
        """``(V,)`` in {-1, 0, 1}: right with correlated minus right with swapped background; its mean is the gap."""
        return self.correlated.astype(np.float64) - self.swapped


def bias_gap(train: Labeled, val: Labeled, test: Labeled, swapped: Labeled) -> BiasGap:
    """Train a linear motion probe and test it on both kinds of background.

    Args:
        train: Videos whose background tells the class on a share of them.
        val: Alike; chooses the regularization.
        test: Alike.
        swapped: The same videos as ``test``, in its order, with the background of another class.

    Raises:
        InputError: If ``test`` and ``swapped`` are not of the same motions, a shape does not fit, or the training
            videos are of one class.
    """
    if not np.array_equal(test[1], swapped[1]):
        raise InputError("swapped must be the videos of test with another background, but their labels differ")
    probe = fit_linear_probe(*train, *val)
    right = [probe.predict(features) == labels for features, labels in (test, swapped)]
    return BiasGap(right[0], right[1], probe.strength, probe.validation_accuracy)


@dataclass(frozen=True)
class BiasWorlds:
    """Drawn videos for one gap; ``swapped`` are those of ``test`` with another class's background."""

    train: VideoDataset
    val: VideoDataset
    test: VideoDataset
    swapped: VideoDataset

    def __len__(self) -> int:
        """Videos that are read, each of the swapped ones too."""
        return sum(len(part) for part in self.parts)

    @property
    def parts(self) -> tuple[VideoDataset, VideoDataset, VideoDataset, VideoDataset]:
        """In the order of ``bias_gap``."""
        return self.train, self.val, self.test, self.swapped

    @property
    def classes(self) -> int:
        """Number of classes of motion."""
        return len(self.test.class_names)

    def patterns(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """``(V,)`` each: the background's id in the test videos, and in the swapped ones."""
        test, swapped = ([cast(ShapesRecord, record).pattern for record in part] for part in (self.test, self.swapped))
        return np.array(test), np.array(swapped)


def bias_worlds(regime: str, videos: tuple[int, int, int], *, correlation: float = 0.9) -> BiasWorlds:
    """Drawn videos whose background tells the class on a share of them.

    Args:
        regime: A key of `fima.data.shapes.REGIMES`, also with knobs: ``natural,textures=DIR``.
        videos: Number of videos for training, validation and test.
        correlation: That share, in [0, 1]; the other videos draw their background.

    Raises:
        InputError: For an unknown regime, one whose backgrounds cannot be told apart, or a number that cannot be used.
    """
    world = f"shapes:{regime},correlation={correlation}"
    train, val, test = (
        open_dataset(f"{world},videos={count}", split=split)
        for split, count in zip(("train", "val", "test"), videos, strict=True)
    )
    require_backgrounds(test, "--regime")
    swapped = open_dataset(f"{world},swapped=true,videos={videos[2]}", split="test")
    return BiasWorlds(train, val, test, swapped)


def measure_bias(
    loaded: LoadedBackbone,
    worlds: BiasWorlds,
    *,
    layer: str | None = None,
    batch_size: int = 32,
    device: torch.device | str = "cpu",
    progress: Callable[[int], None] | None = None,
) -> BiasGap:
    """The gap of a backbone's pooled features, of one clip in the middle of each video.

    Args:
        loaded: The backbone.
        worlds: The videos.
        layer: Whose feature map is averaged; None: the output.
        batch_size: Clips in a forward pass.
        device: Where the backbone computes.
        progress: Called with the number of videos done.
    """
    before = 0

    def tell(done: int, _: int) -> None:
        if progress is not None:
            progress(before + done)

    found: list[Labeled] = []
    for part in worlds.parts:
        features = clip_features(
            loaded, part.records, MIDDLE_CLIP, layer=layer, batch_size=batch_size, device=device, progress=tell
        )
        found.append((features.mean, features.labels))
        before += len(part)
    train, val, test, swapped = found
    return bias_gap(train, val, test, swapped)
