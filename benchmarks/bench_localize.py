"""``localization_scores`` on 1,000 masks against one numpy pass over them: ``(activation * mask).sum()``.

One run on one thread, the pass and the scores in turn; the ratio is that of the medians. The limit holds for maps as
the analysis makes them (upsampled features); noise and maps of 8 bits, full of ties, show what other maps cost.
"""

from __future__ import annotations

import math

import torch
from limits import check, finish, medians

from analysis.measures.localization import localization_scores
from fima.methods.activation import class_agnostic_activation_map

CLIPS, FRAMES, SIZE, ROUNDS, LIMIT = 125, 8, 112, 15, 10


def main() -> None:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    mask = _discs(generator)
    features = torch.rand(CLIPS, 16, FRAMES // 2, 7, 7, generator=generator)
    upsampled = class_agnostic_activation_map(features, size=(FRAMES, SIZE, SIZE))
    maps = {
        "upsampled features": upsampled,
        "noise": torch.rand(mask.shape, generator=generator),
        "8 bits": (upsampled * 255).round() / 255,
    }
    print(f"{CLIPS * FRAMES} frames of {SIZE} x {SIZE}, mask {float(mask.float().mean()):.0%} of the frame")
    for name, activation_map in maps.items():
        one_pass, scores = _compare(activation_map, mask)
        said = f"{name}: {scores * 1e3:.0f} ms over one numpy pass of {one_pass * 1e3:.1f} ms"
        check(said, scores / one_pass, most=LIMIT if name == "upsampled features" else math.inf)


def _compare(activation_map: torch.Tensor, mask: torch.Tensor) -> list[float]:
    """Seconds of the pass and of the scores."""
    values, inside = activation_map.numpy(), mask.numpy()
    return medians(lambda: (values * inside).sum(), lambda: localization_scores(activation_map, mask), rounds=ROUNDS)


def _discs(generator: torch.Generator) -> torch.Tensor:
    """A disc on every frame, ``(N, T, H, W)``; its radius is a fifth to a third of the frame."""
    center_y, center_x, radius = torch.rand(3, CLIPS, FRAMES, 1, 1, generator=generator).unbind()
    y, x = torch.arange(SIZE)[:, None] / SIZE, torch.arange(SIZE) / SIZE
    distance = torch.hypot(y - center_y, x - center_x)
    return distance <= 0.2 + 0.13 * radius


if __name__ == "__main__":
    main()
    finish()
