"""``fima-analyze figure``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from analysis.commands.flags import (
    SOME_SKIPPED,
    add_backbone_flags,
    add_video_flags,
    default_out,
    enough_memory,
    settings_from,
    show_progress,
)
from analysis.commands.own_flags import add_own_flags
from analysis.inputs.backbone.checkpoints import DEFAULT_CHECKPOINTS
from analysis.plotting.paper import FIGURES, FORMATS
from analysis.plotting.paper.widths import JOURNALS
from analysis.settings import NORMALIZATIONS
from fima.commands.flags import decisive, inputs_of
from fima.errors import InputError

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "one of the paper's figures (3, 4, 5a, 5b) for a journal's column, with a caption and its numbers"

_SHOWN = {"3": 4, "4": 1}
_NORMALIZED = {"4": "clip"}  # keeps the moments of a strip comparable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    what = "; ".join(f"{name}: {shows}" for name, shows in FIGURES.items())
    parser.add_argument("figure", choices=tuple(FIGURES), metavar="FIGURE", help=what)
    add_backbone_flags(parser, " ".join(DEFAULT_CHECKPOINTS), several="the baseline, then others")
    add_video_flags(parser)
    add_own_flags(parser, ["hop"])
    parser.add_argument(
        "--normalize", choices=NORMALIZATIONS, help="scale maps over each frame, or the clip (default: frame; 4: clip)"
    )
    for action in parser._actions:
        if action.dest == "show":
            action.default, action.help = None, "clips in the figure at most (default: 4; figure 4: 1)"
    group = parser.add_argument_group("layout")
    group.add_argument(
        "--name", action="extend", nargs="+", metavar="NAME", help="of the checkpoints, in their order (default: files)"
    )
    group.add_argument("--journal", choices=tuple(JOURNALS), default="cvpr", help="whose widths (default: cvpr)")
    group.add_argument("--width", default="text", metavar="WIDTH", help="column, text or millimeters (default: text)")
    group.add_argument("--format", nargs="+", choices=FORMATS, help="of the figure (default: all, or --out's ending)")
    group.add_argument("--overwrite", action="store_true", help="replace the figure of another run that is there")
    group.add_argument(
        "--out", metavar="PATH", help="folder, or file ending in pdf, svg or png (default: reports/figure-FIGURE)"
    )


def run(args: argparse.Namespace) -> int:
    """Make the figure, and save it with its caption and numbers."""
    checkpoints, args.ckpt = args.ckpt, None
    args.show = _SHOWN.get(args.figure, 4) if args.show is None else args.show
    args.normalize = args.normalize or _NORMALIZED.get(args.figure, "frame")
    settings = settings_from(args)
    folder, stem, formats = _target(args, checkpoints)
    from analysis.compare.paper_figures import make_figure
    from analysis.inputs.allocator import return_large_blocks
    from analysis.output import output_folder

    if args.data:
        return_large_blocks()
    asked = decisive(args) | {"ckpt": checkpoints}
    names = [f"{stem}.{ending}" for ending in (*formats, "npz", "txt", "tex", "json")]
    inputs = [*inputs_of(args), *(checkpoints or ())]
    with (
        enough_memory(),
        output_folder(folder, stem, asked, names=names, inputs=inputs, overwrite=args.overwrite) as scratch,
    ):
        with show_progress(f"figure {args.figure}") as progress:
            made = make_figure(
                args.figure, settings, checkpoints, names=args.name, width=args.width, journal=args.journal,
                progress=progress,
            )  # fmt: skip
        files = made.save(scratch, stem, formats)
    notes = [made.drawn.caption, "", *(str(folder / name) for name in files)]
    notes += [f"skipped {video}: {reason}" for video, reason in made.skipped.items()]
    sys.stdout.write("\n".join(notes) + "\n")
    return SOME_SKIPPED if made.skipped else 0


def _target(args: argparse.Namespace, checkpoints: list[str] | None) -> tuple[Path, str, tuple[str, ...]]:
    """Folder, stem and formats that ``--out`` and ``--format`` ask for."""
    out = Path(args.out or default_out(f"figure-{args.figure}", checkpoints))
    ending = out.suffix[1:].lower()
    if ending in FORMATS and not out.is_dir():
        return out.parent, out.stem, tuple(dict.fromkeys((ending, *(args.format or ()))))
    if out.suffix and not out.exists() and len(ending) in (3, 4) and ending.isalpha():
        raise InputError(f"--out {out}: must be a folder, or a file ending in {', '.join(FORMATS)}, found .{ending}")
    return out, f"figure-{args.figure}", tuple(args.format or FORMATS)
