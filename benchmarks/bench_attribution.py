"""Integrated gradients of ``analysis.attribution`` against their forward and backward passes alone.

One run on one thread, rounds of the passes and of the whole in turn; the ratio is that of the medians. The whole has
the interpolation, the normalisation, the sum, and the convergence delta: a forward pass of clip and baseline.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from analysis.attribution import attribute, baseline_clip, cosine_target
from analysis.features import FeatureExtractor
from analysis.temporal import pool_features
from fima.checkpoints import untrained_backbone
from fima.data.shapes import moving_shape

CLIPS, STEPS, AT_ONCE, ROUNDS, LIMIT = 2, 32, 8, 9, 1.1


def main() -> None:
    torch.set_num_threads(1)
    loaded = untrained_backbone("tiny", seed=0)
    extractor = FeatureExtractor(loaded)
    spec = loaded.input
    drawn = [moving_shape(i, num_frames=spec.num_frames, height=spec.size, width=spec.size) for i in range(CLIPS)]
    clip = torch.stack([torch.from_numpy(one.frames) for one in drawn]).movedim(2, 1).float() / 255
    reference = pool_features(extractor.feature_map(clip.flip(2)))
    targets = [cosine_target(one) for one in reference]
    baseline = baseline_clip("mean", clip)

    def whole() -> None:
        attribute(extractor.feature_map, clip, targets, baseline, steps=STEPS, internal_batch_size=AT_ONCE)

    batch = clip[:1].repeat(AT_ONCE, 1, 1, 1, 1).contiguous(memory_format=torch.channels_last_3d)

    def passes() -> None:
        for _ in range(CLIPS * STEPS // AT_ONCE):
            _forward_backward(extractor, batch, reference[0])

    passes()
    whole()
    alone, all_of_it = [], []
    for _ in range(ROUNDS):
        alone.append(_timed(passes))
        all_of_it.append(_timed(whole))
    ratio = statistics.median(all_of_it) / statistics.median(alone)
    print(
        f"integrated gradients, {CLIPS} clips, {STEPS} steps, {AT_ONCE} at once, tiny at {spec.size} px: "
        f"{statistics.median(all_of_it):.2f} s = {ratio:.2f} x their forward and backward passes "
        f"({statistics.median(alone):.2f} s); limit {LIMIT} x"
    )


def _forward_backward(extractor: FeatureExtractor, batch: Tensor, reference: Tensor) -> None:
    """The backbone alone: its input is normalised and laid out already."""
    inputs = batch.detach().requires_grad_()
    pooled = extractor.backbone(inputs).mean(dim=(2, 3, 4))
    torch.autograd.grad(torch.cosine_similarity(pooled, reference[None].detach()).sum(), inputs)


def _timed(work: Callable[[], None]) -> float:
    start = time.process_time()  # other work on the machine does not count
    work()
    return time.process_time() - start


if __name__ == "__main__":
    main()
