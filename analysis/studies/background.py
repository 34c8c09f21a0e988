"""The background battery over many videos: what a probe of classes says of clips whose background is another's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.inputs.sessions import Progress, Session
from analysis.inputs.video.clips import Clip, ClipTruth, to_batch
from analysis.inputs.video.truth import drawn_backgrounds
from analysis.measures.background import (
    FOREIGN,
    background_scores,
    fill_background,
    noise_picture,
    stripes_picture,
)
from analysis.measures.common.chance import choose_partners, circle_of
from analysis.measures.common.probing import largest_share, predict_held_out
from analysis.measures.sensitivity import frozen, replace_background
from analysis.studies.common.collecting import Collector, groups_of
from analysis.studies.common.labeled import (
    check_labeled,
    mean_over_clips,
    pooled,
    training_features,
    with_default_data,
)
from analysis.studies.common.study import Study
from fima.errors import InputError

__all__ = ["run"]

_SHOWN = ("original", *(f"scuba_{kind}" for kind in FOREIGN), "swap", "background_only", "foreground_only")
_MOMENTS = 5  # of the clip that the figure shows
_GRAY = 0.5


def run(session: Session, progress: Progress | None = None) -> Study:
    """A linear probe of classes, trained on unaltered clips, asked about altered ones.

    The object is where the masks say; what it moves in front of is replaced: by the background of a video of another
    class and recording, at rest (SCUBA) or as it moves (swap), by stripes, noise or gray; or the object itself, by what
    is seen there at other times (background only). Where masks are not known in all frames of a clip, the video trains
    but is not altered.

    Scores, per video: those of ``analysis.measures.background.background_scores``.

    Args:
        session: Backbone and labeled videos; masks from ``settings.masks``, or of drawn videos; the probe is trained on
            ``settings.train_split``, or on the videos themselves, in folds.
        progress: Called after each video.

    Returns:
        The study; ``arrays["example_frames"]`` is uint8 ``(R, K, size, size, 3)``: K moments of one clip as the
        network sees it and of its altered selves, by ``example_name``.

    Raises:
        InputError: If videos have no labels or masks, or a class is too small for a probe.
    """
    session = with_default_data(session)
    check_labeled(session, "background")
    train = training_features(session)
    ids = [video.video_id for video in session.videos]
    order = circle_of(ids, session.settings.seed)[::-1]  # partners come before
    measuring = _Measuring(replace(session, videos=[session.videos[place] for place in order]))
    collector = Collector(measuring.session, truth=True)
    rows = {
        video.video_id: (video, [features for _, features in clips])
        for video, clips in collector.read(measuring, progress)
    }
    read = [rows[name] for name in ids if name in rows]
    videos, groups = [video for video, _ in read], groups_of([video for video, _ in read])
    features = {
        name: np.stack([mean_over_clips([clip[name] for clip in clips]) for _, clips in read]) for name in _NAMES
    }
    labels = np.array([video.label for video in videos], np.int64)
    answers = predict_held_out(features["original"], labels, features, groups=groups, train=train)
    behind = np.array([measuring.behind.get(video.video_id, -1) for video in videos], np.int64)
    scores = background_scores(answers, labels, behind)
    if np.isnan(scores["foreground_only"]).all():
        raise InputError(f"background: no mask is known in all frames of a clip, such as of {videos[0].video_id}")
    collector.add_columns(videos, scores)
    altered = int((answers["foreground_only"] >= 0).sum())
    source = {"masks": session.settings.masks or "drawn", "num_altered": altered}
    return collector.study("background", measuring.example, levels=_levels(scores, labels), source=source)


_NAMES = ("original", *(f"{what}_{kind}" for what in ("scuba", "scufo") for kind in FOREIGN), "swap", "background_only",
          "foreground_only")  # fmt: skip


def _levels(scores: dict[str, Any], labels: NDArray[np.int64]) -> dict[str, float]:
    level = largest_share(labels)
    return dict.fromkeys(scores, level) | {"contra": level * (1 - level)}


class _Measuring:
    """A batch of clips → the features of each and of its altered selves, by name; NaN of those that there are not.

    Attributes:
        session: Whose videos are read in the order in which they are given.
        behind: Video → class of the video whose background its swap has.
        example: What the figure shows.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.behind: dict[str, int] = {}
        self.example: dict[str, NDArray[Any]] = {}
        self._backgrounds = _Backgrounds(session)

    def __call__(self, batch: list[Clip]) -> list[dict[str, NDArray[Any]]]:
        clip = to_batch(batch, self.session.extractor.device)
        features = {"original": pooled(self.session.extractor, clip)}
        places = [i for i, one in enumerate(batch) if _altered(one)]
        lacking = [i for i in places if not self._backgrounds.has(batch[i])]
        for name, changed in self._alter(clip[places], [batch[i] for i in places]) if places else ():
            spread = np.full_like(features["original"], np.nan)
            spread[places] = pooled(self.session.extractor, changed)
            spread[lacking] *= np.nan if name in _FROM_VIDEO else 1
            features[name] = spread
        for one in batch:
            self._backgrounds.leave(one)
        nothing = np.full_like(features["original"], np.nan)
        return [{name: features.get(name, nothing)[i] for name in _NAMES} for i in range(len(batch))]

    def _alter(self, clip: Tensor, batch: list[Clip]) -> Iterator[tuple[str, Tensor]]:
        """Names and altered clips ``(N, 3, T, H, W)``; what lacks a partner's background has gray instead."""
        mask = torch.stack([one.truth.mask for one in batch if one.truth is not None]).to(clip.device)
        moving = [self._backgrounds.behind(one) for one in batch]
        strips = {"original": clip}
        for kind in FOREIGN:
            stills = [_still(kind, one, found) for one, found in zip(batch, moving, strict=True)]
            strips[f"scuba_{kind}"] = replace_background(clip, mask, _as_clip(stills, clip))
            strips[f"scufo_{kind}"] = frozen(strips[f"scuba_{kind}"])
        behind = [one.frames * 0 + 127 if found is None else found[1] for one, found in zip(batch, moving, strict=True)]
        strips["swap"] = replace_background(clip, mask, _as_clip(behind, clip))
        strips["background_only"] = _as_clip([self._backgrounds.own(one) for one in batch], clip)
        strips["foreground_only"] = replace_background(clip, mask, torch.full_like(clip[:, :, :1], _GRAY))
        for one, found in zip(batch, moving, strict=True):
            if found is not None:
                self.behind.setdefault(one.video.video_id, found[0])
        self._show(batch, strips, [found is not None for found in moving])
        del strips["original"]
        yield from strips.items()

    def _show(self, batch: list[Clip], strips: dict[str, Tensor], whole: list[bool]) -> None:
        """The first clip that has everything."""
        if self.example or not any(whole):
            return
        place = whole.index(True)
        length = len(batch[place].seconds)
        times = np.linspace(0, length - 1, min(_MOMENTS, length)).round().astype(int)
        frames = torch.stack([strips[name][place][:, times.tolist()] for name in _SHOWN]).mul(255).round().byte()
        self.example = {
            "example_video_id": np.array(batch[place].video.video_id),
            "example_name": np.array(_SHOWN),
            "example_frames": frames.permute(0, 2, 3, 4, 1).contiguous().cpu().numpy(),
            "example_seconds": batch[place].seconds[times] - batch[place].seconds[0],
        }


_FROM_VIDEO = ("scuba_video", "scufo_video", "swap")


class _Backgrounds:
    """Clips without their object, ``(T, 3, H, W)``, as long as a later video may ask for them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        videos = session.videos
        self._partners = choose_partners(
            [video.video_id for video in videos], groups=groups_of(videos), labels=[video.label for video in videos],
            seed=session.settings.seed,
        )  # fmt: skip
        self._wanted = Counter(self._partners[self._partners >= 0].tolist())
        self._kept: dict[int, Tensor | None] = {}

    def own(self, clip: Clip) -> Tensor:
        """A clip's own."""
        found = self._fill(clip)
        if found is None:
            raise InputError(f"{clip.video.video_id}: its background is not known")
        if self._wanted[clip.video_index]:
            self._kept.setdefault(clip.video_index, found)
        return found

    def behind(self, clip: Clip) -> tuple[int, Tensor] | None:
        """Class and background of the first partner that has one and is of another class."""
        for partner in self._partners[clip.video_index]:
            video = self._session.videos[partner]
            if partner >= 0 and video.label != clip.video.label:
                if partner not in self._kept:
                    self._kept[int(partner)] = self._read(int(partner))
                if (found := self._kept[int(partner)]) is not None:
                    assert video.label is not None
                    return video.label, found
        return None

    def has(self, clip: Clip) -> bool:
        """Whether ``behind`` finds something."""
        return self.behind(clip) is not None

    def leave(self, clip: Clip) -> None:
        """After a video's last clip, forget what no other video may ask for."""
        if clip.last:
            for partner in self._partners[clip.video_index]:
                self._wanted[int(partner)] -= 1
                if not self._wanted[int(partner)]:
                    self._kept.pop(int(partner), None)

    def _read(self, place: int) -> Tensor | None:
        """Of a video that comes later."""
        one = replace(self._session, videos=[self._session.videos[place]])
        clip = next(iter(one.stream(truth=True)), None)
        return None if clip is None or not _altered(clip) else self._fill(clip)

    def _fill(self, clip: Clip) -> Tensor | None:
        if self._session.settings.masks is None:
            return drawn_backgrounds(clip.video, clip.start, self._session.spec)
        return None if clip.truth is None else fill_background(clip.frames, clip.truth.mask)


def _altered(clip: Clip) -> bool:
    """Whether it has a mask in all frames, and a background."""
    truth: ClipTruth | None = clip.truth
    return truth is not None and bool(truth.known.all()) and bool(truth.mask.any()) and not bool(truth.mask.all())


def _still(kind: str, clip: Clip, behind: tuple[int, Tensor] | None) -> Tensor:
    """uint8 ``(1, 3, H, W)``: a foreign background at rest."""
    size = clip.frames.shape[-1]
    if kind != "video":
        return (stripes_picture if kind == "stripes" else noise_picture)(size, clip.video.video_id)[None]
    if behind is None:
        return torch.full((1, 3, size, size), 127, dtype=torch.uint8)
    return behind[1][len(behind[1]) // 2][None]


def _as_clip(frames: list[Tensor], like: Tensor) -> Tensor:
    """uint8 ``(T, 3, H, W)`` each → ``(N, 3, T, H, W)`` in [0, 1]."""
    return torch.stack(frames).to(like.device, like.dtype).div_(255).permute(0, 2, 1, 3, 4)
