"""A classifier's parts, its modes, its file; and the checks of its data."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fima.checkpoints import load_backbone, save_backbone, untrained_backbone
from fima.checkpoints.files import read_checkpoint, write_checkpoint
from fima.data.datasets import open_dataset
from fima.data.datasets.records import VideoDataset, VideoRecord
from fima.errors import CheckpointError, InputError
from fima.evaluation.checks import check_labels, check_same_classes, duplicates, hold_out, take_examples
from fima.tasks.classify.classifier import Classifier, ClassifierHead, load_classifier, save_classifier

NAMES = ("left", "right", "up")


def classifier(**head):
    torch.manual_seed(0)
    frozen = head.pop("frozen", False)
    mode = head.pop("backbone_mode", "eval")
    loaded = untrained_backbone("tiny")
    return loaded, Classifier(loaded.backbone, ClassifierHead(128, 3, **head), frozen=frozen, backbone_mode=mode)


def clips(count=4):
    return torch.randn(count, 3, 8, 32, 32, generator=torch.Generator().manual_seed(0))


def test_what_it_computes():
    loaded, whole = classifier(l2_norm=True)
    whole.eval()
    pooled = loaded.backbone(clips()).mean(dim=(2, 3, 4))
    pooled = pooled / pooled.norm(dim=1, keepdim=True)
    expected = pooled @ whole.head.fc.weight.T + whole.head.fc.bias
    assert torch.allclose(whole(clips()), expected, atol=1e-6)


def test_batch_normalization_is_by_the_batch_in_training_and_has_learnt_scales():
    head = ClassifierHead(5, 3, batch_norm=True).train()
    feature = torch.randn(16, 5) * 3 + 2
    expected = F.linear((feature - feature.mean(0)) / (feature.var(0, unbiased=False) + 1e-5).sqrt(), head.fc.weight)
    assert torch.allclose(head(feature), expected, atol=1e-5)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_frozen_backbone_keeps_its_weights_and_follows_its_mode(mode):
    """TCLR's probe goes on collecting statistics; FIMA's and CoCLR's do not."""
    loaded, whole = classifier(frozen=True, backbone_mode=mode)
    before = {name: value.clone() for name, value in loaded.backbone.state_dict().items()}
    whole.train()
    F.cross_entropy(whole(clips()), torch.tensor([0, 1, 2, 0])).backward()
    assert all(parameter.grad is None for parameter in loaded.backbone.parameters())
    assert whole.head.fc.weight.grad is not None
    changed = {n for n, value in loaded.backbone.state_dict().items() if not torch.equal(value, before[n])}
    assert bool(changed) == (mode == "train")
    assert all("running" in name or "tracked" in name for name in changed)


def test_dropout_only_in_training():
    _, whole = classifier(dropout=0.9)
    whole.eval()
    assert torch.equal(whole(clips()), whole(clips()))
    whole.train()
    assert not torch.equal(whole(clips()), whole(clips()))


def test_its_file_is_a_backbones_too(tmp_path):
    loaded, whole = classifier(l2_norm=True, batch_norm=True, dropout=0.3)
    whole.train()(clips())  # statistics that are not the first ones
    path = save_classifier(
        tmp_path / "c.ckpt", whole, arch="tiny", input=loaded.input, class_names=NAMES, extra={"epoch": 7}
    )
    back = load_classifier(path)
    assert back.class_names == NAMES
    assert back.classifier.head.settings == {"dropout": 0.3, "l2_norm": True, "batch_norm": True}
    assert torch.equal(back.classifier(clips()), whole.eval()(clips()))
    alone = load_backbone(path)
    assert (alone.arch, alone.epoch, alone.report.complete, alone.input) == ("tiny", 7, True, loaded.input)
    for name, value in alone.backbone.state_dict().items():
        assert torch.equal(value, whole.backbone.state_dict()[name])


def test_files_that_are_no_classifier(tmp_path):
    loaded, whole = classifier()
    plain = save_backbone(tmp_path / "b.ckpt", loaded.backbone, arch="tiny", input=loaded.input)
    with pytest.raises(CheckpointError, match=r"b\.ckpt: holds a backbone without a classifier"):
        load_classifier(plain)
    path = save_classifier(tmp_path / "c.ckpt", whole, arch="tiny", input=loaded.input, class_names=NAMES)
    content = read_checkpoint(path, trust=False)
    content["extra"]["classifier"]["state_dict"].pop("fc.bias")
    write_checkpoint(path, content)
    with pytest.raises(CheckpointError, match=r"c\.ckpt: its classifier is damaged"):
        load_classifier(path)
    with pytest.raises(FileNotFoundError):
        load_classifier(tmp_path / "none.ckpt")


def test_heads_out_of_range_are_refused():
    with pytest.raises(InputError, match="at least 2 classes"):
        ClassifierHead(8, 1)
    with pytest.raises(InputError, match=r"dropout must be in \[0, 1\)"):
        ClassifierHead(8, 2, dropout=1.0)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_hold_out_is_balanced_seeded_and_whole(share):
    labels = np.repeat([0, 1, 2, 3], [20, 10, 2, 1])
    kept, held = hold_out(labels, share, seed=1)
    assert sorted([*kept, *held]) == list(range(33))
    counts = np.bincount(labels[held], minlength=4)
    assert counts.tolist() == [round(20 * share), round(10 * share), 1, 0]  # a lone video stays in training
    assert np.array_equal(hold_out(labels, share, seed=1)[1], held)
    assert not np.array_equal(hold_out(labels, share, seed=2)[1], held)


def test_hold_out_of_nothing_is_refused():
    with pytest.raises(InputError, match="no class has two videos"):
        hold_out(np.arange(3), 0.1, 0)


def test_examples_are_balanced_and_nested():
    labels = np.repeat([0, 1, 2], [10, 10, 3])
    few, more = take_examples(labels, 6, 0), take_examples(labels, 15, 0)
    assert np.bincount(labels[few]).tolist() == [2, 2, 2]
    assert np.bincount(labels[more]).tolist() == [6, 6, 3]
    assert set(few) < set(more)
    with pytest.raises(InputError, match=r"examples must be in \[1, 23\]"):
        take_examples(labels, 24, 0)


def test_duplicates_by_content_and_by_id(tmp_path):
    def record(name, content):
        path = tmp_path / f"{name}.mp4"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return VideoRecord(path, name, 0, "a")

    train = [record("train/a", b"abc"), record("train/b", b"abd"), record("train/c", b"longer")]
    test = [record("test/x", b"abd"), record("test/y", b"xyz"), record("test/z", b"other!!")]
    assert duplicates(train, test) == [("train/b", "test/x")]
    assert duplicates(train, train) == [(r.video_id, r.video_id) for r in train]
    world = "shapes:easy,videos=3"
    splits = [open_dataset(world, split=name) for name in ("train", "test")]
    assert duplicates(*splits) == []
    assert len(duplicates(splits[0], splits[0])) == 3


def test_labels_and_class_maps(tmp_path):
    def videos(*labels, names=NAMES):
        records = tuple(VideoRecord(tmp_path / f"{i}", f"v{i}", label, None) for i, label in enumerate(labels))
        return VideoDataset(records, names, tmp_path, "list")

    check_labels(videos(0, 2), "d")
    for data, message in (
        (videos(), "d: holds no video"),
        (videos(0, names=()), "d: has no labels"),
        (videos(0, names=("one",)), "d: has one class, one"),
        (videos(0, 3), "d: v1 has label 3, expected 0 to 2"),
        (videos(None), "d: v0 has label None"),
    ):
        with pytest.raises(InputError, match=message):
            check_labels(data, "d")
    with pytest.raises(InputError, match="a and b disagree: class 1 is 'right' and 'down'"):
        check_same_classes(NAMES, ("left", "down", "up"), "a and b")
    with pytest.raises(InputError, match="disagree: 3 classes and 2"):
        check_same_classes(NAMES, NAMES[:2], "a and b")
