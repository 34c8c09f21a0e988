"""Chance levels by other videos, and intervals over recordings, as every study gets them."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.inputs.sessions import open_session
from analysis.settings import Settings
from analysis.studies import run
from fima.evaluation.intervals import interval

SMALL = {"size": 56, "num_frames": 4, "frame_stride": 2, "show": 1}


@pytest.fixture(scope="module")
def session(fight_dir):
    session = open_session(Settings(data=str(fight_dir), split="test", **SMALL))
    return replace(session, videos=session.videos[:8])


def test_the_order_of_the_list_changes_no_score_and_no_chance_level(session):
    study = run("cam", session)
    again = run("cam", replace(session, videos=session.videos[::-1]))
    for name, score in study.scores.items():
        assert again.scores[name].mean == pytest.approx(score.mean, abs=1e-6)
        assert again.scores[name].chance == pytest.approx(score.chance, abs=1e-6)


def test_videos_of_one_recording_are_one_unit(session):
    study = run("cam", session)
    groups = [video.group for video in session.videos]
    assert len(set(groups)) < len(groups)
    for name, score in study.scores.items():
        expected = interval(study.video_scores[name], groups, limits=(-1, 1))
        assert (score.low, score.high, score.num_units) == pytest.approx(expected, nan_ok=True)
        assert score.num_units == len(set(groups))


def test_partners_are_of_other_recordings(session):
    one_group = replace(session, videos=[replace(video, group=1) for video in session.videos[:3]])
    assert all(score.chance is None for score in run("cam", one_group).scores.values())
    assert np.isfinite([score.chance for score in run("cam", session).scores.values()]).all()
