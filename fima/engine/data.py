"""The batches of a run, from any step on, and how long training waited for them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, Protocol, TypeVar

import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader

from fima.data.datasets import VideoDataset, open_dataset
from fima.engine.batches import BatchStream
from fima.engine.configuration import Loader, RunConfig

__all__ = ["Batches", "RunData", "loaded_batches", "open_split"]

B = TypeVar("B")


class MovableBatch(Protocol):
    """What a task's batch must be able to do."""

    def __len__(self) -> int: ...

    def to(self, device: torch.device, *, non_blocking: bool = False) -> Any:
        """The batch with its tensors on a device."""


class Batches(Iterable[B]):
    """Batches that are asked for one after another; ``waited`` counts the seconds until each came.

    It has no length, so that the trainer counts steps and its idea of an epoch is not asked for.
    """

    def __init__(self, source: Iterable[B]) -> None:
        self.source, self.waited = source, 0.0

    def __iter__(self) -> Iterator[B]:
        batches = iter(self.source)
        while True:
            begun = time.perf_counter()
            try:
                batch = next(batches)
            except StopIteration:
                return
            finally:
                self.waited += time.perf_counter() - begun
            yield batch


class RunData(pl.LightningDataModule):
    """The batches of a run, from the trainer's step on.

    Args:
        make: Called with the trainer when its step is known; gives the batches from there to the run's last step.
    """

    def __init__(self, make: Callable[[pl.Trainer], Iterable[Any]]) -> None:
        super().__init__()
        self.make = make
        self.batches: Batches[Any] | None = None

    @property
    def waited(self) -> float:
        """Seconds that training has waited for data."""
        return 0.0 if self.batches is None else self.batches.waited

    def train_dataloader(self) -> Batches[Any]:
        """Batches of which the first is the next one of the trainer."""
        if self.trainer is None:
            raise RuntimeError("a RunData needs a trainer")
        self.batches = Batches(self.make(self.trainer))
        return self.batches

    def transfer_batch_to_device(self, batch: MovableBatch, device: torch.device, dataloader_idx: int) -> Any:
        """Frames go over as uint8, once."""
        return batch.to(device, non_blocking=True)


def loaded_batches(dataset: Any, collate: Callable[[Any], Any], config: RunConfig, *, last_step: int) -> RunData:
    """The batches of a map-style data set whose samples are drawn by (epoch, index), in the order of a `BatchStream`.

    Args:
        dataset: Takes pairs (epoch, index); has a length.
        collate: Makes a batch of samples.
        config: Configuration of the run.
        last_step: Where the run stops.
    """

    def make(trainer: pl.Trainer) -> Iterable[Any]:
        stream = BatchStream(
            len(dataset),
            config.optimizer.batch_size,
            epochs=config.optimizer.epochs,
            seed=config.seed,
            accumulate=config.optimizer.accumulate,
            rank=trainer.global_rank,
            world=trainer.world_size,
            first_step=trainer.global_step,
            last_step=last_step,
        )
        on_gpu = torch.cuda.is_available() and trainer.accelerator.__class__.__name__ == "CUDAAccelerator"
        return _loader(dataset, stream, collate, config.loader, pin_memory=on_gpu)

    return RunData(make)


def _loader(
    dataset: Sized, stream: BatchStream, collate: Callable[[Any], Any], options: Loader, *, pin_memory: bool
) -> DataLoader[Any]:
    return DataLoader(
        dataset,  # type: ignore[arg-type]  # its indices are pairs
        batch_sampler=stream,
        collate_fn=collate,
        num_workers=options.workers,
        prefetch_factor=options.prefetch if options.workers else None,
        worker_init_fn=_leave_signals_to_the_parent,
        pin_memory=pin_memory,
    )


def open_split(config: RunConfig, split: str | None) -> VideoDataset:
    """A split of the run's data set; None: all of it.

    Raises:
        FileNotFoundError: If there is no such data.
        InputError: If it cannot be read as a data set.
    """
    return open_dataset(
        config.data,
        split=split,
        layout=config.layout,
        frame_template=config.frame_template,
        frame_fps=config.frame_fps,
        cache=config.loader.index_cache,
    )


def _leave_signals_to_the_parent(worker: int) -> None:
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
