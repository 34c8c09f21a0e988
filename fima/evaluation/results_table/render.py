"""A table as Markdown or LaTeX, and its numbers as csv."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from fima.evaluation.results_table.layout import Cell, Column, Table
from fima.evaluation.results_table.number import TASKS, Backbone, Data, Number, Protocol
from fima.evaluation.results_table.published_numbers import Published

__all__ = ["CSV_COLUMNS", "FORMATS", "to_csv", "to_latex", "to_markdown"]

FORMATS = ("markdown", "latex", "csv")

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


def to_markdown(table: Table) -> str:
    """Ours first, then published rows, then what the marks mean; percentages."""
    notes = _Notes(table)
    names = ("checkpoint", "backbone", "frames × stride, size")
    heads = [f"{TASKS[c.task]}, {_where(c.data)}, {c.metric} [{table.mark(c)}]" for c in table.columns]
    rows = [
        [row.name, row.backbone.arch, _input(row.backbone.input, row.backbone.layer)]
        + [_marked(cell, notes) for cell in row.cells]
        for row in table.rows
    ]
    rows += [
        [f"published, {row.source}: {row.method}", row.arch, "–"] + [_percent(p) for p in row.percents]
        for row in table.published
    ]
    lines = [_pipe([*names, *heads]), _pipe_rule(len(names), len(heads)), *(_pipe(row) for row in rows), ""]
    lines += [f"- {_markdown(note)}" for note in notes.lines()]
    return "\n".join(lines) + "\n"


def to_latex(table: Table) -> str:
    r"""A ``tabular`` of booktabs with its notes; needs ``\usepackage{booktabs}``."""
    notes = _Notes(table)
    columns = table.columns
    lines = [
        r"% needs \usepackage{booktabs}; written by fima table",
        rf"\begin{{tabular}}{{lll{'c' * len(columns)}}}",
        r"\toprule",
        _spanned([TASKS[c.task] for c in columns], [c.task for c in columns]),
        _spanned([_where(c.data) for c in columns], [(c.task, c.data) for c in columns]),
        _line(["checkpoint", "backbone", "frames × stride, size"], [_head(c, table.mark(c)) for c in columns]),
        r"\midrule",
    ]
    for row in table.rows:
        cells = [_tex_cell(cell, notes) for cell in row.cells]
        lines.append(_line([row.name, row.backbone.arch, _input(row.backbone.input, row.backbone.layer)], cells))
    if table.published:
        lines.append(r"\midrule")
    for theirs in table.published:
        cells = [_latex(_percent(percent)) for percent in theirs.percents]
        lines.append(_line([f"published, {theirs.source}: {theirs.method}", theirs.arch, "–"], cells))
    lines += [r"\bottomrule", r"\end{tabular}", ""]
    lines += [rf"\par\noindent{{\footnotesize {_latex(note)}}}" for note in notes.lines()]
    return "\n".join(lines) + "\n"


def to_csv(numbers: Iterable[Number], names: Mapping[Backbone, str], theirs: Sequence[Published]) -> str:
    """A row for each number of each run, then one for each published number.

    Args:
        numbers: ours.
        names: backbone → what it is called.
        theirs: published ones.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_ours(number, names[number.backbone]) for number in numbers)
    for one in theirs:
        writer.writerow(
            {
                **{"origin": f"published, {one.source}", "method": one.method, "arch": one.arch, "task": one.task},
                **{"data": one.data, "metric": one.metric, "percent": one.percent},
            }
        )
    return text.getvalue()


def _ours(number: Number, name: str) -> dict[str, object]:
    one, data, how = number.backbone, number.data, number.protocol
    shares = {"percent": number.value, "low": number.low, "high": number.high, "chance": number.chance}
    row = {
        **{"origin": "measured", "method": name, "checkpoint": number.checkpoint, "sha256": one.sha256},
        **{"arch": one.arch, "input": one.input, "layer": one.layer, "task": number.task},
        **{"data": data.name, "data_path": number.data_path, "train_split": data.train_split},
        **{"test_split": data.test_split, "listed": data.listed, "tested": number.tested, "classes": data.classes},
        **{"metric": number.metric, **{key: None if v is None else f"{100 * v:.6g}" for key, v in shares.items()}},
        **{"seed": number.seed, "preset": how.preset, "source": number.source, "clips": how.clips},
        **{"crops": how.crops, "placement": how.placement, "crop_fraction": how.crop_fraction},
        **{"average": how.average, "centering": how.centering, "chosen": how.chosen, "changes": "; ".join(how.changes)},
        **{"remarks": "; ".join(number.remarks), "file": number.file, "command": number.command},
        "version": number.version,
    }
    return {key: "" if value is None else value for key, value in row.items()}


class _Notes:
    """Marks of remarks, given in the order that cells ask for them."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.letters: dict[str, str] = {}

    def marks(self, cell: Cell) -> str:
        return ",".join(self.letters.setdefault(text, _letter(len(self.letters))) for text in cell.remarks)

    def lines(self) -> list[str]:
        found = [f"[{n + 1}] {_how(*one)}" for n, one in enumerate(self.table.protocols)]
        found += [f"({mark}) {text}" for text, mark in self.letters.items()]
        cells = [cell for row in self.table.rows for cell in row.cells if cell is not None]
        several = [cell.numbers[0] for cell in cells if len(cell.numbers) > 1]
        same = any(one.task in ("knn", "retrieval") and one.backbone.sha256 for one in several)
        extra = [(_SEEDS, bool(several)), (_SAME, same), (_THEIRS, bool(self.table.published))]
        return found + [text for text, needed in extra if needed]


def _how(task: str, data: Data, how: Protocol) -> str:
    crops = "" if how.crops is None else f" × {how.crops} crop{'s' if how.crops > 1 else ''}"
    clips = "half-overlapping clips" if how.placement == "half_overlap" else f"{how.clips} clips"
    parts = [f"{TASKS[task]} on {data.name}", f"preset {how.preset}"]
    if how.clips is not None or how.placement is not None:
        parts.append(clips + crops)
    if how.placement is not None:
        side = "the whole short side" if how.crop_fraction is None else f"{how.crop_fraction:g} of the short side"
        parts.append(f"crops of {side}")
    if how.average is not None:
        parts.append(f"mean of {how.average}")
    if task != "detection":
        parts.append("no centering" if how.centering is None else _CENTERS.get(how.centering, how.centering))
    if how.chosen is not None:
        parts.append(_CHOSEN.get(how.chosen, how.chosen))
    size = "" if data.listed is None else f" ({data.listed} listed)"
    parts.append(f"trained on {data.train_split}, tested on {data.test_split}{size}, {data.classes} classes")
    return "; ".join([*parts, *how.changes])


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    text = f"{100 * cell.mean:.1f}"
    return text if cell.sd is None else f"{text} ± {100 * cell.sd:.1f} (n = {len(cell.numbers)})"


def _marked(cell: Cell | None, notes: _Notes) -> str:
    return f"{_cell(cell)} ({notes.marks(cell)})" if cell is not None and cell.remarks else _cell(cell)


def _tex_cell(cell: Cell | None, notes: _Notes) -> str:
    marks = rf"\textsuperscript{{{notes.marks(cell)}}}" if cell is not None and cell.remarks else ""
    return _latex(_cell(cell)) + marks


def _percent(percent: float | None) -> str:
    return "–" if percent is None else f"{percent:g}"


def _where(data: Data) -> str:
    return f"{data.name} ({data.test_split})"


def _input(text: str, layer: str) -> str:
    return f"{text}, {layer}" if layer else text


def _letter(place: int) -> str:
    return ("" if place < 26 else _letter(place // 26 - 1)) + chr(ord("a") + place % 26)


def _pipe(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(_markdown, cells))} |"


def _pipe_rule(texts: int, numbers: int) -> str:
    return "|" + "---|" * texts + "---:|" * numbers


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_|<>~])", r"\\\1", " ".join(text.split()))


def _latex(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in " ".join(text.split()))


def _head(column: Column, mark: int) -> str:
    return rf"{_latex(column.metric)}\textsuperscript{{{mark}}}"


def _line(texts: Sequence[str], cells: Sequence[str]) -> str:
    return " & ".join([*map(_latex, texts), *cells]) + r" \\"


def _spanned(texts: Sequence[str], keys: Sequence[object]) -> str:
    """Equal neighbors under one head."""
    parts = []
    for _, group in groupby(zip(keys, texts, strict=True), key=lambda pair: pair[0]):
        found = list(group)
        parts.append(rf"\multicolumn{{{len(found)}}}{{c}}{{{_latex(found[0][1])}}}")
    return " & ".join(["", "", "", *parts]).lstrip() + r" \\"
