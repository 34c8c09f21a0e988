"""What a loader of windows hands over: samples, batches, and how a worker sends them without new memory for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from fima.data.datasets import VideoRecord
from fima.data.lending import Lender, receive
from fima.errors import InputError
from fima.seeding import SampleKeys

__all__ = ["LENDER", "VideoFailure", "WindowBatch", "WindowSample", "collate_windows"]

LENDER = Lender()
"""The shared memory of this process."""

_Loan = tuple[Tensor, tuple[int, ...]]


@dataclass(frozen=True)
class VideoFailure:
    """A video that could not give its windows; ``reason`` is one line that starts with the path."""

    path: Path
    reason: str


@dataclass(frozen=True)
class WindowSample:
    """What `WindowDataset` gives for an index.

    Attributes:
        windows: ``(2, F, H, W, 3)`` uint8 RGB, the windows of views m and n.
        keys: of one sample, with the index asked for: what all its draws depend on, whatever video stands in.
        record: the video the frames are from.
        failures: the videos that were tried before it and could not be read; empty if ``record`` is the one asked for.
        flow: ``(2, 2, F, H, W)`` float16, pixels from each frame of a window to its next; None if none is read.
        masks: ``(2, F, H, W)`` uint8, 255 where something moves by itself; None if they are not asked for.
    """

    windows: Tensor
    keys: SampleKeys
    record: VideoRecord
    failures: tuple[VideoFailure, ...] = ()
    flow: Tensor | None = None
    masks: Tensor | None = None


@dataclass(frozen=True)
class WindowBatch:
    """Samples of one epoch, each with frames of its own size: nothing is padded or scaled to fit.

    Attributes:
        windows: N tensors ``(2, F, H, W, 3)`` uint8; H and W may differ from video to video.
        keys: what the draws of `fima.transforms.views` and `fima.transforms.colors` for these samples depend on.
        failures: all unreadable videos met on the way.
        flow: N tensors as `WindowSample` has them; None if none is read.
        masks: Likewise.
    """

    windows: tuple[Tensor, ...]
    keys: SampleKeys
    failures: tuple[VideoFailure, ...] = ()
    flow: tuple[Tensor, ...] | None = None
    masks: tuple[Tensor, ...] | None = None

    def __len__(self) -> int:
        return len(self.windows)

    def __reduce__(self) -> tuple[Any, ...]:
        """Frames that leave a loader's worker go through memory that is used again."""
        if get_worker_info() is None:
            return WindowBatch, (self.windows, self.keys, self.failures, self.flow, self.masks)
        lent = tuple(LENDER.lend(window) for window in self.windows)
        flow = None if self.flow is None else tuple(LENDER.lend(field.view(torch.uint8)) for field in self.flow)
        masks = None if self.masks is None else tuple(LENDER.lend(mask) for mask in self.masks)
        return _received, (lent, self.keys, self.failures, flow, masks)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> WindowBatch:
        """The batch with its frames on a device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> WindowBatch:
        """The batch with its frames in page-locked memory (a DataLoader with ``pin_memory`` calls this)."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> WindowBatch:
        flow, masks = (None if one is None else tuple(map(change, one)) for one in (self.flow, self.masks))
        return replace(self, windows=tuple(map(change, self.windows)), flow=flow, masks=masks)


def collate_windows(samples: Sequence[WindowSample]) -> WindowBatch:
    """Makes a batch of samples; a DataLoader's ``collate_fn``.

    Raises:
        InputError: if there is no sample, or they were drawn for different seeds or epochs.
    """
    drawn = {(sample.keys.seed, sample.keys.epoch) for sample in samples}
    if len(drawn) != 1:
        raise InputError(f"a batch must hold samples of one seed and epoch, got {sorted(drawn) or 'no samples'}")
    seed, epoch = drawn.pop()
    return WindowBatch(
        tuple(sample.windows for sample in samples),
        SampleKeys(seed, epoch, np.concatenate([sample.keys.indices for sample in samples])),
        tuple(failure for sample in samples for failure in sample.failures),
        _of_all([sample.flow for sample in samples]),
        _of_all([sample.masks for sample in samples]),
    )


def _of_all(tensors: Sequence[Tensor | None]) -> tuple[Tensor, ...] | None:
    known = tuple(tensor for tensor in tensors if tensor is not None)
    return known if len(known) == len(tensors) else None


def _received(
    loans: tuple[_Loan, ...],
    keys: SampleKeys,
    failures: tuple[VideoFailure, ...],
    flow: tuple[_Loan, ...] | None,
    masks: tuple[_Loan, ...] | None,
) -> WindowBatch:
    fields = None if flow is None else tuple(receive(*loan).view(torch.float16) for loan in flow)
    known = None if masks is None else tuple(receive(*loan) for loan in masks)
    return WindowBatch(tuple(receive(*loan) for loan in loans), keys, failures, fields, known)
