"""How a loader's worker hands large frames to the training process without new shared memory for every batch.

The kernel clears each page of new shared memory, which for whole frames can take as long as decoding them. So a worker
keeps its shared blocks and writes into one of them again as soon as the receiver has dropped all it made of it.
"""

from __future__ import annotations

import math
import threading
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Lender", "receive"]

_FLAG = 64  # bytes before the frames; the first says whether the block is lent


class Lender:
    """Shared blocks of one process; there are as many as were lent at one time.

    What is made in memory from `allocate` is lent without a copy. Blocks are a process's own: a copy of a lender in
    another process starts empty.
    """

    def __init__(self) -> None:
        self._blocks: list[Tensor] = []
        self._lock = threading.Lock()
        self._allocated: WeakValueDictionary[int, _Loan] = WeakValueDictionary()  # by address

    def __len__(self) -> int:
        return len(self._blocks)

    def allocate(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Gives memory in a block that nobody uses, to write into; once the array is gone, the block is free again."""
        block = self._take_block(math.prod(shape))
        loan = _Loan(block, shape)
        self._allocated[loan.address] = loan
        return np.asarray(loan)

    def lend(self, frames: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        """Hands frames over: those made in `allocate`'s memory as they are, others copied into a block.

        Args:
            frames: uint8, on the CPU. If made in `allocate`'s memory they are the receiver's from now on.

        Returns:
            The block and the frames' shape: the arguments of `receive`, cheap to send to another process.
        """
        loan = self._allocated.get(frames.data_ptr())
        if loan is not None and loan.ours and loan.numel == frames.numel() and frames.is_contiguous():
            return loan.hand_over(), tuple(frames.shape)
        block = self._take_block(frames.numel())
        block[_FLAG : _FLAG + frames.numel()].view(frames.shape).copy_(frames)
        return block, tuple(frames.shape)

    def _take_block(self, size: int) -> Tensor:
        # A loader's worker reads in one thread and sends in another.
        with self._lock:
            block = self._free_block(size)
            block[0] = 1
            return block

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
        self._block, self.ours = block, True
        self.address, self.numel = block.data_ptr() + _FLAG, math.prod(shape)
        self.__array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": "|u1",
            "data": (self.address, False),
        }

    def hand_over(self) -> Tensor:
        """The block, which from now on the receiver's loan gives back."""
        self.ours = False
        return self._block

    def __del__(self) -> None:
        if self.ours:
            self._block[0] = 0
