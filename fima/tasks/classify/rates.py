"""The learning rate of supervised training as a function of the step, and of past losses for "plateau"."""

from __future__ import annotations

import math

from fima.tasks.classify.options import OptimizerOptions

__all__ = ["Plateau", "rate_factor"]


def rate_factor(step: int, steps_per_epoch: int, options: OptimizerOptions, *, lr: float) -> float:
    """The rate of a step over ``lr``; "plateau" is not in it.

    Args:
        step: from 0.
        steps_per_epoch: in an epoch.
        options: with ``update="epoch"`` all steps of an epoch have the rate of its first; a warm-up always goes step by
            step, as PySlowFast's does, towards the schedule's value at its end.
        lr: the rate that the factor is of.
    """
    exact = step / steps_per_epoch
    epoch = float(step // steps_per_epoch) if options.update == "epoch" else exact
    if exact < options.warmup_epochs:
        start, end = options.warmup_start / lr, _scheduled(options.warmup_epochs, options)
        return start + (end - start) * exact / options.warmup_epochs
    return _scheduled(epoch, options)


def _scheduled(epoch: float, options: OptimizerOptions) -> float:
    if options.schedule == "milestones":
        return float(options.gamma ** sum(epoch >= milestone for milestone in options.milestones))
    if options.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * epoch / options.epochs))
    return 1.0


class Plateau:
    """Counts epochs whose mean training loss was above the least so far; the rate falls after ``patience`` of them.

    The count starts anew only when the rate falls, not at a better epoch.

    Source: DAVEISHAN/TCLR ``linear_eval/train.py``.
    """

    def __init__(self, patience: int, gamma: float) -> None:
        self.patience, self.gamma = patience, gamma
        self.least = math.inf
        self.bad = self.falls = 0

    @property
    def factor(self) -> float:
        """Of the rate."""
        return float(self.gamma**self.falls)

    def see(self, loss: float) -> None:
        """An epoch has ended with this mean loss."""
        if loss > self.least:
            self.bad += 1
        else:
            self.least = loss
        if self.bad == self.patience:
            self.bad, self.falls = 0, self.falls + 1

    def state(self) -> dict[str, float]:
        """Plain values."""
        return {"least": self.least, "bad": self.bad, "falls": self.falls}

    def restore(self, state: dict[str, float]) -> None:
        """As `state` gave it."""
        self.least, self.bad, self.falls = state["least"], int(state["bad"]), int(state["falls"])
