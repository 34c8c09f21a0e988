"""Checkpoints with a classifier, as fine-tuning writes them: ours, and other people's."""

import torch
from torch import nn

from fima.checkpoints import untrained_backbone
from fima.tasks.classify.classifier import Classifier, ClassifierHead, save_classifier

__all__ = ["CLASSES", "tiny_state", "write_fine_tuned", "write_foreign"]

CLASSES = ("falls", "rises", "a name that is far too long for a margin", "rests")


def tiny_state():
    """Weights of the backbone ``tiny``."""
    return untrained_backbone("tiny", seed=0).backbone.state_dict()


def write_fine_tuned(path):
    """A file as ``fima finetune`` writes it, whose third class (index 2) wins on whatever is seen."""
    loaded = untrained_backbone("tiny", seed=0)
    head = ClassifierHead(128, 4, dropout=0.5, l2_norm=True, batch_norm=True)
    with torch.no_grad():
        head.fc.bias[2] = 100
        head.norm.running_mean.copy_(torch.rand(128, generator=torch.Generator().manual_seed(0)))
    classifier = Classifier(loaded.backbone, head)
    return save_classifier(path, classifier, arch="tiny", input=loaded.input, class_names=CLASSES)


def write_foreign(path):
    """A file as FIMA's and FAME's fine-tuning write it, and its head."""
    state = {f"module.{name}": value for name, value in tiny_state().items()}
    head = nn.Linear(128, 5)
    state |= {f"module.fc.{name}": value for name, value in head.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, path)
    return path, head
