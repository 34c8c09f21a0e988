"""What a pre-training run is made of: typed settings, in the groups that flags and recipes have. No torch here."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from fima.errors import InputError
from fima.tasks.pretrain.method_options import METHODS

__all__ = [
    "CheckpointOptions",
    "LoaderOptions",
    "LogOptions",
    "OptimizerOptions",
    "PretrainConfig",
    "TrainerOptions",
    "ViewOptions",
    "WindowOptions",
]


@dataclass
class WindowOptions:
    """Which frames are taken.

    Args:
        num_frames: frames in a window: twice the global clip's T, which takes every second one.
        frame_stride: frames of the video from one frame of a window to the next.
        min_gap: least distance of the two windows' starts, frames.
        gap_seconds: least and greatest distance of the starts, seconds; null: no greatest.
        short_side: scale frames on reading so that the shorter side has this many pixels; null: as they are.
        flow: folder of optical flow made beforehand, for methods that use flow; null: computed from the frames.
    """

    num_frames: int = 32
    frame_stride: int = 1
    min_gap: int = 1
    gap_seconds: tuple[float, float] | None = None
    short_side: int | None = None
    flow: str | None = None


@dataclass
class ViewOptions:
    """How clips are cut out of windows.

    Args:
        size: height and width of the clips, pixels; no video may be smaller (after `windows.short_side`).
        area: range of a crop's share of the frame.
        aspect: range of a crop's width over its height.
        flip_probability: of each clip.
        shared_crop: give the local clips of a view its global clip's crop and flip.
    """

    size: int = 224
    area: tuple[float, float] = (0.2, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    flip_probability: float = 0.5
    shared_crop: bool = False


@dataclass
class OptimizerOptions:
    """SGD, or AdamW, with a cosine schedule.

    Args:
        algorithm: "sgd", as the papers have it, or "adamw", which small networks learn quicker with.
        epochs: passes over the data.
        batch_size: videos in one optimizer's step of one process, before accumulation.
        accumulate: batches whose gradients are summed up (as their mean) before each step.
        lr: peak learning rate, for the total batch as given: it is not scaled by the number of processes.
        momentum: of SGD; AdamW has its usual 0.9 and 0.999.
        weight_decay: on every parameter; AdamW decouples it from the gradient.
        schedule: how the rate falls to zero: "cosine", or "constant".
        update: the rate changes once an "epoch" (the reference) or with every "step".
        warmup_epochs: epochs of linear growth from `warmup_start` before.
        warmup_start: first learning rate of the warm-up.
    """

    algorithm: Literal["sgd", "adamw"] = "sgd"
    epochs: int = 200
    batch_size: int = 24
    accumulate: int = 1
    lr: float = 0.00375
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: Literal["cosine", "constant"] = "cosine"
    update: Literal["epoch", "step"] = "epoch"
    warmup_epochs: float = 0.0
    warmup_start: float = 0.0


@dataclass
class LoaderOptions:
    """How frames come from disk; none of it changes what a sample is.

    Args:
        workers: processes that decode; 0: the training process itself.
        prefetch: batches that each worker keeps ready.
        max_failed: greatest share of the videos that may turn out unreadable before training stops.
        index_cache: keep the data set's listing in the user's cache folder.
    """

    workers: int = 4
    prefetch: int = 2
    max_failed: float = 0.1
    index_cache: bool = True


@dataclass
class TrainerOptions:
    """On what, and in which precision.

    Args:
        accelerator: "auto" takes a GPU where there is one.
        devices: processes on this machine, one a device; "auto": all GPUs, or one process on a CPU.
        nodes: machines.
        strategy: of Lightning, such as "ddp"; "auto": ddp where there are several processes.
        precision: "32-true" or "bf16-mixed".
        compile: compile the encoders with torch.compile.
        deterministic: refuse operations that are not reproducible on a GPU.
        threads: of the processor, for each process; null: torch's choice.
        timeout_seconds: how long a process waits for the others before it gives up.
        max_steps: stop after this many optimizer's steps although epochs are left; for trials.
    """

    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = "auto"
    devices: int | Literal["auto"] = "auto"
    nodes: int = 1
    strategy: str = "auto"
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    compile: bool = False
    deterministic: bool = False
    threads: int | None = None
    timeout_seconds: float = 1800.0
    max_steps: int | None = None


@dataclass
class CheckpointOptions:
    """What is kept of a run; `last.ckpt` always is the newest.

    Args:
        every_epochs: epochs between checkpoints.
        every_steps: optimizer's steps between checkpoints, besides; null: none inside an epoch.
        keep: how many of the newest stay.
        keep_every: checkpoints of epochs that this number divides stay for good; null: none.
        best: a logged quantity, such as "loss": `best.ckpt` is the checkpoint whose mean since the last is least.
    """

    every_epochs: int = 1
    every_steps: int | None = None
    keep: int = 2
    keep_every: int | None = None
    best: str | None = None


@dataclass
class LogOptions:
    """What is written down.

    Args:
        every_steps: optimizer's steps between rows of metrics.csv, means over the steps between.
        tensorboard: also as TensorBoard events.
        progress: "bar" on a terminal, "lines" elsewhere; "auto" finds out.
        collapse: warn when the queries' standard deviation falls below this share of that of evenly spread features.
    """

    every_steps: int = 10
    tensorboard: bool = True
    progress: Literal["auto", "bar", "lines", "none"] = "auto"
    collapse: float = 0.3


@dataclass
class PretrainConfig:
    """A whole run.

    Args:
        data: a data set's folder, or a list file.
        split: of the data set; null: all of it.
        layout: of the data set; null: found out.
        frame_template: names of pictures in folders of frames, such as img_{:05d}.jpg; null: found out.
        frame_fps: their rate, frames per second; null: 30.
        out: folder of the run; null: runs/<recipe>.
        seed: of every draw.
        resume: "auto": from `out`/last.ckpt where there is one; "never"; or a checkpoint's path.
        init: a checkpoint to take the method's weights from, as a start: a method's, or a backbone's.
        method: name, arch, backbone_settings and the options of that name in `fima.tasks.pretrain.method_options`.
        colors: `fima.tasks.pretrain.method_options.ColorOptions`.
    """

    data: str
    out: str
    split: str | None = None
    layout: str | None = None
    frame_template: str | None = None
    frame_fps: float | None = None
    seed: int = 0
    resume: str = "never"
    init: str | None = None
    recipe: str | None = None
    method: dict[str, Any] = field(default_factory=dict)
    windows: WindowOptions = field(default_factory=WindowOptions)
    views: ViewOptions = field(default_factory=ViewOptions)
    colors: dict[str, Any] = field(default_factory=dict)
    optimizer: OptimizerOptions = field(default_factory=OptimizerOptions)
    loader: LoaderOptions = field(default_factory=LoaderOptions)
    trainer: TrainerOptions = field(default_factory=TrainerOptions)
    checkpoints: CheckpointOptions = field(default_factory=CheckpointOptions)
    log: LogOptions = field(default_factory=LogOptions)

    def __post_init__(self) -> None:
        name = self.method.get("name")
        if name not in METHODS:
            raise InputError(f"method.name must be one of {', '.join(METHODS)}, got {name!r}")
        _check_ranges(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as a recipe has them."""
        return asdict(self)

    def decisive(self) -> dict[str, Any]:
        """The settings that the result depends on, dotted name → value: they may not change on the way."""
        free = {"data", "out", "resume", "init", "recipe", "loader", "trainer", "checkpoints", "log"}
        flat = _flatten({name: value for name, value in self.to_dict().items() if name not in free})
        return flat | {"trainer.precision": self.trainer.precision}


def _flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = list(value) if isinstance(value, tuple) else value
    return flat


def _check_ranges(config: PretrainConfig) -> None:
    """Refuse numbers that no run can use; each part checks what only it knows."""
    at_least_one = {
        "windows.num_frames": config.windows.num_frames,
        "windows.frame_stride": config.windows.frame_stride,
        "views.size": config.views.size,
        "optimizer.epochs": config.optimizer.epochs,
        "optimizer.batch_size": config.optimizer.batch_size,
        "optimizer.accumulate": config.optimizer.accumulate,
        "loader.prefetch": config.loader.prefetch,
        "trainer.nodes": config.trainer.nodes,
        "trainer.threads": config.trainer.threads,
        "trainer.max_steps": config.trainer.max_steps,
        "checkpoints.every_epochs": config.checkpoints.every_epochs,
        "checkpoints.every_steps": config.checkpoints.every_steps,
        "checkpoints.keep": config.checkpoints.keep,
        "checkpoints.keep_every": config.checkpoints.keep_every,
        "log.every_steps": config.log.every_steps,
    }
    if config.trainer.devices != "auto":
        at_least_one["trainer.devices"] = config.trainer.devices
    for name, value in at_least_one.items():
        if value is not None and value < 1:
            raise InputError(f"{name} must be at least 1, got {value}")
    not_negative = {
        "loader.workers": config.loader.workers,
        "optimizer.momentum": config.optimizer.momentum,
        "optimizer.weight_decay": config.optimizer.weight_decay,
        "optimizer.warmup_epochs": config.optimizer.warmup_epochs,
        "optimizer.warmup_start": config.optimizer.warmup_start,
        "log.collapse": config.log.collapse,
    }
    for name, number in not_negative.items():
        if not 0 <= number < math.inf:
            raise InputError(f"{name} must be at least 0, got {number}")
    if not 0 < config.optimizer.lr < math.inf:
        raise InputError(f"optimizer.lr must be above 0, got {config.optimizer.lr}")
    if not 0 <= config.loader.max_failed <= 1:
        raise InputError(f"loader.max_failed must be a share in [0, 1], got {config.loader.max_failed}")
    if not 0 <= config.seed < 2**63:
        raise InputError(f"seed must be in [0, 2**63), got {config.seed}")
    if config.optimizer.warmup_epochs >= config.optimizer.epochs:
        raise InputError(
            f"optimizer.warmup_epochs must be less than optimizer.epochs, got {config.optimizer.warmup_epochs} of "
            f"{config.optimizer.epochs}"
        )
