"""Studies: a measure applied to clips of videos, from settings to arrays, scores and where they came from.

The command line, the notebooks and Python all run these, so they give the same numbers.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from analysis.inputs.sessions import Progress, Session, open_session
from analysis.measures.registry import CORE, MEASURES, STUDIES
from analysis.settings import Settings
from analysis.studies.common.loading import load_study
from analysis.studies.common.study import Study
from analysis.studies.common.twins import beside_twin
from fima.errors import InputError

__all__ = ["CORE", "STUDIES", "Progress", "Session", "Settings", "Study", "cost", "load_study", "open_session", "run"]


def run(measure: str, session: Session | Settings, progress: Progress | None = None) -> Study:
    """Run one study.

    Args:
        measure: One of ``STUDIES``.
        session: An open session, or settings to open one with.
        progress: Called after each video.

    Raises:
        InputError: For an unknown measure, or features projected where their strength and place is measured.
    """
    if measure not in STUDIES:
        raise InputError(f"measure {measure!r}: there is no such measure; known: {', '.join(STUDIES)}")
    if isinstance(session, Settings):
        session = open_session(session.for_measure(measure))
    if session.space is not None and not MEASURES[measure].projected:
        raise InputError(f"space projected: {measure} is of the backbone's own features; see affinity and temporal")
    if "dense" not in MEASURES[measure].settings:
        session = replace(session, settings=replace(session.settings, dense=1), extractor=session.extractor.coarse())
    study: Callable[[Session, Progress | None], Study] = importlib.import_module(f"analysis.studies.{measure}").run
    if session.settings.layers is not None and "layers" in MEASURES[measure].settings:
        study = partial(importlib.import_module("analysis.studies.layers").measure_layers, measure)
    made = study(session, progress)
    return beside_twin(made, session, lambda twin: study(twin, None)) if session.settings.twin else made


def cost(measure: str, session: Session) -> str:
    """What a study that costs much will cost, in words; empty of the others. A pass is made and timed for it.

    Args:
        measure: One of ``STUDIES``.
        session: An open session.

    Raises:
        InputError: For clips that the backbone cannot take.
    """
    say = getattr(importlib.import_module(f"analysis.studies.{measure}"), "cost", None)
    return say(session) if say is not None else ""
