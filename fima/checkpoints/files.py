"""Checkpoint files: read without running their code, written whole or not at all.

``torch.load`` understands a pickle, and a pickle may run anything. Only tensors and plain values are read here unless
the caller says ``trust=True``.
"""

from __future__ import annotations

import argparse
import hashlib
import pickle
import pickletools
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from fima.checkpoints.limits import check_archive, check_values
from fima.errors import CheckpointError, WriteError, one_line
from fima.files.writing import whole_file

__all__ = ["newest_of_run", "read_checkpoint", "sha256_of", "write_checkpoint"]

_WEIGHTS_ALONE = "save its weights alone where it was made: torch.save(module.state_dict(), 'weights.pt')"


def read_checkpoint(path: Path, *, trust: bool) -> Any:
    """What the file holds, on the CPU.

    Args:
        path: written by ``torch.save``.
        trust: also read files that need code to be run, with a warning.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it is a folder, empty, damaged, no checkpoint at all, or (without ``trust``) needs code; the
            message names the code it wanted.
    """
    check_archive(path)
    content = _read(path, trust)
    check_values(content, path)
    return content


def _read(path: Path, trust: bool) -> Any:
    try:
        with warnings.catch_warnings():  # torch's advice to its own callers
            warnings.simplefilter("ignore")
            with torch.serialization.safe_globals([argparse.Namespace]):  # the settings in VideoMAE's files
                return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen types for damaged files
        wanted = _wanted_code(path, error)
        if wanted is None:
            raise CheckpointError(f"{path}: not a PyTorch checkpoint, or a damaged one ({_reason(error)})") from error
        if not trust:
            raise CheckpointError(
                f"{path}: needs code to be read (it wants {wanted}), which could do anything; {_WEIGHTS_ALONE}; or, "
                "if you trust its author, pass --trust-checkpoint"
            ) from None
    warnings.warn(f"{path}: reading it ran code from the file ({wanted})", stacklevel=2)
    return _read_running_code(path)


def newest_of_run(folder: Path) -> Path | None:
    """The newest checkpoint in a training run's folder, by the name with its step if there is one; None for no run."""
    steps = sorted(folder.glob("step-*.ckpt"), key=lambda file: (len(file.name), file.name))
    last = folder / "last.ckpt"
    if not last.is_file():
        return steps[-1] if steps else None
    return next((file for file in steps if file.samefile(last)), last)


def write_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write beside the file, then rename, so that no half-written file is ever under its name.

    Raises:
        CheckpointError: if it cannot be written, such as on a full disk; a file that was there before is untouched.
        RuntimeError: if a data loader's worker died meanwhile, which torch raises wherever the main thread is.
    """
    try:
        with whole_file(path, durable=True) as partial, partial.open("wb") as file:
            torch.save(dict(content), file)
    except WriteError as error:
        raise CheckpointError(str(error)) from error
    except RuntimeError as error:  # torch's writer hides the system's reason in a RuntimeError
        for cause in _causes(error):
            if "DataLoader worker" in str(cause):
                raise cause from None
        raise CheckpointError(f"{path}: cannot be written ({_write_reason(error)})") from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _write_reason(error: Exception) -> str:
    reasons = (cause.strerror for cause in _causes(error) if isinstance(cause, OSError) and cause.strerror)
    return next(reasons, one_line(str(error))[:160])


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_running_code(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:
        raise CheckpointError(f"{path}: cannot be read even with its code ({_reason(error)})") from error


def _wanted_code(path: Path, error: Exception) -> str | None:
    """The functions or classes that a refused file wanted, or None if that is not why reading failed."""
    if not isinstance(error, pickle.UnpicklingError):
        return None
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # torch lists them for its zip format only
        names = re.findall(r"(?:GLOBAL|function|class) <?([\w.]+\.[\w.]+)", str(error)) or _globals_in_pickle(path)
    names = sorted(set(names))
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more if names else None


def _globals_in_pickle(path: Path) -> list[str]:
    """The names a plain pickle would import, read without running it; as many as come before any damage."""
    names: list[str] = []
    strings: list[str] = []
    try:
        with path.open("rb") as file:
            for opcode, argument, _ in pickletools.genops(file):
                if opcode.name == "GLOBAL":
                    names.append(str(argument).replace(" ", "."))
                elif opcode.name == "STACK_GLOBAL":  # module and name are the two strings before it
                    names.append(".".join(strings[-2:]))
                elif isinstance(argument, str):
                    strings.append(argument)
    except Exception:
        return [name for name in names if name.isprintable() and "." in name]
    return names


def _reason(error: Exception) -> str:
    """The first sentence of an error, which torch follows with advice that does not apply here."""
    text = one_line(str(error)).replace("Weights only load failed. ", "")
    text = re.sub(r"^\[[^\]]*\][ .]*", "", text)
    detail = re.search(r"WeightsUnpickler error: (.*?)(?: Check the documentation|$)", text)
    sentence = (detail.group(1) if detail else text).split(". ")[0][:160]
    if isinstance(error, KeyError) or sentence.startswith(("Unsupported operand", "unpickling stack underflow")):
        return "no pickled tensors in it"  # torch's words are opcodes of the first byte it stumbled over
    return sentence if len(sentence) > 8 else f"{type(error).__name__} {sentence}".strip()
