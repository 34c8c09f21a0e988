"""See, and measure, what a video backbone attends to: activation maps, affinity, temporal similarity.

>>> import analysis
>>> study = analysis.run("cam", model="tiny-fima", data="shapes:camera,videos=2", size=56, num_frames=8)
>>> study.frame()["score"].tolist()
['rgb_motion_correlation', 'motion_energy_correlation']

Importing this package does not import torch: its functions do, when they are asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.face import run
    from analysis.studies.common.loading import load_study as load

__all__ = ["load", "run"]

_LAZY = {"run": ("analysis.face", "run"), "load": ("analysis.studies.common.loading", "load_study")}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, function = _LAZY[name]
    return getattr(importlib.import_module(module), function)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
