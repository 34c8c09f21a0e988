"""Labeled videos of a study, and the features that probes are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.inputs.backbone.features import FeatureExtractor
from analysis.inputs.sessions import Session
from analysis.inputs.video.clips import Clip, to_batch
from analysis.inputs.video.videos import VideoSource, list_videos
from analysis.measures.temporal import pool_features
from analysis.studies.common.collecting import Collector
from fima.data.datasets.groups import source_groups
from fima.errors import InputError

__all__ = [
    "check_labeled",
    "mean_over_clips",
    "pooled",
    "pooled_batch",
    "training_features",
    "with_default_data",
]

Floats = NDArray[np.floating[Any]]
DEFAULT_DATA = ("shapes:easy,videos=300", "test")
"""What a probe is of where neither videos nor a data set are given."""


def with_default_data(session: Session, default: tuple[str, str] = DEFAULT_DATA) -> Session:
    """The session, of drawn videos where it was asked for no others."""
    settings = session.settings
    own = settings.video or settings.data is not None or any(video.path is not None for video in session.videos)
    if own or len(session.videos) > 1:
        return session
    settings = replace(settings, data=default[0], split=default[1])
    return replace(session, settings=settings, videos=list_videos(settings).videos)


def check_labeled(session: Session, measure: str) -> None:
    """Raises InputError where a video has no label."""
    if unlabeled := next((video for video in session.videos if video.label is None), None):
        raise InputError(
            f"{measure} needs a data set whose videos have classes (--data); {unlabeled.video_id} has none"
        )


def pooled(extractor: FeatureExtractor, clip: Tensor) -> NDArray[np.float32]:
    """Pooled features ``(N, C)`` of clips, without gradients.

    Args:
        extractor: Of the backbone.
        clip: ``(N, 3, T, H, W)`` in [0, 1], on the extractor's device.
    """
    with torch.no_grad():
        return np.asarray(pool_features(extractor.feature_map(clip)).float().cpu().numpy())


def pooled_batch(session: Session, batch: list[Clip]) -> list[Floats]:
    """Pooled features ``(C,)`` of each clip."""
    return list(pooled(session.extractor, to_batch(batch, session.extractor.device)))


def mean_over_clips(rows: Sequence[Floats]) -> Floats:
    """Mean ``(C,)`` of features of clips; NaN where a clip has none."""
    return np.asarray(np.mean(np.stack(rows), axis=0))


def training_features(session: Session) -> tuple[Floats, NDArray[np.int64]] | None:
    """Features ``(V, C)`` and labels ``(V,)`` of the split that a probe is trained on; None where none is given.

    Videos of recordings that are tested, where the data set tells recordings, are left out.

    Raises:
        InputError: If a video has no label, is tested itself, or none is left.
    """
    settings = session.settings
    if settings.train_split is None:
        return None
    settings = replace(settings, split=settings.train_split, train_split=None)
    training = replace(session, settings=settings, videos=list_videos(settings).videos)
    check_labeled(training, "the training split")
    if shared := {v.video_id for v in training.videos} & {v.video_id for v in session.videos}:
        raise InputError(f"--train-split {settings.split}: holds {min(shared)}, which is tested")
    training = replace(training, videos=_of_other_recordings(training.videos, session.videos, settings.data))
    rows, labels = [], []
    for video, clips in Collector(training).read(partial(pooled_batch, training), None):
        rows.append(mean_over_clips([features for _, features in clips]))
        labels.append(video.label)
    return np.stack(rows), np.array(labels, np.int64)


def _of_other_recordings(
    training: list[VideoSource], tested: Sequence[VideoSource], data: str | None
) -> list[VideoSource]:
    """Numbers of recordings are of one split each, so both are numbered together here."""
    ids = [video.video_id for video in (*training, *tested)]
    groups = None if data is None else source_groups(Path(data), ids)
    if groups is None:
        return training
    seen = set(groups[len(training) :])
    kept = [video for video, group in zip(training, groups, strict=False) if group not in seen]
    if not kept:
        raise InputError("--train-split: every recording of it is tested too")
    return kept
