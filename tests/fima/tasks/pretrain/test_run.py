"""Runs as a user types them, on small videos: what they leave, how they go on, and how they stop."""

import csv
import logging
import re
import warnings
from pathlib import Path

import pytest
import torch

from fima.checkpoints import load_backbone
from fima.cli import main
from fima.files.claims import RECORDS, claim_output
from fima.methods import FIMA, load_method


def rows(folder, columns=None):
    with (folder / "metrics.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if columns is None or k in columns} for row in csv.DictReader(file)]


@pytest.fixture
def whole(run, tmp_path):
    assert run(tmp_path / "whole") == 0
    return tmp_path / "whole"


def test_a_run_leaves_what_it_says(whole, capfd):
    names = {path.name for path in whole.iterdir()}
    assert {"config.yaml", "metrics.csv", "last.ckpt", "step-00000006.ckpt", "step-00000004.ckpt"} <= names
    table = rows(whole)
    assert [row["step"] for row in table] == ["1", "2", "3", "4", "5", "6"]
    for column in ("loss", "instance", "pixel", "frame", "accuracy_instance", "spread", "alignment", "uniformity"):
        assert all(float(row[column]) == float(row[column]) for row in table)
    total = [float(row["instance"]) + float(row["pixel"]) + float(row["frame"]) for row in table]
    assert [float(row["loss"]) for row in table] == pytest.approx(total, rel=1e-4)
    assert all(0 <= float(row["data_wait"]) <= 1 for row in table)


def test_its_checkpoint_is_a_method_and_a_backbone(whole, tmp_path):
    method = load_method(whole / "last.ckpt")
    assert isinstance(method, FIMA)
    assert len(method.queue) == 16
    loaded = load_backbone(whole / "last.ckpt")
    assert (loaded.arch, loaded.epoch, loaded.report.complete) == ("tiny", 3, True)
    assert (loaded.input.num_frames, loaded.input.frame_stride, loaded.input.size) == (8, 2, 32)
    for name, value in loaded.backbone.state_dict().items():
        assert torch.equal(value, method.encoder_q.state_dict()[name])


@pytest.mark.parametrize("form", ["fima", "backbone"])
def test_exports_load_with_the_same_weights(whole, tmp_path, form, capsys):
    out = tmp_path / "out.pth"
    assert main(["export", str(whole / "last.ckpt"), str(out), "--format", form]) == 0
    ours, theirs = load_backbone(whole / "last.ckpt"), load_backbone(out)
    assert theirs.epoch == 3
    for name, value in ours.backbone.state_dict().items():
        assert torch.equal(value, theirs.backbone.state_dict()[name])
    if form == "fima":
        state, again = load_method(whole / "last.ckpt").state_dict(), load_method(out).state_dict()
        assert all(torch.equal(value, again[name]) for name, value in state.items())
    assert main(["export", str(whole / "last.ckpt"), str(out), "--format", form]) == 2
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize("stop_after", [1, 3, 4, 5])
def test_a_run_that_stopped_goes_on_as_if_it_had_not(run, whole, tmp_path, differences, stop_after):
    """Inside an epoch and between two."""
    out = tmp_path / "again"
    assert run(out, "--trainer.max_steps", stop_after) == 0
    assert run(out, "--resume", "auto") == 0
    assert differences(whole / "last.ckpt", out / "last.ckpt") == []
    own = ("clips_per_second", "data_wait")
    for before, after in zip(rows(whole), rows(out), strict=True):
        assert {k: v for k, v in before.items() if k not in own} == {k: v for k, v in after.items() if k not in own}


def test_accumulated_batches_are_counted_on_too(run, tmp_path, differences):
    flags = ("--optimizer.batch_size", 2, "--optimizer.accumulate", 2)
    assert run(tmp_path / "a", *flags) == 0
    assert run(tmp_path / "b", *flags, "--trainer.max_steps", 3) == 0
    assert run(tmp_path / "b", *flags, "--resume", "auto") == 0
    assert len(rows(tmp_path / "a")) == 6
    assert differences(tmp_path / "a" / "last.ckpt", tmp_path / "b" / "last.ckpt") == []


def test_workers_change_nothing(run, whole, tmp_path, differences):
    assert run(tmp_path / "b", "--loader.workers", 1) == 0
    assert differences(whole / "last.ckpt", tmp_path / "b" / "last.ckpt") == []


def test_another_seed_is_another_run(run, whole, tmp_path):
    assert run(tmp_path / "b", "--seed", 1, "--trainer.max_steps", 1) == 0
    assert rows(whole)[0]["loss"] != rows(tmp_path / "b")[0]["loss"]


def test_vd_alone_in_bfloat16(run, tmp_path):
    flags = ("--method.instance_motion", "true", "--method.pixel", "false", "--method.frame", "false")
    assert run(tmp_path / "vd", *flags, "--trainer.precision", "bf16-mixed", "--trainer.max_steps", 2) == 0
    method = load_method(tmp_path / "vd" / "last.ckpt")
    assert method.instance_motion_queue is not None
    assert {"instance", "instance_motion"} <= rows(tmp_path / "vd")[0].keys()


MACLR = ["--recipe=maclr-small", "--method.queue_size=16", "--method.hidden=32", "--method.dim=16"]


def test_maclr_stops_and_goes_on(tmp_path, shapes, differences):
    """Its own recipe, because the small one of the other tests is FIMA's."""
    flags = [
        *MACLR,
        "--windows.short_side=null",
        "--windows.num_frames=16",
        "--views.size=32",
        "--optimizer.batch_size=4",
    ]
    flags += [
        "--optimizer.epochs=2",
        "--optimizer.warmup_epochs=0",
        "--loader.workers=0",
        "--checkpoints.every_epochs=1",
        "--log.every_steps=1",
    ]
    flags += ["--log.tensorboard=false", f"--data={shapes}"]
    assert main(["pretrain", *flags, f"--out={tmp_path / 'a'}"]) == 0
    assert {"visual", "visual_motion", "motion_visual", "accuracy_visual_motion"} <= rows(tmp_path / "a")[0].keys()
    assert main(["pretrain", *flags, f"--out={tmp_path / 'b'}", "--trainer.max_steps=1"]) == 0
    assert main(["pretrain", *flags, f"--out={tmp_path / 'b'}", "--resume=auto"]) == 0
    assert differences(tmp_path / "a" / "last.ckpt", tmp_path / "b" / "last.ckpt") == []
    assert load_backbone(tmp_path / "a" / "last.ckpt").epoch == 2


def test_a_finished_run_has_nothing_left_to_do(run, whole, differences, tmp_path):
    before = (whole / "last.ckpt").read_bytes()
    assert run(whole, "--resume", "auto") == 0
    assert (whole / "last.ckpt").read_bytes() == before


def test_a_run_is_not_overwritten(run, whole, capfd):
    assert run(whole) == 2
    assert "--resume auto" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--optimizer.lr", "0.5"), "begun with optimizer.lr = 0.03, not 0.5"),
        (("--method.queue_size", "32"), "method.queue_size = 16, not 32"),
        (("--seed", "4"), "seed = 0, not 4"),
    ],
)
def test_a_run_goes_on_as_it_began(run, whole, capfd, flags, said):
    assert run(whole, *flags, "--resume", "auto") == 2
    assert said in capfd.readouterr().err


def test_other_videos_are_noticed(run, whole, shapes, tmp_path, capfd):
    listed = sorted(shapes.iterdir())[:8]
    (tmp_path / "list.txt").write_text("\n".join(map(str, listed)))
    assert run(whole, "--resume", "auto", data=tmp_path / "list.txt") == 2
    assert "begun with other train videos (9, here 8" in capfd.readouterr().err


def test_weights_can_start_a_new_run(run, whole, tmp_path):
    assert run(tmp_path / "b", "--init", whole / "last.ckpt", "--trainer.max_steps", 1, "--optimizer.lr", 1e-30) == 0
    ours, theirs = (load_method(p / "last.ckpt").state_dict() for p in (whole, tmp_path / "b"))
    for name, value in theirs.items():
        if name.startswith("encoder_q") and "running" not in name and "num_batches" not in name:
            assert torch.allclose(value, ours[name], atol=1e-6), name


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--views.size", 96), "frames are 64×64, expected at least 96 on each side; nor could"),
        (("--windows.short_side", 24), "views.size = 32 is larger than the frames that windows.short_side = 24"),
        (("--windows.num_frames", 15), "windows.num_frames = 15 gives no"),
        (("--method.queue_size", 2), "queue has 2 rows, but a step brings 4 keys"),
        (("--optimizer.batch_size", 10, "--method.queue_size", 64), "one step needs 10 videos .* has 9"),
        (("--method.arch", "tinyy"), "tinyy"),
        (("--data", "/nowhere"), "/nowhere: no such file or folder"),
        (("--init", "/nowhere.pt"), "/nowhere.pt"),
        (("--resume", "/nowhere.pt"), "--resume /nowhere.pt: no such file"),
        (("--views.area", "[0.5,2]"), r"views: area must be .*\(0.5, 2.0\)"),
        (("--colors.hue", 3), "colors: hue must be"),
        (("--windows.gap_seconds", "[3,1]"), "windows: gap_seconds must be"),
        (("--trainer.strategy", "foo"), "trainer: .*foo"),
        (("--split", "train"), "train"),
        (("--method.momentum", 2), r"momentum must be in \[0, 1\]"),
    ],
)
def test_impossible_settings_are_one_line(run, tmp_path, capfd, flags, said):
    code = run(tmp_path / "b", *flags)
    error = capfd.readouterr().err.strip().splitlines()[-1]
    assert code in (2, 4)
    assert re.search(said, error), error
    assert not (tmp_path / "b").exists() or "frames are" in error  # only decoding tells how large frames are


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there(run, tmp_path, capfd):
    assert run(tmp_path / "b", "--trainer.accelerator", "gpu") == 2
    assert capfd.readouterr().err.startswith("fima pretrain: error: trainer: ")


def test_a_loss_that_is_not_finite_stops_the_run(run, tmp_path, capfd):
    out = tmp_path / "b"
    assert run(out, "--trainer.max_steps", 2) == 0
    good = (out / "last.ckpt").read_bytes()
    assert run(tmp_path / "c", "--optimizer.lr", 1e30, "--checkpoints.every_epochs", 3) == 4
    error = capfd.readouterr().err.strip().splitlines()[-1]
    assert "step 2 (epoch 1): loss is not finite: " in error
    assert "instance = " in error
    assert error.endswith("; no checkpoint was written yet")
    assert (out / "last.ckpt").read_bytes() == good
    assert not (tmp_path / "c" / "last.ckpt").exists()


def test_weights_that_are_not_finite_are_not_saved(run, tmp_path, capfd):
    """The loss of the first step is finite, the weights after it are not."""
    assert run(tmp_path / "c", "--optimizer.lr", 1e38, "--checkpoints.every_steps", 1) == 4
    assert "is not finite" in capfd.readouterr().err
    assert not (tmp_path / "c" / "last.ckpt").exists()


def test_another_queue_is_said_and_the_backbone_alone_taken(run, whole, tmp_path, capfd):
    capfd.readouterr()
    flags = ("--init", whole / "last.ckpt", "--method.queue_size", 32, "--trainer.max_steps", 1)
    assert run(tmp_path / "b", *flags, "--optimizer.lr", 1e-30) == 0
    line = next(line for line in capfd.readouterr().err.splitlines() if "warning" in line)
    assert re.search(r"--init .*last\.ckpt: only its backbone is taken.*FIMA.*: queue\.rows, motion_queue\.rows$", line)
    ours, theirs = (load_method(p / "last.ckpt").state_dict() for p in (whole, tmp_path / "b"))
    weights = [n for n in ours if n.startswith("encoder_q") and n.endswith("weight")]
    assert all(torch.allclose(theirs[name], ours[name], atol=1e-6) for name in weights)


def test_warnings_and_loggers_are_left_as_they_were(run, tmp_path):
    logger = logging.getLogger("lightning.pytorch")
    before = (list(warnings.filters), logger.level)
    assert run(tmp_path / "b", "--trainer.max_steps", 1) == 0
    assert (list(warnings.filters), logger.level) == before


def test_a_truncated_checkpoint_is_told_and_an_older_one_gone_on_from(run, whole, tmp_path, differences, capfd):
    out = tmp_path / "b"
    assert run(out) == 0
    content = (out / "last.ckpt").read_bytes()
    (out / "last.ckpt").write_bytes(content[: len(content) // 2])
    capfd.readouterr()
    assert run(out, "--resume", out / "last.ckpt") == 2
    assert "step-00000004.ckpt beside it can be read" in capfd.readouterr().err
    assert run(out, "--resume", "auto") == 0
    assert re.search(r"last\.ckpt: .* going on from .*step-00000004\.ckpt instead", capfd.readouterr().err)
    assert (out / "last.ckpt.damaged").read_bytes() == content[: len(content) // 2]
    assert differences(whole / "last.ckpt", out / "last.ckpt") == []


def test_a_file_that_needs_code_is_read_if_it_is_trusted(run, tmp_path, capfd):
    backbone = load_backbone("tiny-vd")
    state = {f"backbone.{name}": value for name, value in backbone.backbone.state_dict().items()}
    torch.save({"state_dict": state, "options": Path("somewhere")}, tmp_path / "theirs.pth")
    flags = ("--init", tmp_path / "theirs.pth", "--trainer.max_steps", 1)
    assert run(tmp_path / "b", *flags) == 2
    assert "pass --trust-checkpoint" in capfd.readouterr().err
    code, error = run(tmp_path / "b", *flags, "--trust-checkpoint"), capfd.readouterr().err
    assert "--trust-checkpoint" not in error
    assert code == 0 or "pathlib" not in error


def broken_set(shapes, tmp_path, count):
    good = sorted(shapes.iterdir())
    for number, path in enumerate(good):
        target = tmp_path / "data" / path.name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(b"no video" if number < count else path.read_bytes())
    return tmp_path / "data"


def test_an_unreadable_video_is_skipped_and_listed(run, shapes, tmp_path, capfd):
    data = broken_set(shapes, tmp_path, 1)
    assert run(tmp_path / "b", "--loader.max_failed", 0.2, data=data) == 0
    with (tmp_path / "b" / "failures.csv").open(newline="") as file:
        listed = list(csv.DictReader(file))
    assert [row["path"] for row in listed] == [str(data / "v0.mp4")]
    assert "another video stands in" in capfd.readouterr().err


def test_too_many_unreadable_videos_stop_the_run(run, shapes, tmp_path, capfd):
    data = broken_set(shapes, tmp_path, 3)
    assert run(tmp_path / "b", "--loader.max_failed", 0.2, data=data) == 4
    error = capfd.readouterr().err.strip().splitlines()[-1]
    assert re.search("[23] of the [48] videos asked for so far cannot be read", error)
    assert "loader.max_failed = 0.2" in error


@pytest.mark.parametrize("workers", [0, 1])
def test_nothing_readable_at_all(run, shapes, tmp_path, capfd, workers):
    data = broken_set(shapes, tmp_path, 9)
    assert run(tmp_path / "b", "--loader.workers", workers, data=data) == 2
    error = capfd.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("fima pretrain: error: ")
    assert str(data) in error
    assert "nor could any of" in error


@pytest.mark.slow
def test_the_best_checkpoint_has_the_least_mean(run, tmp_path):
    out = tmp_path / "b"
    assert run(out, "--checkpoints.best", "loss", "--checkpoints.every_steps", 1, "--checkpoints.keep", 9) == 0
    losses = [float(row["loss"]) for row in rows(out)]
    best = torch.load(out / "best.ckpt", weights_only=True)["global_step"]
    assert best == losses.index(min(losses)) + 1


def test_only_the_last_ones_are_kept(run, tmp_path):
    out = tmp_path / "b"
    flags = ("--checkpoints.every_steps", 1, "--checkpoints.keep", 1, "--checkpoints.keep_every", 2)
    assert run(out, *flags) == 0
    steps = sorted(path.name for path in out.glob("step-*.ckpt"))
    assert steps == ["step-00000004.ckpt", "step-00000006.ckpt"]  # epoch 2 for good, and the newest
    assert torch.load(out / "last.ckpt", weights_only=True)["global_step"] == 6


def test_tensorboard_has_the_same_numbers(run, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = tmp_path / "b"
    assert run(out, "--log.tensorboard", "true", "--trainer.max_steps", 2) == 0
    events = EventAccumulator(str(out / "tensorboard")).Reload()
    written = [event.value for event in events.Scalars("loss")]
    assert written == pytest.approx([float(row["loss"]) for row in rows(out)], rel=1e-5)


def test_two_runs_do_not_share_a_folder(run, whole, capfd):
    with claim_output(whole, "held", {}):
        assert run(whole, "--resume", "auto") == 2
    assert "another run is writing there" in capfd.readouterr().err


def test_checkpoints_of_others_are_not_touched(run, tmp_path, capfd):
    """Another run's, with no last.ckpt beside it; and one that an earlier run of this folder left."""
    out = tmp_path / "b"
    out.mkdir()
    (out / "step-00000001.ckpt").write_bytes(b"another's")
    assert run(out, "--trainer.max_steps", 2) == 2
    assert "holds step-00000001.ckpt, not of this run; nothing was written" in capfd.readouterr().err
    assert [path.name for path in out.iterdir()] == ["step-00000001.ckpt"]


def test_a_run_of_an_earlier_version_goes_on_without_a_record(run, whole, tmp_path, differences):
    out = tmp_path / "b"
    assert run(out, "--trainer.max_steps", 3) == 0
    (out / RECORDS).unlink()
    assert run(out, "--resume", "auto") == 0
    assert differences(whole / "last.ckpt", out / "last.ckpt") == []
    assert sorted(path.name for path in out.glob("step-*")) == ["step-00000004.ckpt", "step-00000006.ckpt"]


def test_a_collapse_is_told_in_words(run, tmp_path, capfd):
    assert run(tmp_path / "b", "--log.collapse", 2) == 0  # a threshold that nothing reaches
    assert capfd.readouterr().err.count("may be collapsing") == 1


def test_a_look_at_probe_data_is_in_the_log_and_changes_nothing(run, whole, tmp_path, capfd):
    probe = "--probe_data=shapes:easy,videos=8,num_frames=16,size=32"
    assert run(tmp_path / "probed", probe, "--probe_every_steps=4", "--log.tensorboard=true") == 0
    table = rows(tmp_path / "probed")
    looked = [row for row in table if row["probe_rank_me"]]
    assert [row["step"] for row in looked] == ["1", "4"]
    for row in looked:
        assert 1 <= float(row["probe_rank_me"]) <= 32
        assert 1 <= float(row["probe_lidar"]) <= 7
        assert 0 <= float(row["probe_knn"]) <= 1
    assert "step 4: shapes:easy,videos=8,num_frames=16,size=32: rank me" in capfd.readouterr().err
    plain, probed = (
        torch.load(f / "last.ckpt", weights_only=False)["state_dict"] for f in (whole, tmp_path / "probed")
    )
    assert all(torch.equal(plain[name], probed[name]) for name in plain)
    assert not any(name.startswith("probe_") for name in rows(whole)[0])
    assert list((tmp_path / "probed").rglob("events*"))
    assert run(tmp_path / "one", "--probe_data=shapes:easy,videos=1") == 2
    assert "probe_data shapes:easy,videos=1: expected 2 to 2000 videos" in capfd.readouterr().err
