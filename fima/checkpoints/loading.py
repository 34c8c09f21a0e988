"""Backbones in and out of files: every key of a checkpoint is accounted for, and no weight stays random unsaid.

Formats are in `fima.checkpoints.formats`, reading and writing safely in `fima.checkpoints.files`. This module knows no
method and nothing of training.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fima.checkpoints.containers import Unwrapped, unwrap
from fima.checkpoints.files import newest_of_run, read_checkpoint, sha256_of, write_checkpoint
from fima.checkpoints.filling import fill
from fima.checkpoints.formats import FORMATS, METHOD, NATIVE, Found, find_backbone
from fima.checkpoints.hub.families import recognize
from fima.checkpoints.hub.folders import read_safetensors
from fima.checkpoints.hub.opening import fill_recognized, open_folder
from fima.checkpoints.hub.refused import named_family
from fima.checkpoints.loaded import IncompleteCheckpointError, LoadedBackbone, epoch_of
from fima.checkpoints.own import UNKNOWN_INPUT, overridden, own_backbone
from fima.checkpoints.report import LoadReport
from fima.checkpoints.shipped import shipped_path
from fima.errors import CheckpointError, InputError, one_line
from fima.input_spec import FIMA_112, InputSpec
from fima.models.hub.vit import VideoTransformer
from fima.models.registry import backbone_info, create_backbone, is_custom

__all__ = [
    "IncompleteCheckpointError",
    "LoadedBackbone",
    "load_backbone",
    "save_backbone",
    "untrained_backbone",
    "with_input",
]

_VERSION = 1


def load_backbone(
    path: str | os.PathLike[str] | nn.Module | Callable[[Tensor], Any],
    arch: str | None = None,
    *,
    trust: bool = False,
    input_spec: InputSpec | str | None = None,
    device: str | torch.device | None = None,
    **reading: Any,
) -> LoadedBackbone:
    """Load a backbone: of a checkpoint of any family in docs/checkpoints.md, or your own module.

    Args:
        path: the file, a Hugging Face folder, the name of a checkpoint that comes with the package
            (`fima.checkpoints.SHIPPED`), or a module or callable that takes a clip, which stays where it is.
        arch: a name of `fima.models.backbone_names` or ``package.module:factory``; found out from the keys if left out,
            except where keys do not tell (TCLR's dilated R3D-18 and the plain one).
        trust: also read files that run code when they are read.
        input_spec: overrides what the checkpoint's family expects; a text as of ``--input-spec`` changes the words it
            names.
        device: where to put the backbone; None: the CPU, or where your own module is.
        **reading: how your own module's output is read: ``grid``, ``num_prefix_tokens``, ``pathway``,
            ``channels_last`` (`fima.models.adapters.Adapter`).

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it cannot be read safely, is of no known kind, or does not fill the backbone
            (`IncompleteCheckpointError`, which carries the report); one line that starts with the path.
        InputError: for an unknown architecture or an input spec that cannot be used.
    """
    if not isinstance(path, str | os.PathLike):
        own = own_backbone(path, input_spec, reading)
        return own if device is None else replace(own, backbone=_move(own.backbone, device))
    if reading:
        raise InputError(f"{', '.join(reading)}: for your own module only; {path} says how it is read")
    file = shipped_path(Path(path)) or newest_of_run(Path(path)) or Path(path)
    loaded = _load(file, arch, trust=trust)
    if not loaded.report.complete:
        problems = "; ".join(loaded.report.problems)
        raise IncompleteCheckpointError(f"{file}: does not fill {loaded.arch}: {problems}", loaded)
    spec = overridden(loaded.input, input_spec)
    loaded = with_input(loaded, spec)
    return replace(loaded, backbone=_move(loaded.backbone, device or "cpu").eval())


def save_backbone(
    path: str | os.PathLike[str],
    backbone: nn.Module,
    *,
    arch: str,
    input: InputSpec,
    extra: Mapping[str, Any] | None = None,
) -> Path:
    """Write a backbone so that `load_backbone` needs nothing but the file.

    Args:
        path: the file to write; it appears whole or not at all.
        backbone: as of ``create_backbone(arch)``; its ``settings``, if it publishes any, are written too.
        arch: its name.
        input: the clip it expects.
        extra: plain values or tensors to keep beside it, such as the epoch.

    Returns:
        The path.

    Raises:
        CheckpointError: if ``extra`` holds something that could not be read back without running code.
    """
    file = Path(path)
    content = {
        "format": NATIVE,
        "version": _VERSION,
        "arch": arch,
        "settings": dict(getattr(backbone, "settings", {})),
        "input": input.to_dict(),
        "state_dict": {name: value.detach().cpu().contiguous() for name, value in backbone.state_dict().items()},
        "extra": dict(extra or {}),
    }
    for word, value in (("extra", content["extra"]), ("settings", content["settings"])):
        if not _is_plain(value):
            raise CheckpointError(f"{file}: {word} must hold only numbers, strings, lists, mappings and tensors")
    write_checkpoint(file, content)
    return file


def untrained_backbone(
    arch: str = "tiny", *, seed: int = 0, input_spec: InputSpec | str | None = None, **settings: Any
) -> LoadedBackbone:
    """A backbone with random weights that depend on the seed alone, as the baseline of every measure.

    Args:
        arch: a name for `fima.models.create_backbone`.
        seed: of the weights; the state of torch's own generators is neither read nor changed.
        input_spec: as in `load_backbone`.
        settings: passed to the backbone.

    Raises:
        InputError: for an unknown architecture or setting.
    """
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would also seed the accelerators' generators.
        torch.default_generator.manual_seed(seed)
        backbone = create_backbone(arch, **settings).eval()
    spec = overridden(backbone_info(backbone).input, input_spec)
    report = LoadReport("untrained", arch, notes=(f"random weights, seed {seed}",))
    return LoadedBackbone(backbone, arch, spec, report, settings, trained=False)


def with_input(loaded: LoadedBackbone, spec: InputSpec) -> LoadedBackbone:
    """The backbone with another input; one with a table of positions takes other grids from then on, and says so."""
    own, backbone = loaded.input, loaded.backbone
    same = (own.num_frames, own.size) == (spec.num_frames, spec.size)
    loaded = replace(loaded, input=spec)
    if same or not isinstance(backbone, VideoTransformer) or backbone.grid is None or backbone.resize:
        return loaded
    backbone.interpolate_positions()
    note = f"positions are interpolated to {spec.num_frames} frames of {spec.size} x {spec.size} pixels, as asked for"
    report = replace(loaded.report, notes=(*loaded.report.notes, note))
    return replace(loaded, report=report, settings={**loaded.settings, "resize": True})


def _load(path: Path, arch: str | None, *, trust: bool) -> LoadedBackbone:
    if path.suffix == ".safetensors" and (path.parent / "config.json").is_file() and not is_custom(arch or ""):
        path = path.parent
    if path.is_dir():
        return open_folder(path, arch, trust=trust)
    content = read_safetensors(path) if path.suffix == ".safetensors" else read_checkpoint(path, trust=trust)
    kind = content.get("format") if isinstance(content, Mapping) else None
    load = _OURS.get(kind, _load_foreign) if isinstance(kind, str) else _load_foreign
    if load is not _load_foreign and content.get("version") != _VERSION:
        version = content.get("version")
        raise CheckpointError(f"{path}: is version {version} of {kind}, this program reads version {_VERSION}")
    return load(content, path, arch)


def _load_native(content: Mapping[str, Any], path: Path, arch: str | None) -> LoadedBackbone:
    _check_native(content, path, arch)
    state, settings = dict(content["state_dict"]), dict(content["settings"])
    source = Unwrapped(state, "state_dict", {})
    found = Found(content["arch"], settings, "", "", 1.0, source)
    try:
        backbone = create_backbone(found.arch, **settings)
        spec = InputSpec.from_dict(content["input"])
    except (InputError, TypeError, ValueError, OverflowError) as error:  # settings of another kind than the arch's
        raise CheckpointError(f"{path}: {one_line(str(error))}") from error
    report = fill(backbone, found, NATIVE)
    extra = dict(content.get("extra", {}))
    return LoadedBackbone(
        backbone, found.arch, spec, report, settings, path, sha256_of(path), epoch=epoch_of(extra), extra=extra
    )


def _load_method(content: Mapping[str, Any], path: Path, arch: str | None) -> LoadedBackbone:
    """The query encoder of a method's file (`fima.methods.save_method`, ``fima pretrain``), which says what it is."""
    settings, state = content.get("settings"), content.get("state_dict")
    if not (isinstance(settings, Mapping) and isinstance(settings.get("arch"), str) and isinstance(state, Mapping)):
        raise CheckpointError(f"{path}: damaged: no settings with an arch, or no state_dict in it")
    written = settings["arch"]
    if arch is not None and arch != written:
        raise CheckpointError(f"{path}: holds {written}, but --arch says {arch}")
    if is_custom(written) and arch is None:
        raise CheckpointError(f"{path}: was made with your own {written}; pass --arch {written} to run that code")
    backbone_settings = dict(settings.get("backbone_settings") or {})
    metadata = {str(key): value for key, value in content.items() if key != "state_dict"}
    found = Found(written, backbone_settings, "", "encoder_q.", 1.0, Unwrapped(dict(state), "state_dict", metadata))
    try:
        backbone = create_backbone(written, **backbone_settings)
        usual = getattr(backbone, "input_spec", FIMA_112)
        spec = InputSpec.from_dict(content["input"], base=usual) if "input" in content else usual
    except (InputError, TypeError, ValueError, OverflowError) as error:  # settings of another kind than the arch's
        raise CheckpointError(f"{path}: {one_line(str(error))}") from error
    report = fill(backbone, found, f"{content.get('method')} pre-training (fima)")
    extra = content.get("extra")
    epoch = epoch_of(metadata) if "epoch" in metadata else epoch_of(extra if isinstance(extra, Mapping) else {})
    return LoadedBackbone(backbone, written, spec, report, backbone_settings, path, sha256_of(path), epoch=epoch)


def _load_foreign(content: Any, path: Path, arch: str | None) -> LoadedBackbone:
    source = unwrap(content, path)
    if arch is None or not is_custom(arch):
        found = recognize(source, path, arch)
        if found is not None:
            return fill_recognized(found, path)
        if known := named_family(source.state):
            family, key, needs = known
            raise CheckpointError(f"{path}: is a checkpoint of {family} ({key}), which cannot be built here; {needs}")
    return _load_guessed(source, path, arch)


def _load_guessed(source: Unwrapped, path: Path, arch: str | None) -> LoadedBackbone:
    found = find_backbone(source, path, arch)
    family = next(row for row in FORMATS if row.matches(found))
    spec = family.input_spec(found)
    backbone = create_backbone(found.arch, **found.settings)
    report = fill(backbone, found, family.name, notes=(*source.notes, *_notes(found, backbone, arch)))
    epoch = epoch_of(source.metadata)
    return LoadedBackbone(backbone, found.arch, spec, report, found.settings, path, sha256_of(path), epoch=epoch)


def _check_native(content: Mapping[str, Any], path: Path, arch: str | None) -> None:
    kinds = {"arch": str, "settings": Mapping, "input": Mapping, "state_dict": Mapping}
    for word, kind in kinds.items():
        if not isinstance(content.get(word), kind):
            raise CheckpointError(f"{path}: damaged: no {word} in it")
    if not isinstance(content.get("extra", {}), Mapping) or not all(isinstance(k, str) for k in content["state_dict"]):
        raise CheckpointError(f"{path}: damaged: its extra is no mapping, or a key of its state_dict no text")
    written = content["arch"]
    if arch is not None and arch != written:
        raise CheckpointError(f"{path}: holds {written}, but --arch says {arch}")
    if is_custom(written) and arch is None:
        raise CheckpointError(f"{path}: was made by your own {written}; pass --arch {written} to run that code")


def _notes(found: Found, backbone: nn.Module, arch: str | None) -> tuple[str, ...]:
    notes = []
    if found.others:
        others = ", ".join(repr(prefix) for prefix in found.others)
        notes.append(f"the weights are those under {found.prefix!r}; networks of the same entries are under {others}")
    if found.arch == "r3d_18" and arch is None:
        notes.append("TCLR's dilated R3D-18 has the same names and shapes: if this is one, pass --arch r3d_18_dilated")
    if not isinstance(getattr(backbone, "input_spec", None), InputSpec):
        notes.append(UNKNOWN_INPUT)
    return tuple(notes)


_OURS = {NATIVE: _load_native, METHOD: _load_method}


def _move(backbone: nn.Module, device: str | torch.device) -> nn.Module:
    try:
        return backbone.to(device)
    except (RuntimeError, AssertionError) as error:  # torch raises either for a device it does not have
        raise InputError(f"--device {device}: {one_line(str(error))[:160]}") from error


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return type(value) is dict and all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if type(value) in (list, tuple):
        return all(_is_plain(item) for item in value)
    return value is None or type(value) in (bool, int, float, str, bytes, Tensor, nn.Parameter)
