"""A measure at every depth: one curve from input to output, from one pass of every clip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from analysis.inputs.backbone.taps import find_taps, sessions_at
from analysis.inputs.sessions import Progress, Session
from analysis.inputs.video.clips import Clip, to_batch
from analysis.inputs.video.videos import VideoSource
from analysis.measures.common.statistics import Summary
from analysis.studies import affinity, cam, localize, mover, probe, temporal
from analysis.studies.common.collecting import ByClip, Collector, Measured
from analysis.studies.common.provenance import provenance
from analysis.studies.common.study import Study, score_arrays
from fima.errors import InputError
from fima.models.registry import FeatureTap

__all__ = ["AT_LAYERS", "measure_layers"]

_BY_CLIP: dict[str, ByClip] = {
    "cam": cam.BY_CLIP,
    "affinity": affinity.BY_CLIP,
    "temporal": temporal.BY_CLIP,
    "localize": localize.BY_CLIP,
}
AT_LAYERS = (*_BY_CLIP, "mover", "probe")
"""The measures that can be read at every depth."""

Rows = Iterator[tuple[VideoSource, list[list[Measured | None]]]]
"""Videos, and of each of their clips what was measured at every layer."""


def measure_layers(measure: str, session: Session, progress: Progress | None = None) -> Study:
    """Scores of a measure at every layer of ``session.settings.layers``, from input to output.

    One pass of each clip, and one of its frame difference, reads all layers. Features are averaged to the grid of the
    last layer, so that the same is asked, with the same chance level, at every depth. Of `temporal` the slices of a
    clip are compared, not windows; of `mover` the two maps of the network; of `probe` the pooled features.

    Args:
        measure: One of ``AT_LAYERS``.
        session: Backbone and videos.
        progress: Called after each video.

    Returns:
        The study ``layers``: its scores are named ``<score>@<layer>``; ``arrays["layer"]`` names the layers in order.

    Raises:
        InputError: For another measure, or layers that cannot be read.
    """
    if measure not in AT_LAYERS:
        raise InputError(f"layers: {measure} is not read at every depth; {', '.join(AT_LAYERS)} are")
    taps = find_taps(session.extractor, str(session.settings.layers))
    if measure == "probe":  # a score of all clips together
        reader, studies = probe.run_at(session, taps, progress)
        return _together(measure, reader, studies)
    by_clip = _BY_CLIP.get(measure)
    reader = Collector(session, truth=by_clip is not None and by_clip.truth)
    rows = (
        _by_cut(session, reader, taps, progress)
        if by_clip is None
        else _by_clip(by_clip, session, reader, taps, progress)
    )
    against = None if by_clip is None else by_clip.against
    collectors = [
        Collector(
            replace(session, settings=replace(session.settings, layer=tap.layer or None, layers=None)), against=against
        )
        for tap in taps
    ]
    for video, clips in rows:
        for clip in clips:
            for collector, measured in zip(collectors, clip, strict=True):
                if measured is not None:
                    collector.add(video, measured)
    levels = mover.LEVELS if measure == "mover" else {}
    studies = {tap.layer or "output": c.study(measure, levels=levels) for tap, c in zip(taps, collectors, strict=True)}
    return _together(measure, reader, studies)


def _by_clip(
    what: ByClip, session: Session, reader: Collector, taps: Sequence[FeatureTap], progress: Progress | None
) -> Rows:
    def measure(batch: list[Clip]) -> list[list[Measured | None]]:
        sessions = sessions_at(session, to_batch(batch, session.extractor.device), taps)
        at_taps = [what.measure(at, batch) for at in sessions]
        return [list(of_clip) for of_clip in zip(*at_taps, strict=True)]

    for video, clips in reader.read(measure, progress):
        yield video, [found for clip, found in clips if not (clip.still and what.of_motion)]


def _by_cut(session: Session, reader: Collector, taps: Sequence[FeatureTap], progress: Progress | None) -> Rows:
    for video, cuts in mover.read_cuts(session, reader, progress):
        yield (
            video,
            [mover.measure_cut(session, cut, partial(sessions_at, session, taps=taps)) for cut in cuts if cut.kinds],
        )


def _together(measure: str, reader: Collector, studies: dict[str, Study]) -> Study:
    """One study of the scores at all layers."""
    ids = next(iter(studies.values())).video_scores["video_id"]
    if not len(ids):
        raise InputError(f"layers: no clip can be scored by {measure}")
    scores: dict[str, Summary] = {}
    values: dict[str, Any] = {"video_id": ids}
    for layer, study in studies.items():
        for name, summary in study.scores.items():
            if name not in study.references:
                scores[f"{name}@{layer}"], values[f"{name}@{layer}"] = summary, study.video_scores[name]
    arrays = {"layer": np.array(list(studies)), **score_arrays(values, scores)}
    about = {"layer": "all", "measured": measure, "layers": list(studies), "averaged_to": "the last layer's grid"}
    return Study(
        measure="layers",
        arrays=arrays,
        scores=scores,
        video_scores=values,
        provenance=provenance(reader.session, measure) | about,
        skipped=reader.skipped,
        repeated=reader.repeated,
    )
