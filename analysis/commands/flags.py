"""Flags that several commands share, and what their runs share: settings, progress, memory.

Importing this module imports neither torch nor matplotlib.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from analysis.settings import BOUNDARIES, DEFAULT_CKPT, Settings
from fima.checkpoints.shipped import SHIPPED
from fima.commands.flags import inputs_of
from fima.errors import InputError, lacks_memory, one_line
from fima.progress import Progress, tell

__all__ = [
    "SOME_SKIPPED",
    "add_backbone_flags",
    "add_folder_flags",
    "add_out_flag",
    "add_video_flags",
    "default_out",
    "enough_memory",
    "results",
    "settings_from",
    "show_progress",
    "tell",
]

SOME_SKIPPED = 3
"""Exit code of a data-set run that is complete but for broken videos (listed in ``skipped.csv``)."""


def add_backbone_flags(parser: argparse.ArgumentParser, default: str = DEFAULT_CKPT, *, several: str = "") -> None:
    """Flags that choose a backbone.

    Args:
        parser: of the command.
        default: what is taken without ``--ckpt``.
        several: what several checkpoints are to the command; empty where it takes one.
    """
    group = parser.add_argument_group("backbone")
    kinds = f"file, folder of a training run (its newest), {', '.join(SHIPPED)}, random or random:SEED"
    many: dict[str, Any] = {"action": "extend", "nargs": "+"} if several else {}
    what = f"{several}; each a {kinds}" if several else kinds
    group.add_argument("--ckpt", metavar="PATH", help=f"{what} (default: {default})", **many)
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


def add_video_flags(parser: argparse.ArgumentParser) -> None:
    """Flags that choose videos and clips."""
    group = parser.add_argument_group("videos")
    group.add_argument("--video", nargs="+", default=(), metavar="PATH", help="video files (default: drawn ones)")
    group.add_argument("--data", metavar="DIR", help="data set: folder, list file, or shapes:REGIME (drawn)")
    group.add_argument(
        "--split", help="split of the data set, such as test1 (default: every video; of drawn data, test)"
    )
    group.add_argument(
        "--masks",
        metavar="PATH",
        help="where objects are: folder of masks, boxes (csv), UCF101-24 or JHMDB files; auto: where the camera rests",
    )
    group.add_argument("--clips", type=int, default=1, metavar="K", help="clips per video; 1: its middle (default: 1)")
    group.add_argument("--start-seconds", type=float, metavar="S", help="start of the one clip, instead of --clips")
    group.add_argument(
        "--boundary",
        choices=BOUNDARIES,
        default="repeat",
        help="first frame of the frame difference: that of the second, or the first minus the last (default: repeat)",
    )
    group.add_argument(
        "--show", type=int, default=4, metavar="K", help="clips in the figure at most (default: %(default)s)"
    )
    group.add_argument("--batch-size", type=int, default=8, metavar="N", help="clips per forward pass (default: 8)")
    group.add_argument(
        "--seed", type=int, default=0, help="seed of all random draws: untrained weights, procedural video"
    )


def add_out_flag(parser: argparse.ArgumentParser, name: str) -> None:
    """``--out``, by default ``reports/<name>``, with the checkpoint's name if one is given, and ``--format``."""
    add_folder_flags(parser, name)
    parser.add_argument(
        "--format",
        nargs="+",
        choices=("png", "svg", "pdf"),
        default=["png"],
        help="formats of the figure (default: png)",
    )


def add_folder_flags(parser: argparse.ArgumentParser, name: str) -> None:
    """``--out`` and ``--overwrite``."""
    parser.add_argument(
        "--out", metavar="DIR", help=f"where to write (default: reports/{name}, with the names of given checkpoints)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the results of another run that are there")
    parser.set_defaults(out_name=name)


def results(
    args: argparse.Namespace,
    kind: str,
    settings: Mapping[str, Any],
    names: Iterable[str],
    checkpoints: Sequence[str] | None = None,
) -> AbstractContextManager[Path]:
    """The scratch folder of a command's results (`analysis.output.output_folder`); sets ``args.out`` where not given.

    Args:
        args: The parsed flags.
        kind: Name of the results.
        settings: What they depend on.
        names: What will be written for sure.
        checkpoints: As given to ``--ckpt``, if any.
    """
    from analysis.output import output_folder

    args.out = args.out or default_out(args.out_name, checkpoints)
    inputs = [*inputs_of(args), *(checkpoints or ())]
    return output_folder(args.out, kind, settings, names=names, inputs=inputs, overwrite=args.overwrite)


def default_out(name: str, checkpoints: Sequence[str] | None) -> str:
    """``reports/<name>``, and the names of the checkpoints that were asked for, so that none replaces another's."""
    if not checkpoints:
        return f"reports/{name}"
    from analysis.inputs.backbone.checkpoints import short_names

    words = [re.sub(r"[^A-Za-z0-9.]+", "-", word).strip("-.") for word in short_names(list(checkpoints))]
    return f"reports/{'-'.join([name, *words])[:100]}"


def settings_from(args: argparse.Namespace) -> Settings:
    """The settings among parsed flags.

    Raises:
        InputError: For a value that cannot be used.
    """
    known = {field.name for field in dataclasses.fields(Settings)}
    settings = Settings.from_parameters({name: value for name, value in vars(args).items() if name in known})
    if settings.dense > 1:
        tell(f"--dense {settings.dense}: {settings.dense**2} passes for every map instead of one")
    return settings


@contextmanager
def enough_memory() -> Iterator[None]:
    """A clip that does not fit into memory is bad input, not a bug."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        raise InputError(
            f"not enough memory ({one_line(str(error))[:120]}); try a smaller --size or --batch-size, "
            "or a later --layer"
        ) from None


def show_progress(what: str) -> Progress:
    """A context that shows how far a command has come; call it with (done, total)."""
    return Progress(what)
