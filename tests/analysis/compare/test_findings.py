"""What a comparison's page says first: headline scores, verdicts, sentences and the forest, worked by hand."""

import math
import re

import numpy as np
import pytest

from analysis.compare.conclusions import conclude
from analysis.compare.forest import forest, level_scales
from analysis.compare.headlines import headline_differences, headline_scores, verdict
from analysis.measures.common.statistics import Summary
from analysis.pages.strips import REFERENCE
from analysis.studies import Study
from analysis.studies.common.differences import Difference, compare_scores


def _study(measure, scores, *, trained=True, videos=8):
    provenance = {"checkpoint": {"trained": trained}}
    return Study(measure, {}, scores, {"video_id": np.arange(videos)}, provenance)


def _summary(mean, low=math.nan, high=math.nan, chance=None, videos=8):
    return Summary(mean=mean, std=0.1, low=low, high=high, num_videos=videos, chance=chance)


def _difference(measure, score, value, low=math.nan, high=math.nan, better="higher", other="b", **given):
    return Difference(
        measure, score, "a", other, **{"baseline_mean": 0.0, "other_mean": value, **given}, difference=value, low=low,
        high=high, share_higher=0.9, num_videos=8, better=better,
    )  # fmt: skip


@pytest.mark.parametrize(("other", "grids_differ"), [([2, 7, 7], False), ([8, 14, 14], True)])
def test_networks_of_other_grids_do_not_compare_by_what_depends_on_the_grid(other, grids_differ):
    values = np.linspace(0.2, 0.4, 8)
    names = ("auroc_foreground", "top1_agreement_foreground", "displacement")
    studies = {}
    for name, grid, shift in (("a", [2, 7, 7], 0.0), ("b", other, 0.3)):
        study = _study("affinity", {score: _summary(0.3 + shift) for score in names})
        study.provenance |= {"grid": grid, "inputs": {}}
        study.video_scores.update({"video_id": np.arange(8).astype(str), **dict.fromkeys(names, values + shift)})
        studies[name] = study
    found = {one.score: one for one in compare_scores(studies)}
    assert found["auroc_foreground"].better == "higher"
    assert not found["auroc_foreground"].by_grid
    assert verdict(found["auroc_foreground"]) == "better"
    for name, better in (("top1_agreement_foreground", "higher"), ("displacement", "lower")):
        assert found[name].by_grid == grids_differ
        assert found[name].better == ("" if grids_differ else better)
        assert bool(verdict(found[name])) != grids_differ
    headlines = [score.name for _, score in headline_scores({"affinity": studies})]
    assert headlines == ["auroc_foreground"] + ([] if grids_differ else ["top1_agreement_foreground"])


@pytest.mark.parametrize(
    ("low", "high", "better", "word"),
    [
        (0.1, 0.3, "higher", "better"), (0.1, 0.3, "lower", "worse"), (-0.3, -0.1, "higher", "worse"),
        (-0.3, -0.1, "lower", "better"), (0.1, 0.3, "", ""), (-0.1, 0.3, "higher", ""),
        (math.nan, math.nan, "lower", ""),
    ],
)  # fmt: skip
def test_a_loss_is_no_win(low, high, better, word):
    assert verdict(_difference("affinity", "auroc", 0.2, low, high, better)) == word


def _studies(names=("a", "b"), untrained=(), low=0.6, chance=0.5):
    summary = _summary(0.7, low, 0.8, chance)
    scores = {
        "cam": ("motion_energy_correlation", "rgb_motion_correlation"),
        "affinity": ("auroc_foreground", "top1_agreement_foreground", "displacement_foreground"),
        "temporal": ("offset_auroc", "offset_d_prime"),
        "sensitivity": ("motion_share", "frozen", "other_video"),
    }
    return {
        measure: {name: _study(measure, dict.fromkeys(own, summary), trained=name not in untrained) for name in names}
        for measure, own in scores.items()
    }


def test_headline_scores_say_what_is_better_and_share_the_axis_of_their_measure():
    assert [(measure, score.name) for measure, score in headline_scores(_studies())] == [
        ("cam", "motion_energy_correlation"),
        ("cam", "rgb_motion_correlation"),
        ("affinity", "auroc_foreground"),
        ("affinity", "top1_agreement_foreground"),  # displacement is in cells
        ("temporal", "offset_auroc"),  # d′ has no limits
        ("sensitivity", "motion_share"),  # distances say what is so
    ]


def _all(value, low, high, **given):
    return [
        _difference(measure, score.name, value, low, high, **given) for measure, score in headline_scores(_studies())
    ]


def test_headline_differences_are_in_the_order_of_the_page():
    rows = [_difference("affinity", "contrast", 0.1), *reversed(_all(0.1, 0.05, 0.2))]
    found = headline_differences(_studies(), rows)
    assert [one.score for one in found] == [score.name for _, score in headline_scores(_studies())]


def test_wins_losses_and_what_cannot_be_told_are_counted():
    rows = _all(0.1, -0.1, 0.3)
    rows[0] = _difference("cam", "motion_energy_correlation", 0.2, 0.1, 0.3)
    rows[3] = _difference("affinity", "top1_agreement_foreground", -0.2, -0.3, -0.1)
    first, floor, twin, count, run = conclude(_studies(), rows, ["a", "b"])
    assert first == (
        "Against a, of 6 headline scores b is better in 1: activation maps (correlation with the size of the motion); "
        "worse in 1: spatial affinity (top-1 agreement, foreground); 4 cannot tell."
    )
    assert floor == "Every headline score that has a chance level is better than chance by its interval."
    assert twin.startswith("No untrained twin is among them")
    assert count.startswith("6 differences are looked at below")
    assert "one training run" in run


def test_nothing_told_apart_and_nothing_above_chance():
    said = conclude(_studies(untrained=("a",), low=0.4), _all(0.1, -0.1, 0.3), ["a", "b"])
    assert said[0] == "b and a cannot be told apart by any of 6 headline scores."
    assert said[1] == "Not better than chance by its interval: a in all 6 headline scores; b in all 6 headline scores."
    assert said[2].startswith("a is the reference")
    assert len(said) <= 6


@pytest.mark.parametrize(
    ("short", "words"),
    [
        (("motion_energy_correlation", "rgb_motion_correlation", "offset_auroc"),
         "activation maps (correlation with the size of the motion; correlation of RGB and motion map), "
         "temporal similarity (AUROC of offsets)"),
        (("motion_energy_correlation", "rgb_motion_correlation", "offset_auroc", "motion_share"),
         "4 of 6 headline scores"),
    ],
)  # fmt: skip
def test_few_scores_are_named_and_many_are_counted(short, words):
    studies = _studies()
    for of in studies.values():
        for name in short:
            if name in of["b"].scores:
                of["b"].scores[name] = _summary(0.55, 0.4, 0.8, 0.5)
    said = conclude(studies, _all(0.1, -0.1, 0.3), ["a", "b"])
    assert said[1] == f"Not better than chance by its interval: b in {words}."


def test_where_no_score_has_an_interval_that_is_the_finding():
    summary = _summary(0.7, chance=0.5, videos=2)
    studies = {"affinity": {name: _study("affinity", {"auroc_foreground": summary}) for name in "ab"}}
    said = conclude(studies, [_difference("affinity", "auroc_foreground", 0.1)], ["a", "b"])
    assert said[0].startswith("Nothing may be concluded about other videos: 2 videos cannot carry an interval.")
    assert not any("better" in sentence or "one in twenty" in sentence for sentence in said)


def test_untrained_weights_are_no_result_and_many_checkpoints_stay_within_six_sentences():
    names = list("abcdefgh")
    rows = [row for other in names[1:] for row in _all(0.1, 0.05, 0.2, other=other)]
    assert len(conclude(_studies(names), rows, names)) == 6
    said = conclude(_studies(untrained=("a", "b")), _all(0.1, 0.05, 0.2), ["a", "b"])
    assert any(sentence.startswith("All weights are untrained") for sentence in said)


def test_better_lies_to_the_right():
    lower = _difference("attribution", "sanity_correlation", -0.2, -0.3, -0.1, "lower")
    ((group,),) = [forest([lower], {"a": 0, "b": 1})]
    (row,) = group.rows
    # The axis goes to ±0.324: +0.2 after turning lies at (0.2 / 0.324 + 1) / 2.
    assert float(re.search(r'x="([\d.]+)%"', row.strip)[1]) == pytest.approx(50 * (0.2 / 0.324 + 1), abs=0.01)
    assert (row.text, row.verdict, row.remark) == ("−0.200 [−0.300, −0.100]", "better", "lower is better")
    assert row.values == "0.000 → −0.200"


def test_a_measure_has_one_axis_and_a_score_its_name_once():
    rows = [
        _difference("affinity", "auroc_foreground", 0.1, 0.05, 0.2),
        _difference("affinity", "auroc_foreground", -0.1, -0.5, 0.2, other="c"),
        _difference("temporal", "offset_auroc", 0.3),
    ]
    affinity, temporal = forest(rows, {"a": 0, "b": 1, "c": REFERENCE})
    assert (affinity.title, affinity.end) == ("Spatial affinity", "0.540")
    assert [row.label for row in affinity.rows] == ["AUROC, foreground", ""]
    assert [row.other for row in affinity.rows] == ["b", "c"]
    assert ["#8a8f98" in row.strip for row in affinity.rows] == [False, True]  # the untrained twin is gray
    assert (temporal.end, temporal.rows[0].strip, temporal.rows[0].text) == (
        "",
        "",
        "+0.300",
    )  # no interval, no drawing


def test_a_checkpoint_alone_is_shown_against_chance():
    studies = {"affinity": {"a": _study("affinity", {"auroc_foreground": _summary(0.75, 0.6, 0.8, 0.5)})}}
    (scale,) = level_scales(studies, {"a": 0})
    (line,) = scale.lines
    assert (scale.name, scale.ends, line.label) == ("Spatial affinity", ("0", "1"), "AUROC, foreground")
    assert line.text == "0.750 [0.600, 0.800], chance 0.500"
    assert 'x="75.00%"' in line.strip
    assert 'x1="50.00%" x2="50.00%"' in line.strip


def test_an_axis_without_limits_holds_zero_and_all_that_is_shown():
    studies = {"temporal": {"a": _study("temporal", {"offset_d_prime": _summary(-3.0, -4.0, -2.0)})}}
    (scale,) = level_scales(studies, {"a": 0})
    assert scale.ends == ("−4.2", "0")
