"""What an attribution study will cost, before it begins: how many passes, and how long by the first of them."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import torch

from analysis.inputs.backbone.features import FeatureExtractor
from analysis.inputs.backbone.randomized import layers_from_top, stage_counts
from analysis.inputs.sessions import Session
from analysis.measures.temporal import pool_features
from analysis.studies.attribution.clips import STAGES
from analysis.studies.attribution.explained import choose_explained
from fima.progress import duration

__all__ = ["cost", "num_maps", "num_passes"]


def cost(session: Session) -> str:
    """The cost in words; one pass is made and timed for it. Empty where the first of given files will be refused.

    Args:
        session: Backbone, videos and settings of the study.

    Raises:
        InputError: For clips that the backbone cannot take, or a target that the checkpoint does not have.
    """
    settings, spec = session.settings, session.spec
    choose_explained(session, settings.target)
    if settings.data is None and settings.target == "motion" and _begins_still(session):
        return ""
    passes, batch = num_passes(
        settings.method, settings.steps, settings.batch_size, (spec.num_frames, spec.size, spec.size)
    )
    backward = settings.method != "occlusion"
    maps = num_maps(session)
    seconds = _seconds_of_a_pass(session.extractor, batch, backward=backward) * maps * passes
    made = "forward and backward" if backward else "forward"
    return (
        f"{maps} maps ({settings.method}) of {passes} passes each, {batch} clip{'s' if batch > 1 else ''} at once: "
        f"{maps * passes} passes {made}, by the first about {duration(max(seconds, 1))}"
    )


def num_maps(session: Session) -> int:
    """Maps of a study: of each clip by the backbone and by random weights, and the stages between of those shown."""
    settings, videos = session.settings, len(session.videos)
    clips = settings.clips if settings.start_seconds is None else 1
    shown = min(settings.show, videos if videos > 1 else clips)
    maps = 2 * videos * clips + shown * len(stage_counts(len(layers_from_top(session.extractor)), STAGES))
    return 2 * maps if settings.twin else maps


def num_passes(method: str, steps: int, at_once: int, shape: Sequence[int]) -> tuple[int, int]:
    """Passes of one map, and clips in each.

    Args:
        method: One of ``analysis.measures.attribution.METHODS``.
        steps: Points on the way from the baseline.
        at_once: Clips in a pass at most.
        shape: ``(T, H, W)`` of a clip.
    """
    if method == "grad_cam":
        return 1, 1
    if method == "occlusion":
        length, height, width = shape
        frames, pixels = max(1, length // 4), max(1, min(height, width) // 4)
        windows = math.prod(
            math.ceil((size - window) / max(1, window // 2)) + 1
            for size, window in ((length, frames), (height, pixels), (width, pixels))
        )
        return 1 + math.ceil(windows / at_once), min(at_once, windows)
    return math.ceil(steps / at_once), min(at_once, steps)


def _begins_still(session: Session) -> bool:
    first = next(session.stream().per_video(session.settings.batch_size, list), None)
    return first is not None and all(clip.still for clip, _ in first[1])


def _seconds_of_a_pass(extractor: FeatureExtractor, batch: int, *, backward: bool) -> float:
    spec = extractor.reads
    clip = torch.full((batch, 3, spec.num_frames, spec.size, spec.size), 0.5, device=extractor.device)
    inputs = extractor.prepare(clip).requires_grad_(backward)
    began = time.perf_counter()
    with torch.set_grad_enabled(backward):
        pooled = pool_features(extractor.prepared_map(inputs)).sum()
    if backward:
        torch.autograd.grad(pooled, inputs)
    float(pooled.detach())  # waits for the device
    return time.perf_counter() - began
