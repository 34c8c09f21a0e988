"""Clip → RGB and motion feature maps, from any backbone."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from analysis.inputs.backbone.dense import shift_and_stitch
from fima.checkpoints import LoadedBackbone
from fima.errors import InputError
from fima.input_spec import InputSpec
from fima.methods.activation import channel_mean, foreground_mask
from fima.models.capture import find_tap, read_maps
from fima.models.registry import BackboneInfo, backbone_info
from fima.transforms.motion import frame_difference
from fima.transforms.normalize import normalize

__all__ = ["FeatureExtractor", "Features", "MotionPathway", "choose_device"]


@dataclass(frozen=True)
class Features:
    """Feature maps of the same clips, each ``(N, C, T', H', W')``; C may differ between two pathways.

    Attributes:
        rgb: Features of the clip.
        motion: Features of its frame difference, or of what a motion pathway sees.
    """

    rgb: Tensor
    motion: Tensor

    def foreground(self) -> Tensor:
        """``(N, H', W')`` bool: `foreground_mask` of the features of a backbone, not of projected ones."""
        return foreground_mask(channel_mean(self.rgb), channel_mean(self.motion))


@dataclass(frozen=True)
class MotionPathway:
    """A network of its own for motion, as MaCLR has it.

    Attributes:
        backbone: Its input → feature map ``(N, C, T', H', W')``.
        prepare: Clip ``(N, 3, 2T, H, W)`` in [0, 1] → the backbone's input.
        motion_input: Name of that input, for records.
    """

    backbone: nn.Module
    prepare: Callable[[Tensor], Tensor]
    motion_input: str


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


_OUTSIDE = 0.5
"""How far a filter, such as a sharp resampling, may leave [0, 1]."""


class FeatureExtractor:
    """Feature maps of clips and of their frame difference, normalized as the backbone expects.

    Args:
        loaded: The backbone and what it expects; it is moved to ``device`` and put in eval mode.
        layer: Which layer to read (a tap or any module name); None is the backbone's output.
        boundary: First frame of the difference, ``repeat`` or ``wrap`` (see
        ``fima.transforms.motion.frame_difference``).
        device: See ``choose_device``.
        gradient: Keep the graph, so that features can be differentiated with respect to the clip.
        pathway: Makes the motion features instead of the backbone; clips then have twice the frames at half the stride
            (``reads``), and the backbone sees every second one.
        dense: Cells of the backbone's feature maps per cell of its own grid, along height and width, by as many shifts
            of the clip (`analysis.inputs.backbone.dense`): ``dense²`` passes instead of one.

    Attributes:
        reads: What clips must be: the backbone's input, but for the frames of a motion pathway.

    Raises:
        InputError: For a layer that the backbone does not have (names the taps), or a stride that has no half.

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
        pathway: MotionPathway | None = None,
        dense: int = 1,
    ) -> None:
        self.loaded, self.boundary, self.gradient, self.dense = loaded, boundary, gradient, dense
        self.device = choose_device(device) if isinstance(device, str) else device
        self.info: BackboneInfo = backbone_info(loaded.backbone, loaded.input)
        self.tap = find_tap(loaded.backbone, layer, self.info, arch=loaded.arch)
        self.backbone = _channels_last(loaded.backbone.to(self.device)).eval()
        self.pathway, self.reads = pathway, loaded.input
        if pathway is not None:
            self.reads = _denser(loaded.input)
            _channels_last(pathway.backbone.to(self.device)).eval()

    def __call__(self, clip: Tensor) -> Features:
        """Extract the features of clips.

        Args:
            clip: ``(N, 3, T, H, W)`` in [0, 1], T ≥ 2.

        Raises:
            InputError: If the clip is not of that shape, or too small for the backbone.
        """
        clip = self.as_clip(clip)
        self.backbone.eval()  # a training loop may have left it otherwise
        with torch.set_grad_enabled(self.gradient):
            if self.pathway is not None:
                rgb = self.feature_map(clip[:, :, ::2])
                return Features(rgb, self._motion_map(clip, rgb.shape, self.pathway))
            motion = frame_difference(clip, boundary=self.boundary)
            if len(clip) == 1:  # torch's convolutions are about twice as slow, per clip, on a batch of one
                both = self.feature_map(torch.cat((clip, motion)))
                return Features(both[:1], both[1:])
            return Features(self.feature_map(clip), self.feature_map(motion))

    def as_clip(self, clip: Tensor) -> Tensor:
        """Any array or tensor of numbers in [0, 1], as the backbone's weights are."""
        clip = torch.as_tensor(clip).to(self.device, torch.float32)
        if clip.numel() and not (clip.min() >= -_OUTSIDE and clip.max() <= 1 + _OUTSIDE):
            raise InputError(f"a clip must lie in [0, 1], got values from {clip.min():.3g} to {clip.max():.3g}")
        return clip

    def feature_map(self, clip: Tensor) -> Tensor:
        """Feature map ``(N, C, T', H', W')`` of one clip or motion input in [0, 1], after normalization."""
        return self.prepared_map(self.prepare(clip))

    def prepare(self, clip: Tensor) -> Tensor:
        """The backbone's input: normalized, and laid out as its convolutions want it."""
        return normalize(clip, self.loaded.input).contiguous(memory_format=torch.channels_last_3d)

    def prepared_map(self, inputs: Tensor) -> Tensor:
        """Feature map ``(N, C, T', H', W')`` of inputs that ``prepare`` made."""
        if self.dense == 1:
            return self.finite(self._read(inputs))
        return self.finite(shift_and_stitch(self._read, inputs, self.dense, stride=self.tap.spatial_stride))

    def coarse(self) -> Self:
        """The same extractor, whose maps have the backbone's own grid."""
        plain = copy.copy(self)
        plain.dense = 1
        return plain

    def _read(self, inputs: Tensor) -> Tensor:
        inputs = inputs.contiguous(memory_format=torch.channels_last_3d)
        maps: dict[str, Tensor] = self.fitting(inputs, lambda: read_maps(self.backbone, inputs, [self.tap]))
        return maps[self.tap.layer]

    def _motion_map(self, clip: Tensor, rgb: torch.Size, pathway: MotionPathway) -> Tensor:
        """The pathway's feature map, averaged over time to the slices of RGB's."""
        motion: Tensor = self.fitting(clip, lambda: pathway.backbone(pathway.prepare(clip)))
        if motion.shape[3:] != rgb[3:] or motion.shape[2] % rgb[2]:
            grids = [" x ".join(map(str, shape[2:])) for shape in (rgb, motion.shape)]
            raise InputError(
                f"features cannot be compared: RGB's are {grids[0]}, those of the motion pathway {grids[1]}"
            )
        n, channels, slices, *grid = self.finite(motion).shape
        return motion.reshape(n, channels, rgb[2], slices // rgb[2], *grid).mean(dim=3)

    def finite(self, features: Tensor) -> Tensor:
        """Features that are numbers; what is not would be drawn, and averaged, as if it were something."""
        if not bool(torch.isfinite(features).all()):
            name = self.loaded.path or self.loaded.arch
            raise InputError(f"{name}: its features are not finite; look at the checkpoint with fima info")
        return features

    def fitting(self, inputs: Tensor, run: Callable[[], Any]) -> Any:
        """What ``run`` gives; a clip that is too small for it is refused in words."""
        try:
            return run()
        except RuntimeError as error:
            if not any(word in str(error) for word in _TOO_SMALL):
                raise
            raise InputError(
                f"a clip of {inputs.shape[2]} frames, {inputs.shape[3]} x {inputs.shape[4]} pixels does not fit "
                f"{self.loaded.arch}: {_first_line(error)}"
            ) from None


def _channels_last(backbone: nn.Module) -> nn.Module:
    """3-D convolutions run faster so; a module's own ``to`` would refuse one that has 2-D convolutions as well."""
    for module in backbone.modules():
        if isinstance(module, nn.Conv3d):
            module.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return backbone


def _denser(spec: InputSpec) -> InputSpec:
    """Twice the frames in the same time."""
    if spec.frame_stride % 2:
        raise InputError(f"frame_stride must be even, motion is read at half of it; got {spec.frame_stride}")
    return spec.replace(num_frames=2 * spec.num_frames, frame_stride=spec.frame_stride // 2)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
