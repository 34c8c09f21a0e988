"""A table as Markdown or LaTeX, and its entries as csv."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd

from fima.evaluation.results_table.entries import TASKS, ResultEntry
from fima.evaluation.results_table.layout import ResultsTable

__all__ = ["CSV_COLUMNS", "to_csv", "to_latex", "to_markdown"]

CSV_COLUMNS = (
    *("origin", "method", "checkpoint", "sha256", "arch", "input", "layer", "task", "data", "data_path"),
    *("train_split", "test_split", "listed", "tested", "classes", "metric", "percent", "low", "high", "chance", "seed"),
    *("preset", "source", "clips", "crops", "placement", "crop_fraction", "average", "centering", "chosen", "changes"),
    *("remarks", "file", "command", "version"),
)
"""Of `to_csv`; numbers are per cent, empty where there is none."""

_CHOSEN = {
    "last": "last epoch",
    "val": "epoch chosen on validation",
    "test": "EPOCH CHOSEN ON THE TEST SPLIT: optimistic",
    "given": "classifier as given",
}
_CENTERS = {
    "none": "not centered",
    "train": "centered by the training videos' mean",
    "each": "either set centered by itself",
}
_THEIRS = "published numbers are stated by their sources and follow their own protocols; we have not measured them"
_SEEDS = "± is the standard deviation over n seeds (n − 1 in its denominator)"
_SAME = "k-NN and retrieval of a trained checkpoint are the same for all seeds, which draw only intervals and chance"
_LATEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "[": "{[}",  # at the start of a line it would belong to the line break before it
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "−": r"$-$",
    "ρ": r"$\rho$",
    "–": "--",
}


def to_markdown(table: ResultsTable) -> str:
    """Ours first, then published rows, then what the marks mean; percentages."""
    texts, marks, remarks = _cells(table)
    marked = (texts + marks.map(lambda letters: letters and f" ({letters})")).map(_markdown)
    marked.columns = [_markdown(f"{h.task}, {h.where}, {h.metric} [{h.note}]") for h in table.heads]
    whole = pd.concat([_left(table).map(_markdown), marked], axis=1)
    aligned = ["left"] * 3 + ["right"] * len(table.heads)
    body = whole.to_markdown(index=False, disable_numparse=True, colalign=aligned)
    return "\n".join([body, "", *(f"- {_markdown(note)}" for note in _notes(table, remarks))]) + "\n"


def to_latex(table: ResultsTable) -> str:
    r"""A ``tabular`` of booktabs with its notes; needs ``\usepackage{booktabs}``."""
    texts, marks, remarks = _cells(table)
    marked = texts.map(_latex) + marks.map(lambda letters: letters and rf"\textsuperscript{{{letters}}}")
    whole = pd.concat([_left(table).map(_latex), marked], axis=1)
    heads = [(_latex(h.task), _latex(h.where), rf"{_latex(h.metric)}\textsuperscript{{{h.note}}}") for h in table.heads]
    whole.columns = pd.MultiIndex.from_tuples([("", "", _latex(name)) for name in _left(table)] + heads)
    form = "lll" + "c" * len(heads)
    lines = whole.to_latex(index=False, escape=False, column_format=form, multicolumn_format="c").splitlines()
    if len(table.published):
        lines.insert(lines.index(r"\bottomrule") - len(table.published), r"\midrule")
    notes = [rf"\par\noindent{{\footnotesize {_latex(note)}}}" for note in _notes(table, remarks)]
    return "\n".join([r"% needs \usepackage{booktabs}; written by fima table", *lines, "", *notes]) + "\n"


def to_csv(entries: Sequence[ResultEntry], table: ResultsTable, theirs: pd.DataFrame) -> str:
    """A row for each entry of each run, then one for each published number.

    Args:
        entries: ours, that the table was made of.
        table: says what backbones are called.
        theirs: of `fima.evaluation.results_table.layout.published_numbers`.
    """
    rows = dict.fromkeys(entry.backbone for entry in entries)
    names = dict(zip(rows, table.backbones["checkpoint"], strict=True))
    ours = pd.DataFrame([_row(entry, names[entry.backbone]) for entry in entries], dtype=object)
    stated = theirs.assign(origin="published, " + theirs["source"], source=None).drop(columns="group").astype(object)
    whole = pd.concat([ours, stated]).reindex(columns=list(CSV_COLUMNS))
    return str(whole.to_csv(index=False, lineterminator="\n"))


def _row(entry: ResultEntry, name: str) -> dict[str, object]:
    row = asdict(entry)
    settings = row.pop("settings")
    shares = {"percent": row.pop("value"), **{key: row[key] for key in ("low", "high", "chance")}}
    numbers = {key: None if share is None else f"{100 * share:.6g}" for key, share in shares.items()}
    texts = {"changes": "; ".join(settings["changes"]), "remarks": "; ".join(entry.remarks)}
    return {**row, **settings, **numbers, **texts, "origin": "measured", "method": name}


def _cells(table: ResultsTable) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, str]]:
    """Texts and marks of all cells, ours above published ones; and remark → its mark, in the order of the cells."""
    places = range(len(table.heads))
    mean, sd, count = (table.cells[name].reindex(columns=places) for name in ("mean", "std", "count"))
    remarks: dict[str, str] = {}
    marks = []
    for told in table.remarks.reindex(columns=places).itertuples(index=False):
        texts = [text if isinstance(text, tuple) else () for text in told]
        marks.append([",".join(remarks.setdefault(t, _letter(len(remarks))) for t in texts[place]) for place in places])
    ours = pd.DataFrame(
        [
            [_cell(mean.iat[row, place], sd.iat[row, place], count.iat[row, place]) for place in places]
            for row in range(len(mean))
        ]
    )
    theirs = table.published.map(lambda percent: "–" if pd.isna(percent) else f"{percent:g}")
    texts = pd.concat([ours, theirs], ignore_index=True)
    return texts, pd.DataFrame(marks).reindex(texts.index, fill_value=""), remarks


def _cell(mean: float, sd: float, count: float) -> str:
    if pd.isna(mean):
        return "–"
    return f"{100 * mean:.1f}" if count == 1 else f"{100 * mean:.1f} ± {100 * sd:.1f} (n = {count:.0f})"


def _left(table: ResultsTable) -> pd.DataFrame:
    """The first three columns."""
    theirs = [(f"published, {source}: {method}", arch, "–") for source, method, arch in table.published.index]
    return pd.concat([table.backbones, pd.DataFrame(theirs, columns=table.backbones.columns)], ignore_index=True)


def _notes(table: ResultsTable, remarks: dict[str, str]) -> list[str]:
    lines = [f"[{number}] {_how(entry)}" for number, entry in enumerate(table.settings, 1)]
    lines += [f"({mark}) {text}" for text, mark in remarks.items()]
    several = bool((table.cells["count"] > 1).to_numpy().any())
    extra = [(_SEEDS, several), (_SAME, table.seedless), (_THEIRS, len(table.published) > 0)]
    return lines + [text for text, needed in extra if needed]


def _how(entry: ResultEntry) -> str:
    how = entry.settings
    crops = "" if how.crops is None else f" × {how.crops} crop{'s' if how.crops > 1 else ''}"
    clips = "half-overlapping clips" if how.placement == "half_overlap" else f"{how.clips} clips"
    parts = [f"{TASKS[entry.task]} on {entry.data}", f"preset {how.preset}"]
    if how.clips is not None or how.placement is not None:
        parts.append(clips + crops)
    if how.placement is not None:
        side = "the whole short side" if how.crop_fraction is None else f"{how.crop_fraction:g} of the short side"
        parts.append(f"crops of {side}")
    if how.average is not None:
        parts.append(f"mean of {how.average}")
    if entry.task != "detection":
        parts.append("no centering" if how.centering is None else _CENTERS.get(how.centering, how.centering))
    if how.chosen is not None:
        parts.append(_CHOSEN.get(how.chosen, how.chosen))
    size = "" if entry.listed is None else f" ({entry.listed} listed)"
    parts.append(f"trained on {entry.train_split}, tested on {entry.test_split}{size}, {entry.classes} classes")
    return "; ".join([*parts, *how.changes])


def _letter(place: int) -> str:
    return ("" if place < 26 else _letter(place // 26 - 1)) + chr(ord("a") + place % 26)


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_|<>~])", r"\\\1", " ".join(text.split()))


def _latex(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in " ".join(text.split()))
