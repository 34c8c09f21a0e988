"""Whose video transformer is this? Families by their keys, and their settings by shapes or ``config.json``.

Facts: the authors' repositories at the commits named in `fima.models.hub`, MMAction2 (0f1d96b), transformers 5.24. A
new writer is a row in `_LAYOUTS` with its names in `transformer_names`; a new family a row in `_FAMILIES`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from fima.checkpoints.containers import Unwrapped, plain_key
from fima.checkpoints.hub import transformer_names
from fima.checkpoints.hub.inputs import classes_of, clip_of, colors_of
from fima.checkpoints.hub.settings import Names, settings_of
from fima.errors import CheckpointError

__all__ = ["Recognized", "recognize"]

_NOT_BACKBONE = re.compile(r"decoder\.|predictor|encoder_k\.|momentum")

_REASONS = (
    (r"^(decoder|encoder_to_decoder|mask_token|multi_scale_fusion_heads|encoder_norm)", "decoder of the pre-training"),
    (r"(^|\.)(fc|head|classifier|linear|cls_head|fc_cls|pooler|clip_decoder)(\.|$)", "classifier or head"),
    (r"(^|\.)predictor", "predictor"),
    (r"^pos_embed$", "table of positions, which this family's rotations replace"),
    (r"(^|\.)(encoder_k|momentum\w*)\.", "key network"),
)


@dataclass(frozen=True)
class Recognized:
    """A video transformer found in a state dict.

    Attributes:
        family: as people call it, with who wrote the file.
        arch, settings: what to build.
        colors: mean, std of the clips, where they are not the family's.
        notes: what a reader should know.
        source: where it was found.
        prefix, rules: how its keys become our names.
    """

    family: str
    arch: str
    settings: dict[str, Any]
    source: Unwrapped
    prefix: str
    rules: transformer_names.Rules
    colors: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def place(self, key: str) -> str | None:
        """The name of an entry in our network; None if it is outside the backbone's part of the file."""
        plain = plain_key(key)
        return (
            transformer_names.rename(plain.removeprefix(self.prefix), self.rules)
            if _inside(plain, self.prefix)
            else None
        )

    def reason(self, key: str) -> str:
        """Why an entry is left aside."""
        plain = plain_key(key).removeprefix(self.prefix)
        return next((reason for pattern, reason in _REASONS if re.search(pattern, plain)), "outside the backbone")


@dataclass(frozen=True)
class _Layout:
    writer: str
    anchor: str
    rules: transformer_names.Rules
    arch: str | None = None


_MM, _HF = "MMAction2", "Hugging Face"
_HF_ATTENTION = r"(.*?)encoder\.layer\.\d+\.attention\."

_LAYOUTS = (
    _Layout(
        _MM,
        r"(.*?)transformer_layers\.layers\.\d+\.attentions\.\d+\..*",
        transformer_names.MM_TIMESFORMER,
        "timesformer",
    ),
    _Layout(_MM, r"(.*?)blocks\.\d+\.mlp\.layers\.0\.0\.weight", transformer_names.MM_VIDEOMAE),
    _Layout(_HF, _HF_ATTENTION + r"query\.weight", transformer_names.HF_VJEPA2),
    _Layout(_HF, _HF_ATTENTION + r"attention\.qkv\.weight", transformer_names.HF_TIMESFORMER, "timesformer"),
    _Layout(_HF, _HF_ATTENTION + r"attention\.query\.weight", transformer_names.HF_VIDEOMAE),
    _Layout("official", r"(.*?)patch_embed1\.proj\.weight", transformer_names.OFFICIAL),
    _Layout("official", r"(.*?)blocks\.\d+\.attn\.qkv\.weight", transformer_names.OFFICIAL),
)


def _has(pattern: str) -> Callable[[Names, Unwrapped], bool]:
    return lambda names, source: any(re.search(pattern, name) for name in names)


def _is_videomae(names: Names, source: Unwrapped) -> bool:
    """No bias of keys: two of the three, or none at all."""
    biases = {name.partition("#")[1:] for name in names if re.fullmatch(r"blocks\.\d+\.attn\.qkv\.bias(#\d)?", name)}
    return "cls_token" not in names and ("", "") not in biases and ("#", "1") not in biases


def _is_space_only(names: Names, source: Unwrapped) -> bool:
    """A ViT for each frame has the keys of an image ViT; PySlowFast's container tells."""
    patch = names.get("patch_embed.proj.weight", ())
    return "cls_token" in names and len(patch) == 4 and source.wrapper == "model_state"


def _is_vjepa1(names: Names, source: Unwrapped) -> bool:
    """The predictor has 2 mask tokens in V-JEPA 1, 10 in V-JEPA 2, whose files may hold a table of positions too."""
    tokens = {m[0] for key in source.others.get("predictor", {}) if (m := re.search(r"mask_tokens\.\d+", key))}
    return len(tokens) == 2 if len(tokens) in (2, 10) else "pos_embed" in names


def _is_video_vit(names: Names, source: Unwrapped) -> bool:
    return "cls_token" not in names and len(names.get("patch_embed.proj.weight", (0,) * 5)) == 5


#: (architecture, name, how to know it); the first that fits wins.
_FAMILIES: tuple[tuple[str, str, Callable[[Names, Unwrapped], bool]], ...] = (
    ("vjepa21", "V-JEPA 2.1", _has(r"^norms_block\.|^video_mod_embed$")),
    ("timesformer", "TimeSformer", _has(r"^time_embed$|temporal_attn\.")),
    ("timesformer", "TimeSformer", _is_space_only),
    ("uniformer", "UniFormer", _has(r"^patch_embed1\.")),
    ("hiera", "Hiera", _has(r"^pos_embed_spatial$")),
    ("videomae", "VideoMAE", _is_videomae),
    ("vjepa1", "V-JEPA 1", lambda names, source: _is_video_vit(names, source) and _is_vjepa1(names, source)),
    ("vjepa2", "V-JEPA 2", _is_video_vit),
)

#: What has the keys of another one's files, so that only the user can say so.
_SAME_KEYS = ("videomae", "vjepa1", "vjepa2")


def recognize(
    source: Unwrapped,
    path: Path,
    arch: str | None = None,
    *,
    config: Mapping[str, Any] | None = None,
    processor: Mapping[str, Any] | None = None,
) -> Recognized | None:
    """The video transformer in a state dict; None if there is none that can be built here.

    Args:
        source: from `fima.checkpoints.containers.unwrap`.
        path: of the file or folder; a size in its name is taken for the clips' where nothing else tells.
        arch: what the user says it is.
        config: ``config.json`` of a Hugging Face folder.
        processor: its ``preprocessor_config.json``.

    Raises:
        CheckpointError: if it is of another architecture, or lacks an entry that tells its shape.
    """
    keys = {plain_key(key): value for key, value in source.state.items() if isinstance(value, Tensor)}
    layout, prefix = _layout(keys)
    if layout is None:
        return None
    names: Names = {
        transformer_names.rename(key.removeprefix(prefix), layout.rules): tuple(value.shape)
        for key, value in keys.items()
        if _inside(key, prefix)
    }
    found = next(((one, name) for one, name, fits in _FAMILIES if one == layout.arch or fits(names, source)), None)
    if found is None:
        return None
    one, family = _as_told(*found, arch, path)
    settings = settings_of(one, names, config or {}, f"{path}: {family}: no {prefix}")
    classes = classes_of(source.state)
    clip, notes = clip_of(one, settings, names, classes, path, source.metadata, config or {})
    colors, more = colors_of(one, layout.writer, source.state, processor)
    if one == "videomae" and settings.get("grid") is None:
        notes += ("positions are computed for each clip's own grid: the file does not say which it was trained on",)
    return Recognized(
        f"{family} ({layout.writer})", one, {**settings, **clip}, source, prefix, layout.rules, colors,
        (*source.notes, *notes, *more),
    )  # fmt: skip


def _layout(keys: Mapping[str, Any]) -> tuple[_Layout | None, str]:
    """Who wrote the file, and what stands before the backbone's keys."""
    for layout in _LAYOUTS:
        prefixes = Counter(m[1] for key in keys if (m := re.fullmatch(layout.anchor, key)))
        own = [prefix for prefix, _ in prefixes.most_common() if not _NOT_BACKBONE.search(prefix)]
        if own:
            return layout, own[0]
    return None, ""


def _inside(key: str, prefix: str) -> bool:
    """Whether a key is the backbone's; transformers puts the norm after VideoMAE's mean outside of it."""
    return key.startswith((prefix, "fc_norm."))


def _as_told(found: str, family: str, arch: str | None, path: Path) -> tuple[str, str]:
    told = "videomae" if arch in ("videomae-small", "videomae-tiny") else arch
    if told is None or told == found:
        return found, family
    if told in _SAME_KEYS and found in _SAME_KEYS:
        return told, next(name for one, name, _ in _FAMILIES if one == told)
    raise CheckpointError(f"{path}: holds {family} ({found}), but --arch says {arch}")
