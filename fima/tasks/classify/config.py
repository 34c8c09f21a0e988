"""The settings of fine-tuning or of a linear probe, and which of them no run can use. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from fima.engine.configuration import RunConfig, at_least
from fima.errors import InputError
from fima.tasks.classify.options import (
    AugmentOptions,
    HeadOptions,
    InputOptions,
    OptimizerOptions,
    SweepOptions,
    TestOptions,
    ValidationOptions,
)

__all__ = ["SupervisedConfig"]


@dataclass(kw_only=True)
class SupervisedConfig(RunConfig):
    """A whole evaluation.

    Args:
        task: "finetune" or "linear".
        ckpt: A checkpoint's path, the name of a shipped one, or "random" for an untrained backbone.
        arch: With --ckpt random: the architecture; otherwise only where the file does not tell.
        train_split: Split of the data set to train on.
        test_split: Split of the data set to test on.
        val_split: Split of the data set to choose on; null: held out from training.
        preset: Published settings that flags change one by one.
        examples: Training videos that are used, drawn by seed and class by class; null: all.
        features: Train on features that are computed once, without augmentation (linear probes).
        features_train: A table of fima extract to train a linear probe on, instead of data and ckpt.
        features_test: The table to test it on.
        test_only: Test the classifier in --ckpt, without training.
    """

    task: Literal["finetune", "linear"]
    ckpt: str
    arch: str | None = None
    train_split: str | None = "train"
    test_split: str | None = "test"
    val_split: str | None = None
    preset: str = "fima"
    examples: int | None = at_least(1, None)
    features: bool = False
    features_train: str | None = None
    features_test: str | None = None
    test_only: bool = False
    input: InputOptions = field(default_factory=InputOptions)
    augment: AugmentOptions = field(default_factory=AugmentOptions)
    optimizer: OptimizerOptions = field(default_factory=OptimizerOptions)
    head: HeadOptions = field(default_factory=HeadOptions)
    test: TestOptions = field(default_factory=TestOptions)
    validation: ValidationOptions = field(default_factory=ValidationOptions)
    sweep: SweepOptions = field(default_factory=SweepOptions)

    FREE: ClassVar[frozenset[str]] = RunConfig.FREE | {
        *("ckpt", "preset", "test_only", "features_train", "features_test")
    }
    NOT_WRITTEN: ClassVar[frozenset[str]] = RunConfig.NOT_WRITTEN | {"task"}

    def __post_init__(self) -> None:
        """Refuse what no run can use."""
        super().__post_init__()
        if (self.features or self.features_train) and self.task != "linear":
            raise InputError("features: only a linear probe (fima linear) can be trained on cached features")
        if self.optimizer.lr is None and self.task != "linear":
            raise InputError("optimizer.lr: this preset's source gives none; set one with --optimizer.lr")
        if self.test_only and self.ckpt == "random":
            raise InputError("test_only: tests the classifier of a checkpoint, and --ckpt random has none")
        self.test.protocol()
