"""What a run is made of: typed settings in the groups that flags and files have, and their limits. No torch here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, ClassVar, Literal

from fima.errors import InputError
from fima.presets.loader import flatten

__all__ = [
    "Checkpoints",
    "Crops",
    "Loader",
    "Log",
    "Optimizer",
    "RunConfig",
    "Schedule",
    "Trainer",
    "at_least",
    "within",
]


def at_least(low: float, default: Any) -> Any:
    """A field whose value must be finite and at least ``low``; None and words are left to its type."""
    return field(default=default, metadata={"range": (f"at least {low}", lambda v: low <= v < math.inf)})


def within(words: str, default: Any) -> Any:
    """A field whose value must be in an interval, such as ``within("[0, 1)", 0.5)``; each of them, if it is a list."""
    low, high = (float(word) for word in words[1:-1].split(","))

    def fits(value: float) -> bool:
        above = low < value if words[0] == "(" else low <= value
        return above and (value < high if words[-1] == ")" else value <= high)

    said = f"above {low:g}" if words.startswith("(") and high == math.inf else f"in {words}"
    return field(default=default, metadata={"range": (said, fits)})


@dataclass(frozen=True)
class Crops:
    """How clips are cut out of frames, drawn for each clip.

    Args:
        area: Range of a crop's share of the frame.
        aspect: Range of a crop's width over its height.
        flip_probability: Probability of a mirrored clip.
    """

    area: tuple[float, float] = (0.2, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    flip_probability: float = within("[0, 1]", 0.5)


@dataclass(frozen=True)
class Schedule:
    """How long training lasts, and its learning rate on the way (`fima.engine.schedule`).

    Args:
        epochs: Passes over the data.
        schedule: How the rate falls: "cosine" to zero; "milestones": times gamma at each; "plateau": times gamma after
            `patience` epochs whose mean training loss was above the least so far; or "constant".
        update: The schedule changes the rate once an "epoch" or with every "step"; a warm-up always goes by steps.
        milestones: Epochs at which "milestones" lowers the rate.
        gamma: Factor of "milestones" and "plateau".
        patience: Epochs that "plateau" waits.
        warmup_epochs: Epochs of linear growth from `warmup_start` before, fewer than `epochs`.
        warmup_start: First learning rate of the warm-up.
    """

    epochs: int = at_least(1, 200)
    schedule: Literal["cosine", "milestones", "plateau", "constant"] = "cosine"
    update: Literal["epoch", "step"] = "epoch"
    milestones: tuple[int, ...] = ()
    gamma: float = within("(0, 1]", 0.1)
    patience: int = at_least(1, 3)
    warmup_epochs: float = at_least(0, 0.0)
    warmup_start: float = at_least(0, 0.0)


@dataclass(frozen=True)
class Optimizer(Schedule):
    """The optimizer and how its rate falls.

    Args:
        algorithm: "sgd", as the papers have it; "adam"; or "adamw", which small networks learn quicker with.
        batch_size: Samples in one optimizer's step of one process, before accumulation.
        accumulate: Batches whose gradients are summed up (as their mean) before each step.
        lr: Peak learning rate, for the total batch as given: it is not scaled by the number of processes.
        momentum: Momentum of SGD; Adam and AdamW have their usual 0.9 and 0.999.
        weight_decay: Decay of every parameter; AdamW decouples it from the gradient.
    """

    algorithm: Literal["sgd", "adam", "adamw"] = "sgd"
    batch_size: int = at_least(1, 24)
    accumulate: int = at_least(1, 1)
    lr: float | None = within("(0, inf)", 0.00375)
    momentum: float = at_least(0, 0.9)
    weight_decay: float = at_least(0, 1e-4)


@dataclass(frozen=True)
class Loader:
    """How frames come from disk; none of it changes what a sample is.

    Args:
        workers: Processes that decode; 0: the training process itself.
        prefetch: Batches that each worker keeps ready.
        max_failed: Greatest share of the videos that may turn out unreadable before training stops.
        index_cache: Keep the data set's listing in the user's cache folder.
    """

    workers: int = at_least(0, 4)
    prefetch: int = at_least(1, 2)
    max_failed: float = within("[0, 1]", 0.1)
    index_cache: bool = True


@dataclass(frozen=True)
class Trainer:
    """On what, and in which precision.

    Args:
        accelerator: Kind of device; "auto" takes a GPU where there is one.
        devices: Processes on this machine, one a device; "auto": all GPUs, or one process on a CPU.
        nodes: Number of machines.
        strategy: Lightning's strategy, such as "ddp"; "auto": ddp where there are several processes.
        precision: Numbers that are computed with: "32-true" or "bf16-mixed".
        compile: Compile the encoders with torch.compile.
        deterministic: Refuse operations that are not reproducible on a GPU.
        threads: Threads of the processor for each process; null: torch's choice.
        timeout_seconds: How long a process waits for the others before it gives up.
        max_steps: Stop after this many optimizer's steps although epochs are left; for trials.
    """

    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = "auto"
    devices: int | Literal["auto"] = at_least(1, "auto")
    nodes: int = at_least(1, 1)
    strategy: str = "auto"
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    compile: bool = False
    deterministic: bool = False
    threads: int | None = at_least(1, None)
    timeout_seconds: float = 1800.0
    max_steps: int | None = at_least(1, None)


@dataclass(frozen=True)
class Checkpoints:
    """What is kept of a run; `last.ckpt` always is the newest.

    Args:
        every_epochs: Epochs between checkpoints.
        every_steps: Optimizer's steps between checkpoints, besides; null: none inside an epoch.
        keep: How many of the newest stay.
        keep_every: Checkpoints of epochs that this number divides stay for good; null: none.
        best: A logged quantity, such as "loss": `best.ckpt` is the checkpoint whose mean since the last is least.
    """

    every_epochs: int = at_least(1, 1)
    every_steps: int | None = at_least(1, None)
    keep: int = at_least(1, 2)
    keep_every: int | None = at_least(1, None)
    best: str | None = None


@dataclass(frozen=True)
class Log:
    """What is written down.

    Args:
        every_steps: Optimizer's steps between rows of metrics.csv, means over the steps between.
        tensorboard: Write TensorBoard events too.
        progress: "bar" on a terminal, "lines" elsewhere; "auto" finds out.
        collapse: Warn when the queries' standard deviation falls below this share of that of evenly spread features.
    """

    every_steps: int = at_least(1, 10)
    tensorboard: bool = True
    progress: Literal["auto", "bar", "lines", "none"] = "auto"
    collapse: float = at_least(0, 0.3)


@dataclass(kw_only=True)
class RunConfig:
    """What every run has; each task adds its own.

    Args:
        data: A data set's folder, or a list file.
        layout: Layout of the data set; null: found out.
        frame_template: Names of pictures in folders of frames, such as img_{:05d}.jpg; null: found out.
        frame_fps: Rate of such pictures, frames per second; null: 30.
        out: Folder of the run; null: one below runs.
        seed: Seed of all random draws.
        resume: "auto": from `out`/last.ckpt where there is one; "never"; or a checkpoint's path.
        trust_checkpoint: Read a checkpoint to start from even if that runs code in it.
    """

    data: str
    out: str
    layout: str | None = None
    frame_template: str | None = None
    frame_fps: float | None = None
    seed: int = 0
    resume: str = "never"
    trust_checkpoint: bool = False
    optimizer: Optimizer = field(default_factory=Optimizer)
    loader: Loader = field(default_factory=Loader)
    trainer: Trainer = field(default_factory=Trainer)
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    log: Log = field(default_factory=Log)

    FREE: ClassVar[frozenset[str]] = frozenset(
        ("data", "out", "resume", "trust_checkpoint", "loader", "trainer", "checkpoints", "log")
    )
    """Settings that may change when a run goes on."""
    NOT_WRITTEN: ClassVar[frozenset[str]] = frozenset({"trust_checkpoint"})
    """Settings that config.yaml leaves out."""

    def __post_init__(self) -> None:
        """Refuse numbers that no run can use; each part checks what only it knows."""
        _check_ranges(self)
        if not 0 <= self.seed < 2**63:
            raise InputError(f"seed must be in [0, 2**63), got {self.seed}")
        schedule = self.optimizer
        if schedule.warmup_epochs >= schedule.epochs:
            raise InputError(
                f"optimizer: warmup_epochs must be less than epochs, got {schedule.warmup_epochs:g} of "
                f"{schedule.epochs}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as YAML has them."""
        return asdict(self)

    def decisive(self) -> dict[str, Any]:
        """The settings that the weights depend on, dotted name → value: they may not change on the way."""
        flat = flatten({name: value for name, value in self.to_dict().items() if name not in self.FREE})
        return flat | {"trainer.precision": self.trainer.precision}


def _check_ranges(config: Any) -> None:
    for name, value, (words, fits) in _ranges(config):
        if any(isinstance(one, int | float) and not fits(one) for one in value):
            raise InputError(f"{name} must be {words}, got {', '.join(map(str, value))}")


def _ranges(config: Any, prefix: str = "") -> Iterator[tuple[str, tuple[Any, ...], Any]]:
    """Dotted name, values and range of every setting that has one."""
    for item in fields(config):
        value = getattr(config, item.name)
        if is_dataclass(value):
            yield from _ranges(value, f"{prefix}{item.name}.")
        elif "range" in item.metadata:
            yield (
                prefix + item.name,
                tuple(value) if isinstance(value, list | tuple) else (value,),
                item.metadata["range"],
            )
