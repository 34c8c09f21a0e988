"""``fima knn``: test videos classified by the classes of the training videos nearest to them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fima.commands.neighbor_flags import add_flags, claimed, finish, open_sets, positive, save
from fima.files.writing import write_csv

__all__ = ["add_arguments", "run"]

_COUNTS = (1, 5, 20)
_EPILOG = """\
DIR gets knn.json (accuracies with 95 % intervals over test videos, chance, and how they were made), predictions.csv
(per test video), duplicates.csv and skipped.csv. Votes are weighted by exp(cosine / temperature), and plain.

examples:
  fima knn --ckpt runs/x/last.ckpt --data UCF101 --out reports/knn
  fima knn --features-train train.parquet --features-test test.parquet --k 20 200 --out reports/knn
exit codes: 0 done, 2 bad input, 3 done but some videos cannot be read (DIR/skipped.csv), 130 interrupted
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``fima knn``."""
    parser.epilog, parser.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    add_flags(parser, center="none, as k-NN is usually done")
    parser.add_argument(
        "--k", type=int, nargs="+", metavar="K", help="neighbors that vote (default: 1 5 20, if there are as many)"
    )
    parser.add_argument(
        "--temperature", type=float, default=0.07, metavar="T", help="of the weighted votes (default: 0.07)"
    )


def run(args: argparse.Namespace) -> int:
    """Classify, write and print.

    Raises:
        InputError: if a flag, the checkpoint, the videos or the tables cannot be used.
    """
    from fima.errors import InputError
    from fima.presets.retrieval import retrieval_preset

    chosen = retrieval_preset(args.preset, clips=args.clips, center=args.center or "none")
    counts = positive(args.k or list(_COUNTS), "--k")
    if not 0 < args.temperature < float("inf"):
        raise InputError(f"--temperature must be more than 0, got {args.temperature}")
    from fima.evaluation.neighbor_report import about, find_neighbors, knn_scores

    with claimed(args, "knn", "predictions.csv") as folder:
        sets = open_sets(args, chosen, ["rgb"])
        ((shown, train),) = sets.train.items()
        if args.k and max(counts) > len(train):
            raise InputError(f"--k must be at most {len(train)}, the number of training videos, got {max(counts)}")
        counts = [k for k in counts if k <= len(train)]
        found = find_neighbors(train, sets.test[shown], max(counts), center=chosen.center)
        scores, predictions = knn_scores(found, counts, temperature=args.temperature, seed=args.seed)
        test = found.test
        write_csv(
            folder / "predictions.csv",
            ("video", "label", "class_name", *predictions),
            (
                (video, label, test.class_names[label], *(int(part[place]) for part in predictions.values()))
                for place, (video, label) in enumerate(zip(test.video_ids, test.labels, strict=True))
            ),
        )
        content = {
            "task": "knn",
            "scores": {shown: scores},
            "temperature": args.temperature,
            **about(sets, chosen, seed=args.seed, command=["fima", *sys.argv[1:]]),
        }
        save(folder, "knn", content, sets)
    return finish(Path(args.out), content, sets)
