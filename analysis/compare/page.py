"""The page of checkpoints side by side: findings, paired differences, films, explorer; everything else folded.

``fima-analyze compare`` and ``report`` write the same page; a report has more measures and a figure of each checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

from analysis.compare.conclusions import conclude
from analysis.compare.explorers import explorers
from analysis.compare.forest import forest, level_scales
from analysis.compare.headlines import headline_differences, verdict
from analysis.measures.common.numbers import capital, interval, interval_text, twin_interval
from analysis.measures.common.statistics import Summary
from analysis.measures.registry import Measure, find_measure, find_score
from analysis.output import versions
from analysis.pages.environment import render
from analysis.pages.pictures import Picture, clip_films, picture
from analysis.pages.strips import mark, places_of
from analysis.pages.words import compared, data_title, listed, number, plural, signed, skipped_note
from analysis.plotting.compare.figures import CAPTIONS
from analysis.studies import Study
from analysis.studies.common.differences import Difference

__all__ = ["Content", "render_page"]

Studies = Mapping[str, Mapping[str, Study]]


@dataclass(frozen=True, eq=False)
class Content:
    """All that the page shows.

    Attributes:
        names: Of the checkpoints, the baseline first.
        measures: In the order of the page, also those that are left out.
        studies: Measure → name of the checkpoint → study.
        differences: Every checkpoint against the first that has the measure.
        command: What makes the page again.
        left_out: Measure → name of the checkpoint → why it does not apply.
        together: Measure → picture file of all checkpoints; ``scores`` and ``training`` belong to no measure.
        alone: Measure → name of the checkpoint → picture files and what each shows.
        files: Measure → name of the checkpoint → names and addresses of files beside the page.
        tables: Names of the tables beside the page.
    """

    names: list[str]
    measures: list[str]
    studies: Studies
    differences: Sequence[Difference]
    command: str
    left_out: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    together: Mapping[str, Path] = field(default_factory=dict)
    alone: Mapping[str, Mapping[str, Mapping[Path, str]]] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, list[tuple[str, str]]]] = field(default_factory=dict)
    tables: Sequence[str] = ()

    @property
    def every(self) -> dict[str, list[Study]]:
        """Name of the checkpoint → its studies."""
        found = {name: [of[name] for of in self.studies.values() if name in of] for name in self.names}
        return {name: studies for name, studies in found.items() if studies}

    @property
    def few(self) -> bool:
        """Whether there are too few videos for any interval."""
        summaries = (summary for of in self.every.values() for study in of for summary in study.scores.values())
        return not any(math.isfinite(summary.low) for summary in summaries)

    @property
    def untrained(self) -> list[str]:
        """Names of the checkpoints with random weights."""
        return [name for name, studies in self.every.items() if any(study.untrained for study in studies)]

    @property
    def places(self) -> dict[str, int]:
        """Name of the checkpoint → its place; untrained weights among trained ones are the gray reference."""
        return places_of(self.names, self.untrained)


@dataclass(frozen=True)
class _Section:
    """What is folded of one measure, or shown where nothing else on the page is a picture of the clips."""

    entry: Measure
    left_out: dict[str, list[str]]
    table: list[tuple[str, str, list[str]]]
    names: list[str]
    together: Picture | None
    caption: str
    alone: dict[str, list[tuple[Picture, str]]]
    files: Mapping[str, list[tuple[str, str]]]
    shown: bool = False


def render_page(content: Content) -> str:
    """The text of ``index.html``.

    Args:
        content: What to show.
    """
    notes: list[str] = []
    cam, affinity, attention = (content.studies.get(measure, {}) for measure in ("cam", "affinity", "attention"))
    headline = headline_differences(content.studies, content.differences)
    first = next(iter(content.every.values()))[0]
    films = clip_films(cam) if cam else []
    made = explorers(affinity, cam, attention, notes) if affinity else []
    return render(
        "comparison.html",
        title=_title(content, first),
        about=_about(content, first),
        warnings=[*_warnings(content), *notes],
        findings=conclude(content.studies, content.differences, content.names),
        command=content.command,
        names=content.names,
        marks={name: mark(place) for name, place in content.places.items()},
        forest=forest(headline, content.places),
        scales=[] if headline else level_scales(content.studies, content.places),
        films=films,
        explorers=made,
        sections=_sections(content, shown=not films and not made),
        others=[
            (stem, picture(path))
            for stem, path in content.together.items()
            if stem not in content.studies
            and not (content.few and stem == "scores")  # dots without intervals say no more
        ],
        few=content.few,
        rows=_difference_rows(content.differences),
        sources={name: _source(studies[0]) for name, studies in content.every.items()},
        versions=versions(),
        tables=content.tables,
    )


def _title(content: Content, first: Study) -> str:
    """What was compared, on what; untrained weights beside several trained ones are not what it is about."""
    inputs = first.provenance["inputs"]
    where = f" of {data_title(inputs['data'], inputs['split'])}" if inputs["data"] else ""
    names = [content.names[0], *(name for name in content.names[1:] if name not in content.untrained)]
    told = compared(names if len(names) > 1 else content.names)
    return f"{told}: features of {plural(inputs['num_videos'], 'video')}{where}"


def _about(content: Content, first: Study) -> str:
    inputs = first.provenance["inputs"]
    videos = inputs["data"] or listed([PurePath(path).name for path in inputs["video"]], 6)
    return f"{videos} · {listed([find_measure(name).title.lower() for name in content.studies], 8)}"


def _warnings(content: Content) -> list[str]:
    lines = []
    every = len(content.untrained) == len(content.names)
    if every or any(not name.startswith(("random", "untrained")) for name in content.untrained):
        all_of_them = " Pictures and numbers show how to read this page, not a result." if every else ""
        lines.append(f"Untrained weights: {listed(content.untrained)}.{all_of_them}")
    every_study = [study for studies in content.every.values() for study in studies]
    skipped = sorted({video for study in every_study for video in study.skipped})
    lines += skipped_note(skipped, "skipped.csv")
    lines += dict.fromkeys(f"{capital(note)}." for study in every_study for note in study.notes())
    if any(one.by_grid for one in content.differences):
        grids = {name: studies[0].provenance["grid"] for name, studies in content.every.items()}
        said = "; ".join(f"{name}: {' × '.join(map(str, grid))}" for name, grid in grids.items() if grid)
        lines.append(f"Their grids differ ({said}). Scores that depend on the grid (†) say nothing of which is better.")
    if len(content.every) > 1 and not content.differences:
        lines.append("The checkpoints see different clips, so they are not compared in pairs.")
    return lines


def _sections(content: Content, *, shown: bool) -> list[_Section]:
    """A section for each measure; the first with a picture unfolded where it is ``shown``."""
    sections = [_section(content, measure) for measure in content.measures]
    at = next((at for at, one in enumerate(sections) if one.together or one.alone), None)
    if shown and at is not None:
        sections[at] = replace(sections[at], shown=True)
    return sections


def _section(content: Content, measure: str) -> _Section:
    studies = content.studies.get(measure, {})
    left_out: dict[str, list[str]] = {}
    for name, why in content.left_out.get(measure, {}).items():
        left_out.setdefault(why, []).append(name)
    return _Section(
        entry=find_measure(measure),
        left_out=left_out,
        table=_score_table(measure, studies),
        names=list(studies),
        together=picture(content.together[measure]) if measure in content.together else None,
        caption=CAPTIONS.get(measure, ""),
        alone={
            name: [(picture(path), words) for path, words in of.items()]
            for name, of in content.alone.get(measure, {}).items()
        },
        files=content.files.get(measure, {}),
    )


def _score_table(measure: str, studies: Mapping[str, Study]) -> list[tuple[str, str, list[str]]]:
    """Every score: name, chance, and a cell for each checkpoint."""
    rows = []
    for name in dict.fromkeys(name for study in studies.values() for name in study.scores):
        found = [study.scores.get(name) for study in studies.values()]
        levels = dict.fromkeys(number(s.chance) for s in found if s is not None and s.chance is not None)
        cells = ["–" if s is None else interval(s) + _twin(s) for s in found]
        rows.append((find_score(measure, name).title, " / ".join(levels) or "–", cells))
    return rows


def _twin(summary: Summary) -> str:
    text = twin_interval(summary)
    return f"; untrained {text}" if text else ""


def _difference_rows(differences: Sequence[Difference]) -> dict[str, list[dict[str, Any]]]:
    """Title of the measure → its rows."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for one in differences:
        row = {
            "score": find_score(one.measure, one.score).title + (" †" if one.by_grid else ""),
            "better": one.better or "–",
            "chance": number(one.chance),
            "other": one.other,
            "baseline_mean": number(one.baseline_mean),
            "other_mean": number(one.other_mean),
            "difference": interval_text(one.difference, one.low, one.high, signed),
            "verdict": verdict(one),
            "share": _share(one),
            "videos": one.num_videos,
        }
        rows.setdefault(find_measure(one.measure).title, []).append(row)
    return rows


def _share(one: Difference) -> str:
    """On how many videos the other is better (or, where neither is better, higher)."""
    if one.num_videos < 2:
        return "–"
    share = 1 - one.share_higher if one.better == "lower" else one.share_higher
    return f"{share * 100:.0f} %" + ("" if one.better else " higher")


def _source(study: Study) -> dict[str, Any]:
    """Where a checkpoint's results come from."""
    provenance = study.provenance
    return {
        "checkpoint": provenance["checkpoint"],
        "report": provenance["checkpoint"]["load_report"],
        **{name: provenance[name] for name in ("input", "layer", "boundary", "crop", "device", "seed")},
    }
