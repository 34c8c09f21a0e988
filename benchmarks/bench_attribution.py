"""Integrated gradients of ``analysis.measures.attribution`` against their forward and backward passes alone.

One run on one thread, at the batch at which a clip's passes take least; rounds of the passes and of the whole in turn,
and the ratio is that of the medians. The whole has
the interpolation, the normalization, the sum, and the convergence delta: a forward pass of clip and baseline. The
smallest backbone shows what they cost at most, I3D what they cost a user.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import torch
from limits import check, finish, medians
from star import moving_shape
from torch import Tensor

from analysis.inputs.backbone.features import FeatureExtractor
from analysis.measures.attribution import attribute, baseline_clip, cosine_target
from analysis.measures.temporal import pool_features
from fima.checkpoints import untrained_backbone

STEPS, BATCHES, LIMIT = 32, (2, 4, 8, 16), 1.1


def main() -> None:
    torch.set_num_threads(1)
    for arch, size, clips, rounds in (("tiny", 56, 2, 9), ("i3d", 112, 1, 3)):
        _measure(arch, size, clips, rounds)


def _measure(arch: str, size: int, clips: int, rounds: int) -> None:
    loaded = untrained_backbone(arch, seed=0)
    loaded = replace(loaded, input=loaded.input.replace(size=size))
    extractor = FeatureExtractor(loaded)
    spec = loaded.input
    drawn = [moving_shape(i, num_frames=spec.num_frames, height=spec.size, width=spec.size) for i in range(clips)]
    clip = torch.stack([torch.from_numpy(one.frames) for one in drawn]).movedim(2, 1).float() / 255
    reference = pool_features(extractor.feature_map(clip.flip(2)))
    targets = [cosine_target(one) for one in reference]
    baseline = baseline_clip("mean", clip)
    at_once = _best_batch(extractor, clip, reference[0])

    def whole() -> None:
        attribute(
            extractor.prepared_map, clip, targets, baseline,
            steps=STEPS, internal_batch_size=at_once, prepare=extractor.prepare,
        )  # fmt: skip

    batch = _repeated(clip, at_once)

    def passes() -> None:
        for _ in range(clips * STEPS // at_once):
            _forward_backward(extractor, batch, reference[0])

    alone, all_of_it = medians(passes, whole, rounds=rounds, clock=time.process_time)  # others' work does not count
    said = f"integrated gradients, {clips} clips, {STEPS} steps, {at_once} at once, {arch} at {spec.size} px"
    check(f"{said}: {all_of_it:.2f} s over {alone:.2f} s of passes", all_of_it / alone, most=LIMIT)


def _best_batch(extractor: FeatureExtractor, clip: Tensor, reference: Tensor) -> int:
    """Of ``BATCHES``, the one at which a clip's forward and backward pass takes least."""

    def clips_of(at_once: int) -> Callable[[], None]:
        batch = _repeated(clip, at_once)

        def passes() -> None:
            for _ in range(max(BATCHES) // at_once):
                _forward_backward(extractor, batch, reference)

        return passes

    seconds = medians(*map(clips_of, BATCHES), rounds=1, clock=time.process_time)
    return BATCHES[seconds.index(min(seconds))]


def _repeated(clip: Tensor, times: int) -> Tensor:
    return clip[:1].repeat(times, 1, 1, 1, 1).contiguous(memory_format=torch.channels_last_3d)


def _forward_backward(extractor: FeatureExtractor, batch: Tensor, reference: Tensor) -> None:
    """The backbone alone: its input is normalized and laid out already."""
    inputs = batch.detach().requires_grad_()
    pooled = extractor.backbone(inputs).mean(dim=(2, 3, 4))
    torch.autograd.grad(torch.cosine_similarity(pooled, reference[None].detach()).sum(), inputs)


if __name__ == "__main__":
    main()
    finish()
