"""Training a detector: a seeded loop that goes on where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fima.data.datasets.layouts.ava_files import Keyframe
from fima.data.read_ahead import read_ahead
from fima.engine.checkpoints import LAST, AtomicCheckpointIO, find_resume
from fima.errors import CheckpointError, InputError, TrainingError
from fima.input_spec import InputSpec
from fima.presets.detection import DetectionPreset
from fima.seeding import SampleKeys, uniforms
from fima.tasks.detect.clips import Films, KeyframeClip, Variation, pad_clips, vary
from fima.tasks.detect.detector import Detector, action_loss

__all__ = ["Trained", "train_detector", "training_batches", "variations", "wanted_actions"]

_FORMAT = "fima-detector"


@dataclass
class Trained:
    """Where training stands.

    Attributes:
        step: optimizer's steps so far.
        skipped: keyframe, as "film,second" → why it could not be read.
        losses: of the steps of this process.
    """

    step: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)


def train_detector(
    detector: Detector,
    keyframes: Sequence[Keyframe],
    class_ids: Sequence[int],
    films: Films,
    preset: DetectionPreset,
    folder: Path,
    *,
    run: Mapping[str, Any],
    seed: int = 0,
    threads: int = 1,
    resume: str = "never",
    save_every: int = 500,
    progress: Callable[[int, int, float], None] | None = None,
) -> Trained:
    """Train until the preset's last epoch; ``folder/last.ckpt`` is written whole, at epochs' ends and in between.

    Order, augmentation and dropout are functions of the seed and the place in the run, so a resumed run does what one
    that was never stopped does.

    Args:
        detector: on its device.
        keyframes: with actions, at least one.
        class_ids: which action each output is.
        films: to read them from.
        preset: how.
        folder: of the run.
        run: plain settings that a resumed run must share.
        seed: of all draws.
        threads: that decode.
        resume: "auto", "never" or a checkpoint of such a run.
        save_every: steps between checkpoints within an epoch.
        progress: called with (steps done, steps in all, loss).

    Raises:
        InputError: if there is nothing to train on, or the checkpoint is of another run.
        TrainingError: if a loss is not finite.
    """
    if not keyframes:
        raise InputError("no keyframe is left to train on")
    device = next(detector.head.parameters()).device
    optimizer = _optimizer(detector, preset)
    state = Trained()
    path = find_resume(folder, resume)
    if path is not None:
        _restore(path, detector, optimizer, state, run)
    per_epoch = -(-len(keyframes) // preset.batch_size)
    total = per_epoch * preset.epochs
    detector.train()
    batches = training_batches(keyframes, films, preset, detector.spec, seed=seed, begin=state.step, threads=threads)
    devices = [] if device.type != "cuda" else [device]
    with torch.random.fork_rng(devices=devices):
        for clips, skipped in batches:
            state.skipped |= skipped
            _set_rate(optimizer, preset.learning_rate(state.step / per_epoch))
            if clips:
                torch.manual_seed(((seed << 32) ^ state.step) % 2**63)  # dropout
                state.losses.append(_step(detector, optimizer, clips, class_ids, device, state.step))
            state.step += 1
            if state.step in (per_epoch, total) and len(state.skipped) >= len(keyframes):
                reason = next(iter(state.skipped.values()))
                raise InputError(f"none of the {len(keyframes)} training keyframes can be read; the first: {reason}")
            if state.step % per_epoch == 0 or state.step % save_every == 0:
                _save(folder / LAST, detector, optimizer, state, run)
            if progress is not None and state.losses:
                progress(state.step, total, state.losses[-1])
    return state


def training_batches(
    keyframes: Sequence[Keyframe],
    films: Films,
    preset: DetectionPreset,
    spec: InputSpec,
    *,
    seed: int,
    begin: int = 0,
    threads: int = 1,
) -> Iterator[tuple[list[KeyframeClip], dict[str, str]]]:
    """The clips of every step from ``begin`` on, with the keyframes that could not be read and why.

    Every epoch has every keyframe once, in an order of its own.
    """
    count, size = len(keyframes), preset.batch_size
    num_frames, stride = preset.num_frames or spec.num_frames, preset.frame_stride or spec.frame_stride

    def read(job: tuple[int, Variation]) -> KeyframeClip:
        index, variation = job
        return vary(films.read(keyframes[index], num_frames, stride, variation.short_side), variation)

    per_epoch = -(-count // size)
    for epoch in range(begin // per_epoch, preset.epochs):
        keys = SampleKeys(seed, epoch, np.arange(count))
        shown = variations(keys, preset, spec)
        first = size * (begin - epoch * per_epoch) if epoch == begin // per_epoch else 0
        order = np.argsort(uniforms(keys, "order"), kind="stable")[first:].tolist()
        clips: list[KeyframeClip] = []
        skipped: dict[str, str] = {}
        jobs = [(index, shown[index]) for index in order]
        for place, (job, clip) in enumerate(read_ahead(jobs, read, threads=threads, window=size + threads), 1):
            if isinstance(clip, str):
                skipped[f"{keyframes[job[0]].video},{keyframes[job[0]].second}"] = clip
            else:
                clips.append(clip)
            if place % size == 0 or place == len(jobs):
                yield clips, skipped
                clips, skipped = [], {}


def variations(keys: SampleKeys, preset: DetectionPreset, spec: InputSpec) -> list[Variation]:
    """How each sample is shown: scale and flip, and the crop's place if there is one."""
    low, high = preset.train_sides or (spec.size, spec.size + spec.size // 4)
    draws = uniforms(keys, "variation", 5)
    return [
        Variation(
            low + int(scale * (high - low + 1)), bool(flip < preset.flip_probability), preset.train_crop, tuple(place)
        )
        for scale, flip, *place in draws.tolist()
    ]


def wanted_actions(keyframes: Sequence[Keyframe], class_ids: Sequence[int]) -> NDArray[np.float32]:
    """``(ΣN, K)``: 1 where a person does the action, otherwise 0."""
    column = {label: place for place, label in enumerate(class_ids)}
    persons = [own for frame in keyframes for own in frame.actions]
    table = np.zeros((len(persons), len(class_ids)), np.float32)
    for row, own in zip(table, persons, strict=True):
        row[[column[action] for action in own]] = 1
    return table


def _step(
    detector: Detector,
    optimizer: torch.optim.Optimizer,
    clips: Sequence[KeyframeClip],
    class_ids: Sequence[int],
    device: torch.device,
    step: int,
) -> float:
    wanted = torch.from_numpy(wanted_actions([clip.keyframe for clip in clips], class_ids)).to(device)
    boxes: list[Tensor] = [clip.boxes.to(device) for clip in clips]
    loss = action_loss(detector(pad_clips(clips, device), boxes), wanted)
    value = float(loss.detach())
    if not np.isfinite(value):
        raise TrainingError(f"step {step}: the loss is {value}; lower --lr; the last checkpoint is good")
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return value


def _optimizer(detector: Detector, preset: DetectionPreset) -> torch.optim.Optimizer:
    """Batch normalization is not decayed, as PySlowFast has it (``BN.WEIGHT_DECAY`` 0)."""
    free = {id(p) for m in detector.modules() if isinstance(m, torch.nn.BatchNorm3d) for p in m.parameters()}
    trained = [p for p in detector.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if id(p) not in free], "weight_decay": preset.weight_decay},
        {"params": [p for p in trained if id(p) in free], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if preset.algorithm == "adamw":
        return torch.optim.AdamW(groups, preset.lr)
    return torch.optim.SGD(groups, preset.lr, preset.momentum, nesterov=preset.momentum > 0)


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _save(
    path: Path, detector: Detector, optimizer: torch.optim.Optimizer, state: Trained, run: Mapping[str, Any]
) -> None:
    content = {
        "format": _FORMAT,
        "run": dict(run),
        "step": state.step,
        "skipped": state.skipped,
        "state_dict": detector.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    AtomicCheckpointIO().save_checkpoint(content, path)


def _restore(
    path: Path, detector: Detector, optimizer: torch.optim.Optimizer, state: Trained, run: Mapping[str, Any]
) -> None:
    content = AtomicCheckpointIO().load_checkpoint(path)
    if content.get("format") != _FORMAT:
        raise CheckpointError(f"{path}: is no checkpoint of fima detect")
    theirs = content["run"]
    differs = next((key for key in {**theirs, **run} if theirs.get(key) != run.get(key)), None)
    if differs is not None:
        raise InputError(f"{path}: was run with {differs} = {theirs.get(differs)!r}, now {run.get(differs)!r}")
    detector.load_state_dict(content["state_dict"])
    optimizer.load_state_dict(content["optimizer"])
    state.step, state.skipped = content["step"], content["skipped"]
