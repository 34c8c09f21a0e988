"""Which jobs a downstream study is made of, and with which settings. Nothing here imports torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fima.checkpoints.shipped import SHIPPED
from fima.errors import InputError

__all__ = [
    "ASKED",
    "CLIPS",
    "FEATURES",
    "FINETUNE",
    "LINEAR",
    "RANKS",
    "SHOWN",
    "SPLIT",
    "TASKS",
    "Checkpoint",
    "Job",
    "K",
    "parse_checkpoints",
    "plan_jobs",
]

ASKED = ("linear", "knn", "retrieve", "finetune")
"""Tasks, in the order in which they are run, the cheap ones first."""
SHOWN = {"rgb": "in order", "shuffled": "shuffled", "static": "one frame"}
"""What of the clips the features of the cheap tasks are of (`fima.data.clip_protocol.INPUTS`)."""
_CHEAP = {"linear": "linear probe", "knn": "k-NN", "retrieve": "retrieval"}
TASKS = {
    (task if shown == "rgb" else f"{task}-{shown}"): (name if shown == "rgb" else f"{name}, {words}")
    for task, name in _CHEAP.items()
    for shown, words in SHOWN.items()
} | {"finetune": "fine-tuning"}
"""Task, also of altered clips, → its name on the page."""
FEATURES = "features"
SPLIT = "split"
"""Scope of the data set's own training and test videos; the others are ``fold1``, ``fold2``, …"""

CLIPS = 5
"""Clips of a video, evenly spread, in every task: features, probe and test."""
K = 5
"""Neighbors that vote, weighted by similarity."""
RANKS = (1, 5, 10)
"""Of the recall that is written down; the page shows the first."""

_CHECKPOINT_INPUT = ("--input.num_frames", "null", "--input.frame_stride", "null", "--input.size", "null")
_TEST = ("--test.clips", str(CLIPS), "--test.crops", "1", "--test.average", "softmax")
_CHOICE = ("--val-split", "val", "--validation.choose", "val", "--validation.clips", str(CLIPS))
LINEAR = (
    "--preset", "fima", *_CHECKPOINT_INPUT, "--features", "true", "--input.clips_per_epoch", str(CLIPS),
    "--optimizer.epochs", "40", "--optimizer.batch_size", "32", "--optimizer.milestones", "[24,32]", *_TEST, *_CHOICE,
    "--validation.every_epochs", "2",
)  # fmt: skip
"""Changes to the preset ``fima`` of ``fima linear``: small data, so short and with small batches; the rate is chosen on
validation."""
FINETUNE = (
    "--preset", "fima", *_CHECKPOINT_INPUT, "--optimizer.epochs", "20", "--optimizer.schedule", "cosine",
    "--optimizer.milestones", "[]", "--head.dropout", "0.5", *_TEST, *_CHOICE, "--validation.every_epochs", "2",
)  # fmt: skip
"""Changes to the preset ``fima`` of ``fima finetune``: 20 epochs instead of 150, cosine."""

_NAME = re.compile(r"[\w.+-]+")
_RANDOM = "random"


@dataclass(frozen=True)
class Checkpoint:
    """A backbone that takes part.

    Attributes:
        name: in tables and of folders.
        path: of the file, the name of a shipped one, or "random".
    """

    name: str
    path: str

    @property
    def trained(self) -> bool:
        """False for random weights, which every seed draws anew."""
        return self.path != _RANDOM


def _parts(name: str) -> tuple[str, str]:
    """Of ``knn-static``: what comes first, and a key of `SHOWN`."""
    base, _, shown = name.partition("-")
    return base, shown or "rgb"


@dataclass(frozen=True)
class Job:
    """One piece of work that leaves ``result.json`` in a folder of its own.

    Attributes:
        checkpoint: whose backbone.
        task: a key of `TASKS`, or `FEATURES`.
        scope: `SPLIT`, ``fold1``, …; of `FEATURES`: "all", or "all-shuffled", …
        seed: of the head, the draws, and of random weights.
        folder: of the job.
    """

    checkpoint: Checkpoint
    task: str
    scope: str
    seed: int
    folder: Path

    @property
    def finished(self) -> bool:
        """Whether its result is there."""
        return (self.folder / "result.json").is_file()

    @property
    def base(self) -> str:
        """One of `ASKED`, or `FEATURES`, whatever is shown."""
        return _parts(self.task)[0]

    @property
    def shown(self) -> str:
        """A key of `SHOWN`."""
        return _parts(self.scope if self.task == FEATURES else self.task)[1]

    @property
    def label(self) -> str:
        """For lines of progress."""
        return f"{self.checkpoint.name}, {self.task}, {self.scope}, seed {self.seed}"

    def command(self, runs: Path, arch: str, threads: int, device: str = "cpu") -> list[str]:
        """Arguments of ``fima``, for the tasks that are processes of their own, and of the linear probe's settings."""
        source = ["--ckpt", self.checkpoint.path, *([] if self.checkpoint.trained else ["--arch", arch])]
        if self.task == FEATURES:
            return [
                "extract", *source, "--data", str(runs / "lists" / "all.csv"), "--out",
                str(self.folder / "features.parquet"), "--clips", str(CLIPS), "--seed", str(self.seed), "--device",
                device, "--threads", str(threads), *([] if self.shown == "rgb" else ["--shown", self.shown]),
            ]  # fmt: skip
        data = ["--data", str(runs / "lists" / self.scope), "--out", str(self.folder), "--seed", str(self.seed)]
        machine = ["--trainer.accelerator", "cpu" if device == "cpu" else "gpu", "--trainer.threads", str(threads),
                   "--loader.workers", "0", "--log.progress", "lines", "--log.tensorboard", "false"]  # fmt: skip
        if self.base == "linear":
            return ["linear", *source, *data, *LINEAR, *machine]
        return ["finetune", *source, *data, *FINETUNE, "--resume", "auto", "--checkpoints.keep", "1", *machine]


def parse_checkpoints(given: Sequence[str]) -> list[Checkpoint]:
    """``NAME=PATH`` or, for random weights and shipped backbones, ``NAME``.

    Raises:
        InputError: for a name that is no name of a folder, or comes twice.
    """
    found: dict[str, Checkpoint] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not _NAME.fullmatch(name) or (equals and not path):
            known = ", ".join((_RANDOM, *SHIPPED))
            raise InputError(
                f"--ckpt {text}: expected NAME=PATH with a name of letters, digits and . + - _, or {known}"
            )
        if name in found:
            raise InputError(f"--ckpt {text}: there are two checkpoints {name}; give each its own name")
        found[name] = Checkpoint(name, path or name)
    return list(found.values())


def plan_jobs(
    checkpoints: Sequence[Checkpoint],
    runs: Path,
    *,
    tasks: Sequence[str],
    scopes: Sequence[str],
    seeds: Sequence[int],
    fold_seeds: Sequence[int],
    shown: Sequence[str] = ("rgb",),
) -> list[Job]:
    """The jobs in the order in which they are worth most: features, then cheap tasks, then fine-tuning seed by seed.

    Neighbors and retrieval of trained weights draw nothing, so one seed is all of them.

    Args:
        checkpoints: that take part.
        runs: folder of all jobs.
        tasks: some of `ASKED`.
        scopes: `SPLIT` and folds.
        seeds: of every task on the split, and of the cheap ones on the folds.
        fold_seeds: of fine-tuning on the folds.
        shown: keys of `SHOWN`: what the features of the cheap tasks are of.

    Raises:
        InputError: for an unknown task, or seeds that cannot be used.
    """
    for flag, given, known in (("--tasks", tasks, ASKED), ("--shown", shown, tuple(SHOWN))):
        if unknown := [name for name in given if name not in known]:
            raise InputError(f"{flag}: there is no {unknown[0]!r}; known: {', '.join(known)}")
    if not seeds or min([*seeds, *fold_seeds]) < 0 or not tasks or not checkpoints:
        raise InputError("--ckpt, --tasks and --seeds need at least one value each, seeds of at least 0")
    jobs = []
    seeds = list(dict.fromkeys(seeds))

    def job(checkpoint: Checkpoint, task: str, scope: str, seed: int) -> Job:
        return Job(checkpoint, task, scope, seed, runs / scope / checkpoint.name / f"{task}-{seed}")

    taken = [(base, what) for base in tasks if base != "finetune" for what in shown]
    cheap = [task for task in TASKS if _parts(task) in taken]
    if cheap:
        jobs += [
            job(c, FEATURES, "all" if what == "rgb" else f"all-{what}", seed)
            for what in dict.fromkeys(shown)
            for c in checkpoints
            for seed in (seeds if c.trained is False else seeds[:1])
        ]
    for scope in scopes:
        for checkpoint in checkpoints:
            for task in cheap:
                drawn = task.startswith("linear") or not checkpoint.trained
                jobs += [job(checkpoint, task, scope, seed) for seed in (seeds if drawn else seeds[:1])]
    if "finetune" in tasks:
        for seed in dict.fromkeys([*seeds, *fold_seeds]):
            for scope in scopes:
                if seed in (seeds if scope == SPLIT else fold_seeds):
                    jobs += [job(checkpoint, "finetune", scope, seed) for checkpoint in checkpoints]
    return jobs
