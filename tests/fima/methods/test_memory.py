import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fima.errors import InputError
from fima.methods.memory import FeatureQueue, gather_rows, shuffle_batch, unshuffle_batch, update_momentum


def numbered(count, start=0):
    return torch.arange(start, start + count, dtype=torch.float32)[:, None].expand(-1, 2)


class TestFeatureQueue:
    def test_starts_as_random_unit_vectors(self):
        queue = FeatureQueue(16, 10, seed=1)
        torch.testing.assert_close(queue.rows.norm(dim=1), torch.ones(10))
        assert torch.equal(queue.rows, FeatureQueue(16, 10, seed=1).rows)
        assert not torch.equal(queue.rows, FeatureQueue(16, 10, seed=2).rows)

    @settings(max_examples=50)
    @given(size=st.integers(1, 7), batches=st.lists(st.integers(0, 20), max_size=6))
    def test_is_a_ring_for_any_batch(self, size, batches):
        """Against a list that is written one key at a time."""
        queue = FeatureQueue(2, size)
        expected, place, count = queue.rows[:, 0].tolist(), 0, 0
        for batch in batches:
            queue.enqueue(numbered(batch, count))
            for number in range(count, count + batch):
                expected[place] = float(number)
                place = (place + 1) % size
            count += batch
        assert queue.rows[:, 0].tolist() == expected
        assert queue.cursor.tolist() == [place]

    def test_snapshot_stays(self):
        queue = FeatureQueue(2, 3)
        before, copied = queue.snapshot(), queue.rows.tolist()
        queue.enqueue(numbered(2))
        assert before.tolist() == copied
        assert queue.rows[:2].tolist() == [[0, 0], [1, 1]]

    def test_a_backward_pass_survives_new_keys(self):
        queue = FeatureQueue(2, 3)
        query = torch.ones(1, 2, requires_grad=True)
        loss = (query @ queue.snapshot().t()).logsumexp(1).sum()
        queue.enqueue(numbered(3))
        loss.backward()
        assert query.grad.isfinite().all()

    def test_saved_and_restored(self):
        queue, other = FeatureQueue(2, 5), FeatureQueue(2, 5)
        queue.enqueue(numbered(3))
        other.load_state_dict(queue.state_dict())
        for ring in (queue, other):
            ring.enqueue(numbered(4, 3))
        assert torch.equal(queue.rows, other.rows)
        assert queue.rows[:, 0].tolist() == [5, 6, 2, 3, 4]

    def test_keys_carry_no_graph(self):
        queue = FeatureQueue(2, 5)
        queue.enqueue(torch.ones(2, 2, requires_grad=True) * 2)
        assert not queue.rows.requires_grad

    def test_takes_half_precision(self):
        queue = FeatureQueue(2, 5)
        queue.enqueue(torch.ones(1, 2, dtype=torch.bfloat16))
        assert queue.rows.dtype == torch.float32

    @pytest.mark.parametrize("shape", [(2, 3), (2,), (1, 2, 2)], ids=str)
    def test_refuses_keys(self, shape):
        with pytest.raises(InputError, match=r"keys must be \(N, 2\)"):
            FeatureQueue(2, 5).enqueue(torch.zeros(shape))

    @pytest.mark.parametrize(("dim", "size"), [(0, 1), (1, 0), (1, -3)])
    def test_refuses_sizes(self, dim, size):
        with pytest.raises(InputError, match="at least 1 row"):
            FeatureQueue(dim, size)


class TestMomentum:
    def test_moves_parameters_alone(self):
        query, key = (nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)) for _ in range(2))
        query[1].running_mean.fill_(5)
        before = copy.deepcopy(key)
        update_momentum(query, key, 0.75)
        for q, old, new in zip(query.parameters(), before.parameters(), key.parameters(), strict=True):
            assert torch.equal(new, old * 0.75 + q * (1.0 - 0.75))
        assert torch.equal(key[1].running_mean, before[1].running_mean)

    @pytest.mark.parametrize(("momentum", "stays"), [(1.0, True), (0.0, False)])
    def test_extremes(self, momentum, stays):
        query, key = nn.Linear(2, 2), nn.Linear(2, 2)
        expected = (key if stays else query).weight.clone()
        update_momentum(query, key, momentum)
        assert torch.equal(key.weight, expected)

    def test_the_reference_s_arithmetic_to_the_bit(self):
        torch.manual_seed(0)
        query, key = nn.Linear(50, 50), nn.Linear(50, 50)
        expected = key.weight * 0.999 + query.weight * (1.0 - 0.999)
        update_momentum(query, key, 0.999)
        assert torch.equal(key.weight, expected)

    def test_refuses(self):
        with pytest.raises(InputError, match="momentum"):
            update_momentum(nn.Linear(1, 1), nn.Linear(1, 1), 1.5)
        with pytest.raises(InputError, match="the key module has 1 parameters, the query module 2"):
            update_momentum(nn.Linear(1, 1), nn.Linear(1, 1, bias=False), 0.5)


def test_one_process_shuffles_nothing():
    batch = torch.arange(6).view(3, 2)
    shuffled, order = shuffle_batch(batch)
    assert shuffled is batch
    assert order is None
    assert unshuffle_batch(shuffled, order) is batch
    assert gather_rows(batch) is batch
