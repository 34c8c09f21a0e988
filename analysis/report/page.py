"""The page of a report: that of a comparison, with the figure of every checkpoint and links to the files beside it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import numpy as np

from analysis.compare.page import Content, render_page
from analysis.plotting.compare.figures import FIGURES
from analysis.plotting.style import save_figure
from analysis.report.plan import Plan
from analysis.studies import Study
from analysis.studies.common.differences import Difference, compare_scores
from analysis.studies.common.files import figure_files, figure_words

__all__ = ["render_report"]

Studies = Mapping[str, Mapping[str, Study]]


def render_report(plan: Plan, studies: Studies, left_out: Mapping[str, Mapping[str, str]]) -> str:
    """The text of ``index.html``; figures of several checkpoints are added to the report's folder.

    Args:
        plan: What was asked for.
        studies: Measure → label of the checkpoint → study, saved below the report's folder.
        left_out: Measure → label → why it does not apply.
    """
    content = Content(
        names=list(plan.sessions),
        measures=plan.measures,
        studies=studies,
        differences=_differences(plan, studies),
        command=plan.command,
        left_out=left_out,
        together={name: path for name, of in studies.items() if (path := _draw_together(plan, name, of))},
        alone={
            measure: {label: figure_files(plan.out / label, measure) for label in of} for measure, of in studies.items()
        },
        files={measure: {label: _files(plan.out, label, measure) for label in of} for measure, of in studies.items()},
    )
    return render_page(content)


def _draw_together(plan: Plan, measure: str, studies: Mapping[str, Study]) -> Path | None:
    if len(studies) < 2 or measure not in FIGURES or not plan.same_clips or not _same_examples(studies):
        return None
    path = plan.out / f"compare-{measure}.png"
    save_figure(FIGURES[measure](studies), path, "png")
    return path


def _same_examples(studies: Mapping[str, Study]) -> bool:
    shown = [study.arrays.get("example_video_id") for study in studies.values()]
    return all(np.array_equal(a, b) for a, b in pairwise(np.array([]) if ids is None else ids for ids in shown))


def _files(out: Path, label: str, measure: str) -> list[tuple[str, str]]:
    paths = [path for stem in figure_words(measure) for path in (out / label).glob(f"{stem}.*")]
    files = sorted(path.name for path in paths if path.is_file())
    return [(name, quote(f"{label}/{name}")) for name in files]


def _differences(plan: Plan, studies: Studies) -> list[Difference]:
    """Every checkpoint against the first that has the measure."""
    if not plan.same_clips:
        return []
    return [d for of in studies.values() if len(of) > 1 for d in compare_scores(of) if d.num_videos]
