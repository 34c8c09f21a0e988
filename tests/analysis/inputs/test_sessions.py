"""One door for checkpoints: what they are, that they see the same clips, and what untrained ones take after."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from analysis.inputs.backbone.checkpoints import newest_checkpoint, plan_columns, plan_sources
from analysis.inputs.sessions import open_session, open_sessions
from analysis.inputs.video.sharing import SharedVideo
from analysis.report import Report
from analysis.report.plan import make_plan
from analysis.settings import Settings
from fima.checkpoints import save_backbone, untrained_backbone
from fima.errors import CheckpointError, InputError

SHAPES = Settings(data="shapes:camera,videos=2,size=48")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """``small.pth``, an R(2+1)D-18 for clips of 8 frames at 40 pixels, and ``run``, three steps of a tiny one."""
    folder = tmp_path_factory.mktemp("checkpoints")
    loaded = untrained_backbone("tiny", seed=7)
    spec = loaded.input.replace(num_frames=8, frame_stride=4, size=40)
    save_backbone(folder / "small.pth", loaded.backbone, arch="tiny", input=spec)
    (folder / "run").mkdir()
    for step in (5, 20, 100):
        made = untrained_backbone("tiny", seed=step)
        save_backbone(folder / "run" / f"step-{step}.ckpt", made.backbone, arch="tiny", input=spec)
    (folder / "run" / "last.ckpt").symlink_to("step-100.ckpt")
    return folder


def _weights(session):
    return session.loaded.backbone.state_dict()


def _same(first, second):
    return all(torch.equal(value, second[name]) for name, value in first.items())


def test_untrained_backbones_take_architecture_and_input_after_the_others(folder):
    sources = plan_columns(["random", str(folder / "small.pth"), "random:3"])
    sessions = open_sessions(SHAPES, sources)
    assert list(sessions) == ["untrained", "small", "untrained seed 3"]
    for session in sessions.values():
        spec = session.spec
        assert (spec.num_frames, spec.frame_stride, spec.size) == (8, 4, 40)
    assert not sessions["untrained"].loaded.trained
    assert not _same(_weights(sessions["untrained"]), _weights(sessions["untrained seed 3"]))


def test_the_settings_of_an_untrained_column_open_it_alone(folder):
    sessions = open_sessions(SHAPES, plan_columns(["random:3", str(folder / "small.pth")]))
    beside = sessions["untrained seed 3"]
    alone = open_session(beside.settings)
    assert alone.spec == beside.spec
    assert _same(_weights(alone), _weights(beside))


def test_a_report_opens_its_checkpoints_alike(folder):
    report = Report(
        SHAPES, ("random", str(folder / "small.pth"), str(folder / "run")), (), folder / "out", measures=("cam",)
    )
    columns = make_plan(report).sessions
    assert [session.spec.size for session in columns.values()] == [40, 40, 40]
    assert columns["run"].loaded.path == folder / "run" / "step-100.ckpt"
    assert columns["random"].loaded.arch == "tiny"


def test_columns_share_their_decoded_frames(folder):
    first, second = open_sessions(SHAPES, plan_columns([str(folder / "small.pth"), "random"])).values()
    assert first.videos == second.videos
    assert all(isinstance(video, SharedVideo) for video in first.videos)
    assert first.videos[0].cache is second.videos[1].cache


def test_a_runs_folder_is_its_newest_checkpoint_everywhere(folder):
    newest = str(folder / "run" / "step-100.ckpt")
    assert newest_checkpoint(str(folder / "run")) == newest
    session = open_session(replace(SHAPES, ckpt=str(folder / "run")))
    assert session.settings.ckpt == newest
    assert _same(_weights(session), untrained_backbone("tiny", seed=100).backbone.state_dict())
    assert [source.ckpt for source in plan_columns([str(folder / "run")])] == [newest]
    # A comparison of a run alone is that of its first step with its last.
    assert [source.step for source in plan_sources([str(folder / "run")]).columns] == [5, 100]


def test_a_folder_without_checkpoints_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint in this folder"):
        open_session(replace(SHAPES, ckpt=str(tmp_path)))


def test_a_word_that_is_no_run_stays(tmp_path):
    (tmp_path / "config.json").write_text("{}")  # a folder of another library's single model
    for word in ("tiny-fima", "random:2", str(tmp_path)):
        assert newest_checkpoint(word) == word


def test_a_backbone_that_is_loaded_is_its_own_session():
    loaded = untrained_backbone("tiny", seed=3)
    session = open_session(replace(SHAPES, size=24), loaded)
    assert session.loaded.backbone is loaded.backbone
    assert session.spec.size == 24
    assert loaded.input.size != 24
    assert session.settings.checkpoint == "random"


def test_the_same_weights_under_two_names_are_refused(folder, tmp_path):
    copy = Path(tmp_path / "copy.pth")
    copy.write_bytes((folder / "small.pth").read_bytes())
    with pytest.raises(InputError, match=r"small and copy are the same checkpoint \(SHA-256"):
        open_sessions(SHAPES, plan_columns([str(folder / "small.pth"), str(copy)]))


def test_other_frames_are_of_the_same_seconds(folder):
    sources = plan_columns([str(folder / "small.pth"), "tiny-fima"])

    def clips(settings, **choices):
        sessions = open_sessions(settings, sources, **choices).values()
        return [(session.spec.num_frames, session.spec.frame_stride) for session in sessions]

    assert clips(SHAPES, same_clips=False) == [(8, 4), (16, 2)]
    assert clips(SHAPES) == [(8, 4), (16, 2)]  # both 32 frames of the video
    assert clips(replace(SHAPES, frame_stride=4)) == [(8, 4), (16, 2)]
    assert clips(replace(SHAPES, frame_stride=1)) == [(8, 2), (16, 1)]
    assert clips(replace(SHAPES, num_frames=8, frame_stride=2)) == [(8, 2), (8, 2)]
