import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from fima.engine.callbacks.health import (
    alignment,
    collapse_measures,
    feature_spread,
    lidar,
    neighbor_accuracy,
    rank_me,
    uniformity,
)
from fima.errors import InputError


def vectors(n, dim, seed=0):
    return F.normalize(torch.randn(n, dim, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_one_vector_is_a_collapse():
    same = vectors(1, 16).expand(8, 16)
    assert feature_spread(same) == pytest.approx(0, abs=1e-6)
    assert uniformity(same) == pytest.approx(0, abs=1e-5)
    assert alignment(same, same) == 0


def test_vectors_all_over_the_sphere_spread_fully():
    assert feature_spread(vectors(4000, 64)) == pytest.approx(1, abs=0.01)
    assert feature_spread(torch.stack([torch.tensor([1.0, 0]), torch.tensor([-1.0, 0])])) == pytest.approx(math.sqrt(2))


def test_spread_does_not_depend_on_the_number_of_vectors():
    means = [torch.stack([feature_spread(vectors(n, 32, seed)) ** 2 for seed in range(300)]).mean() for n in (2, 8)]
    assert means[0] == pytest.approx(float(means[1]), abs=0.03)


def test_uniformity_equals_a_plain_loop():
    x = vectors(7, 5)
    pairs = [math.exp(-2 * float((a - b).square().sum())) for a, b in itertools.combinations(x, 2)]
    assert float(uniformity(x)) == pytest.approx(math.log(sum(pairs) / len(pairs)), abs=1e-5)


def test_alignment_of_opposites():
    x = vectors(6, 4)
    assert alignment(x, -x) == pytest.approx(4, abs=1e-5)


def test_measures_pair_each_query_with_the_other_view():
    query = vectors(10, 8).reshape(2, 5, 8)
    measured = collapse_measures(query, query.flip(0))
    assert measured["alignment"] == pytest.approx(0, abs=1e-9)
    assert measured["spread"] == pytest.approx(float(feature_spread(query[0]) + feature_spread(query[1])) / 2)


def test_a_single_sample_has_no_spread():
    measured = collapse_measures(vectors(2, 8).reshape(2, 1, 8), vectors(2, 8).reshape(2, 1, 8))
    assert math.isnan(measured["spread"])
    assert math.isnan(measured["uniformity"])


def test_shapes_are_checked():
    with pytest.raises(InputError, match=r"\(2, N, D\)"):
        collapse_measures(vectors(4, 8), vectors(4, 8))


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
