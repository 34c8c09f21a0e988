"""The optimizer of every task, and the rates of its groups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from fima.engine.configuration import Optimizer
from fima.engine.schedule import Plateau, rate_factor
from fima.errors import InputError

__all__ = ["group", "layer_groups", "make_optimizer", "set_rates"]


def group(parameters: Iterable[nn.Parameter], *, share: float = 1.0, **settings: Any) -> dict[str, Any]:
    """A group of `make_optimizer`: those of the parameters that have a gradient.

    Args:
        parameters: Any parameters.
        share: Factor of their rate.
        settings: What else is theirs, such as ``weight_decay``.
    """
    return {"params": [one for one in parameters if one.requires_grad], "share": share, **settings}


def layer_groups(
    backbone: nn.Module, *, share: float = 1.0, layer_decay: float = 1.0, decay_norms: bool = True
) -> list[dict[str, Any]]:
    """Groups of a backbone's parameters whose rate falls from the last block to the first.

    With n blocks, the rate is ``share`` times ``layer_decay ** (n + 1)`` for the embeddings, ``layer_decay ** (n - k)``
    for block k = 0 … n - 1, and 1 for what comes after them.

    Args:
        backbone: Has its blocks in ``blocks``, where ``layer_decay`` is not 1.
        share: Factor of all rates.
        layer_decay: Factor of the rate from one block to the one before, in (0, 1].
        decay_norms: Whether biases and other one-dimensional parameters have the optimizer's weight decay too.

    Raises:
        InputError: If there are no blocks to tell the layers by.

    Source: Clark et al., "ELECTRA", ICLR 2020, section 3.1, as in BEiT's and VideoMAE's ``optim_factory.py``.
    """
    blocks = getattr(backbone, "blocks", None)
    if layer_decay != 1 and not isinstance(blocks, nn.ModuleList):
        raise InputError(
            f"--optimizer.layer_decay {layer_decay:g}: {type(backbone).__name__} has no blocks to tell its layers "
            "by; it is for token networks, such as VideoMAE"
        )
    last = 1 + (len(blocks) if isinstance(blocks, nn.ModuleList) else 0)
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, parameter in backbone.named_parameters():
        plain = not decay_norms and parameter.ndim < 2
        layer = last if layer_decay == 1 else _layer_of(name.removeprefix("model."), last)
        groups.setdefault((layer, plain), []).append(parameter)
    return [
        group(some, share=share * layer_decay ** (last - layer), **({"weight_decay": 0.0} if plain else {}))
        for (layer, plain), some in sorted(groups.items(), key=lambda one: one[0])
    ]


def _layer_of(name: str, last: int) -> int:
    """0 for embeddings, k + 1 for block k, ``last`` for what comes after."""
    if name.startswith("blocks."):
        return int(name.split(".")[1]) + 1
    return 0 if name.startswith(_EMBEDDINGS) else last


_EMBEDDINGS = ("patch_embed", "pos_embed", "time_embed", "cls_token", "mask_token", "video_mod_embed", "img_mod_embed")


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
