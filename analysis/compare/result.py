"""A comparison: its scores, differences, figures and files."""

from __future__ import annotations

import csv
import html
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.compare.page import Content, render_page
from analysis.compare.training import TrainingStep, training_arrays
from analysis.inputs.backbone.checkpoints import Source
from analysis.measures.common.numbers import number
from analysis.measures.common.statistics import Summary
from analysis.measures.registry import full_name
from analysis.output import output_folder, timestamp, versions, write_json, write_npz
from analysis.pages.environment import write_page
from analysis.plotting.compare.figures import FIGURES
from analysis.plotting.compare.scores import draw_compared_scores, score_names
from analysis.plotting.compare.training import draw_training
from analysis.plotting.style import save_figure
from analysis.settings import Settings
from analysis.studies import Study
from analysis.studies.common.differences import Difference
from analysis.studies.common.files import picture_base64, picture_html

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from matplotlib.figure import Figure

__all__ = ["COMPARE_FILES", "Comparison"]


@dataclass
class Comparison:
    """Studies of the same clips for several checkpoints.

    Attributes:
        columns: What stands side by side, the baseline first.
        studies: Measure → name of the checkpoint → study.
        differences: Every checkpoint against the baseline, score by score.
        training: Run → its checkpoints by step.
        left_out: Measures that do not apply, and why.
        settings: The same for all.
        command: Repeats it from the command line.
    """

    columns: list[Source]
    studies: dict[str, dict[str, Study]]
    differences: list[Difference]
    training: dict[str, list[TrainingStep]]
    left_out: dict[str, str]
    settings: Settings
    command: str

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [column.name for column in self.columns]

    @property
    def every_study(self) -> list[Study]:
        """In no order that matters."""
        return [study for studies in self.studies.values() for study in studies.values()]

    @property
    def skipped(self) -> dict[str, str]:
        """Broken videos of a data set and why."""
        return {video: why for study in self.every_study for video, why in study.skipped.items()}

    @property
    def untrained(self) -> list[str]:
        """Names of the columns with random weights."""
        return [name for name, study in self._first_studies().items() if study.untrained]

    def _first_studies(self) -> dict[str, Study]:
        return next(iter(self.studies.values()))

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Stem of the file and figure, drawn one at a time."""
        for measure, studies in self.studies.items():
            if measure in FIGURES:
                yield f"compare-{measure}", FIGURES[measure](studies)
        # The figure of the affinity holds all of its scores.
        if others := {m: s for m, s in self.studies.items() if m != "affinity" and score_names(s)}:
            yield "compare-scores", draw_compared_scores(others)
        if any(len(steps) > 1 for steps in self.training.values()):
            references = [column.name for column in self.columns if column.run is None]
            yield "compare-training", draw_training(self.training, self.studies, references)

    def arrays(self) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        """Stem of the file and everything that its figures draw; ``0_`` is the first of ``names``, and so on."""
        for measure, studies in self.studies.items():
            arrays = {"names": np.array(list(studies))}
            for at, study in enumerate(studies.values()):
                arrays |= {f"{at}_{name}": array for name, array in study.arrays.items() if _is_drawn(name, measure)}
                arrays |= {name: study.arrays[name] for name in _SHARED if name in study.arrays and measure == "cam"}
            yield f"compare-{measure}", arrays
        if self.training:
            yield "compare-training", training_arrays(self.training)

    def table(self) -> list[tuple[str, ...]]:
        """Rows of text under ``heads``."""
        return [
            (
                full_name(d.measure, d.score),
                "grids differ" if d.by_grid else d.better or "–", number(d.chance),
                number(d.baseline_mean), d.other, number(d.other_mean),
                number(d.difference) + (f" [{number(d.low)}, {number(d.high)}]" if math.isfinite(d.low) else ""),
                f"{d.share_higher * 100:.0f} %" if d.num_videos else "–", str(d.num_videos),
            )
            for d in self.differences
        ]  # fmt: skip

    @property
    def heads(self) -> tuple[str, ...]:
        """Of the columns of ``table``."""
        means = (self.names[0], "against", "mean")
        return ("score", "better", "chance", *means, "difference [95 %]", "higher on", "videos")

    def text(self) -> str:
        """The table for a terminal: aligned, nothing shortened, a line for each row."""
        rows = [self.heads, *self.table()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(self.heads))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])

    def report(self) -> dict[str, Any]:
        """The content of the json file."""
        first = self._first_studies()
        some = first[self.names[0]].provenance
        return {
            "checkpoints": [
                {**asdict(column), **{name: first[column.name].provenance[name] for name in ("checkpoint", "input")}}
                for column in self.columns
            ],
            "baseline": self.names[0],
            "differences": [asdict(d) | {"sentence": d.sentence} for d in self.differences],
            "measures": {
                measure: {
                    name: {"scores": _plain(study.scores), "per_video": study.video_scores}
                    for name, study in studies.items()
                }
                for measure, studies in self.studies.items()
            },
            "training": {
                run: [
                    {
                        "step": s.step,
                        "checkpoint": s.checkpoint,
                        "scores": {m: _plain(scores) for m, scores in s.scores.items()},
                    }
                    for s in steps
                ]
                for run, steps in self.training.items()
            },
            "left_out": self.left_out,
            "skipped": self.skipped,
            "repeated": sorted({video for study in self.every_study for video in study.repeated}),
            "provenance": {
                **{name: some[name] for name in ("inputs", "space", "boundary", "layer", "crop", "device", "seed")},
                "settings": self.settings.changed(),
                "versions": versions(),
                "command": self.command,
            },
            "created": timestamp(),
        }

    def save(
        self, out: str | Path, formats: tuple[str, ...] = ("png",), *, into: Path | None = None, overwrite: bool = False
    ) -> list[Path]:
        """Write figures, arrays, table and page to a folder; all files appear together or none.

        Args:
            out: The folder.
            formats: Formats of the figures; ``png``, which the page shows, is always among them.
            into: A scratch folder of ``out`` that the caller already holds, to write to instead.
            overwrite: Replace another comparison.

        Returns:
            Where the files are once the folder is complete.
        """
        with self._folder(out, overwrite=overwrite) if into is None else nullcontext(into) as folder:
            pictures = {}
            for stem, figure in self.figures():
                for kind in dict.fromkeys(("png", *formats)):
                    save_figure(figure, folder / f"{stem}.{kind}", kind)
                pictures[stem.removeprefix("compare-")] = folder / f"{stem}.png"
            for stem, arrays in self.arrays():
                write_npz(folder / f"{stem}.npz", arrays)
            write_json(folder / "compare.json", self.report())
            names = [field.name for field in fields(Difference)]
            _write_csv(folder / "compare.csv", names, [[getattr(d, name) for name in names] for d in self.differences])
            if self.skipped:
                _write_csv(folder / "skipped.csv", ["video_id", "reason"], self.skipped.items())
            write_page(folder / "index.html", render_page(self._content(pictures)))
            return [Path(out) / path.name for path in sorted(folder.iterdir())]

    def _folder(self, out: str | Path, *, overwrite: bool) -> AbstractContextManager[Path]:
        return output_folder(out, "compare", {"command": self.command}, names=COMPARE_FILES, overwrite=overwrite)

    def _content(self, pictures: dict[str, Path]) -> Content:
        """What the page shows; the pictures are those of ``figures``."""
        return Content(
            names=self.names,
            measures=[*self.studies, *self.left_out],
            studies=self.studies,
            differences=self.differences,
            command=self.command,
            left_out={measure: dict.fromkeys(self.names, why) for measure, why in self.left_out.items()},
            together=pictures,
            tables=("compare.csv", "compare.json"),
        )

    def origin(self) -> str:
        """Where each checkpoint's results come from, in at most ten lines each."""
        firsts: dict[str, Study] = {}
        for of in self.studies.values():
            firsts = {**of, **firsts}
        return "\n\n".join(f"{name}\n{firsts[name].origin()}" for name in self.names if name in firsts)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        pictures = {stem: picture_base64(figure) for stem, figure in self.figures()}
        first = {"image/png": next(iter(pictures.values()))} if pictures else {}
        return {"text/plain": repr(self), **first, "text/html": self._html(pictures)}

    def _html(self, pictures: Mapping[str, str]) -> str:
        images = [picture_html(picture, f"{stem} figure") for stem, picture in pictures.items()]
        head = "".join(f"<th>{html.escape(word)}</th>" for word in self.heads)
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in self.table()
        )
        return f"<table><tr>{head}</tr>{rows}</table>" + "".join(images)


COMPARE_FILES = ("compare.json", "compare.csv", "index.html")
"""Beside figures and arrays."""


_SHARED = ("example_frames", "example_seconds", "example_video_id")
"""Of the activation maps: the clips, which are the same for all checkpoints."""


def _is_drawn(name: str, measure: str) -> bool:
    """Examples are drawn of the activation maps only."""
    return not name.startswith("example_") or (measure == "cam" and name.startswith("example_rgb_"))


def _plain(scores: dict[str, Summary]) -> dict[str, dict[str, Any]]:
    return {name: vars(summary) for name, summary in scores.items()}


def _write_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(rows)
