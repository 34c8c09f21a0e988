"""A measured number with everything that it depends on. Imports no torch."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

__all__ = ["TASKS", "EvalSettings", "ResultEntry"]

TASKS = {
    "finetune": "fine-tuning",
    "linear": "linear probe",
    "knn": "k-NN",
    "retrieval": "retrieval",
    "detection": "detection",
}
"""Tasks, in the order of a table's columns, and how they are written."""


@dataclass(frozen=True)
class EvalSettings:
    """How it was tested; numbers are compared only if all of this is the same.

    Attributes:
        preset: its name.
        clips: of a video, where they are spread evenly.
        crops: of a frame.
        placement: of the clips, "uniform" or "half_overlap".
        crop_fraction: side of a crop as a share of the frame's short side; None: the whole of it.
        average: what is averaged over clips and crops.
        centering: of features, before they are compared.
        chosen: which weights were tested: "last", "val", "test" (the best on the test split) or "given".
        changes: what else is not as in the preset, and what the task has besides, as text.
    """

    preset: str
    clips: str | None = None
    crops: int | None = None
    placement: str | None = None
    crop_fraction: float | None = None
    average: str | None = None
    centering: str | None = None
    chosen: str | None = None
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ResultEntry:
    """One number of one run.

    Attributes:
        checkpoint: path as recorded; "random" for an untrained backbone.
        sha256: of the checkpoint; None for one that is not trained, whose seeds are then draws of the same thing.
        arch: its architecture.
        input: frames × stride and size of a clip.
        layer: that features are from; empty: the output.
        task: a key of `TASKS`.
        data: name of the data set: its folder's, or the drawn data set's text.
        data_path: the data set as typed.
        train_split: as asked for.
        test_split: as asked for.
        listed: test videos (keyframes of AVA) that the split has, also those that could not be read.
        tested: videos or keyframes that the number is of.
        classes: that were told apart.
        metric: such as "top-1" or "recall@5".
        value: as a share, in [0, 1].
        low: of its 95 % interval over videos; None if there is none.
        high: of the same interval.
        chance: what guessing would give; None if unknown.
        seed: of the run.
        settings: how it was tested.
        source: of the preset.
        remarks: what a reader must know of this run: videos that were not tested, videos also trained on, warnings.
        file: the result it was read from.
        command: as typed.
        version: of fima.
    """

    checkpoint: str
    sha256: str | None
    arch: str
    input: str
    layer: str
    task: str
    data: str
    data_path: str
    train_split: str
    test_split: str
    listed: int | None
    tested: int | None
    classes: int | None
    metric: str
    value: float
    low: float | None
    high: float | None
    chance: float | None
    seed: int
    settings: EvalSettings
    source: str
    remarks: tuple[str, ...]
    file: str
    command: str
    version: str

    @property
    def backbone(self) -> Hashable:
        """What a row of the table is of."""
        return self.sha256, self.arch, self.input, self.layer

    @property
    def measured_by(self) -> Hashable:
        """What the columns of one footnote have in common: two with other settings are two columns."""
        where = self.data, self.train_split, self.test_split, self.listed, self.classes
        return self.task, where, self.settings
