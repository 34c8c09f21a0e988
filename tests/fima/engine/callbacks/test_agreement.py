import torch
from torch import nn

from fima.engine.callbacks.agreement import checksums, first_difference
from fima.methods.memory import FeatureQueue


class Part(nn.Module):
    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.layer = nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4)
        self.queue = FeatureQueue(4, 6)


def sums(module):
    return dict(zip(*checksums(module), strict=True))


def test_equal_modules_have_equal_sums_and_every_bit_counts():
    a, b = Part(0), Part(0)
    assert torch.equal(checksums(a)[1], checksums(b)[1])
    with torch.no_grad():
        b.layer.weight[1, 2] = torch.nextafter(b.layer.weight[1, 2], torch.tensor(9.0))
    different = {name for name, value in sums(a).items() if value != sums(b)[name]}
    assert different == {"layer.weight"}


def test_exchanged_values_are_noticed():
    a, b = Part(0), Part(0)
    with torch.no_grad():
        b.queue.rows.copy_(a.queue.rows.flip(0))
    assert sums(a)["queue.rows"] != sums(b)["queue.rows"]


def test_queues_count_and_running_statistics_do_not():
    a, b = Part(0), Part(0)
    b.norm.running_mean += 1
    assert torch.equal(checksums(a)[1], checksums(b)[1])
    b.queue.enqueue(torch.ones(2, 4))
    assert sums(a)["queue.cursor"] != sums(b)["queue.cursor"]


def test_half_precision_weights():
    a = Part(0).to(torch.bfloat16)
    assert len(checksums(a)[0]) == len(checksums(a)[1])


def test_the_first_column_that_differs():
    rows = torch.tensor([[1, 2, 3], [1, 2, 4], [1, 2, 3]])
    assert first_difference(rows) == 2
    assert first_difference(rows[::2]) is None
