"""The multi-clip test: every video's clips and crops through the classifier, averaged to one row of scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fima.data.clip_protocol import ClipProtocol
from fima.data.datasets import VideoRecord
from fima.data.protocol_clips import iterate_test_clips
from fima.errors import InputError
from fima.evaluation.features import to_clip_batch
from fima.evaluation.metrics import average_logits
from fima.input_spec import InputSpec
from fima.transforms.normalize import normalize

__all__ = ["VideoScores", "classify_clips", "classify_videos"]


@dataclass(frozen=True)
class VideoScores:
    """What a classifier says of videos.

    Attributes:
        video_ids: of those that could be read, in order.
        labels: ``(V,)``.
        scores: ``(V, classes)``, averaged over clips and crops as the protocol says.
        skipped: the others, with the reason.
    """

    video_ids: tuple[str, ...]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    skipped: dict[str, str]

    @property
    def top1(self) -> float:
        """Share of right videos among those that could be read."""
        return float((self.scores.argmax(axis=1) == self.labels).mean())


def classify_videos(
    classifier: nn.Module,
    videos: Sequence[VideoRecord],
    spec: InputSpec,
    protocol: ClipProtocol,
    *,
    batch_size: int = 32,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> VideoScores:
    """Scores of videos; its mode is what it was before.

    Args:
        classifier: normalized clips ``(N, 3, T, H, W)`` → logits ``(N, classes)``.
        videos: with labels.
        spec: of a test clip.
        protocol: clips, crops, average.
        batch_size: clips in a forward pass.
        device: of the classifier.
        progress: called with (videos done, videos in all).

    Raises:
        InputError: if no video can be read.
    """
    rows: list[NDArray[np.float64]] = []
    kept: list[VideoRecord] = []
    skipped: dict[str, str] = {}
    modes = [(module, module.training) for module in classifier.modules()]
    classifier.eval()
    try:
        for place, record, clips in iterate_test_clips(videos, spec, protocol):
            if isinstance(clips, str):
                skipped[record.video_id] = clips
            else:
                logits = classify_clips(classifier, clips, spec, batch_size=batch_size, device=device)
                rows.append(average_logits(logits, protocol.average))
                kept.append(record)
            if progress is not None:
                progress(place + 1, len(videos))
    finally:
        for module, training in modes:
            module.training = training
    if not kept:
        reason = next(iter(skipped.values()), "there is none")
        raise InputError(f"none of the {len(videos)} videos can be read; the first: {reason}")
    labels = np.array([record.label for record in kept], np.int64)
    return VideoScores(tuple(record.video_id for record in kept), labels, np.stack(rows), skipped)


def classify_clips(
    network: Callable[[Tensor], Tensor],
    clips: Tensor,
    spec: InputSpec,
    *,
    batch_size: int,
    device: torch.device | str,
) -> NDArray[np.floating[Any]]:
    """Outputs of clips, float32.

    Args:
        network: a classifier, or a part of it, in eval mode.
        clips: uint8 ``(K, T, 3, size, size)``.
        spec: how to normalize.
        batch_size: clips in a forward pass.
        device: of the network.

    Returns:
        ``(K, …)``.
    """
    with torch.no_grad():
        parts = [
            network(normalize(to_clip_batch(clips[start : start + batch_size], device), spec)).float().cpu()
            for start in range(0, len(clips), batch_size)
        ]
    return np.asarray(torch.cat(parts).numpy())
