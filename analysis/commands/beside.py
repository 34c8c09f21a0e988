"""Further checkpoints in the same axes: ``--beside`` of ``--layers``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fima.errors import InputError

if TYPE_CHECKING:
    from analysis.studies import Session, Settings, Study

__all__ = ["add_beside_flag", "open_beside", "save_beside"]


def add_beside_flag(parser: argparse.ArgumentParser) -> None:
    """``--beside``."""
    parser.add_argument(
        "--beside", nargs="+", default=[], metavar="CKPT", help="further checkpoints, in the same axes (with --layers)"
    )


def open_beside(settings: Settings, beside: list[str]) -> dict[str, Session]:
    """Sessions of the checkpoint of the settings and of further ones, by short names.

    Args:
        settings: What to look at and how.
        beside: Further checkpoints.

    Raises:
        InputError: For further ones without ``--layers``, or what cannot be opened.
    """
    from analysis.inputs.backbone.checkpoints import short_names
    from analysis.studies import open_session

    if beside and settings.layers is None:
        raise InputError(
            "--beside: puts checkpoints into the same axes of --layers; otherwise see fima-analyze compare"
        )
    names = short_names([settings.checkpoint, *beside])
    every = [settings, *(replace(settings, ckpt=ckpt) for ckpt in beside)]
    return {name: open_session(one) for name, one in zip(names, every, strict=True)}


def save_beside(studies: Mapping[str, Study], out: str, formats: tuple[str, ...], folder: Path) -> list[Path]:
    """Write the first study, the others into folders of their names, and the figure of all.

    Args:
        studies: Of ``--layers``, by the names of the checkpoints.
        out: Where the folder will be.
        formats: Of the figure.
        folder: To write to.
    """
    from analysis.plotting.common.films import folder_names
    from analysis.plotting.layers import draw_depth

    first, *others = studies
    files = studies[first].save(out, formats, into=folder, figure=draw_depth(studies) if others else None)
    for name, of in zip(folder_names(others), others, strict=True):
        (folder / name).mkdir()
        studies[of].save(Path(out) / name, formats, into=folder / name)
    return files
