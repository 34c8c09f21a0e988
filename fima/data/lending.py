"""How a loader's worker hands large frames to the training process without new shared memory for every batch.

The kernel clears each page of new shared memory, which for whole frames can take as long as decoding them. So a worker
keeps its shared blocks and writes into one of them again as soon as the receiver has dropped all it made of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["Lender", "receive"]

_FLAG = 64  # bytes before the frames; the first says whether the block is lent


class Lender:
    """Shared blocks of one process; there are as many as were lent at one time.

    Not for several threads at once. Blocks are a process's own: a copy of a lender in another process starts empty.
    """

    def __init__(self) -> None:
        self._blocks: list[Tensor] = []

    def __len__(self) -> int:
        return len(self._blocks)

    def lend(self, frames: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        """Copies frames into a block that nobody uses.

        Args:
            frames: uint8, on the CPU.

        Returns:
            The block and the frames' shape: the arguments of `receive`, cheap to send to another process.
        """
        block = self._free_block(frames.numel())
        block[0] = 1
        block[_FLAG : _FLAG + frames.numel()].view(frames.shape).copy_(frames)
        return block, tuple(frames.shape)

    def _free_block(self, size: int) -> Tensor:
        free = [block for block in self._blocks if not block[0]]
        for block in free:
            if block.numel() >= _FLAG + size:
                return block
        if free:  # all too small: one makes room
            self._blocks = [block for block in self._blocks if block is not free[0]]
        storage = torch.UntypedStorage._new_shared(_FLAG + size)  # type: ignore[no-untyped-call]
        self._blocks.append(torch.empty(0, dtype=torch.uint8).set_(storage).zero_())
        return self._blocks[-1]

    def __reduce__(self) -> tuple[Any, ...]:
        return Lender, ()


def receive(block: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The frames in a block, without a copy; once the result and all its views are gone, the block is free again.

    Args:
        block: as `Lender.lend` gives it, in this or another process.
        shape: of the frames.
    """
    return torch.from_numpy(np.asarray(_Loan(block, shape)))


class _Loan:
    """Owner of an array's memory: numpy holds on to it, torch to numpy's array."""

    def __init__(self, block: Tensor, shape: tuple[int, ...]) -> None:
        self._block = block
        self.__array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": "|u1",
            "data": (block.data_ptr() + _FLAG, False),
        }

    def __del__(self) -> None:
        self._block[0] = 0
