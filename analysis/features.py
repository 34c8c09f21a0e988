"""Clip → RGB and motion feature maps, from any backbone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fima.checkpoints import LoadedBackbone
from fima.errors import InputError
from fima.models.registry import BackboneInfo, FeatureTap, backbone_info
from fima.motion import frame_difference
from fima.normalise import normalise

__all__ = ["FeatureExtractor", "Features", "choose_device"]


@dataclass(frozen=True)
class Features:
    """Feature maps of the same clips from one backbone, each ``(N, C, T', H', W')``.

    Attributes:
        rgb: Of the clip.
        motion: Of its frame difference.
    """

    rgb: Tensor
    motion: Tensor


def choose_device(name: str) -> torch.device:
    """``auto`` is the first CUDA device, if there is one, else the CPU.

    Raises:
        InputError: For a device that torch does not know or this machine does not have.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(f"device {name!r} cannot be used here ({_first_line(error)}); try auto or cpu") from None
    return device


# What torch says of a clip that shrinks to nothing on its way through a backbone.
_TOO_SMALL = ("Kernel size can't be greater than", "Output size is too small", "non-zero size", "output size")


class FeatureExtractor:
    """Feature maps of clips and of their frame difference, normalised as the backbone expects.

    Args:
        loaded: The backbone and what it expects; it is moved to ``device`` and put in eval mode.
        layer: Which layer to read (a tap or any module name); None is the backbone's output.
        boundary: First frame of the difference, ``repeat`` or ``wrap`` (see ``fima.motion.frame_difference``).
        device: See ``choose_device``.
        gradient: Keep the graph, so that features can be differentiated with respect to the clip.

    Raises:
        InputError: For a layer that the backbone does not have; names the taps.

    Source: the motion features of the FIMA paper, spec §2: the same backbone fed with the frame difference.
    """

    def __init__(
        self,
        loaded: LoadedBackbone,
        *,
        layer: str | None = None,
        boundary: str = "repeat",
        device: str | torch.device = "cpu",
        gradient: bool = False,
    ) -> None:
        self.loaded, self.boundary, self.gradient = loaded, boundary, gradient
        self.device = choose_device(device) if isinstance(device, str) else device
        self.info: BackboneInfo = backbone_info(loaded.backbone, loaded.input)
        self.tap = self._choose_tap(layer)
        self.backbone = _channels_last(loaded.backbone.to(self.device)).eval()

    def __call__(self, clip: Tensor) -> Features:
        """Extract the features of clips.

        Args:
            clip: ``(N, 3, T, H, W)`` in [0, 1], T ≥ 2.

        Raises:
            InputError: If the clip is not of that shape, or too small for the backbone.
        """
        clip = clip.to(self.device)
        with torch.set_grad_enabled(self.gradient):
            motion = frame_difference(clip, boundary=self.boundary)
            if len(clip) == 1:  # torch's convolutions are about twice as slow, per clip, on a batch of one
                both = self.feature_map(torch.cat((clip, motion)))
                return Features(both[:1], both[1:])
            return Features(self.feature_map(clip), self.feature_map(motion))

    def feature_map(self, clip: Tensor) -> Tensor:
        """Feature map ``(N, C, T', H', W')`` of one clip or motion input in [0, 1], after normalisation."""
        return self.prepared_map(self.prepare(clip))

    def prepare(self, clip: Tensor) -> Tensor:
        """The backbone's input: normalised, and laid out as its convolutions want it."""
        return normalise(clip, self.loaded.input).contiguous(memory_format=torch.channels_last_3d)

    def prepared_map(self, inputs: Tensor) -> Tensor:
        """Feature map ``(N, C, T', H', W')`` of inputs that ``prepare`` made."""
        try:
            output = self._read(inputs)
        except RuntimeError as error:
            if not any(word in str(error) for word in _TOO_SMALL):
                raise
            raise InputError(
                f"a clip of {inputs.shape[2]} frames, {inputs.shape[3]} x {inputs.shape[4]} pixels does not fit "
                f"{self.loaded.arch}: {_first_line(error)}"
            ) from None
        if self.tap.to_ncthw is not None and not (isinstance(output, Tensor) and output.ndim == 5):
            output = self.tap.to_ncthw(output)
        if not isinstance(output, Tensor) or output.ndim != 5 or 0 in output.shape:
            got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise InputError(
                f"layer {self.tap.layer or 'output'} of {self.loaded.arch} must give (N, C, T', H', W'), got {got}"
            )
        return output

    def _read(self, inputs: Tensor) -> Any:
        """The tap's raw output; its hook is gone afterwards, whatever happens."""
        if not self.tap.layer:
            return self.backbone(inputs)
        seen: list[Any] = []
        module = self.backbone.get_submodule(self.tap.layer)
        handle = module.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
        try:
            self.backbone(inputs)
        finally:
            handle.remove()
        if len(seen) != 1:
            raise InputError(f"layer {self.tap.layer} runs {len(seen)} times in one pass; it must run once")
        return seen[0]

    def _choose_tap(self, layer: str | None) -> FeatureTap:
        """A published tap, or any module by name; None is the output."""
        taps = {tap.layer: tap for tap in self.info.taps}
        if layer is None:
            return self.info.taps[-1]
        if layer in taps:
            return taps[layer]
        if layer not in dict(self.loaded.backbone.named_modules()):
            raise InputError(f"--layer {layer}: not in {self.loaded.arch}; taps: {', '.join(taps)}")
        # Its shape is known once it has run; a token layer inside is laid out as the output is.
        return FeatureTap(layer, 0, 0, 0, to_ncthw=self.info.taps[-1].to_ncthw)


def _channels_last(backbone: nn.Module) -> nn.Module:
    """3-D convolutions run faster so; a module's own ``to`` would refuse one that has 2-D convolutions as well."""
    for module in backbone.modules():
        if isinstance(module, nn.Conv3d):
            module.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return backbone


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
