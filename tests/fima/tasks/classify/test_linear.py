"""Linear probes: on cached features and end to end, the sweep, and that they do not find what is not there."""

import csv
import dataclasses
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fima.checkpoints import save_backbone, untrained_backbone
from fima.cli import main
from fima.engine.batches import BatchStream
from fima.errors import InputError, TrainingError
from fima.evaluation.features import ClipFeatures
from fima.seeding import SampleKeys
from fima.tasks.classify.classifier import ClassifierHead, load_classifier
from fima.tasks.classify.config import SupervisedConfig
from fima.tasks.classify.options import OptimizerOptions, SweepOptions, ValidationOptions
from fima.tasks.classify.probe import sweep_heads, train_head

SMALL = [
    "--data=shapes:easy,videos=24,num_frames=20,size=40",
    "--input.num_frames=8",
    "--input.size=24",
    "--optimizer.epochs=3",
    "--optimizer.batch_size=4",
    "--validation.every_epochs=1",
    "--test.clips=2",
    "--loader.workers=0",
    "--log.every_steps=1",
    "--log.tensorboard=false",
    "--log.progress=lines",
    "--trainer.threads=1",
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A backbone whose batch normalization has statistics of its own."""
    loaded = untrained_backbone("tiny", seed=3)
    loaded.backbone.train()
    with torch.no_grad():
        for step in range(3):
            loaded.backbone(torch.randn(4, 3, 8, 24, 24, generator=torch.Generator().manual_seed(step)))
    return save_backbone(
        tmp_path_factory.mktemp("b") / "b.ckpt", loaded.backbone.eval(), arch="tiny", input=loaded.input
    )


@pytest.fixture
def typed(checkpoint):
    def typed(out, *flags):
        threads = torch.get_num_threads()
        try:
            return main(["linear", f"--ckpt={checkpoint}", *SMALL, f"--out={out}", *map(str, flags)])
        finally:
            torch.set_num_threads(threads)

    return typed


def result(folder):
    return json.loads((folder / "result.json").read_text())


@pytest.mark.parametrize(
    "head", [("--head.l2_norm", "true"), ("--head.batch_norm", "true", "--head.dropout", "0.3", "--optimizer.lr", 0.02)]
)
def test_cached_features_give_the_same_probe_as_end_to_end(typed, tmp_path, head):
    """Without augmentation: same weights, same choice, same scores; also with dropout, whose draws are by sample."""
    flags = ("--input.augmented", "false", "--input.clips_per_epoch", 2, "--optimizer.lr", 0.5, *head)
    assert typed(tmp_path / "cached", *flags, "--features", "true") == 0
    assert typed(tmp_path / "whole", *flags) == 0
    cached, whole = (load_classifier(tmp_path / name / "chosen.ckpt") for name in ("cached", "whole"))
    torch.manual_seed(0)
    start = ClassifierHead(128, 10).fc.weight
    for name, value in whole.classifier.head.state_dict().items():
        assert torch.allclose(cached.classifier.head.state_dict()[name].float(), value.float(), atol=1e-4), name
    assert not torch.allclose(whole.classifier.head.fc.weight, start, atol=1e-2)
    a, b = (result(tmp_path / name) for name in ("cached", "whole"))
    assert a["chosen"] == b["chosen"]
    assert (a["top1"], a["top5"], a["mean_class"]) == (b["top1"], b["top5"], b["mean_class"])


def test_another_checkpoint_does_not_replace_a_result(typed, tmp_path, capfd):
    """Both commands have the same default folder."""
    flags = ("--features", "true", "--optimizer.lr", 0.5, "--optimizer.epochs", 1)
    assert typed(tmp_path / "a", *flags) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir() if path.is_file()}
    assert typed(tmp_path / "a", *flags, "--ckpt", "tiny-vd") == 2
    assert "holds another run's linear (start: " in capfd.readouterr().err
    assert {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir() if path.is_file()} == before
    assert typed(tmp_path / "a", *flags) == 0  # the same again may


def test_an_open_rate_is_chosen_on_validation_and_recorded(typed, tmp_path):
    """FIMA's preset has none."""
    flags = ("--sweep.lr", "[0.001, 3.0]", "--sweep.weight_decay", "[0.0, 0.01]")
    assert typed(tmp_path / "s", "--features", "true", *flags) == 0
    found = result(tmp_path / "s")
    trials = found["sweep"]["trials"]
    assert [(t["lr"], t["weight_decay"]) for t in trials] == [(0.001, 0.0), (3.0, 0.0), (0.001, 0.01), (3.0, 0.01)]
    best = max(trials, key=lambda trial: trial["top1"])
    assert (found["sweep"]["lr"], found["chosen"]["top1"]) == (best["lr"], best["top1"])
    assert found["sweep"]["chosen_on"] == "validation"


def test_end_to_end_takes_the_rate_of_the_sweep_and_goes_on_with_it(typed, tmp_path):
    flags = ("--sweep.lr", "[0.01, 1.0]", "--optimizer.epochs", 2)
    assert typed(tmp_path / "a", *flags) == 0
    assert typed(tmp_path / "b", *flags, "--trainer.max_steps", 2) == 0
    assert typed(tmp_path / "b", *flags, "--resume", "auto") == 0
    a, b = (result(tmp_path / name) for name in ("a", "b"))
    assert {**a, "command": ""} == {**b, "command": ""}
    assert a["sweep"]["lr"] in (0.01, 1.0)
    first, second = (load_classifier(tmp_path / name / "chosen.ckpt").classifier.state_dict() for name in ("a", "b"))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_falling_rate_goes_on_where_it_was(typed, tmp_path):
    """TCLR's schedule depends on past losses, also on those before a stop inside an epoch."""
    flags = ("--preset", "tclr", "--optimizer.patience", 1, "--optimizer.lr", 1e-5, "--optimizer.epochs", 6)
    flags += ("--head.dropout", 0.5)  # noise enough that not every epoch is better than the one before
    assert typed(tmp_path / "a", *flags) == 0
    for stop in (("--trainer.max_steps", 6), ("--trainer.max_steps", 15, "--resume", "auto"), ("--resume", "auto")):
        assert typed(tmp_path / "b", *flags, *stop) == 0
    rates = []
    for name in ("a", "b"):
        with (tmp_path / name / "metrics.csv").open(newline="") as file:
            rates.append([float(row["learning_rate"]) for row in csv.DictReader(file)])
    assert rates[0] == rates[1]
    assert len(set(rates[0])) > 1
    assert (tmp_path / "a" / "predictions.csv").read_bytes() == (tmp_path / "b" / "predictions.csv").read_bytes()


def test_the_backbone_stays_as_it_was_unless_its_statistics_are_to_move(typed, tmp_path, checkpoint):
    before = torch.load(checkpoint, weights_only=True)["state_dict"]
    for mode in ("eval", "train"):
        flags = ("--optimizer.lr", 0.1, "--optimizer.epochs", 1, "--head.backbone_mode", mode)
        assert typed(tmp_path / mode, *flags) == 0
        after = load_classifier(tmp_path / mode / "chosen.ckpt").classifier.backbone.state_dict()
        changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
        assert bool(changed) == (mode == "train")
        assert all("running" in name or "tracked" in name for name in changed)


def test_what_features_cannot_do_is_refused(typed, tmp_path, capfd):
    for flags, message in (
        (("--head.backbone_mode", "train"), "nothing can be cached"),
        (("--validation.choose", "test"), "chosen on validation"),
    ):
        assert typed(tmp_path / "r", "--features", "true", *flags) == 2
        assert message in capfd.readouterr().err


@pytest.fixture
def few(checkpoint):
    """`fima linear` on 20 training videos, whose preset has a batch of 256."""

    def few(out, *flags):
        threads = torch.get_num_threads()
        small = [flag for flag in SMALL if "batch_size" not in flag]
        try:
            return main(["linear", f"--ckpt={checkpoint}", *small, f"--out={out}", *map(str, flags)])
        finally:
            torch.set_num_threads(threads)

    return few


@pytest.mark.parametrize("cached", ["true", "false"])
def test_a_presets_batch_is_at_most_the_training_set_and_said_so(few, tmp_path, capfd, cached):
    flags = ("--input.augmented", "false", "--optimizer.lr", 0.5, "--optimizer.epochs", 2, "--features", cached)
    assert few(tmp_path / "a", *flags) == 0
    found, err = result(tmp_path / "a"), " ".join(capfd.readouterr().err.split())
    size = int(found["chosen"]["how"].split("(")[1].split()[0])  # held out
    note = f"optimizer.batch_size is {24 - size}, not 256: the training set has {24 - size} videos"
    assert found["warnings"] == [note]
    assert note in err
    assert found["differs_from_preset"]["optimizer.batch_size"] == 24 - size
    assert few(tmp_path / "b", *flags, "--optimizer.batch_size", 24 - size) == 0
    assert result(tmp_path / "b")["warnings"] == []
    assert (tmp_path / "a" / "predictions.csv").read_bytes() == (tmp_path / "b" / "predictions.csv").read_bytes()
    again = ("--config", tmp_path / "a" / "config.yaml", "--features", cached)
    assert few(tmp_path / "c", *again) == 0
    assert (tmp_path / "c" / "predictions.csv").read_bytes() == (tmp_path / "a" / "predictions.csv").read_bytes()


def test_a_run_with_a_smaller_batch_goes_on(few, tmp_path):
    flags = ("--optimizer.lr", 0.5, "--optimizer.epochs", 2, "--input.augmented", "false")
    assert few(tmp_path / "a", *flags) == 0
    assert few(tmp_path / "b", *flags, "--trainer.max_steps", 1) == 0
    assert few(tmp_path / "b", *flags, "--resume", "auto") == 0
    a, b = (result(tmp_path / name) for name in ("a", "b"))
    assert {**a, "command": ""} == {**b, "command": ""}
    assert (tmp_path / "a" / "predictions.csv").read_bytes() == (tmp_path / "b" / "predictions.csv").read_bytes()


def test_gradients_of_several_batches_are_part_of_a_step(few, tmp_path):
    flags = ("--optimizer.lr", 0.5, "--optimizer.epochs", 1, "--features", "true", "--input.clips_per_epoch", 2)
    assert (
        few(tmp_path / "a", *flags, "--optimizer.accumulate", 4, "--examples", 15, "--validation.choose", "last") == 0
    )
    assert result(tmp_path / "a")["differs_from_preset"]["optimizer.batch_size"] == 7  # 30 clips, 4 batches
    assert few(tmp_path / "b", *flags, "--optimizer.accumulate", 50) == 2
    assert not (tmp_path / "b").exists()


def test_a_batch_that_was_asked_for_is_refused_before_a_video_is_read(few, tmp_path, capfd, monkeypatch):
    def read(*args, **kwargs):
        raise AssertionError("a video was read")

    monkeypatch.setattr("fima.tasks.classify.run.clip_features", read)
    monkeypatch.setattr("fima.data.protocol_clips.read_test_clips", read)
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "notes.txt").write_text("mine")
    for out in (tmp_path / "new" / "deep", kept):
        assert few(out, "--features", "true", "--optimizer.batch_size", 256) == 2
        (line,) = [line for line in capfd.readouterr().err.splitlines() if line]
        assert line.startswith("fima linear: error: --optimizer.batch_size 256: one step needs 256 clips, but the")
    assert [path.name for path in tmp_path.rglob("*")] == ["kept", "notes.txt"]


def test_unreadable_videos_make_the_batch_smaller(tmp_path, few):
    data = tmp_path / "data"
    small = ("--set", "num_frames=20", "size=40")
    assert main(["shapes", str(data), "--videos", "12", "--test", "4", *small]) == 0
    first = (data / "train.csv").read_text().splitlines()[1]
    (data / first.split(",")[0]).write_bytes(b"no video")
    flags = (f"--data={data}", "--optimizer.lr", 0.5, "--optimizer.epochs", 1, "--features", "true")
    assert few(tmp_path / "a", *flags, "--validation.choose", "last") == 0
    assert [line.split(":")[0] for line in result(tmp_path / "a")["warnings"]] == [
        "optimizer.batch_size is 12, not 256",
        "optimizer.batch_size is 11, not 12",
    ]


def features(videos, classes=4, clips=2, channels=12, seed=0, spread=0.3):
    """Clips around a center for each class."""
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(99).normal(size=(classes, channels))
    labels = np.arange(videos) % classes
    vectors = centers[labels][:, None] + spread * rng.normal(size=(videos, clips, channels))
    ids = tuple(map(str, range(videos)))
    return ClipFeatures(ids, labels, tuple(v.astype(np.float32) for v in vectors), {})


def config(**optimizer):
    options = {"epochs": 5, "batch_size": 8, "lr": 0.5, "weight_decay": 1e-3, "milestones": [3], **optimizer}
    return SupervisedConfig(
        task="linear", data="d", ckpt="c", out="o", optimizer=OptimizerOptions(**options), features=True
    )


def test_training_a_head_is_a_plain_loop():
    """Brute-force twin: torch's own optimizer, a rate by hand."""
    train, settings = features(20), config()
    torch.manual_seed(0)
    head = ClassifierHead(12, 4)
    start = {name: value.clone() for name, value in head.state_dict().items()}
    found = train_head(head, train, None, settings, settings.optimizer)
    assert all(torch.equal(value, start[name]) for name, value in head.state_dict().items())
    weight, bias = start["fc.weight"].clone().requires_grad_(), start["fc.bias"].clone().requires_grad_()
    optimizer = torch.optim.SGD([weight, bias], 0.5, 0.9, weight_decay=1e-3)
    table, labels = torch.from_numpy(np.concatenate(train.vectors)), torch.from_numpy(np.repeat(train.labels, 2))
    for number, batch in enumerate(BatchStream(40, 8, epochs=5, seed=0)):
        optimizer.param_groups[0]["lr"] = 0.5 if number // 5 < 3 else 0.05
        places = [index for _, index in batch]
        optimizer.zero_grad()
        F.cross_entropy(table[places] @ weight.T + bias, labels[places]).backward()
        optimizer.step()
    assert torch.allclose(found.head.fc.weight, weight, atol=1e-5)
    assert torch.allclose(found.head.fc.bias, bias, atol=1e-5)
    assert (found.epoch, found.top1) == (5, None)


def test_separable_classes_are_found_and_shuffled_labels_are_not():
    train, test = features(200), features(200, seed=1)
    settings = config(epochs=20)
    head = ClassifierHead(12, 4)
    assert train_head(head, train, test, settings, settings.optimizer).history[-1]["top1"] > 0.95
    shuffled = dataclasses.replace(train, labels=np.random.default_rng(0).permutation(train.labels))
    top1 = train_head(head, shuffled, test, settings, settings.optimizer).history[-1]["top1"]
    assert top1 < 0.5  # chance is 0.25


def test_the_sweep_takes_the_first_of_the_best_and_survives_a_rate_that_explodes():
    train, validation, told = features(40), features(16, seed=1), []
    settings = config(lr=None, weight_decay=0.0)
    settings.sweep = SweepOptions([1e-9, 1e38, 0.5, 0.4])
    best, table = sweep_heads(ClassifierHead(12, 4), train, validation, settings, told.append)
    assert [row["lr"] for row in table] == [1e-9, 1e38, 0.5, 0.4]
    assert table[1]["top1"] is None
    assert "not finite" in told[1]
    assert (best.lr, best.top1) == (0.5, 1.0)
    settings.sweep = SweepOptions([1e38])
    with pytest.raises(TrainingError, match="no learning rate"):
        sweep_heads(ClassifierHead(12, 4), train, validation, settings, told.append)
    settings.sweep = SweepOptions([0.1, 0.2])
    with pytest.raises(InputError, match="chosen on validation"):
        sweep_heads(ClassifierHead(12, 4), train, None, settings, told.append)


def test_the_chosen_epoch_is_the_earliest_best_and_the_last_on_request():
    train, validation = features(40), features(16, seed=1, spread=1.5)
    settings = config(epochs=6, lr=2.0)
    found = train_head(ClassifierHead(12, 4), train, validation, settings, settings.optimizer)
    assert found.top1 == max(row["top1"] for row in found.history)
    assert found.epoch == next(row["epoch"] for row in found.history if row["top1"] == found.top1)
    settings.validation = ValidationOptions("last")
    assert train_head(ClassifierHead(12, 4), train, validation, settings, settings.optimizer).epoch == 6


def test_dropout_follows_the_samples_of_a_step():
    """The draws of a step depend on its samples, not on what was drawn before."""
    from fima.engine.module import seed_from

    masks = []
    for before in (0, 5):
        torch.rand(before)
        seed_from(SampleKeys(1, 2, np.array([7, 3])))
        masks.append(F.dropout(torch.ones(20), 0.5))
    assert torch.equal(*masks)
