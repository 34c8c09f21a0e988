"""``fima prepare``: a data set's videos re-encoded for training, small and quick to seek in."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import closing
from typing import TYPE_CHECKING

from fima.progress import Progress

if TYPE_CHECKING:
    from fima.data.transcode.preparation import Plan

__all__ = ["add_arguments", "run"]

SOME_FAILED = 3
"""Exit code of a run that is complete but for videos that cannot be re-encoded (listed in ``failed.csv``)."""

_EPILOG = """\
DST gets SRC's tree: every video as .mp4 (H.264, without sound) under its own name, annotation files as they are (their
paths must be relative). Frames, their order and the rate stay; what is smaller than --short-side keeps its size. After
Ctrl-C or a crash, the same command goes on where it stopped; changed videos are done again.

examples:
  fima prepare UCF101 UCF101-240 --short-side 240
  fima prepare kinetics400 /scratch/kinetics400 --workers 32
exit codes: 0 done, 2 bad input, 3 done but some videos failed (DST/failed.csv), 130 interrupted
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``fima prepare``."""
    parser.epilog, parser.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    parser.add_argument("source", metavar="SRC", help="a folder with videos at any depth, or one video")
    parser.add_argument("folder", metavar="DST", help="the folder to write into; made if missing")
    parser.add_argument(
        "--short-side", type=int, default=256, metavar="N", help="pixels of the shorter side (default: %(default)s)"
    )
    parser.add_argument(
        "--crf", type=int, default=23, metavar="N", help="quality, 0 to 51, lower is better (default: 23)"
    )
    parser.add_argument(
        "--gop", type=int, default=12, metavar="N", help="frames from keyframe to keyframe at most (default: 12)"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one per core)")
    parser.add_argument("--overwrite", action="store_true", help="do everything again, into any folder")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")


def run(args: argparse.Namespace) -> int:
    """Re-encode what is not done yet, with progress, and say what became of it.

    Raises:
        InputError: if the source or the folder cannot be used, or there is no room left.
    """
    from fima.data.transcode.encode import WriteError
    from fima.data.transcode.preparation import FAILED, plan
    from fima.data.transcode.reencode import Encoding
    from fima.errors import InputError

    workers = _cores() if args.workers is None else args.workers
    if workers < 1:
        raise InputError(f"--workers must be at least 1, got {workers}")
    todo = plan(args.source, args.folder, Encoding(args.short_side, args.crf, args.gop), overwrite=args.overwrite)
    _tell_plan(todo)
    if args.dry_run:
        return 0
    try:
        failed = _prepare(todo, workers)
    except WriteError as error:
        raise WriteError(f"{error}; what is done is kept, and the same command goes on from there") from None
    except OSError as error:
        if error.filename is not None:
            raise
        # What the processes share has no name.
        raise WriteError(f"{todo.folder}: cannot be prepared ({error.strerror}); what is done is kept") from error
    if failed:
        sys.stdout.write(f"{failed} failed, listed in {todo.folder / FAILED}\n")
    return SOME_FAILED if failed else 0


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _tell_plan(todo: Plan) -> None:
    size = sum(job.size_bytes for job in todo.jobs)
    lines = [f"{_videos(len(todo.jobs))} to do ({_megabytes(size)}), {len(todo.done) - todo.gone} done before"]
    if todo.copies:
        lines.append(f"{_plural(len(todo.copies), 'annotation file')} to copy")
    if todo.changed:
        lines.append(f"{_plural(len(todo.changed), 'file')} not as written before, kept as ….changed")
    if todo.left_out:
        lines.append(f"{_plural(todo.left_out, 'other file')} left out")
    if todo.gone:
        lines.append(f"{_videos(todo.gone)} in {todo.folder} that {todo.source} does not hold any more")
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def _prepare(todo: Plan, workers: int) -> int:
    """Does it all; returns how many videos failed."""
    from fima.data.transcode.manifest import Done
    from fima.data.transcode.prepare import prepare

    read = written = failed = 0
    shown = Progress("prepare", unit="videos")
    with shown, closing(prepare(todo, workers=workers)) as outcomes:
        for number, outcome in enumerate(outcomes, 1):
            if isinstance(outcome, Done):
                read, written = read + outcome.source_bytes, written + outcome.output_bytes
            else:
                failed += 1
            shown(number, len(todo.jobs), f"{failed} failed" if failed else "")
    done = len(todo.jobs) - failed
    if done:
        sys.stdout.write(f"{_videos(done)} prepared: {_megabytes(read)} became {_megabytes(written)}\n")
    return failed


def _videos(number: int) -> str:
    return _plural(number, "video")


def _plural(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"
