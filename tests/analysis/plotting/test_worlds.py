"""The figure of drawn worlds shows their truth."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.quiver import Quiver

from analysis.cli import main
from analysis.plotting.common.frames import COPY, TRUTH
from analysis.plotting.worlds import draw_worlds
from fima.data.shapes import MOTIONS, REGIMES, draw_video


def test_arrows_are_the_flow_and_cyan_on_the_object():
    """A horizontal mover before a camera at rest: arrows on it are its path's step, all others have no length."""
    video = next(v for v in (draw_video(REGIMES["easy"], 9, i) for i in range(100)) if MOTIONS[v.label] == "horizontal")
    figure = draw_worlds({"easy": video}, columns=4)
    *frames, flow = figure.axes
    assert [len(ax.images) for ax in frames] == [1] * 4
    np.testing.assert_array_equal(frames[0].images[0].get_array(), video.frames(np.array([13]))[0])
    (arrows,) = (found for found in flow.collections if isinstance(found, Quiver))
    time = 38  # the third of four moments spread over 64 frames
    columns, rows = arrows.XY.astype(int).T
    inside = video.masks(np.array([time]))[0][rows, columns]
    step = 64 * (video.layers[-1].path[time + 1, 0] - video.layers[-1].path[time, 0])
    assert inside.any()
    np.testing.assert_allclose(arrows.U[inside], step, atol=1e-3)
    np.testing.assert_allclose(arrows.U[~inside], 0, atol=1e-6)
    np.testing.assert_allclose(arrows.V, 0, atol=1e-3)
    assert flow.get_title() == f"{abs(step):.1f} px a frame"
    cyan = (arrows.get_facecolor() == np.array(to_rgba(TRUTH))).all(axis=1)
    np.testing.assert_array_equal(cyan, inside)


def test_a_row_for_each_world_with_its_outlines():
    """A pair of lines, dark below bright, for each of object and copy; the legend names what is there."""
    with_copy = draw_video(replace(REGIMES["easy"], still_copies=1), 9, 1)
    figure = draw_worlds({"easy": draw_video(REGIMES["easy"], 9, 0), "easy,still_copies=1": with_copy}, columns=3)
    assert len(figure.axes) == 2 * 4
    colors = [{tuple(np.ravel(one.get_edgecolor())[:4]) for one in ax.collections} for ax in figure.axes]
    assert [to_rgba(TRUTH) in found for found in colors] == 2 * [True, True, True, False]
    seen = [bool(mask.any()) for mask in with_copy.copy_masks(np.array([16, 32, 47]))]
    assert [to_rgba(COPY) in found for found in colors] == [False] * 4 + [*seen, False]
    assert [ax.get_ylabel() for ax in figure.axes[::4]] == ["easy", "easy\nstill_copies=1"]
    assert "its copy at rest" in figure.get_suptitle()
    assert "copy" not in draw_worlds({"easy": draw_video(REGIMES["easy"], 9, 0)}).get_suptitle()


def test_the_command_draws_what_is_asked_for(tmp_path, capsys):
    words = ["worlds", "shapes:easy", "shapes:outdoors,still_copies=1", "--columns", "3", "--out", str(tmp_path / "w")]
    assert main(words) == 0
    picture = cv2.imread(str(tmp_path / "w" / "worlds.png"))
    assert picture.std() > 30
    assert capsys.readouterr().out.strip().endswith("worlds.png")
    assert main(words) == 0  # the same again
    assert main([*words, "--number", "3"]) == 2
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["easy"], "WORLD must be shapes:REGIME[,KNOB=VALUE...], got 'easy'"),
        (["shapes:windy"], "the regime must be one of easy, camera"),
        (["shapes:easy,videos=3", "--number", "3"], "--number must be 0 to 2 of shapes:easy,videos=3, got 3"),
        (["--columns", "0"], "--columns must be 1 to 8, got 0"),
        (["--split", "all"], "the split must be one of train, val, test"),
    ],
)
def test_what_is_no_world(words, said, tmp_path, capsys):
    assert main(["worlds", *words, "--out", str(tmp_path / "w")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "w").exists()
