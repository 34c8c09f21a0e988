"""Backbones by name, and what each of them says about itself.

A backbone is any ``nn.Module`` that takes a normalized clip ``(N, 3, T, H, W)`` and returns a feature map
``(N, C, T', H', W')`` alone. Ours also publish, as attributes:

- ``channels``, ``temporal_stride``, ``spatial_stride``: of that feature map; ``T' = T / temporal_stride``, rounded up
  or down where that does not divide;
- ``taps``: the layers worth looking at (`FeatureTap`), the output last;
- ``input_spec``: the clip it is meant for (`fima.input_spec.InputSpec`);
- ``settings``: the keyword arguments that build it again.

A module from elsewhere may define any of them; `backbone_info` finds out the rest with a dry run.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fima.errors import InputError
from fima.input_spec import FIMA_112, InputSpec
from fima.models.adapters import as_backbone

__all__ = [
    "BackboneInfo",
    "FeatureTap",
    "backbone_info",
    "backbone_names",
    "create_backbone",
    "initialize_weights",
    "is_custom",
]

#: Name of each backbone → ``module:factory``, imported when it is asked for.
_FACTORIES = {
    "i3d": "fima.models.i3d:I3D",
    "r2plus1d_18": "fima.models.resnet3d:r2plus1d_18",
    "r3d_18": "fima.models.resnet3d:r3d_18",
    "r3d_18_dilated": "fima.models.resnet3d:r3d_18_dilated",
    "slow_r50": "fima.models.slow:SlowResNet50",
    "small": "fima.models.small:Small",
    "tiny": "fima.models.tiny:Tiny",
    "videomae": "fima.models.hub.vit:VideoTransformer",
    "videomae-small": "fima.models.hub.vit:videomae_small",
    "videomae-tiny": "fima.models.hub.vit:videomae_tiny",
    "vjepa1": "fima.models.hub.vit:vjepa1",
    "vjepa2": "fima.models.hub.vit:vjepa2",
    "vjepa21": "fima.models.hub.vit:vjepa21",
    "timesformer": "fima.models.hub.timesformer:TimeSformer",
    "hiera": "fima.models.hub.hiera:Hiera",
    "uniformer": "fima.models.hub.uniformer:UniFormer",
    "transformers": "fima.models.hub.transformers_models:TransformersBackbone",
}


@dataclass(frozen=True)
class FeatureTap:
    """A layer whose output can be looked at.

    Attributes:
        layer: its name in ``named_modules()``; ``""`` is the backbone itself.
        channels: C of its feature map.
        temporal_stride: frames of the clip per slice: ``T' = T / temporal_stride`` for clips that it divides.
        spatial_stride: pixels per cell: ``H' = H / spatial_stride`` for clips that it divides, and W' likewise.
        to_ncthw: turns the layer's output into ``(N, C, T', H', W')`` where it is laid out otherwise, such as tokens;
            None where it already is.
    """

    layer: str
    channels: int
    temporal_stride: int
    spatial_stride: int
    to_ncthw: Callable[[Any], Tensor] | None = None


@dataclass(frozen=True)
class BackboneInfo:
    """What is known of a backbone.

    Attributes:
        channels: C of the feature map.
        temporal_stride: frames per slice.
        spatial_stride: pixels per cell.
        taps: the layers worth looking at; the last is the output.
        input: the clip the numbers hold for.
    """

    channels: int
    temporal_stride: int
    spatial_stride: int
    taps: tuple[FeatureTap, ...]
    input: InputSpec


def backbone_names() -> tuple[str, ...]:
    """The names that `create_backbone` knows."""
    return tuple(_FACTORIES)


def is_custom(arch: str) -> bool:
    """Whether an architecture is written ``package.module:factory``, that is, whether it runs the user's own code."""
    return ":" in arch


def create_backbone(name: str, **settings: Any) -> nn.Module:
    """A backbone with random weights.

    Args:
        name: one of `backbone_names`, or ``package.module:factory`` for the user's own, looked for in the current
            folder first; the factory is called with the settings and returns an ``nn.Module``.
        settings: passed to the backbone, such as ``stem_temporal_stride`` of ``slow_r50``.

    Raises:
        InputError: if the name is unknown (the message lists the known ones), if the user's module cannot be imported
            or its factory does not return a module, or if a setting is not one of the backbone's.

    Examples:
        >>> create_backbone("tiny").channels
        128
    """
    if not is_custom(name) and name not in _FACTORIES:
        raise InputError(_unknown_name(name))
    factory = _import_factory(name, _FACTORIES.get(name, name))
    _check_settings(name, factory, settings)
    try:
        backbone = factory(**settings)
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        if not is_custom(name):
            raise
        raise InputError(f"--arch {name}: the factory raised {type(error).__name__}: {error}") from error
    if not isinstance(backbone, nn.Module):
        raise InputError(f"--arch {name}: must return an nn.Module, got {type(backbone).__name__}")
    return as_backbone(backbone) if is_custom(name) else backbone


def backbone_info(
    backbone: nn.Module,
    input_spec: InputSpec | None = None,
    *,
    to_ncthw: Callable[[Any], Tensor] | None = None,
) -> BackboneInfo:
    """What a backbone says about itself, completed by a dry run where it is silent.

    Args:
        backbone: ours, or any module that takes ``(N, 3, T, H, W)``.
        input_spec: the clip to answer for; by default the backbone's own ``input_spec``, and for a module without one
            16 frames of 112 pixels. It matters where a stride depends on the number of frames (``slow_r50``).
        to_ncthw: turns the output of a module from elsewhere into ``(N, C, T', H', W')``; by default its own
            ``to_ncthw``, if it has one.

    Raises:
        InputError: if the output of a module from elsewhere is no 5-D tensor, or the dry run fails.
    """
    spec = input_spec or getattr(backbone, "input_spec", None) or FIMA_112
    at_frames = getattr(backbone, "taps_at", None)
    taps = at_frames(spec.num_frames) if callable(at_frames) else getattr(backbone, "taps", None)
    if not taps:
        taps = (_probe(backbone, spec, to_ncthw or getattr(backbone, "to_ncthw", None)),)
    output = taps[-1]
    return BackboneInfo(output.channels, output.temporal_stride, output.spatial_stride, tuple(taps), spec)


def initialize_weights(module: nn.Module) -> None:
    """Kaiming normal (fan out, ReLU) for convolutions, 1 and 0 for batch normalization, in place.

    As torchvision's video resnets, and so FIMA's, start. I3D's and MaCLR's reference code differ (PyTorch's default; a
    zero last scale in each block), which matters only to a network that is trained from scratch.
    """
    for layer in module.modules():
        if any(parameter.is_meta for parameter in layer.parameters(recurse=False)):
            continue  # nothing to fill, and drawing on the meta device makes torch load its compiler first
        if isinstance(layer, nn.Conv3d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm3d):
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)


def _unknown_name(name: str) -> str:
    known = ", ".join(_FACTORIES)
    close = difflib.get_close_matches(name.lower().replace("-", "_"), _FACTORIES, n=1)
    guess = f" (did you mean {close[0]}?)" if close else ""
    return f"--arch {name}: no such architecture{guess}; known: {known}, or your own as package.module:factory"


def _import_factory(name: str, target: str) -> Callable[..., Any]:
    module_name, _, attribute = target.partition(":")
    try:
        with _current_folder_importable(enabled=is_custom(name)):
            factory = getattr(importlib.import_module(module_name), attribute)
    except (Exception, SystemExit) as error:
        if not is_custom(name):
            raise
        raise InputError(f"--arch {name}: cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(factory):
        raise InputError(f"--arch {name}: {attribute} is a {type(factory).__name__}, expected a callable")
    return factory  # type: ignore[no-any-return]  # whatever the user wrote


@contextmanager
def _current_folder_importable(*, enabled: bool) -> Iterator[None]:
    """Put the current folder on the module path, as ``python -m`` does and an installed command does not."""
    folder = str(Path.cwd())
    added = enabled and folder not in sys.path
    if added:
        sys.path.insert(0, folder)
    try:
        yield
    finally:
        if added:
            sys.path.remove(folder)


def _check_settings(name: str, factory: Callable[..., Any], settings: dict[str, Any]) -> None:
    try:
        inspect.signature(factory).bind(**settings)
    except TypeError as error:
        known = ", ".join(inspect.signature(factory).parameters) or "none"
        raise InputError(f"--arch {name}: {error}; its settings are: {known}") from None
    except ValueError:
        return  # a factory without a readable signature: its own call will tell


def _probe(backbone: nn.Module, spec: InputSpec, to_ncthw: Callable[[Any], Tensor] | None) -> FeatureTap:
    """One dry run on zeros, without gradient and without touching running statistics or modes."""
    name = type(getattr(backbone, "model", backbone)).__name__
    try:
        with _evaluating(backbone), torch.no_grad():
            output = backbone(_zeros_for(backbone, spec))
            if to_ncthw is not None:
                output = to_ncthw(output)
    except InputError:
        raise
    except Exception as error:
        size = (1, 3, spec.num_frames, spec.size, spec.size)
        raise InputError(f"{name} fails on a clip {size}: {type(error).__name__}: {error}") from error
    if not isinstance(output, Tensor) or output.ndim != 5:
        found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise InputError(
            f"{name} must return a feature map (N, C, T', H', W'), got {found}; give it a to_ncthw(output) method"
        )
    _, channels, steps, height, _ = output.shape
    temporal, spatial = max(1, round(spec.num_frames / steps)), max(1, round(spec.size / height))
    return FeatureTap("", channels, temporal, spatial, to_ncthw)


def _zeros_for(backbone: nn.Module, spec: InputSpec) -> Tensor:
    like = next((p for p in backbone.parameters() if p.is_floating_point()), torch.zeros(()))
    return torch.zeros(1, 3, spec.num_frames, spec.size, spec.size, dtype=like.dtype, device=like.device)


@contextmanager
def _evaluating(backbone: nn.Module) -> Iterator[None]:
    """Eval mode inside, and every module's own mode again after, whatever happens."""
    modes = [(module, module.training) for module in backbone.modules()]
    backbone.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
