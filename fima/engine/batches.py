"""The order of samples in a run: one stream of batches, the same for any number of processes and from any step on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fima.errors import InputError
from fima.seeding import SampleKeys, uniforms

__all__ = ["BatchStream", "epoch_order", "steps_per_epoch"]


def epoch_order(num_samples: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """A permutation of all samples that is a function of the seed and the epoch."""
    keys = SampleKeys(seed, epoch, np.arange(num_samples))
    return np.argsort(uniforms(keys, "order", 1)[:, 0], kind="stable")


def steps_per_epoch(num_samples: int, total_batch: int) -> int:
    """Whole batches in an epoch; the samples left over wait for another epoch's order.

    Raises:
        InputError: if there is not one.
    """
    if num_samples < total_batch:
        raise InputError(
            f"optimizer.batch_size: one step needs {total_batch} videos (batch × accumulate × processes), the data set "
            f"has {num_samples}"
        )
    return num_samples // total_batch


class BatchStream:
    """A batch sampler over a whole run, from any step to the last.

    One optimizer's step takes the next ``accumulate · world · batch_size`` samples of its epoch's order; the parts of
    the step follow each other, and each is dealt out to the processes in rank order. So the samples of a step do not
    depend on the number of processes as long as its total is the same.

    Args:
        num_samples: videos in the data set.
        batch_size: of one process.
        epochs: passes.
        seed: of the order.
        accumulate: batches to one step.
        rank: this process.
        world: processes.
        first_step: where a resumed run goes on.
        last_step: where it stops; None: after the last epoch.

    Raises:
        InputError: if an epoch has not one step.
    """

    def __init__(
        self,
        num_samples: int,
        batch_size: int,
        *,
        epochs: int,
        seed: int,
        accumulate: int = 1,
        rank: int = 0,
        world: int = 1,
        first_step: int = 0,
        last_step: int | None = None,
    ) -> None:
        self.num_samples, self.batch_size, self.seed = num_samples, batch_size, seed
        self.accumulate, self.rank, self.world = accumulate, rank, world
        self.steps_per_epoch = steps_per_epoch(num_samples, accumulate * world * batch_size)
        self.first_step = first_step
        self.last_step = epochs * self.steps_per_epoch if last_step is None else last_step

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Batches of this process: pairs (epoch, index), as `fima.data.windows.WindowDataset` takes them."""
        order, drawn_for = np.empty(0, np.int64), -1
        for step in range(self.first_step, self.last_step):
            epoch, number = divmod(step, self.steps_per_epoch)
            if epoch != drawn_for:
                order, drawn_for = epoch_order(self.num_samples, self.seed, epoch), epoch
            for part in range(self.accumulate):
                place = ((number * self.accumulate + part) * self.world + self.rank) * self.batch_size
                yield [(epoch, int(index)) for index in order[place : place + self.batch_size]]
