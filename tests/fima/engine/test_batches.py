import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fima.engine.batches import BatchStream, epoch_order, steps_per_epoch
from fima.errors import InputError


def stream(**changes):
    settings = {"num_samples": 23, "batch_size": 4, "epochs": 3, "seed": 7} | changes
    return list(BatchStream(settings.pop("num_samples"), settings.pop("batch_size"), **settings))


def test_an_order_is_a_permutation_of_its_own_epoch_and_seed():
    orders = [tuple(epoch_order(50, seed, epoch)) for seed in (0, 1) for epoch in (0, 1)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len(set(orders)) == 4
    assert orders[0] == tuple(epoch_order(50, 0, 0))


def test_every_place_in_the_order_is_equally_likely():
    first = [epoch_order(5, 0, epoch)[0] for epoch in range(2000)]
    counts = np.bincount(first, minlength=5)
    assert abs(counts - 400).max() < 90  # five standard deviations


def test_an_epoch_has_whole_batches_without_repetition():
    batches = stream()
    assert len(batches) == 3 * 5
    for epoch in range(3):
        mine = [pair for batch in batches for pair in batch if pair[0] == epoch]
        assert len(mine) == 20
        assert len({index for _, index in mine}) == 20


def test_leftover_samples_come_in_other_epochs():
    seen = {index for batch in stream(epochs=12) for _, index in batch}
    assert seen == set(range(23))


@given(first=st.integers(0, 15))
def test_a_stream_from_a_step_is_the_tail_of_the_whole(first):
    assert stream(first_step=first) == stream()[first:]


@given(first=st.integers(0, 5), world=st.integers(1, 3), accumulate=st.integers(1, 2))
def test_resuming_with_processes_and_accumulation(first, world, accumulate):
    settings = {"batch_size": 2, "world": world, "accumulate": accumulate}
    for rank in range(world):
        whole = stream(**settings, rank=rank)
        assert stream(**settings, rank=rank, first_step=first) == whole[first * accumulate :]


def test_processes_share_out_the_samples_of_one_process():
    """Batch b of two processes, rank by rank, is batch b of one process of twice the size."""
    alone = stream(batch_size=6)
    shared = [stream(batch_size=3, world=2, rank=rank) for rank in range(2)]
    assert [left + right for left, right in zip(*shared, strict=True)] == alone


def test_accumulated_batches_are_the_parts_of_a_large_one():
    parts = stream(batch_size=3, accumulate=2)
    assert [a + b for a, b in zip(parts[0::2], parts[1::2], strict=True)] == stream(batch_size=6)


def test_a_stream_ends_at_its_last_step():
    assert stream(last_step=7) == stream()[:7]


def test_too_few_videos_for_a_step():
    with pytest.raises(InputError, match=r"one step needs 24 videos .* has 23"):
        steps_per_epoch(23, 24)
