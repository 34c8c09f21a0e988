"""``fima-analyze cam``, ``affinity``, … : one measure of one backbone, with figure, arrays and scores."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.commands.beside import add_beside_flag, open_beside, save_beside
from analysis.commands.flags import (
    SOME_SKIPPED,
    add_backbone_flags,
    add_out_flag,
    add_video_flags,
    enough_memory,
    results,
    settings_from,
    show_progress,
)
from analysis.commands.own_flags import add_own_flags
from analysis.measures.registry import MEASURES
from analysis.settings import DEFAULT_CKPT

if TYPE_CHECKING:
    from analysis.studies import Study

__all__ = ["add_arguments", "print_study", "run"]


def add_arguments(parser: argparse.ArgumentParser, measure: str) -> None:
    """The flags of one measure."""
    own = MEASURES[measure].default_backbone
    add_backbone_flags(parser, own.get("ckpt") or (f"untrained {own['arch']}" if own else DEFAULT_CKPT))
    add_video_flags(parser)
    add_own_flags(parser, (*MEASURES[measure].settings, "twin"))
    if "layers" in MEASURES[measure].settings:
        add_beside_flag(parser)
    add_out_flag(parser, measure)
    parser.set_defaults(measure=measure)


def run(args: argparse.Namespace) -> int:
    """Run the measure ``args.measure`` and save it."""
    settings = settings_from(args).for_measure(args.measure)
    from analysis.inputs.allocator import return_large_blocks
    from analysis.inputs.video.truth import mask_source
    from analysis.studies import cost
    from analysis.studies import run as run_study
    from analysis.studies.common.files import study_identity, study_names

    if settings.data:
        return_large_blocks()
    beside = vars(args).get("beside", [])
    sessions = open_beside(settings, beside)
    session = next(iter(sessions.values()))
    if settings.masks is not None:  # also of a measure that does not ask for them
        mask_source(settings.masks, session.videos)
    identity = study_identity(session.settings.decisive(), session.loaded.sha256)
    identity |= {"beside": [s.loaded.sha256 or name for name, s in list(sessions.items())[1:]]} if beside else {}
    args.out_name, stem = (
        (args.measure, args.measure) if settings.layers is None else (f"{args.measure}-layers", "layers")
    )
    names = study_names(stem, args.format)
    with enough_memory(), results(args, args.measure, identity, names, args.ckpt and [args.ckpt]) as folder:
        with show_progress(args.measure) as progress:
            studies = {}
            for name, one in sessions.items():
                if said := cost(args.measure, one):
                    progress.tell(f"{args.measure}: {said}")
                studies[name] = run_study(args.measure, one, progress)
        files = save_beside(studies, args.out, tuple(dict.fromkeys(args.format)), folder)
    study = next(iter(studies.values()))
    print_study(study, files)
    return SOME_SKIPPED if study.skipped else 0


def print_study(study: Study, files: list[Path]) -> None:
    """The scores as a table, then notes and files."""
    from rich.console import Console
    from rich.table import Table

    from analysis.plotting.common.fonts import missing_letters

    table = Table(*study.heads, title=study.measure)
    for row in study.table():
        table.add_row(*row)
    console = Console(soft_wrap=True)
    console.print(table)
    if study.untrained:
        console.print("untrained weights: these numbers show the tool, not a result", highlight=False)
    for note in study.notes():
        console.print(note, markup=False, highlight=False)
    names = " ".join([str(study.provenance["checkpoint"]["path"]), *study.video_scores["video_id"]])
    if letters := missing_letters(names):
        console.print(f"boxes in the figure: no font here has the letters {letters[:20]}", markup=False)
    for path in files:
        console.print(str(path), markup=False, highlight=False)
    for video, reason in study.skipped.items():
        console.print(f"skipped {video}: {reason}", markup=False, highlight=False)
