"""Small trained backbones that come with the package, so that everything shows something real without a download."""

from __future__ import annotations

from pathlib import Path

__all__ = ["SHIPPED", "shipped_path"]

SHIPPED = {
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
