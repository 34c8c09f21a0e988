import itertools
import math

import pytest

from fima.engine.schedule import learning_rate
from fima.tasks.pretrain.config import OptimizerOptions


def rate(step, **changes):
    return learning_rate(step, 10, OptimizerOptions(**{"epochs": 200, "lr": 0.00375} | changes))


def test_the_reference_changes_by_whole_epochs():
    """lr · ½(1 + cos(π · epoch / epochs)), worked out by hand at a half, a quarter and the end."""
    assert rate(0) == rate(9) == 0.00375
    assert rate(1000) == rate(1009) == pytest.approx(0.001875)
    assert rate(500) == pytest.approx(0.00375 * (1 + math.sqrt(0.5)) / 2)
    assert 0 < rate(1999) < 1e-6
    assert rate(10) < rate(9)


def test_by_steps_it_falls_with_each():
    rates = [rate(step, update="step") for step in range(2000)]
    assert all(a > b for a, b in itertools.pairwise(rates))
    assert rates[1000] == pytest.approx(0.001875)


def test_warm_up_meets_the_cosine():
    rates = [rate(step, update="step", warmup_epochs=5, warmup_start=0.001) for step in range(80)]
    assert rates[0] == pytest.approx(0.001)
    assert rates[25] == pytest.approx((0.001 + rate(50, update="step")) / 2)
    assert rates[50] == rate(50, update="step")
    assert all(a < b for a, b in itertools.pairwise(rates[:51]))


def test_constant():
    assert {rate(step, schedule="constant") for step in range(0, 2000, 100)} == {0.00375}
