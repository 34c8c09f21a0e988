"""The explorer shows the numbers that the study has, and its widgets drive it."""

import numpy as np
import pytest

from analysis.pages.explore_widget import Explorer, explore
from analysis.settings import Settings
from analysis.studies import run

SMALL = {"num_frames": 8, "size": 56}


def test_a_view_is_the_studys_clip(clips_dir):
    settings = Settings(video=str(clips_dir / "dog.mp4"), start_seconds=0.5, **SMALL)
    explorer = Explorer(Settings(video=str(clips_dir / "dog.mp4"), **SMALL))
    view = explorer.view(explorer.videos[0], start_seconds=0.5)
    study = run("affinity", settings)
    np.testing.assert_allclose(view.affinity, study.arrays["affinity_mean"], atol=1e-6)
    np.testing.assert_array_equal(view.frame, study.arrays["example_frame"][0])


def test_the_picture_marks_the_best_match_of_the_patch():
    explorer = Explorer(Settings(**SMALL))
    view = explorer.view(explorer.videos[0], 0.2)
    patch = 17
    figure = explorer.picture(view, patch)
    best = divmod(int(view.affinity[patch].argmax()), 7)
    panel = next(ax for ax in figure.axes if ax.get_title() == "affinity to the motion")
    cross = panel.lines[0].get_xydata()[0]
    assert tuple(int((place + 0.5) // (224 / 7)) for place in cross[::-1]) == best


def test_another_layer_gives_another_grid():
    explorer = Explorer(Settings(**SMALL))
    grids = [explorer.view(explorer.videos[0], 0.0, layer).activation.shape for layer in explorer.layers]
    assert grids[-1] == (7, 7)
    assert grids[0][0] > 7


@pytest.mark.parametrize("control", ["patch row", "start (s)", "layer"])
def test_every_widget_redraws(control):
    box = explore(Settings(**SMALL))
    widgets = {getattr(child, "description", "picture"): child for child in box.children}
    picture = box.children[-1]
    before = bytes(picture.value)
    assert before.startswith(b"\x89PNG")
    chosen = widgets[control]
    chosen.value = chosen.options[0][1] if control == "layer" else type(chosen.value)(1)
    assert bytes(picture.value) != before


def test_a_click_on_the_picture_chooses_the_patch():
    box = explore(Settings(**SMALL))
    row, column = box.children[3:5]
    frame, grid = box.children[5].children
    picture = box.children[-1]
    assert bytes(frame.value).startswith(b"\x89PNG")
    assert len(grid.children) == 49
    before = bytes(picture.value)
    grid.children[7 * 2 + 5].click()
    assert (row.value, column.value) == (2, 5)
    assert bytes(picture.value) != before
    outlined = [at for at, button in enumerate(grid.children) if "2px" in str(button.layout.border_top)]
    assert outlined == [7 * 2 + 5]
