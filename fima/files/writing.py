"""Files that appear whole or not at all: the one way to write, whatever is written.

A file is written under a hidden name in its own folder and renamed at the end, so that readers, other writers and a
kill at any moment see the old file or the new one. What a killed process left is removed by the next one that writes
into the folder.
"""

from __future__ import annotations

import csv
import errno
import itertools
import json
import math
import os
import platform
import re
import shutil
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fima.errors import InputError, WriteError

__all__ = [
    "PARTIAL",
    "append_text",
    "is_abandoned",
    "make_folder",
    "partial_name",
    "remove_empty",
    "scratch_folder",
    "sweep",
    "to_plain",
    "whole_file",
    "write_csv",
    "write_json",
    "write_text",
]

PARTIAL = re.compile(r"\.partial-([0-9a-f]{8})-(\d+)-(\d+)(\..*)?")
"""Hidden names of what is being written: machine, process and number."""


def _machine(proc: Path = Path("/proc")) -> str:
    """A name of where process ids are unique: containers may share a host's name and a folder, but no processes."""
    parts = [platform.node()]
    with suppress(OSError):
        parts.append((proc / "sys/kernel/random/boot_id").read_text())
    with suppress(OSError):
        parts.append(str((proc / "self/ns/pid").stat().st_ino))
    return f"{zlib.crc32(' '.join(parts).encode()):08x}"


_MACHINE = _machine()
_NUMBERS = itertools.count()
_OPEN: set[str] = set()
_SWEPT: set[Path] = set()
_NO_ROOM = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_A_DAY = 24 * 3600.0


@contextmanager
def whole_file(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """A hidden file with the same suffix beside ``path`` that takes its name once the block ends well.

    Args:
        path: the file; its folder is made if missing. A file that is there is replaced.
        durable: wait until the content is on the disk, else a power cut could leave the new name on an empty file.

    Yields:
        Where to write.

    Raises:
        WriteError: if the system refuses the file, such as on a full disk; names it.
    """
    partial = path.with_name(partial_name(path.suffix))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        _OPEN.add(partial.name)
        try:
            yield partial
            if durable:
                _to_disk(partial)
            partial.replace(path)
        finally:
            _OPEN.discard(partial.name)
            with suppress(OSError):
                partial.unlink()
    except OSError as error:
        ours = error.filename in (str(path.parent), str(partial))
        if not ours and (error.filename is not None or error.errno not in _NO_ROOM):
            raise  # of whoever gives the content
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise WriteError(f"{path}: cannot be written ({reason})") from error


def write_text(path: Path, text: str, *, errors: str = "backslashreplace", durable: bool = False) -> None:
    """A UTF-8 text; by default, what is no text (stray bytes of a file's name) is escaped."""
    with whole_file(path, durable=durable) as partial, partial.open("w", encoding="utf-8", errors=errors) as file:
        file.write(text)


def write_json(path: Path, content: Any, *, indent: int | None = 2) -> None:
    """A JSON file, which often is what says that a result is complete."""
    text = json.dumps(to_plain(content), indent=indent, ensure_ascii=False, allow_nan=False)
    write_text(path, f"{text}\n", durable=True)


def to_plain(value: Any) -> Any:
    """Numpy scalars and arrays, tuples and paths as what JSON has; not-a-number as None."""
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if hasattr(value, "tolist"):  # numpy's, which is not imported for this
        return to_plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value


def write_csv(
    path: Path,
    header: Iterable[str],
    rows: Iterable[Iterable[object]] | Mapping[str, object],
    *,
    errors: str = "backslashreplace",
) -> None:
    """A .csv file with a header; of a mapping, a row for each item."""
    with whole_file(path) as partial, partial.open("w", encoding="utf-8", errors=errors, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows.items() if isinstance(rows, Mapping) else rows)


def make_folder(target: Path, flag: str = "--out") -> list[Path]:
    """Make a folder with its parents.

    Returns:
        What was made, innermost first, for `remove_empty`.

    Raises:
        InputError: if it cannot be made or written to; names the flag.
    """
    missing = [path for path in (target, *target.parents) if not path.exists()]
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{flag} {target}: cannot be made ({error.strerror})") from None
    return missing


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders, the first one first, as far as they are empty."""
    for folder in folders:
        try:
            folder.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A hidden folder that is gone when the block ends, unless it was given another name there."""
    scratch = parent / partial_name()
    _OPEN.add(scratch.name)
    try:
        scratch.mkdir(parents=True)
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        _OPEN.discard(scratch.name)


def append_text(path: Path, text: str) -> None:
    """Add to a file, at once.

    Raises:
        WriteError: if the system refuses it; names the file.
    """
    try:
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        raise WriteError(f"{path}: cannot be written ({error.strerror})") from error


def partial_name(suffix: str = "") -> str:
    """A hidden name that no other writer has, and that tells whose it is."""
    return f".partial-{_MACHINE}-{os.getpid()}-{next(_NUMBERS)}{suffix}"


def sweep(folder: Path) -> None:
    """Remove, once for each process, the files and folders that dead processes left half-written in a folder."""
    if (place := folder.resolve()) in _SWEPT:
        return
    _SWEPT.add(place)
    for path in [Path(entry.path) for entry in os.scandir(folder) if entry.name.startswith(".partial-")]:
        if not is_abandoned(path):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def is_abandoned(path: Path) -> bool:
    """Whether a hidden file or folder is of a process that is no more; of another machine, after a day."""
    match = PARTIAL.fullmatch(path.name)
    if match is None:
        return False
    machine, process = match[1], int(match[2])
    if machine != _MACHINE:
        with suppress(OSError):
            return time.time() - path.stat().st_mtime > _A_DAY
        return False
    return path.name not in _OPEN if process == os.getpid() else not _is_alive(process)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
