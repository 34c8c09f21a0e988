"""What every study shares: prepare backbone and clips, keep what is drawn, say where it came from, save it."""

from __future__ import annotations

import csv
import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.inputs.clips import Clip, ClipStream, Placement, place_clips
from analysis.inputs.features import FeatureExtractor, Features
from analysis.inputs.spaces import ProjectedSpace, load_projected_space
from analysis.inputs.truth import truth_reader
from analysis.inputs.videos import VideoList, VideoSource, list_videos
from analysis.measures.statistics import Summary
from analysis.output import output_folder, timestamp, versions, write_json, write_npz
from analysis.plotting.style import png_image, save_figure
from analysis.settings import Settings, untrained_seed
from fima.checkpoints import LoadedBackbone, load_backbone, untrained_backbone
from fima.errors import InputError
from fima.input_spec import InputSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "Examples",
    "Progress",
    "Session",
    "Study",
    "make_session",
    "open_session",
    "override_clip",
    "provenance",
    "score_arrays",
    "study_folder",
    "study_videos",
    "summary_row",
]

Progress = Callable[[int, int], None]
"""Called with (videos done, videos in all)."""


@dataclass(frozen=True)
class Session:
    """A study's backbone and videos, ready to run.

    Attributes:
        settings: As asked for.
        loaded: The backbone; its ``input`` already carries the overrides of the settings.
        extractor: Features of clips.
        videos: In reading order.
        missing: Videos that the data set lists but does not hold.
        space: Where features are compared; None: as the backbone gives them.
    """

    settings: Settings
    loaded: LoadedBackbone
    extractor: FeatureExtractor
    videos: list[VideoSource]
    missing: dict[str, str] = field(default_factory=dict)
    space: ProjectedSpace | None = None

    @property
    def spec(self) -> InputSpec:
        """Frames, stride and size of the clips that are read, and their normalization."""
        return self.extractor.reads

    def compared(self, features: Features) -> Features:
        """The extractor's features where the settings want them compared."""
        return features if self.space is None else self.space.project(features)

    @property
    def has_truth(self) -> bool:
        """Whether masks can be asked for: they are given, or the videos are drawn."""
        return self.settings.masks is not None or all(video.drawn for video in self.videos)

    def stream(self, place: Placement | None = None, *, truth: bool = False) -> ClipStream:
        """Clips where the settings ask for them, or at ``place``; broken videos of a data set are skipped.

        With ``truth`` clips carry their masks.

        Raises:
            InputError: if masks are asked for and there are none.
        """
        settings = self.settings
        place = place or place_clips(self.spec, settings.clips, settings.start_seconds)
        reader = truth_reader(settings.masks, self.videos) if truth else None
        return ClipStream(
            self.videos, self.spec, place, skip_broken=settings.data is not None, missing=self.missing, truth=reader
        )


def open_session(settings: Settings, extractor: type[FeatureExtractor] = FeatureExtractor) -> Session:
    """Load the backbone and list the videos; everything that can be refused is refused here.

    Raises:
        InputError, CheckpointError, VideoError, FileNotFoundError: One line that names what cannot be used.
    """
    listed = list_videos(settings)
    return make_session(settings, override_clip(_load(settings), settings), listed, extractor)


def make_session(
    settings: Settings, loaded: LoadedBackbone, listed: VideoList, extractor: type[FeatureExtractor] = FeatureExtractor
) -> Session:
    """A session of a backbone that is loaded and of videos that are listed.

    Raises:
        InputError: For a layer, a device or a space that cannot be used.
    """
    space = None
    if settings.space == "projected":
        space = load_projected_space(settings.ckpt, arch=settings.arch, trust=settings.trust_checkpoint)
    made = extractor(
        loaded, layer=settings.layer, boundary=settings.boundary, device=settings.device,
        pathway=None if space is None else space.pathway,
    )  # fmt: skip
    space = None if space is None else space.to(made.device)
    return Session(settings, loaded, made, listed.videos, listed.missing, space)


def override_clip(loaded: LoadedBackbone, settings: Settings) -> LoadedBackbone:
    """The backbone with the frames, stride and size of the settings, where they are given."""
    overrides = {
        name: value for name in ("num_frames", "frame_stride", "size") if (value := getattr(settings, name)) is not None
    }
    return replace(loaded, input=loaded.input.replace(**overrides))


def _load(settings: Settings) -> LoadedBackbone:
    seed = untrained_seed(settings.checkpoint, settings.seed)
    if seed is not None:
        return untrained_backbone(settings.arch or "tiny", seed=seed, input_spec=settings.input_spec)
    return load_backbone(
        settings.checkpoint, settings.arch, trust=settings.trust_checkpoint, input_spec=settings.input_spec
    )


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


@dataclass
class Study:
    """The result of a study: arrays, scores and where they came from; draws and saves itself.

    Attributes:
        measure: ``cam``, ``affinity`` or ``temporal``; the stem of the files.
        arrays: Everything that the figure draws, and the per-video scores.
        scores: Mean over videos with interval, and chance level.
        per_video: Scores of each video, with ``video_id``.
        provenance: Checkpoint, load report, inputs, settings, versions.
        skipped: Broken videos of a data set and why.
        draw: Arrays and provenance → figure.
        repeated: Videos shorter than a clip, which were repeated in time.
        films: File name → function that writes that video file.
        references: Scores that any backbone would have, of maps that need none; comparisons leave them out.
    """

    measure: str
    arrays: dict[str, np.ndarray]
    scores: dict[str, Summary]
    per_video: dict[str, np.ndarray]
    provenance: dict[str, Any]
    skipped: dict[str, str]
    draw: Callable[[Study], Figure]
    repeated: list[str] = field(default_factory=list)
    films: dict[str, Callable[[Path], None]] = field(default_factory=dict)
    references: frozenset[str] = frozenset()

    @property
    def untrained(self) -> bool:
        """Whether the backbone has fixed random weights."""
        return not self.provenance["checkpoint"]["trained"]

    def figure(self) -> Figure:
        """Draw the figure anew."""
        return self.draw(self)

    def save(self, out: str | Path, formats: tuple[str, ...] = ("png",), *, into: Path | None = None) -> list[Path]:
        """Write figure, arrays, scores (and films) to a folder; all files appear together or none.

        Args:
            out: The folder.
            formats: Of the figure: ``png``, ``svg``, ``pdf``.
            into: An ``output_folder`` scratch that the caller already holds, to write to instead.

        Returns:
            Where the files are once the folder is complete.
        """
        with self.folder(out) if into is None else nullcontext(into) as folder:
            figure = self.figure()
            for kind in formats:
                save_figure(figure, folder / f"{self.measure}.{kind}", kind)
            write_npz(folder / f"{self.measure}.npz", self.arrays)
            write_json(folder / f"{self.measure}.json", self.report())
            if self.skipped:
                _write_skipped(folder / "skipped.csv", self.skipped)
            for name, write in self.films.items():
                (folder / name).parent.mkdir(exist_ok=True)
                write(folder / name)
            return [Path(out) / path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]

    def folder(self, out: str | Path) -> AbstractContextManager[Path]:
        """The output folder of this study; what an earlier run of the measure left there is replaced."""
        return study_folder(out, self.measure)

    def report(self) -> dict[str, Any]:
        """Scores with intervals and chance levels, per-video scores and provenance: the content of the json file."""
        return {
            "measure": self.measure,
            "untrained": self.untrained,
            "scores": {name: vars(summary) for name, summary in self.scores.items()},
            "per_video": self.per_video,
            "skipped": self.skipped,
            "repeated": self.repeated,
            "references": sorted(self.references),
            "films": list(self.films),
            "provenance": self.provenance,
            "created": timestamp(),
        }

    def table(self) -> list[tuple[str, str, str, str]]:
        """Rows of text: score, value with 95 % interval, chance, number of videos."""
        return [(name.replace("_", " "), *_cells(summary)) for name, summary in self.scores.items()]

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{title}</th>" for title in ("score", "mean [95 % interval]", "chance", "videos"))
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in self.table()
        )
        return png_image(self.figure(), f"{self.measure} figure") + f"<table><tr>{head}</tr>{rows}</table>"


def provenance(session: Session, measure: str) -> dict[str, Any]:
    """Where a result comes from: enough to repeat it."""
    loaded, settings = session.loaded, session.settings
    report, pathway = loaded.report, session.extractor.pathway
    given = [video.path for video in session.videos] if settings.data is None else None
    return {
        "checkpoint": {
            "path": settings.checkpoint if loaded.trained else None,
            "sha256": loaded.sha256,
            "trained": loaded.trained,
            "arch": loaded.arch,
            "format": report.format,
            "load_report": report.to_dict(),
        },
        "input": loaded.input.to_dict(),
        "inputs": {
            "video": ["procedural" if path is None else path for path in given] if given is not None else None,
            "data": settings.data,
            "split": settings.split,
            "num_videos": len(session.videos),
        },
        "space": settings.space,
        "motion_input": "frame_difference" if pathway is None else f"{pathway.motion_input}, motion pathway",
        "settings": settings.changed(),
        "normalize": settings.normalize if measure == "cam" else None,
        "boundary": settings.boundary if pathway is None else None,
        "layer": settings.layer or "output",
        "crop": "short side scaled to size, central square",
        "device": str(session.extractor.device),
        "seed": settings.seed,
        "versions": versions(),
        "command": settings.command(measure),
    }


def _cells(summary: Summary) -> tuple[str, str, str]:
    value = f"{summary.mean:.3f}"
    if np.isfinite(summary.low):
        value += f" [{summary.low:.3f}, {summary.high:.3f}]"
    chance = "" if summary.chance is None else f"{summary.chance:.3f}"
    return value, chance, str(summary.num_videos)


def study_folder(out: str | Path, measure: str) -> AbstractContextManager[Path]:
    """``output_folder`` for the files of one measure."""
    return output_folder(out, replaces=(f"{measure}.*", f"{measure}/*.mp4", "skipped.csv"))


def score_arrays(per_video: Mapping[str, np.ndarray], scores: Mapping[str, Summary]) -> dict[str, np.ndarray]:
    """What the figures draw of scores: ``video_id``, values per video, and ``(mean, low, high, chance)`` of each."""
    arrays = {name if name == "video_id" else f"score_{name}": values for name, values in per_video.items()}
    return arrays | {f"summary_{name}": summary_row(summary) for name, summary in scores.items()}


def summary_row(summary: Summary) -> np.ndarray:
    """``(mean, low, high, chance)``, NaN where there is none."""
    chance = np.nan if summary.chance is None else summary.chance
    return np.array([summary.mean, summary.low, summary.high, chance])


def _write_skipped(path: Path, skipped: Mapping[str, str]) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(["video_id", "reason"])
        writer.writerows(skipped.items())


def study_videos(
    session: Session, stream: ClipStream, measure: Callable[[list[Clip]], Sequence[Any]], progress: Progress | None
) -> Iterator[tuple[VideoSource, list[tuple[Clip, Any]]]]:
    """Measured videos of a stream with progress; see ``ClipStream.per_video``.

    Raises:
        InputError: If no video of the data set could be read.
    """
    total, found = len(session.videos) + len(session.missing), 0
    for video, clips in stream.per_video(session.settings.batch_size, measure):
        found += 1
        yield video, clips
        if progress is not None:
            progress(found + len(stream.skipped), total)
    if not found:
        first = next(iter(stream.skipped.values()))
        raise InputError(f"{session.settings.data}: none of its {total} videos can be used; the first: {first}")
