"""The untrained twin beside every score: the same study of the same clips by a backbone with fixed random weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from analysis.inputs.backbone.twins import untrained_twin
from analysis.inputs.sessions import Session
from analysis.measures.common.statistics import Summary
from analysis.studies.common.study import Study, score_arrays

__all__ = ["beside_twin"]

_OWN = "twin_"


def beside_twin(study: Study, session: Session, run: Callable[[Session], Study]) -> Study:
    """A study whose scores have those of the untrained twin beside them.

    Args:
        study: Of the session.
        session: Of the backbone.
        run: The same study of another session. It is not called where the study has scores of a twin already
            (``twin_<score>``), nor where there is no twin.
    """
    if any(name.startswith(_OWN) for name in study.references):
        found = {name.removeprefix(_OWN): s for name, s in study.scores.items() if name.startswith(_OWN)}
    else:
        twin = untrained_twin(session)
        found = {} if twin is None else run(twin).scores
    scores = {
        name: summary if name in study.references else _beside(summary, found.get(name))
        for name, summary in study.scores.items()
    }
    arrays = study.arrays | score_arrays(study.video_scores, scores)
    return dataclasses.replace(study, scores=scores, arrays=arrays)


def _beside(summary: Summary, twin: Summary | None) -> Summary:
    if twin is None:
        return summary
    return dataclasses.replace(summary, twin_mean=twin.mean, twin_low=twin.low, twin_high=twin.high)
