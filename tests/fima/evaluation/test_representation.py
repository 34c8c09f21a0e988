import math

import pytest
import torch

from fima.errors import InputError
from fima.evaluation.representation import lidar, neighbor_accuracy, rank_me


def test_the_rank_is_the_number_of_directions_that_are_used_alike():
    basis = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
    for count in (1, 3, 16):
        assert float(rank_me(basis[:count].repeat(5, 1))) == pytest.approx(count)
    values = torch.tensor([3.0, 1.0, 0.5])
    shares = values / values.sum()
    by_hand = math.exp(-sum(float(p) * math.log(float(p)) for p in shares))
    assert float(rank_me(torch.diag(values))) == pytest.approx(by_hand)
    assert float(rank_me(7 * torch.diag(values))) == pytest.approx(by_hand)


def scattered(directions, noise, samples=200, views=6, width=8):
    """Samples that differ in some directions, and views that differ in all."""
    generator = torch.Generator().manual_seed(1)
    centers = torch.zeros(samples, 1, width)
    centers[..., :directions] = torch.randn(samples, 1, directions, generator=generator)
    return centers + noise * torch.randn(samples, views, width, generator=generator)


def test_lidar_counts_the_directions_that_tell_samples_apart():
    for directions in (1, 2, 5):
        assert float(lidar(scattered(directions, 0.05))) == pytest.approx(directions, rel=0.15)
    loud = scattered(2, 0.05)
    loud[..., 7] += 3 * torch.randn(200, 6, generator=torch.Generator().manual_seed(2))
    assert float(lidar(loud)) == pytest.approx(2, rel=0.2)  # what views of one sample differ by is no direction
    with pytest.raises(InputError, match="two samples and two views"):
        lidar(torch.zeros(4, 1, 8))


def test_lidar_is_the_rank_of_the_generalized_eigenvalues():
    from scipy.linalg import eigh

    views = scattered(3, 0.4, samples=30, views=4).double()
    views = views / (views - views.mean(dim=(0, 1))).square().mean().sqrt()
    between = torch.cov(views.mean(dim=1).T).numpy()
    within = sum(torch.cov(sample.T).numpy() for sample in views) / len(views) + 1e-4 * torch.eye(8).numpy()
    shares = eigh(between, within, eigvals_only=True).clip(1e-30)
    shares = shares / shares.sum()
    by_hand = math.exp(-sum(p * math.log(p) for p in shares))
    assert float(lidar(views * 5)) == pytest.approx(by_hand, rel=1e-6)


def test_neighbors_of_other_groups_vote():
    features = torch.tensor([[1.0, 0], [0.99, 0.1], [0, 1.0], [0.1, 0.99]])
    labels = torch.tensor([0, 0, 1, 1])
    assert float(neighbor_accuracy(features, labels, torch.arange(4), k=1)) == 1
    assert float(neighbor_accuracy(features, labels, torch.tensor([0, 0, 1, 1]), k=1)) == 0  # the alike are left out
    assert math.isnan(neighbor_accuracy(features, labels, torch.zeros(4)))
    random = torch.randn(400, 4, generator=torch.Generator().manual_seed(0))
    assert float(neighbor_accuracy(random, torch.arange(400) % 4, torch.arange(400))) == pytest.approx(0.25, abs=0.07)
