"""The settings of a pre-training run, in the groups that flags and recipes have. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from fima.engine.configuration import Crops, RunConfig, at_least
from fima.errors import InputError
from fima.tasks.pretrain.method_options import METHODS
from fima.transforms.color_ranges import ColorRanges

__all__ = ["PretrainConfig", "ViewOptions", "WindowOptions"]


@dataclass(frozen=True)
class WindowOptions:
    """Which frames are taken.

    Args:
        num_frames: Frames in a window: twice the global clip's T, which takes every second one.
        frame_stride: Frames of the video from one frame of a window to the next.
        min_gap: Least distance of the two windows' starts, frames.
        gap_seconds: Least and greatest distance of the starts, seconds; null: no greatest.
        short_side: Scale frames on reading so that the shorter side has this many pixels; null: as they are.
        flow: Folder of optical flow made beforehand, for methods that use flow; null: computed from the frames.
    """

    num_frames: int = at_least(1, 32)
    frame_stride: int = at_least(1, 1)
    min_gap: int = 1
    gap_seconds: tuple[float, float] | None = None
    short_side: int | None = None
    flow: str | None = None


@dataclass(frozen=True)
class ViewOptions(Crops):
    """How clips are cut out of windows.

    Args:
        size: Height and width of the clips, pixels; no video may be smaller (after `windows.short_side`).
        shared_crop: Give the local clips of a view its global clip's crop and flip.
    """

    size: int = at_least(1, 224)
    shared_crop: bool = False


@dataclass(kw_only=True)
class PretrainConfig(RunConfig):
    """A whole run.

    Args:
        split: Split of the data set; null: all of it.
        init: A checkpoint to take the method's weights from, as a start: a method's, or a backbone's.
        recipe: Name or file of the recipe that the settings began with.
        probe_data: A small data set whose features are looked at on the way: RankMe, LiDAR and, where it has labels,
            k-NN accuracy; null: none.
        probe_split: Split of it; null: all of it, of drawn data "val".
        probe_every_steps: Optimizer's steps between looks.
        method: Name, arch, backbone_settings and the options of that name in `fima.tasks.pretrain.method_options`.
    """

    split: str | None = None
    init: str | None = None
    recipe: str | None = None
    probe_data: str | None = None
    probe_split: str | None = None
    probe_every_steps: int = at_least(1, 200)
    method: dict[str, Any] = field(default_factory=dict)
    windows: WindowOptions = field(default_factory=WindowOptions)
    views: ViewOptions = field(default_factory=ViewOptions)
    colors: ColorRanges = field(default_factory=ColorRanges)

    FREE: ClassVar[frozenset[str]] = RunConfig.FREE | {
        "init", "recipe", "probe_data", "probe_split", "probe_every_steps",
    }  # fmt: skip
    NOT_WRITTEN: ClassVar[frozenset[str]] = RunConfig.NOT_WRITTEN | {"recipe"}

    def __post_init__(self) -> None:
        """Refuse what no run can use."""
        name = self.method.get("name")
        if name not in METHODS:
            raise InputError(f"method.name must be one of {', '.join(METHODS)}, got {name!r}")
        if self.optimizer.lr is None:
            raise InputError("optimizer.lr must be above 0, got None")
        super().__post_init__()
