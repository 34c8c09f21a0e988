"""One set of words for flags, notebooks and Python."""

import shlex
from pathlib import Path

import pytest

from analysis.cli import _parser
from analysis.commands.flags import settings_from
from analysis.settings import Settings
from fima.errors import InputError


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"size": 0}, "size must be a whole number of at least 8, got 0"),
        ({"num_frames": -1}, "num_frames .* got -1"),
        ({"num_frames": 1}, "num_frames .* at least 2, got 1"),
        ({"frame_stride": 0}, "frame_stride .* got 0"),
        ({"clips": 2.5}, "clips .* got 2.5"),
        ({"clips": True}, "clips .* got True"),
        ({"batch_size": 0}, "batch_size .* got 0"),
        ({"start_seconds": -0.5}, "start_seconds must be a number of at least 0, got -0.5"),
        ({"start_seconds": float("nan")}, "start_seconds .* got nan"),
        ({"start_seconds": 1.0, "clips": 3}, "start_seconds chooses one clip"),
        ({"video": ["a.mp4"], "data": "d"}, "either video or data"),
        ({"split": "test1"}, "split 'test1' needs data"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"start_seconds": "abc"}, "start_seconds must be a number"),
        ({"layer": 3}, "layer must be a text, got 3"),
        ({"normalize": "video"}, "normalize must be one of frame, clip, got 'video'"),
        ({"boundary": "mirror"}, "boundary must be one of repeat, wrap, got 'mirror'"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_unusable_values_are_refused_by_name(given, said):
    with pytest.raises(InputError, match=said):
        Settings(**given)


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="unknown setting 'sise'"):
        Settings.from_parameters({"sise": 56})


@pytest.mark.parametrize("video", [None, (), []])
def test_no_video_is_the_procedural_one(video):
    assert Settings(video=video).video == ()


def test_a_notebook_may_give_one_path_or_many():
    assert Settings(video="a b.mp4").video == ("a b.mp4",)
    assert Settings(video=[Path("a.mp4"), "b.mp4"]).video == ("a.mp4", "b.mp4")


def test_from_namespace_takes_settings_and_leaves_the_rest():
    assert Settings.from_namespace({"size": 64, "out": "x", "__name__": "m"}) == Settings(size=64)


def test_command_repeats_the_settings():
    settings = Settings(ckpt="my ckpt.pth", video=("a.mp4", "b c.mp4"), size=64, trust_checkpoint=True, seed=3)
    words = shlex.split(settings.command("cam"))
    assert words[0] == "fima-analyze"
    assert settings_from(_parser().parse_args(words[1:])) == settings


@pytest.mark.parametrize(
    ("value", "hint"), [(2024, "-r NAME TEXT"), ("['a.mp4', 'b.mp4']", "-y 'video: "), ([1, 2], "-r NAME TEXT")]
)
def test_what_papermill_makes_of_names(value, hint):
    with pytest.raises(InputError, match=f"^video.*{hint}"):
        Settings(video=value)


def test_a_measure_may_have_a_backbone_of_its_own_where_none_is_asked_for():
    assert Settings().for_measure("attention") == Settings(arch="videomae-tiny")
    assert Settings().for_measure("mechanism") == Settings(ckpt="random")
    for settings in (Settings(ckpt="x.pth"), Settings(arch="vjepa2")):
        assert settings.for_measure("attention") == settings
    assert Settings().for_measure("affinity") == Settings()
    assert Settings().for_measure("cam") == Settings(ckpt="small-fima")


@pytest.mark.parametrize("cell", ["1,2", "a,b,c", "1,2,-3", 3])
def test_a_cell_is_three_numbers(cell):
    with pytest.raises(InputError, match="cell must be"):
        Settings(cell=cell)
