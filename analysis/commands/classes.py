"""``fima-analyze classes``: confusion matrices and accuracies by class of finished runs."""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import Any

from analysis.commands.flags import add_out_flag, results, tell
from fima.commands.flags import decisive

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "results of fima finetune, linear and knn, class by class: confusion matrices, accuracies (figures, csv)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a folder that fima finetune, linear or knn wrote")
    parser.add_argument("--names", nargs="+", metavar="NAME", help="of the runs (default: checkpoints, or folders)")
    parser.add_argument(
        "--votes", metavar="WAY", help="of k-NN, such as majority@5 (default: weighted, of the most neighbors)"
    )
    add_out_flag(parser, "classes")


def run(args: argparse.Namespace) -> int:
    """Read the results, draw and write.

    Raises:
        InputError: for runs that cannot be read, or are of different classes.
    """
    from analysis.downstream.class_results import TASKS, cells_of, classes_csv, name_runs, read_runs
    from analysis.output import timestamp, write_json
    from analysis.plotting.downstream import draw_classes, draw_confusions
    from analysis.plotting.style import save_figure

    runs = read_runs(args.runs, votes=args.votes)
    names = _given_names(args, runs) or name_runs(runs)
    cells, classes = cells_of(runs, names), runs[0].class_names
    rows = list(dict.fromkeys(names))
    tasks = TASKS | {run.task: f"k-NN, {run.how}" for run in runs if run.how}
    warnings = _warnings(runs)
    written = [f"{stem}.{kind}" for kind in dict.fromkeys(args.format) for stem in ("confusion", "classes")]
    written += ["classes.csv", "classes.json"]
    with results(args, "classes", decisive(args), written) as folder:
        confusion = draw_confusions(cells, tasks, rows, classes, "split")
        confusion.suptitle("Confusion: rows are true classes, numbers are test videos")
        confusion.set_size_inches(*_size(len(cells), len(rows)))
        bars = draw_classes(cells, tasks, rows, classes, "split")
        bars.suptitle(bars.get_suptitle().replace(", own test split", ""))
        for kind in dict.fromkeys(args.format):
            save_figure(confusion, folder / f"confusion.{kind}", kind)
            save_figure(bars, folder / f"classes.{kind}", kind)
        (folder / "classes.csv").write_text(classes_csv(cells, classes), encoding="utf-8")
        write_json(
            folder / "classes.json",
            {
                "classes": classes,
                "runs": [_about(one, name) for one, name in zip(runs, names, strict=True)],
                "interval": "95 % over videos",
                "warnings": warnings,
                "command": shlex.join(["fima-analyze", *sys.argv[1:]]),
                "created": timestamp(),
            },
        )
    for line in warnings:
        tell(f"warning: {line}")
    sys.stdout.writelines(f"{args.out}/{name}\n" for name in written)
    return 0


def _size(columns: int, rows: int) -> tuple[float, float]:
    """Inches of the confusion matrices' figure: squares as large as the page's width lets them be."""
    side = min(2.6, 5.0 / columns)
    return min(7.2, max(5.2, 2.0 + columns * (side + 0.2))), 1.5 + rows * (side + 0.1)


def _given_names(args: argparse.Namespace, runs: list[Any]) -> list[str] | None:
    from fima.errors import InputError

    if args.names is None:
        return None
    if len(args.names) != len(runs):
        raise InputError(f"--names: {len(args.names)} names for {len(runs)} runs")
    pairs = list(zip((run.task for run in runs), args.names, strict=True))
    twice = next((pair for i, pair in enumerate(pairs) if pair in pairs[:i]), None)
    if twice is not None:
        raise InputError(f"--names: {twice[1]} is the name of two runs of {twice[0]}")
    return list(args.names)


def _about(run: Any, name: str) -> dict[str, Any]:
    checkpoint = run.about.get("checkpoint")
    kept = checkpoint if isinstance(checkpoint, dict) else run.about
    return {
        "name": name,
        "folder": str(run.folder),
        "task": run.task,
        "votes": run.how or None,
        "checkpoint": run.checkpoint,
        "sha256": kept.get("sha256"),
        "preset": run.about.get("preset"),
        "seed": run.about.get("seed"),
        "videos": len(run.videos),
        "accuracy": float((run.predictions == run.labels).mean()),
    }


def _warnings(runs: list[Any]) -> list[str]:
    """What a reader of the figures must know: other videos in some runs; what the runs themselves warned of."""
    found = []
    first = set(runs[0].videos)
    for run in runs[1:]:
        if set(run.videos) != first:
            found.append(f"{run.folder}: its {len(run.videos)} test videos are not those of {runs[0].folder}")
    return [*found, *(f"{run.folder}: {line}" for run in runs for line in run.about.get("warnings", ()))]
