"""Lines of progress by a clock that the test moves."""

import pytest

from fima.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("fima.progress.time.monotonic", lambda: now[0])
    return now


def test_a_line_every_quarter_of_a_minute(clock, capsys):
    with Progress("train", unit="steps", style="lines") as progress:
        for done in range(1, 61):
            clock[0] += 1.0
            progress(done, 60, f"loss {done}")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "train: 15/60 steps, 1.00 steps/s, loss 15, 45 s left"
    assert [line.split("/")[0] for line in lines] == ["train: 15", "train: 30", "train: 45", "train: 60"]


@pytest.mark.parametrize(("ends", "lines"), [(False, ""), (True, "draw: 2/2, 4.00/s, 0 s left\n")])
def test_quick_work_says_its_end_if_asked_to(clock, capsys, ends, lines):
    progress = Progress("draw", style="lines", ends=ends)
    progress(1, 2)
    clock[0] += 0.5
    progress(2, 2)
    assert capsys.readouterr().err == lines


def test_nothing_is_shown_if_nothing_shall_be(clock, capsys):
    with Progress("draw", style="none", ends=True) as progress:
        clock[0] += 60
        progress(2, 2)
    assert capsys.readouterr().err == ""


def test_pace_is_of_this_run_not_of_the_one_before(clock, capsys):
    progress = Progress("train", unit="steps", style="lines", ends=True)
    progress.begin(100)
    clock[0] += 10
    progress(120, 120)
    progress.tell("a line")
    assert capsys.readouterr().err == "train: 120/120 steps, 2.00 steps/s, 0 s left\na line\n"
