"""Lightning's trainer, as our runs use it."""

from __future__ import annotations

import logging
import os
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy

from fima.checkpoints.files import read_checkpoint
from fima.engine.checkpoints import AtomicCheckpointIO
from fima.errors import InputError, one_line
from fima.tasks.pretrain.config import PretrainConfig

__all__ = ["make_trainer"]


def make_trainer(config: PretrainConfig, resume_from: Path | None) -> pl.Trainer:
    """Lightning's trainer as ``config.trainer``, ``optimizer`` and ``log`` ask for it.

    Args:
        config: Of a run.
        resume_from: The checkpoint that it goes on from; what its TensorBoard log has of later steps is dropped.

    Raises:
        InputError: If accelerator, devices, strategy and precision do not go together.
    """
    options = config.trainer
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning.*")
    warnings.filterwarnings("ignore", message="Grad strides do not match")  # of 1 × 1 × 1 convolutions, channels last
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    strategy: Any = options.strategy
    if strategy in ("auto", "ddp") and _several_processes(config):
        # Each process has its own running statistics, as the reference does; queues and weights agree by construction.
        strategy = DDPStrategy(broadcast_buffers=False, timeout=timedelta(seconds=options.timeout_seconds))
    try:
        return pl.Trainer(
            accelerator=options.accelerator,
            devices=options.devices,
            num_nodes=options.nodes,
            strategy=strategy,
            precision=options.precision,
            deterministic=options.deterministic,
            accumulate_grad_batches=config.optimizer.accumulate,
            max_epochs=-1,
            max_steps=config.trainer.max_steps or 2**62,  # set once the number of processes is known
            use_distributed_sampler=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            logger=_loggers(config, resume_from),
            plugins=[AtomicCheckpointIO()],
            default_root_dir=config.out,
        )
    except (ValueError, RuntimeError, MisconfigurationException) as error:
        raise InputError(f"trainer: {one_line(str(error))}") from error


def _several_processes(config: PretrainConfig) -> bool:
    if config.trainer.nodes > 1 or int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return True
    if config.trainer.devices == "auto":
        return config.trainer.accelerator in ("auto", "gpu", "cuda") and torch.cuda.device_count() > 1
    return config.trainer.devices > 1


def _loggers(config: PretrainConfig, resume_from: Path | None) -> list[Any] | bool:
    if not config.log.tensorboard:
        return False
    purge = None
    if resume_from is not None:
        purge = int(read_checkpoint(resume_from, trust=False).get("global_step", 0)) + 1
    return [TensorBoardLogger(config.out, name="", version="tensorboard", purge_step=purge)]
