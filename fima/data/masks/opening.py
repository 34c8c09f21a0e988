"""Opening a source of masks: which layout it has."""

from __future__ import annotations

from pathlib import Path

from fima.data.masks.automatic import AutomaticMasks
from fima.data.masks.boxes import COLUMNS, read_table, read_tubes
from fima.data.masks.folder import MaskFolder, holds_masks
from fima.data.masks.puppets import PUPPET_FILE, PuppetMasks
from fima.data.masks.source import MaskSource
from fima.errors import InputError

__all__ = ["open_masks"]

AUTOMATIC = "auto"
_UNDERSTOOD = (
    "a folder of masks by video id (<id>.npz, <id>.mp4, .mkv, .avi or .webm, or <id>/ with numbered png pictures), "
    f"JHMDB's folder puppet_mask/ (Class/video/{PUPPET_FILE}), UCF101v2-GT.pkl or JHMDB-GT.pkl, "
    f"or a csv with the columns {','.join(COLUMNS)}"
)


def open_masks(path: str | Path) -> MaskSource:
    """Finds out how masks are laid out.

    In a folder that several layouts fit, the outlines of JHMDB's puppets come before the boxes of a ``*-GT.pkl``, and
    these before anything else.

    Args:
        path: a folder or a file:

            - a folder of masks by video id: ``<id>.npz`` with ``masks``, ``(T, H, W)`` bool or uint8, or
              ``masks_packed`` (`numpy.packbits` along the last axis) and ``shape``; ``<id>.mp4``, ``.mkv``, ``.avi`` or
              ``.webm``, an object where luma exceeds 127; ``<id>/`` with numbered png pictures, an object where not
              black, as DAVIS has them;
            - JHMDB's ``puppet_mask``, or the folder that it is in;
            - ``UCF101v2-GT.pkl`` or ``JHMDB-GT.pkl``, or the folder that it is in: tubes of boxes; no code in it runs;
            - a csv with the columns ``video,frame,x1,y1,x2,y2``: frames from 0, pixels of the video;
            - or "auto", no file: what differs from the median over time, where the camera rests (`AutomaticMasks`).

    Returns:
        The source; annotations of one file are read now, others when they are asked for.

    Raises:
        FileNotFoundError: if there is no such path.
        InputError: if no layout fits, or the file is broken; the message starts with the path.
    """
    path = Path(path)
    if not path.exists():
        if str(path) == AUTOMATIC:
            return AutomaticMasks()
        raise FileNotFoundError(f"{path}: no such file or folder of masks")
    if path.is_dir():
        return _open_folder(path)
    if path.suffix.lower() == ".pkl":
        return read_tubes(path)
    if path.suffix.lower() == ".csv":
        return read_table(path)
    raise InputError(f"{path}: is none of the layouts of masks; expected {_UNDERSTOOD}")


def _open_folder(path: Path) -> MaskSource:
    for root in (path / "puppet_mask", path):
        if any(root.glob(f"*/*/{PUPPET_FILE}")):
            return PuppetMasks(root)
    tubes = sorted(path.glob("*-GT.pkl"))
    if len(tubes) > 1:
        raise InputError(f"{path}: holds {tubes[0].name} and {tubes[1].name}; say which")
    if tubes:
        return read_tubes(tubes[0])
    if holds_masks(path):
        return MaskFolder(path)
    names = sorted(entry.name for entry in path.iterdir())
    found = ", ".join(names[:5]) + (", …" if len(names) > 5 else "") or "nothing"
    raise InputError(f"{path}: holds no masks; expected {_UNDERSTOOD}; found {found}")
