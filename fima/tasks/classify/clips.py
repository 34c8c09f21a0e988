"""Training clips on the device: random resized crops, flips and colors, drawn by the samples' keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from fima.data.windows import VideoFailure
from fima.evaluation.features import to_clip_batch
from fima.input_spec import InputSpec
from fima.seeding import SampleKeys
from fima.tasks.classify.options import AugmentOptions
from fima.transforms.colors import ColorAugment
from fima.transforms.normalize import normalize
from fima.transforms.views import cut, draw_crops

__all__ = ["ClipBatch", "make_clips"]


@dataclass(frozen=True)
class ClipBatch:
    """Training clips of one epoch, each with frames of its own size.

    Attributes:
        clips: N tensors ``(T, H, W, 3)`` uint8 RGB.
        labels: ``(N,)`` int64.
        keys: what the draws for these samples depend on.
        failures: all unreadable videos met on the way.
    """

    clips: tuple[Tensor, ...]
    labels: Tensor
    keys: SampleKeys
    failures: tuple[VideoFailure, ...] = ()

    def __len__(self) -> int:
        return len(self.clips)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> ClipBatch:
        """The batch with its tensors on a device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> ClipBatch:
        """The batch in page-locked memory (a DataLoader with ``pin_memory`` calls this)."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> ClipBatch:
        return replace(self, clips=tuple(map(change, self.clips)), labels=change(self.labels))


def make_clips(batch: ClipBatch, spec: InputSpec, options: AugmentOptions | None) -> Tensor:
    """Normalized clips: random resized crop, flip and colors, all drawn by the batch's keys.

    Args:
        batch: on the device where the work is to be done.
        spec: what the backbone expects.
        options: of the augmentation; None: clips are of the right size and stay as they are.

    Returns:
        ``(N, 3, T, size, size)`` float32, channels last in memory.
    """
    if options is None:
        frames = torch.stack(batch.clips).permute(0, 1, 4, 2, 3)
        return normalize(to_clip_batch(frames, frames.device), spec)
    heights, widths = (np.array([clip.shape[axis] for clip in batch.clips], np.int64) for axis in (1, 2))
    crops = draw_crops(
        batch.keys,
        heights,
        widths,
        1,
        area=options.area,
        aspect=options.aspect,
        flip_probability=options.flip_probability,
    )[:, 0, 0]
    size, frames_each = spec.size, batch.clips[0].shape[0]
    clips = torch.empty(len(batch), 3, frames_each, size, size, device=batch.clips[0].device)
    for number, clip in enumerate(batch.clips):
        cut(clip, crops[number], out=clips[number])
    return ColorAugment.of(options)(clips, batch.keys, "supervised", spec)
