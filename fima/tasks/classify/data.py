"""Training clips with labels, drawn by (seed, epoch, index); they leave the loader as they were decoded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from fima.data.clip_protocol import ClipProtocol
from fima.data.datasets import VideoRecord
from fima.data.protocol_clips import read_test_clips
from fima.data.readers.open import open_video
from fima.data.sampling import clip_indices, clip_span
from fima.data.windows import VideoFailure
from fima.errors import InputError, VideoError
from fima.input_spec import InputSpec
from fima.seeding import SampleKeys, uniforms
from fima.tasks.classify.clips import ClipBatch
from fima.tasks.classify.config import SupervisedConfig

__all__ = ["ClipDataset", "clip_dataset", "collate", "fixed_protocol"]

_SUBSTITUTES = 10


class ClipDataset(Dataset[ClipBatch]):
    """Clips of every video; sample ``v · K + k`` is the k-th of video v's K clips in an epoch.

    A sample is a function of (seed, epoch, index): neither workers nor order nor batches change it. A video that cannot
    be read is replaced by one that the same numbers choose, with that one's label, and reported.

    Args:
        videos: with labels, at least one.
        spec: frames, stride and size of a clip.
        seed: of the draws.
        clips: K.
        fixed: which clips, where they are the same in every epoch (`fixed_protocol`); None: one random start a sample.
        short_side: pixels that random clips are scaled to on reading; None: as they are.
    """

    def __init__(
        self,
        videos: Sequence[VideoRecord],
        spec: InputSpec,
        *,
        seed: int = 0,
        clips: int = 1,
        fixed: ClipProtocol | None = None,
        short_side: int | None = None,
    ) -> None:
        self.videos, self.spec, self.seed = tuple(videos), spec, seed
        self.clips, self.fixed, self.short_side = clips, fixed, short_side
        self._span = clip_span(spec.num_frames, spec.frame_stride)
        if not self.videos:
            raise InputError("training needs at least one video, got none")

    def __len__(self) -> int:
        return len(self.videos) * self.clips

    def __getitem__(self, index: tuple[int, int]) -> ClipBatch:
        """The sample of (epoch, index), as a batch of one.

        Raises:
            VideoError: if neither the video nor those that stand in for it can be read.
        """
        epoch, number = index
        keys = SampleKeys(self.seed, epoch, np.array([number]))
        failures: list[VideoFailure] = []
        for place in self._candidates(number // self.clips, keys):
            record = self.videos[place]
            try:
                frames = self._read(record, keys, number % self.clips)
            except (VideoError, OSError) as error:
                failures.append(VideoFailure(record.path, str(error)))
            else:
                return ClipBatch((frames,), torch.tensor([record.label]), keys, tuple(failures))
        raise VideoError(
            f"{failures[0].reason}; nor could any of {len(failures) - 1} other videos be read in its place"
        )

    def _candidates(self, video: int, keys: SampleKeys) -> Iterator[int]:
        yield video
        tried = {video}
        for draw in uniforms(keys, "substitute", _SUBSTITUTES)[0]:
            place = int(draw * len(self.videos))
            if place not in tried:
                tried.add(place)
                yield place

    def _read(self, record: VideoRecord, keys: SampleKeys, number: int) -> Tensor:
        if self.fixed is not None:
            return read_test_clips(record, self.spec, self.fixed, clip=number)[0].permute(0, 2, 3, 1)
        with open_video(record, threads=int(get_worker_info() is not None)) as reader:
            starts = len(reader) - self._span + 1 if len(reader) >= self._span else len(reader)
            start = math.floor(uniforms(keys, "clip start", 1)[0, 0] * starts)
            indices = clip_indices(
                len(reader), start, num_frames=self.spec.num_frames, frame_stride=self.spec.frame_stride
            )
            return reader.frames(indices, short_side=self.short_side).permute(0, 2, 3, 1)


def clip_dataset(videos: Sequence[VideoRecord], spec: InputSpec, config: SupervisedConfig) -> ClipDataset:
    """The training samples of a run."""
    return ClipDataset(
        videos,
        spec,
        seed=config.seed,
        clips=config.input.clips_per_epoch,
        fixed=None if config.input.augmented else fixed_protocol(config),
        short_side=config.input.short_side,
    )


def fixed_protocol(config: SupervisedConfig) -> ClipProtocol:
    """The clips of training without augmentation: evenly spaced, cut as the test does, one crop."""
    return ClipProtocol(config.input.clips_per_epoch, 1, "uniform", config.test.crop_fraction, config.test.average)


def collate(samples: Sequence[ClipBatch]) -> ClipBatch:
    """One batch of several of one epoch."""
    first = samples[0].keys
    return ClipBatch(
        tuple(clip for sample in samples for clip in sample.clips),
        torch.cat([sample.labels for sample in samples]),
        SampleKeys(first.seed, first.epoch, np.concatenate([sample.keys.indices for sample in samples])),
        tuple(failure for sample in samples for failure in sample.failures),
    )
