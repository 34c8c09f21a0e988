"""The page of a report: one file that needs no network; everything in it comes from saved studies."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from analysis.measures.registry import Measure, find_measure, find_score
from analysis.output import timestamp, versions
from analysis.pages.pictures import ClipFilms, Picture, clip_films, picture
from analysis.plotting.compare.figures import FIGURES
from analysis.plotting.style import save_figure
from analysis.report.explorers import explorers
from analysis.report.measuring import Measured
from analysis.report.numbers import ScoreRow, mark, score_rows, score_table, signed
from analysis.report.plan import Plan
from analysis.studies import Study
from analysis.studies.differences import Difference, compare_scores

__all__ = ["render_page"]

_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_POLICY = "%POLICY%"


@dataclass
class Section:
    """What the page shows of one measure.

    Attributes:
        measure: Its name.
        words: About it.
        rows: Main numbers.
        table: All numbers.
        labels: Of the checkpoints that have it.
        together: The figure of all checkpoints side by side.
        alone: Label → figure.
        left_out: Why it does not apply → labels of the checkpoints.
        files: Label → names and addresses of the files beside the page.
        notes: Lines that stand out.
    """

    measure: str
    words: Measure
    rows: list[ScoreRow] = field(default_factory=list)
    table: list[tuple[str, str, list[str]]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    together: Picture | None = None
    alone: dict[str, Picture] = field(default_factory=dict)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    films: list[ClipFilms] = field(default_factory=list)
    explorers: list[Markup] = field(default_factory=list)


def render_page(plan: Plan, measured: Measured, out: Path) -> str:
    """The text of ``index.html``.

    Args:
        plan: What was asked for.
        measured: What came of it.
        out: The report's folder, which holds the saved studies; figures of several checkpoints are added to it.
    """
    labels = [column.label for column in plan.columns]
    first = next(iter(next(iter(measured.studies.values())).values()))
    every = {label: [of[label] for of in measured.studies.values() if label in of] for label in labels}
    environment = Environment(
        loader=FileSystemLoader(str(resources.files("analysis") / "templates")), autoescape=True, trim_blocks=True
    )
    environment.filters |= {"number": signed}
    page = environment.get_template("report.html").render(
        policy=_POLICY,
        title=out.name,
        created=timestamp(),
        labels=labels,
        marks={label: mark(at) for at, label in enumerate(labels)},
        inputs=first.provenance["inputs"],
        sections=[_section(plan, measured, name, out) for name in plan.measures],
        untrained=[label for label, studies in every.items() if any(study.untrained for study in studies)],
        skipped=sorted(measured.skipped),
        repeated=sorted({video for studies in every.values() for study in studies for video in study.repeated}),
        differences=_differences(measured, plan),
        score_title=lambda measure, score: find_score(measure, score).title,
        same_clips=_same_clips(plan),
        sources={label: _source(studies[0]) for label, studies in every.items() if studies},
        versions=versions(),
        command=plan.command,
    )
    return page.replace(_POLICY, _policy(page), 1)


def _policy(page: str) -> str:
    """Nothing may be loaded, and nothing may run but the scripts that the page is made with."""
    digests = (base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in _SCRIPT.findall(page))
    allowed = " ".join(f"'sha256-{digest}'" for digest in dict.fromkeys(digests))
    return (
        "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
        f"script-src {allowed}; base-uri 'none'; form-action 'none'"
    )


def _section(plan: Plan, measured: Measured, measure: str, out: Path) -> Section:
    section = Section(measure, find_measure(measure))
    for label, why in measured.left_out.get(measure, {}).items():
        section.left_out.setdefault(why, []).append(label)
    studies = measured.studies.get(measure, {})
    if not studies:
        return section
    section.labels = list(studies)
    section.rows = score_rows(studies, [column.label for column in plan.columns])
    section.table = score_table(studies)
    section.together = _together(plan, measure, studies, out)
    section.alone = {label: picture(out / label / f"{measure}.png") for label in studies}
    section.files = {label: _files(out, label, measure) for label in studies}
    if measure == "cam":
        section.films = clip_films(studies)
    if measure == "affinity":
        section.explorers = explorers(studies, measured.studies.get("cam", {}), section.notes)
    return section


def _together(plan: Plan, measure: str, studies: Mapping[str, Study], out: Path) -> Picture | None:
    if len(studies) < 2 or measure not in FIGURES or not _same_clips(plan) or not _same_examples(studies):
        return None
    path = out / f"compare-{measure}.png"
    save_figure(FIGURES[measure](studies), path, "png")
    return picture(path)


def _same_clips(plan: Plan) -> bool:
    """Frames and stride decide where a clip lies."""
    specs = [column.session.spec for column in plan.columns]
    return all((a.num_frames, a.frame_stride) == (b.num_frames, b.frame_stride) for a, b in pairwise(specs))


def _same_examples(studies: Mapping[str, Study]) -> bool:
    shown = [study.arrays.get("example_video_id") for study in studies.values()]
    return all(np.array_equal(a, b) for a, b in pairwise(np.array([]) if ids is None else ids for ids in shown))


def _files(out: Path, label: str, measure: str) -> list[tuple[str, str]]:
    files = sorted(path.name for path in (out / label).glob(f"{measure}.*") if path.is_file())
    return [(name, quote(f"{label}/{name}")) for name in files]


def _differences(measured: Measured, plan: Plan) -> dict[str, list[Difference]]:
    """Measure → every checkpoint against the first that has it."""
    if not _same_clips(plan):
        return {}
    seed = plan.columns[0].session.settings.seed
    found = {
        name: [d for d in compare_scores(of, seed=seed) if d.num_videos]
        for name, of in measured.studies.items()
        if len(of) > 1
    }
    return {name: rows for name, rows in found.items() if rows}


def _source(study: Study) -> dict[str, Any]:
    """Where a checkpoint's results come from."""
    provenance = study.provenance
    return {
        "checkpoint": provenance["checkpoint"],
        "report": provenance["checkpoint"]["load_report"],
        **{name: provenance[name] for name in ("input", "layer", "boundary", "crop", "device", "seed")},
    }
