"""A look at the encoder's features on a small data set every few hundred steps: ranks, and what neighbors know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch

from fima.checkpoints import LoadedBackbone
from fima.checkpoints.report import LoadReport
from fima.data.clip_protocol import ClipProtocol
from fima.data.datasets import open_dataset
from fima.data.datasets.groups import source_groups
from fima.data.datasets.opening import is_shapes
from fima.errors import InputError
from fima.evaluation.features import clip_features
from fima.evaluation.representation import lidar, neighbor_accuracy, rank_me
from fima.tasks.pretrain.config import PretrainConfig

__all__ = ["HealthProbe"]

_PROTOCOL = ClipProtocol(4, crop_fraction=None)
"""Four clips of a video are its views."""
_MOST = 2000  # videos: what takes longer than training helps nobody


class HealthProbe(pl.Callback):
    """Notes ``probe_rank_me``, ``probe_lidar`` and, of labeled videos, ``probe_knn`` for the next row.

    Pooled features of the query encoder, in eval mode, four clips to a video: RankMe of all clips, LiDAR with the clips
    of a video as its views, five nearest neighbors of other recordings by the mean of a video's clips. Nothing that
    training depends on is touched: neither weights and statistics nor random numbers. Of several processes the first
    looks and the others wait.

    Args:
        config: Of the run; ``probe_data`` is set.
        tell: Called with a line for each look.

    Raises:
        FileNotFoundError: If there is no such data set.
        InputError: For one that cannot be used.
    """

    def __init__(self, config: PretrainConfig, tell: Callable[[str], None]) -> None:
        assert config.probe_data is not None
        self._config, self._tell = config, tell
        split = config.probe_split or ("val" if is_shapes(config.probe_data) else None)
        self._records = open_dataset(config.probe_data, split=split, cache=config.loader.index_cache).records
        if not 2 <= len(self._records) <= _MOST:
            raise InputError(
                f"probe_data {config.probe_data}: expected 2 to {_MOST} videos, found {len(self._records)}"
            )
        ids = [record.video_id for record in self._records]
        self._groups = source_groups(Path(config.probe_data), ids) or list(range(len(ids)))

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """After every so many of the optimizer's steps, and the first."""
        step, accumulate = trainer.global_step, self._config.optimizer.accumulate
        due = step == 1 or step % self._config.probe_every_steps == 0
        if due and (batch_idx + 1) % accumulate == 0 and trainer.is_global_zero:
            found = self.look(pl_module)
            pl_module.noted |= found
            said = ", ".join(f"{name.removeprefix('probe_').replace('_', ' ')} {v:.3g}" for name, v in found.items())
            self._tell(f"step {step}: {self._config.probe_data}: {said}")

    def look(self, module: Any) -> dict[str, float]:
        """The numbers of a `PretrainModule` as it is now."""
        encoder = module.method.encoder_q
        modes = {part: part.training for part in encoder.modules()}
        arch = str(self._config.method["arch"])
        loaded = LoadedBackbone(encoder, arch, module.fed, LoadReport("training", arch))
        try:
            found = clip_features(loaded, self._records, _PROTOCOL, device=module.device, batch_size=16)
        finally:
            for part, training in modes.items():
                part.training = training
        place = {record.video_id: number for number, record in enumerate(self._records)}
        clips = torch.from_numpy(np.stack(found.vectors))
        numbers = {"probe_rank_me": float(rank_me(clips.flatten(0, 1))), "probe_lidar": float(lidar(clips))}
        if found.labels.min() >= 0:
            groups = torch.tensor([self._groups[place[video]] for video in found.video_ids])
            numbers["probe_knn"] = float(neighbor_accuracy(clips.mean(dim=1), torch.from_numpy(found.labels), groups))
        return numbers
