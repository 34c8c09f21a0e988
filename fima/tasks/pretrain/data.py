"""Lightning's data module: windows of a data set in the order of a `BatchStream`, and how long training waited."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader

from fima.data.datasets import VideoDataset
from fima.data.flow import FlowFolder
from fima.data.windows import WindowBatch, WindowDataset, collate_windows
from fima.engine.batches import BatchStream
from fima.tasks.pretrain.config import PretrainConfig

__all__ = ["TimedLoader", "Unsized", "WindowDataModule", "leave_signals_to_the_parent", "window_dataset"]


class TimedLoader(DataLoader[Any]):
    """A loader that counts the seconds spent waiting for it: ``waited``."""

    waited = 0.0

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # a generator around the loader's own iterator
        batches = super().__iter__()
        while True:
            begun = time.perf_counter()
            try:
                batch = next(batches)
            except StopIteration:
                return
            finally:
                self.waited += time.perf_counter() - begun
            yield batch


class WindowDataModule(pl.LightningDataModule):
    """The batches of a run, from the trainer's step on.

    Args:
        videos: the data set.
        config: of the run.
        last_step: of the run.
    """

    def __init__(self, videos: VideoDataset, config: PretrainConfig, last_step: int) -> None:
        super().__init__()
        self.videos, self.config, self.last_step = videos, config, last_step
        self.loader: TimedLoader | None = None

    def train_dataloader(self) -> TimedLoader:
        """A loader whose first batch is the next one of the trainer."""
        config, trainer = self.config, self.trainer
        if trainer is None:
            raise RuntimeError("a WindowDataModule needs a trainer")
        stream = BatchStream(
            len(self.videos),
            config.optimizer.batch_size,
            epochs=config.optimizer.epochs,
            seed=config.seed,
            accumulate=config.optimizer.accumulate,
            rank=trainer.global_rank,
            world=trainer.world_size,
            first_step=trainer.global_step,
            last_step=self.last_step,
        )
        workers = config.loader.workers
        self.loader = TimedLoader(
            window_dataset(self.videos, config),
            batch_sampler=Unsized(stream),
            collate_fn=collate_windows,
            num_workers=workers,
            prefetch_factor=config.loader.prefetch if workers else None,
            worker_init_fn=leave_signals_to_the_parent,
            pin_memory=torch.cuda.is_available() and trainer.accelerator.__class__.__name__ == "CUDAAccelerator",
        )
        return self.loader

    def transfer_batch_to_device(self, batch: WindowBatch, device: torch.device, dataloader_idx: int) -> WindowBatch:
        """Frames go over as uint8, once."""
        return batch.to(device, non_blocking=True)


def window_dataset(videos: VideoDataset, config: PretrainConfig) -> WindowDataset:
    """The samples of a run."""
    windows = config.windows
    return WindowDataset(
        videos,
        seed=config.seed,
        num_frames=windows.num_frames,
        frame_stride=windows.frame_stride,
        min_gap=windows.min_gap,
        gap_seconds=windows.gap_seconds,
        short_side=windows.short_side,
        min_side=config.views.size,
        flow=None if windows.flow is None else FlowFolder(windows.flow),
    )


def leave_signals_to_the_parent(worker: int) -> None:
    """A terminal or a scheduler signals all processes; training still needs the batches of its last step.

    Only the training process itself may end its workers.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_with_the_parent, args=(os.getppid(),), daemon=True).start()


def _end_with_the_parent(parent: int) -> None:
    while True:
        if signal.sigwaitinfo({signal.SIGTERM}).si_pid == parent:
            os._exit(0)


class Unsized:
    """A stream without a length: the trainer counts steps, so its idea of an epoch is not asked for."""

    def __init__(self, stream: BatchStream) -> None:
        self.stream = stream

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return iter(self.stream)
