"""A measure at every layer (``--layers all``) against one pass of each pair of clip and frame difference alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from limits import check, finish, medians

from analysis.inputs.video.arrays import array_videos
from analysis.inputs.video.clips import to_batch
from analysis.settings import Settings
from analysis.studies import open_session, run

LIMIT, CLIPS, BATCH, ROUNDS = 1.15, 4, 4, 3
ARCHS = ("r3d_18", "videomae-small")
MEASURES = ("affinity", "cam", "temporal")


def main() -> None:
    for arch in ARCHS:
        for measure in MEASURES:
            passes, layers = _compare(arch, measure)
            said = f"{measure} at every layer of {arch}: {layers:.2f} s over {passes:.2f} s of its passes"
            check(said, layers / passes, most=LIMIT)


def _compare(arch: str, measure: str) -> list[float]:
    """Seconds of the passes alone, and of the curves."""
    plain = open_session(Settings(ckpt="random", arch=arch, batch_size=BATCH, show=1))
    spec = plain.spec
    frames = np.random.default_rng(0).integers(
        0, 255, (CLIPS, spec.num_frames * spec.frame_stride, spec.size, spec.size, 3), np.uint8
    )
    videos = array_videos(frames)
    session = dataclasses.replace(
        plain, videos=videos.videos, settings=dataclasses.replace(plain.settings, layers="all")
    )

    def passes() -> None:
        for batch in dataclasses.replace(plain, videos=videos.videos).stream().batches(BATCH):
            plain.extractor(to_batch(batch))

    with torch.no_grad():
        return medians(passes, lambda: run(measure, session), rounds=ROUNDS)


if __name__ == "__main__":
    main()
    finish()
