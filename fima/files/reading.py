"""Files that anyone may have written, read within limits: one loader for each kind.

What is read here may be damaged, hostile or no file at all. Whatever it is, the outcome is its content or one
`InputError` that starts with the path: never a hang, a traceback, code that runs, or memory without bound.
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
import stat
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fima.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "check_regular",
    "hole_bytes",
    "parse_json",
    "parse_yaml",
    "read_arrays",
    "read_json",
    "read_lines",
    "read_rows",
    "read_text",
    "read_yaml",
    "whole_number",
]

MAX_JSON, MAX_YAML, MAX_LINE, MAX_ARRAYS = 1 << 28, 1 << 20, 1 << 20, 1 << 31
"""Bytes that are read of such a file, of a line, and that arrays may take in memory."""
MAX_DEPTH = 64
"""Of lists in lists."""
MAX_NODES = 100_000
"""Values of a YAML file in which every alias is written out."""

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


def check_regular(path: str | Path, expected: str = "a file", error: type[InputError] = InputError) -> os.stat_result:
    """How a file looks, if it is one: not a folder, device or pipe, which could block or never end.

    Args:
        path: the file.
        expected: what the message says was expected.
        error: what to raise.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: as ``error``, if it is something else, or its name or links lead nowhere.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 -- also of names that no Path could be made of
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except (OSError, ValueError) as reason:  # a loop of links, a name too long or with a null in it, no permission
        words = getattr(reason, "strerror", None) or str(reason)
        raise error(f"{str(path)!r}: cannot be opened ({words})") from None
    if not stat.S_ISREG(status.st_mode):
        found = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise error(f"{path}: is {found}, expected {expected}")
    return status


def hole_bytes(path: str | Path) -> int:
    """Bytes of a file that were never written: an unfinished download, or a size that is only declared."""
    if not hasattr(os, "SEEK_HOLE"):
        return 0
    handle = os.open(path, os.O_RDONLY)
    try:
        size, at, holes = os.fstat(handle).st_size, 0, 0
        for _ in range(1000):
            begins = os.lseek(handle, at, os.SEEK_HOLE)
            if begins >= size:
                break
            at = os.lseek(handle, begins, os.SEEK_DATA)
            holes += at - begins
        return holes
    except OSError:  # no data after the last hole, or a file system that does not tell
        return holes + (size - begins if at <= begins else 0)
    finally:
        os.close(handle)


def read_text(path: str | Path, *, most: int, error: type[InputError] = InputError) -> str:
    """A text file in UTF-8, with or without a byte order mark.

    Args:
        path: the file.
        most: bytes that it may have.
        error: what to raise.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: as ``error``, if it is no text, cannot be read or is too large.
    """
    size = check_regular(path, error=error).st_size
    if size > most:
        raise error(f"{path}: has {size} bytes, expected at most {most}")
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise error(f"{path}: is not a text file (UTF-8)") from None
    except OSError as reason:
        raise error(f"{path}: cannot be read ({reason.strerror})") from None


def read_json(path: str | Path) -> Any:
    """What a JSON file holds.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is none, or too large, nested too deeply, or has whole numbers beyond 64 bits.
    """
    return parse_json(read_text(path, most=MAX_JSON), path)


def parse_json(text: str | bytes, name: object) -> Any:
    """What a JSON text holds; ``name`` says where it is from, for messages.

    Raises:
        InputError: as `read_json`.
    """
    try:
        value = json.loads(text, parse_int=_whole)
        if not _is_shallow(value, MAX_DEPTH):
            raise RecursionError
    except RecursionError:
        raise InputError(f"{name}: is nested more than {MAX_DEPTH} deep") from None
    except ValueError as error:
        raise InputError(f"{name}: is not a JSON file ({_line(error)})") from None
    return value


def read_yaml(path: str | Path) -> Any:
    """What a YAML file holds: plain values.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is none, has a key twice, a date or numbers beyond 64 bits, is too large or nested too deeply.
    """
    return parse_yaml(read_text(path, most=MAX_YAML), path)


def parse_yaml(text: str, name: object) -> Any:
    """What a YAML text holds; ``name`` says where it is from, for messages.

    Raises:
        InputError: as `read_yaml`.
    """
    import yaml

    from fima.files.yaml_reading import load

    try:
        return load(text, max_depth=MAX_DEPTH, max_nodes=MAX_NODES)
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{name}: is not YAML: {_line(error)}") from None


def read_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """The lines of a text that are not blank, stripped, with their numbers from 1; one by one, whatever its size.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is no text, or a line is too long.
    """
    check_regular(path)
    try:
        with Path(path).open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_LINE + 1), b""), 1):
                if len(line) > MAX_LINE:
                    raise InputError(f"{path}:{number}: has more than {MAX_LINE} bytes")
                # Only at line feeds, unlike str.splitlines: file names may hold what else ends a line.
                if text := line.decode("utf-8-sig" if number == 1 else "utf-8").strip():
                    yield number, text
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not a text file (UTF-8)") from None
    except OSError as reason:
        raise InputError(f"{path}: cannot be read ({reason.strerror})") from None


def read_rows(path: str | Path, *, skip_spaces: bool = False) -> Iterator[tuple[int, list[str]]]:
    """The rows of a comma-separated file, each with the number of its last line; one by one, whatever its size.

    Args:
        path: the file.
        skip_spaces: leave out those after a comma.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is none, or a field is too long.
    """
    check_regular(path)
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file, skipinitialspace=skip_spaces)
            for row in rows:
                yield rows.line_num, row
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a csv table ({_line(error)})") from None
    except OSError as reason:
        raise InputError(f"{path}: cannot be read ({reason.strerror})") from None


def read_arrays(path: str | Path, names: Collection[str] = (), *, most: int = MAX_ARRAYS) -> dict[str, NDArray[Any]]:
    """Arrays of an npz file.

    Args:
        path: the file.
        names: of the arrays, those that are not there are left out; none: all.
        most: bytes that they may take in memory; asked before they are unpacked.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is none, damaged, or too large.
    """
    import numpy as np

    check_regular(path)
    try:
        with zipfile.ZipFile(path) as file:
            wanted = [name for name in file.namelist() if not names or name.removesuffix(".npy") in names]
            declared = sum(_declared_bytes(file, name) for name in wanted)
        if declared > most:
            raise InputError(f"{path}: unpacks to {declared} bytes, expected at most {most}")
        with np.load(path, allow_pickle=False) as stored:
            return {name.removesuffix(".npy"): stored[name.removesuffix(".npy")] for name in wanted}
    except InputError:
        raise
    except Exception as error:  # a damaged file may raise anything
        raise InputError(f"{path}: cannot be read as an npz file ({_line(error)})") from None


def _declared_bytes(archive: zipfile.ZipFile, name: str) -> int:
    """Bytes of an array in memory, as its own header says: the archive's may lie."""
    import numpy as np

    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    return math.prod((dtype.itemsize, *map(abs, shape)))


def whole_number(text: str) -> int | None:
    """A whole number of at most 18 of the digits 0 to 9; None for any other text, such as ² or nan."""
    return int(text) if _WHOLE.fullmatch(text) else None


def _whole(text: str) -> int:
    if whole_number(text) is None and not (len(text) < 21 and -(2**63) <= int(text) < 2**64):
        raise ValueError(f"the number {text[:20]}… has more than 64 bits")
    return int(text)


def _is_shallow(value: Any, levels: int) -> bool:
    if isinstance(value, dict | list):
        inside = value.values() if isinstance(value, dict) else value
        return levels > 0 and all(_is_shallow(item, levels - 1) for item in inside)
    return True


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
