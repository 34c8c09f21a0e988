"""The ranges that colors are drawn from: typed settings and their limits. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

from fima.errors import InputError

__all__ = ["ColorRanges"]

_SHARES = ("gray_probability", "jitter_probability", "brightness", "contrast", "saturation", "blur_probability")


@dataclass(frozen=True)
class ColorRanges:
    """Color augmentation, drawn for each clip; `fima.transforms.colors.ColorAugment` applies it.

    Args:
        gray_probability: Probability of a gray clip.
        jitter_probability: Probability of the four changes of the jitter, made together.
        brightness: Factors are drawn from [1 - x, 1 + x], x at most 1.
        contrast: Factors likewise.
        saturation: Factors likewise.
        hue: Turns are drawn from [-x, x], x at most 0.5.
        blur_probability: Probability of a blurred clip.
        sigma: Range of the blur, pixels, more than 0.

    Raises:
        InputError: If a value is out of its range.
    """

    gray_probability: float = 0.2
    jitter_probability: float = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    blur_probability: float = 0.5
    sigma: tuple[float, float] = (0.1, 2.0)

    def __post_init__(self) -> None:
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        if not 0 <= self.hue <= 0.5:
            raise InputError(f"hue must be in [0, 0.5] turns, got {self.hue}")
        if not 0 < self.sigma[0] <= self.sigma[1]:
            raise InputError(f"sigma must be an ascending range of positive numbers, got {self.sigma}")
