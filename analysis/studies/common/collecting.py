"""The one loop of the studies: clips in, scores of videos with their chance levels and shown examples out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from analysis.inputs.sessions import Progress, Session
from analysis.inputs.video.clips import Clip, Placement
from analysis.inputs.video.partners import partners_of
from analysis.inputs.video.videos import VideoSource
from analysis.measures.common.statistics import VideoScores, summarize
from analysis.measures.registry import find_score
from analysis.studies.common.provenance import provenance
from analysis.studies.common.study import Study, score_arrays
from fima.errors import InputError

__all__ = ["NOTHING_MOVES", "ByClip", "Collector", "Examples", "Measured", "groups_of"]

T = TypeVar("T")

NOTHING_MOVES = "nothing moves in it, so there is no motion to compare its features with"


@dataclass(frozen=True)
class Measured:
    """What a study measures of one clip.

    Attributes:
        scores: Name → number.
        chance: Name of a score → its chance level for this clip, where it is known from the clip alone.
        kept: What examples, chance levels against other videos, and the study itself need beside; of the first clip
            of each video it stays in memory where there is a chance level against other videos.
    """

    scores: Mapping[str, Any] = field(default_factory=dict)
    chance: Mapping[str, Any] = field(default_factory=dict)
    kept: Any = None


Measure = Callable[[list[Clip]], Sequence["Measured | None"]]
"""A batch of clips → what was measured of each; None for a clip that cannot be scored."""


@dataclass(frozen=True)
class ByClip:
    """A measure that looks at each clip alone, so that it can be read at many layers of one pass.

    Attributes:
        measure: Session and a batch of its clips → what was measured of each.
        against: As of ``Collector``.
        truth: As of ``Collector``.
        of_motion: Whether its scores mean nothing of a clip in which nothing moves.
    """

    measure: Callable[[Session, list[Clip]], Sequence[Measured | None]]
    against: Callable[[Any, Any], Mapping[str, Any]] | None = None
    truth: bool = False
    of_motion: bool = True


class Examples:
    """Which videos a figure shows: evenly spaced, so that the classes of a data set all appear.

    A chosen video that turns out to be broken gives its place to the next one that can be read.

    Args:
        num_videos: Videos in all.
        show: How many to show at most.
    """

    def __init__(self, num_videos: int, show: int) -> None:
        self._places = np.linspace(0, num_videos - 1, min(show, num_videos)).round().astype(int)
        self._taken = 0

    def may_take(self, index: int) -> bool:
        """Whether the video at ``index`` may be shown, before it is known whether it can be read."""
        return bool((self._places <= index).sum() > self._taken)

    def take(self, index: int) -> bool:
        """Whether the video at ``index``, read to its end, is shown; asked once for each, in reading order."""
        taken = self.may_take(index)
        self._taken += taken
        return taken


class Collector:
    """Gathers what a study measures, clip by clip; what is kept grows by a few numbers with each video.

    Args:
        session: Backbone and videos.
        example: Clip and what was measured of it → what the figure shows of it, by name.
        against: What was kept of a clip, and of a clip of another video → scores that chance would give the first. Each
            video is set against several others (`analysis.measures.common.chance.choose_partners`).
        truth: Whether clips carry the masks of their objects.
        cell: Of whole frames, instead of squares (`analysis.inputs.video.clips.center_crop`).
        moving: Whether every score is of what moves: a video in which nothing does cannot be measured.
        of_motion: How the names of scores begin that mean nothing where nothing moves (``""``: all of them).

    Attributes:
        examples: Which videos are shown.
        skipped: Broken videos of a data set, with the reason.
        repeated: Videos shorter than a clip.
        unscored: Videos of which no clip could be scored.
        still: Videos with clips in which nothing moves, and so without the scores of motion.
    """

    def __init__(
        self,
        session: Session,
        *,
        example: Callable[[Clip, Measured], dict[str, Any]] | None = None,
        against: Callable[[Any, Any], Mapping[str, Any]] | None = None,
        truth: bool = False,
        cell: int = 0,
        moving: bool = False,
        of_motion: tuple[str, ...] = (),
    ) -> None:
        self.session, self.examples = session, Examples(len(session.videos), session.settings.show)
        self.unscored: list[str] = []
        self._example, self._against, self._truth, self._cell = example, against, truth, cell
        self._moving, self._of_motion, self.still = moving, of_motion, dict[str, None]()
        self._scores, self._chance = VideoScores(), VideoScores()
        self._shown: list[dict[str, Any]] = []
        self.repeated: list[str] = []
        self.skipped = dict(session.missing)
        self._videos: dict[str, tuple[VideoSource, Any]] = {}
        self._partners: dict[str, list[VideoSource]] = {}

    def collect(
        self, measure: Measure, progress: Progress | None = None, place: Placement | None = None
    ) -> Iterator[tuple[VideoSource, list[tuple[Clip, Any]]]]:
        """Measure, score and show the clips of all videos.

        Args:
            measure: See ``Measure``.
            progress: Called after each video.
            place: Start frames of a video's clips; None: as the settings say.

        Yields:
            Each video of which a clip could be scored, with ``(clip without frames, what was kept of it)``.

        Raises:
            InputError: If no video of the data set could be read.
        """
        for video, clips in self.read(measure, progress, place):
            scored = [(clip, measured) for clip, measured in clips if measured is not None]
            if not scored:
                self.unscored.append(video.video_id)
                continue
            for clip, measured in scored:
                self.add(video, self._of_what_moves(clip, measured))
            self._show(scored)
            yield video, [(clip, measured.kept) for clip, measured in scored]

    def run(self, measure: Measure, progress: Progress | None = None) -> None:
        """``collect`` for a study that needs nothing else of the clips."""
        for _ in self.collect(measure, progress):
            pass

    def read(
        self, measure: Callable[[list[Clip]], Sequence[T]], progress: Progress | None, place: Placement | None = None
    ) -> Iterator[tuple[VideoSource, list[tuple[Clip, T]]]]:
        """Measured clips video by video, without scoring them; arguments and errors as of ``collect``."""
        session, found = self.session, 0
        stream = session.stream(place, truth=self._truth, cell=self._cell)
        for video, clips in stream.per_video(session.settings.batch_size, measure):
            self.skipped = stream.skipped
            if self._moving and all(clip.still for clip, _ in clips):
                self._refuse(video, NOTHING_MOVES)
                continue
            if clips[0][0].repeated(session.spec):
                self.repeated.append(video.video_id)
            found += 1
            yield video, clips
            if progress is not None:
                progress(found + len(stream.skipped), self._total)
        self.skipped = stream.skipped
        self._check_any(found)

    def read_videos(
        self, cut: Callable[[int, VideoSource], tuple[T, bool]], progress: Progress | None
    ) -> Iterator[tuple[VideoSource, T]]:
        """Videos one after the other, for a study that cuts its clips itself; broken ones of a data set are skipped.

        Args:
            cut: Place and video → its clips, and whether it is shorter than one.
            progress: Called after each video.
        """
        session, found = self.session, 0
        for index, video in enumerate(session.videos):
            try:
                clips, repeated = cut(index, video)
            except (InputError, OSError) as error:
                if session.settings.data is None:
                    raise
                self.skipped[video.video_id] = str(error)
            else:
                found += 1
                self.repeated += [video.video_id] if repeated else []
                yield video, clips
            if progress is not None:
                progress(index + 1 + len(session.missing), self._total)
        self._check_any(found)

    def add(self, video: VideoSource, measured: Measured) -> None:
        """Add the scores and chance levels of a clip."""
        self._scores.add(video.video_id, measured.scores)
        self._chance.add(video.video_id, measured.chance)
        self._videos.setdefault(video.video_id, (video, measured.kept if self._against is not None else None))

    def add_columns(self, videos: Sequence[VideoSource], scores: Mapping[str, Sequence[Any] | np.ndarray]) -> None:
        """Add scores of N clips together, by name ``(N,)``; each clip is of the video at its place."""
        for place, video in enumerate(videos):
            self.add(video, Measured({name: column[place] for name, column in scores.items()}))

    def _refuse(self, video: VideoSource, why: str) -> None:
        if self.session.settings.data is None:
            raise InputError(f"{video.path or video.video_id}: {why}")
        self.skipped[video.video_id] = why

    def _of_what_moves(self, clip: Clip, measured: Measured) -> Measured:
        """Without the scores that would compare with a motion that is not there."""
        if not (clip.still and self._of_motion):
            return measured
        self.still[clip.video.video_id] = None
        missing = {name: math.nan for name in measured.scores if name.startswith(self._of_motion)}
        return replace(measured, scores={**measured.scores, **missing})

    def study(
        self,
        measure: str,
        arrays: Mapping[str, np.ndarray] | None = None,
        *,
        levels: Mapping[str, float] | None = None,
        source: Mapping[str, Any] | None = None,
        references: frozenset[str] = frozenset(),
    ) -> Study:
        """The study of what was gathered.

        Args:
            measure: Its name.
            arrays: What the figure draws beside scores and examples.
            levels: Chance levels that no clip decides.
            source: Additions to the provenance.
            references: See ``Study.references``.
        """
        session = self.session
        self._set_against_others()
        chance = {name: s.mean for name, s in self._chance.summaries().items() if s.num_videos} | dict(levels or {})
        values, groups = self._scores.per_video(), self._groups(self._scores.video_ids)
        scores = {
            name: summarize(column, chance=chance.get(name), groups=groups, limits=find_score(measure, name).limits)
            for name, column in values.items()
        }
        video_scores = {"video_id": np.array(self._scores.video_ids), **values}
        return Study(
            measure=measure,
            arrays={**(arrays or {}), **_stack(self._shown), **score_arrays(video_scores, scores)},
            scores=scores,
            video_scores=video_scores,
            provenance=provenance(session, measure, still=list(self.still)) | dict(source or {}),
            skipped=self.skipped,
            repeated=self.repeated,
            references=references,
        )

    def _set_against_others(self) -> None:
        """Chance levels of every video by several others."""
        if self._against is None:
            return
        for name, (_, own) in self._videos.items():
            for other in [] if name in self.still else self.others(name):
                self._chance.add(name, self._against(own, other))

    def others(self, video_id: str) -> list[Any]:
        """What was kept of the videos that one is set against, once all are measured."""
        if len(self._partners) != len(self._videos) - len(self.still):
            moving = [video for name, (video, _) in self._videos.items() if name not in self.still]
            self._partners = partners_of(moving, self.session.settings.seed)
        return [self._videos[other.video_id][1] for other in self._partners[video_id]]

    def _groups(self, video_ids: Sequence[str]) -> list[int] | None:
        """Source recordings of videos, where all of them are known."""
        known = [self._videos[video_id][0] for video_id in video_ids if video_id in self._videos]
        return groups_of(known) if len(known) == len(video_ids) else None

    @property
    def _total(self) -> int:
        return len(self.session.videos) + len(self.session.missing)

    def _check_any(self, found: int) -> None:
        if not found:
            first = next(iter(self.skipped.values()))
            data = self.session.settings.data
            raise InputError(f"{data}: none of its {self._total} videos can be used; the first: {first}")

    def _show(self, scored: list[tuple[Clip, Measured]]) -> None:
        """Of one video several clips are shown; of more the first of each."""
        if self._example is not None and self.examples.take(scored[0][0].video_index):
            several = self.session.settings.show if len(self.session.videos) == 1 else 1
            self._shown += [self._example(clip, measured) for clip, measured in scored[:several]]


def groups_of(videos: Sequence[VideoSource]) -> list[int] | None:
    """Source recordings of the videos, where all of them are known."""
    groups = [video.group for video in videos if video.group is not None]
    return groups if groups and len(groups) == len(videos) else None


def _stack(shown: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Examples as arrays with a first axis over them, named ``example_*``."""
    names = shown[0] if shown else {}
    return {f"example_{name}": np.stack([np.asarray(example[name]) for example in shown]) for name in names}
