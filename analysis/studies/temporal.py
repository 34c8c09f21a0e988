"""Temporal similarity of RGB and motion features over videos (FIMA paper, Figure 5b)."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.inputs.sessions import Progress, Session
from analysis.inputs.video.clips import Clip, Placement, place_clips, to_batch
from analysis.measures.common.offset_summary import OffsetResult, OffsetSummary
from analysis.measures.common.offsets import OFFSET_CHANCE, OffsetStatistics, default_hop, offset_statistics
from analysis.measures.common.statistics import StreamingMean
from analysis.measures.temporal import (
    offset_similarity,
    pool_features,
    similarity_chance,
    similarity_scores,
    temporal_similarity,
)
from analysis.studies.common.collecting import ByClip, Collector, Measured
from analysis.studies.common.study import Study
from fima.data.sampling import clip_span, sliding_window_starts

__all__ = ["BY_CLIP", "run"]

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
    offsets, mean = OffsetSummary(num_bins=_FINE_BINS), StreamingMean()
    collector = Collector(session, moving=True)

    def place(seconds: NDArray[np.float64], duration: float) -> list[int]:
        return sorted({*clips_at(seconds, duration), *windows_at(seconds, duration)})

    for video, clips in collector.read(partial(_measure, session), progress, place):
        first = clips[0][0]
        times = first.video_seconds, first.duration_seconds
        results = {clip.start: result for clip, result in clips}
        chosen = [results[start] for start in clips_at(*times)]
        mean.add(np.mean([result["similarity"] for result in chosen], axis=0))
        if len(chosen[0]["similarity"]) > 1:  # of a single slice all scores would be at chance, or undefined
            for result in chosen:
                collector.add(video, Measured(result["scores"]))
        statistics = _offsets(results, list(windows_at(*times)), span=span, fps=first.fps)
        offsets.add(video.video_id, statistics)
        collector.add(video, Measured({f"offset_{name}": value for name, value in statistics.scores().items()}))
    similarity = mean.mean
    arrays = {
        "similarity_mean": similarity,
        "slice_frames": _slice_frames(session, len(similarity)),
        "span": np.array(span),
        "hop": np.array(hop),
        **_offset_arrays(offsets.result()),
    }
    return collector.study("temporal", arrays, levels=_chance(len(similarity)))


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


def _slices_alone(session: Session, batch: list[Clip]) -> list[Measured | None]:
    """The scores of the slices of each clip; of a single slice there are none."""
    return [
        Measured(result["scores"], _chance(len(result["similarity"]))) if len(result["similarity"]) > 1 else None
        for result in _measure(session, batch)
    ]


BY_CLIP = ByClip(_slices_alone)
"""At many layers."""


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
