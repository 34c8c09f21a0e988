"""What every study shares: prepare backbone and clips, keep what is drawn, say where it came from, save it."""

from __future__ import annotations

import base64
import csv
import html
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.clips import Clip, ClipStream, Placement, place_clips
from analysis.features import FeatureExtractor
from analysis.output import output_folder, timestamp, versions, write_json, write_npz
from analysis.settings import Settings
from analysis.sources import VideoSource, list_videos
from analysis.statistics import Summary
from fima.checkpoints import LoadedBackbone, load_backbone, untrained_backbone
from fima.errors import InputError
from fima.input_spec import InputSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Progress", "Session", "Study", "examples", "open_session", "provenance", "study_videos"]

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
    """

    settings: Settings
    loaded: LoadedBackbone
    extractor: FeatureExtractor
    videos: list[VideoSource]

    @property
    def spec(self) -> InputSpec:
        """Frames, stride, size and normalisation in force."""
        return self.loaded.input

    def stream(self, place: Placement | None = None) -> ClipStream:
        """Clips where the settings ask for them, or at ``place``; broken videos of a data set are skipped."""
        settings = self.settings
        place = place or place_clips(self.spec, settings.clips, settings.start_seconds)
        return ClipStream(self.videos, self.spec, place, skip_broken=settings.data is not None)


def open_session(settings: Settings) -> Session:
    """Load the backbone and list the videos; everything that can be refused is refused here.

    Raises:
        InputError, CheckpointError, VideoError, FileNotFoundError: One line that names what cannot be used.
    """
    videos = list_videos(settings)
    loaded = _load(settings)
    overrides = {
        name: value for name in ("num_frames", "frame_stride", "size") if (value := getattr(settings, name)) is not None
    }
    loaded = replace(loaded, input=loaded.input.replace(**overrides))
    extractor = FeatureExtractor(loaded, layer=settings.layer, boundary=settings.boundary, device=settings.device)
    return Session(settings, loaded, extractor, videos)


def _load(settings: Settings) -> LoadedBackbone:
    if settings.ckpt is None:
        return untrained_backbone(settings.arch or "tiny", seed=settings.seed, input_spec=settings.input_spec)
    return load_backbone(settings.ckpt, settings.arch, trust=settings.trust_checkpoint, input_spec=settings.input_spec)


def examples(num_videos: int, show: int) -> set[int]:
    """Indices of the videos that a figure shows: evenly spaced, so that the classes of a data set all appear."""
    return set(np.linspace(0, num_videos - 1, min(show, num_videos)).round().astype(int).tolist())


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
        movies: File name → function that writes that video file.
    """

    measure: str
    arrays: dict[str, np.ndarray]
    scores: dict[str, Summary]
    per_video: dict[str, np.ndarray]
    provenance: dict[str, Any]
    skipped: dict[str, str]
    draw: Callable[[Study], Figure]
    movies: dict[str, Callable[[Path], None]] = field(default_factory=dict)

    @property
    def untrained(self) -> bool:
        """Whether the backbone has fixed random weights."""
        return not self.provenance["checkpoint"]["trained"]

    def figure(self) -> Figure:
        """Draw the figure anew."""
        return self.draw(self)

    def save(self, out: str | Path, formats: tuple[str, ...] = ("png",), *, into: Path | None = None) -> list[Path]:
        """Write figure, arrays, scores (and movies) to a folder; all files appear together or none.

        Args:
            out: The folder.
            formats: Of the figure: ``png``, ``svg``, ``pdf``.
            into: An ``output_folder`` scratch that the caller already holds, to write to instead.

        Returns:
            Where the files are once the folder is complete.
        """
        with output_folder(out) if into is None else nullcontext(into) as folder:
            figure = self.figure()
            for kind in formats:
                figure.savefig(folder / f"{self.measure}.{kind}", metadata=_dateless(kind))
            write_npz(folder / f"{self.measure}.npz", self.arrays)
            write_json(folder / f"{self.measure}.json", self.report())
            if self.skipped:
                _write_skipped(folder / "skipped.csv", self.skipped)
            for name, write in self.movies.items():
                (folder / name).parent.mkdir(exist_ok=True)
                write(folder / name)
            return [Path(out) / path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]

    def report(self) -> dict[str, Any]:
        """Scores with intervals and chance levels, per-video scores and provenance: the content of the json file."""
        return {
            "measure": self.measure,
            "untrained": self.untrained,
            "scores": {name: vars(summary) for name, summary in self.scores.items()},
            "per_video": self.per_video,
            "skipped": self.skipped,
            "provenance": self.provenance,
            "created": timestamp(),
        }

    def table(self) -> list[tuple[str, str, str, str]]:
        """Rows of text: score, value with 95 % interval, chance, number of videos."""
        return [(name.replace("_", " "), *_cells(summary)) for name, summary in self.scores.items()]

    def _repr_html_(self) -> str:
        buffer = io.BytesIO()
        self.figure().savefig(buffer, format="png", metadata=_dateless("png"))
        picture = base64.b64encode(buffer.getvalue()).decode()
        head = "".join(f"<th>{title}</th>" for title in ("score", "mean [95 % interval]", "chance", "videos"))
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in self.table()
        )
        return (
            f'<img alt="{html.escape(self.measure)} figure" style="max-width:100%" '
            f'src="data:image/png;base64,{picture}"/><table><tr>{head}</tr>{rows}</table>'
        )


def provenance(session: Session, measure: str) -> dict[str, Any]:
    """Where a result comes from: enough to repeat it."""
    loaded, settings = session.loaded, session.settings
    report = loaded.report
    given = [video.path for video in session.videos] if settings.data is None else None
    return {
        "checkpoint": {
            "path": settings.ckpt,
            "sha256": loaded.sha256,
            "trained": loaded.trained,
            "arch": loaded.arch,
            "format": report.format,
            "keys": {
                name: len(getattr(report, name))
                for name in ("loaded", "missing", "unexpected", "shape_mismatch", "ignored")
            },
        },
        "input": loaded.input.to_dict(),
        "inputs": {
            "video": ["procedural" if path is None else path for path in given] if given is not None else None,
            "data": settings.data,
            "split": settings.split,
            "num_videos": len(session.videos),
        },
        "space": "backbone",
        "settings": settings.changed(),
        "boundary": settings.boundary,
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


def _dateless(kind: str) -> Mapping[str, Any]:
    """Figure metadata without the time of drawing, so that equal runs give equal files."""
    dateless: dict[str, dict[str, Any]] = {
        "png": {"Software": "fima"},
        "svg": {"Date": None},
        "pdf": {"CreationDate": None},
    }
    return dateless[kind]


def _write_skipped(path: Path, skipped: Mapping[str, str]) -> None:
    with path.open("w", newline="") as file:
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
    total, found = len(session.videos), 0
    for video, clips in stream.per_video(session.settings.batch_size, measure):
        found += 1
        yield video, clips
        if progress is not None:
            progress(found + len(stream.skipped), total)
    if not found:
        first = next(iter(stream.skipped.values()))
        raise InputError(f"{session.settings.data}: none of its {total} videos can be read; the first: {first}")
