"""A map of many videos' clips by their pooled features, and how far these go with label, background and video."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.inputs.sessions import Progress, Session
from analysis.inputs.video.clips import Clip, to_batch
from analysis.inputs.video.videos import VideoSource
from analysis.measures.common.statistics import VideoScores
from analysis.measures.embedding import (
    COMPONENTS,
    FEWEST,
    PERPLEXITY,
    limit_perplexity,
    match_chance,
    nearest_label_hits,
    neighbors_of_others,
    project,
    shuffled_silhouette,
    silhouettes,
)
from analysis.studies.common.collecting import Collector
from analysis.studies.common.labeled import pooled, with_default_data
from analysis.studies.common.provenance import provenance
from analysis.studies.common.study import Study, score_arrays
from fima.errors import InputError

__all__ = ["DEFAULT_DATA", "make_study", "run"]

DEFAULT_DATA = ("shapes:camera,videos=120", "test")
"""What is shown where neither videos nor a data set are given: one drawn clip makes no map."""
_THUMBNAIL = 64  # pixels
_NEIGHBORS = 5
_FILM = 8  # frames
_MOST_FRAMES = 4096  # of all films: so many tiles keep the page below 15 MB


def run(session: Session, progress: Progress | None = None) -> Study:
    """A map of the clips, and scores of their pooled features that do not depend on it.

    Scores, per video (the mean over its clips), for what is known of the videos: ``knn_label`` and ``knn_background``,
    whether the nearest clip of another video has the same label, or background; ``silhouette_label``,
    ``silhouette_background`` and, where videos have several clips, ``silhouette_video``. Backgrounds are known of
    drawn videos. Chance is what labels give that are shuffled over the videos (for videos: clips).

    The interval draws videos for the mean; their neighbors stay those among all videos.

    Args:
        session: Backbone and videos; without ``video`` and ``data`` in its settings, ``DEFAULT_DATA``.
        progress: Called after each video.

    Returns:
        The study. Per clip, ``arrays`` has ``points`` float32 ``(N, 2)``, ``video`` (index into ``video_id``),
        ``seconds`` of its start, ``nearest`` (the clip of another video; -1 without) and the five ``neighbors``
        ``(N, 5)``, ``thumbnail`` uint8 ``(N, h, w, 3)``, of not too many clips ``film`` ``(N, F, h, w, 3)`` with the
        time ``film_seconds`` from one frame to the next; and, where known, ``label`` and ``background``, indices into
        ``label_name`` and ``background_name``. The page is ``index.html``.

    Raises:
        InputError: If there are fewer than 5 clips.
    """
    session = with_default_data(session, DEFAULT_DATA)
    _check_enough(len(session.videos) * session.settings.clips, session)
    clips: list[Clip] = []
    measured: list[dict[str, np.ndarray]] = []
    collector = Collector(session)
    for _, results in collector.read(partial(_measure, session), progress):
        for clip, result in results:
            clips.append(clip)
            measured.append(result)
    _check_enough(len(clips), session)
    features = np.stack([result["features"] for result in measured])
    if not np.isfinite(features).all():
        broken = next(c for c, row in zip(clips, features, strict=True) if not np.isfinite(row).all())
        raise InputError(f"{broken.video.video_id}: its features are not finite; look at the checkpoint")
    arrays = _describe(clips)
    arrays["thumbnail"] = np.stack([result["thumbnail"] for result in measured])
    if (count := len(measured[0]["film"])) > 1:
        arrays["film"] = np.stack([result["film"] for result in measured])
        arrays["film_seconds"] = np.array([np.ptp(clip.seconds) / (count - 1) for clip in clips])
    return make_study(
        features,
        arrays,
        seed=session.settings.seed,
        provenance=provenance(session, "embed"),
        skipped=collector.skipped,
        repeated=collector.repeated,
    )


def make_study(
    features: np.ndarray,
    arrays: dict[str, np.ndarray],
    *,
    seed: int,
    provenance: dict[str, Any],
    skipped: dict[str, str],
    repeated: Sequence[str] = (),
) -> Study:
    """The study of clips whose features and descriptions are there, wherever they are from.

    Args:
        features: ``(N, C)``, N ≥ 5, finite.
        arrays: as `run` gives them, without ``points`` and ``nearest``; ``seconds`` and ``thumbnail`` may be missing.
        seed: Seed of the map and of the shuffling.
        provenance: as `analysis.studies.common.provenance.provenance` gives it.
        skipped: videos that could not be read, with the reason.
        repeated: ids of videos shorter than a clip.
    """
    arrays = arrays | {"points": project(features, seed=seed), **_near(features, arrays["video"])}
    scores, chance = _score(features, arrays, seed)
    summaries = scores.summaries(chance)
    video_scores = {"video_id": arrays["video_id"], **scores.per_video()}
    return Study(
        measure="embedding",
        arrays={**arrays, **score_arrays(video_scores, summaries)},
        scores=summaries,
        video_scores=video_scores,
        provenance=provenance | _method(provenance, features),
        skipped=skipped,
        repeated=list(repeated),
    )


def _check_enough(number: int, session: Session) -> None:
    if number < FEWEST:
        given = f"--data {session.settings.data}" if session.settings.data is not None else "--video"
        raise InputError(
            f"{given}: a map needs at least {FEWEST} clips, got {number}; give more videos, or more of each (--clips)"
        )


def _measure(session: Session, batch: list[Clip]) -> list[dict[str, np.ndarray]]:
    features = pooled(session.extractor, to_batch(batch, session.extractor.device))
    return [
        {"features": row, "thumbnail": _small(clip.frames, [len(clip.frames) // 2])[0], "film": _film(session, clip)}
        for row, clip in zip(features, batch, strict=True)
    ]


def _film(session: Session, clip: Clip) -> NDArray[np.uint8]:
    """Frames of the clip, evenly spread; none where there are too many clips for films."""
    clips = len(session.videos) * session.settings.clips
    count = min(_FILM, len(clip.frames), _MOST_FRAMES // clips)
    return _small(clip.frames, np.linspace(0, len(clip.frames) - 1, count).round().astype(np.int64))


def _small(frames: Tensor, places: Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
    """Some frames ``(F, h, w, 3)``, at most 64 pixels."""
    some = frames[torch.as_tensor(places)]
    if some.shape[-1] > _THUMBNAIL:
        some = torch.nn.functional.interpolate(some.float(), size=(_THUMBNAIL,) * 2, mode="area").round().byte()
    return some.permute(0, 2, 3, 1).contiguous().numpy()


def _describe(clips: list[Clip]) -> dict[str, np.ndarray]:
    """What is known of the clips."""
    videos = list({clip.video_index: clip.video for clip in clips}.values())
    place = {index: at for at, index in enumerate(dict.fromkeys(clip.video_index for clip in clips))}
    at = np.array([place[clip.video_index] for clip in clips], np.int64)
    known = {"label": _labels(videos), "background": _backgrounds(videos)}
    arrays = {
        "video_id": np.array([video.video_id for video in videos]),
        "video": at,
        "seconds": np.array([clip.seconds[0] for clip in clips]),
    }
    for name, of_videos in known.items():
        if of_videos is not None:
            texts = list(dict.fromkeys(text for _, text in sorted(of_videos)))
            arrays[name] = np.array([texts.index(text) for _, text in of_videos], np.int64)[at]
            arrays[f"{name}_name"] = np.array(texts)
    return arrays


def _labels(videos: list[VideoSource]) -> list[tuple[int, str]] | None:
    """Index and name of each video's class; None unless all are known."""
    found = [
        (video.label, str(video.label if video.record is None else video.record.class_name or video.label))
        for video in videos
        if video.label is not None
    ]
    return found if len(found) == len(videos) else None


def _backgrounds(videos: list[VideoSource]) -> list[tuple[int, str]] | None:
    from fima.data.shapes import ShapesRecord

    found = [v.record.pattern for v in videos if isinstance(v.record, ShapesRecord)]
    return [(number, f"background {number}") for number in found] if len(found) == len(videos) else None


def _score(features: np.ndarray, arrays: dict[str, np.ndarray], seed: int) -> tuple[VideoScores, dict[str, float]]:
    """Scores of the videos and their chance levels, as far as they can be told."""
    videos, each = arrays["video"], np.arange(len(features))
    first = np.unique(videos, return_index=True)[1]
    columns: dict[str, np.ndarray] = {}
    chance: dict[str, float] = {}
    for name in ("label", "background"):
        if name in arrays and len(np.unique(arrays[name])) > 1:
            columns[f"knn_{name}"] = nearest_label_hits(features, arrays[name], videos)
            chance[f"knn_{name}"] = match_chance(arrays[name][first])
    for name, groups in (("label", videos), ("background", videos), ("video", each)):
        if name in arrays and 1 < len(np.unique(arrays[name])) < len(features):
            columns[f"silhouette_{name}"] = silhouettes(features, arrays[name])
            chance[f"silhouette_{name}"] = shuffled_silhouette(features, arrays[name], groups, seed=seed)
    scores = VideoScores()
    for i, video in enumerate(videos):
        scores.add(str(arrays["video_id"][video]), {name: column[i] for name, column in columns.items()})
    return scores, chance


def _near(features: np.ndarray, videos: np.ndarray) -> dict[str, np.ndarray]:
    if len(np.unique(videos)) < 2:
        neighbors = np.full((len(videos), _NEIGHBORS), -1)
    else:
        neighbors = neighbors_of_others(features, videos, _NEIGHBORS)
    return {"nearest": neighbors[:, 0], "neighbors": neighbors}


def _method(provenance: dict[str, Any], features: np.ndarray) -> dict[str, Any]:
    """How the map was made, for the provenance."""
    import sklearn

    return {
        "versions": provenance["versions"] | {"scikit-learn": sklearn.__version__},
        "projection": {
            "method": "rows of length 1, PCA, t-SNE",
            "components": min(COMPONENTS, *features.shape),
            "perplexity": limit_perplexity(PERPLEXITY, len(features)),
        },
        "num_clips": len(features),
    }
