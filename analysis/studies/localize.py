"""Localization over many videos: do the features respond where the object truly is?"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from analysis.inputs.sessions import Progress, Session
from analysis.inputs.video.clips import Clip, to_batch
from analysis.measures.common.rings import ring_auroc
from analysis.measures.localization import SCORES, baseline_maps, chance_levels, localization_scores
from analysis.studies.common.collecting import ByClip, Collector, Measured
from analysis.studies.common.display import display_clip
from analysis.studies.common.study import Study
from fima.errors import InputError
from fima.methods.activation import class_agnostic_activation_map

__all__ = ["BASELINES", "BY_CLIP", "run"]

BASELINES = ("center", "difference")
"""Beside the uniform map, which is the chance level: a Gaussian in the middle, and the size of the frame difference."""


def run(session: Session, progress: Progress | None = None) -> Study:
    """Class-agnostic activation maps of RGB clips against the masks of their objects.

    Scores, per video: ``analysis.measures.localization.localization_scores``, with the uniform map's as chance, and
    ``ring_auroc`` (`analysis.measures.common.rings`), in which a liking for the center gains nothing; the
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
    collector = Collector(session, example=partial(_example, session), truth=True, of_motion=("motion_", "difference_"))
    scored = [video for video, _ in collector.collect(partial(_measure, session), progress)]
    skipped = collector.skipped
    if not scored:
        why = "".join(f"; {len(skipped)} were skipped: {reason}" for reason in [*skipped.values()][:1])
        given = "drawn videos" if session.settings.masks is None else f"--masks {session.settings.masks}"
        raise InputError(f"{given}: no frame of a clip has both object and surroundings{why}")
    source = {"masks": session.settings.masks or "drawn", "without_mask": collector.unscored, "normalize": _NORMALIZE}
    references = frozenset(f"{kind}_{name}" for kind in BASELINES for name in (*SCORES, _RING))
    return collector.study("localize", source=source, references=references)


_NORMALIZE = "frame"
_RING = "ring_auroc"


def _measure(session: Session, batch: list[Clip], *, plain: bool = True) -> list[Measured | None]:
    """Scores of the network's maps, and of those that need none if ``plain``."""
    frames = to_batch(batch, session.extractor.device)
    features = session.extractor(frames)
    size = (frames.shape[2], frames.shape[3], frames.shape[4])
    maps = {
        "": class_agnostic_activation_map(features.rgb, size=size, normalize=_NORMALIZE),
        "motion_": class_agnostic_activation_map(features.motion, size=size, normalize=_NORMALIZE),
    }
    if plain:
        found = baseline_maps(frames)
        maps |= {"center_": found["center"], "difference_": found["motion"]}
    return [
        _score(clip, {name: values[i : i + 1].cpu() for name, values in maps.items()}) for i, clip in enumerate(batch)
    ]


def _score(clip: Clip, maps: dict[str, Tensor]) -> Measured | None:
    """Scores of one clip by all maps; None where no frame can be scored."""
    truth = clip.truth
    if truth is None:
        return None
    mask, known = truth.mask[None], truth.known[None]
    levels = {name: float(value) for name, value in chance_levels(mask, known).items()}
    if np.isnan(levels["energy"]):
        return None
    scores = {
        f"{prefix}{name}": float(value)
        for prefix, values in maps.items()
        for name, value in (localization_scores(values, mask, known) | {_RING: ring_auroc(values, mask, known)}).items()
    }
    chance = {f"{prefix}{name}": level for prefix in maps for name, level in (levels | {_RING: 0.5}).items()}
    return Measured(scores, chance, {"map": maps[""][0], "mask": truth.mask, "known": truth.known})


def _of_the_network(session: Session, batch: list[Clip]) -> list[Measured | None]:
    """The scores of the network's own maps: the others are the same at every layer."""
    return [found and Measured(found.scores, found.chance) for found in _measure(session, batch, plain=False)]


BY_CLIP = ByClip(_of_the_network, truth=True, of_motion=False)
"""At many layers."""


def _example(session: Session, clip: Clip, measured: Measured) -> dict[str, Any]:
    frames, _ = display_clip(session, clip)
    size = frames.shape[1]
    mask = torch.nn.functional.interpolate(measured.kept["mask"][:, None].float(), size=(size, size), mode="nearest")
    return {
        "video_id": clip.video.video_id,
        "seconds": clip.seconds,
        "frames": frames,
        "map": measured.kept["map"].numpy(),
        "mask": mask[:, 0].bool().numpy(),
        "known": measured.kept["known"].numpy(),
        "energy": measured.scores["energy"],
        "chance": measured.chance["energy"],
    }
