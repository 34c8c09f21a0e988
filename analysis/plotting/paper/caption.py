"""Captions: what a figure shows, and its numbers with intervals, in plain text and for LaTeX."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING

from analysis.measures.common.numbers import capital, interval, minus, number
from analysis.measures.registry import find_score
from analysis.plotting.style import clips_of, counted
from analysis.studies.common.differences import compare_scores

if TYPE_CHECKING:
    import numpy as np

    from analysis.studies.common.study import Study

__all__ = [
    "checkpoint_names", "clips_sentence", "count_sentence", "detail_sentences", "lettered", "named", "score_sentence",
    "to_latex",
]  # fmt: skip


def checkpoint_names(studies: Mapping[str, Study]) -> str:
    """The compared names in a sentence: ``A, B and C``."""
    names = list(studies)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def lettered(names: list[str]) -> str:
    """``(a) one, (b) two``."""
    return ", ".join(f"({chr(ord('a') + at)}) {name}" for at, name in enumerate(names))


def clips_sentence(video_ids: np.ndarray) -> str:
    """The shown clips by letter, or the one without."""
    names = [str(name) for name in video_ids]
    return f"Clip: {names[0]}." if len(names) == 1 else f"Clips: {lettered(names)}."


def score_sentence(studies: Mapping[str, Study], score: str) -> str:
    """A score of every checkpoint, its chance level, and how each differs from the first on the same videos.

    Args:
        studies: Name → study, the baseline first.
        score: Key of their ``scores``; its label and meaning are those of the registry.
    """
    entry = find_score(next(iter(studies.values())).measure, score)
    summaries = {name: study.scores[score] for name, study in studies.items()}
    levels = ["none" if s.chance is None else number(s.chance) for s in summaries.values()]
    alike = len(set(levels)) == 1
    videos = len(next(iter(studies.values())).video_scores["video_id"])
    parts = [
        f"{name} {interval(summary)}"
        + ("" if alike else f" (chance {level})")
        + ("" if summary.num_videos == videos else f" (N = {summary.num_videos})")
        for (name, summary), level in zip(summaries.items(), levels, strict=True)
    ]
    sentence = f"Mean {entry.title} ({entry.meaning}): {', '.join(parts)}"
    if alike and levels[0] not in ("none", "–"):
        sentence += f"; chance {levels[0]}"
    for difference in compare_scores(studies):
        if difference.score == score and math.isfinite(difference.low):
            between = f"{difference.other} minus {difference.baseline}"
            ends = f"[{number(difference.low)}, {number(difference.high)}]"
            sentence += f"; {between}, paired: {number(difference.difference)} {ends}"
    return sentence + "."


def named(study: Study, score: str) -> tuple[str, str]:
    """Ways to write a score above a panel, the longest first: by the registry's label, then by its first word."""
    label, mean = find_score(study.measure, score).label, study.scores[score].mean
    said = minus(f"{mean:.2f}") if math.isfinite(mean) else "–"
    return f"{label} {said}", f"{label.split()[0]} {said}"


def count_sentence(studies: Mapping[str, Study]) -> str:
    """How many videos, of what, how the intervals were made, and which weights are untrained."""
    first = next(iter(studies.values()))
    inputs, videos = first.provenance["inputs"], len(first.video_scores["video_id"])
    where = f" of {PurePath(inputs['data'].partition(',')[0]).name}" if inputs["data"] else ""
    where += f", split {inputs['split']}" if inputs["split"] else ""
    parts = [f"N = {counted(videos, 'video')}{where}"]
    if videos > 1:
        parts.append("brackets: 95 % interval over videos")
    if untrained := [name for name, study in studies.items() if study.untrained]:
        parts.append(f"untrained weights: {', '.join(untrained)}")
    return "; ".join(parts) + "."


def detail_sentences(studies: Mapping[str, Study]) -> str:
    """What a reader must know of clips and features."""
    first = next(iter(studies.values()))
    text = f"Clips of {clips_of(studies)}."
    text += "".join(f" {capital(note)}." for note in first.notes(most=0))
    if first.skipped:
        text += f" Left out because unreadable: {counted(len(first.skipped), 'video')}."
    return text


_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$", "–": "--", "Δ": r"$\Delta$", "≥": r"$\geq$",
    "×": r"$\times$", "½": r"$\frac{1}{2}$", "′": "$'$", "…": r"\ldots{}", "’": "'",
}  # fmt: skip


def to_latex(caption: str, picture: str, *, both_columns: bool, details: str = "") -> str:
    """A figure environment to paste, every special sign escaped.

    Args:
        caption: Plain text.
        picture: File to include, without its ending.
        both_columns: ``figure*``.
        details: Plain text, kept as a comment.
    """
    star = "*" if both_columns else ""
    width = r"\textwidth" if both_columns else r"\columnwidth"
    text = "".join(_LATEX.get(sign, sign) for sign in caption)
    return "\n".join([
        rf"\begin{{figure{star}}}[t]",
        r"  \centering",
        rf"  \includegraphics[width={width}]{{{picture}}}",
        rf"  \caption{{{text}}}",
        rf"  \label{{fig:{picture}}}",
        rf"\end{{figure{star}}}",
        *([f"% {' '.join(details.split())}"] if details else []),
        "",
    ])  # fmt: skip
