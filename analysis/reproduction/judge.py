"""``fima-analyze judge``: checkpoints on real clips with masks, beside untrained twins and maps that need no network.

The table that decides whether a backbone sees motion in real clips: localization and the mover against its still copy,
with paired differences, and what they say of the aims. Judge with clips that nothing was trained on.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from analysis.compare.columns import StepProgress
from analysis.measures.common.numbers import interval, interval_text, markdown_table
from analysis.output import timestamp, versions
from analysis.reproduction.aims import Verdict, judge_aims
from analysis.reproduction.rows import COLUMNS, MAPS, Row, Studies, measure_rows
from analysis.settings import Settings
from analysis.studies.common.differences import Difference, compare_scores

__all__ = ["COLUMNS", "MAPS", "Judgment", "judge"]


@dataclass(frozen=True, eq=False)
class Judgment:
    """The table.

    Attributes:
        rows: Checkpoints, their further maps, untrained twins, maps without a network.
        differences: Of each checkpoint (``other``) and what it is compared with (``baseline``).
        verdicts: On the aims.
        settings: Videos, masks and clips.
        command: Repeats it.
    """

    rows: list[Row]
    differences: list[Difference]
    verdicts: list[Verdict]
    settings: Settings
    command: str = ""

    @property
    def skipped(self) -> dict[str, str]:
        """Videos that cannot be read, and why."""
        return {
            video: why for row in self.rows for study in row.studies.values() for video, why in study.skipped.items()
        }

    def text(self) -> str:
        """All of it in Markdown."""
        heads = list(COLUMNS.values())
        videos = len(self.rows[0].studies["localize"].video_scores["video_id"])
        parts = [
            markdown_table(["", *heads], [[row.name, *_cells(row.studies)] for row in self.rows]),
            f"{videos} videos{_fewer(self.rows, videos)}; mean [95 % interval]. {_sizes(self.rows)}",
            *(f"{row.name}: no {measure}: {why}" for row in self.rows for measure, why in row.left_out.items()),
            "Paired differences over the same videos, mean [95 % interval]:",
            markdown_table(["", *heads], self._compared()),
            "Aims:",
            markdown_table(["", "aim", "mean [95 % interval]", ""],
                   [[v.checkpoint, v.aim, _interval(v.mean, v.low, v.high), v.says] for v in self.verdicts]),
        ]  # fmt: skip
        return "\n\n".join(parts)

    def report(self) -> dict[str, Any]:
        """The content of the json file."""
        return {
            "rows": {
                row.name: {
                    measure: {"scores": {name: asdict(s) for name, s in study.scores.items()},
                              "per_video": study.video_scores, "checkpoint": study.provenance["checkpoint"]}
                    for measure, study in row.studies.items()
                }
                for row in self.rows
            },
            "differences": [asdict(d) | {"sentence": d.sentence} for d in self.differences],
            "aims": [asdict(v) for v in self.verdicts],
            "left_out": {row.name: row.left_out for row in self.rows if row.left_out},
            "skipped": self.skipped,
            "settings": self.settings.changed(),
            "command": self.command,
            "versions": versions(),
            "created": timestamp(),
        }  # fmt: skip

    def _compared(self) -> list[list[str]]:
        pairs = dict.fromkeys((d.other, d.baseline) for d in self.differences)
        found = {(d.other, d.baseline, d.measure, d.score): d for d in self.differences}
        return [
            [f"{pair[0]} − {pair[1]}", *(_difference(found.get((*pair, *column))) for column in COLUMNS)]
            for pair in pairs
        ]


def judge(
    checkpoints: Sequence[str],
    settings: Settings,
    *,
    dense: int = 4,
    kept: Path | None = None,
    progress: StepProgress | None = None,
    command: str = "",
) -> Judgment:
    """Measure checkpoints, compare each with its untrained twin, with plain maps and with the others, and judge.

    Args:
        checkpoints: As ``--ckpt`` takes them.
        settings: Videos, masks and clips.
        dense: See `measure_rows`, as the next two.
        kept: Folder of studies that an earlier run kept.
        progress: Called after each video.
        command: Repeats it, for the record.

    Raises:
        InputError, CheckpointError, VideoError, FileNotFoundError: One line that names what cannot be used.
    """
    rows = measure_rows(checkpoints, settings, dense=dense, kept=kept, progress=progress)
    own = [row for row in rows if row.against]
    differences = [d for row in own for name, other in row.against.items() for d in _compare(row, name, other)]
    return Judgment(rows, differences, judge_aims(rows, differences), settings, command)


def _compare(row: Row, name: str, other: Studies) -> list[Difference]:
    both = [measure for measure in row.studies if measure in other]
    return [d for measure in both for d in compare_scores({name: other[measure], row.name: row.studies[measure]})]


def _cells(studies: Studies) -> list[str]:
    found = [studies[m].scores.get(score) if m in studies else None for m, score in COLUMNS]
    return ["–" if summary is None or math.isnan(summary.mean) else interval(summary) for summary in found]


def _fewer(rows: Sequence[Row], videos: int) -> str:
    """Columns of fewer videos, which a copy had no place in."""
    found = []
    for (measure, score), head in COLUMNS.items():
        summaries = [row.studies[measure].scores.get(score) for row in rows if measure in row.studies]
        count = max((summary.num_videos for summary in summaries if summary is not None), default=0)
        found += [f"{head}: {count}"] if 0 < count < videos else []
    return f" ({'; '.join(found)})" if found else ""


def _sizes(rows: Sequence[Row]) -> str:
    inputs = {row.name: row.studies["localize"].provenance["input"] for row in rows if row.against}
    said = [
        f"{name} {i['num_frames']} × {i['frame_stride']} frames at {i['size']} pixels" for name, i in inputs.items()
    ]
    return f"Clips: {', '.join(said)}."


def _difference(found: Difference | None) -> str:
    return "–" if found is None else _interval(found.difference, found.low, found.high, sign="+")


def _interval(mean: float, low: float, high: float, sign: str = "") -> str:
    return f"{sign if mean > 0 else ''}{interval_text(mean, low, high)}"


if __name__ == "__main__":  # as documented before it was a command; by name, since commands stand above this room
    sys.exit(importlib.import_module("analysis.cli").main(["judge", *sys.argv[1:]]))
