"""Classifiers of checkpoints: files of ours and of others."""

import pytest
import torch
from torch import nn

from analysis.inputs.backbone.heads import load_head
from fima.checkpoints import load_backbone
from fima.errors import CheckpointError, InputError
from fima.tasks.classify.classifier import (
    load_classifier,
)
from tests.classifier_files import CLASSES, tiny_state, write_fine_tuned


def _rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def fine_tuned(tmp_path):
    return write_fine_tuned(tmp_path / "tuned.pth")


def test_the_head_of_a_fine_tuned_file_is_the_classifiers_own(fine_tuned):
    head = load_head(load_backbone(fine_tuned))
    pooled = _rand(6, 128)
    with torch.no_grad():
        expected = load_classifier(fine_tuned).classifier.head(pooled)
    assert torch.equal(head.head(pooled), expected)
    assert head.class_names == CLASSES
    assert [head.label(i) for i in range(4)] == list(CLASSES)
    assert not any(parameter.requires_grad for parameter in head.head.parameters())


@pytest.mark.parametrize("place", ["fc", "head.projection"])
def test_the_linear_layer_beside_a_backbone_is_its_head(tmp_path, place):
    head = nn.Linear(128, 5)
    state = tiny_state() | {f"{place}.{name}": value for name, value in head.state_dict().items()}
    torch.save(state, tmp_path / "plain.pth")
    found = load_head(load_backbone(tmp_path / "plain.pth"))
    pooled = _rand(3, 128)
    assert torch.equal(found.head(pooled), head(pooled))
    assert (found.classes, found.class_names, found.label(3)) == (5, (), "class 3")


def test_a_projector_of_pre_training_is_no_head(tmp_path):
    state = {f"module.encoder_q.{name}": value for name, value in tiny_state().items()}
    state |= {"module.encoder_q.fc.weight": torch.zeros(64, 128), "module.encoder_q.fc.bias": torch.zeros(64)}
    torch.save({"state_dict": state}, tmp_path / "moco.pth")
    with pytest.raises(InputError, match=r"moco\.pth has no classifier head; expected a file of fima finetune"):
        load_head(load_backbone(tmp_path / "moco.pth"))


def test_damaged_heads_are_refused(tmp_path, fine_tuned):
    content = torch.load(fine_tuned)
    for change, said in (
        ({"classes": ["one", "two"]}, "RuntimeError"),
        ({"state_dict": {}}, "KeyError"),
        ({"settings": {"color": "red"}}, "TypeError"),
    ):
        changed = content | {"extra": {"classifier": content["extra"]["classifier"] | change}}
        torch.save(changed, tmp_path / "damaged.pth")
        with pytest.raises(CheckpointError, match=said) as error:
            load_head(load_backbone(tmp_path / "damaged.pth"))
        assert "\n" not in str(error.value)
    content["extra"]["classifier"]["state_dict"]["fc.weight"][0, 0] = torch.nan
    torch.save(content, tmp_path / "nan.pth")
    with pytest.raises(CheckpointError, match="not all of its weights are finite"):
        load_head(load_backbone(tmp_path / "nan.pth"))
