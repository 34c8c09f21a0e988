"""``fima table``: results of several checkpoints in one table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fima.commands.flags import inputs_of
from fima.files.claims import claim_file
from fima.files.writing import write_text

__all__ = ["add_arguments", "run"]

_EPILOG = """\
RUN is a result (result.json, knn.json, retrieval.json), a run's folder, or a folder of such. Rows are checkpoints;
columns are task × data set × metric. Runs that differ in nothing but their seed become mean ± standard deviation; those
whose preset, clips, crops, centering, splits or other settings differ get columns of their own, told apart by
footnotes.
Published numbers stand in rows of their own, and only in columns that are there. csv has a row for each number of each
run, with all that it depends on; it has all metrics unless --metrics is given.

examples:
  fima table runs/ft-seed0 runs/ft-seed1 runs/ft-seed2 reports/retrieval
  fima table runs --name runs/moco/last.ckpt=MoCo --data-name UCF-101=UCF101 --published fima coclr
  fima table runs --format latex --out table.tex
exit codes: 0 done, 2 bad input
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``fima table``."""
    parser.epilog, parser.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a result, or a folder that is searched for results")
    parser.add_argument(
        "--format", choices=("markdown", "latex", "csv"), default="markdown", help="(default: markdown)"
    )
    parser.add_argument("--metrics", nargs="+", metavar="M", help="such as top-1 recall (all ranks) recall@1 mAP")
    parser.add_argument(
        "--published", nargs="*", metavar="WHO", help="fima, fame, tclr, coclr, slowfast; none named: all of them"
    )
    parser.add_argument(
        "--name", action="append", default=[], metavar="CKPT=NAME", help="what to call a checkpoint; may be repeated"
    )
    parser.add_argument(
        "--data-name", action="append", default=[], metavar="DATA=NAME", help="what to call a data set; likewise"
    )
    parser.add_argument("--out", metavar="FILE", help="instead of printing; only a table is replaced")


def run(args: argparse.Namespace) -> int:
    """Collect, put together, write.

    Raises:
        InputError: if a run holds no result, or a flag cannot be used.
    """
    from dataclasses import replace

    from fima.evaluation.results_table.layout import chosen_metrics, make_table, published_numbers
    from fima.evaluation.results_table.readers import collect
    from fima.evaluation.results_table.render import to_csv, to_latex, to_markdown

    names, data_names = _pairs(args.name, "--name"), _pairs(args.data_name, "--data-name")
    theirs = published_numbers(args.published)
    found = collect(args.runs)
    _check_used(names, {n.checkpoint for n in found} | {n.sha256 or "" for n in found}, "--name")
    _check_used(data_names, {n.data for n in found} | {n.data_path for n in found}, "--data-name")
    found = [replace(n, data=data_names.get(n.data_path, data_names.get(n.data, n.data))) for n in found]
    if args.format != "csv" or args.metrics is not None:
        found = chosen_metrics(found, args.metrics)
    table = make_table(found, names, theirs)
    if args.format == "csv":
        text = to_csv(found, table, theirs)
    else:
        text = to_latex(table) if args.format == "latex" else to_markdown(table)
    if args.published is not None and not len(table.published) and args.format != "csv":
        sys.stderr.write("fima table: no published number is of a task, data set and metric of these runs\n")
    if args.out is None:
        sys.stdout.write(text)
    else:
        out = Path(args.out)
        with claim_file(out, "fima table", inputs=inputs_of(args)):
            write_text(out, text)
    return 0


def _pairs(texts: list[str], flag: str) -> dict[str, str]:
    from fima.errors import InputError

    pairs = {}
    for text in texts:
        left, mark, right = text.rpartition("=")  # the left side may be shapes:easy,videos=10
        if not (mark and left and right):
            raise InputError(f"{flag}: expected two names with = between them, got {text!r}")
        pairs[left] = right
    return pairs


def _check_used(pairs: dict[str, str], known: set[str], flag: str) -> None:
    from fima.errors import InputError

    for name in pairs:
        if name not in known:
            there = ", ".join(sorted(known - {""})) or "nothing"
            raise InputError(f"{flag} {name}: is in none of the runs, which have {there}")
