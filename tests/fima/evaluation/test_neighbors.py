"""Neighbors, recall and votes against loops, scikit-learn and cases worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from fima.data.duplicates import content_key, same_videos
from fima.errors import InputError
from fima.evaluation.neighbors import (
    centered,
    chance_of_vote,
    chance_recall,
    hits,
    nearest,
    recall,
    unit_rows,
    vote,
)
from fima.presets.retrieval import retrieval_preset


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    gallery=st.integers(1, 300),
    queries=st.integers(1, 9),
    count=st.integers(1, 12),
    values=st.integers(2, 40),
)
def test_nearest_is_a_stable_sort_of_all(seed, gallery, queries, count, values):
    rng = np.random.default_rng(seed)
    # Rows of one ±1 each have similarities that are exact, and full of ties.
    signs = rng.choice([-1.0, 1.0], size=gallery)
    g = np.zeros((gallery, values))
    g[np.arange(gallery), rng.integers(values, size=gallery)] = signs
    q = rng.normal(size=(queries, values))
    order, similarity = nearest(q, g, count)
    full = unit_rows(q) @ g.T
    expected = np.argsort(-full, axis=1, kind="stable")[:, :count]
    assert order.tolist() == expected.tolist()
    np.testing.assert_allclose(similarity, np.take_along_axis(full, expected, 1), atol=1e-12)


def test_nearest_over_several_blocks_is_scikit_learns(monkeypatch):
    rng = np.random.default_rng(1)
    g, q = rng.normal(size=(701, 16)).astype(np.float32), rng.normal(size=(50, 16)).astype(np.float32)
    monkeypatch.setattr("fima.evaluation.neighbors._BLOCK", 701 * 7)
    order, similarity = nearest(q, g, 20)
    distance, expected = NearestNeighbors(n_neighbors=20, metric="cosine", algorithm="brute").fit(g).kneighbors(q)
    assert order.tolist() == expected.tolist()
    np.testing.assert_allclose(similarity, 1 - distance, atol=1e-6)
    assert similarity.dtype == np.float32


def test_recall_of_a_case_by_hand():
    gallery = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [-1.0, 0.0]])
    order, _ = nearest(np.array([[1.0, 0.01], [0.0, 2.0]]), gallery, 4)
    assert order.tolist() == [[0, 1, 2, 3], [2, 1, 0, 3]]
    right = recall(hits(order, np.array([1, 2]), np.array([0, 1, 1, 2])), (1, 2, 4))
    assert {rank: part.tolist() for rank, part in right.items()} == {
        1: [False, False],
        2: [True, False],
        4: [True, True],
    }


@pytest.mark.parametrize("k", [1, 3, 8])
def test_votes_are_scikit_learns(k):
    rng = np.random.default_rng(k)
    centers = rng.normal(size=(4, 6)) * 1.5
    labels, wanted = rng.integers(4, size=200), rng.integers(4, size=80)
    g, q = centers[labels] + rng.normal(size=(200, 6)), centers[wanted] + rng.normal(size=(80, 6))
    order, similarity = nearest(q, g, k)
    weighted = vote(order, similarity, labels, k=k, temperature=0.07).argmax(1)
    theirs = KNeighborsClassifier(
        k, metric="cosine", algorithm="brute", weights=lambda distance: np.exp((1 - distance) / 0.07)
    ).fit(g, labels)
    assert weighted.tolist() == theirs.predict(q).tolist()
    plain = vote(order, similarity, labels, k=k, temperature=None)
    counts = np.array([np.bincount(labels[row], minlength=4) for row in order])
    assert (np.floor(plain + 1e-9) == counts).all()
    # Where scikit-learn breaks ties by the lower class, ours takes the nearer.
    only = (counts == counts.max(1, keepdims=True)).sum(1) == 1
    majority = KNeighborsClassifier(k, metric="cosine", algorithm="brute").fit(g, labels).predict(q)
    assert plain.argmax(1)[only].tolist() == majority[only].tolist()
    assert only.any()


def test_centering_by_hand():
    q, g = np.array([[1.0, 0.0], [3.0, 2.0]]), np.array([[0.0, 0.0], [2.0, 4.0]])
    assert [part.tolist() for part in centered(q, g, "none")] == [q.tolist(), g.tolist()]
    assert [part.tolist() for part in centered(q, g, "train")] == [[[0, -2], [2, 0]], [[-1, -2], [1, 2]]]
    assert [part.tolist() for part in centered(q, g, "each")] == [[[-1, -1], [1, 1]], [[-1, -2], [1, 2]]]
    with pytest.raises(InputError, match="none, train or each"):
        centered(q, g, "both")


def test_chance_of_recall_is_that_of_drawing_without_putting_back():
    gallery, queries = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 2])
    for rank in (1, 2, 4, 5):
        expected = [1 - math.comb(5 - same, rank) / math.comb(5, rank) for same in (2, 3, 3, 0)]
        assert chance_recall(queries, gallery, rank) == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("rank", [1, 5, 20])
def test_shuffled_labels_give_chance(rank):
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(10, 16)) * 3
    labels, wanted = rng.integers(10, size=1000), rng.integers(10, size=2000)
    order, similarity = nearest(
        centers[wanted] + rng.normal(size=(2000, 16)), centers[labels] + rng.normal(size=(1000, 16)), rank
    )
    assert recall(hits(order, wanted, labels), (rank,))[rank].mean() > 0.95
    found = [
        recall(hits(order, rng.permutation(wanted), rng.permutation(labels)), (rank,))[rank].mean() for _ in range(20)
    ]
    assert np.mean(found) == pytest.approx(chance_recall(wanted, labels, rank), abs=0.02)
    chance = chance_of_vote(order, similarity, wanted, labels, k=rank)
    assert chance == pytest.approx(0.1, abs=0.02)


def test_what_cannot_be_compared():
    with pytest.raises(InputError, match=r"got \(2, 3\) and \(2, 4\)"):
        nearest(np.zeros((2, 3)), np.zeros((2, 4)), 1)
    with pytest.raises(InputError, match="need a gallery"):
        nearest(np.zeros((2, 3)), np.zeros((0, 3)), 1)
    with pytest.raises(InputError, match="finite"):
        nearest(np.full((2, 3), np.nan), np.ones((2, 3)), 1)


def test_a_preset_that_is_not_there_is_refused():
    for words, line in (({"name": "x"}, "--preset"), ({"clips": 0}, "--clips"), ({"center": "x"}, "--center")):
        with pytest.raises(InputError, match=line):
            retrieval_preset(**{"name": "fima", **words})


def test_duplicates_are_told_by_content_and_drawn_ones_by_id(tmp_path):
    one, copy, other = tmp_path / "a.mp4", tmp_path / "b.mp4", tmp_path / "c.mp4"
    one.write_bytes(b"x" * 3_000_000)
    copy.write_bytes(b"x" * 3_000_000)
    other.write_bytes(b"x" * 3_000_001)
    keys = [content_key(path) for path in (one, copy, other)]
    assert keys[0] == keys[1] != keys[2]
    assert content_key(tmp_path / "none.mp4") is None
    train = {"a": keys[0], "d": None, "e": keys[2], "copy of a": keys[1]}
    # "e" has another content on either side: two videos that happen to have one name.
    test = {"b": keys[1], "d": None, "e": "other", "f": None}
    assert same_videos(train, test, one_source=False) == [("a", "b")]
    assert same_videos(train, test, one_source=True) == [("a", "b"), ("d", "d")]
    for name in ("f", "g"):
        (tmp_path / name).mkdir()
        for i in range(3):
            (tmp_path / name / f"{i}.jpg").write_bytes(bytes([i]) * 10)
    assert content_key(tmp_path / "f") == content_key(tmp_path / "g")
