"""``fima-analyze explore``: a page to move over, patch by patch."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.commands.flags import (
    SOME_SKIPPED,
    add_backbone_flags,
    add_folder_flags,
    add_video_flags,
    enough_memory,
    results,
    settings_from,
    show_progress,
)
from analysis.commands.own_flags import add_own_flags
from fima.commands.flags import decisive

if TYPE_CHECKING:
    from analysis.settings import Settings
    from analysis.studies import Session

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "a page to move over: the affinity of an RGB patch to the motion of every place, for several checkpoints"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    add_backbone_flags(parser, several="one or several")
    add_video_flags(parser)
    add_own_flags(parser, ["space"])
    parser.add_argument(
        "--name", action="extend", nargs="+", metavar="NAME", help="of the checkpoints, in their order (default: files)"
    )
    add_folder_flags(parser, "explore")


def run(args: argparse.Namespace) -> int:
    """Measure the clips, and write ``index.html`` and ``explore.npz``."""
    checkpoints, args.ckpt = args.ckpt or [], None
    settings = settings_from(args)
    from analysis.inputs.allocator import return_large_blocks
    from analysis.output import write_npz
    from analysis.pages.environment import write_page
    from analysis.pages.explorer import explore_sessions, explorer_page, open_sessions

    if args.data:
        return_large_blocks()
    sessions = open_sessions(settings, checkpoints, args.name)
    asked = decisive(args) | {"ckpt": checkpoints}
    with enough_memory(), results(args, "explore", asked, ("index.html", "explore.npz"), checkpoints) as folder:
        with show_progress("explore") as progress:
            explored = explore_sessions(sessions, progress)
        page = explorer_page(
            explored.clips,
            title=f"Affinity explorer: {' – '.join(sessions)}",
            about=_about(settings, sessions),
            warnings=_warnings(sessions, explored.skipped),
            command=_command(settings, checkpoints, args.name),
        )
        write_page(folder / "index.html", page)
        write_npz(folder / "explore.npz", explored.arrays())
    lines = [str(Path(args.out) / name) for name in ("index.html", "explore.npz")]
    lines += [f"skipped {video}: {reason}" for video, reason in explored.skipped.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return SOME_SKIPPED if explored.skipped else 0


def _about(settings: Settings, sessions: dict[str, Session]) -> str:
    session = next(iter(sessions.values()))
    split = f" ({settings.split})" if settings.split else ""
    source = f"{settings.data}{split}" if settings.data else "videos" if settings.video else "a drawn video"
    spec = session.spec
    return (
        "Is a patch of the picture alike, in the features, to the motion at the same place, or to another's? "
        f"{source} · {session.loaded.arch}, layer {settings.layer or 'output'} · {spec.num_frames} frames, "
        f"stride {spec.frame_stride}, {spec.size} px"
    )


def _warnings(sessions: dict[str, Session], skipped: dict[str, str]) -> list[str]:
    untrained = [name for name, session in sessions.items() if not session.loaded.trained]
    lines = [f"Untrained weights: {', '.join(untrained)}."] if untrained else []
    if skipped:
        names = ", ".join(list(skipped)[:20])
        lines.append(f"Could not be read and left out: {names}{' …' if len(skipped) > 20 else ''}")
    return lines


def _command(settings: Settings, checkpoints: Sequence[str], names: Sequence[str] | None) -> str:
    words = ["--ckpt", *checkpoints] if checkpoints else []
    words += ["--name", *names] if names else []
    return " ".join(filter(None, [replace(settings, ckpt=None).command("explore"), shlex.join(words)]))
