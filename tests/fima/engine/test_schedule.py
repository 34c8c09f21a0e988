import itertools
import math

import pytest

from fima.engine.configuration import Schedule
from fima.engine.schedule import Plateau, rate_factor


def rate(step, steps_per_epoch=10, lr=0.00375, **changes):
    return lr * rate_factor(step, steps_per_epoch, Schedule(**{"epochs": 200} | changes), lr=lr)


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


def test_warm_up_goes_by_steps_whatever_the_schedule_does():
    """PySlowFast's get_lr_at_epoch at epoch + iteration / iterations, written again; no epoch is lost at rate 0."""

    def slowfast(step):
        epoch = step / 10
        if epoch < 1.7:
            return 0.001 + epoch * (rate(17, update="step") - 0.001) / 1.7
        return rate(10 * int(epoch))

    rates = [rate(step, warmup_epochs=1.7, warmup_start=0.001) for step in range(60)]
    assert rates == pytest.approx([slowfast(step) for step in range(60)])
    default = [rate(step, warmup_epochs=1) for step in range(10)]
    assert default == pytest.approx([0.00375 * rate(10, lr=1) * step / 10 for step in range(10)])


def test_milestones_and_a_published_warm_up():
    milestones = {"epochs": 150, "schedule": "milestones", "milestones": (60, 120), "lr": 1}
    found = [rate(epoch * 4 + 3, 4, **milestones) for epoch in (0, 59, 60, 119, 120, 149)]
    assert found == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    maclr = {"lr": 0.01, "warmup_epochs": 1.7, "warmup_start": 1e-3}
    assert rate(0, **maclr) == pytest.approx(0.001)
    end = 0.01 * 0.5 * (1 + math.cos(math.pi * 1.7 / 200))
    assert rate(10, **maclr) == pytest.approx(0.001 + (end - 0.001) / 1.7)
    assert rate(1000, **maclr) == pytest.approx(0.005)
    ava = {"epochs": 20, "schedule": "milestones", "update": "step", "milestones": (10, 15), "lr": 0.1}
    ava |= {"warmup_epochs": 5, "warmup_start": 0.000125}
    found = [rate(step, **ava) for step in (0, 25, 50, 99, 100, 150)]
    assert found == pytest.approx([0.000125, (0.000125 + 0.1) / 2, 0.1, 0.1, 0.01, 0.001])


def test_plateau_counts_bad_epochs_since_the_last_fall():
    plateau = Plateau(Schedule(schedule="plateau", patience=3, gamma=0.1))
    factors = []
    for loss in (1.0, 1.1, 0.9, 1.0, 0.95, 0.8, 0.9, 0.9, 0.85):
        plateau.see(loss)
        factors.append(plateau.factor)
    # Bad: 1.1, 1.0, 0.95 → falls; then 0.9, 0.9, 0.85 → falls again.
    assert factors == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.01])
    other = Plateau(Schedule(schedule="plateau", patience=3, gamma=0.1))
    other.restore(plateau.state())
    assert (other.state(), other.factor) == (plateau.state(), plateau.factor)


def test_constant():
    assert {rate(step, schedule="constant") for step in range(0, 2000, 100)} == {0.00375}
