"""The learning rate as a function of the step alone."""

from __future__ import annotations

import math

from fima.tasks.pretrain.config import OptimizerOptions

__all__ = ["learning_rate"]


def learning_rate(step: int, steps_per_epoch: int, options: OptimizerOptions) -> float:
    """The rate of an optimizer's step.

    Args:
        step: from 0.
        steps_per_epoch: in an epoch.
        options: with ``update="epoch"`` all steps of an epoch have the rate of its first.

    Returns:
        ``lr · (1 + cos(π · epoch / epochs)) / 2``, after a linear warm-up if there is one; with "constant", ``lr``.

    Source: ZMHH-H/FIMA ``train.py`` (``adjust_learning_rate``, cosine by whole epochs), commit fd63cbd; the warm-up as
    PySlowFast has it, towards the cosine's value at its end.
    """
    epoch = step // steps_per_epoch if options.update == "epoch" else step / steps_per_epoch
    if epoch < options.warmup_epochs:
        share = epoch / options.warmup_epochs
        return options.warmup_start + share * (_cosine(options.warmup_epochs, options) - options.warmup_start)
    return _cosine(epoch, options)


def _cosine(epoch: float, options: OptimizerOptions) -> float:
    if options.schedule == "constant":
        return options.lr
    return options.lr * 0.5 * (1 + math.cos(math.pi * epoch / options.epochs))
