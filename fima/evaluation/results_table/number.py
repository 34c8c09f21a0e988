"""A measured number with everything that it depends on. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["TASKS", "Backbone", "Data", "Number", "Protocol"]

TASKS = {
    "finetune": "fine-tuning",
    "linear": "linear probe",
    "knn": "k-NN",
    "retrieval": "retrieval",
    "detection": "detection",
}
"""Tasks, in the order of a table's columns, and how they are written."""


@dataclass(frozen=True)
class Backbone:
    """A row of the table: what was evaluated.

    Attributes:
        sha256: of the checkpoint; None for one that is not trained, whose seeds are then draws of the same thing.
        arch: its architecture.
        input: frames × stride and size of a clip.
        layer: that features are from; empty: the output.
    """

    sha256: str | None
    arch: str
    input: str
    layer: str = ""


@dataclass(frozen=True)
class Data:
    """What was tested on.

    Attributes:
        name: of the data set: its folder's, or the drawn data set's text.
        train_split, test_split: as asked for.
        listed: test videos (keyframes of AVA) that the split has, also those that could not be read.
        classes: that were told apart.
    """

    name: str
    train_split: str
    test_split: str
    listed: int | None
    classes: int | None


@dataclass(frozen=True)
class Protocol:
    """How it was tested; numbers are compared only if all of this is the same.

    Attributes:
        preset: its name.
        clips, crops, placement, crop_fraction, average, centering: of the test; None where the task has none.
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
class Number:
    """One number of one run.

    Attributes:
        backbone, task, data, metric, protocol: what it is of; equal for all seeds of a cell of the table.
        value: as a share, in [0, 1].
        low, high: its 95 % interval over videos; None if there is none.
        chance: what guessing would give; None if unknown.
        seed: of the run.
        checkpoint: path as recorded; "random" for an untrained backbone.
        source: of the preset.
        remarks: what a reader must know of this run: videos that were not tested, videos also trained on, warnings.
        file: the result it was read from.
        command: as typed.
        version: of fima.
        tested: videos or keyframes that the number is of.
        data_path: as typed.
    """

    backbone: Backbone
    task: str
    data: Data
    metric: str
    protocol: Protocol
    value: float
    seed: int
    checkpoint: str
    file: Path
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    source: str = ""
    remarks: tuple[str, ...] = ()
    command: str = ""
    version: str = ""
    tested: int | None = None
    data_path: str = ""
