"""The batches of keyframes that a detector is trained on: a function of the seed and the place in the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fima.data.datasets.layouts.ava_files import Keyframe
from fima.data.read_ahead import read_ahead
from fima.input_spec import InputSpec
from fima.presets.detection import DetectionPreset
from fima.seeding import SampleKeys, uniforms
from fima.tasks.detect.clips import KeyframeClip, ReaderPool, Variation, vary

__all__ = ["KeyframeBatch", "training_batches", "variations"]


@dataclass(frozen=True)
class KeyframeBatch:
    """The clips of one step.

    Attributes:
        clips: Those that could be read.
        skipped: Of the others, keyframe, as "film,second" → why.
    """

    clips: tuple[KeyframeClip, ...]
    skipped: dict[str, str]

    def __len__(self) -> int:
        return len(self.clips)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> KeyframeBatch:
        """The batch itself: clips go to the device when they are padded to one size."""
        return self


def training_batches(
    keyframes: Sequence[Keyframe],
    readers: ReaderPool,
    preset: DetectionPreset,
    spec: InputSpec,
    *,
    seed: int,
    begin: int = 0,
    threads: int = 1,
) -> Iterator[KeyframeBatch]:
    """The batch of every step from ``begin`` on.

    Every epoch has every keyframe once, in an order of its own.
    """
    count, size = len(keyframes), preset.batch_size
    num_frames, stride = preset.num_frames or spec.num_frames, preset.frame_stride or spec.frame_stride

    def read(job: tuple[int, Variation]) -> KeyframeClip:
        index, variation = job
        return vary(readers.read(keyframes[index], num_frames, stride, variation.short_side), variation)

    first_epoch, inside = divmod(begin, -(-count // size))
    for epoch in range(first_epoch, preset.epochs):
        keys = SampleKeys(seed, epoch, np.arange(count))
        shown = variations(keys, preset, spec)
        first = size * inside if epoch == first_epoch else 0
        order = np.argsort(uniforms(keys, "order"), kind="stable")[first:].tolist()
        clips: list[KeyframeClip] = []
        skipped: dict[str, str] = {}
        jobs = [(index, shown[index]) for index in order]
        for place, (job, clip) in enumerate(read_ahead(jobs, read, threads=threads, window=size + threads), 1):
            if isinstance(clip, str):
                skipped[f"{keyframes[job[0]].video},{keyframes[job[0]].second}"] = clip
            else:
                clips.append(clip)
            if place % size == 0 or place == len(jobs):
                yield KeyframeBatch(tuple(clips), skipped)
                clips, skipped = [], {}


def variations(keys: SampleKeys, preset: DetectionPreset, spec: InputSpec) -> list[Variation]:
    """How each sample is shown: scale and flip, and the crop's place if there is one."""
    low, high = preset.train_sides or (spec.size, spec.size + spec.size // 4)
    draws = uniforms(keys, "variation", 5)
    return [
        Variation(
            low + int(scale * (high - low + 1)), bool(flip < preset.flip_probability), preset.train_crop, tuple(place)
        )
        for scale, flip, *place in draws.tolist()
    ]
