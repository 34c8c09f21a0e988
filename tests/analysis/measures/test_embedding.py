"""Neighbors, silhouettes and the map: against scikit-learn, loops and all orders."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_samples
from sklearn.metrics.pairwise import cosine_similarity

from analysis.measures import embedding
from analysis.measures.embedding import (
    limit_perplexity,
    match_chance,
    nearest_label_hits,
    nearest_of_others,
    neighbors_of_others,
    project,
    shuffled_silhouette,
    silhouettes,
)
from fima.errors import InputError

SEEDS = st.integers(0, 1000)


def _clips(seed, number=30, channels=4, videos=10, classes=3):
    """Features, labels and videos; a video has one label."""
    rng = np.random.default_rng(seed)
    video = np.sort(np.concatenate([np.arange(videos), rng.integers(videos, size=number - videos)]))
    return rng.normal(size=(number, channels)) + 0.5, rng.integers(classes, size=videos)[video], video


@given(SEEDS)
def test_hits_are_those_of_a_search_one_by_one(seed):
    features, labels, videos = _clips(seed)
    similarity = cosine_similarity(features)
    for i, hit in enumerate(nearest_label_hits(features, labels, videos)):
        others = [j for j in range(len(features)) if videos[j] != videos[i]]
        assert hit == (labels[max(others, key=lambda j: similarity[i, j])] == labels[i])


def test_a_clips_own_video_is_no_neighbor_and_lengths_do_not_count():
    features = np.array([[1, -0.2], [9, -0.1], [1, 1], [0, 5]])
    assert nearest_of_others(features, [0, 0, 1, 2]).tolist() == [2, 2, 3, 2]
    assert nearest_label_hits(features, ["a", "a", "a", "b"], [0, 0, 1, 2]).tolist() == [True, True, False, False]


def test_of_equals_the_first_is_the_nearest():
    assert nearest_of_others(np.ones((4, 2)), [0, 1, 2, 3]).tolist() == [1, 0, 0, 0]


@given(st.lists(st.integers(0, 2), min_size=2, max_size=5), SEEDS)
def test_chance_is_the_mean_over_all_orders_of_the_labels(labels, seed):
    features = np.random.default_rng(seed).normal(size=(len(labels), 3))
    videos = np.arange(len(labels))
    orders = [nearest_label_hits(features, order, videos).mean() for order in itertools.permutations(labels)]
    assert match_chance(labels) == pytest.approx(np.mean(orders))


def test_chance_by_hand():
    assert match_chance([0, 0, 1, 1]) == pytest.approx(1 / 3)
    assert match_chance([0, 0, 0, 1]) == pytest.approx(1 / 2)
    assert match_chance([0, 1, 2]) == 0


@given(SEEDS, st.integers(2, 6))
def test_silhouettes_are_scikit_learns(seed, classes):
    features, labels, _ = _clips(seed, classes=classes)
    labels[:2] = 0, 1
    np.testing.assert_allclose(
        silhouettes(features, labels), silhouette_samples(features, labels, metric="cosine"), atol=1e-9
    )


def test_silhouettes_by_hand():
    features = np.array([[1, 0], [2, 0], [0, 1], [0, 3], [-1, 0.0]])
    # a = 0 within each pair; b = 1 to the other; the last is alone.
    assert silhouettes(features, [0, 0, 1, 1, 2]).tolist() == [1, 1, 1, 1, 0]
    # a = 1, b = (0 + 1) / 2 for the first.
    assert silhouettes(features[:4], [0, 1, 0, 1])[0] == pytest.approx(-0.5)


def test_a_row_of_zeros_is_1_away_from_all_and_alike_clips_have_none():
    features = np.array([[0, 0], [1, 0], [1, 0], [0, 1.0]])
    expected = silhouette_samples(features, [0, 0, 1, 1], metric="cosine")
    np.testing.assert_allclose(silhouettes(features, [0, 0, 1, 1]), expected)
    assert silhouettes(np.full((4, 3), 0.7), [0, 0, 1, 1]).tolist() == [0, 0, 0, 0]


def test_neighbors_are_those_of_a_sorted_list_and_end_where_there_are_no_more():
    features, _, videos = _clips(4, number=9, videos=4)
    rows = features / np.linalg.norm(features, axis=1, keepdims=True)
    found = neighbors_of_others(features, videos, 7)
    for i in range(9):
        others = [j for j in range(9) if videos[j] != videos[i]]
        ranked = sorted(others, key=lambda j: -(rows[i] @ rows[j]))
        assert found[i].tolist() == (ranked + [-1] * 7)[:7]
    assert np.array_equal(found[:, 0], nearest_of_others(features, videos))


def test_of_equally_near_clips_the_first_come_first():
    features = np.array([[1, 0], [0, 1], [1, 0], [0, 1], [1, 0], [-1, 0.0]])
    found = neighbors_of_others(features, [0, 1, 2, 3, 4, 4], 6)
    assert found[0].tolist() == [2, 4, 1, 3, 5, -1]
    assert found[4].tolist() == [0, 2, 1, 3, -1, -1]


def test_many_clips_go_in_blocks(monkeypatch):
    features, labels, videos = _clips(3, number=50)
    whole = silhouettes(features, labels), nearest_of_others(features, videos)
    monkeypatch.setattr(embedding, "_BLOCK", 120)
    np.testing.assert_allclose(silhouettes(features, labels), whole[0], atol=1e-12)
    assert np.array_equal(nearest_of_others(features, videos), whole[1])


def test_shuffling_goes_over_videos():
    features, _, videos = _clips(0, number=12, videos=2)
    # Two videos with a label each: whichever way they are shuffled, the groups are the same.
    own = silhouettes(features, videos)
    expected = np.mean([own[videos == v].mean() for v in (0, 1)])
    assert shuffled_silhouette(features, videos, videos) == pytest.approx(expected)


def test_shuffled_labels_give_the_mean_over_all_orders():
    features = np.random.default_rng(1).normal(size=(5, 3))
    labels, videos = [0, 0, 1, 1, 2], np.arange(5)
    orders = [silhouettes(features, order).mean() for order in itertools.permutations(labels)]
    found = shuffled_silhouette(features, labels, videos, shuffles=3000)
    assert found == pytest.approx(np.mean(orders), abs=0.02)
    assert found == shuffled_silhouette(features, labels, videos, shuffles=3000)


@pytest.mark.parametrize(("number", "channels"), [(12, 3), (70, 60)])
def test_the_map_is_scikit_learns_of_rows_of_length_1(number, channels):
    features = np.random.default_rng(0).normal(size=(number, channels)) + 1
    rows = features / np.linalg.norm(features, axis=1, keepdims=True)
    parts = PCA(min(50, channels), svd_solver="full").fit_transform(rows)
    expected = TSNE(2, perplexity=min(30, (number - 1) / 3), init="pca", random_state=3, n_jobs=1).fit_transform(
        parts / parts[:, 0].std()
    )
    np.testing.assert_array_equal(project(features, seed=3), expected)


def test_the_map_is_the_same_again_and_knows_no_lengths():
    features, _, _ = _clips(2)
    found = project(features)
    assert found.dtype == np.float32
    assert np.array_equal(found, project(features))
    assert np.array_equal(found, project(features * 2.0 ** np.arange(-15, 15)[:, None]))


def test_clusters_stay_together():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 15)
    features = np.eye(8)[labels] + 0.05 * rng.normal(size=(60, 8))
    found = project(features)
    gaps = np.linalg.norm(found[:, None] - found, axis=2) + np.diag(np.full(60, np.inf))
    assert (labels[gaps.argmin(axis=1)] == labels).all()


@pytest.mark.parametrize("features", [np.random.default_rng(0).normal(size=(5, 3)), np.eye(6)[:, :1] * 2 - 1])
def test_few_clips_and_one_channel_make_a_map(features):
    found = project(features)
    assert found.shape == (len(features), 2)
    assert np.isfinite(found).all()


def test_clips_that_are_all_alike_are_at_one_place():
    assert not project(np.outer(np.arange(1, 8), [1.0, 2.0])).any()


def test_perplexity_is_limited_by_the_clips():
    assert limit_perplexity(30, 1000) == 30
    assert limit_perplexity(30, 10) == 3
    with pytest.raises(InputError, match="perplexity must be above 0"):
        limit_perplexity(0, 10)


def test_what_cannot_be_used_is_refused():
    features = np.random.default_rng(0).normal(size=(6, 3))
    with pytest.raises(InputError, match="at least 5 clips, got 4"):
        project(features[:4])
    with pytest.raises(InputError, match="finite"):
        project(np.where(features == features[2, 1], np.nan, features))
    with pytest.raises(InputError, match=r"features must be \(N, C\), got \(6,\)"):
        silhouettes(features[:, 0], np.arange(6))
    with pytest.raises(InputError, match=r"labels must be \(6,\)"):
        silhouettes(features, np.arange(5))
    with pytest.raises(InputError, match="at least two labels, got 1"):
        silhouettes(features, np.zeros(6))
    with pytest.raises(InputError, match="at least two videos"):
        nearest_label_hits(features, np.arange(6), np.zeros(6))
