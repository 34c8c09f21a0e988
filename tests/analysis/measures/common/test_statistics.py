from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from analysis.measures.common.statistics import (
    StreamingMean,
    VideoScores,
    auroc,
    d_prime,
    paired_difference,
    summarize,
)
from fima.errors import InputError
from fima.evaluation.intervals import interval

levels = st.lists(st.integers(-4, 4).map(lambda k: k / 4), min_size=1, max_size=12)


class TestSummary:
    def test_hand_worked(self):
        summary = summarize([1, 2, math.nan, 6], chance=0.5)
        assert (summary.mean, summary.std) == pytest.approx((3, math.sqrt(7)))
        assert (summary.num_videos, summary.num_missing, summary.chance) == (3, 1, 0.5)
        assert (summary.low, summary.high, summary.num_units) == interval([1, 2, 6])

    def test_units_are_groups(self):
        summary = summarize([1, 1, 2, 6, 6], groups=["a", "a", "b", "c", "c"], limits=(0, 7))
        assert (summary.num_videos, summary.num_units) == (5, 3)
        assert (summary.low, summary.high) == interval([1, 1, 2, 6, 6], [0, 0, 1, 2, 2], limits=(0, 7))[:2]

    def test_one_video(self):
        summary = summarize([0.7])
        assert (summary.mean, summary.num_videos, summary.chance) == (0.7, 1, None)
        assert all(math.isnan(value) for value in (summary.std, summary.low, summary.high))

    def test_no_video(self):
        summary = summarize([math.nan])
        assert (summary.num_videos, summary.num_missing) == (0, 1)
        assert math.isnan(summary.mean)


class TestPairedDifference:
    def test_hand_worked(self):
        difference = paired_difference([0.1, 0.5, 0.5, math.nan], [0.3, 0.5, 0.4, 0.9])
        assert difference.mean == pytest.approx(0.1 / 3)
        assert difference.share_higher == 0.5
        assert difference.num_videos == 3

    def test_pairs_resolve_what_separate_intervals_do_not(self):
        rng = np.random.default_rng(0)
        first = rng.normal(0, 1, 50)
        second = first + 0.1 + rng.normal(0, 0.05, 50)
        paired = paired_difference(first, second)
        assert paired.low > 0
        assert summarize(first).high > summarize(second).low

    @settings(deadline=None)
    @given(pairs=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=3, max_size=10))
    def test_swapping_the_two_turns_it_round(self, pairs):
        first, second = np.array(pairs, dtype=float).T
        one, other = paired_difference(first, second), paired_difference(second, first)
        assert one.mean == pytest.approx(-other.mean)
        assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-9)
        assert one.share_higher == pytest.approx(1 - other.share_higher)

    def test_no_video(self):
        wide = paired_difference([0.1, 0.9, 0.2], [0.9, 0.1, 0.8], limits=(0.0, 1.0))
        assert (wide.low, wide.high) == (-1.0, 1.0)  # no two scores in [0, 1] differ by more
        difference = paired_difference([], [])
        assert difference.num_videos == 0
        assert math.isnan(difference.mean)
        assert math.isnan(difference.share_higher)

    def test_refuses_other_videos(self):
        with pytest.raises(InputError, match="the same videos, got 2 and 1"):
            paired_difference([1, 2], [1])


class TestSeparation:
    @settings(deadline=None)
    @given(positives=levels, negatives=levels)
    def test_auroc_counts_pairs(self, positives, negatives):
        wins = [(a > b) + (a == b) / 2 for a in positives for b in negatives]
        assert auroc(positives, negatives) == pytest.approx(np.mean(wins))
        assert auroc(negatives, positives) == pytest.approx(1 - auroc(positives, negatives))

    def test_auroc_agrees_with_scikit_learn(self):
        rng = np.random.default_rng(0)
        positives, negatives = rng.normal(0.5, 1, 40).round(1), rng.normal(0, 1, 300).round(1)
        labels = [1] * 40 + [0] * 300
        assert auroc(positives, negatives) == pytest.approx(roc_auc_score(labels, [*positives, *negatives]))

    def test_auroc_needs_both(self):
        assert math.isnan(auroc([], [1.0]))
        assert math.isnan(auroc([1.0], []))

    def test_d_prime_by_hand(self):
        assert d_prime([2, 4], [0, 1, 2]) == pytest.approx(2 / math.sqrt((2 + 1) / 2))

    def test_d_prime_of_two_normals(self):
        rng = np.random.default_rng(0)
        assert d_prime(rng.normal(1.5, 1, 20_000), rng.normal(0, 1, 20_000)) == pytest.approx(1.5, abs=0.05)

    @pytest.mark.parametrize(("positives", "negatives"), [([1], [1, 2]), ([1, 2], []), ([0.1] * 3, [0.3] * 7)])
    def test_d_prime_needs_spread(self, positives, negatives):
        assert math.isnan(d_prime(positives, negatives))


class TestVideoScores:
    def test_a_video_counts_once_however_many_clips(self):
        scores = VideoScores()
        for value in (0.0, 0.2, 0.4, math.nan):
            scores.add("long", {"auroc": value})
        scores.add("short", {"auroc": 0.8, "contrast": 1.0})
        assert scores.video_ids == ["long", "short"]
        per_video = scores.per_video()
        assert per_video["auroc"].tolist() == pytest.approx([0.2, 0.8])
        assert per_video["contrast"].tolist() == pytest.approx([math.nan, 1], nan_ok=True)
        summaries = scores.summaries({"auroc": 0.5})
        assert summaries["auroc"].mean == pytest.approx(0.5)
        assert summaries["auroc"].chance == 0.5
        assert summaries["contrast"].chance is None
        assert (summaries["contrast"].num_videos, summaries["contrast"].num_missing) == (1, 1)

    @settings(deadline=None)
    @given(
        clips=st.lists(st.tuples(st.sampled_from("abc"), st.floats(-1, 1)), min_size=1, max_size=20),
        seed=st.integers(0, 9),
    )
    def test_order_of_clips_does_not_matter(self, clips, seed):
        shuffled = [clips[i] for i in np.random.default_rng(seed).permutation(len(clips))]
        results = []
        for order in (clips, shuffled):
            scores = VideoScores()
            for video_id, value in order:
                scores.add(video_id, {"score": value})
            results.append(dict(zip(scores.video_ids, scores.per_video()["score"], strict=True)))
        assert results[0] == pytest.approx(results[1])
        for video_id, mean in results[0].items():
            assert mean == pytest.approx(np.mean([value for own, value in clips if own == video_id]))

    def test_takes_arrays_of_one_number(self):
        scores = VideoScores()
        scores.add("a", {"score": np.float32(0.25)})
        scores.add("a", {"score": np.array([0.75])[0]})
        assert scores.per_video()["score"].tolist() == [0.5]

    def test_memory_does_not_grow_with_clips(self):
        scores = VideoScores()
        for clip in range(1000):
            scores.add("a", {"score": clip})
        assert scores._sums == {"a": {"score": (499_500.0, 1000)}}

    def test_empty(self):
        assert VideoScores().per_video() == {}
        assert VideoScores().summaries() == {}


class TestStreamingMean:
    @settings(deadline=None)
    @given(seed=st.integers(0, 99), count=st.integers(1, 9))
    def test_is_the_mean(self, seed, count):
        arrays = np.random.default_rng(seed).normal(size=(count, 2, 3)).astype(np.float32)
        mean = StreamingMean()
        for array in arrays:
            mean.add(array)
        assert mean.count == count
        np.testing.assert_allclose(mean.mean, arrays.astype(np.float64).mean(0), atol=1e-12)

    def test_does_not_keep_or_change_what_it_is_given(self):
        array, mean = np.ones(3), StreamingMean()
        mean.add(array)
        array[:] = 5
        mean.add(array)
        assert mean.mean.tolist() == [3, 3, 3]
        assert array.tolist() == [5, 5, 5]

    def test_refuses(self):
        mean = StreamingMean()
        with pytest.raises(InputError, match="at least one array"):
            _ = mean.mean
        mean.add(np.ones((2, 2)))
        with pytest.raises(InputError, match=r"\(2, 2\), got \(2,\)"):
            mean.add(np.ones(2))


def test_needs_no_torch():
    code = "import sys, analysis.measures.common.offsets; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
