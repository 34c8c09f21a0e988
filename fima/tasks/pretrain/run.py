"""A pre-training run from its configuration to its last checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as pl
import torch

from fima.checkpoints.files import read_checkpoint
from fima.data.datasets import VideoDataset, open_dataset
from fima.engine.agreement import AgreementWatch
from fima.engine.batches import steps_per_epoch
from fima.engine.checkpoints import LAST, CheckpointKeeper, find_resume
from fima.engine.guards import one_line_errors, one_run_at_a_time
from fima.engine.interruption import Interruption
from fima.engine.progress import RunProgress
from fima.engine.record import MetricsFile, Recorder
from fima.engine.resume import check_same_run, fingerprint
from fima.engine.trainer import make_trainer
from fima.engine.watch import CollapseWatch, FailureWatch
from fima.methods import Method
from fima.tasks.pretrain.build import build_method, check_coupling, check_ranges, clip_slices
from fima.tasks.pretrain.config import PretrainConfig
from fima.tasks.pretrain.data import WindowDataModule
from fima.tasks.pretrain.module import PretrainModule, compile_encoders
from fima.tasks.pretrain.recipes import write_config

__all__ = ["pretrain"]


@dataclass(frozen=True)
class _Run:
    """A run whose parts are known to fit together."""

    config: PretrainConfig
    videos: VideoDataset
    method: Method
    num_slices: int
    steps_per_epoch: int
    resume_from: Path | None

    @property
    def folder(self) -> Path:
        return Path(self.config.out)

    @property
    def last_step(self) -> int:
        steps = self.config.optimizer.epochs * self.steps_per_epoch
        return min(steps, self.config.trainer.max_steps or steps)


def pretrain(config: PretrainConfig) -> Path:
    """Train a method, or go on training it.

    All that a run leaves is in ``config.out``: config.yaml, metrics.csv, TensorBoard events, failures.csv if a video
    could not be read, and checkpoints, the newest as last.ckpt.

    Args:
        config: of the run.

    Returns:
        The last checkpoint.

    Raises:
        FileNotFoundError: for a path that is not there.
        InputError: for settings that do not fit together or the data, or a run that must not be overwritten.
        TrainingError: if the run has to stop; what it saved is good.
        Interrupted: after Ctrl-C, SIGTERM or SIGUSR1, with a checkpoint saved.
    """
    resume_from = find_resume(Path(config.out), config.resume)
    videos = open_dataset(
        config.data,
        split=config.split,
        layout=config.layout,
        frame_template=config.frame_template,
        frame_fps=config.frame_fps,
        cache=config.loader.index_cache,
    )
    check_ranges(videos, config)
    if config.trainer.threads is not None:
        torch.set_num_threads(config.trainer.threads)
    torch.manual_seed(config.seed)
    method = build_method(config)
    trainer = make_trainer(config, resume_from)
    num_slices = clip_slices(method, config)
    check_coupling(method, config, num_slices, world=trainer.world_size)
    total_batch = config.optimizer.batch_size * config.optimizer.accumulate * trainer.world_size
    run = _Run(config, videos, method, num_slices, steps_per_epoch(len(videos), total_batch), resume_from)
    if resume_from is not None:
        check_same_run(read_checkpoint(resume_from, trust=False), config, videos, trainer.world_size, resume_from)
    run.folder.mkdir(parents=True, exist_ok=True)
    with one_run_at_a_time(run.folder, trainer):
        if trainer.is_global_zero:
            write_config(run.folder / "config.yaml", config)
        _fit(run, trainer)
    return run.folder / LAST


def _fit(run: _Run, trainer: pl.Trainer) -> None:
    config, folder, last_step = run.config, run.folder, run.last_step
    module = PretrainModule(
        run.method,
        config,
        num_slices=run.num_slices,
        steps_per_epoch=run.steps_per_epoch,
        data=fingerprint(run.videos),
    )
    if config.trainer.compile:
        compile_encoders(run.method)
    progress = RunProgress(config.log.progress, last_step=last_step, epochs=config.optimizer.epochs)
    metrics = MetricsFile(folder / "metrics.csv")
    recorder = Recorder(metrics, config, (progress, CollapseWatch(config.log, progress.tell)))
    failures = FailureWatch(folder / "failures.csv", len(run.videos), config.loader.max_failed, progress.tell)
    keeper = CheckpointKeeper(
        folder, config.checkpoints, recorder, steps_per_epoch=run.steps_per_epoch, last_step=last_step
    )
    # In this order: a row is added before the state is saved, and the bar moves before anything can stop the run.
    interruption = Interruption(keeper, config.optimizer.accumulate)
    agreement = AgreementWatch(config.log.every_steps)
    trainer.callbacks += [failures, progress, recorder, agreement, keeper, interruption]  # type: ignore[attr-defined]
    trainer.fit_loop.epoch_loop.max_steps = last_step
    if trainer.is_global_zero:
        progress.tell(_summary(run))
    data = WindowDataModule(run.videos, config, last_step)
    with one_line_errors(folder):
        trainer.fit(module, datamodule=data, ckpt_path=run.resume_from)
    if trainer.is_global_zero:
        share = recorder.total_wait / max(recorder.total_seconds, 1e-9)
        progress.tell(f"done: {folder / LAST} (step {trainer.global_step}, waiting for data {share:.1%})")


def _summary(run: _Run) -> str:
    trained = sum(p.numel() for p in run.method.parameters() if p.requires_grad)
    missing = f" ({len(run.videos.missing)} listed ones are missing)" if run.videos.missing else ""
    line = (
        f"{type(run.method).__name__} on {run.config.method['arch']}, {trained / 1e6:.2f} M parameters; "
        f"{len(run.videos)} videos{missing}, {run.steps_per_epoch} steps an epoch, {run.last_step} steps; "
        f"into {run.config.out}"
    )
    return line + (f"\ngoing on from {run.resume_from}" if run.resume_from is not None else "")
