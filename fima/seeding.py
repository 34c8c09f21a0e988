"""Random numbers that are a function of (seed, epoch, index) and a purpose, and of nothing else.

A generator that is advanced from sample to sample makes a draw depend on what was drawn before: on the order, the
batch, the worker. Here each number is the value of a hash at an address, so any part of a run can be drawn again
alone, in any order, on any machine.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from fima.errors import InputError

__all__ = ["SampleKeys", "philox", "shuffled_order", "uniforms"]

_Words = NDArray[np.uint64]  # 32-bit words, kept in 64 bits so that products do not overflow
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_KEY_STEPS = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_ROUNDS = 10


@dataclass(frozen=True)
class SampleKeys:
    """What the draws of some samples depend on.

    Attributes:
        seed: of the run, in [0, 2**64).
        epoch: in [0, 2**32).
        indices: ``(N,)`` int64, each sample's number in its data set, in [0, 2**32).

    Raises:
        InputError: if a value is out of its range.
    """

    seed: int
    epoch: int
    indices: NDArray[np.int64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "indices", np.array(self.indices, dtype=np.int64, ndmin=1))
        for name, value, bits in (("seed", self.seed, 64), ("epoch", self.epoch, 32)):
            if not 0 <= value < 2**bits:
                raise InputError(f"{name} must be in [0, 2**{bits}), got {value}")
        if self.indices.ndim != 1:
            raise InputError(f"indices must be (N,), got {self.indices.shape}")
        if self.indices.size and not 0 <= self.indices.min() <= self.indices.max() < 2**32:
            raise InputError(f"indices must be in [0, 2**32), got {self.indices.min()} to {self.indices.max()}")

    def __len__(self) -> int:
        return len(self.indices)

    @classmethod
    def from_generator(cls, count: int, generator: torch.Generator | None = None) -> SampleKeys:
        """Keys for samples that have none: a seed from a torch generator (None: the global one), indices 0, 1, ….

        Such draws are new at every call, and as reproducible as the generator is.
        """
        seed = int(torch.randint(2**62, (), generator=generator))
        return cls(seed, 0, np.arange(count))


def uniforms(keys: SampleKeys, purpose: str, *shape: int) -> NDArray[np.float64]:
    """Numbers drawn uniformly from [0, 1), with 53 random bits.

    Args:
        keys: N samples.
        purpose: a name; draws for different names are independent.
        shape: of the numbers of one sample. The first numbers are the same for a larger shape.

    Returns:
        ``(N, *shape)``; row i depends on the seed, the epoch, ``indices[i]`` and the purpose alone.
    """
    count = math.prod(shape)
    blocks = -(-count // 2)
    counter = np.empty((4, len(keys), blocks), np.uint64)
    counter[0] = np.arange(blocks, dtype=np.uint64)
    counter[1] = keys.indices.astype(np.uint64)[:, None]
    counter[2] = keys.epoch
    counter[3] = zlib.crc32(purpose.encode())
    words = philox(counter, (keys.seed & 0xFFFFFFFF, keys.seed >> 32))
    high, low = words[0::2] >> np.uint64(5), words[1::2] >> np.uint64(6)
    numbers = (high * np.float64(2**26) + low) / 2**53  # (2, N, blocks)
    return np.moveaxis(numbers, 0, -1).reshape(len(keys), 2 * blocks)[:, :count].reshape(len(keys), *shape)


def philox(counter: _Words, key: tuple[int, int]) -> _Words:
    """The counter-based generator Philox4x32 with 10 rounds.

    Args:
        counter: ``(4, ...)``, words below 2**32.
        key: two words below 2**32.

    Returns:
        ``(4, ...)`` random words below 2**32.

    Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.3.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = np.uint64(key[0]), np.uint64(key[1])
    for _ in range(_ROUNDS):
        first, second = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (second >> _SHIFT) ^ c1 ^ k0, second & _LOW, (first >> _SHIFT) ^ c3 ^ k1, first & _LOW
        k0, k1 = (k0 + _KEY_STEPS[0]) & _LOW, (k1 + _KEY_STEPS[1]) & _LOW
    return np.stack([c0, c1, c2, c3])


def shuffled_order(length: int, seed: int = 0) -> NDArray[np.int64]:
    """Another order of that many frames; never the one that they have, if there are two or more.

    Args:
        length: frames, at least 1.
        seed: of the order.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(length)
    while length > 1 and (np.diff(order) == 1).all():
        order = rng.permutation(length)
    return order
