"""``fima extract``: the features of a data set's videos, into a parquet file."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

from fima.commands.flags import SOME_SKIPPED, add_backbone_flags, add_protocol_flags, feature_request, inputs_of
from fima.files.claims import claim_file
from fima.legacy import input_name
from fima.progress import Progress

__all__ = ["add_arguments", "run"]

_EPILOG = """\
FILE gets a row per clip: video, clip, label, class_name, content (size and SHA-256 of the file's first MiB) and vector
(float32: the feature map's mean over time, space and the clip's crops). What it was made from is in its metadata.
After Ctrl-C or a crash, the same command goes on where it stopped. Several processes share the work:

examples:
  fima extract --ckpt runs/x/last.ckpt --data UCF101 --split train --out train.parquet
  fima extract --ckpt tiny-fima --data shapes:easy --split test --out test.parquet --clips 2
  torchrun --nproc-per-node 8 -m fima.cli extract --ckpt x.ckpt --data k400 --split train --out k400.parquet
exit codes: 0 done, 2 bad input, 3 done but some videos cannot be read (FILE.skipped.csv), 130 interrupted
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``fima extract``."""
    parser.epilog, parser.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    add_backbone_flags(parser, required=True)
    parser.add_argument("--split", metavar="S", help="train, test, val, … (default: every video)")
    parser.add_argument("--out", metavar="FILE", required=True, help="the parquet file to write")
    parser.add_argument(
        "--shown",
        type=input_name,
        default="rgb",
        choices=("rgb", "static", "motion", "shuffled"),
        help="the clip as it is: rgb; its middle frame: static; motion; or its frames in another order: shuffled",
    )
    add_protocol_flags(parser)
    parser.add_argument("--overwrite", action="store_true", help="make everything again")


def run(args: argparse.Namespace) -> int:
    """Extract what is not there yet, and say what became of it.

    Raises:
        InputError: if a flag, the checkpoint or the data set cannot be used.
    """
    from fima.errors import InputError
    from fima.presets.retrieval import retrieval_preset

    out = Path(args.out)
    if out.suffix != ".parquet" or out.is_dir():
        raise InputError(f"--out must be a .parquet file, got {out}")
    chosen = retrieval_preset(args.preset, clips=args.clips)
    rank, world = _place()

    from fima.data.datasets import open_dataset
    from fima.evaluation.extract import describe_features, extract
    from fima.evaluation.feature_parts import skipped_path

    device = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if args.device == "cuda" and world > 1 else args.device
    loaded, place = feature_request(args, device=device).open(chosen.input)
    data = open_dataset(args.data, split=args.split)
    metadata = describe_features(
        loaded, data, chosen.protocol, source={"path": str(args.data), "split": args.split}, shown=args.shown,
        layer=args.layer, preset=args.preset, seed=args.seed,
    )  # fmt: skip
    with _claimed(args, out, rank), Progress("extract", unit="videos") as tell:
        done = extract(
            loaded, data, chosen.protocol, out, metadata, batch_size=args.batch_size, device=place,
            threads=args.threads, rank=rank, world=world, overwrite=args.overwrite, progress=tell,
        )  # fmt: skip
    if done.joined:
        before = f", {done.before} of them before" if done.before else ""
        sys.stdout.write(f"{done.videos - len(done.skipped)} videos in {out}{before}\n")
        if data.missing:
            sys.stdout.write(f"{len(data.missing)} listed videos are not there\n")
        if done.skipped:
            sys.stdout.write(f"{len(done.skipped)} cannot be read, listed in {skipped_path(out)}\n")
    # Of several processes the first one speaks: a launcher ends them all when another leaves with a code of its own.
    return SOME_SKIPPED if done.skipped and rank == 0 else 0


def _claimed(args: argparse.Namespace, out: Path, rank: int) -> AbstractContextManager[Any]:
    """Of several processes, the first one claims the file for all."""
    from fima.errors import InputError
    from fima.evaluation.feature_parts import skipped_path
    from fima.evaluation.feature_store import read_metadata

    if rank:
        return nullcontext()
    known = False
    with suppress(InputError, FileNotFoundError):
        known = bool(read_metadata(out))
    beside = skipped_path(out).name
    return claim_file(out, "fima extract", beside, inputs=inputs_of(args), overwrite=args.overwrite, known=known)


def _place() -> tuple[int, int]:
    """Which of how many processes this is, as torchrun says."""
    from fima.errors import InputError

    try:
        rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    except ValueError:
        rank, world = -1, 0
    if not 0 <= rank < world:
        found = f"{os.environ.get('RANK')} and {os.environ.get('WORLD_SIZE')}"
        raise InputError(f"RANK and WORLD_SIZE must be whole numbers, 0 ≤ RANK < WORLD_SIZE, got {found}")
    return rank, world
