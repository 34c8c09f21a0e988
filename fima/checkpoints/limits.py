"""What a checkpoint may hold before and after it is unpickled, so that a small file costs little.

``torch.save`` writes a zip archive whose entries are not compressed: what is read is no larger than the file. Views are
the other way to declare much with little: a tensor may repeat one number a billion times.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fima.errors import CheckpointError
from fima.files.reading import check_regular

__all__ = ["check_archive", "check_values"]

_MAX_PICKLE = 1 << 28  # bytes of the pickle in an archive, beside its tensors
_MAX_KEY = 300  # letters
_MAX_VALUES = 2_000_000
_MAX_DEPTH = 64
_SLACK = 1 << 24  # bytes that views may show beyond what is stored


def check_archive(path: Path) -> None:
    """Refuses what ``torch.save`` does not write, and what unpacks to more than the file holds.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: in one line that starts with the path.
    """
    try:
        size = check_regular(path, "a checkpoint file", CheckpointError).st_size
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such checkpoint") from None
    if not size:
        raise CheckpointError(f"{path}: is empty")
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except Exception as error:  # a damaged archive may raise anything
        raise CheckpointError(f"{path}: not a PyTorch checkpoint, or a damaged one ({error})") from None
    names = {entry.filename.rpartition("/")[2] for entry in entries}
    if "constants.pkl" in names:
        raise CheckpointError(
            f"{path}: is a TorchScript program, which holds code; load it with torch.jit.load where it was made, and "
            "save its state_dict()"
        )
    pickles = sum(entry.file_size for entry in entries if entry.filename.endswith("data.pkl"))
    declared = sum(entry.file_size for entry in entries)
    if any(entry.compress_type for entry in entries) or declared > size or pickles > _MAX_PICKLE:
        raise CheckpointError(
            f"{path}: its {size} bytes unpack to {declared}, in an archive that torch.save does not write"
        )


def check_values(content: Any, path: Path) -> None:
    """Refuses tensors that no backbone is made of, and names and structures without end.

    Raises:
        CheckpointError: in one line that starts with the path and names the entry.
    """
    stored: dict[int, int] = {}
    shown = 0
    for number, (key, value) in enumerate(_walk(content, "", _MAX_DEPTH)):
        if number > _MAX_VALUES:
            raise CheckpointError(f"{path}: holds more than {_MAX_VALUES} values")
        if len(key) > _MAX_KEY:
            raise CheckpointError(f"{path}: has a name of {len(key)} letters: {key[:40]}…")
        if not isinstance(value, Tensor):
            if value is _TOO_DEEP:
                raise CheckpointError(f"{path}: {key} is nested more than {_MAX_DEPTH} deep")
            continue
        if kind := _strange(value):
            raise CheckpointError(f"{path}: {key} is a {kind} tensor, expected plain numbers in memory")
        storage = value.untyped_storage()
        stored[storage.data_ptr()] = storage.nbytes()
        shown += value.numel() * value.element_size()
        if value.numel() * value.element_size() > storage.nbytes() + _SLACK:
            raise CheckpointError(f"{path}: {key} shows {tuple(value.shape)} of {storage.nbytes()} stored bytes")
    if shown > 64 * (sum(stored.values()) + _SLACK):
        raise CheckpointError(f"{path}: its tensors show {shown} bytes, many times what is stored")


_TOO_DEEP = object()


def _walk(value: Any, key: str, levels: int) -> Iterator[tuple[str, Any]]:
    """Every value with its dotted name; a module counts as one."""
    yield key, value
    if isinstance(value, Mapping | list | tuple):
        if not levels:
            yield key, _TOO_DEEP
            return
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for name, item in items:
            text = name if isinstance(name, str) else repr(name)
            yield from _walk(item, f"{key}.{text}" if key else text, levels - 1)


def _strange(value: Tensor) -> str | None:
    if value.is_meta:
        return "meta"
    if value.layout != torch.strided:
        return "sparse"
    return "quantized" if value.is_quantized else None
