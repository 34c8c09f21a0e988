"""Features on a four times finer grid (``--dense 4``) against 16 passes of the same clips through the same backbone."""

from __future__ import annotations

import torch
from limits import check, finish, medians

from analysis.inputs.backbone.features import FeatureExtractor
from fima.checkpoints import untrained_backbone

LIMIT, FACTOR = 1.05, 4
SIZES = {"tiny": (4, 5), "r3d_18": (1, 2)}
"""Backbone → clips and rounds."""


def main() -> None:
    for arch, (clips, rounds) in SIZES.items():
        passes, dense = _compare(arch, clips, rounds)
        check(f"{arch}: {dense:.2f} s over {FACTOR**2} passes of {passes:.2f} s", dense / passes, most=LIMIT)


def _compare(arch: str, clips: int, rounds: int) -> list[float]:
    """Seconds of the passes and of the dense maps."""
    loaded = untrained_backbone(arch, seed=0)
    plain, dense = (FeatureExtractor(loaded, dense=factor) for factor in (1, FACTOR))
    spec = loaded.input
    clip = torch.rand(clips, 3, spec.num_frames, spec.size, spec.size)
    return medians(
        lambda: [plain.feature_map(clip) for _ in range(FACTOR**2)], lambda: dense.feature_map(clip), rounds=rounds
    )


if __name__ == "__main__":
    with torch.no_grad():
        main()
    finish()
