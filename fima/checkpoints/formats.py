"""Whose checkpoint is this? Tables of wrappers, prefixes, families and of what may be left aside.

Facts from ZMHH-H/FIMA `train.py`, `eval.py`, `moco/builder.py` (commit 37ef9ac); Mark12Ding/FAME `moco/builder.py`
(164b2d7); amazon-science/self-supervised-maclr `slowfast/utils/checkpoint.py` (b2fb317); DAVEISHAN/TCLR
`linear_eval/model.py` (4f3f555). A new family is a row in `FORMATS`, and a prefix in `_CORES` if it has its own.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import Any

import torch
from torch import Tensor

from fima.checkpoints.containers import Unwrapped, some
from fima.errors import CheckpointError, InputError
from fima.files.reading import parse_yaml
from fima.input_spec import FIMA_112, MACLR, MACLR_FINETUNED, TCLR, TORCHVISION, InputSpec
from fima.models.registry import backbone_names, create_backbone, is_custom

__all__ = [
    "FORMATS",
    "METHOD",
    "NATIVE",
    "CheckpointFormat",
    "Found",
    "find_backbone",
]

#: The value of ``format`` in the files that `fima.checkpoints.save_backbone` writes.
NATIVE = "fima-backbone"

#: The same of whole methods, as `fima.methods.save_method` and ``fima pretrain`` write them.
METHOD = "fima-method"

#: What DataParallel, DistributedDataParallel and torch.compile put in front of every key.
_OUTER = ("", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.")

#: Where methods keep the backbone, in order of preference: the query encoder, never the key encoder.
_CORES = ("encoder_q.", "encoder_q.backbone.", "backbone.", "", "0.")

_TCLR_CORE = "0."

#: What is looked for by names and shapes; not the dilated R3D-18, which has those of r3d_18.
_GUESSED = ("i3d", "r2plus1d_18", "r3d_18", "slow_r50", "small", "tiny")

#: Settings that a checkpoint's shapes reveal: PySlowFast's plain Slow, and MaCLR's motion pathway at full width.
_VARIANTS: Mapping[str, tuple[dict[str, Any], ...]] = {
    "slow_r50": ({}, {"stem_temporal_kernel": 1}, {"temporal_kernels": (3, 3, 3, 3)}),
}

#: The least share of an architecture's entries a file must name to be taken for it.
_ENOUGH = 0.5

#: Networks beside the one that was trained, whose weights are not taken unless there are no others.
_COPIES = re.compile(r"(?:^|[._])(?:k|key|ema|teacher|target|momentum)[._]")

_REASONS = (
    (r"encoder_k\b|_k\.", "key network"),
    (r"^motion_encoder_q\.", "motion pathway"),
    (r"queue", "queue of keys"),
    (r"transformer_decoder|embedding[12]?\b|cls_token|pos_embedding|motion_decoder", "motion decoder"),
    (r"^(fc|head|classifier|linear)\b|\.(fc|head|classifier|linear)\b", "classifier or head"),
    (_COPIES.pattern, "copy of the network"),
    (r"projector|projection|id_head|mlp", "projector"),
)


@dataclass(frozen=True)
class Found:
    """A backbone found in a state dict.

    Attributes:
        arch, settings: what to build.
        outer, core: the two parts of the prefix of its keys.
        share: how much of the architecture the file names, in [0, 1].
        source: where it was found.
        others: prefixes of other networks in the file that have the same entries and are no copies by their names.
    """

    arch: str
    settings: dict[str, Any]
    outer: str
    core: str
    share: float
    source: Unwrapped
    others: tuple[str, ...] = ()

    @property
    def prefix(self) -> str:
        """What stands in front of the backbone's keys."""
        return self.outer + self.core

    def place(self, key: str) -> str | None:
        """The name of an entry in the backbone; None if it is outside the backbone's part of the file."""
        return key.removeprefix(self.prefix) if key.startswith(self.prefix) else None

    def reason(self, key: str) -> str:
        """Why an entry outside the backbone is left aside."""
        inner = key.removeprefix(self.outer)
        if self.core == _TCLR_CORE and inner.startswith("1."):
            return "projector"
        return next((reason for pattern, reason in _REASONS if re.search(pattern, inner)), "outside the backbone")

    def has(self, name: str) -> bool:
        """Whether the file has an entry beside the backbone's, such as ``fc.weight``."""
        return self.prefix + name in self.source.state


@dataclass(frozen=True)
class CheckpointFormat:
    """A family of checkpoints: how to know it, and what its backbones were fed."""

    name: str
    matches: Callable[[Found], bool]
    input_spec: Callable[[Found], InputSpec]


def find_backbone(source: Unwrapped, path: object, arch: str | None = None) -> Found:
    """Which architecture, and under which prefix, covers most of the file.

    Args:
        source: from `unwrap`.
        path: for messages.
        arch: only look for this one.

    Raises:
        CheckpointError: if none is there, or if the names fit two architectures and ``arch`` is not given.
        InputError: if ``arch`` is unknown.
    """
    names = [arch] if arch else _GUESSED
    candidates = [found for name in names for found in _candidates(source, name)]
    # The first of equals wins: the order of _VARIANTS, _OUTER and _CORES is the order of preference.
    best = max(candidates, key=lambda found: found.share, default=None)
    if best is None or (arch is None and best.share < _ENOUGH):
        raise CheckpointError(_not_found(source, path, arch))
    if arch is None and _could_be_tclr(best):
        raise CheckpointError(
            f"{path}: its keys fit both R3D-18 and TCLR's dilated R3D-18, which share names and shapes; "
            "say which with --arch r3d_18_dilated (TCLR) or --arch r3d_18"
        )
    others = dict.fromkeys(found.prefix for found in candidates if (found.arch, found.share) == (best.arch, best.share))
    return replace(best, others=tuple(p for p in others if p != best.prefix and not _COPIES.search(p)))


def _candidates(source: Unwrapped, arch: str) -> Iterator[Found]:
    for settings in _VARIANTS.get(arch, ({},)):
        shapes = _entries(arch, tuple(settings.items()))
        for outer, core in (*product(_OUTER, _CORES), *_other_prefixes(source.state, shapes)):
            share = _share(source.state, outer + core, shapes)
            if share:
                yield Found(arch, dict(settings), outer, core, share, source)


def _other_prefixes(state: Mapping[str, Any], shapes: Mapping[str, torch.Size]) -> Iterator[tuple[str, str]]:
    """What else stands before the first entries of an architecture: ``model.``, ``net.``, a class of the user's own.

    Copies of the trained network, such as a momentum encoder, come last.
    """
    entries = tuple(islice(shapes, 2))
    ends = [(key, entry) for key in state for entry in entries if key.endswith("." + entry)]
    prefixes = dict.fromkeys(key.removesuffix(entry) for key, entry in ends)
    for prefix in sorted(prefixes, key=lambda prefix: bool(_COPIES.search(prefix))):
        yield "", prefix


def _share(state: Mapping[str, Any], prefix: str, shapes: Mapping[str, torch.Size]) -> float:
    """Share of the entries that are there; those of another shape count nearly as much, to prefer the right variant."""
    points = 0.0
    for name, shape in shapes.items():
        value = state.get(prefix + name)
        if isinstance(value, Tensor):
            points += 1.0 if value.shape == shape else 0.9
    return points / len(shapes)


@functools.lru_cache(maxsize=32)
def _entries(arch: str, settings: tuple[tuple[str, Any], ...]) -> dict[str, torch.Size]:
    """Names and shapes of an architecture's weights and statistics, without making any."""
    # The user's own code is built as it is: it may not work on the meta device.
    with torch.device("cpu" if is_custom(arch) else "meta"):
        backbone = create_backbone(arch, **dict(settings))
    entries = {name: value.shape for name, value in backbone.state_dict().items() if isinstance(value, Tensor)}
    counted = {name: shape for name, shape in entries.items() if not name.endswith("num_batches_tracked")}
    if not counted:
        raise InputError(f"--arch {arch}: has no weights to load")
    return counted


def _could_be_tclr(found: Found) -> bool:
    """TCLR's prefix, or its classifier of UCF101 with 102 outputs (`linear_eval/model.py`)."""
    if found.arch != "r3d_18":
        return False
    classifier = found.source.state.get(found.prefix + "fc.weight")
    return found.core == _TCLR_CORE or (isinstance(classifier, Tensor) and classifier.shape[0] == 102)


def _not_found(source: Unwrapped, path: object, arch: str | None) -> str:
    seen = f"{path}: {len(source.state)} entries such as {some(source.state)}"
    if arch is None:
        nearest, count, size = _nearest(source.state)
        return (
            f"{seen} are of no network known here; nearest is {nearest}, {count} of whose {size} kinds of entries are "
            "there; understood are fima's own files and those of FIMA, FAME and MoCo, MaCLR and PySlowFast, "
            "torchvision, TCLR, VideoMAE, V-JEPA, TimeSformer, Hiera and UniFormer; another network needs --arch "
            "package.module:factory"
        )
    try:
        guess = f"; they look like {find_backbone(source, path).arch}"
    except CheckpointError:
        guess = ""
    return f"{seen} fit nothing of --arch {arch}{guess}"


def _nearest(state: Mapping[str, Any]) -> tuple[str, int, int]:
    """The architecture that shares most kinds of names with a file: (its name, how many, how many it has)."""
    kinds = {_kind(key) for key in state}
    names = [name for name in backbone_names() if name != "transformers"]  # an extra may not be installed
    own = {name: {_kind(key) for key in _entries(name, ())} for name in names}
    best = max(names, key=lambda name: len(own[name] & kinds) / len(own[name]))
    return best, len(own[best] & kinds), len(own[best])


def _kind(key: str) -> str:
    """The end of a name, whatever the number of the block."""
    return ".".join(re.sub(r"\d+", "N", key).split(".")[-3:])


def _usual_input(found: Found) -> InputSpec:
    """What the architecture is meant for; the user's own module may say it in ``input_spec``."""
    with torch.device("cpu" if is_custom(found.arch) else "meta"):
        spec = getattr(create_backbone(found.arch, **found.settings), "input_spec", None)
    return spec if isinstance(spec, InputSpec) else FIMA_112


def _pyslowfast_input(found: Found) -> InputSpec:
    """From the configuration PySlowFast saves in its checkpoints; without one, MaCLR's fine-tuning or pre-training."""
    finetuned = found.has("head.projection.weight") and not found.settings and found.core == ""
    usual = MACLR_FINETUNED if finetuned else MACLR
    config = found.source.metadata.get("cfg")
    if not isinstance(config, str):
        return usual
    try:
        data = parse_yaml(config, "cfg")["DATA"]
        return InputSpec(
            mean=data.get("MEAN", usual.mean),
            std=data.get("STD", usual.std),
            channel_order="bgr" if data.get("REVERSE_INPUT_CHANNEL") or data.get("USE_BGR_ORDER") else "rgb",
            num_frames=data["NUM_FRAMES"],
            frame_stride=data["SAMPLING_RATE"],
            size=data["TRAIN_CROP_SIZE"],
        )
    except (AttributeError, KeyError, TypeError, InputError):
        return usual  # a configuration of another program


def _is_resnet18(found: Found) -> bool:
    return found.arch in ("r3d_18", "r2plus1d_18")


#: The families, the first that matches wins; files of `NATIVE` say themselves what they are.
FORMATS: tuple[CheckpointFormat, ...] = (
    CheckpointFormat("TCLR", lambda f: f.arch == "r3d_18_dilated" or f.core == _TCLR_CORE, lambda _: TCLR),
    CheckpointFormat(
        "MaCLR pre-training", lambda f: f.arch == "slow_r50" and f.core.startswith("encoder_q."), _pyslowfast_input
    ),
    CheckpointFormat("MaCLR / PySlowFast", lambda f: f.arch == "slow_r50", _pyslowfast_input),
    CheckpointFormat("FIMA, FAME, MoCo pre-training", lambda f: f.core.startswith("encoder_q."), _usual_input),
    CheckpointFormat(
        "torchvision",
        lambda f: _is_resnet18(f) and f.source.wrapper is None and f.prefix == "",
        lambda _: TORCHVISION,
    ),
    CheckpointFormat("fine-tuned (FIMA)", lambda f: f.has("fc.weight"), _usual_input),
    CheckpointFormat("state dict", lambda _: True, _usual_input),
)
