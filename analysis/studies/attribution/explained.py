"""What an attribution study explains of a clip: likeness to a reference feature, a class logit, or a function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from analysis.inputs.backbone.features import FeatureExtractor
from analysis.inputs.backbone.heads import ClassHead, load_head
from analysis.inputs.sessions import Session
from analysis.measures.attribution import Target, cosine_target, logit_target
from analysis.measures.temporal import pool_features
from fima.errors import InputError
from fima.transforms.motion import frame_difference

__all__ = ["Explained", "choose_explained"]


class Explained(Protocol):
    """What is explained; clips are ``(N, 3, T, H, W)`` in [0, 1], and each has a target of its own."""

    def targets(self, extractor: FeatureExtractor, clip: Tensor, others: Tensor | None) -> list[Target]:
        """A target for each clip.

        Args:
            extractor: The session's, or one whose weights were randomized.
            clip: ``(N, 3, T, H, W)``.
            others: The clips that ``other`` compares with.
        """

    def classes(self, clip: Tensor) -> list[str]:
        """Labels of the explained classes, one for each clip; empty where no class is explained."""

    def described(self, classes: Mapping[str, Iterable[str]]) -> dict[str, Any]:
        """For the provenance; ``classes`` are the explained ones of each video."""


def choose_explained(session: Session, target: str | Target) -> Explained:
    """What explains a target of the settings.

    Args:
        session: Its checkpoint gives the classifier.
        target: Target of the settings, or a function of pooled features.

    Raises:
        InputError: For a logit without a classifier, of a class that it does not have, or at an inner layer.
        CheckpointError: If the classifier is damaged.
    """
    if not isinstance(target, str):
        return _Function(target)
    word, _, index = target.partition(":")
    if word != "logit":
        return _Likeness(word, session.settings.boundary)
    extractor = session.extractor
    if extractor.tap != extractor.info.taps[-1]:
        raise InputError(f"target {target}: a classifier reads the backbone's output, not layer {extractor.tap.layer}")
    try:
        head = load_head(session.loaded, trust=session.settings.trust_checkpoint).to(extractor.device)
    except InputError as error:
        raise type(error)(f"target {target}: {error}") from None
    if index and int(index) >= head.classes:
        raise InputError(
            f"target {target}: {session.settings.checkpoint} has {head.classes} classes, 0 to {head.classes - 1}"
        )
    return _Logit(head, int(index) if index else None, extractor)


@dataclass(frozen=True)
class _Likeness:
    """Cosine with the clip's own motion feature, or with the RGB feature of another video."""

    name: str
    boundary: str

    def targets(self, extractor: FeatureExtractor, clip: Tensor, others: Tensor | None) -> list[Target]:
        # Randomized backbones get the reference that they give themselves.
        if others is None:
            others = frame_difference(clip, boundary=self.boundary)
        return [cosine_target(feature) for feature in _pooled(extractor, others)]

    def classes(self, clip: Tensor) -> list[str]:
        return []

    def described(self, classes: Mapping[str, Iterable[str]]) -> dict[str, Any]:
        return {"target": self.name}


@dataclass(frozen=True)
class _Logit:
    """A class of the checkpoint's own classifier; without an index, the one that it ranks first for the clip."""

    head: ClassHead
    index: int | None
    extractor: FeatureExtractor

    def targets(self, extractor: FeatureExtractor, clip: Tensor, others: Tensor | None) -> list[Target]:
        # The class of the trained backbone also for randomized ones: the sanity check is of one question.
        return [logit_target(self.head.head, index) for index in self._indices(clip)]

    def classes(self, clip: Tensor) -> list[str]:
        return [self.head.label(index) for index in self._indices(clip)]

    def described(self, classes: Mapping[str, Iterable[str]]) -> dict[str, Any]:
        named = {"class_names": list(self.head.class_names), "num_classes": self.head.classes}
        if self.index is not None:
            chosen = {"index": self.index, "name": self.head.label(self.index)}
            return {"target": f"logit:{self.index}", "target_class": chosen, **named}
        return {"target": "logit", "target_classes": {video: list(found) for video, found in classes.items()}, **named}

    def _indices(self, clip: Tensor) -> list[int]:
        if self.index is not None:
            return [self.index] * len(clip)
        with torch.no_grad():
            return [int(self.head.head(feature[None]).argmax()) for feature in _pooled(self.extractor, clip)]


@dataclass(frozen=True)
class _Function:
    """A function of pooled features, whatever the weights."""

    function: Target

    def targets(self, extractor: FeatureExtractor, clip: Tensor, others: Tensor | None) -> list[Target]:
        return [self.function] * len(clip)

    def classes(self, clip: Tensor) -> list[str]:
        return []

    def described(self, classes: Mapping[str, Iterable[str]]) -> dict[str, Any]:
        return {"target": getattr(self.function, "__name__", "function")}


@torch.no_grad()
def _pooled(extractor: FeatureExtractor, clip: Tensor) -> list[Tensor]:
    """Pooled features ``(C,)``, one by one, as clips are attributed: a batch changes the last digits."""
    return [pool_features(extractor.feature_map(single[None]))[0] for single in clip]
