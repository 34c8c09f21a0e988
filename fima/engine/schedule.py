"""The learning rate of every task: a function of the step, and of past losses for the schedule "plateau". No torch."""

from __future__ import annotations

import math

from fima.engine.configuration import Schedule

__all__ = ["Plateau", "rate_factor"]


def rate_factor(step: int, steps_per_epoch: int, schedule: Schedule, *, lr: float) -> float:
    """The rate of an optimizer's step as a factor of the peak rate; what a `Plateau` does is not in it.

    A warm-up goes from ``warmup_start`` in a straight line, step by step, to the schedule's value at its end. With
    ``update="epoch"`` all later steps of an epoch have the rate of its first.

    Args:
        step: Optimizer's step, from 0.
        steps_per_epoch: Optimizer's steps in an epoch.
        schedule: What the rate does.
        lr: The peak rate, which ``warmup_start`` is divided by.

    Returns:
        A factor of at least 0.

    Source: the cosine by whole epochs is ZMHH-H/FIMA ``train.py`` (``adjust_learning_rate``), commit fd63cbd; the
    warm-up is facebookresearch/SlowFast ``slowfast/utils/lr_policy.py`` (``get_lr_at_epoch``), which its
    ``tools/train_net.py`` asks at ``epoch + iteration / iterations`` before each step.
    """
    exact = step / steps_per_epoch
    if exact < schedule.warmup_epochs:
        start, end = schedule.warmup_start / lr, _scheduled(schedule.warmup_epochs, schedule)
        return start + (end - start) * exact / schedule.warmup_epochs
    return _scheduled(float(step // steps_per_epoch) if schedule.update == "epoch" else exact, schedule)


def _scheduled(epoch: float, schedule: Schedule) -> float:
    if schedule.schedule == "milestones":
        return float(schedule.gamma ** sum(epoch >= milestone for milestone in schedule.milestones))
    if schedule.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * epoch / schedule.epochs))
    return 1.0


class Plateau:
    """Counts epochs whose mean training loss was above the least so far; the rate falls after ``patience`` of them.

    The count starts anew only when the rate falls, not at a better epoch.

    Source: DAVEISHAN/TCLR ``linear_eval/train.py``.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.patience, self.gamma = schedule.patience, schedule.gamma
        self.active = schedule.schedule == "plateau"
        self.least = math.inf
        self.bad = self.falls = 0

    @property
    def factor(self) -> float:
        """Factor of the rate; 1 for every other schedule."""
        return float(self.gamma**self.falls) if self.active else 1.0

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
