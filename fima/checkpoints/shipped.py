"""Small trained backbones that come with the package, so that everything shows something real without a download."""

from __future__ import annotations

from pathlib import Path

__all__ = ["SHIPPED", "checkpoint_name", "shipped_path"]

SHIPPED = {
    "small-fima": "small, FIMA with L_move, trained on worlds in natural looks: for real clips",
    "tiny-vd": "tiny, MoCo + L_VD, trained on moving shapes",
    "tiny-fima": "tiny, FIMA, trained on moving shapes",
}
"""Name → what it is; ``fima/weights/README.md`` is their model card."""

_FOLDER = Path(__file__).resolve().parent.parent / "weights"


def shipped_path(name: str | Path) -> Path | None:
    """The file of a shipped checkpoint; None if this is no name of one, or a file of that name is there."""
    if str(name) not in SHIPPED or Path(name).exists():
        return None
    return _FOLDER / f"{name}.ckpt"


def checkpoint_name(path: str | Path) -> str:
    """How a result names a checkpoint: its path; a shipped one by its name, as it is given to ``--ckpt``.

    Where the package is installed says nothing about a result, and is another place on each machine.
    """
    *folders, file = Path(path).parts or ("",)
    name = file.removesuffix(".ckpt")
    shipped = name in SHIPPED and file != name and tuple(folders[-2:]) == ("fima", "weights")
    return name if shipped else str(path)
