"""The settings of a detection run: a preset, and what is the run's own. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from fima.engine.configuration import Checkpoints, Log, Optimizer, RunConfig
from fima.presets.detection import DetectionPreset
from fima.presets.loader import flatten

__all__ = ["DetectConfig"]


@dataclass(kw_only=True)
class DetectConfig(RunConfig):
    """A whole run.

    Args:
        preset: How the detector is trained and tested.
        version: Version of AVA's tables.
        classes: Actions that are trained, by output.
        start_second: Second of the film that files begin with; None: found out.
        freeze: Train the head alone.
        threads: Threads that decode.
    """

    preset: DetectionPreset
    version: str
    classes: tuple[int, ...]
    start_second: float | None = None
    freeze: bool = False
    threads: int = 1

    @classmethod
    def of(cls, preset: DetectionPreset, **settings: Any) -> DetectConfig:
        """The configuration with the optimizer of a preset; saved at epochs' ends and every 500 steps."""
        shared = {item.name for item in fields(Optimizer)} & {item.name for item in fields(DetectionPreset)}
        given = {name: getattr(preset, name) for name in shared}
        return cls(
            preset=preset,
            optimizer=Optimizer(schedule="milestones", update="step", **given),
            checkpoints=Checkpoints(every_steps=500),
            log=Log(tensorboard=False),
            **settings,
        )

    def decisive(self) -> dict[str, Any]:
        """What a resumed run must share with the one it goes on with, dotted name → value."""
        names = ("seed", "version", "classes", "start_second", "freeze")
        return flatten({"preset": self.preset.settings()} | {name: getattr(self, name) for name in names})
