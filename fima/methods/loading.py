"""Whole methods in and out of files: our own format, and the reference's, to go on training from.

The reference's names and shapes are facts from ZMHH-H/FIMA `train.py` and `moco/builder.py` (commit fd63cbd): a mapping
``{'epoch', 'arch', 'state_dict', 'optimizer'}``, keys under ``module.``, queues ``(dim, K)`` beside counters ``(1,)``.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fima.checkpoints.containers import unwrap
from fima.checkpoints.files import newest_of_run, read_checkpoint, write_checkpoint
from fima.checkpoints.formats import find_backbone
from fima.checkpoints.report import LoadReport, ShapeMismatch
from fima.errors import CheckpointError, InputError, lacks_memory, one_line
from fima.methods.base import Method
from fima.models.registry import is_custom

__all__ = ["METHOD_FORMAT", "export_method", "load_method", "method_state", "restore_method", "save_method"]

#: The value of ``format`` in the files of `save_method`.
METHOD_FORMAT = "fima-method"

_VERSION = 1

#: Class of each method, imported when it is asked for.
_METHODS = {
    "MoCo": "fima.methods.moco",
    "FIMA": "fima.methods.fima",
    "MaCLR": "fima.methods.maclr",
}

#: Settings that name a backbone; a name of the user's own runs the user's code.
_ARCHS = ("arch", "motion_arch")

#: Queue of the reference → our name; the others keep theirs.
_QUEUES = {"queue_dense": "pixel_queue"}

#: What the reference keeps at the top and we keep in the motion decoder.
_DECODER = ("cls_token", "embedding1.", "embedding2.", "transformer_decoder.")


_LAYER = r"decoder\.transformer_decoder\.layers\.\d+\.linear1\.weight"


def save_method(path: str | os.PathLike[str], method: Method, *, extra: Mapping[str, Any] | None = None) -> Path:
    """Write a method so that `load_method` needs nothing but the file; it appears whole or not at all.

    Args:
        path: the file to write.
        method: one whose backbone was given by name.
        extra: plain values or tensors to keep beside it, such as the epoch.

    Returns:
        The path.

    Raises:
        InputError: if the method was built around a backbone that has no name.
    """
    write_checkpoint(Path(path), method_state(method) | {"extra": dict(extra or {})})
    return Path(path)


def method_state(method: Method) -> dict[str, Any]:
    """Everything `restore_method` needs, in plain values and tensors, to be written into any checkpoint.

    Raises:
        InputError: as `save_method`.
    """
    name = type(method).__name__
    if not (method.settings.get("arch") and method.settings.get("motion_arch", True)):
        raise InputError(f"{name} was built around a module; give its backbone by name (package.module:factory)")
    return {
        "format": METHOD_FORMAT,
        "version": _VERSION,
        "method": name,
        "settings": dict(method.settings),
        "state_dict": {key: value.detach().cpu() for key, value in method.state_dict().items()},
    }


def restore_method(content: Mapping[str, Any], path: object, **overrides: Any) -> Method:
    """The method of `method_state`.

    Args:
        content: as `method_state` returned it.
        path: for messages.
        overrides: settings that replace those of the file.

    Raises:
        CheckpointError: if it is damaged, of another version, or does not fill the method.
        InputError: for an override that the method does not know.
    """
    if content.get("version") != _VERSION:
        found = content.get("version")
        raise CheckpointError(f"{path}: is version {found} of {METHOD_FORMAT}, this program reads version {_VERSION}")
    for word, kind in {"method": str, "settings": Mapping, "state_dict": Mapping}.items():
        if not isinstance(content.get(word), kind):
            raise CheckpointError(f"{path}: damaged: no {word} in it")
    settings = {**content["settings"], **overrides}
    method = _build(content["method"], settings, path, overrides)
    entries = {key: (key, value) for key, value in content["state_dict"].items()}
    return _fill(method, entries, METHOD_FORMAT, path, overrides)


def load_method(path: str | os.PathLike[str], *, trust: bool = False, **overrides: Any) -> Method:
    """Restore a whole method, so that training goes on from it: a file of ours, or FIMA's reference checkpoint.

    Both encoders, both projectors, the motion decoder with its class token and every queue are filled, and every entry
    of the file is accounted for: ``method.report`` says where each one went.

    A reference file gives architecture, sizes and queues by its names and shapes. Its backbones keep the reference's
    memory layout, so that a step in float32 is the reference's to rounding; ``channels_last=True`` is quicker but sums
    in another order, which its batch statistics amplify.

    Args:
        path: the file.
        trust: also read files that run code when they are read.
        overrides: settings of the method that replace the file's, such as ``dropout=0`` or ``arch``. Switching a part
            off leaves its entries aside.

    Returns:
        The method in train mode, on the CPU.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it cannot be read safely, holds no method, or does not fill it; one line that starts with
            the path.
        InputError: for an override that the method does not know or that cannot be used.
    """
    file = newest_of_run(Path(path)) or Path(path)
    content = read_checkpoint(file, trust=trust)
    if isinstance(content, Mapping) and content.get("format") == METHOD_FORMAT:
        return restore_method(content, file, **overrides)
    return _load_reference(content, file, overrides)


def export_method(
    path: str | os.PathLike[str], method: Method, *, epoch: int = 0, optimizer: Mapping[str, Any] | None = None
) -> Path:
    """Write MoCo or FIMA as the reference does; its code, and `load_method`, read the file.

    Args:
        path: the file to write; it appears whole or not at all.
        method: a `MoCo` or `FIMA`; parts that the reference does not know (L_VD) keep our names.
        epoch: finished epochs.
        optimizer: a state dict, for what reads it; the order of our parameters is not the reference's.

    Returns:
        The path.

    Raises:
        InputError: as `save_method`, or if the reference has no such method.
    """
    content = method_state(method)
    if content["method"] not in ("MoCo", "FIMA"):
        raise InputError(f"{content['method']} has no reference format; MoCo and FIMA have")
    state = dict(_to_reference(name, value) for name, value in content["state_dict"].items())
    exported = {
        "epoch": epoch,
        "arch": content["settings"]["arch"],
        "state_dict": {f"module.{name}": value for name, value in state.items()},
        "optimizer": dict(optimizer or {}),
        "method": content["method"],
        "settings": content["settings"],
    }
    write_checkpoint(Path(path), exported)
    return Path(path)


def _load_reference(content: Any, path: Path, overrides: dict[str, Any]) -> Method:
    source = unwrap(content, path)
    found = find_backbone(source, path, overrides.get("arch"))
    if found.core != "encoder_q." or not any(key.startswith(f"{found.outer}encoder_k.") for key in source.state):
        raise CheckpointError(f"{path}: holds no method: a query and a key network (encoder_q, encoder_k) are expected")
    entries = {key: _from_reference(key.removeprefix(found.outer), value) for key, value in source.state.items()}
    tensors = {name: value for name, value in entries.values() if isinstance(value, Tensor)}
    settings, name = source.metadata.get("settings"), source.metadata.get("method")
    if not isinstance(settings, Mapping) or not isinstance(name, str):  # the reference's own file
        name = "FIMA" if "motion_queue.rows" in tensors else "MoCo"
        settings = _settings_from(tensors, name) | {"arch": found.arch, "backbone_settings": found.settings}
    method = _build(name, {**settings, **overrides}, path, overrides)
    return _fill(method, entries, "FIMA pre-training", path, overrides)


def _settings_from(tensors: Mapping[str, Tensor], name: str) -> dict[str, Any]:
    """What names and shapes tell; temperatures, momentum and heads are the defaults, which are the reference's."""
    size = {key: tuple(value.shape) for key, value in tensors.items()}
    settings: dict[str, Any] = {"channels_last": False}
    if len(size.get("queue.rows", ())) == 2:
        settings["queue_size"], settings["dim"] = size["queue.rows"]
    if "projector_dense.net.0.weight" in size:
        settings["hidden"] = size["projector_dense.net.0.weight"][0]
    if name == "FIMA":
        settings["motion_queue_size"] = size["motion_queue.rows"][0]
        settings["pixel_queue_size"] = size.get("pixel_queue.rows", (0,))[0]
        settings["decoder"] = any(key.startswith("decoder.") for key in size)
    layers = sorted(
        key for key in size if re.fullmatch(r"decoder\.transformer_decoder\.layers\.\d+\.linear1\.weight", key)
    )
    if layers:
        settings["feedforward"], settings["width"] = size[layers[0]]
        settings["layers"] = len(layers)
    return settings


def _build(name: str, settings: dict[str, Any], path: object, overrides: Mapping[str, Any]) -> Method:
    """The method with random weights; a backbone of the user's own only where an override names it."""
    if name not in _METHODS:
        raise CheckpointError(f"{path}: holds a method {name!r}, known are {', '.join(_METHODS)}")
    for word in _ARCHS:
        arch = str(settings.get(word))
        if is_custom(arch) and not overrides.get(word):
            raise CheckpointError(f"{path}: was made with your own {arch}; pass {word}={arch!r} to run that code")
    method_class = getattr(importlib.import_module(_METHODS[name]), name)
    known = _parameters(method_class)
    unknown = sorted(settings.keys() - known)
    if unknown:
        raise InputError(f"{path}: {name} has no setting {', '.join(unknown)}; its settings are {', '.join(known)}")
    try:
        method: Method = method_class(**settings)
    except (InputError, TypeError, ValueError, MemoryError, RuntimeError) as error:
        if overrides or not (isinstance(error, TypeError | ValueError) or lacks_memory(error)):
            raise
        raise CheckpointError(f"{path}: holds settings that cannot be used ({one_line(str(error))[:200]})") from error
    return method


def _parameters(method_class: type) -> list[str]:
    """Keyword arguments of a class, those that it passes on to its bases included."""
    found: dict[str, None] = {}
    for part in method_class.__mro__:
        if "__init__" in vars(part) and issubclass(part, Method):
            parameters = inspect.signature(vars(part)["__init__"]).parameters.values()
            found |= {p.name: None for p in parameters if p.kind is not p.VAR_KEYWORD and p.name != "self"}
    return list(found)


def _fill(
    method: Method,
    entries: Mapping[str, tuple[str, Any]],
    format_name: str,
    path: object,
    overrides: Mapping[str, Any],
) -> Method:
    """Copy the entries, file key → (our name, value), into the method; every one must find its place."""
    wanted = method.state_dict()
    values: dict[str, Tensor] = {}
    loaded: dict[str, str] = {}
    unexpected: list[str] = []
    mismatched: list[ShapeMismatch] = []
    ignored: dict[str, str] = {}
    for key, (name, value) in entries.items():
        if not isinstance(value, Tensor):
            ignored[key] = f"not a tensor but a {type(value).__name__}"
        elif name not in wanted and overrides and _switched_off(method, name):
            ignored[key] = "part of the method that is switched off"
        elif name not in wanted:
            unexpected.append(key)
        elif value.shape != wanted[name].shape:
            mismatched.append(ShapeMismatch(key, name, tuple(wanted[name].shape), tuple(value.shape)))
        else:
            values[name], loaded[key] = value, name
    accounted = values.keys() | {item.name for item in mismatched}
    missing = tuple(name for name in wanted if name not in accounted)
    broken = tuple(name for name, value in values.items() if not torch.isfinite(value).all())
    arch = str(method.settings["arch"])
    report = LoadReport(format_name, arch, loaded, missing, tuple(unexpected), tuple(mismatched), ignored, broken)
    if not report.complete:
        raise CheckpointError(f"{path}: does not fill {type(method).__name__}: {'; '.join(report.problems)}")
    method.load_state_dict(values, strict=False)
    method.report = report
    return method.train()


def _switched_off(method: Method, name: str) -> bool:
    """Whether the method knows that part, but was built without it."""
    module: Any = method
    for word in name.split("."):
        if not hasattr(module, word):
            return False
        module = getattr(module, word)
        if module is None:
            return True
    return False


def _from_reference(name: str, value: Any) -> tuple[str, Any]:
    """Our name and layout of an entry of the reference."""
    queue = re.fullmatch(r"(\w*queue\w*?)(_ptr)?", name)
    if queue and isinstance(value, Tensor) and value.ndim <= 2:
        ours = _QUEUES.get(queue[1], queue[1])
        return (f"{ours}.cursor", value) if queue[2] else (f"{ours}.rows", value.t().contiguous())
    return (f"decoder.{name}", value) if name.startswith(_DECODER) else (name, value)


def _to_reference(name: str, value: Tensor) -> tuple[str, Tensor]:
    """The reference's name and layout of an entry of ours."""
    queue = re.fullmatch(r"(\w*queue)\.(rows|cursor)", name)
    if queue:
        theirs = {ours: theirs for theirs, ours in _QUEUES.items()}.get(queue[1], queue[1])
        return (theirs, value.t().contiguous()) if queue[2] == "rows" else (f"{theirs}_ptr", value)
    return name.removeprefix("decoder."), value.contiguous()
