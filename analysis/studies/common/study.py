"""What a study leaves: arrays, scores and where they came from. Data only; its figure is looked up by its measure."""

from __future__ import annotations

import html
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.measures.common.numbers import interval, number, twin_interval
from analysis.measures.common.statistics import Summary
from analysis.measures.registry import find_measure, find_score
from analysis.output import timestamp
from analysis.studies.common.files import (
    draw_figure,
    draw_figures,
    picture_base64,
    picture_html,
    study_folder,
    write_study,
)
from analysis.studies.common.notes import data_notes, in_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["Study", "score_arrays"]

_HEADS = ("score", "mean [95 % interval]", "chance", "videos")
_MOST_LINES = 4
_FLAT = (
    "after a layer norm that has learnt nothing the mean over channels is 0: maps of the features' strength are flat "
    "and score chance; --layer reads a block before it"
)


@dataclass(eq=False, repr=False)
class Study:
    """The result of a measure over videos.

    Attributes:
        measure: Name of the measure; the stem of the files.
        arrays: Everything that the figure draws, and the scores of each video.
        scores: Name of the score → mean over videos with interval and chance level.
        video_scores: Name of the score → ``(V,)``, and ``video_id``.
        provenance: Checkpoint, load report, inputs, settings, versions.
        skipped: Broken videos of a data set, with the reason.
        repeated: Videos shorter than a clip, which were repeated in time.
        references: Scores of maps that need no backbone; comparisons leave them out.
    """

    measure: str
    arrays: dict[str, np.ndarray]
    scores: dict[str, Summary]
    video_scores: dict[str, np.ndarray]
    provenance: dict[str, Any]
    skipped: dict[str, str] = field(default_factory=dict)
    repeated: list[str] = field(default_factory=list)
    references: frozenset[str] = frozenset()

    @property
    def untrained(self) -> bool:
        """Whether the backbone has fixed random weights."""
        return not self.provenance["checkpoint"]["trained"]

    @property
    def has_twin(self) -> bool:
        """Whether an untrained twin's scores stand beside the backbone's."""
        return any(summary.twin_mean is not None for summary in self.scores.values())

    @property
    def heads(self) -> tuple[str, ...]:
        """What stands in the columns of ``table``."""
        return (*_HEADS, "untrained twin") if self.has_twin else _HEADS

    def notes(self, *, most: int = 3) -> list[str]:
        """What a reader must know of its videos (`data_notes`), with so many of their names, and of flat maps."""
        notes = data_notes(self.provenance["inputs"], self.repeated, most=most)
        return [*notes, _FLAT] if self.provenance.get("flat") else notes

    def frame(self) -> pd.DataFrame:
        """A row for each score: ``score``, ``mean``, ``low``, ``high``, ``chance``, ``units`` behind the interval.

        With ``settings.twin`` also ``twin``, ``twin_low`` and ``twin_high``, of the untrained twin.
        """
        import pandas as pd

        rows = [
            (name, s.mean, s.low, s.high, s.chance, s.num_videos if s.num_units is None else s.num_units)
            for name, s in self.scores.items()
        ]
        table = pd.DataFrame(rows, columns=["score", "mean", "low", "high", "chance", "units"])
        if self.has_twin:
            twins = [(s.twin_mean, s.twin_low, s.twin_high) for s in self.scores.values()]
            table[["twin", "twin_low", "twin_high"]] = pd.DataFrame(twins, dtype=float)
        return table.astype({"chance": float})

    def origin(self) -> str:
        """Where it comes from, in at most ten lines; ``provenance`` has all of it."""
        return in_words(self.provenance)

    def per_video(self) -> pd.DataFrame:
        """A row for each video: ``video_id`` and its scores, NaN where it has none."""
        import pandas as pd

        return pd.DataFrame(self.video_scores)

    def figure(self) -> Figure:
        """Draw the figure anew from the arrays."""
        return draw_figure(self)

    def figures(self) -> dict[str, Figure]:
        """Every figure by the stem of its file, drawn anew: ``figure()``, then those that show more of the study."""
        return draw_figures(self)

    def save(
        self,
        out: str | Path,
        formats: tuple[str, ...] = ("png",),
        *,
        into: Path | None = None,
        films: bool = True,
        overwrite: bool = False,
        figure: Figure | None = None,
    ) -> list[Path]:
        """Write figures, arrays, scores and films to a folder; all files appear together or none.

        Args:
            out: The folder.
            formats: Formats of the figure: ``png``, ``svg``, ``pdf``.
            into: A scratch folder of ``out`` that the caller already holds, to write to instead.
            films: Also write the measure's films (``mp4``), where it has some.
            overwrite: Replace a study of other settings or of another checkpoint.
            figure: Written instead of the study's own.

        Returns:
            Where the files are once the folder is complete.

        Raises:
            InputError: If another study of the measure, or something else of these names, is there.
        """
        held = study_folder(self, out, formats, overwrite=overwrite) if into is None else nullcontext(into)
        with held as folder:
            write_study(self, folder, formats, films=films, figure=figure)
            return [Path(out) / path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]

    def report(self) -> dict[str, Any]:
        """Scores with intervals and chance levels, scores per video and provenance: the content of the json file."""
        return {
            "measure": self.measure,
            "untrained": self.untrained,
            "scores": {name: vars(summary) for name, summary in self.scores.items()},
            "per_video": self.video_scores,
            "skipped": self.skipped,
            "repeated": self.repeated,
            "references": sorted(self.references),
            "provenance": self.provenance,
            "created": timestamp(),
        }

    def table(self) -> list[tuple[str, ...]]:
        """Rows of text: label of the score, mean with 95 % interval, chance, number of videos, and the twin's mean."""
        return [
            (
                find_score(self.provenance.get("measured", self.measure), name).title,
                interval(summary),
                "" if summary.chance is None else number(summary.chance),
                str(summary.num_videos),
            )
            + ((twin_interval(summary),) if self.has_twin else ())
            for name, summary in self.scores.items()
        ]

    def __repr__(self) -> str:
        checkpoint, count = self.provenance["checkpoint"], len(self.video_scores["video_id"])
        weights = "untrained weights" if self.untrained else checkpoint["path"]
        lines = [f"{self.measure} of {checkpoint['arch']} ({weights}), {count} video{'' if count == 1 else 's'}"]
        rows = dict(zip(self.scores, self.table(), strict=True))
        main = [name for name in find_measure(self.measure).main if name in rows]
        shown = [rows[name] for name in (main or rows)][:_MOST_LINES]
        lines += [
            f"  {label}: {value}"
            + (f", chance {chance}" if chance else "")
            + "".join(f", untrained {t}" for t in twin if t)
            for label, value, chance, _, *twin in shown
        ]
        if more := len(rows) - len(shown):
            lines.append(f"  and {more} more: frame(), per_video(), figure(), save(folder)")
        return "\n".join(lines)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        pictures = {stem: picture_base64(figure) for stem, figure in self.figures().items()}
        return {"text/plain": repr(self), "image/png": pictures[self.measure], "text/html": self._html(pictures)}

    def _html(self, pictures: Mapping[str, str]) -> str:
        def row(tag: str, cells: tuple[str, ...]) -> str:
            return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

        table = f"<table>{row('th', self.heads)}{''.join(row('td', cells) for cells in self.table())}</table>"
        return "".join(picture_html(picture, f"{stem} figure") for stem, picture in pictures.items()) + table


def score_arrays(video_scores: Mapping[str, np.ndarray], scores: Mapping[str, Summary]) -> dict[str, np.ndarray]:
    """What the figures draw of scores: ``video_id``, values per video, and ``(mean, low, high, chance)`` of each."""
    arrays = {name if name == "video_id" else f"score_{name}": values for name, values in video_scores.items()}
    return arrays | {f"summary_{name}": summary.row for name, summary in scores.items()}
