"""Which channels follow motion and which appearance, over many videos and their partners."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.inputs.backbone.twins import untrained_twin
from analysis.inputs.sessions import Progress, Session
from analysis.inputs.video.clips import Clip, to_batch
from analysis.inputs.video.truth import cut_frames
from analysis.inputs.video.videos import VideoSource
from analysis.measures.common.chance import choose_partners
from analysis.measures.common.statistics import Summary
from analysis.measures.sensitivity import shuffled
from analysis.measures.units import channel_correlation, share_ends, unit_shares
from analysis.studies.common.collecting import Collector, Measured, groups_of
from analysis.studies.common.labeled import pooled, with_default_data
from analysis.studies.common.study import Study, score_arrays
from fima.data.sampling import clip_indices
from fima.data.shapes import ShapesRecord
from fima.errors import InputError

__all__ = ["run"]

_FEWEST = 10  # videos: a correlation over fewer is noise


def run(session: Session, progress: Progress | None = None) -> Study:
    """Correlations of every channel of the pooled features over pairs of clips, and the shares of channels.

    The same motion in another look: a drawn video without a moving camera is drawn again with object and background of
    another; any other clip is shown with inverted and exchanged colors. The same look: the clip with shuffled frames.

    Scores, of the whole set: those of ``analysis.measures.units.unit_shares``, and of the untrained twin (``twin_``);
    their intervals draw videos, or whole recordings, again. Videos have no scores of their own.

    Args:
        session: Backbone and videos.
        progress: Called after each video.

    Returns:
        The study; ``arrays`` has ``motion_correlation`` and ``appearance_correlation`` ``(C,)``, and those of the twin.

    Raises:
        InputError: For fewer than ten videos.
    """
    session = with_default_data(session)
    if len(session.videos) < _FEWEST:
        raise InputError(f"units correlates over videos and needs at least {_FEWEST}, got {len(session.videos)}")
    measuring = _Measuring(session)
    collector = Collector(session)
    videos, rows = [], []
    for video, clips in collector.read(measuring, progress):
        videos.append(video)
        rows.append({name: np.mean([found[name] for _, found in clips], axis=0) for name in clips[0][1]})
        collector.add(video, Measured())
    groups, arrays, scores = groups_of(videos), {}, {}
    for prefix in measuring.prefixes:
        own, motion, look = (np.stack([row[f"{prefix}{kind}"] for row in rows]) for kind in _KINDS)
        arrays[f"{prefix}motion_correlation"] = channel_correlation(own, motion)
        arrays[f"{prefix}appearance_correlation"] = channel_correlation(own, look)
        ends = share_ends(
            len(videos), lambda p, o=own, m=motion, a=look: unit_shares(o[p], m[p], a[p]), groups,  # type: ignore[misc]
            seed=session.settings.seed,
        )  # fmt: skip
        units = len(videos if groups is None else set(groups))
        for name, value in unit_shares(own, motion, look).items():
            scores[f"{prefix}{name}"] = Summary(value, np.nan, *ends[name], len(videos), num_units=units)
    study = collector.study("units", references=frozenset(name for name in scores if name.startswith("twin_")))
    nothing = {name: np.full(len(videos), np.nan) for name in scores}
    video_scores = {"video_id": np.array([video.video_id for video in videos]), **nothing}
    redrawn = sum(measuring.redrawn.values())
    return replace(
        study, scores=scores, video_scores=video_scores, arrays={**arrays, **score_arrays(video_scores, scores)},
        provenance=study.provenance | {"num_redrawn": redrawn, "num_recolored": len(videos) - redrawn},
    )  # fmt: skip


_KINDS = ("clip", "same_motion", "same_look")


class _Measuring:
    """A batch of clips → pooled features of each, of its motion in another look, and of its look in another order.

    Attributes:
        prefixes: Of the backbone, and of its untrained twin.
        redrawn: Video → whether it was drawn again.
    """

    def __init__(self, session: Session) -> None:
        self._session, twin = session, untrained_twin(session)
        self._extractors = {"": session.extractor, **({} if twin is None else {"twin_": twin.extractor})}
        self.prefixes = list(self._extractors)
        ids = [video.video_id for video in session.videos]
        self._others = choose_partners(ids, count=1, seed=session.settings.seed)[:, 0]
        self.redrawn: dict[str, bool] = {}

    def __call__(self, batch: list[Clip]) -> list[dict[str, NDArray[Any]]]:
        clip = to_batch(batch, self._session.extractor.device)
        looks = torch.stack([self._other_look(one) for one in batch]).to(clip)
        shown = {"clip": clip, "same_motion": looks, "same_look": shuffled(clip, self._session.settings.seed)}
        found = {
            f"{prefix}{kind}": pooled(extractor, changed)
            for prefix, extractor in self._extractors.items()
            for kind, changed in shown.items()
        }
        return [{name: rows[i] for name, rows in found.items()} for i in range(len(batch))]

    def _other_look(self, clip: Clip) -> Tensor:
        """``(3, T, H, W)`` in [0, 1]."""
        frames = _redrawn(self._session, clip, self._session.videos[self._others[clip.video_index]])
        self.redrawn[clip.video.video_id] = frames is not None
        if frames is None:
            frames = 255 - clip.frames[:, [1, 2, 0]]
        return frames.permute(1, 0, 2, 3).float() / 255


def _redrawn(session: Session, clip: Clip, other: VideoSource) -> Tensor | None:
    """uint8 ``(T, 3, size, size)``: the clip's motion with another's object and background; None where not drawn."""
    if not isinstance(clip.video.record, ShapesRecord) or not isinstance(other.record, ShapesRecord):
        return None
    own, theirs, spec = clip.video.record.draw(), other.record.draw(), session.spec
    behind, other_look = own.backdrop, theirs.backdrop.scenes
    alike = behind.scenes[0].shape == other_look[0].shape
    if not behind.view.at_rest or not alike or own.standing or len(own.layers) != 1:
        return None
    mover = replace(own.layers[0], sprite=_as_large(theirs.layers[-1].sprite, own.layers[0].sprite.radius))
    drawn = replace(own, backdrop=replace(behind, scenes=other_look), layers=(mover,))
    indices = clip_indices(len(own), clip.start, num_frames=spec.num_frames, frame_stride=spec.frame_stride)
    return cut_frames(drawn.frames(indices), spec)


def _as_large(sprite: Any, radius: float) -> Any:
    """The sprite at another size, where its size is all that ``radius`` says."""
    return replace(sprite, radius=radius) if hasattr(sprite, "kind") else sprite
