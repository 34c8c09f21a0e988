"""Lightning's trainer, as our runs use it."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy

from fima.engine.callbacks.checkpoints import AtomicCheckpointIO
from fima.engine.configuration import RunConfig
from fima.engine.resume import ResumePoint
from fima.errors import InputError, one_line

__all__ = ["make_trainer", "quiet_lightning"]


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keeps Lightning's advice to its own callers from the screen, and leaves warnings and loggers as they were."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning.*")
        warnings.filterwarnings("ignore", message="Grad strides do not match")  # 1 × 1 × 1 convolutions, channels last
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def make_trainer(config: RunConfig, resume: ResumePoint | None, *, devices: list[int] | None = None) -> pl.Trainer:
    """Lightning's trainer as ``config.trainer``, ``optimizer`` and ``log`` ask for it.

    Args:
        config: Configuration of a run.
        resume: Where it goes on; what its TensorBoard log has of later steps is dropped.
        devices: Numbers of the devices, where not ``config.trainer.devices`` of them will do.

    Raises:
        InputError: If accelerator, devices, strategy and precision do not go together.
    """
    options = config.trainer
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    strategy: Any = options.strategy
    if strategy in ("auto", "ddp") and _several_processes(config):
        # Each process has its own running statistics, as the reference does; queues and weights agree by construction.
        strategy = DDPStrategy(broadcast_buffers=False, timeout=timedelta(seconds=options.timeout_seconds))
    try:
        with quiet_lightning():
            return pl.Trainer(
                accelerator=options.accelerator,
                devices=devices or options.devices,
                num_nodes=options.nodes,
                strategy=strategy,
                precision=options.precision,
                deterministic=options.deterministic,
                accumulate_grad_batches=config.optimizer.accumulate,
                max_epochs=-1,
                max_steps=options.max_steps or 2**62,  # set once the number of processes is known
                use_distributed_sampler=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                logger=_loggers(config, resume),
                plugins=[AtomicCheckpointIO()],
                default_root_dir=config.out,
            )
    except (ValueError, RuntimeError, MisconfigurationException) as error:
        text = one_line(str(error))
        if "SLURM" in text:  # Lightning's advice is about its own flags
            text = (
                "this is one process in a job of several tasks: start each with srun, one for each of "
                "--trainer.devices, or ask for one task"
            )
        raise InputError(f"trainer: {text}") from error


def _several_processes(config: RunConfig) -> bool:
    if config.trainer.nodes > 1 or int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return True
    if config.trainer.devices == "auto":
        return config.trainer.accelerator in ("auto", "gpu", "cuda") and torch.cuda.device_count() > 1
    return config.trainer.devices > 1


def _loggers(config: RunConfig, resume: ResumePoint | None) -> list[Any] | bool:
    if not config.log.tensorboard:
        return False
    purge = None if resume is None else resume.step + 1
    return [TensorBoardLogger(config.out, name="", version="tensorboard", purge_step=purge)]
