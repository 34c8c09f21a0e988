"""What clips a video transformer's file expects: from its shapes, its configuration, or its family's convention."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from fima.checkpoints.hub.settings import Names
from fima.errors import InputError
from fima.files.reading import parse_yaml

__all__ = ["classes_of", "clip_of", "colors_of"]

#: Something-Something v2 has 174 classes; its clips are denser, or sampled evenly from the whole video.
_SSV2 = 174
_HEADS = ("head.weight", "classifier.weight", "cls_head.fc_cls.weight", "head.projection.weight")
_STRIDES = {8: 32, 16: 16, 96: 4, 64: 4}


def classes_of(state: Mapping[str, Any]) -> int | None:
    """Classes of the head in a state dict; None if there is none."""
    shapes = (value.shape for key, value in state.items() if isinstance(value, Tensor) and key.endswith(_HEADS))
    return next((int(shape[0]) for shape in shapes), None)


def clip_of(
    arch: str,
    settings: Mapping[str, Any],
    names: Names,
    classes: int | None,
    path: Path,
    metadata: Mapping[str, Any],
    config: Mapping[str, Any],
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Frames, stride and size, as settings of the network, and what to tell about them."""
    patch, ssv2 = settings.get("patch_size", 16), classes == _SSV2
    if arch == "timesformer":
        clip = _timesformer(patch, names, metadata, config)
        even = ("fine-tuned on Something-Something v2, whose clips are spread over the whole video",) if ssv2 else ()
        return clip, even
    if arch in ("hiera", "uniformer"):
        return {"frame_stride": 4}, ()
    if arch in ("vjepa2", "vjepa21"):
        usual = 384 if arch == "vjepa21" or "384" in path.name else 256
        clip = {"num_frames": int(config.get("frames_per_clip", 64)), "size": int(config.get("crop_size", usual))}
        stride = 4 if clip["num_frames"] <= 16 else 2
        note = "trained on 64 frames at 4 a second; every 2nd frame is taken here, so that short videos suffice"
        return clip | {"frame_stride": stride}, (note,) if stride == 2 else ()
    grid = settings.get("grid")
    tubelet = settings.get("tubelet_size", 2)
    frames, size = (16, 224) if grid is None else (grid[0] * tubelet, grid[1] * patch)
    return {"num_frames": frames, "size": size, "frame_stride": 2 if ssv2 else 4}, ()


def colors_of(
    arch: str, writer: str, state: Mapping[str, Any], processor: Mapping[str, Any] | None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Mean and deviation where they are not the family's, and what to tell about them."""
    if processor is not None:
        if not processor:
            return {}, ("no preprocessor_config.json: the family's mean and deviation are assumed",)
        return _of_processor(processor), ()
    stored = [state.get(f"data_preprocessor.{word}") for word in ("mean", "std")]
    if all(isinstance(value, Tensor) and value.numel() == 3 for value in stored):
        mean, std = ([number / 255 for number in value.flatten().tolist()] for value in stored if value is not None)
        return {"mean": tuple(mean), "std": tuple(std)}, ()
    if arch == "timesformer" and writer == "MMAction2":
        return {"mean": (0.5,) * 3, "std": (0.5,) * 3}, ()
    return {}, ()


def _of_processor(processor: Mapping[str, Any]) -> dict[str, Any]:
    """Mean and deviation for values in [0, 1], from what a processor does to values in [0, 255]."""
    plain = not processor.get("do_normalize", True) or "image_mean" not in processor
    means, stds = ([0.0] * 3, [1.0] * 3) if plain else (processor["image_mean"], processor["image_std"])
    range_of = 255 * float(processor.get("rescale_factor", 1 / 255) if processor.get("do_rescale", True) else 1)
    shift = 1.0 if processor.get("offset") else 0.0
    return {
        "mean": tuple(round((shift + mean) / range_of, 9) for mean in means),
        "std": tuple(round(std / range_of, 9) for std in stds),
    }


def _timesformer(patch: int, names: Names, metadata: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, int]:
    frames = names["time_embed"][1] if "time_embed" in names else int(config.get("num_frames", 8))
    places = names.get("pos_embed", (1, 197))[1]
    return {
        "num_frames": frames,
        "frame_stride": _pyslowfast_stride(metadata) or _STRIDES.get(frames, max(1, 256 // frames)),
        "size": patch * round((places - 1) ** 0.5),
    }


def _pyslowfast_stride(metadata: Mapping[str, Any]) -> int | None:
    """Of the configuration PySlowFast saves in its checkpoints."""
    try:
        rate = parse_yaml(metadata["cfg"], "cfg")["DATA"]["SAMPLING_RATE"]
    except (KeyError, TypeError, AttributeError, InputError):
        return None
    return rate if isinstance(rate, int) and 0 < rate <= 128 else None
