"""Temporal similarity of RGB and motion features over videos (FIMA paper, Figure 5b)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from analysis.inputs.clips import Clip, Placement, place_clips, to_batch
from analysis.measures.offsets import (
    OFFSET_CHANCE,
    OffsetResult,
    OffsetStatistics,
    OffsetSummary,
    default_hop,
    offset_statistics,
)
from analysis.measures.statistics import StreamingMean, VideoScores
from analysis.measures.temporal import (
    offset_similarity,
    pool_features,
    similarity_chance,
    similarity_scores,
    temporal_similarity,
)
from analysis.plotting.temporal import draw_temporal
from analysis.studies.base import Progress, Session, Study, provenance, score_arrays, study_videos
from fima.data.sampling import clip_span, sliding_window_starts

__all__ = ["run"]

_FINE_BINS = 200_000
"""Over [-1, 1]: the features of a trained backbone often differ in the third decimal only."""


def run(session: Session, progress: Progress | None = None) -> Study:
    """Similarity of slices inside clips, and of windows along whole videos as a function of their offset.

    Args:
        session: Backbone and videos.
        progress: Called after each video.

    Returns:
        The study; ``arrays["similarity_mean"]`` is ``(T', T')``, row = RGB slice, column = motion slice;
        ``offset_*`` hold the curve over offsets and the aligned and misaligned distributions.
    """
    spec = session.spec
    span = clip_span(spec.num_frames, spec.frame_stride)
    hop = session.settings.hop or default_hop(span)
    clips_at = place_clips(spec, session.settings.clips, session.settings.start_seconds)
    windows_at = _windows(session, hop)
    repeated: list[str] = []
    slices, windows = VideoScores(), VideoScores()
    offsets, mean = OffsetSummary(num_bins=_FINE_BINS), StreamingMean()
    stream = session.stream(lambda *times: sorted({*clips_at(*times), *windows_at(*times)}))
    for video, clips in study_videos(session, stream, lambda batch: _measure(session, batch), progress):
        first = clips[0][0]
        times = first.video_seconds, first.duration_seconds
        if first.repeated(spec):
            repeated.append(video.video_id)
        results = {clip.start: result for clip, result in clips}
        chosen = [results[start] for start in clips_at(*times)]
        mean.add(np.mean([result["similarity"] for result in chosen], axis=0))
        for result in chosen:
            slices.add(video.video_id, result["scores"])
        statistics = _offsets(results, list(windows_at(*times)), span=span, fps=first.fps)
        offsets.add(video.video_id, statistics)
        windows.add(video.video_id, {f"offset_{name}": value for name, value in statistics.scores().items()})
    similarity = mean.mean
    chance = _chance(len(similarity))
    # Inside a clip of a single slice there is nothing to compare: its scores would all be at chance, or undefined.
    told = [slices, windows] if len(similarity) > 1 else [windows]
    summaries = {k: v for part in told for k, v in part.summaries(chance, seed=session.settings.seed).items()}
    per_video = {"video_id": np.array(windows.video_ids)} | {k: v for part in told for k, v in part.per_video().items()}
    return Study(
        measure="temporal",
        arrays={
            "similarity_mean": similarity,
            "slice_frames": _slice_frames(session, len(similarity)),
            "span": np.array(span),
            "hop": np.array(hop),
            **_offset_arrays(offsets.result(seed=session.settings.seed)),
            **score_arrays(per_video, summaries),
        },
        scores=summaries,
        per_video=per_video,
        provenance=provenance(session, "temporal"),
        skipped=stream.skipped,
        repeated=repeated,
        draw=draw_temporal,
    )


def _windows(session: Session, hop: int) -> Placement:
    spec = session.spec
    return lambda seconds, _duration: sliding_window_starts(
        len(seconds), num_frames=spec.num_frames, frame_stride=spec.frame_stride, hop=hop
    )


def _measure(session: Session, batch: list[Clip]) -> list[dict[str, Any]]:
    features = session.extractor(to_batch(batch, session.extractor.device))
    compared, mask = session.compared(features), features.foreground()
    similarity = temporal_similarity(compared.rgb, compared.motion)
    foreground = similarity_scores(temporal_similarity(compared.rgb, compared.motion, mask))
    scores = similarity_scores(similarity) | {f"{name}_foreground": column for name, column in foreground.items()}
    rgb, motion = pool_features(compared.rgb), pool_features(compared.motion)
    return [
        {
            "similarity": similarity[i].float().cpu().numpy(),
            "scores": {name: float(column[i]) for name, column in scores.items()},
            "rgb": rgb[i].float().cpu(),
            "motion": motion[i].float().cpu(),
        }
        for i in range(len(batch))
    ]


def _offsets(results: dict[int, dict[str, Any]], starts: list[int], *, span: int, fps: float) -> OffsetStatistics:
    """Every RGB window of a video against every motion window of it."""
    rgb = torch.stack([results[start]["rgb"] for start in starts])
    motion = torch.stack([results[start]["motion"] for start in starts])
    similarity = offset_similarity(rgb, motion).numpy()
    return offset_statistics(similarity, np.array(starts), span=span, fps=fps)


def _offset_arrays(result: OffsetResult) -> dict[str, np.ndarray]:
    """What the figure draws of the offsets, under names for the npz file."""
    arrays = {
        "offset_frames": result.offsets_frames,
        "offset_seconds": result.offsets_seconds,
        "offset_mean": result.mean,
        "offset_low": result.low,
        "offset_high": result.high,
        "offset_change": result.change,
        "offset_change_low": result.change_low,
        "offset_change_high": result.change_high,
        "offset_videos": result.videos_per_offset,
        "offset_unit": np.array(result.unit),
    }
    first, last = _occupied(result)
    arrays["density_edges"] = result.histograms["aligned"].edges[first : last + 2]
    for kind, histogram in result.histograms.items():
        arrays[f"density_{kind}"] = histogram.density[first : last + 1]
        arrays[f"density_{kind}_videos"] = np.array(histogram.num_videos)
    return arrays


def _occupied(result: OffsetResult) -> tuple[int, int]:
    """First and last bin that holds any similarity."""
    filled = np.flatnonzero(sum(np.nan_to_num(histogram.density) for histogram in result.histograms.values()))
    return int(filled[0]), int(filled[-1])


def _chance(slices: int) -> dict[str, float]:
    inside = {name: float(level) for name, level in similarity_chance(slices).items()}
    return {
        **inside,
        **{f"{name}_foreground": level for name, level in inside.items()},
        **{f"offset_{name}": level for name, level in OFFSET_CHANCE.items()},
    }


def _slice_frames(session: Session, slices: int) -> np.ndarray:
    """Middle of every slice, in frames of the clip (videos of a data set may differ in frames per second)."""
    frames = session.spec.num_frames * session.spec.frame_stride
    return (np.arange(slices) + 0.5) * frames / slices
