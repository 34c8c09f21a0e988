"""``fima retrieve``: for each test video, the training videos nearest to it, and whether they are of its class."""

from __future__ import annotations

import argparse
import sys
from itertools import chain
from pathlib import Path

from fima.commands.neighbor_flags import add_flags, claimed, finish, open_sets, positive, save
from fima.files.writing import write_csv
from fima.legacy import input_name
from fima.progress import tell

__all__ = ["add_arguments", "run"]

_EPILOG = """\
DIR gets retrieval.json (recall with 95 % intervals over test videos, chance, and how it was made), retrieval.csv
(query, rank, neighbor, similarity, hit, shown), predictions.csv (per test video), duplicates.csv and skipped.csv.
--inputs shows what the features live on: the same videos as they are, with their middle frame only, and with their
frame difference only.

examples:
  fima retrieve --ckpt runs/x/last.ckpt --data UCF101 --out reports/retrieval
  fima retrieve --ckpt tiny-fima --data shapes:easy --inputs rgb static motion --out reports/bias
  fima retrieve --features-train train.parquet --features-test test.parquet --preset fame --out reports/fame
exit codes: 0 done, 2 bad input, 3 done but some videos cannot be read (DIR/skipped.csv), 130 interrupted
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``fima retrieve``."""
    parser.epilog, parser.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    add_flags(parser, center="the preset's")
    parser.add_argument(
        "--ranks", type=int, nargs="+", default=[1, 5, 10, 20, 50], metavar="K", help="of the recall (1 5 10 20 50)"
    )
    parser.add_argument(
        "--inputs",
        nargs="+",
        type=input_name,
        default=["rgb"],
        choices=("rgb", "static", "motion", "shuffled"),
        help="some of rgb, static, motion, shuffled (rgb)",
    )


def run(args: argparse.Namespace) -> int:
    """Retrieve, write and print.

    Raises:
        InputError: if a flag, the checkpoint, the videos or the tables cannot be used.
    """
    from fima.presets.retrieval import retrieval_preset

    chosen = retrieval_preset(args.preset, clips=args.clips, center=args.center)
    ranks = positive(args.ranks, "--ranks")
    from fima.evaluation.neighbor_report import about, find_neighbors, neighbor_rows, recall_scores

    with claimed(args, "retrieval", "retrieval.csv", "predictions.csv") as folder:
        sets = open_sets(args, chosen, list(dict.fromkeys(args.inputs)))
        found = {
            shown: find_neighbors(train, sets.test[shown], max(ranks), center=chosen.center)
            for shown, train in sets.train.items()
        }
        ranks = _within(ranks, min(len(one.train) for one in found.values()))
        results = {shown: recall_scores(one, ranks) for shown, one in found.items()}
        write_csv(
            folder / "retrieval.csv",
            ("query", "rank", "neighbor", "similarity", "hit", "shown"),
            chain.from_iterable(neighbor_rows(one, shown) for shown, one in found.items()),
        )
        write_csv(
            folder / "predictions.csv",
            ("video", "label", "class_name", "shown", *(f"recall@{rank}" for rank in ranks)),
            (
                (video, label, one.test.class_names[label], shown, *map(int, right))
                for shown, one in found.items()
                for video, label, right in zip(one.test.video_ids, one.test.labels, results[shown][1], strict=True)
            ),
        )
        content = {
            "task": "retrieval",
            "scores": {shown: scores for shown, (scores, _) in results.items()},
            **about(sets, chosen, seed=args.seed, command=["fima", *sys.argv[1:]]),
        }
        save(folder, "retrieval", content, sets)
    return finish(Path(args.out), content, sets)


def _within(ranks: list[int], gallery: int) -> list[int]:
    """The ranks that a gallery of this size has, at least the first; the others are said to be left out."""
    beyond = [str(rank) for rank in ranks if rank > gallery]
    if beyond:
        which = f"recall@{', recall@'.join(beyond)}"
        tell(f"warning: the gallery has {gallery} videos; {which} would look at all of them and more, and is left out")
    return [rank for rank in ranks if rank <= gallery] or [1]
