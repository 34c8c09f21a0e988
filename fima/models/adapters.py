"""Networks from elsewhere as backbones: whatever they return becomes a feature map ``(N, C, T', H', W')``.

Understood are ``(N, C, T', H', W')``, ``(N, T', H', W', C)``, tokens ``(N, L, C)`` with a grid, frame by frame
``(N·T', C, H', W')``, and several of these (pathways, or a mapping) with a choice. A shape that is none of them gets a
sentence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fima.errors import InputError
from fima.input_spec import InputSpec

__all__ = ["READING", "Adapter", "as_backbone", "feature_map_of"]

Choice = int | str
READING = ("grid", "num_prefix_tokens", "pathway", "channels_last")
"""What says how an output is read."""


def as_backbone(model: nn.Module | Callable[[Tensor], Any], **reading: Any) -> nn.Module:
    """A module or callable as a backbone: itself, if it publishes taps or its ``to_ncthw``, else in an `Adapter`.

    Args:
        model: takes a clip ``(N, 3, T, H, W)``; what ``reading`` leaves out it may say in attributes of those names.
        **reading: as of `Adapter`.
    """
    published = isinstance(model, Adapter) or getattr(model, "taps", None) or hasattr(model, "to_ncthw")
    if isinstance(model, nn.Module) and published and not reading:
        return model
    said = {name: getattr(model, name) for name in READING if hasattr(model, name)}
    return Adapter(model, **{**said, **reading})


class Adapter(nn.Module):
    """A module or callable from elsewhere as a backbone; its layers keep their own names.

    Args:
        model: takes a clip ``(N, 3, T, H, W)``.
        grid: ``(T', H', W')`` of its tokens.
        num_prefix_tokens: tokens before those of the grid, such as a class token.
        pathway: which of several outputs to take: a number or a key.
        channels_last: whether 5-D outputs have their channels last; None: told from the clip's shape.
        input_spec: the clip it is meant for; None: its own ``input_spec``, if it has one.

    Raises:
        InputError: if ``model`` is no callable, or a number is not one.
    """

    def __init__(
        self,
        model: nn.Module | Callable[[Tensor], Any],
        *,
        grid: Sequence[int] | None = None,
        num_prefix_tokens: int = 0,
        pathway: Choice | None = None,
        channels_last: bool | None = None,
        input_spec: InputSpec | None = None,
    ) -> None:
        super().__init__()
        if not callable(model):
            raise InputError(f"model must be a path, an nn.Module or a callable, got {type(model).__name__}")
        if grid is not None and (len(grid) != 3 or any(int(cells) < 1 for cells in grid)):
            raise InputError(f"grid must be (T', H', W'), got {tuple(grid)}")
        if num_prefix_tokens < 0:
            raise InputError(f"num_prefix_tokens must not be negative, got {num_prefix_tokens}")
        self.model = model
        self.register_state_dict_post_hook(_own_names)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_inner_names)  # type: ignore[no-untyped-call]
        self.grid = None if grid is None else (int(grid[0]), int(grid[1]), int(grid[2]))
        self.num_prefix_tokens, self.pathway, self.channels_last = num_prefix_tokens, pathway, channels_last
        spec = input_spec or getattr(model, "input_spec", None)
        if isinstance(spec, InputSpec):
            self.input_spec = spec
        self._clip = torch.Size()

    def forward(self, clip: Tensor) -> Tensor:
        """The feature map of a normalized clip, float32; the module is fed on its own device, in its own precision.

        Raises:
            InputError: if the output is nothing that can be understood.
        """
        like = next((p for p in self.parameters() if p.is_floating_point()), clip)
        self._clip = clip.shape
        return self._feature_map(self.model(clip.to(like.device, like.dtype)))

    def layout(self, layer: str) -> Callable[[Any], Tensor] | None:
        """How a layer's output becomes a feature map: as the module's own does."""
        return self._feature_map if layer else None

    def named_modules(self, *args: Any, **keywords: Any) -> Iterator[tuple[str, nn.Module]]:
        """Layers under the names that they have in the user's module."""
        for name, module in super().named_modules(*args, **keywords):
            yield name.removeprefix("model."), module

    def get_submodule(self, target: str) -> nn.Module:
        """A layer by the name that it has in the user's module."""
        inner = self.model
        return inner.get_submodule(target) if isinstance(inner, nn.Module) and target else super().get_submodule(target)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name in ("model", "input_spec"):
                raise
            return getattr(self.model, name)

    def _feature_map(self, output: Any) -> Tensor:
        return feature_map_of(
            output,
            self._clip,
            grid=self.grid,
            num_prefix_tokens=self.num_prefix_tokens,
            pathway=self.pathway,
            channels_last=self.channels_last,
        ).float()


def _own_names(adapter: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    """Entries are saved under the names that they have in the user's module."""
    for key in [key for key in state if key.startswith(f"{prefix}model.")]:
        state[prefix + key.removeprefix(f"{prefix}model.")] = state.pop(key)


def _inner_names(adapter: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for key in [key for key in state if key.startswith(prefix)]:
        state[f"{prefix}model." + key.removeprefix(prefix)] = state.pop(key)


def feature_map_of(
    output: Any,
    clip: Sequence[int],
    *,
    grid: tuple[int, int, int] | None = None,
    num_prefix_tokens: int = 0,
    pathway: Choice | None = None,
    channels_last: bool | None = None,
) -> Tensor:
    """A network's output as a feature map.

    Args:
        output: what it returned; a pair of tokens and their grid, as pytorchvideo's MViT gives it, brings its own.
        clip: shape ``(N, 3, T, H, W)`` of what it was fed.
        grid: ``(T', H', W')`` of tokens.
        num_prefix_tokens: before those of the grid.
        pathway: which of several outputs.
        channels_last: of 5-D outputs; None: told from the clip's shape, channels first where both fit.

    Returns:
        ``(N, C, T', H', W')``.

    Raises:
        InputError: if there is no such reading; the message says what is missing.

    Examples:
        >>> tokens = torch.zeros(2, 1 + 8 * 4 * 4, 64)
        >>> feature_map_of(tokens, (2, 3, 16, 64, 64), grid=(8, 4, 4), num_prefix_tokens=1).shape
        torch.Size([2, 64, 8, 4, 4])
    """
    tensor, own = _choose(output, pathway)
    if tensor.ndim == 5:
        last = _channels_are_last(tensor.shape, clip) if channels_last is None else channels_last
        return tensor.movedim(-1, 1) if last else tensor
    if tensor.ndim == 3:
        return _from_tokens(tensor, own or grid, num_prefix_tokens)
    if tensor.ndim == 4 and tensor.shape[0] % clip[0] == 0:
        return tensor.reshape(clip[0], -1, *tensor.shape[1:]).movedim(2, 1)
    hint = "; it is pooled already: give the module before its head" if tensor.ndim == 2 else ""
    raise InputError(
        f"the model returns {tuple(tensor.shape)} for a clip {tuple(clip)}; expected (N, C, T', H', W'), "
        f"(N, T', H', W', C), (N, tokens, C) with grid=, or (N·T', C, H', W'){hint}"
    )


def _choose(output: Any, pathway: Choice | None) -> tuple[Tensor, tuple[int, int, int] | None]:
    """The tensor among several outputs, and the grid that comes with it."""
    if isinstance(output, Tensor):
        return output, None
    if hasattr(output, "last_hidden_state") and pathway is None:
        return output.last_hidden_state, None
    parts = dict(output) if isinstance(output, Mapping) else dict(enumerate(_listed(output)))
    if _is_grid(parts.get(1)) and isinstance(parts.get(0), Tensor):
        steps, height, width = (int(cells) for cells in parts[1])
        return parts[0], (steps, height, width)
    tensors = {key: part for key, part in parts.items() if isinstance(part, Tensor)}
    if pathway is None and len(tensors) == 1:
        return next(iter(tensors.values())), None
    if pathway not in tensors:
        shapes = ", ".join(f"{key!r} {tuple(part.shape)}" for key, part in tensors.items())
        raise InputError(f"the model returns {len(tensors)} outputs ({shapes}); choose with pathway=, got {pathway!r}")
    return tensors[pathway], None


def _listed(output: Any) -> Sequence[Any]:
    if isinstance(output, list | tuple):
        return output
    raise InputError(f"the model returns a {type(output).__name__}, expected a tensor or several of them")


def _is_grid(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 3 and all(isinstance(number, int) for number in value)


def _from_tokens(tokens: Tensor, grid: tuple[int, int, int] | None, prefix: int) -> Tensor:
    count = tokens.shape[1]
    if grid is None:
        raise InputError(
            f"the model returns tokens {tuple(tokens.shape)}; say grid=(T', H', W'), and num_prefix_tokens= if there "
            "is a class token"
        )
    cells = math.prod(grid)
    if prefix + cells != count:
        hint = f"; num_prefix_tokens={count - cells} would fit" if 0 < count - cells <= 16 else ""
        raise InputError(f"grid {grid} has {cells} cells, {prefix} tokens before it; the model returns {count}{hint}")
    return tokens[:, prefix:].reshape(len(tokens), *grid, -1).movedim(-1, 1)


def _channels_are_last(shape: Sequence[int], clip: Sequence[int]) -> bool:
    """Whether that reading gives the better grid: not finer than the clip, and nearer to its aspect."""

    def misfit(grid: Sequence[int]) -> float:
        if any(cells > length for cells, length in zip(grid, clip[2:], strict=True)):
            return math.inf
        return abs(math.log(grid[1] * clip[4] / (grid[2] * clip[3])))

    return misfit(shape[1:4]) < misfit(shape[2:5])
