"""Localization over many videos: do the features respond where the object truly is?"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from analysis.inputs.clips import Clip, to_batch
from analysis.measures.localization import SCORES, baseline_maps, chance_levels, localization_scores
from analysis.measures.statistics import VideoScores
from analysis.plotting.localize import draw_localize
from analysis.studies.base import Examples, Progress, Session, Study, provenance, score_arrays, study_videos
from analysis.studies.display import display_clip, stack_examples
from fima.errors import InputError
from fima.methods.activation import class_agnostic_activation_map

__all__ = ["BASELINES", "run"]

BASELINES = ("center", "difference")
"""Beside the uniform map, which is the chance level: a Gaussian in the middle, and the size of the frame difference."""


def run(session: Session, progress: Progress | None = None) -> Study:
    """Class-agnostic activation maps of RGB clips against the masks of their objects.

    Scores, per video: ``analysis.measures.localization.localization_scores``, with the uniform map's as chance; the
    same of the motion features' map (``motion_energy``, …); and of two maps that need no network (``center_energy``,
    ``difference_energy``, …): a backbone that looks at motion should at least beat the frame difference.

    Args:
        session: Backbone and videos; masks from ``settings.masks``, or of drawn videos.
        progress: Called after each video.

    Returns:
        The study; videos without a mask are counted in ``provenance["without_mask"]``.

    Raises:
        InputError: If there are no masks.
    """
    scores, chance = VideoScores(), VideoScores()
    shown: list[dict[str, Any]] = []
    repeated: list[str] = []
    without: list[str] = []
    chosen = Examples(len(session.videos), session.settings.show)
    stream = session.stream(truth=True)
    for video, clips in study_videos(session, stream, lambda batch: _measure(session, batch), progress):
        found = [(clip, result) for clip, result in clips if result is not None]
        if not found:
            without.append(video.video_id)
            continue
        for _, result in found:
            scores.add(video.video_id, result["scores"])
            chance.add(video.video_id, result["chance"])
        clip, result = found[0]
        if clip.repeated(session.spec):
            repeated.append(video.video_id)
        if chosen.take(clip.video_index):
            shown.append(_example(session, clip, result))
    if not shown:
        why = "".join(f"; {len(stream.skipped)} were skipped: {reason}" for reason in [*stream.skipped.values()][:1])
        raise InputError(f"--masks {session.settings.masks}: no frame of a clip has both object and surroundings{why}")
    levels = {name: summary.mean for name, summary in chance.summaries().items()}
    levels |= {f"{kind}_{name}": levels[name] for kind in ("motion", *BASELINES) for name in SCORES}
    summaries = scores.summaries(levels, seed=session.settings.seed)
    per_video = {"video_id": np.array(scores.video_ids), **scores.per_video()}
    return Study(
        measure="localize",
        arrays={**stack_examples(shown), **score_arrays(per_video, summaries)},
        scores=summaries,
        per_video=per_video,
        provenance=provenance(session, "localize")
        | {"masks": session.settings.masks or "drawn", "without_mask": without, "normalize": _NORMALIZE},
        skipped=stream.skipped,
        repeated=repeated,
        draw=draw_localize,
        references=frozenset(f"{kind}_{name}" for kind in BASELINES for name in SCORES),
    )


_NORMALIZE = "frame"


def _measure(session: Session, batch: list[Clip]) -> list[dict[str, Any] | None]:
    clip = to_batch(batch, session.extractor.device)
    features = session.extractor(clip)
    size = (clip.shape[2], clip.shape[3], clip.shape[4])
    maps = {
        "": class_agnostic_activation_map(features.rgb, size=size, normalize=_NORMALIZE),
        "motion_": class_agnostic_activation_map(features.motion, size=size, normalize=_NORMALIZE),
    }
    plain = baseline_maps(clip)
    maps |= {"center_": plain["center"], "difference_": plain["motion"]}
    return [
        None if one.truth is None else _score(one, {name: values[i : i + 1].cpu() for name, values in maps.items()})
        for i, one in enumerate(batch)
    ]


def _score(clip: Clip, maps: dict[str, Tensor]) -> dict[str, Any] | None:
    """Scores of one clip by all maps; None where no frame can be scored."""
    truth = clip.truth
    if truth is None:
        return None
    mask, known = truth.mask[None], truth.known[None]
    chance = {name: float(value) for name, value in chance_levels(mask, known).items()}
    if np.isnan(chance["energy"]):
        return None
    scores = {
        f"{prefix}{name}": float(value)
        for prefix, values in maps.items()
        for name, value in localization_scores(values, mask, known).items()
    }
    return {"scores": scores, "chance": chance, "map": maps[""][0], "mask": truth.mask, "known": truth.known}


def _example(session: Session, clip: Clip, result: dict[str, Any]) -> dict[str, Any]:
    frames, _ = display_clip(session, clip)
    size = frames.shape[1]
    mask = torch.nn.functional.interpolate(result["mask"][:, None].float(), size=(size, size), mode="nearest")
    return {
        "video_id": clip.video.video_id,
        "seconds": clip.seconds,
        "frames": frames,
        "map": result["map"].numpy(),
        "mask": mask[:, 0].bool().numpy(),
        "known": result["known"].numpy(),
        "energy": result["scores"]["energy"],
        "chance": result["chance"]["energy"],
    }
