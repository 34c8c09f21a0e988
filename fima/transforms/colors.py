"""Color augmentation of clips: grayscale, jitter and blur, the same on all frames of a clip, drawn by sample.

kornia's functions are the tests' oracle; this module does the same arithmetic with the parameters of each clip given,
on planes that stay in the cache, and writes the layout that convolutions like best.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import permutations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from fima.errors import InputError
from fima.input_spec import InputSpec
from fima.seeding import SampleKeys, uniforms
from fima.transforms.color_ranges import ColorRanges

__all__ = ["LUMA", "ColorAugment", "Colors", "apply_colors", "blur_kernel_size"]

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luma of ITU-R BT.601."""
_ORDERS = np.array(list(permutations(range(4))))
_COLORLESS = (2, 3)  # saturation and hue leave a gray picture as it is
_Members = slice | Tensor
_Factor = float | Tensor  # of one clip, or (n, 1, 1, 1, 1)


@dataclass(frozen=True)
class Colors:
    """What to do with the colors of N clips; arrays ``(N,)`` unless said.

    Attributes:
        gray: bool: to luma, first.
        jitter: bool: brightness, contrast, saturation and hue, next, in the clip's order.
        brightness, contrast, saturation: factors, 1 changes nothing.
        hue: turns, 0 changes nothing.
        order: ``(N, 4)`` the places of 0 brightness, 1 contrast, 2 saturation, 3 hue.
        blur: bool: Gaussian, last.
        sigma: of the blur, pixels.
    """

    gray: NDArray[np.bool_]
    jitter: NDArray[np.bool_]
    brightness: NDArray[np.float64]
    contrast: NDArray[np.float64]
    saturation: NDArray[np.float64]
    hue: NDArray[np.float64]
    order: NDArray[np.int64]
    blur: NDArray[np.bool_]
    sigma: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.gray)

    def factors(self) -> NDArray[np.float64]:
        """``(4, N)``: brightness, contrast, saturation, hue."""
        return np.stack([self.brightness, self.contrast, self.saturation, self.hue])


class ColorAugment(ColorRanges):
    """Draws colors from its ranges and applies them, when it is called.

    Source: FIMA's reference code, ZMHH-H/FIMA ``moco/loader.py``, commit fd63cbd, whose order is gray, jitter, blur,
    normalization. It draws one sigma per process and one order of the jitter per batch; we draw both per clip.
    """

    @classmethod
    def of(cls, ranges: ColorRanges) -> ColorAugment:
        """The augmentation of given ranges; further settings that a subclass of `ColorRanges` has are left aside."""
        return cls(**{item.name: getattr(ranges, item.name) for item in fields(ColorRanges)})

    def draw(self, keys: SampleKeys, purpose: str) -> Colors:
        """The colors of one clip of each sample; ``purpose`` names the clip, so that RGB and motion differ."""
        draws = uniforms(keys, f"colour {purpose}", 9).T
        jitters = (self.brightness, self.contrast, self.saturation, self.hue)
        brightness, contrast, saturation, hue = (x * (2 * u - 1) for x, u in zip(jitters, draws[2:6], strict=True))
        low, high = self.sigma
        return Colors(
            gray=draws[0] < self.gray_probability,
            jitter=draws[1] < self.jitter_probability,
            brightness=1 + brightness,
            contrast=1 + contrast,
            saturation=1 + saturation,
            hue=hue,
            order=_ORDERS[(draws[6] * len(_ORDERS)).astype(np.int64)],
            blur=draws[7] < self.blur_probability,
            sigma=low + (high - low) * draws[8],
        )

    def __call__(
        self,
        clip: Tensor,
        keys: SampleKeys,
        purpose: str,
        spec: InputSpec | None = None,
        *,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """`draw`, then `apply_colors`."""
        return apply_colors(clip, self.draw(keys, purpose), spec, dtype=dtype)


def blur_kernel_size(size: int) -> int:
    """The blur's odd number of taps for clips of ``size`` pixels: ``int(0.1 · size) // 2 · 2 + 1``."""
    return int(0.1 * size) // 2 * 2 + 1


@torch.no_grad()
def apply_colors(
    clip: Tensor, colors: Colors, spec: InputSpec | None = None, *, dtype: torch.dtype | None = None
) -> Tensor:
    """Changes the colors of each clip, the same way on all its frames, and normalizes.

    Contrast is about the mean luma of each frame; the blur mirrors at the borders. Computed in float32 whatever the
    clip's type and autocast; no gradient flows.

    Args:
        clip: ``(N, 3, T, H, W)`` RGB in [0, 1], floating point; left as it was. A motion input is a clip too.
        colors: of these N clips.
        spec: what the backbone expects: mean, std and channel order as in `fima.transforms.normalize`; None: stay in
        [0, 1].
        dtype: of the result; None: the clip's.

    Returns:
        ``(N, 3, T, H, W)`` with the channels last in memory (``channels_last_3d``).

    Raises:
        InputError: if the clip is not of that shape and type, or the colors are of another number of clips.
    """
    if clip.ndim != 5 or clip.shape[1] != 3 or not clip.is_floating_point():
        raise InputError(f"clip must be (N, 3, T, H, W) floating point, got {tuple(clip.shape)} {clip.dtype}")
    if len(colors) != len(clip):
        raise InputError(f"colors must be of {len(clip)} clips, got those of {len(colors)}")
    out = torch.empty(clip.shape, dtype=dtype or clip.dtype, device=clip.device, memory_format=torch.channels_last_3d)
    with torch.autocast(clip.device.type, enabled=False):
        for numbers in _alike(colors, alone=clip.device.type == "cpu"):
            members = _members(numbers, clip.device)
            picture = _recolored(clip[members], colors, numbers)
            out[members] = picture if spec is None else _normalized(picture, spec)
    return out


def _alike(colors: Colors, *, alone: bool) -> Iterator[list[int]]:
    """Clips that go through the same steps together; ``alone``: one by one, so that a clip fits the cache."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for i in range(len(colors)):
        groups.setdefault((i,) if alone else (colors.gray[i], *_steps(colors, i)), []).append(i)
    return iter(groups.values())


def _members(numbers: list[int], device: torch.device) -> _Members:
    if len(numbers) == 1:
        return slice(numbers[0], numbers[0] + 1)
    return torch.tensor(numbers, device=device)


def _steps(colors: Colors, i: int) -> list[int]:
    """The jitter's steps of one clip, in their order."""
    if not colors.jitter[i]:
        return []
    return [int(step) for step in colors.order[i] if not (colors.gray[i] and step in _COLORLESS)]


def _recolored(clip: Tensor, colors: Colors, numbers: list[int]) -> Tensor:
    """New float32 pictures, (n, 3, T, H, W), or (n, 1, T, H, W) if gray; contiguous, so that planes are."""
    if colors.gray[numbers[0]]:
        picture = _luma(clip.to(torch.float32))
    else:
        picture = clip.to(torch.float32, memory_format=torch.contiguous_format, copy=True)
    factors = colors.factors()[:, numbers]
    for step in _steps(colors, numbers[0]):
        _CHANGES[step](picture, _factor(factors[step], picture.device))
    blurred = [place for place, i in enumerate(numbers) if colors.blur[i]]
    if blurred:
        members = _members(blurred, picture.device)
        picture[members] = _blur(picture[members], colors.sigma[[numbers[place] for place in blurred]])
    return picture


def _factor(values: NDArray[np.float64], device: torch.device) -> _Factor:
    """A plain number for one clip (its operations are the fastest), otherwise a column."""
    if len(values) == 1:
        return float(values[0])
    return torch.as_tensor(values, dtype=torch.float32, device=device).view(-1, 1, 1, 1, 1)


def _luma(picture: Tensor) -> Tensor:
    """(n, 3, ...) → (n, 1, ...), new."""
    luma = picture[:, :1] * LUMA[0]
    return luma.add_(picture[:, 1:2], alpha=LUMA[1]).add_(picture[:, 2:], alpha=LUMA[2])


def _change_brightness(picture: Tensor, factor: _Factor) -> None:
    picture.mul_(factor).clamp_(0, 1)


def _change_contrast(picture: Tensor, factor: _Factor) -> None:
    mean = picture.mean((-2, -1), keepdim=True)
    _blend(picture, _luma(mean) if picture.shape[1] == 3 else mean, factor)


def _change_saturation(picture: Tensor, factor: _Factor) -> None:
    _blend(picture, _luma(picture), factor)


def _blend(picture: Tensor, other: Tensor, factor: _Factor) -> None:
    picture.lerp_(other.expand_as(picture), 1 - factor).clamp_(0, 1)


def _change_hue(picture: Tensor, turns: _Factor) -> None:
    """Turns the hue and keeps saturation and value, without telling the six sectors of the color circle apart.

    With lowest channel lo and spread d = highest − lo, the angle h from red in sixths of a turn has
    |h − 3| = 3 − |angular distance from red| = 2 + (r − g − b + lo) / d, whichever channels are highest and lowest, and
    h > 3 where b > g. Back: r = lo + d · clamp(|h − 3| − 1, 0, 1), g and b the same shape around 2 and 4.
    """
    red, green, blue = picture.unbind(1)
    low = torch.minimum(red, green)
    spread = torch.maximum(red, green)
    torch.minimum(low, blue, out=low)
    torch.maximum(spread, blue, out=spread).sub_(low)
    angle = (red - green).sub_(blue).add_(low)  # gray: exactly 0
    angle.div_(spread.clamp_min(torch.finfo(torch.float32).tiny)).add_(2).copysign_(blue - green)  # h − 3
    angle.add_(6 * turns if isinstance(turns, float) else 6 * turns[:, 0])
    angle.sub_((angle / 6).round_(), alpha=6)  # back into [−3, 3]
    base = low - spread
    torch.addcmul(base, spread, angle.abs().clamp_(1, 2), out=red)
    torch.add(low, spread, alpha=2, out=base)
    torch.addcmul(base, spread, (angle + 1).abs_().clamp_(1, 2), value=-1, out=green)
    torch.addcmul(base, spread, angle.sub_(1).abs_().clamp_(1, 2), value=-1, out=blue)


_CHANGES: Sequence[Callable[[Tensor, _Factor], None]] = (
    _change_brightness,
    _change_contrast,
    _change_saturation,
    _change_hue,
)


def _blur(picture: Tensor, sigma: NDArray[np.float64]) -> Tensor:
    """A Gaussian down the columns, then along the rows; every plane is a channel of one depth-wise convolution."""
    n, channels, frames, height, width = picture.shape
    taps = blur_kernel_size(min(height, width))
    if taps == 1:
        return picture
    offsets = np.arange(taps) - taps // 2
    weights = np.exp(-(offsets**2) / (2 * sigma[:, None] ** 2))
    weights /= weights.sum(1, keepdims=True)
    planes = channels * frames
    kernels = torch.as_tensor(weights, dtype=torch.float32, device=picture.device).repeat_interleave(planes, 0)
    flat = picture.reshape(1, n * planes, height, width)
    half = taps // 2
    flat = F.conv2d(F.pad(flat, (0, 0, half, half), mode="reflect"), kernels.view(-1, 1, taps, 1), groups=n * planes)
    flat = F.conv2d(F.pad(flat, (half, half, 0, 0), mode="reflect"), kernels.view(-1, 1, 1, taps), groups=n * planes)
    return flat.view(picture.shape)


def _normalized(picture: Tensor, spec: InputSpec) -> Tensor:
    """(n, 3, ...) in the backbone's channel order; in place if the picture has three channels."""
    if spec.channel_order == "bgr":
        picture = picture.flip(1)
    mean, std = (torch.tensor(v, device=picture.device).view(1, 3, 1, 1, 1) for v in (spec.mean, spec.std))
    if picture.shape[1] == 1:
        return (picture - mean).div_(std)
    return picture.sub_(mean).div_(std)
