"""Philox against the published known answers; draws against their own definition of independence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fima.errors import InputError
from fima.seeding import SampleKeys, philox, uniforms


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ([0] * 4, (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ([0xFFFFFFFF] * 4, (0xFFFFFFFF, 0xFFFFFFFF), "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
    ids=["zeros", "ones", "pi"],
)
def test_known_answers(counter, key, answer):
    """Salmon et al.'s own test vectors for philox4x32-10."""
    words = philox(np.array(counter, np.uint64)[:, None], key)[:, 0]
    assert " ".join(f"{int(word):08x}" for word in words) == answer


@given(
    seed=st.integers(0, 2**64 - 1),
    epoch=st.integers(0, 2**32 - 1),
    indices=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=5),
)
def test_a_row_depends_on_its_own_index_alone(seed, epoch, indices):
    together = uniforms(SampleKeys(seed, epoch, np.array(indices)), "x", 2, 3)
    assert together.shape == (len(indices), 2, 3)
    assert ((together >= 0) & (together < 1)).all()
    for row, index in zip(together, indices, strict=True):
        np.testing.assert_array_equal(row, uniforms(SampleKeys(seed, epoch, np.array([index])), "x", 2, 3)[0])


def test_every_part_of_the_address_matters():
    base = uniforms(SampleKeys(5, 6, np.arange(3)), "x", 4)
    others = [
        uniforms(SampleKeys(4, 6, np.arange(3)), "x", 4),
        uniforms(SampleKeys(5 + 2**32, 6, np.arange(3)), "x", 4),
        uniforms(SampleKeys(5, 7, np.arange(3)), "x", 4),
        uniforms(SampleKeys(5, 6, np.arange(1, 4)), "x", 4),
        uniforms(SampleKeys(5, 6, np.arange(3)), "y", 4),
    ]
    assert all((other != base).all() for other in others)
    np.testing.assert_array_equal(uniforms(SampleKeys(5, 6, np.arange(3)), "x", 9)[:, :4], base)


def test_draws_are_uniform_and_uncorrelated():
    draws = uniforms(SampleKeys(0, 0, np.arange(20_000)), "x", 3)
    counts = np.stack([np.histogram(column, 20, (0, 1))[0] for column in draws.T])
    chi_squared = ((counts - 1000) ** 2 / 1000).sum(1)
    assert (chi_squared < 43.8).all()  # 19 degrees of freedom, 0.1 %
    columns = np.column_stack([draws, np.roll(draws[:, 0], -1)])
    correlations = np.corrcoef(columns.T)[np.triu_indices(4, 1)]
    assert np.abs(correlations).max() < 0.025


def test_keys_from_a_generator_follow_it():
    first, again = (SampleKeys.from_generator(3, torch.Generator().manual_seed(1)) for _ in range(2))
    assert (first.seed, first.indices.tolist()) == (again.seed, [0, 1, 2])
    generator = torch.Generator().manual_seed(1)
    assert SampleKeys.from_generator(3, generator).seed != SampleKeys.from_generator(3, generator).seed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 0, [0]), r"seed must be in \[0, 2\*\*64\), got -1"),
        ((0, 2**32, [0]), r"epoch must be in \[0, 2\*\*32\), got 4294967296"),
        ((0, 0, [-1]), r"indices must be in \[0, 2\*\*32\), got -1 to -1"),
        ((0, 0, [[1]]), r"indices must be \(N,\), got \(1, 1\)"),
    ],
    ids=["seed", "epoch", "index", "shape"],
)
def test_refuses(arguments, message):
    with pytest.raises(InputError, match=message):
        SampleKeys(*arguments)
