"""``fima-analyze``: see inside a video backbone from the command line.

Importing this module, and ``--help``, import neither torch nor matplotlib.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.settings import BOUNDARIES, NORMALIZATIONS, Settings
from fima import __version__
from fima.command_line import Parser, run
from fima.errors import InputError

if TYPE_CHECKING:
    from analysis.studies import Study

__all__ = ["main"]

SOME_SKIPPED = 3
"""Exit code of a data-set run that is complete but for broken videos (listed in ``skipped.csv``)."""

_EPILOG = """\
examples:
  fima-analyze affinity                                  the backbone that comes along, on a drawn clip
  fima-analyze cam --ckpt fima.pth.tar --video my.mp4    your checkpoint on your video
  fima-analyze temporal --ckpt fima.pth.tar --data UCF101 --split test1
  fima-analyze report --ckpt fima.pth.tar --video a.mp4 b.mp4 --out reports/fima
  fima-analyze compare --ckpt random moco.pth.tar fima.pth.tar --data UCF101 --split test1
exit codes: 0 done, 2 bad input, 3 done but some videos of --data were skipped, 130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``fima-analyze``; returns the exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    return run(args.run, args, f"fima-analyze {args.command}")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fima-analyze",
        description="See, and measure, what a video backbone attends to.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fima {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for measure, what in _MEASURES.items():
        _add_study(commands.add_parser(measure, help=what, description=what), measure)
    what = "list the layers that --layer can read, with their shapes"
    _add_layers(commands.add_parser("layers", help=what, description=what))
    what = "run the notebooks for checkpoints and videos, with one index page"
    _add_report(commands.add_parser("report", help=what, description=what))
    what = "compare checkpoints on the same clips: figures side by side, paired intervals, curves over training"
    _add_compare(commands.add_parser("compare", help=what, description=what))
    what = "train all methods alike on moving shapes, and measure what they learnt (hours; goes on where it stopped)"
    _add_reproduce(commands.add_parser("reproduce", help=what, description=what))
    return parser


_MEASURES = {
    "cam": "class-agnostic activation maps: where the features are strong (figure, arrays, film)",
    "affinity": "spatial affinity: does an RGB position match the motion of the same place?",
    "temporal": "temporal similarity: does an RGB moment match the motion of the same time?",
    "localize": "localisation: are the features strong where the object truly is? (needs masks, or drawn videos)",
    "sensitivity": "motion sensitivity: what changes the features more, other motion or another appearance?",
}


def _add_study(parser: argparse.ArgumentParser, measure: str) -> None:
    _add_backbone_flags(parser)
    _add_video_flags(parser)
    if measure == "temporal":
        _add_hop(parser)
    if measure == "cam":
        _add_normalize(parser)
    _add_out(parser, measure)
    parser.set_defaults(run=_run_study, measure=measure)


def _add_out(parser: argparse.ArgumentParser, name: str) -> None:
    parser.add_argument("--out", default=f"reports/{name}", metavar="DIR", help="where to write (default: %(default)s)")
    parser.add_argument(
        "--format", nargs="+", choices=("png", "svg", "pdf"), default=["png"], help="of the figure (default: png)"
    )


def _add_hop(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--hop", type=int, metavar="N", help="frames between windows (default: a quarter window)")


def _add_normalize(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--normalize", choices=NORMALIZATIONS, default="frame", help="scale maps over each frame, or over the clip"
    )


def _add_backbone_flags(parser: argparse.ArgumentParser, **ckpt: Any) -> None:
    """Flags that choose a backbone; ``ckpt`` changes what ``--ckpt`` takes."""
    group = parser.add_argument_group("backbone")
    one = {"metavar": "PATH", "help": "file, tiny-vd, tiny-fima, or random (default: tiny-fima)"}
    group.add_argument("--ckpt", **{**one, **ckpt})
    group.add_argument(
        "--arch", metavar="NAME", help="architecture, or package.module:factory (default: from the keys)"
    )
    group.add_argument("--input-spec", metavar="SPEC", help="file or 'mean=…;std=…': what the backbone expects")
    group.add_argument("--trust-checkpoint", action="store_true", help="run code that the checkpoint contains")
    group.add_argument(
        "--layer", metavar="TAP", help="which layer to read; see fima-analyze layers (default: the output)"
    )
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 … (default: auto)")
    _add_clip_flags(group)


def _add_clip_flags(group: Any) -> None:
    group.add_argument(
        "--num-frames", type=int, metavar="N", help="frames per clip (default: what the checkpoint says)"
    )
    group.add_argument("--frame-stride", type=int, metavar="N", help="frames from one to the next (default: likewise)")
    group.add_argument("--size", type=int, metavar="N", help="pixels of the square clip (default: likewise)")


def _add_video_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("videos")
    group.add_argument(
        "--video", nargs="+", default=(), metavar="PATH", help="video files (default: a procedural clip)"
    )
    group.add_argument("--data", metavar="DIR", help="data set: folder, list file, or shapes:REGIME (drawn)")
    group.add_argument("--split", help="split of the data set, such as test1 (default: every video)")
    group.add_argument(
        "--masks", metavar="PATH", help="where objects are: folder of masks, boxes (csv), UCF101-24 or JHMDB files"
    )
    group.add_argument("--clips", type=int, default=1, metavar="K", help="clips per video; 1: its middle (default: 1)")
    group.add_argument("--start-seconds", type=float, metavar="S", help="start of the one clip, instead of --clips")
    group.add_argument("--boundary", choices=BOUNDARIES, default="repeat", help="first frame of the frame difference")
    group.add_argument("--show", type=int, default=4, metavar="K", help="clips in the figure at most (default: 4)")
    group.add_argument("--batch-size", type=int, default=8, metavar="N", help="clips per forward pass (default: 8)")
    group.add_argument("--seed", type=int, default=0, help="of the bootstrap and of what is untrained or procedural")


def _add_layers(parser: argparse.ArgumentParser) -> None:
    _add_backbone_flags(parser)
    parser.add_argument("--seed", type=int, default=0, help="of untrained weights")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=_run_layers)


def _add_report(parser: argparse.ArgumentParser) -> None:
    _add_backbone_flags(parser)
    _add_video_flags(parser)
    for action in parser._actions:
        if action.dest == "ckpt":
            action.nargs = "+"
            action.help = "checkpoints, each with its own pages (default: tiny-fima)"
    _add_hop(parser)
    _add_normalize(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="the report's folder")
    parser.add_argument("--notebook", nargs="+", choices=tuple(_MEASURES), default=tuple(_MEASURES), help="which ones")
    parser.add_argument(
        "-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
        help="a notebook parameter that has no flag",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier report in the folder")
    parser.set_defaults(run=_run_report)


def _add_compare(parser: argparse.ArgumentParser) -> None:
    _add_backbone_flags(
        parser, action="extend", nargs="+",
        help="the baseline, then others: files, folders of runs, random or random:SEED (default: tiny-vd tiny-fima)",
    )  # fmt: skip
    _add_video_flags(parser)
    _add_hop(parser)
    _add_normalize(parser)
    group = parser.add_argument_group("comparison")
    group.add_argument(
        "--name", action="extend", nargs="+", metavar="NAME", help="of the checkpoints, in their order (default: files)"
    )
    group.add_argument(
        "--measure", action="extend", nargs="+", metavar="MEASURE",
        help="such as cam, affinity or temporal (default: all that apply)",
    )  # fmt: skip
    _add_out(parser, "compare")
    parser.set_defaults(run=_run_compare)


def _add_reproduce(parser: argparse.ArgumentParser) -> None:
    from analysis.reproduction.plan import BUDGETS, METHODS

    parser.add_argument("--budget", choices=tuple(BUDGETS), default="small", help="how much to spend (default: small)")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), metavar="NAME", help="default: all six")
    parser.add_argument("--regimes", nargs="+", default=["camera"], metavar="NAME", help="default: camera")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="S", help="default: 0")
    parser.add_argument("--runs", default="runs/reproduction", metavar="DIR", help="trainings (default: %(default)s)")
    parser.add_argument("--out", default="reports/reproduction", metavar="DIR", help="the page (default: %(default)s)")
    parser.add_argument("--lanes", type=int, default=2, metavar="N", help="trainings at a time (default: 2)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of the processor, each (default: 1)")
    parser.add_argument("--device", default="cpu", help="to score on (default: cpu)")
    parser.add_argument("--no-training", action="store_true", help="only what is trained by now")
    parser.set_defaults(run=_run_reproduce)


def _run_reproduce(args: argparse.Namespace) -> int:
    from analysis.reproduction.plan import BUDGETS, plan_runs

    if args.lanes < 1 or args.threads < 1:
        raise InputError(f"--lanes and --threads must be at least 1, got {args.lanes} and {args.threads}")
    runs = plan_runs(BUDGETS[args.budget], args.runs, args.methods, args.regimes, args.seeds)
    from analysis.reproduction.run import reproduce

    page = reproduce(
        runs, args.out, lanes=args.lanes, threads=args.threads, device=args.device, training=not args.no_training,
        tell=_tell,
    )  # fmt: skip
    sys.stdout.write(f"{page}\n")
    return 0


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def settings_from(args: argparse.Namespace) -> Settings:
    """The settings among parsed flags.

    Raises:
        InputError: For a value that cannot be used.
    """
    known = {field.name for field in dataclasses.fields(Settings)}
    return Settings.from_parameters({name: value for name, value in vars(args).items() if name in known})


def _run_study(args: argparse.Namespace) -> int:
    settings = settings_from(args)
    from analysis.allocator import return_large_blocks
    from analysis.studies import open_session
    from analysis.studies import run as run_study
    from analysis.studies.base import study_folder

    return_large_blocks()
    session = open_session(settings)
    with _enough_memory(), study_folder(args.out, args.measure) as folder:
        with _progress(args.measure) as progress:
            study = run_study(args.measure, session, progress)
        files = study.save(args.out, tuple(dict.fromkeys(args.format)), into=folder)
    _print_study(study, files)
    return SOME_SKIPPED if study.skipped else 0


def _run_layers(args: argparse.Namespace) -> int:
    from analysis.layers import list_layers, print_layers
    from analysis.studies import open_session

    print_layers(list_layers(open_session(settings_from(args))), as_json=args.json)
    return 0


def _run_report(args: argparse.Namespace) -> int:
    from analysis.report import Report, make_report

    checkpoints: tuple[str | None, ...] = tuple(args.ckpt or (None,))
    args.ckpt = checkpoints[0]
    report = Report(
        settings=settings_from(args), checkpoints=checkpoints, notebooks=tuple(args.notebook),
        parameters=dict(args.parameter), out=Path(args.out), overwrite=args.overwrite,
    )  # fmt: skip
    with _progress("report") as progress:
        made = make_report(report, progress)
    sys.stdout.write(f"report: {made.index}\n")
    return SOME_SKIPPED if made.skipped else 0


def _run_compare(args: argparse.Namespace) -> int:
    checkpoints, args.ckpt = args.ckpt, None
    settings = settings_from(args)
    from analysis.allocator import return_large_blocks
    from analysis.compare import compare, comparison_folder

    return_large_blocks()
    with _enough_memory(), comparison_folder(args.out) as folder:
        with _progress("compare") as progress:
            made = compare(settings, checkpoints, names=args.name, measures=args.measure, progress=progress)
        files = made.save(args.out, tuple(args.format), into=folder)
    notes = [made.text(), ""]
    notes += [f"untrained weights: {', '.join(made.untrained)}"] if made.untrained else []
    notes += [f"left out: {measure}: {why}" for measure, why in made.left_out.items()]
    notes += [*map(str, files), *(f"skipped {video}: {reason}" for video, reason in made.skipped.items())]
    sys.stdout.write("\n".join(notes) + "\n")
    return SOME_SKIPPED if made.skipped else 0


@contextmanager
def _enough_memory() -> Iterator[None]:
    """A clip that does not fit into memory is bad input, not a bug."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "memory" not in str(error):
            raise
        raise InputError(
            f"not enough memory ({str(error).splitlines()[0][:120]}); try a smaller --size or --batch-size, "
            "or a later --layer"
        ) from None


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _print_study(study: Study, files: list[Path]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("score", "mean [95 % interval]", "chance", "videos", title=study.measure)
    for row in study.table():
        table.add_row(*row)
    console = Console(soft_wrap=True)
    console.print(table)
    if study.untrained:
        console.print("untrained weights: these numbers show the tool, not a result", highlight=False)
    if study.repeated:
        console.print(f"shorter than a clip, repeated in time: {len(study.repeated)} of the videos", highlight=False)
    for path in files:
        console.print(str(path), markup=False, highlight=False)
    for video, reason in study.skipped.items():
        console.print(f"skipped {video}: {reason}", markup=False, highlight=False)


if __name__ == "__main__":
    sys.exit(main())
