"""From windows to views: random resized crops with their boxes, and flips, drawn per clip and cut on the device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from fima.errors import InputError
from fima.seeding import SampleKeys, uniforms

__all__ = ["Crops", "Views", "cut", "cut_flow", "draw_crops", "make_views"]

AREA = (0.2, 1.0)
ASPECT = (3 / 4, 4 / 3)
_ATTEMPTS = 10


@dataclass(frozen=True)
class Views:
    """Two views, m and n (the first axis everywhere), of each of N videos: what a method takes.

    Attributes:
        global_clips: ``(2, N, 3, T, H, W)`` in [0, 1]: every second frame of the window.
        local_clips: ``(2, T', N, 3, 2T/T', H, W)`` in [0, 1]: clip i is the i-th part of the window, which is the time
            of the global clip's slice i.
        boxes: ``(2, N, 4)``: the global clips' corner pixels x1, y1, x2, y2 over (width − 1, height − 1) of the
            source frame; x1 > x2 in a flipped view.
        keys: what colors are drawn from (`fima.transforms.colors`); None: from torch's generator.
        flow: ``(2, T', N, 2, 2T/T', H, W)``, optical flow of the local clips that was made beforehand, pixels of the
            clip from one of its frames to the next; None if there is none.
        masks: ``(2, N, T, H, W)`` in [0, 1]: where in the global clips something moves by itself; None if unknown.

    T' may be 0, for methods that need no local clips.

    Raises:
        InputError: if the shapes do not belong together.
    """

    global_clips: Tensor
    local_clips: Tensor
    boxes: Tensor
    keys: SampleKeys | None = None
    flow: Tensor | None = None
    masks: Tensor | None = None

    def __post_init__(self) -> None:
        shape, local, boxes = (tuple(t.shape) for t in (self.global_clips, self.local_clips, self.boxes))
        if len(shape) != 6 or shape[0] != 2 or shape[2] != 3:
            raise InputError(f"global_clips must be (2, N, 3, T, H, W), got {shape}")
        if len(local) != 7 or (local[0], *local[2:4]) != shape[:3]:
            raise InputError(f"local_clips must be (2, T', {shape[1]}, 3, 2T/T', H, W), got {local}")
        if self.flow is not None and tuple(self.flow.shape) != (*local[:3], 2, *local[4:]):
            raise InputError(f"flow must be {(*local[:3], 2, *local[4:])}, got {tuple(self.flow.shape)}")
        if self.masks is not None and tuple(self.masks.shape) != (*shape[:2], *shape[3:]):
            raise InputError(f"masks must be {(*shape[:2], *shape[3:])}, got {tuple(self.masks.shape)}")
        if boxes != (2, shape[1], 4):
            raise InputError(f"boxes must be (2, {shape[1]}, 4), got {boxes}")
        if self.keys is not None and len(self.keys) != shape[1]:
            raise InputError(f"keys must be of {shape[1]} samples, got {len(self.keys)}")

    def __len__(self) -> int:
        return self.global_clips.shape[1]

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Views:
        """The views with their tensors on a device."""
        global_clips, local_clips, boxes = (
            tensor.to(device, non_blocking=non_blocking) for tensor in (self.global_clips, self.local_clips, self.boxes)
        )
        flow, masks = (
            None if one is None else one.to(device, non_blocking=non_blocking) for one in (self.flow, self.masks)
        )
        return Views(global_clips, local_clips, boxes, self.keys, flow, masks)


@dataclass(frozen=True)
class Crops:
    """Where clips are cut out of their frames: arrays of one shape, int64 pixels of the source frame.

    Attributes:
        top, left, height, width: of the region.
        flipped: bool: the clip is mirrored, left to right.
    """

    top: NDArray[np.int64]
    left: NDArray[np.int64]
    height: NDArray[np.int64]
    width: NDArray[np.int64]
    flipped: NDArray[np.bool_]

    def __getitem__(self, key: Any) -> Crops:
        return Crops(self.top[key], self.left[key], self.height[key], self.width[key], self.flipped[key])

    def boxes(self, frame_height: NDArray[np.int64], frame_width: NDArray[np.int64]) -> NDArray[np.float64]:
        """Corner pixels x1, y1, x2, y2 over (width − 1, height − 1) of the frame, ``(..., 4)``; x1 > x2 if flipped."""
        x1 = self.left / (frame_width - 1)
        x2 = (self.left + self.width - 1) / (frame_width - 1)
        y1 = self.top / (frame_height - 1)
        y2 = (self.top + self.height - 1) / (frame_height - 1)
        return np.stack([np.where(self.flipped, x2, x1), y1, np.where(self.flipped, x1, x2), y2], axis=-1)


def make_views(
    windows: Sequence[Tensor] | Tensor,
    keys: SampleKeys,
    *,
    size: int,
    num_slices: int = 2,
    flow: Sequence[Tensor] | None = None,
    masks: Sequence[Tensor] | None = None,
    area: tuple[float, float] = AREA,
    aspect: tuple[float, float] = ASPECT,
    flip_probability: float = 0.5,
    shared_crop: bool = False,
) -> Views:
    """Cuts the global and local clips of both views out of the windows of N videos.

    The global clip takes every second frame of a window, local clip i its i-th part. Each of these clips has a crop
    and a flip of its own, unless they share one, resized bilinearly without antialiasing. The work is done where the
    windows are; a clip costs a handful of operations on its cropped region alone, so that frames of different sizes
    need no padding.

    Args:
        windows: N tensors ``(2, 2T, H, W, 3)`` uint8 RGB on one device; H and W may differ between videos.
        keys: of the N samples; they decide all crops and flips.
        size: height and width of the clips, at most the frames' shorter side.
        num_slices: T', the number of local clips; it divides 2T; 0 for none.
        flow: of each window, N tensors ``(2, 2, 2T, H, W)`` floating point, pixels of the frame from one frame of the
            window to the next; it is cropped with the local clips. None: none.
        masks: of each window, N tensors ``(2, 2T, H, W)`` uint8, 255 where something moves by itself; they are cropped
            with the global clips. None: none.
        area: range of the crop's share of the frame, uniform.
        aspect: range of its width over height, uniform in the logarithm.
        flip_probability: of each clip.
        shared_crop: whether the local clips of a view have the crop and flip of its global clip, so that they show the
            same part of the scene; the global clip is the same either way.

    Returns:
        The views, float32 in [0, 1], clips contiguous; they keep the keys.

    Raises:
        InputError: if shapes, types or numbers do not fit together.

    Source: FIMA, sections 3.1 and 4; boxes as in its reference code, ZMHH-H/FIMA ``dataset/transform_coord.py``, commit
    fd63cbd.
    """
    windows = list(windows)
    num_frames = _checked_frames(windows, keys, size, num_slices)
    heights, widths = (np.array([window.shape[axis] for window in windows], np.int64) for axis in (2, 3))
    crops = draw_crops(
        keys, heights, widths, 1 + num_slices, area=area, aspect=aspect, flip_probability=flip_probability
    )
    if shared_crop:
        crops = crops[:, :, [0] * (1 + num_slices)]
    device, length = windows[0].device, num_frames // num_slices if num_slices else 0
    global_clips = torch.empty(2, len(windows), 3, num_frames // 2, size, size, device=device)
    local_clips = torch.empty(2, num_slices, len(windows), 3, length, size, size, device=device)
    for number, window in enumerate(windows):
        for view in range(2):
            cut(window[view, 0::2], crops[number, view, 0], out=global_clips[view, number])
            for i in range(num_slices):
                part = window[view, i * length : (i + 1) * length]
                cut(part, crops[number, view, 1 + i], out=local_clips[view, i, number])
    corners = crops[:, :, 0].boxes(heights[:, None], widths[:, None]).swapaxes(0, 1)
    boxes = torch.as_tensor(corners, dtype=torch.float32, device=device)
    fields = None if flow is None else _cut_flows(flow, windows, crops, local_clips)
    cut_masks = None if masks is None else _cut_masks(masks, windows, crops, global_clips)
    return Views(global_clips, local_clips, boxes, keys, fields, cut_masks)


def cut(frames: Tensor, crop: Crops, *, out: Tensor) -> None:
    """Writes one clip: crop, bilinear resize without antialiasing, flip, scaling to [0, 1].

    Args:
        frames: ``(T, H, W, 3)`` uint8.
        crop: of this clip alone.
        out: ``(3, T, size, size)`` floating point, overwritten.
    """
    top, left, height, width = (int(v) for v in (crop.top, crop.left, crop.height, crop.width))
    region = frames[:, top : top + height, left : left + width].permute(3, 0, 1, 2)
    region = region.to(torch.float32, memory_format=torch.contiguous_format)
    resized = F.interpolate(region, size=out.shape[-2:], mode="bilinear", align_corners=False, antialias=False)
    torch.div(resized.flip(-1) if crop.flipped else resized, 255, out=out)


def cut_flow(flow: Tensor, crop: Crops, size: int) -> Tensor:
    """Crops, resizes and flips flow as `cut` does with frames; vectors shrink, grow and turn with it.

    Args:
        flow: ``(2, T, H, W)`` pixels per frame, of the frames' own size.
        crop: of one clip.
        size: height and width of the clip.

    Returns:
        ``(2, T, size, size)`` pixels of the clip per frame.
    """
    top, left, height, width = (int(v) for v in (crop.top, crop.left, crop.height, crop.width))
    region = flow[..., top : top + height, left : left + width]
    resized = F.interpolate(region, size=(size, size), mode="bilinear", align_corners=False, antialias=False)
    scale = torch.tensor([-size / width if crop.flipped else size / width, size / height], device=flow.device)
    return (resized.flip(-1) if crop.flipped else resized) * scale.view(2, 1, 1, 1)


def _cut_flows(flow: Sequence[Tensor], windows: list[Tensor], crops: Crops, local_clips: Tensor) -> Tensor:
    """The flow of all local clips, ``(2, T', N, 2, frames, size, size)``, cropped as they are."""
    if len(flow) != len(windows):
        raise InputError(f"flow must be of the same samples as the windows, got {len(flow)} and {len(windows)}")
    _, slices, _, _, length, size, _ = local_clips.shape
    out = local_clips.new_empty(*local_clips.shape[:3], 2, length, size, size)
    for number, (field, window) in enumerate(zip(flow, windows, strict=True)):
        expected = (2, 2, *window.shape[1:4])
        if tuple(field.shape) != expected:
            raise InputError(f"the flow of a window must be {expected}, got {tuple(field.shape)}")
        for view in range(2):
            for i in range(slices):
                part = field[view, :, i * length : (i + 1) * length].to(out)
                out[view, i, number] = cut_flow(part, crops[number, view, 1 + i], size)
    return out


def _cut_masks(masks: Sequence[Tensor], windows: list[Tensor], crops: Crops, global_clips: Tensor) -> Tensor:
    """The masks of the global clips, ``(2, N, T, size, size)``, cropped as they are."""
    out = global_clips.new_empty(*global_clips.shape[:2], 1, *global_clips.shape[3:])
    for number, (mask, window) in enumerate(zip(masks, windows, strict=True)):
        if tuple(mask.shape) != tuple(window.shape[:4]):
            raise InputError(f"the masks of a window must be {tuple(window.shape[:4])}, got {tuple(mask.shape)}")
        for view in range(2):
            cut(mask[view, 0::2, ..., None], crops[number, view, 0], out=out[view, number])
    return out[:, :, 0]


def draw_crops(
    keys: SampleKeys,
    frame_heights: NDArray[np.int64],
    frame_widths: NDArray[np.int64],
    clips: int,
    *,
    area: tuple[float, float] = AREA,
    aspect: tuple[float, float] = ASPECT,
    flip_probability: float = 0.5,
) -> Crops:
    """Random resized crops and flips for all clips of both views.

    Area and aspect are drawn up to ten times, until the region fits into the frame; then its place is uniform. If none
    fits, the largest centered region of an allowed aspect is taken.

    Args:
        keys: N samples.
        frame_heights: ``(N,)`` pixels, at least 1.
        frame_widths: the same.
        clips: per view.
        area: range of the region's share of the frame, within (0, 1].
        aspect: range of its width over height, more than 0.
        flip_probability: in [0, 1].

    Returns:
        Arrays ``(N, 2, clips)``.

    Raises:
        InputError: if a range is not one.

    Source: the rule is torchvision's ``RandomResizedCrop``, which FIMA's code uses; ours draws by sample.
    """
    _check_ranges(area, aspect, flip_probability)
    frame_h, frame_w = frame_heights[:, None, None], frame_widths[:, None, None]
    # Clip by clip, so that the global ones are the same for methods with more local clips and with none.
    draws = uniforms(keys, "crop", clips, 2, 2 * _ATTEMPTS + 3).swapaxes(1, 2)
    shape_draws = draws[..., 3:].reshape(*draws.shape[:-1], _ATTEMPTS, 2)
    areas = (frame_h * frame_w)[..., None] * _between(area, shape_draws[..., 0])
    aspects = np.exp(_between((math.log(aspect[0]), math.log(aspect[1])), shape_draws[..., 1]))
    widths = np.rint(np.sqrt(areas * aspects)).astype(np.int64)
    heights = np.rint(np.sqrt(areas / aspects)).astype(np.int64)
    fits = (widths > 0) & (heights > 0) & (widths <= frame_w[..., None]) & (heights <= frame_h[..., None])
    chosen, found = fits.argmax(-1)[..., None], fits.any(-1)
    fallback_h, fallback_w = _centered(frame_h, frame_w, aspect)
    height = np.where(found, np.take_along_axis(heights, chosen, -1)[..., 0], fallback_h)
    width = np.where(found, np.take_along_axis(widths, chosen, -1)[..., 0], fallback_w)
    room_y, room_x = frame_h - height, frame_w - width
    top = np.where(found, np.floor(draws[..., 0] * (room_y + 1)).astype(np.int64), room_y // 2)
    left = np.where(found, np.floor(draws[..., 1] * (room_x + 1)).astype(np.int64), room_x // 2)
    return Crops(top, left, height, width, draws[..., 2] < flip_probability)


def _between(limits: tuple[float, float], draws: NDArray[np.float64]) -> NDArray[np.float64]:
    return limits[0] + (limits[1] - limits[0]) * draws


def _centered(
    frame_h: NDArray[np.int64], frame_w: NDArray[np.int64], aspect: tuple[float, float]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Height and width of the largest region whose aspect is within the range."""
    height = np.rint(np.minimum(frame_h, frame_w / aspect[0])).astype(np.int64)
    width = np.rint(np.minimum(frame_w, frame_h * aspect[1])).astype(np.int64)
    return np.maximum(height, 1), np.maximum(width, 1)


def _checked_frames(windows: list[Tensor], keys: SampleKeys, size: int, num_slices: int) -> int:
    """The number of frames of every window, once all is found to fit together."""
    if len(windows) != len(keys) or not windows:
        raise InputError(f"windows and keys must be of the same samples, got {len(windows)} and {len(keys)}")
    num_frames = windows[0].shape[1] if windows[0].ndim == 5 else 0
    for window in windows:
        shape = tuple(window.shape)
        if len(shape) != 5 or shape[:2] != (2, num_frames) or shape[4] != 3 or window.dtype != torch.uint8:
            raise InputError(f"a window must be (2, {num_frames or '2T'}, H, W, 3) uint8, got {shape} {window.dtype}")
        if not 1 <= size <= min(shape[2:4]) or min(shape[2:4]) < 2:
            raise InputError(f"size {size} does not fit frames of {shape[3]}×{shape[2]}; it may be at most their sides")
    if num_frames % 2 or num_slices < 0 or (num_slices and num_frames % num_slices):
        raise InputError(
            f"a window of {num_frames} frames gives no {num_slices} local clips: it needs an even number of frames, "
            "which the number of local clips divides"
        )
    return num_frames


def _check_ranges(area: tuple[float, float], aspect: tuple[float, float], flip_probability: float) -> None:
    if not 0 < area[0] <= area[1] <= 1:
        raise InputError(f"area must be an ascending range within (0, 1], got {area}")
    if not 0 < aspect[0] <= aspect[1] < math.inf:
        raise InputError(f"aspect must be an ascending range of positive numbers, got {aspect}")
    if not 0 <= flip_probability <= 1:
        raise InputError(f"flip_probability must be in [0, 1], got {flip_probability}")
