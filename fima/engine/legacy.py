"""Checkpoints of earlier versions of this program, as today's runs read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning

from fima.legacy import american_keys
from fima.presets.loader import flatten

__all__ = ["as_today", "run_as_today"]

_CALLBACKS = {"SupervisedRecorder": "Recorder"}


def as_today(content: dict[str, Any]) -> dict[str, Any]:
    """What a file of a run holds: callbacks under their names of today, and Lightning's state where there was none.

    Until version 0.9 ``fima detect`` had a loop of its own, with ``step`` and ``optimizer`` beside the weights.
    """
    states = content.get("callbacks")
    if isinstance(states, Mapping):
        content = content | {"callbacks": {_CALLBACKS.get(name, name): state for name, state in states.items()}}
    if "loops" in content or not {"step", "optimizer", "state_dict"} <= content.keys():
        return content
    step = int(content["step"])
    return content | {
        "pytorch-lightning_version": lightning.__version__,
        "epoch": 0,
        "global_step": step,
        "optimizer_states": [content["optimizer"]],
        "lr_schedulers": [],
        "callbacks": {},
        "loops": {"fit_loop": _progress(step)},
    }


def run_as_today(run: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint says of its run, in the form of `fima.engine.module.TaskModule.run`."""
    known: dict[str, Any] = american_keys(run)
    if "decisive" not in known and "preset" in known:  # of fima detect
        start = known["sha256"] or f"random {known['arch']}"
        decisive = {name: value for name, value in known.items() if name not in ("arch", "sha256")}
        return {"decisive": flatten(decisive), "data": {"start": start}, "world": 1}
    if (known.get("decisive") or {}).get("method.name") in ("moco", "fima"):
        new = {"method.moving_weight": 0.0, "method.moving_energy": 0.0}  # which version 0.9 did not have
        known["decisive"] = new | known["decisive"]
    if "digest" in (known.get("data") or {}):  # of fima pretrain
        known["data"] = {"train": known["data"]}
    return known


def _progress(step: int) -> dict[str, Any]:
    """Lightning's counts after that many batches of its one endless epoch."""
    stepped = {"ready": step, "completed": step}
    batches = {"ready": step, "completed": step, "started": step, "processed": step}
    epochs = {"ready": 1, "completed": 0, "started": 1, "processed": 0}
    zeroed = {"ready": step, "completed": step, "started": step}
    optimizer = {"step": {"total": stepped, "current": stepped}, "zero_grad": {"total": zeroed, "current": zeroed}}
    return {
        "epoch_progress": {"total": epochs, "current": epochs},
        "epoch_loop.batch_progress": {"total": batches, "current": batches, "is_last_batch": False},
        "epoch_loop.automatic_optimization.optim_progress": {"optimizer": optimizer},
    }
