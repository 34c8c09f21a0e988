"""FIMA's own mechanism, seen: two views of a video as in training, and what the method makes of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from analysis.inputs.videos import VideoSource
from analysis.measures.mechanism import Trace, mechanism_scores
from analysis.measures.statistics import VideoScores
from analysis.plotting.mechanism.figure import draw_mechanism
from analysis.studies.base import Progress, Session, Study, provenance, score_arrays
from analysis.studies.mechanism.drawing import Drawn, Sampling
from analysis.studies.mechanism.drawing import draw_pairs as _draw
from analysis.studies.mechanism.drawing import load_fima as _load
from analysis.studies.mechanism.shown import Shown
from analysis.studies.mechanism.trace import Mechanism
from fima.errors import InputError
from fima.methods import FIMA

__all__ = ["Mechanism", "run"]


def run(session: Session, progress: Progress | None = None) -> Study:
    """Two views of every video, cut as in training, and what a FIMA method makes of them.

    Windows, crops and flips are drawn from ``settings.seed`` and the place of the video, as training draws them in its
    first epoch (``settings.clips`` takes as many epochs); how far apart, how large and whether flipped as the
    checkpoint says it was trained, else as the paper has it. Colors are left alone, and the networks are in eval mode,
    so that no number depends on what else is in the batch.

    Scores, per video: ``analysis.measures.mechanism.mechanism_scores``. The chance level of ``prediction_cosine`` is
    that with the motion of the video before; one video has none.

    Args:
        session: Its checkpoint must be that of a whole FIMA method, or ``random``.
        progress: Called after each video.

    Returns:
        The study; ``arrays["example_*"]`` are of the first video that has positive pairs and, if any does, another
        video before it.

    Raises:
        InputError: If the checkpoint holds no FIMA method, or ``layer`` or ``start_seconds`` is set.
    """
    settings = session.settings
    for name in ("layer", "start_seconds"):
        if getattr(settings, name) is not None:
            raise InputError(f"{name} does not go with mechanism: it reads FIMA's own layers and draws windows itself")
    method, sampling = _load(session)
    measured = _measure(session, method, sampling, progress)
    levels = {name: summary.mean for name, summary in measured.chance.summaries().items()}
    summaries = measured.scores.summaries(levels, seed=settings.seed)
    per_video = {"video_id": np.array(measured.scores.video_ids), **measured.scores.per_video()}
    source = {
        "space": "projected",
        "crop": "random resized crops, as in training",
        "method": {"class": type(method).__name__, **method.settings},
        "windows": vars(sampling),
    }
    return Study(
        measure="mechanism",
        arrays={**measured.shown.arrays(session, sampling), **score_arrays(per_video, summaries)},
        scores=summaries,
        per_video=per_video,
        provenance=provenance(session, "mechanism") | source,
        skipped=measured.skipped,
        repeated=measured.repeated,
        draw=draw_mechanism,
    )


class _Measured:
    """What is gathered video by video; it grows with the number of videos by a few numbers each."""

    def __init__(self, skipped: Mapping[str, str]) -> None:
        self.scores, self.chance = VideoScores(), VideoScores()
        self.shown = Shown()
        self.skipped, self.repeated = dict(skipped), list[str]()
        self._before: Tensor | None = None

    def add(self, video: VideoSource, drawn: list[Drawn], traces: list[Trace], radius: float) -> None:
        """One video's pairs of views."""
        for trace in traces:
            scores, levels = mechanism_scores(trace, radius=radius, other_keys=self._before)
            self.scores.add(video.video_id, scores)
            self.chance.add(video.video_id, levels)
        self.shown.offer(video, drawn[0], traces[0], self._before, radius)
        self._before = traces[-1].keys
        if drawn[0].repeated:
            self.repeated.append(video.video_id)


def _measure(session: Session, method: FIMA, sampling: Sampling, progress: Progress | None) -> _Measured:
    """All videos, one after the other; broken ones of a data set are skipped."""
    settings, total = session.settings, len(session.videos) + len(session.missing)
    mechanism = Mechanism(method, session.loaded, boundary=settings.boundary, device=session.extractor.device)
    measured = _Measured(session.missing)
    for index, video in enumerate(session.videos):
        try:
            drawn = _draw(session, sampling, video, index)
        except (InputError, OSError) as error:
            if settings.data is None:
                raise
            measured.skipped[video.video_id] = str(error)
        else:
            measured.add(video, drawn, [mechanism(part.views) for part in drawn], method.radius)
        if progress is not None:
            progress(index + 1 + len(session.missing), total)
    if not measured.scores.video_ids:
        first = next(iter(measured.skipped.values()))
        raise InputError(f"{settings.data}: none of its {total} videos can be used; the first: {first}")
    return measured
