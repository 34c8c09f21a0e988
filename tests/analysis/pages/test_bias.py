"""What the page of background bias concludes, from gaps that are known."""

from types import SimpleNamespace

import numpy as np

from analysis.pages.bias import conclude
from analysis.studies.bias.measuring import BiasGap
from analysis.studies.bias.result import BiasResult


def _result(**right):
    """Name → shares of 200 videos that are right with correlated and with swapped backgrounds."""
    rng = np.random.default_rng(0)
    gaps = {
        name: BiasGap(*(rng.permutation(200) < share * 200 for share in shares), strength=1.0, validation_accuracy=1.0)
        for name, shares in right.items()
    }
    return BiasResult(gaps, SimpleNamespace(classes=10), {}, {}, "")


def test_who_leans_more_is_told_by_the_paired_interval():
    first, lean, *rest = conclude(_result(a=(0.9, 0.9), b=(0.9, 0.2)))
    assert first.startswith("b leans more on the background than a: ")
    assert "+70.0 points" in first
    assert lean == "The probe of b loses accuracy, by its interval, when the background is swapped."
    assert len(rest) == 2  # neither is blind to motion


def test_blind_features_are_said_to_be_blind_and_equal_ones_not_told_apart():
    said = conclude(_result(a=(0.1, 0.1), b=(0.12, 0.1)))
    assert said[0].startswith("Whether b leans more or less on the background than a cannot be told")
    assert said[1].startswith("With swapped backgrounds not above chance by its interval: a, b;")
    assert len(said) <= 6
