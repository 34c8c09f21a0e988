"""Making what a configuration names, and seeing that the parts fit together before anything runs."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fima.checkpoints import load_backbone
from fima.data.datasets import VideoDataset
from fima.data.flow import FlowFolder
from fima.data.windows import WindowDataset
from fima.errors import CheckpointError, InputError
from fima.methods import Method, load_method
from fima.methods.memory import FeatureQueue
from fima.seeding import SampleKeys
from fima.tasks.pretrain.config import PretrainConfig
from fima.tasks.pretrain.method_options import METHODS
from fima.transforms.colors import ColorAugment
from fima.transforms.views import draw_crops

__all__ = ["build_method", "check_coupling", "check_ranges", "clip_slices", "feature_grid", "window_dataset"]

_NAMED = 4  # entries that a line names


def build_method(config: PretrainConfig, tell: Callable[[str], None] = lambda line: None) -> Method:
    """The method of a configuration, with weights from torch's generator or from ``config.init``.

    Args:
        config: Configuration of the run.
        tell: Called with a line where a start is taken in part.

    Raises:
        FileNotFoundError: If there is no such file to start from.
        InputError: For a setting out of its range, or a start that does not fit.
    """
    settings = {name: value for name, value in config.method.items() if name != "name"}
    settings["backbone_settings"] = settings.get("backbone_settings") or None
    method_class = getattr(importlib.import_module("fima.methods"), METHODS[config.method["name"]][0])
    method: Method = method_class(**settings)
    method.colors = ColorAugment.of(config.colors)
    if config.init is not None:
        _initialize(method, config, tell)
    return method


def _initialize(method: Method, config: PretrainConfig, tell: Callable[[str], None]) -> None:
    """Take weights from a file: the whole method if it holds one of this kind, else the backbone, for both networks."""
    path = Path(str(config.init))
    try:
        source = load_method(path, trust=config.trust_checkpoint)
    except CheckpointError:
        source = None
    if source is not None and not _unlike(source, method):
        method.load_state_dict(source.state_dict())
        return
    loaded = load_backbone(path, trust=config.trust_checkpoint)
    state = loaded.backbone.state_dict()
    for network in (method.encoder_q, method.encoder_k):
        if _unlike(network, loaded.backbone):
            raise InputError(
                f"--init {path}: holds {loaded.arch}, whose weights do not fit method.arch {method.settings['arch']}"
            )
        network.load_state_dict(state)
    if source is not None:
        other = _unlike(source, method)
        more = f" and {len(other) - _NAMED} more" if len(other) > _NAMED else ""
        tell(
            f"warning: --init {path}: only its backbone is taken, for the {type(source).__name__} in it has other "
            f"entries than this run's: {', '.join(other[:_NAMED])}{more}"
        )


def window_dataset(videos: VideoDataset, config: PretrainConfig) -> WindowDataset:
    """The samples of a run."""
    windows = config.windows
    return WindowDataset(
        videos,
        seed=config.seed,
        num_frames=windows.num_frames,
        frame_stride=windows.frame_stride,
        min_gap=windows.min_gap,
        gap_seconds=windows.gap_seconds,
        short_side=windows.short_side,
        min_side=config.views.size,
        flow=None if windows.flow is None else FlowFolder(windows.flow),
        masks=bool(config.method.get("moving_weight")),
    )


def clip_slices(method: Method, config: PretrainConfig) -> int:
    """Local clips to a window: one for each slice of the global clip's feature map; 0 for a method that needs none."""
    if method.num_local_clips is not None:
        return method.num_local_clips
    frames = config.windows.num_frames // 2
    return feature_grid(method.encoder_q, frames, config.views.size)[0]


def feature_grid(backbone: nn.Module, num_frames: int, size: int) -> tuple[int, int, int]:
    """T', H', W' of the feature map of a clip, found without computing it.

    Raises:
        InputError: if the backbone cannot take such a clip.
    """
    shape = copy.deepcopy(backbone).to("meta").eval()
    clip = torch.empty(1, 3, num_frames, size, size, device="meta")
    try:
        with torch.no_grad():
            grid = shape(clip).shape[2:]
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"clips of {num_frames} × {size}² pixels are too small for this backbone "
            f"({str(error).splitlines()[0][:120]}); raise windows.num_frames or views.size"
        ) from error
    return int(grid[0]), int(grid[1]), int(grid[2])


def check_ranges(videos: VideoDataset, config: PretrainConfig) -> None:
    """Refuse ranges that the parts would refuse in the middle of a run.

    Raises:
        InputError: names the group and the setting.
    """
    windows, views, one = config.windows, config.views, np.array([config.views.size])
    if windows.short_side is not None and windows.short_side < views.size:
        raise InputError(
            f"views.size = {views.size} is larger than the frames that windows.short_side = {windows.short_side} gives"
        )
    checks: dict[str, Callable[[], Any]] = {
        "windows": lambda: window_dataset(videos, config),
        "views": lambda: draw_crops(
            SampleKeys(0, 0, one * 0),
            one,
            one,
            1,
            area=views.area,
            aspect=views.aspect,
            flip_probability=views.flip_probability,
        ),
    }
    for group, check in checks.items():
        try:
            check()
        except InputError as error:
            raise InputError(f"{group}: {error}") from None


def check_coupling(method: Method, config: PretrainConfig, num_slices: int, *, world: int) -> None:
    """Refuse settings that each are possible, but not together.

    Raises:
        InputError: names the settings and their values.
    """
    windows, batch = config.windows, config.optimizer.batch_size
    if windows.num_frames % 2 or (num_slices and windows.num_frames % num_slices):
        raise InputError(
            f"windows.num_frames = {windows.num_frames} gives no {num_slices} local clips, one for each slice of the "
            f"feature map of {windows.num_frames // 2} frames: an even number is needed that {num_slices} divides"
        )
    if batch < 2 and world == 1:
        raise InputError(f"optimizer.batch_size = {batch}: batch statistics and negatives need at least 2 videos")
    keys = batch * world
    for name, queue in method.named_children():
        if not isinstance(queue, FeatureQueue):
            continue
        group = keys * (2 * num_slices if name == "motion_queue" and num_slices else 1)
        if name != "pixel_queue" and len(queue) < group:
            raise InputError(
                f"{name} has {len(queue)} rows, but a step brings {group} keys; raise method.queue_size or lower "
                "optimizer.batch_size"
            )


def _unlike(left: nn.Module, right: nn.Module) -> list[str]:
    """Names of entries that only one of two modules has, or whose shapes differ."""
    ours, theirs = ({name: value.shape for name, value in one.state_dict().items()} for one in (left, right))
    return [name for name in ours | theirs if ours.get(name) != theirs.get(name)]
