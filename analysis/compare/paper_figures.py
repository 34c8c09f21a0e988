"""Make a paper's figure of checkpoints and videos, and save it with caption and numbers."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from analysis.compare import DEFAULT_CHECKPOINTS, compare
from analysis.compare.columns import StepProgress, Steps
from analysis.inputs.video.videos import list_videos
from analysis.output import timestamp, write_json, write_npz
from analysis.plotting.paper import FIGURES, FORMATS
from analysis.plotting.paper.caption import to_latex
from analysis.plotting.paper.layouts import PaperFigure, save_paper
from analysis.plotting.paper.maps import draw_maps
from analysis.plotting.paper.matrices import draw_matrices
from analysis.plotting.paper.similarities import draw_similarities
from analysis.plotting.paper.strips import draw_strips
from analysis.plotting.paper.widths import figure_width
from analysis.settings import Settings
from analysis.studies import Study, run
from fima.errors import InputError

__all__ = ["Made", "make_figure"]

_DRAW: dict[str, Callable[[Mapping[str, Study], float], PaperFigure]] = {
    "3": draw_maps,
    "4": draw_strips,
    "5a": draw_matrices,
    "5b": draw_similarities,
}


@dataclass(frozen=True)
class Made:
    """A figure and where it comes from.

    Attributes:
        name: Key of ``FIGURES``.
        drawn: Figure, caption, arrays.
        studies: Name of the checkpoint → study.
        layout: ``width`` and ``journal`` as asked for.
        command: Repeats it, but for ``--out``.
    """

    name: str
    drawn: PaperFigure
    studies: dict[str, Study]
    layout: dict[str, str]
    command: str

    @property
    def skipped(self) -> dict[str, str]:
        """Broken videos of a data set and why."""
        return {video: why for study in self.studies.values() for video, why in study.skipped.items()}

    def save(self, folder: Path, stem: str, formats: Sequence[str] = FORMATS) -> list[str]:
        """Write picture, ``.npz`` of what is drawn, caption (``.txt``, ``.tex``) and provenance (``.json``).

        Args:
            folder: Exists.
            stem: Stem of the files.
            formats: Formats of the picture.

        Returns:
            Names of the files.
        """
        for kind in dict.fromkeys(formats):
            save_paper(self.drawn.figure, folder / f"{stem}.{kind}")
        write_npz(folder / f"{stem}.npz", self.drawn.arrays)
        words = f"{self.drawn.caption}\n\n{self.drawn.details}\n"
        (folder / f"{stem}.txt").write_text(words, encoding="utf-8", errors="backslashreplace")
        latex = to_latex(self.drawn.caption, stem, both_columns=self.layout["width"] == "text",
                         details=self.drawn.details)  # fmt: skip
        (folder / f"{stem}.tex").write_text(latex, encoding="utf-8", errors="backslashreplace")
        write_json(folder / f"{stem}.json", self.report())
        return [f"{stem}.{kind}" for kind in (*dict.fromkeys(formats), "npz", "txt", "tex", "json")]

    def report(self) -> dict[str, Any]:
        """The content of the json file."""
        return {
            "figure": self.name,
            **self.layout,
            "inches": self.drawn.figure.get_size_inches(),
            "caption": self.drawn.caption,
            "details": self.drawn.details,
            "checkpoints": {
                name: {"scores": {key: vars(summary) for key, summary in study.scores.items()}, **study.provenance}
                for name, study in self.studies.items()
            },
            "skipped": self.skipped,
            "command": self.command,
            "created": timestamp(),
        }


def make_figure(
    name: str,
    settings: Settings,
    checkpoints: Sequence[str] | None = None,
    *,
    names: Sequence[str] | None = None,
    width: str = "text",
    journal: str = "cvpr",
    progress: StepProgress | None = None,
) -> Made:
    """Measure the checkpoints on the same clips and draw one of the paper's figures.

    Args:
        name: Key of ``FIGURES``.
        settings: Videos, clips and how to measure; its ``ckpt`` is not used.
        checkpoints: As for ``analysis.compare.compare``, or a single file; None is what comes along.
        names: One for each, instead of those made from the paths.
        width: ``column``, ``text`` or millimeters.
        journal: Key of ``analysis.plotting.paper.widths.JOURNALS``.
        progress: Called after each video.

    Raises:
        InputError, CheckpointError, VideoError, FileNotFoundError: One line that names what cannot be used.
    """
    if name not in _DRAW:
        raise InputError(f"figure {name}: there is no such figure; known: {', '.join(FIGURES)}")
    inches = figure_width(width, journal)
    given = tuple(checkpoints or DEFAULT_CHECKPOINTS)
    measure = _measure(name, settings)
    studies = _studies(measure, settings, given, names, progress)
    words = ["figure", name, "--ckpt", *given, *(["--name", *names] if names else [])]
    words += ["--width", width, "--journal", journal]
    command = shlex.join(["fima-analyze", *words]) + replace(settings, ckpt=None).command("").removeprefix(
        "fima-analyze ''"
    )
    return Made(name, _DRAW[name](studies, inches), studies, {"width": width, "journal": journal}, command)


def _measure(name: str, settings: Settings) -> str:
    """The measure; activation maps are scored against the objects where those are known."""
    if name == "3":
        known = settings.masks is not None or all(video.drawn for video in list_videos(settings).videos)
        return "localize" if known else "cam"
    return {"4": "cam", "5a": "affinity", "5b": "temporal"}[name]


def _studies(
    measure: str,
    settings: Settings,
    given: tuple[str, ...],
    names: Sequence[str] | None,
    progress: StepProgress | None,
) -> dict[str, Study]:
    """Name → study; a checkpoint alone needs no comparison."""
    if len(given) == 1 and not Path(given[0]).is_dir():
        name = names[0] if names else Path(given[0]).name.split(".")[0]
        steps = Steps(progress, 1)
        return {name: run(measure, replace(settings, ckpt=given[0]), steps.begin(f"{measure} of {name}"))}
    made = compare(settings, given, names=names, measures=[measure], untrained=False, progress=progress)
    return made.studies[measure]
