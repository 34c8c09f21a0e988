"""Probes against scikit-learn, brute force, and cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fima.checkpoints import untrained_backbone
from fima.data.clip_protocol import MIDDLE_CLIP, ClipProtocol
from fima.data.datasets import open_dataset
from fima.data.readers.open import open_video
from fima.errors import InputError
from fima.evaluation.features import clip_features
from fima.evaluation.neighbors import hits, nearest, recall, vote
from fima.evaluation.probes import fit_linear_probe
from fima.transforms.normalize import normalize


def blobs(seed, per_class=40, classes=4, dim=6, spread=1.0):
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(99).normal(size=(classes, dim)) * 2.5
    labels = np.repeat(np.arange(classes), per_class)
    return (centers[labels] + spread * rng.normal(size=(len(labels), dim))).astype(np.float32), labels


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 7), count=st.integers(2, 30))
def test_neighbors_and_votes_are_those_of_a_loop(seed, k, count):
    rng = np.random.default_rng(seed)
    gallery, queries = rng.normal(size=(count, 3)), rng.normal(size=(5, 3))
    labels = rng.integers(3, size=count)
    order, similarity = nearest(queries, gallery, k)
    predicted = vote(order, similarity, labels, k=k, temperature=None).argmax(axis=1)
    for q in range(5):
        cosines = [float(g @ queries[q] / np.linalg.norm(g) / np.linalg.norm(queries[q])) for g in gallery]
        expected = sorted(range(count), key=lambda i: -cosines[i])[:k]
        assert order[q].tolist() == expected
        np.testing.assert_allclose(similarity[q], [cosines[i] for i in expected])
        votes = {c: [cosines[i] for i in expected if labels[i] == c] for c in range(3)}
        best = max(votes, key=lambda c: (len(votes[c]), sum(votes[c]) + len(votes[c])))
        assert predicted[q] == best


THREE = ClipProtocol(3, crop_fraction=None)


def test_recall_counts_a_label_among_the_nearest():
    gallery = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [-1.0, 0.0]])
    labels = np.array([0, 1, 1, 2])
    order, _ = nearest(np.array([[1.0, 0.01], [0.0, 2.0]]), gallery, 4)
    found = recall(hits(order, np.array([1, 2]), labels), (1, 2, 4))
    assert found[1].tolist() == [False, False]
    assert found[2].tolist() == [True, False]
    assert found[4].tolist() == [True, True]


def test_the_linear_probe_is_scikit_learns_with_the_strength_that_validation_likes():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    (train, labels), (val, val_labels), (test, test_labels) = blobs(0), blobs(1), blobs(2, 100)
    probe = fit_linear_probe(train, labels, val, val_labels)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=probe.strength, max_iter=2000)).fit(train, labels)
    assert (probe.predict(test) == model.predict(test)).mean() > 0.995
    assert probe.accuracy(test, test_labels) > 0.8
    others = [fit_linear_probe(train, labels, val, val_labels, strengths=[c]) for c in (0.001, 0.01, 0.1, 1, 10)]
    assert probe.validation_accuracy == max(other.validation_accuracy for other in others)
    shuffled = np.random.default_rng(0).permutation(labels)
    assert fit_linear_probe(train, shuffled, val, val_labels).accuracy(test, test_labels) < 0.45  # chance 0.25
    with pytest.raises(InputError, match="at least two classes"):
        fit_linear_probe(train, np.zeros_like(labels), val, val_labels)
    with pytest.raises(InputError, match=r"val must be \(V, C\) features with \(V,\) labels"):
        fit_linear_probe(train, labels, val, val_labels[:3])


def test_pooled_features_are_the_backbones_mean_whatever_the_batch():
    data = open_dataset("shapes:easy,videos=5", split="test")
    loaded = untrained_backbone("tiny", seed=1)
    features = clip_features(loaded, data.records, THREE, batch_size=4)
    assert [clips.shape for clips in features.vectors] == [(3, 128)] * 5
    assert features.labels.tolist() == [record.label for record in data]
    with open_video(data[3]) as reader:
        frames = reader.frames(list(range(0, 32, 2)), short_side=56)  # the first of three clips begins at 0
    clip = frames.movedim(1, 0)[None].float() / 255
    with torch.no_grad():
        expected = loaded.backbone(normalize(clip, loaded.input)).mean(dim=(2, 3, 4))[0]
    np.testing.assert_allclose(features.vectors[3][0], expected, atol=1e-5)
    again = clip_features(loaded, data.records, THREE, batch_size=15)
    np.testing.assert_allclose(features.vectors, again.vectors, atol=1e-5)
    np.testing.assert_allclose(features.mean, np.mean(features.vectors, axis=1))


def test_broken_videos_are_left_out_and_named(tmp_path, clips_dir):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "good.mp4").write_bytes((clips_dir / "dog.mp4").read_bytes())
    (tmp_path / "a" / "zbad.mp4").write_bytes(b"not a video")
    data = open_dataset(tmp_path)
    done = []
    features = clip_features(
        untrained_backbone("tiny"), data.records, ClipProtocol(2), progress=lambda *d: done.append(d)
    )
    assert features.video_ids == ("a/good",)
    assert np.shape(features.vectors) == (1, 2, 128)
    assert list(features.skipped) == ["a/zbad"]
    assert done == [(1, 2), (2, 2)]
    with pytest.raises(InputError, match="none of the 1 videos can be read"):
        clip_features(untrained_backbone("tiny"), data.records[1:], MIDDLE_CLIP)
