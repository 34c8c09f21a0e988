"""ViViT and VideoPrism as the library transformers builds them, with their tokens put on the grid."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from fima.errors import InputError
from fima.input_spec import InputSpec
from fima.models.hub.layers import check_multiples
from fima.models.registry import FeatureTap

__all__ = ["MODEL_TYPES", "TransformersBackbone"]

#: ``model_type`` → (configuration, model) in transformers.
MODEL_TYPES: Mapping[str, tuple[str, str]] = {
    "vivit": ("VivitConfig", "VivitModel"),
    "videoprism_vision_model": ("VideoPrismVisionConfig", "VideoPrismVisionModel"),
}

#: ViViT's processor halves the range twice; VideoPrism takes [0, 1] as it is.
_USUAL = {
    "vivit": InputSpec((0.75,) * 3, (0.25,) * 3, frame_stride=2),
    "videoprism_vision_model": InputSpec((0.0,) * 3, (1.0,) * 3, frame_stride=2),
}


class TransformersBackbone(nn.Module):
    """``(N, 3, T, H, W)`` → ``(N, C, T', H', W')``, for clips of the size its configuration says.

    Args:
        config: of the model, as ``config.json`` holds it; its ``model_type`` is one of `MODEL_TYPES`; None: ViViT-B.
        model: already built; by default built here, with random weights.

    Raises:
        InputError: if transformers is not installed, or the configuration is of another model.
    """

    def __init__(self, config: Mapping[str, Any] | None = None, *, model: nn.Module | None = None) -> None:
        super().__init__()
        config = dict(config or {"model_type": "vivit"})
        self.settings: dict[str, Any] = {"config": config}
        kind = str(config.get("model_type"))
        if kind not in MODEL_TYPES:
            raise InputError(f"config must be of {' or '.join(MODEL_TYPES)}, got {kind}")
        self.model, self.kind = model or _build(kind, config), kind
        known: Any = self.model.config
        tubelet, patch = known.tubelet_size[0], known.tubelet_size[1]
        side = known.image_size if isinstance(known.image_size, int) else known.image_size[0]
        self.clip_size = (known.num_frames, side, side)
        self.channels, self.temporal_stride, self.spatial_stride = known.hidden_size, tubelet, patch
        self.input_spec = _USUAL[kind].replace(num_frames=known.num_frames, size=side)
        self.grid: tuple[int, int, int] = (known.num_frames // tubelet, side // patch, side // patch)
        self.taps = tuple(
            FeatureTap(name, self.channels, tubelet, patch, self.layout(name))
            for name in (*_layer_names(self.model), "")
        )

    def forward(self, clip: Tensor) -> Tensor:
        """The feature map of a normalized clip, after the last norm.

        Raises:
            InputError: if the clip is of another size.
        """
        check_multiples(clip, self.temporal_stride, self.spatial_stride, self.kind)
        if tuple(clip.shape[2:]) != self.clip_size:
            wanted = " x ".join(map(str, self.clip_size))
            raise InputError(f"{self.kind} takes clips of {wanted} (T x H x W) only, got {tuple(clip.shape[2:])}")
        tokens = self.model(clip.movedim(1, 2)).last_hidden_state
        return self._on_grid(tokens[:, tokens.shape[1] - self._cells :])

    def layout(self, layer: str) -> Callable[[Any], Tensor] | None:
        """How a layer's tokens become a feature map."""
        if not layer or layer.endswith("projection"):
            return None
        if "temporal" in layer:
            return self._from_places
        return self._from_frames if "spatial" in layer else self._from_tokens

    @property
    def _cells(self) -> int:
        return math.prod(self.grid)

    def _on_grid(self, tokens: Tensor) -> Tensor:
        return tokens.reshape(len(tokens), *self.grid, -1).movedim(-1, 1)

    def _from_tokens(self, output: Any) -> Tensor:
        """``(N, 1 + T'·H'·W', C)``, a class token first, or without one."""
        tokens = output[0] if isinstance(output, tuple) else output
        return self._on_grid(tokens[:, tokens.shape[1] - self._cells :])

    def _from_frames(self, output: Any) -> Tensor:
        """``(N·T', H'·W', C)``."""
        return self._on_grid(output.reshape(-1, self._cells, output.shape[-1]))

    def _from_places(self, output: Any) -> Tensor:
        """``(N·H'·W', T', C)``."""
        steps, height, width = self.grid
        return output.reshape(-1, height, width, steps, output.shape[-1]).permute(0, 4, 3, 1, 2)  # type: ignore[no-any-return]


def _build(kind: str, config: Mapping[str, Any]) -> nn.Module:
    try:
        library = importlib.import_module("transformers")
    except ImportError as error:
        raise InputError(f"{kind} needs transformers; pip install '.[hub]' in the clone ({error})") from None
    config_class, model_class = (getattr(library, name) for name in MODEL_TYPES[kind])
    values = {name: value for name, value in config.items() if name not in ("model_type", "architectures")}
    extra = {"add_pooling_layer": False} if kind == "vivit" else {}
    return model_class(config_class(**values), **extra)  # type: ignore[no-any-return]


def _layer_names(model: nn.Module) -> list[str]:
    lists = [name for name, module in model.named_children() if isinstance(module, nn.ModuleList)]
    return [f"model.{name}.{number}" for name in lists for number in range(len(model.get_submodule(name)))]  # type: ignore[arg-type]
