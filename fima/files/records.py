"""What a folder of results says of itself: which files a run wrote, for which settings; read whatever it holds."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from fima.files.reading import read_json

__all__ = ["RECORDS", "digest", "own_table", "read_records"]

RECORDS = ".fima-results.json"
"""The hidden file of records inside a folder of results."""
_END = 1 << 20


def digest(path: Path) -> str:
    """Size and a hash of the first and the last MiB; the end of a checkpoint has the checksums of all of it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        content = hashlib.sha256(file.read(_END))
        file.seek(max(size - _END, _END if size > _END else size))
        content.update(file.read())
    return f"{size}:{content.hexdigest()}"


def read_records(folder: Path) -> dict[str, Any]:
    """Kind → its settings and files; what is damaged is left out."""
    try:
        results = read_json(folder / RECORDS)["results"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {kind: record for kind, record in results if _is_record(record)}


def _is_record(record: Any) -> bool:
    good = isinstance(record, dict) and isinstance(record.get("settings"), dict)
    files = record.get("files") if good else None
    return isinstance(files, dict) and all(isinstance(own, list) for own in files.values())


def own_table(path: Path) -> list[str] | None:
    """The files that a .json file lists beside itself, if it says by which of our commands it was written."""
    try:
        content = read_json(path)
        command = content.get("command") or content["provenance"]["command"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    ours = " ".join(command if isinstance(command, list) else [str(command)]).startswith("fima")
    return [name for name in content.get("films", ()) if isinstance(name, str)] if ours else None
