"""FIMA's own mechanism, seen: two views of a video as in training, and what the method makes of them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from analysis.inputs.sessions import Progress, Session
from analysis.inputs.video.videos import VideoSource
from analysis.measures.mechanism import Trace, mechanism_scores, prediction_cosine
from analysis.studies.common.collecting import Collector, Measured
from analysis.studies.common.study import Study
from analysis.studies.mechanism.drawing import Drawn
from analysis.studies.mechanism.drawing import draw_pairs as _draw
from analysis.studies.mechanism.drawing import load_fima as _load
from analysis.studies.mechanism.shown import Shown
from analysis.studies.mechanism.trace import Mechanism
from fima.errors import InputError

__all__ = ["Mechanism", "run"]


def run(session: Session, progress: Progress | None = None) -> Study:
    """Two views of every video, cut as in training, and what a FIMA method makes of them.

    Windows, crops and flips are drawn from ``settings.seed`` and the place of the video, as training draws them in its
    first epoch (``settings.clips`` takes as many epochs); how far apart, how large and whether flipped as the
    checkpoint says it was trained, else as the paper has it. Colors are left alone, and the networks are in eval mode,
    so that no number depends on what else is in the batch.

    Scores, per video: ``analysis.measures.mechanism.mechanism_scores``. The chance level of ``prediction_cosine`` is
    that with the motion of three videos of other recordings and classes; one video has none.

    Args:
        session: Its checkpoint must be that of a whole FIMA method, or ``random``.
        progress: Called after each video.

    Returns:
        The study; ``arrays["example_*"]`` are of the first video that has positive pairs, if any does.

    Raises:
        InputError: If the checkpoint holds no FIMA method, or ``layer`` or ``start_seconds`` is set.
    """
    settings = session.settings
    for name in ("layer", "start_seconds"):
        if getattr(settings, name) is not None:
            raise InputError(f"{name} does not go with mechanism: it reads FIMA's own layers and draws windows itself")
    method, sampling = _load(session)
    mechanism = Mechanism(method, session.loaded, boundary=settings.boundary, device=session.extractor.device)
    collector, shown = Collector(session, against=partial(_with_other, method.radius)), Shown(method.radius)

    def cut(index: int, video: VideoSource) -> tuple[list[Drawn], bool]:
        drawn = _draw(session, sampling, video, index)
        return drawn, drawn[0].repeated

    for video, drawn in collector.read_videos(cut, progress):
        traces = [mechanism(pair.views) for pair in drawn]
        for trace in traces:
            collector.add(video, Measured(*mechanism_scores(trace, radius=method.radius), kept=_halved(trace)))
        shown.offer(video, drawn[0], traces[0])
    source = {
        "space": "projected",
        "crop": "random resized crops, as in training",
        "method": {"class": type(method).__name__, **method.settings},
        "windows": vars(sampling),
    }
    return collector.study("mechanism", shown.arrays(sampling, collector.others), source=source)


def _with_other(radius: float, trace: Trace, other: Trace) -> dict[str, float]:
    """What the predictions of one video have to do with the motion of another."""
    return {"prediction_cosine": float(prediction_cosine(trace, other.keys, radius=radius))}


def _halved(trace: Trace) -> Trace:
    """What is kept of every video, in half the memory, without attention."""
    return replace(trace, predicted=trace.predicted.half(), keys=trace.keys.half(), attention=None)
