"""The optimizer of every task, and the rates of its groups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from fima.engine.configuration import Optimizer
from fima.engine.schedule import Plateau, rate_factor

__all__ = ["group", "make_optimizer", "set_rates"]


def group(parameters: Iterable[nn.Parameter], *, share: float = 1.0, **settings: Any) -> dict[str, Any]:
    """A group of `make_optimizer`: those of the parameters that have a gradient.

    Args:
        parameters: Any parameters.
        share: Factor of their rate.
        settings: What else is theirs, such as ``weight_decay``.
    """
    return {"params": [one for one in parameters if one.requires_grad], "share": share, **settings}


def make_optimizer(
    groups: Iterable[dict[str, Any]], options: Optimizer, *, nesterov: bool = False
) -> torch.optim.Optimizer:
    """SGD, Adam or AdamW.

    Args:
        groups: Groups of `group`; those without parameters are left out.
        options: Algorithm, rate, momentum and decay.
        nesterov: Whether the momentum of SGD is Nesterov's.
    """
    filled = [one for one in groups if one["params"]]
    lr, decay = options.lr or 0.0, options.weight_decay
    if options.algorithm == "adam":
        return torch.optim.Adam(filled, lr, weight_decay=decay)
    if options.algorithm == "adamw":
        return torch.optim.AdamW(filled, lr, weight_decay=decay)
    return torch.optim.SGD(filled, lr, options.momentum, weight_decay=decay, nesterov=nesterov and options.momentum > 0)


def set_rates(optimizer: Any, step: int, steps_per_epoch: int, options: Optimizer, plateau: Plateau) -> float:
    """Give every group its rate of a step; returns the rate of a group whose share is 1."""
    lr = options.lr or 0.0
    rate = lr * rate_factor(step, steps_per_epoch, options, lr=lr) * plateau.factor
    for one in optimizer.param_groups:
        one["lr"] = rate * one.get("share", 1.0)  # groups of earlier versions' checkpoints have no share
    return rate
