"""Scores of the checkpoints of a training run, by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.inputs.backbone.checkpoints import Source
from analysis.measures.common.statistics import Summary
from analysis.studies import Study

__all__ = ["TrainingStep", "training_arrays"]


@dataclass(frozen=True)
class TrainingStep:
    """One checkpoint of a training run.

    Attributes:
        step: Optimizer step.
        checkpoint: Its provenance.
        scores: Measure → score → summary over videos.
    """

    step: int
    checkpoint: dict[str, Any]
    scores: dict[str, dict[str, Summary]]

    @classmethod
    def of(cls, source: Source, studies: dict[str, Study]) -> TrainingStep:
        """What a curve needs of a checkpoint's studies; their arrays are let go."""
        some = next(iter(studies.values()))
        scores = {
            measure: {name: score for name, score in study.scores.items() if name not in study.references}
            for measure, study in studies.items()
        }
        return cls(source.step or 0, some.provenance["checkpoint"], scores)


def training_arrays(training: Mapping[str, Sequence[TrainingStep]]) -> dict[str, np.ndarray]:
    """Steps ``(S,)`` of every run, and ``(S, 3)`` mean, low and high of every score."""
    arrays = {"names": np.array(list(training))}
    for at, steps in enumerate(training.values()):
        arrays[f"{at}_step"] = np.array([step.step for step in steps])
        for measure, scores in steps[0].scores.items():
            for score in scores:
                summaries = [step.scores[measure][score] for step in steps]
                arrays[f"{at}_{measure}_{score}"] = np.array([(s.mean, s.low, s.high) for s in summaries])
    return arrays
