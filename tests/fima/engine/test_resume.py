"""Where a run goes on: damaged files, files of other runs, and what a checkpoint of an earlier version lacks."""

import dataclasses

import pytest
import torch

from fima.engine.configuration import Optimizer, RunConfig
from fima.engine.legacy import as_today, run_as_today
from fima.engine.resume import ResumePoint, check_same_run, find_resume, saved_state
from fima.errors import CheckpointError, InputError

CONFIG = RunConfig(data="d", out="o")
RUN = {"decisive": CONFIG.decisive(), "data": {"train": {"videos": 3, "digest": "x"}}, "world": 1}

PARTS = {
    "run": RUN, "global_step": 1, "state_dict": {"a": torch.zeros(1)}, "optimizer_states": [], "lr_schedulers": [],
    "callbacks": {}, "loops": {}, "pytorch-lightning_version": "2.5.0",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(PARTS.keys() - {"run"}))
@pytest.mark.parametrize("damage", ["absent", "other"])
def test_a_part_that_is_not_there_or_of_another_kind_is_named(name, damage, tmp_path):
    other = {"absent": {}, "other": {name: "x"}}[damage]
    torch.save({key: value for key, value in PARTS.items() if key != name} | other, tmp_path / "last.ckpt")
    with pytest.raises(CheckpointError, match=rf"last\.ckpt: damaged: no {name} in it"):
        find_resume(tmp_path, "auto")


def test_weights_that_are_not_there_are_named(folder):
    point = find_resume(folder, "auto")
    check_same_run(point, CONFIG, RUN, command="pretrain", weights=["a"])
    with pytest.raises(CheckpointError, match="without 1 of its weights, such as b"):
        check_same_run(point, CONFIG, RUN, command="pretrain", weights=["a", "b"])


@pytest.fixture
def folder(tmp_path):
    """Two good checkpoints; the newest is last.ckpt too."""
    for step in (2, 4):
        torch.save(PARTS | {"global_step": step}, tmp_path / f"step-{step:08d}.ckpt")
    (tmp_path / "last.ckpt").hardlink_to(tmp_path / "step-00000004.ckpt")
    return tmp_path


def cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def test_the_newest_is_gone_on_from(folder):
    point = find_resume(folder, "auto")
    assert (point.path.name, point.step, point.note) == ("last.ckpt", 4, None)
    assert find_resume(folder / "nowhere", "auto") is None


def test_auto_falls_back_to_a_good_one_and_says_so(folder):
    cut(folder / "last.ckpt")
    point = find_resume(folder, "auto")
    assert (point.path.name, point.step) == ("step-00000002.ckpt", 2)
    assert "last.ckpt" in point.note
    assert f"going on from {folder}/step-00000002.ckpt instead, the damaged one is kept beside it" in point.note
    assert [path.name for path in point.damaged] == ["last.ckpt", "step-00000004.ckpt"]
    cut(folder / "step-00000002.ckpt")
    with pytest.raises(CheckpointError, match=r"last\.ckpt.*nor can an older checkpoint beside it be read"):
        find_resume(folder, "auto")


def test_a_damaged_file_by_name_is_refused_with_a_word_of_the_good_one(folder):
    cut(folder / "last.ckpt")
    with pytest.raises(CheckpointError, match=r"step-00000002\.ckpt beside it can be read: give that one"):
        find_resume(folder, str(folder / "last.ckpt"))


def test_no_flag_is_advised_that_would_not_help(tmp_path):
    torch.save({"run": RUN, "config": CONFIG}, tmp_path / "last.ckpt")
    with pytest.raises(CheckpointError, match="is no checkpoint of a run") as caught:
        find_resume(tmp_path, "auto")
    assert "--trust-checkpoint" not in str(caught.value)


def test_words_for_what_was_saved(folder, tmp_path_factory):
    assert saved_state(folder) == f"{folder}/last.ckpt is good: go on with --resume auto"
    assert saved_state(tmp_path_factory.mktemp("empty")) == "no checkpoint was written yet"


def check(theirs, config=CONFIG, **ours):
    point = ResumePoint(torch.__file__, theirs)
    check_same_run(point, config, {**RUN, "decisive": config.decisive(), **ours}, command="pretrain")


def test_the_same_run_is_let_through_and_others_are_named():
    check(RUN)
    with pytest.raises(InputError, match=r"begun with optimizer\.lr = 0\.00375, not 0\.5"):
        check(RUN, dataclasses.replace(CONFIG, optimizer=Optimizer(lr=0.5)))
    with pytest.raises(InputError, match=r"other train videos \(3, here 4"):
        check(RUN, data={"train": {"videos": 4, "digest": "y"}})
    with pytest.raises(InputError, match="begun with another --ckpt"):
        check({**RUN, "data": {"start": "a"}}, data={"start": "b"})
    with pytest.raises(InputError, match="1 processes, not 2"):
        check(RUN, world=2)
    with pytest.raises(CheckpointError, match="is no checkpoint of fima pretrain"):
        check(None)


def test_a_setting_that_an_earlier_version_did_not_have_was_its_default():
    before = {name: value for name, value in RUN["decisive"].items() if not name.endswith(("patience", "gamma"))}
    check({**RUN, "decisive": before})
    with pytest.raises(InputError, match=r"optimizer\.gamma = 0\.1, not 0\.5"):
        check({**RUN, "decisive": before}, dataclasses.replace(CONFIG, optimizer=Optimizer(gamma=0.5)))


def test_what_earlier_versions_wrote_is_read():
    pretrain = run_as_today({"decisive": {"colours.grey_probability": 0.2}, "data": {"videos": 9, "digest": "x"}})
    assert pretrain["decisive"] == {"colors.gray_probability": 0.2}
    assert pretrain["data"] == {"train": {"videos": 9, "digest": "x"}}
    detect = {"preset": {"lr": 0.1, "milestones": [8]}, "seed": 0, "sha256": None, "arch": "tiny"}
    assert run_as_today(detect) == {
        "decisive": {"preset.lr": 0.1, "preset.milestones": [8], "seed": 0},
        "data": {"start": "random tiny"},
        "world": 1,
    }
    assert as_today({"callbacks": {"SupervisedRecorder": 1, "FailureWatch": 2}})["callbacks"] == {
        "Recorder": 1,
        "FailureWatch": 2,
    }
