"""The one way to read layers of a network: hooks that are gone afterwards, whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from fima.errors import InputError
from fima.models.registry import BackboneInfo, FeatureTap

__all__ = ["capture", "find_tap", "read_maps"]

Keep = Callable[[nn.Module, tuple[Any, ...], Any], Any]
"""(layer, its inputs, its output) → what is kept of one run."""


def _output(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
    return output


@contextmanager
def capture(model: nn.Module, layers: Iterable[str], keep: Keep = _output) -> Iterator[dict[str, list[Any]]]:
    """Note what layers give while the model runs inside the block.

    Args:
        model: any module; nothing of it is changed, and no hook stays.
        layers: names as in ``named_modules()``; ``""`` is the model itself.
        keep: what to note of each run; by default the layer's output.

    Yields:
        Layer → what was kept of each of its runs, in the order in which layers first ran; a layer that did not run is
        not in it.

    Raises:
        InputError: if the model has no such layer.

    Examples:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
        >>> with capture(model, ["0"]) as seen:
        ...     _ = model(torch.zeros(1, 2))
        >>> seen["0"][0].shape
        torch.Size([1, 3])
    """
    modules, seen = dict(model.named_modules()), dict[str, list[Any]]()
    layers = list(layers)
    if unknown := [name for name in layers if name not in modules]:
        raise InputError(f"{type(model).__name__} has no layer {', '.join(unknown)}")

    def note(name: str, layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        seen.setdefault(name, []).append(keep(layer, inputs, output))

    handles = [modules[name].register_forward_hook(partial(note, name)) for name in layers]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def read_maps(backbone: nn.Module, inputs: Tensor, taps: Sequence[FeatureTap]) -> dict[str, Tensor]:
    """Feature maps of some layers, from one pass.

    Args:
        backbone: takes ``inputs``.
        inputs: a normalized clip ``(N, 3, T, H, W)``.
        taps: of the backbone, as of `find_tap`.

    Returns:
        Name of the layer → ``(N, C, T', H', W')``.

    Raises:
        InputError: if a layer does not run once, or gives no feature map.
    """
    with capture(backbone, [tap.layer for tap in taps]) as seen:
        backbone(inputs)
    return {tap.layer: _feature_map(tap, seen.get(tap.layer, [])) for tap in taps}


def find_tap(backbone: nn.Module, layer: str | None, info: BackboneInfo, *, arch: str = "") -> FeatureTap:
    """How to read a layer: one that the backbone publishes, or any module by its name.

    Args:
        backbone: whose layer it is; one that lays out its layers in different ways says how in a method
            ``layout(layer)``, which returns a ``to_ncthw`` (see `FeatureTap`).
        layer: its name; None is the backbone's output.
        info: what is known of the backbone.
        arch: its name, for the message.

    Raises:
        InputError: if there is no such layer; the message lists the published ones.
    """
    taps = {tap.layer: tap for tap in info.taps}
    if layer is None:
        return info.taps[-1]
    if layer in taps:
        return taps[layer]
    if layer not in dict(backbone.named_modules()):
        name = arch or type(backbone).__name__
        raise InputError(f"--layer {layer}: not in {name}; taps: {', '.join(name or 'the output' for name in taps)}")
    layout = getattr(backbone, "layout", None)
    # Its shape is known once it has run; a token layer inside is laid out as the output is.
    return FeatureTap(layer, 0, 0, 0, layout(layer) if callable(layout) else _unless_map(info.taps[-1].to_ncthw))


def _unless_map(to_ncthw: Callable[[Any], Tensor] | None) -> Callable[[Any], Tensor] | None:
    """A layer of a module from elsewhere may give a feature map as it is, whatever the module's output needs."""
    if to_ncthw is None:
        return None
    return lambda output: output if isinstance(output, Tensor) and output.ndim == 5 else to_ncthw(output)


def _feature_map(tap: FeatureTap, runs: list[Any]) -> Tensor:
    name = f"layer {tap.layer}" if tap.layer else "the output"
    if len(runs) != 1:
        raise InputError(f"{name} runs {len(runs)} times in one pass; it must run once")
    found = runs[0] if tap.to_ncthw is None else tap.to_ncthw(runs[0])
    if not isinstance(found, Tensor) or found.ndim != 5 or 0 in found.shape:
        got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise InputError(f"{name} must give (N, C, T', H', W'), got {got}")
    return found
