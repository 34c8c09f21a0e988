from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis.measures.common.offset_summary import OffsetSummary
from analysis.measures.common.offsets import OFFSET_CHANCE, default_hop, offset_statistics, pooled_auroc
from analysis.measures.common.statistics import auroc, d_prime
from fima.errors import InputError
from fima.evaluation.intervals import interval


def video(seed, num_windows=6, *, hop=4, span=16, fps=25.0):
    similarity = np.random.default_rng(seed).uniform(-1, 1, (num_windows, num_windows))
    return offset_statistics(similarity, np.arange(num_windows) * hop, span=span, fps=fps)


def tent(num_windows, slope):
    """Similarity 1 − slope · |Δ| in windows."""
    index = np.arange(num_windows)
    return 1 - slope * np.abs(index[:, None] - index)


class TestOneVideo:
    def test_hand_worked(self):
        similarity = [[0.9, 0.5, 0.1], [0.4, 0.8, 0.3], [0.0, 0.2, 0.7]]
        curve = offset_statistics(similarity, [0, 4, 8], span=8, fps=4)
        assert curve.offsets_frames.tolist() == [-8, -4, 0, 4, 8]
        assert curve.offsets_seconds.tolist() == [-2, -1, 0, 1, 2]
        assert curve.count.tolist() == [1, 2, 3, 2, 1]
        assert curve.mean.tolist() == pytest.approx([0.0, 0.3, 0.8, 0.4, 0.1])
        assert curve.std[1:4].tolist() == pytest.approx([math.sqrt(0.02), 0.1, math.sqrt(0.02)])
        assert np.isnan(curve.std[[0, 4]]).all()
        assert curve.aligned.tolist() == [0.9, 0.8, 0.7]
        assert curve.misaligned.tolist() == [0.5, 0.1, 0.4, 0.3, 0.0, 0.2]
        assert curve.disjoint.tolist() == [0.1, 0.0]
        assert curve.auroc == curve.auroc_disjoint == 1
        assert curve.d_prime == pytest.approx(0.55 / math.sqrt((0.01 + 0.035) / 2))
        # symmetrised 0.8, 0.35, 0.05; half way to 0.25 is 0.525, between 0 and 4 frames
        assert curve.half_width_frames == pytest.approx(4 * (0.8 - 0.525) / (0.8 - 0.35))
        assert curve.half_width_seconds == pytest.approx(curve.half_width_frames / 4)

    def test_positive_offset_is_motion_after_rgb(self):
        curve = offset_statistics([[0, 1], [0, 0]], [0, 5], span=4, fps=1)
        assert dict(zip(curve.offsets_frames.tolist(), curve.mean.tolist(), strict=True)) == {-5: 0, 0: 0, 5: 1}

    @settings(deadline=None)
    @given(seed=st.integers(0, 1000), num_windows=st.integers(2, 7), span=st.integers(1, 40))
    def test_agrees_with_loops(self, seed, num_windows, span):
        rng = np.random.default_rng(seed)
        similarity = rng.uniform(-1, 1, (num_windows, num_windows)).round(1)
        starts = rng.choice(50, num_windows, replace=False)
        curve = offset_statistics(similarity, starts, span=span, fps=10)
        pairs = [(int(starts[j] - starts[i]), similarity[i, j]) for i in range(num_windows) for j in range(num_windows)]
        assert curve.offsets_frames.tolist() == sorted({offset for offset, _ in pairs})
        for offset, mean, count in zip(curve.offsets_frames, curve.mean, curve.count, strict=True):
            values = [value for own, value in pairs if own == offset]
            assert mean == pytest.approx(np.mean(values))
            assert count == len(values)
        misaligned = [value for offset, value in pairs if 2 * abs(offset) >= span]
        disjoint = [value for offset, value in pairs if abs(offset) >= span]
        assert curve.misaligned.tolist() == misaligned
        assert curve.disjoint.tolist() == disjoint
        assert curve.auroc == pytest.approx(auroc(similarity.diagonal(), misaligned), nan_ok=True)
        assert curve.auroc_disjoint == pytest.approx(auroc(similarity.diagonal(), disjoint), nan_ok=True)
        assert curve.d_prime == pytest.approx(d_prime(similarity.diagonal(), misaligned), nan_ok=True)

    def test_half_width_of_a_tent(self):
        # Falls by 0.1 per window of 2 frames; misaligned is |Δ| ≥ 4 windows.
        similarity = tent(9, 0.1)
        curve = offset_statistics(similarity, np.arange(9) * 2, span=16, fps=8)
        floor = curve.misaligned.mean()
        assert curve.half_width_frames == pytest.approx((1 - floor) / 2 / 0.1 * 2)

    @pytest.mark.parametrize("similarity", [np.ones((5, 5)), -tent(5, 0.1)], ids=["flat", "lowest at 0"])
    def test_no_peak_at_zero_no_half_width(self, similarity):
        assert math.isnan(offset_statistics(similarity, np.arange(5) * 4, span=8, fps=25).half_width_frames)

    def test_constant_similarity_is_at_chance(self):
        curve = offset_statistics(np.full((5, 5), 0.3), np.arange(5) * 4, span=8, fps=25)
        assert curve.auroc == curve.auroc_disjoint == OFFSET_CHANCE["auroc"]
        assert math.isnan(curve.d_prime)  # nothing varies

    def test_short_video_has_no_misaligned_pairs(self):
        curve = offset_statistics([[0.5]], [0], span=16, fps=25)
        assert curve.aligned.tolist() == [0.5]
        assert len(curve.misaligned) == len(curve.disjoint) == 0
        assert all(math.isnan(score) for score in curve.scores().values())

    def test_unknown_pairs_are_left_out(self):
        similarity = tent(4, 0.1)
        similarity[0] = math.nan
        curve = offset_statistics(similarity, np.arange(4) * 8, span=16, fps=25)
        assert curve.count.sum() == 12
        assert len(curve.aligned) == 3
        assert np.isfinite(curve.mean).all()

    def test_does_not_touch_its_input(self):
        similarity, starts = tent(4, 0.1), np.arange(4)
        offset_statistics(similarity, starts, span=2, fps=1)
        assert np.array_equal(similarity, tent(4, 0.1))
        assert starts.tolist() == [0, 1, 2, 3]

    @pytest.mark.parametrize(
        ("similarity", "starts", "kwargs", "message"),
        [
            (np.ones((2, 3)), [0, 1], {}, r"got \(2, 3\) and \(2,\)"),
            (np.ones((2, 2)), [0.0, 1.0], {}, "float64"),
            (np.ones((2, 2)), [0, 1], {"fps": 0}, "fps above 0, got 16 and 0"),
            (np.ones((2, 2)), [0, 1], {"span": 0}, "span must be at least 1"),
        ],
    )
    def test_refuses(self, similarity, starts, kwargs, message):
        with pytest.raises(InputError, match=message):
            offset_statistics(similarity, starts, **{"span": 16, "fps": 25, **kwargs})

    @pytest.mark.parametrize(("span", "hop"), [(1, 1), (3, 1), (16, 4), (32, 8), (33, 8)])
    def test_default_hop(self, span, hop):
        assert default_hop(span) == hop


class TestManyVideos:
    def test_one_video_has_a_band_over_pairs(self):
        curve = video(0)
        summary = OffsetSummary()
        summary.add("a", curve)
        result = summary.result()
        assert (result.unit, result.num_videos) == ("window pair", 1)
        assert np.array_equal(result.mean, curve.mean)
        zero = 5
        margin = 1.96 * curve.aligned.std(ddof=1) / math.sqrt(6)
        assert result.low[zero] == pytest.approx(curve.mean[zero] - margin)
        assert result.high[zero] == pytest.approx(curve.mean[zero] + margin)
        assert np.isnan(result.low[[0, -1]]).all()  # one pair only

    def test_each_video_weighs_the_same(self):
        short, long = video(0, 3), video(1, 9)
        summary = OffsetSummary()
        summary.add("short", short)
        summary.add("long", long)
        result = summary.result()
        assert (result.unit, result.num_videos) == ("video", 2)
        assert result.offsets_frames.tolist() == long.offsets_frames.tolist()
        assert result.videos_per_offset.tolist() == [1] * 6 + [2] * 5 + [1] * 6
        assert result.mean[8] == pytest.approx((short.aligned.mean() + long.aligned.mean()) / 2)
        assert result.mean[0] == pytest.approx(long.mean[0])
        assert np.isnan(result.low[:6]).all()
        assert np.isnan(result.low[6:11]).all()  # two videos carry no band
        histogram = result.histograms["misaligned"]
        expected = [np.histogram(v.misaligned, bins=histogram.edges, density=True)[0] for v in (short, long)]
        np.testing.assert_allclose(histogram.density, np.mean(expected, axis=0))

    def test_band_is_the_interval_over_videos(self):
        summary, curves = OffsetSummary(), [video(seed) for seed in range(8)]
        for seed, curve in enumerate(curves):
            summary.add(f"video {seed}", curve)
        result = summary.result()
        low, high, _ = interval([curve.aligned.mean() for curve in curves])
        assert (result.low[5], result.high[5]) == pytest.approx((low, high))

    def test_histograms_know_how_many_videos_are_behind_them(self):
        summary = OffsetSummary(num_bins=20)
        summary.add("one window", offset_statistics([[0.5]], [0], span=16, fps=25))
        summary.add("three windows", video(0, 3))  # up to half a window apart
        summary.add("six windows", video(1, 6))
        histograms = summary.result().histograms
        assert {kind: h.num_videos for kind, h in histograms.items()} == {"aligned": 2, "misaligned": 2, "disjoint": 1}
        for histogram in histograms.values():
            assert len(histogram.density) == 20
            assert (histogram.density * np.diff(histogram.edges)).sum() == pytest.approx(1)

    def test_no_disjoint_pairs_no_density(self):
        summary = OffsetSummary()
        summary.add("a", video(0, 3))
        disjoint = summary.result().histograms["disjoint"]
        assert disjoint.num_videos == 0
        assert np.isnan(disjoint.density).all()

    def test_scores_are_per_video_in_order(self):
        summary, curves = OffsetSummary(), {"b": video(0), "a": video(1), "short": video(2, 2)}
        for name, curve in curves.items():
            summary.add(name, curve)
        result = summary.result()
        assert result.video_ids == ["b", "a", "short"]
        for name, values in result.scores.items():
            assert values.tolist() == pytest.approx([getattr(c, name) for c in curves.values()], nan_ok=True)
        assert OFFSET_CHANCE.keys() <= result.scores.keys()

    def test_order_of_videos_changes_no_mean(self):
        curves = {str(seed): video(seed, 3 + seed) for seed in range(5)}
        results = []
        for order in (list(curves), list(reversed(curves))):
            summary = OffsetSummary()
            for name in order:
                summary.add(name, curves[name])
            results.append(summary.result())
        np.testing.assert_allclose(results[0].mean, results[1].mean)
        np.testing.assert_allclose(results[0].histograms["aligned"].density, results[1].histograms["aligned"].density)

    def test_seconds_only_where_all_videos_agree(self):
        summary = OffsetSummary()
        summary.add("a", video(0, fps=25))
        assert summary.result().offsets_seconds[0] == pytest.approx(-20 / 25)
        summary.add("b", video(1, fps=30))
        summary.add("c", video(2, fps=30))
        result = summary.result()
        assert np.isnan(result.offsets_seconds).all()
        assert result.offsets_frames[0] == -20

    def test_same_seed_same_bits(self):
        results = []
        for _ in range(2):
            summary = OffsetSummary()
            for seed in range(4):
                summary.add(str(seed), video(seed, 4 + seed))
            results.append(summary.result())
        assert results[0].low.tobytes() == results[1].low.tobytes()
        assert results[0].high.tobytes() == results[1].high.tobytes()

    def test_keeps_no_pairs(self):
        summary = OffsetSummary()
        summary.add("long", video(0, 200, hop=1))
        kept = [value for value in vars(summary).values() if isinstance(value, np.ndarray)]
        kept += [array for pair in summary._curves.values() for array in pair]
        kept += list(summary._density.values()) + list(summary._pair_band)
        assert max(array.size for array in kept) <= 399

    def test_refuses(self):
        summary = OffsetSummary()
        with pytest.raises(InputError, match="at least one video"):
            summary.result()
        summary.add("a", video(0))
        with pytest.raises(InputError, match="'a' was added before"):
            summary.add("a", video(1))
        with pytest.raises(InputError, match="'b' must have windows of 16 frames as the first, got 8"):
            summary.add("b", video(1, span=8))


def _flat_video(level, windows):
    """A video whose similarity is the same at every offset."""
    return offset_statistics(np.full((windows, windows), level), np.arange(windows) * 4, span=16, fps=25.0)


def test_change_does_not_mistake_who_is_there_for_what_happens():
    summary = OffsetSummary()
    summary.add("short and alike", _flat_video(0.9, 3))
    summary.add("long and unlike", _flat_video(0.3, 9))
    result = summary.result()
    far = result.offsets_frames == 32
    near = result.offsets_frames == 0
    assert result.mean[near] == pytest.approx(0.6)
    assert result.mean[far] == pytest.approx(0.3)  # only the long video is left: a fall that no video shows
    np.testing.assert_allclose(result.change, 0, atol=1e-12)
    assert result.videos_per_offset[near] == 2
    assert result.videos_per_offset[far] == 1


def test_change_is_each_videos_own():
    summary = OffsetSummary()
    for i, level in enumerate((0.9, 0.5, 0.1)):
        starts = np.arange(6) * 4
        falling = level - 0.01 * (i + 1) * np.abs(starts[:, None] - starts[None])
        summary.add(str(i), offset_statistics(falling, starts, span=16, fps=25.0))
    result = summary.result()
    np.testing.assert_allclose(result.change, -0.02 * np.abs(result.offsets_frames), atol=1e-12)
    assert (result.change_low <= result.change + 1e-12).all()
    assert (result.change_high >= result.change - 1e-12).all()
    width = result.change_high - result.change_low
    assert width[result.offsets_frames == 0] == pytest.approx(0)  # levels differ by 0.4: that is not in this band
    assert width.max() < 1


def test_aligned_pairs_of_short_videos_count_where_no_video_has_others():
    summary = OffsetSummary(num_bins=20)
    summary.add("one window", offset_statistics([[0.5]], [0], span=16, fps=25))
    assert summary.result().histograms["aligned"].num_videos == 1


@given(arrays(np.int64, (2, 6), elements=st.integers(0, 9)))
def test_the_pooled_auroc_is_that_of_what_is_drawn(counts):
    """Against all pairs of a sample that has these counts in six bins."""
    first, second = (np.repeat(np.arange(6.0), count) for count in counts)
    if not len(first) or not len(second):
        assert np.isnan(pooled_auroc(*counts))
        return
    wins = (first[:, None] > second[None]).mean() + (first[:, None] == second[None]).mean() / 2
    assert pooled_auroc(*counts) == pytest.approx(wins)
    assert pooled_auroc(counts[0] * 0.1, counts[1] * 7.0) == pytest.approx(wins)  # densities of any scale
