"""All that a supervised run can be refused for before a video is decoded or a file is written."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from fima.checkpoints import LoadedBackbone
from fima.errors import InputError
from fima.tasks.classify.classifier import LoadedClassifier, load_classifier
from fima.tasks.classify.config import SupervisedConfig
from fima.tasks.classify.sources import Videos, open_backbone, open_test, open_videos

__all__ = ["Start", "check_cache", "fit_batch", "needs_validation", "open_start"]


@dataclass(frozen=True)
class Start:
    """What a run begins with.

    Attributes:
        loaded: the backbone.
        videos: of training, validation and test.
        trained: the classifier, where it is only tested.
    """

    loaded: LoadedBackbone
    videos: Videos
    trained: LoadedClassifier | None = None


def open_start(config: SupervisedConfig, device: torch.device) -> Start:
    """The backbone or classifier and the videos, as `fima.tasks.classify.sources` opens them."""
    if config.test_only:
        trained = load_classifier(config.ckpt, device=device, trust=config.trust_checkpoint)
        return Start(trained.source, open_test(config, trained.class_names), trained)
    check_cache(config)
    return Start(open_backbone(config), open_videos(config, validation=needs_validation(config)))


def needs_validation(config: SupervisedConfig) -> bool:
    """Whether something is chosen on validation videos: the epoch, or of several rates one."""
    several = config.optimizer.lr is None or (config.features and len(config.sweep.weight_decay) > 1)
    return config.validation.choose == "val" or (config.task == "linear" and several)


def check_cache(config: SupervisedConfig) -> None:
    """Refuse a probe on cached features that cannot be.

    Raises:
        InputError: if the test split is to choose, or the backbone's statistics are to move.
    """
    if config.features and config.validation.choose == "test":
        raise InputError("features: the head is chosen on validation; take --validation.choose val or last")
    if (config.features or config.optimizer.lr is None) and config.head.backbone_mode == "train":
        raise InputError("head.backbone_mode = train: statistics change with every step, so nothing can be cached")


def fit_batch(
    config: SupervisedConfig, videos: int, *, given: bool, clips: int | None = None
) -> tuple[SupervisedConfig, str | None]:
    """The settings with a batch that the training set can fill, and what to say if that changed them.

    A preset's batch is for its own data set: on a smaller one it becomes all there is, as the optimizer's steps would
    else be none. A batch that somebody asked for is theirs to change.

    Args:
        config: of the run.
        videos: of the training set.
        given: whether the batch was asked for, not taken from the preset.
        clips: of them in an epoch; None: ``input.clips_per_epoch`` each.

    Raises:
        InputError: if it was and is too large; or if gradients of more batches are summed up than there are clips.
    """
    options = config.optimizer
    clips = videos * config.input.clips_per_epoch if clips is None else clips
    batch, parts = options.batch_size, options.accumulate
    if batch * parts <= clips:
        return config, None
    has = f"the training set has {videos} videos" + (f", {clips} clips an epoch" if clips > videos else "")
    if given:
        needs = f"one step needs {batch * parts} clips ({batch} × {parts} of optimizer.accumulate)" if parts > 1 else ""
        raise InputError(f"--optimizer.batch_size {batch}: {needs or f'one step needs {batch} clips'}, but {has}")
    if parts > clips:
        raise InputError(f"--optimizer.accumulate {parts}: one step needs at least {parts} clips, but {has}")
    note = f"optimizer.batch_size is {clips // parts}, not {batch}: {has}"
    return replace(config, optimizer=replace(options, batch_size=clips // parts)), note
