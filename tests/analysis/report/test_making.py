"""A report takes the place of an earlier one at the end, or not at all."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

from analysis.report import Report, make_report, measuring
from analysis.settings import Settings
from fima.errors import InputError

SMALL = Settings(data="shapes:camera,videos=3,size=56", split="test", num_frames=8, size=32)
KILLED = """
import os, signal, sys
from analysis.cli import main
from analysis.report import measuring
from analysis.studies.common.study import Study
measuring.run = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
main(sys.argv[1:])
"""


def report(out, *measures, seed=0, **changed):
    return Report(SMALL, (f"random:{seed}",), (), out, measures=measures, **changed)


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_report(report(tmp_path_factory.mktemp("made") / "out", "cam")).index.parent


@pytest.fixture
def earlier(made, tmp_path):
    """A folder with a finished report, and a file of its user."""
    out = tmp_path / "out"
    shutil.copytree(made, out)
    (out / "random_0" / "mine.txt").write_text("keep")
    return out


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError, ZeroDivisionError])
def test_what_breaks_half_way_leaves_the_earlier_report(earlier, monkeypatch, error):
    before, run = content(earlier), measuring.run

    def breaking(measure, session, progress):
        if measure == "temporal":
            raise error("half-way")
        return run(measure, session, progress)

    monkeypatch.setattr(measuring, "run", breaking)
    with pytest.raises(error, match="half-way"):
        make_report(report(earlier, "cam", "temporal", seed=1, overwrite=True))
    assert content(earlier) == before


def test_what_is_killed_leaves_the_earlier_report_and_the_next_one_clears_up(earlier):
    before = content(earlier)
    flags = ["report", "--ckpt", "random:0", "--data", SMALL.data, "--split", "test", "--num-frames", "8"]
    flags += ["--size", "32", "--measure", "temporal", "--out", str(earlier), "--overwrite"]
    killed = subprocess.run([sys.executable, "-c", KILLED, *flags], check=False, env={**os.environ})
    assert killed.returncode == -signal.SIGKILL
    assert {name: of for name, of in content(earlier).items() if ".partial-" not in name} == before | {
        ".fima-lock": b""
    }
    assert list(earlier.glob(".partial-*"))
    make_report(report(earlier, "temporal", overwrite=True))
    assert {path.name for path in earlier.iterdir()} == {".fima-results.json", "index.html", "random_0"}
    assert {path.name for path in (earlier / "random_0").iterdir()} == {
        "mine.txt", "temporal.json", "temporal.npz", "temporal.png",
    }  # fmt: skip


def test_a_file_of_the_user_stops_a_report_before_it_has_begun(earlier, monkeypatch):
    (earlier / "index.html").write_text("my own words")
    before = content(earlier)
    monkeypatch.setattr(measuring, "run", lambda *_: pytest.fail("measured"))
    with pytest.raises(InputError, match=r"holds index\.html, not of this run; nothing was written"):
        make_report(report(earlier, "cam", overwrite=True))
    assert content(earlier) == before
