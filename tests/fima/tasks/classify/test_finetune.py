"""Fine-tuning as a user types it, on small videos: what it leaves, how it goes on, how its epoch is chosen."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from fima.checkpoints import load_backbone, untrained_backbone
from fima.cli import main
from fima.data.clip_protocol import ClipProtocol
from fima.data.datasets import open_dataset
from fima.data.protocol_clips import read_test_clips
from fima.data.readers.open import open_video
from fima.data.transcode.encode import write_video
from fima.engine.optimizer import make_optimizer
from fima.errors import InputError
from fima.evaluation.features import to_clip_batch
from fima.evaluation.metrics import average_logits
from fima.input_spec import FIMA_TINY
from fima.seeding import SampleKeys
from fima.tasks.classify.choice import EpochChoice
from fima.tasks.classify.classifier import load_classifier
from fima.tasks.classify.clips import ClipBatch, make_clips
from fima.tasks.classify.config import SupervisedConfig
from fima.tasks.classify.data import ClipDataset
from fima.tasks.classify.module import classifier_groups
from fima.tasks.classify.options import AugmentOptions, OptimizerOptions
from fima.tasks.classify.parse import parse_supervised
from fima.transforms.colors import ColorAugment
from fima.transforms.normalize import normalize
from fima.transforms.views import cut, draw_crops

COLORS = {"blue": (40, 60, 200), "green": (30, 180, 60), "red": (210, 50, 40)}
SMALL = [
    "--ckpt=random",
    "--arch=tiny",
    "--input.num_frames=8",
    "--input.size=32",
    "--augment.area=[0.5, 1.0]",
    "--optimizer.algorithm=adam",
    "--augment.gray_probability=0",
    "--augment.jitter_probability=0.3",
    "--optimizer.lr=0.01",
    "--optimizer.batch_size=4",
    "--optimizer.epochs=3",
    "--head.dropout=0.2",
    "--test.clips=2",
    "--validation.every_epochs=1",
    "--validation.fraction=0.25",
    "--loader.workers=0",
    "--log.every_steps=1",
    "--log.tensorboard=false",
    "--log.progress=lines",
    "--trainer.threads=1",
]


def color_video(path, color, seed, frames=20):
    rng = np.random.default_rng(seed)
    noise = rng.integers(-25, 25, (frames, 40, 48, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, np.clip(np.array(color) + noise, 0, 255).astype(np.uint8), fps=25)


@pytest.fixture(scope="module")
def colors(tmp_path_factory):
    """Three classes that a mean color tells apart: eight training and four test videos each."""
    folder = tmp_path_factory.mktemp("colors")
    for split, count in (("train", 8), ("test", 4)):
        for label, (name, color) in enumerate(COLORS.items()):
            for number in range(count):
                seed = number + 100 * label + (1000 if split == "test" else 0)
                color_video(folder / split / name / f"{name}{number}.mp4", color, seed)
    return folder


@pytest.fixture(scope="module")
def typed(colors):
    def typed(out, *flags, command="finetune", data=None):
        threads = torch.get_num_threads()
        try:
            return main([command, *SMALL, f"--data={data or colors}", f"--out={out}", *map(str, flags)])
        finally:
            torch.set_num_threads(threads)

    return typed


@pytest.fixture(scope="module")
def whole(typed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert typed(folder) == 0
    return folder


def result(folder):
    return json.loads((folder / "result.json").read_text())


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def assert_same_run(left, right):
    """Every weight, statistic, optimizer's state and choice, bit by bit; rows, scores and numbers too."""

    def leaves(tree, prefix=""):
        pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list | tuple) else None
        if pairs is None:
            yield prefix, tree
        else:
            for name, value in pairs:
                yield from leaves(value, f"{prefix}/{name}")

    free = (
        "/config/out",
        "/config/resume",
        "/config/trainer",
        "/config/loader",
        "/config/checkpoints",
        "/loops/fit_loop/epoch_progress",
    )
    for name in ("last.ckpt", "chosen.ckpt"):
        a, b = (dict(leaves(torch.load(path / name, weights_only=True))) for path in (left, right))
        assert a.keys() == b.keys()
        for key, value in a.items():
            if not key.startswith(free):
                same = torch.equal(value, b[key]) if isinstance(value, torch.Tensor) else value == b[key]
                assert same, f"{name}{key}"
    own = ("clips_per_second", "data_wait")
    for before, after in zip(table(left / "metrics.csv"), table(right / "metrics.csv"), strict=True):
        assert {k: v for k, v in before.items() if k not in own} == {k: v for k, v in after.items() if k not in own}
    assert (left / "predictions.csv").read_bytes() == (right / "predictions.csv").read_bytes()
    assert {**result(left), "command": ""} == {**result(right), "command": ""}


def test_three_epochs_leave_what_they_say(whole, colors):
    names = {path.name for path in whole.iterdir()}
    expected = {"config.yaml", "metrics.csv", "last.ckpt", "chosen.ckpt", "result.json", "predictions.csv"}
    assert expected | {"confusion.csv"} <= names
    found = result(whole)
    assert (found["preset"], found["seed"], found["clips"], found["crops"]) == ("fima", 0, 2, 1)
    assert (found["average"], found["centering"], found["classes"]) == ("log_softmax", None, 3)
    assert found["videos"] | {"note": ""} == {"tested": 12, "unreadable": 0, "missing": 0, "listed": 12, "note": ""}
    assert found["checkpoint"]["arch"] == "tiny"
    assert found["command"].startswith("fima finetune --ckpt=random --arch=tiny")
    assert found["differs_from_preset"]["optimizer.algorithm"] == "adam"
    assert found["source_takes_best_on_test"] is True
    assert found["chosen"]["by"] == "val"
    assert "6 videos held out from training" in found["chosen"]["how"]
    assert [row["step"] for row in table(whole / "metrics.csv")] == [str(step) for step in range(1, 13)]


def test_three_epochs_of_four_clips_learn_the_colors(typed, tmp_path):
    assert typed(tmp_path / "k", "--input.clips_per_epoch", 4) == 0
    assert len(table(tmp_path / "k" / "metrics.csv")) == 3 * (18 * 4 // 4)
    assert result(tmp_path / "k")["top1"]["value"] >= 0.9


def test_numbers_are_those_of_the_predictions(whole):
    rows, found = table(whole / "predictions.csv"), result(whole)
    labels, guesses = [row["label"] for row in rows], [row["prediction"] for row in rows]
    assert found["top1"]["value"] == pytest.approx(accuracy_score(labels, guesses))
    assert found["mean_class"]["value"] == pytest.approx(balanced_accuracy_score(labels, guesses))
    assert (found["top5"]["value"], found["top5_of"]) == (1.0, 3)
    for row in rows:
        assert row["prediction"] == max(COLORS, key=lambda name: float(row[f"score_{name}"]))
    confusion = {row["label"]: row for row in table(whole / "confusion.csv")}
    for label in COLORS:
        for guess in COLORS:
            pairs = list(zip(labels, guesses, strict=True))
            assert int(confusion[label][guess]) == pairs.count((label, guess))


def test_the_chosen_epoch_is_the_best_one_and_is_what_was_tested(whole, colors):
    chosen = result(whole)["chosen"]
    best = max(chosen["history"], key=lambda row: (row["top1"], -row["epoch"]))
    assert (chosen["epoch"], chosen["top1"]) == (best["epoch"], best["top1"])
    trained = load_classifier(whole / "chosen.ckpt")
    assert trained.source.epoch == chosen["epoch"]
    spec = trained.source.input
    assert (spec.num_frames, spec.frame_stride, spec.size) == (8, 2, 32)
    videos = open_dataset(colors, split="test")
    for record, row in zip(videos, table(whole / "predictions.csv"), strict=True):
        with torch.no_grad():
            clip = normalize(to_clip_batch(read_test_clips(record, spec, ClipProtocol(2))), spec)
            scores = average_logits(trained.classifier(clip).numpy(), "log_softmax")
        assert row["video"] == record.video_id
        assert [float(row[f"score_{name}"]) for name in COLORS] == pytest.approx(scores, abs=1e-4)


def test_fine_tuning_moves_weights_and_statistics_of_the_backbone(whole):
    before = untrained_backbone("tiny", seed=0).backbone.state_dict()
    after = load_backbone(whole / "last.ckpt").backbone.state_dict()
    assert [name for name, value in after.items() if torch.equal(value, before[name])] == []
    tracked = {int(value) for name, value in after.items() if name.endswith("num_batches_tracked")}
    assert tracked == {12}  # evaluations in between leave them alone


def test_its_last_checkpoint_is_a_backbone_and_a_classifier(whole):
    loaded = load_backbone(whole / "last.ckpt")
    assert (loaded.arch, loaded.epoch, loaded.report.complete) == ("tiny", 3, True)
    assert load_classifier(whole / "last.ckpt").class_names == tuple(COLORS)


@pytest.mark.parametrize("stop_after", [3, 4, 6])
def test_a_run_that_stopped_goes_on_as_if_it_had_not(typed, whole, tmp_path, stop_after):
    out = tmp_path / "again"
    assert typed(out, "--trainer.max_steps", stop_after) == 0
    assert not (out / "result.json").exists()
    assert typed(out, "--resume", "auto") == 0
    assert_same_run(whole, out)


def test_a_finished_run_is_tested_again_and_is_the_same(typed, tmp_path):
    assert typed(tmp_path / "a", "--optimizer.epochs", 1) == 0
    before = (tmp_path / "a" / "predictions.csv").read_bytes()
    (tmp_path / "a" / "result.json").unlink()
    assert typed(tmp_path / "a", "--optimizer.epochs", 1, "--resume", "auto") == 0
    assert (tmp_path / "a" / "predictions.csv").read_bytes() == before


@pytest.mark.slow
def test_a_killed_run_equals_an_uninterrupted_one(typed, whole, tmp_path, colors):
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "fima.cli", "finetune", *SMALL, f"--data={colors}", f"--out={out}"]
    command += ["--checkpoints.every_steps=1"]
    killed = 0
    for wanted in (2, 6, 9):
        process = subprocess.Popen([*command, "--resume=auto"], stderr=subprocess.DEVNULL)
        while process.poll() is None:
            if any(int(file.stem[5:]) >= wanted for file in out.glob("step-*.ckpt")):
                process.send_signal(signal.SIGKILL)
                killed += 1
                process.wait()
            time.sleep(0.005)
    assert killed >= 2
    subprocess.run([*command, "--resume=auto"], check=True, stderr=subprocess.DEVNULL, env={**os.environ})
    assert_same_run(whole, out)


@pytest.mark.slow
def test_workers_change_nothing(typed, whole, tmp_path):
    assert typed(tmp_path / "b", "--loader.workers", 2) == 0
    assert_same_run(whole, tmp_path / "b")


def test_best_on_test_only_on_request_and_said_everywhere(typed, tmp_path, capfd):
    assert typed(tmp_path / "t", "--validation.choose", "test", "--optimizer.epochs", 2) == 0
    found = result(tmp_path / "t")
    assert "BEST ON THE TEST SPLIT" in found["chosen"]["how"]
    assert any("chosen on the test split" in line for line in found["warnings"])
    assert "chosen on the test split" in capfd.readouterr().err
    assert found["top1"]["value"] == max(row["top1"] for row in found["chosen"]["history"])


def test_the_last_epoch_on_request(typed, tmp_path):
    flags = ("--validation.choose", "last", "--optimizer.epochs", 1, "--examples", 12)
    assert typed(tmp_path / "l", *flags) == 0
    found = result(tmp_path / "l")
    assert (found["chosen"]["epoch"], found["chosen"]["how"]) == (1, "last epoch")
    assert len(table(tmp_path / "l" / "metrics.csv")) == 3  # 12 examples, 4 a step
    last, chosen = (load_classifier(tmp_path / "l" / name) for name in ("last.ckpt", "chosen.ckpt"))
    for name, value in last.classifier.state_dict().items():
        assert torch.equal(value, chosen.classifier.state_dict()[name])


def test_a_trained_classifier_is_tested_alone(typed, whole, tmp_path, colors):
    assert typed(tmp_path / "only", "--test-only", "true", "--ckpt", whole / "chosen.ckpt") == 0
    assert (tmp_path / "only" / "predictions.csv").read_bytes() == (whole / "predictions.csv").read_bytes()
    sha = load_backbone(whole / "chosen.ckpt").sha256
    assert result(tmp_path / "only")["checkpoint"]["sha256"] == sha


def test_printed_settings_repeat_the_run(typed, whole, tmp_path, capsys):
    capsys.readouterr()
    assert typed(tmp_path / "p", "--print_config") == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    written = yaml.safe_load((whole / "config.yaml").read_text())
    for name in ("input", "augment", "optimizer", "head", "test", "validation"):
        assert printed[name] == written[name]
    config = parse_supervised(["--config", str(whole / "config.yaml")], "finetune")
    assert config.decisive() == SupervisedConfig(**vars(config)).decisive()
    assert config.optimizer.algorithm == "adam"
    assert parse_supervised(["--config", str(whole / "config.yaml"), "--seed", "4"], "finetune").seed == 4


def test_broken_videos_are_counted_and_stand_outside_the_denominator(typed, colors, tmp_path, capfd):
    data = tmp_path / "data"
    for path in sorted(colors.rglob("*.mp4")):
        target = data / path.relative_to(colors)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    (data / "test" / "red" / "red0.mp4").write_bytes(b"no video")
    (data / "train" / "red" / "red1.mp4").write_bytes(b"no video")
    flags = ("--optimizer.epochs", 1, "--validation.choose", "last", "--loader.max_failed", 0.5)
    assert typed(tmp_path / "b", *flags, data=data) == 0
    found = result(tmp_path / "b")
    assert (found["videos"]["tested"], found["videos"]["unreadable"], found["videos"]["listed"]) == (11, 1, 12)
    assert list(found["unreadable"]) == ["red/red0"]
    assert len(table(tmp_path / "b" / "predictions.csv")) == 11
    assert "red1.mp4" in (tmp_path / "b" / "failures.csv").read_text()
    assert "of 11 test videos (12 listed)" in " ".join(capfd.readouterr().err.split())


def test_test_videos_among_the_training_videos_are_told(typed, colors, tmp_path, capfd):
    data = tmp_path / "data"
    for path in sorted(colors.rglob("*[0123].mp4")):
        target = data / path.relative_to(colors)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    (data / "test" / "red" / "red0.mp4").write_bytes((data / "train" / "red" / "red1.mp4").read_bytes())
    assert typed(tmp_path / "d", "--optimizer.epochs", 1, "--validation.choose", "last", data=data) == 0
    assert "1 of the 12 test videos are training videos too" in result(tmp_path / "d")["warnings"][0]
    assert "warning: 1 of the 12 test videos" in capfd.readouterr().err


FAULTS = {
    "no data": (["--data=nowhere"], "nowhere: no such file"),
    "no checkpoint": (["--ckpt=none.ckpt"], "none.ckpt: no such checkpoint"),
    "no split": (["--test-split=val"], "split"),
    "unknown preset": (["--preset=fimma"], "no such preset of finetune"),
    "absent preset": (["--preset=tclr"], "fine-tuning settings are not in TCLR's"),
    "unknown flag": (["--optimizer.lrr=1"], "optimizer.lr"),
    "wrong type": (["--optimizer.lr=fast"], "lr"),
    "out of range": (["--head.dropout=1"], "head.dropout must be in [0, 1)"),
    "batch too large": (
        ["--optimizer.batch_size=64"],
        "--optimizer.batch_size 64: one step needs 64 clips, but the training set has 18 videos",
    ),
    "batches too large": (
        ["--optimizer.accumulate=5", "--input.clips_per_epoch=1"],
        "--optimizer.batch_size 4: one step needs 20 clips (4 × 5 of optimizer.accumulate), but the training set",
    ),
    "features": (["--features=true"], "only a linear probe"),
    "several processes": (["--trainer.devices=2"], "one process"),
    "test only": (["--test-only=true"], "--ckpt random has none"),
    "colors": (["--augment.hue=0.7"], "hue must be in [0, 0.5]"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_one_line(typed, tmp_path, fault, capfd):
    flags, message = FAULTS[fault]
    assert typed(tmp_path / "f", *flags) == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if line]
    assert len(lines) == 1
    assert lines[0].startswith("fima finetune: error: ")
    assert message in lines[0]
    assert list(tmp_path.iterdir()) == []  # nor is anything left behind


def test_a_run_is_neither_overwritten_nor_mixed_up(typed, whole, colors, capfd, tmp_path):
    assert typed(whole) == 2
    assert "go on with --resume auto" in capfd.readouterr().err
    assert typed(whole, "--resume", "auto", "--optimizer.lr", 0.1) == 2
    assert "the run was begun with optimizer.lr = 0.01, not 0.1" in capfd.readouterr().err
    assert typed(whole, "--resume", "auto", "--ckpt", "tiny-vd", "--arch", "null") == 2
    assert "arch" in capfd.readouterr().err
    other = tmp_path / "other"
    for split in ("train", "test"):
        for name, color in COLORS.items():
            for number in range(8):
                color_video(other / split / name / f"other{number}.mp4", color, number, frames=4)
    assert typed(whole, "--resume", "auto", data=other) == 2
    assert "begun with other train videos" in capfd.readouterr().err


def test_classes_of_checkpoint_and_data_must_agree(typed, whole, tmp_path, capfd):
    data = tmp_path / "two"
    for split in ("train", "test"):
        for name in ("blue", "violet", "red"):
            color_video(data / split / name / "a.mp4", (9, 9, 9), 0)
    flags = ("--test-only", "true", "--ckpt", whole / "chosen.ckpt")
    assert typed(tmp_path / "o", *flags, data=data) == 2
    assert "disagree: class 1 is 'green' and 'red'" in capfd.readouterr().err
    assert typed(tmp_path / "o", "--test-only", "true", "--ckpt", "tiny-vd") == 2
    assert "holds a backbone without a classifier" in capfd.readouterr().err


SPEC = FIMA_TINY.replace(num_frames=8, frame_stride=2, size=24)


def test_a_sample_is_a_function_of_seed_epoch_and_index(colors):
    videos = open_dataset(colors, split="train")
    data = ClipDataset(videos, SPEC, seed=3, clips=10)
    assert len(data) == 240
    first, again = data[1, 37], ClipDataset(videos, SPEC, seed=3, clips=10)[1, 37]
    assert torch.equal(first.clips[0], again.clips[0])
    assert first.labels.tolist() == [videos[3].label]
    assert first.clips[0].shape == (8, 40, 48, 3)
    drawn = {data[epoch, 37].clips[0].sum().item() for epoch in range(8)}
    assert len(drawn) > 1
    fixed = ClipDataset(videos, SPEC, clips=2, fixed=ClipProtocol(2))
    expected = read_test_clips(videos[3], SPEC, ClipProtocol(2))
    for k in range(2):
        assert torch.equal(fixed[5, 6 + k].clips[0], expected[k].permute(0, 2, 3, 1))


def test_one_of_several_clips_is_decoded_alone(colors, monkeypatch):
    videos, asked = open_dataset(colors, split="train"), []

    def counting(record, **options):
        reader = open_video(record, **options)
        frames = reader.frames
        reader.frames = lambda indices, **more: (asked.append(len(indices)), frames(indices, **more))[1]
        return reader

    monkeypatch.setattr("fima.data.protocol_clips.open_video", counting)
    ClipDataset(videos, SPEC, clips=5, fixed=ClipProtocol(5))[0, 3]
    assert asked == [8]


def test_a_warm_up_that_never_ends_is_refused(typed, tmp_path, capfd):
    assert typed(tmp_path / "w", "--optimizer.warmup_epochs", 3) == 2
    assert "optimizer: warmup_epochs must be less than epochs, got 3 of 3" in capfd.readouterr().err


def test_the_chosen_file_follows_what_the_last_checkpoint_knows(typed, whole, tmp_path, monkeypatch):
    """A run that dies before it has saved the epoch it has just evaluated goes on with the classifier of before."""
    out, choose = tmp_path / "killed", EpochChoice.on_train_batch_end

    def dying(self, trainer, *arguments):
        choose(self, trainer, *arguments)
        if trainer.global_step == 8:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EpochChoice, "on_train_batch_end", dying)
        assert typed(out) == 130
    known = torch.load(out / "last.ckpt", weights_only=True)["callbacks"]["EpochChoice"]["history"]
    assert [row["epoch"] for row in known] == [1]
    assert load_classifier(out / "chosen.ckpt").source.epoch == 1
    assert typed(out, "--resume", "auto") == 0
    assert not list(out.glob("chosen-epoch-*"))
    assert_same_run(whole, out)


def test_a_classifier_that_waits_takes_its_place_on_a_resume(tmp_path):
    """Killed after the save and before the renaming."""
    for name in ("chosen", "chosen-epoch-2", "chosen-epoch-5"):
        (tmp_path / f"{name}.ckpt").write_text(name)
    folder = SimpleNamespace(path=tmp_path, forget=lambda name: (tmp_path / name).unlink())
    choice = EpochChoice(folder, (), ClipProtocol(1), None, print)
    choice.load_state_dict({"history": [{"epoch": 1, "top1": 0.5}, {"epoch": 2, "top1": 0.6}]})
    choice.settle()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("chosen.ckpt", "chosen-epoch-2")]


def test_clips_are_cut_and_colored_one_by_one_as_in_a_batch(colors):
    """And the parts are those of pre-training, put together by hand."""
    videos, options = open_dataset(colors, split="train"), AugmentOptions(blur_probability=0.5)
    data = ClipDataset(videos, SPEC, seed=1)
    samples = [data[2, index] for index in (4, 9, 20)]
    keys = SampleKeys(1, 2, np.array([4, 9, 20]))
    batch = ClipBatch(tuple(s.clips[0] for s in samples), torch.tensor([0, 1, 2]), keys)
    together = make_clips(batch, SPEC, options)
    height, width = (np.array([side]) for side in (40, 48))
    augment = ColorAugment(0.2, 0.8, 0.4, 0.4, 0.4, 0.1, 0.5)
    for number, sample in enumerate(samples):
        assert torch.allclose(make_clips(sample, SPEC, options)[0], together[number], atol=1e-5)
        clip = torch.empty(1, 3, 8, 24, 24)
        cut(sample.clips[0], draw_crops(sample.keys, height, width, 1)[0, 0, 0], out=clip[0])
        assert torch.allclose(augment(clip, sample.keys, "supervised", SPEC)[0], together[number], atol=1e-5)


def test_the_backbone_has_a_rate_of_its_own():
    head, backbone = torch.nn.Linear(2, 2), torch.nn.Linear(3, 2)
    options = OptimizerOptions(algorithm="adam", lr=0.01, backbone_lr_factor=0.1, weight_decay=1e-3)
    optimizer = make_optimizer(classifier_groups(head, backbone, options), options)
    assert [(len(g["params"]), g["share"], g["weight_decay"]) for g in optimizer.param_groups] == [
        (2, 1.0, 1e-3),
        (2, 0.1, 1e-3),
    ]
    backbone.requires_grad_(False)
    assert len(make_optimizer(classifier_groups(head, backbone, options), options).param_groups) == 1


def test_no_rate_is_invented_for_fine_tuning():
    with pytest.raises(InputError, match=r"set one with --optimizer\.lr"):
        parse_supervised(["--data=d", "--ckpt=c", "--optimizer.lr=null"], "finetune")


def published_scale(name, num_layers, decay):
    """The rate's factor as VideoMAE's code assigns it (optim_factory.py, run_class_finetuning.py), written anew."""
    values = [decay ** (num_layers + 1 - layer) for layer in range(num_layers + 2)]
    if name.startswith(("patch_embed", "pos_embed", "cls_token", "mask_token")):
        return values[0]
    return values[int(name.split(".")[1]) + 1] if name.startswith("blocks") else values[-1]


@pytest.mark.parametrize("arch", ["videomae", "vjepa1", "timesformer"])
def test_layer_decay_is_as_videomae_assigns_it(arch):
    from fima.models import create_backbone

    backbone = create_backbone(arch, dim=16, depth=3, heads=1)
    options = OptimizerOptions(algorithm="adamw", lr=1e-3, layer_decay=0.7, decay_norms=False, weight_decay=0.05)
    optimizer = make_optimizer(classifier_groups(torch.nn.Linear(16, 2), backbone, options), options)
    head, *groups = optimizer.param_groups
    assert (head["share"], head["weight_decay"], len(head["params"])) == (1.0, 0.05, 2)
    found = {id(parameter): group for group in groups for parameter in group["params"]}
    assert len(found) == sum(len(group["params"]) for group in groups) == len(list(backbone.parameters()))
    for name, parameter in backbone.named_parameters():
        group = found[id(parameter)]
        expected = 0.7**4 if name == "time_embed" else published_scale(name, 3, 0.7)
        assert group["share"] == pytest.approx(expected), name
        assert group["weight_decay"] == (0.05 if parameter.ndim > 1 else 0.0), name


def test_a_step_moves_early_layers_less():
    """Adam's first step is its rate: each block moves by its share of it."""
    from fima.engine.optimizer import set_rates
    from fima.engine.schedule import Plateau
    from fima.models import create_backbone

    backbone = create_backbone("videomae", dim=16, depth=3, heads=1)
    options = OptimizerOptions(algorithm="adam", lr=1e-3, layer_decay=0.5, weight_decay=0.0, schedule="constant")
    optimizer = make_optimizer(classifier_groups(torch.nn.Linear(16, 2), backbone, options), options)
    before = {name: parameter.detach().clone() for name, parameter in backbone.named_parameters()}
    assert set_rates(optimizer, 0, 10, options, Plateau(options)) == 1e-3
    sum(parameter.sum() for parameter in backbone.parameters()).backward()
    optimizer.step()
    for name, share in {"norm.weight": 1, "blocks.2.norm1.weight": 0.5, "blocks.0.norm1.weight": 0.125,
                        "patch_embed.proj.bias": 0.0625}.items():  # fmt: skip
        moved = (before[name] - backbone.get_parameter(name)).abs()
        torch.testing.assert_close(moved, torch.full_like(moved, share * 1e-3), rtol=1e-3, atol=1e-7)


def test_layer_decay_needs_blocks():
    from fima.models import create_backbone

    options = OptimizerOptions(layer_decay=0.7)
    with pytest.raises(InputError, match=r"--optimizer.layer_decay 0.7: Tiny has no blocks"):
        classifier_groups(torch.nn.Linear(2, 2), create_backbone("tiny"), options)
    with pytest.raises(InputError, match="layer_decay"):
        parse_supervised(["--data=d", "--ckpt=c", "--optimizer.layer_decay=1.2"], "finetune")
