import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from fima.engine.callbacks.health import (
    alignment,
    collapse_measures,
    feature_spread,
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
