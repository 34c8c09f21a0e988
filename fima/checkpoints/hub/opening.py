"""A Hugging Face folder or a safetensors file → a backbone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fima.checkpoints.containers import Unwrapped
from fima.checkpoints.files import sha256_of
from fima.checkpoints.filling import fill
from fima.checkpoints.hub.families import Recognized, recognize
from fima.checkpoints.hub.folders import Folder, read_folder, require_extra
from fima.checkpoints.hub.inputs import colors_of
from fima.checkpoints.hub.refused import named_family
from fima.checkpoints.loaded import LoadedBackbone, epoch_of
from fima.checkpoints.report import LoadReport, ShapeMismatch
from fima.errors import CheckpointError, InputError, one_line
from fima.input_spec import InputSpec
from fima.models.hub.transformers_models import MODEL_TYPES, TransformersBackbone
from fima.models.registry import create_backbone

__all__ = ["fill_recognized", "open_folder"]

#: ``model_type`` → our architecture.
_OURS = {"videomae": "videomae", "vjepa2": "vjepa2", "timesformer": "timesformer"}

#: ``model_type`` → that of the part which is the backbone.
_THEIRS = {
    "vivit": "vivit",
    "videoprism": "videoprism_vision_model",
    "videoprism_vision_model": "videoprism_vision_model",
}

#: What is no backbone, in transformers' names.
_ASIDE = (
    (r"^(classifier|head|head_layernorm|pooler|auxiliary_layers|contrastive)", "classifier or head"),
    (r"^(text_model|text_|logit_)", "text encoder"),
    (r"^(decoder|encoder_to_decoder|mask_token)", "decoder of the pre-training"),
    (r"^predictor", "predictor"),
)


def open_folder(path: Path, arch: str | None = None, *, trust: bool = False) -> LoadedBackbone:
    """Load a Hugging Face folder; code in it is never run.

    Args:
        path: of the folder.
        arch: what the user says it is.
        trust: read ``pytorch_model.bin`` even if that runs code in it.

    Raises:
        CheckpointError: if its family is none of those known here, its weights are another's, or do not fit together.
        InputError: if the extra ``hub`` is needed and not installed.
    """
    folder = read_folder(path)
    kind = folder.model_type
    if kind not in _OURS and kind not in _THEIRS:
        code = ", and its own code (auto_map), which is never run here" if "auto_map" in folder.config else ""
        known = ", ".join((*_OURS, *_THEIRS))
        raise CheckpointError(
            f"{path}: config.json asks for model_type {kind!r}{code}; known are {known}; another network needs --arch "
            "package.module:factory and its weights file"
        )
    source = Unwrapped(folder.state(trust=trust), folder.files[0].name, {})
    if kind in _THEIRS:
        return _open_theirs(folder, source.state)
    found = recognize(source, path, arch, config=folder.config, processor=folder.processor)
    if found is None or found.arch != (_OURS[kind] if arch is None else found.arch):
        other = found.family if found else (named_family(source.state) or ("no network known here",))[0]
        raise CheckpointError(f"{path}: config.json says {kind}, but the weights are those of {other}")
    return fill_recognized(found, path, folder.sha256)


def fill_recognized(found: Recognized, path: Path, sha256: str | None = None) -> LoadedBackbone:
    """Build a video transformer and fill it from a file or folder."""
    backbone = create_backbone(found.arch, **found.settings)
    spec: InputSpec = backbone.input_spec.replace(**found.colors)  # type: ignore[union-attr, operator]
    report = fill(backbone, found, found.family, notes=found.notes)
    settings: dict[str, Any] = backbone.settings  # type: ignore[assignment]
    epoch = epoch_of(found.source.metadata)
    return LoadedBackbone(backbone, found.arch, spec, report, settings, path, sha256 or sha256_of(path), epoch=epoch)


def _open_theirs(folder: Folder, state: Mapping[str, Any]) -> LoadedBackbone:
    """ViViT and VideoPrism: built and filled by transformers, which knows how its names on disk have changed."""
    kind = _THEIRS[folder.model_type]
    library = require_extra("transformers", str(folder.path))
    config = dict(folder.config.get("vision_config", folder.config)) | {"model_type": kind}
    own = {key: re.sub(r"^.*?(?=(vision_model|vivit)\.)", "", key) for key in state}
    try:
        built = getattr(library, MODEL_TYPES[kind][0])(**_values(config))
        model, info = _quiet_load(
            library, MODEL_TYPES[kind][1], built, {own[key]: value for key, value in state.items()}
        )
        backbone = TransformersBackbone(config, model=model)
    except InputError:
        raise
    except Exception as error:  # its checks of a configuration raise many types
        raise CheckpointError(f"{folder.path}: transformers cannot build it: {one_line(str(error))[:200]}") from error
    colors, notes = colors_of(kind, "Hugging Face", state, folder.processor)
    report = replace(_report_of(kind, own, info, state), notes=notes)
    spec = backbone.input_spec.replace(**colors)
    return LoadedBackbone(backbone, "transformers", spec, report, backbone.settings, folder.path, folder.sha256)


def _values(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name not in ("model_type", "architectures", "auto_map")}


def _quiet_load(library: Any, name: str, config: Any, state: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The model with the entries in it, and where they went; without the library's progress bars and tables."""
    logging = library.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    extra = {"add_pooling_layer": False} if name == "VivitModel" else {}
    try:
        logging.set_verbosity(logging.CRITICAL)
        logging.disable_progress_bar()
        model, info = getattr(library, name).from_pretrained(
            None,
            config=config,
            state_dict=state,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            dtype=torch.float32,
            **extra,
        )
        return model, info
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _report_of(kind: str, own: Mapping[str, str], info: Mapping[str, Any], state: Mapping[str, Any]) -> LoadReport:
    left = set(info["unexpected_keys"])
    wrong = {item[0]: item for item in info["mismatched_keys"]}
    reasons = {
        key: next((why for p, why in _ASIDE if re.search(p, name)), "") for key, name in own.items() if name in left
    }
    return LoadReport(
        f"{kind} (Hugging Face)",
        kind,
        {key: name for key, name in own.items() if name not in left and name not in wrong},
        tuple(sorted(set(info["missing_keys"]) - set(wrong))),
        tuple(key for key, reason in reasons.items() if not reason),
        tuple(ShapeMismatch(name, name, tuple(item[2]), tuple(item[1])) for name, item in wrong.items()),
        {key: reason for key, reason in reasons.items() if reason},
        tuple(key for key, value in state.items() if isinstance(value, Tensor) and not torch.isfinite(value).all()),
    )
