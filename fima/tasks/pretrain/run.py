"""A pre-training run from its configuration to its last checkpoint."""

from __future__ import annotations

from pathlib import Path

import torch

from fima.data.datasets import VideoDataset
from fima.data.windows import collate_windows
from fima.engine.batches import steps_per_epoch
from fima.engine.callbacks.progress import RunProgress
from fima.engine.data import loaded_batches, open_split
from fima.engine.folder import opened_run
from fima.engine.loop import fit
from fima.engine.resume import LAST, check_same_run, find_resume, fingerprint
from fima.engine.trainer import make_trainer
from fima.tasks.pretrain.build import build_method, check_coupling, check_ranges, clip_slices, window_dataset
from fima.tasks.pretrain.config import PretrainConfig
from fima.tasks.pretrain.health import HealthProbe
from fima.tasks.pretrain.module import PretrainModule, compile_encoders

__all__ = ["pretrain"]


def pretrain(config: PretrainConfig) -> Path:
    """Train a method, or go on training it.

    All that a run leaves is in ``config.out``: config.yaml, metrics.csv, TensorBoard events, failures.csv if a video
    could not be read, and checkpoints, the newest as last.ckpt.

    Args:
        config: Configuration of the run.

    Returns:
        The last checkpoint.

    Raises:
        FileNotFoundError: For a path that is not there.
        InputError: For settings that do not fit together or the data, or a run that must not be overwritten.
        TrainingError: If the run has to stop; says what it can go on from.
        Interrupted: After Ctrl-C, SIGTERM or SIGUSR1, with a checkpoint saved.
    """
    resume = find_resume(Path(config.out), config.resume)
    videos = open_split(config, config.split)
    check_ranges(videos, config)
    trainer = make_trainer(config, resume)
    progress = RunProgress(config.log.progress, visible=trainer.is_global_zero)
    probe = None if config.probe_data is None else HealthProbe(config, progress.tell)
    torch.manual_seed(config.seed)
    method = build_method(config, progress.tell)
    num_slices = clip_slices(method, config)
    check_coupling(method, config, num_slices, world=trainer.world_size)
    total_batch = config.optimizer.batch_size * config.optimizer.accumulate * trainer.world_size
    module = PretrainModule(
        method,
        config,
        num_slices=num_slices,
        steps_per_epoch=steps_per_epoch(len(videos), total_batch),
        data={"train": fingerprint(videos)},
    )
    run = module.run(trainer.world_size)
    if resume is not None:
        check_same_run(resume, config, run, command="pretrain", weights=module.content()["state_dict"])
    data = loaded_batches(window_dataset(videos, config), collate_windows, config, last_step=module.last_step)
    settings, inputs = run["decisive"] | run["data"], [name for name in (config.data, config.init) if name]
    leads = trainer.is_global_zero
    with opened_run(config, "pretrain", settings, inputs=inputs, resume=resume, leads=leads) as folder:
        if config.trainer.compile:
            compile_encoders(method)
        progress.tell(_summary(module, videos))
        watches = [] if probe is None else [probe]
        fit(
            trainer, module, data, folder, resume=resume, progress=progress, num_videos=len(videos), watches=watches
        )  # fmt: skip
    return folder.path / LAST


def _summary(module: PretrainModule, videos: VideoDataset) -> str:
    trained = sum(p.numel() for p in module.method.parameters() if p.requires_grad)
    missing = f" ({len(videos.missing)} listed ones are missing)" if videos.missing else ""
    return (
        f"{type(module.method).__name__} on {module.config.method['arch']}, {trained / 1e6:.2f} M parameters; "
        f"{len(videos)} videos{missing}, {module.steps_per_epoch} steps an epoch, {module.last_step} steps; "
        f"into {module.config.out}"
    )
