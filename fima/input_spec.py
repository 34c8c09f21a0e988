"""What a backbone expects to be fed: colors, frames and size. Imports no torch, so that command lines stay quick.

A checkpoint does not say how its input was normalized; its family does. The constants below are those families', with
their sources; `fima.checkpoints` chooses one, and ``--input-spec`` overrides it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fima.errors import InputError
from fima.files.reading import read_json, read_yaml

__all__ = [
    "FIMA_112",
    "FIMA_224",
    "FIMA_TINY",
    "IMAGENET_224",
    "KINETICS_MEAN",
    "KINETICS_STD",
    "MACLR",
    "MACLR_FINETUNED",
    "TCLR",
    "TIMESFORMER",
    "TORCHVISION",
    "InputSpec",
]

_FILE_SUFFIXES = (".json", ".yaml", ".yml")
_LARGEST = 2.0**31 - 1
_LARGEST_CLIP = 2**29
"""Values: 2 GiB in float32."""
_EXAMPLE = "mean=0.45;std=0.225;num_frames=8;frame_stride=8;size=224"


@dataclasses.dataclass(frozen=True)
class InputSpec:
    """How to cut and normalize a clip for one backbone.

    Attributes:
        mean: one number per channel, in the order of ``channel_order``, for values in [0, 1].
        std: as ``mean``; all above 0.
        channel_order: ``"rgb"`` or ``"bgr"``: the order the backbone reads its three channels in.
        num_frames: frames in a clip, at least 1.
        frame_stride: distance of neighboring frames of a clip in frames of the video, at least 1.
        size: height and width of a clip in pixels, at least 1.

    Raises:
        InputError: if a value is out of range; the message names the word and the value.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channel_order: str = "rgb"
    num_frames: int = 16
    frame_stride: int = 2
    size: int = 112

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", _three_numbers("mean", self.mean))
        object.__setattr__(self, "std", _three_numbers("std", self.std))
        if min(self.std) <= 0:
            raise InputError(f"std must be above 0 in every channel, got {self.std}")
        if self.channel_order not in ("rgb", "bgr"):
            raise InputError(f"channel_order must be 'rgb' or 'bgr', got {self.channel_order!r}")
        for word in ("num_frames", "frame_stride", "size"):
            object.__setattr__(self, word, _positive_integer(word, getattr(self, word)))
        if 3 * self.num_frames * self.size**2 > _LARGEST_CLIP:
            raise InputError(f"a clip of num_frames {self.num_frames} and size {self.size} would fit no memory")
        if self.num_frames * self.frame_stride > _LARGEST:
            raise InputError(f"num_frames {self.num_frames} × frame_stride {self.frame_stride} is too long")

    def replace(self, **changes: Any) -> InputSpec:
        """The same spec with some values changed.

        Raises:
            InputError: for an unknown word or a value out of range.
        """
        _refuse_unknown(changes, "input spec")
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, strings and integers, as JSON and YAML store them; `from_dict` reads them back."""
        return {word: list(value) if isinstance(value, tuple) else value for word, value in vars(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, base: InputSpec | None = None) -> InputSpec:
        """A spec from a mapping.

        Args:
            values: any of the words above; one number for ``mean`` or ``std`` stands for all three channels.
            base: gives the words that ``values`` leaves out; without it ``mean`` and ``std`` are required.

        Raises:
            InputError: for an unknown or a missing word, or a value out of range.
        """
        if not isinstance(values, Mapping):
            raise InputError(f"an input spec is a mapping of words to values, got {type(values).__name__}")
        _refuse_unknown(values, "input spec")
        if base is not None:
            return dataclasses.replace(base, **values)
        missing = [word for word in ("mean", "std") if word not in values]
        if missing:
            raise InputError(f"input spec lacks {' and '.join(missing)}; an example is {_EXAMPLE}")
        return cls(**values)

    @classmethod
    def parse(cls, text: str, *, base: InputSpec | None = None) -> InputSpec:
        """The value of the flag ``--input-spec``.

        Args:
            text: the path of a ``.json``, ``.yaml`` or ``.yml`` file, or the words themselves, such as
                ``mean=0.45,0.45,0.45;std=0.225;num_frames=8``.
            base: gives the words that the text leaves out, so that one word alone may be changed.

        Raises:
            InputError: if the text is neither, or names an unknown word, or a value is out of range.
            FileNotFoundError: if it looks like a file that is not there.
        """
        values = _read_file(Path(text)) if text.lower().endswith(_FILE_SUFFIXES) else _read_inline(text)
        return cls.from_dict(values, base=base)


def _read_file(path: Path) -> Any:
    # JSON is read as JSON, so that its errors are reported as JSON's.
    return read_json(path) if path.suffix.lower() == ".json" else read_yaml(path)


def _read_inline(text: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for item in filter(None, (part.strip() for part in text.split(";"))):
        word, equals, value = (part.strip() for part in item.partition("="))
        if not equals or not value:
            raise InputError(
                f"input spec must be a .json or .yaml file or word=value;…, such as {_EXAMPLE}; got {item!r}"
            )
        if word in values:
            raise InputError(f"input spec gives {word} twice")
        values[word] = _inline_value(word, value)
    if not values:
        raise InputError(f"input spec is empty; an example is {_EXAMPLE}")
    return values


def _inline_value(word: str, value: str) -> Any:
    if word == "channel_order":
        return value
    try:
        numbers = [float(part) for part in value.split(",")]
    except ValueError:
        raise InputError(f"{word} must be a number or numbers separated by commas, got {value!r}") from None
    return numbers[0] if len(numbers) == 1 else numbers


def _refuse_unknown(values: Mapping[str, Any], where: str) -> None:
    known = [field.name for field in dataclasses.fields(InputSpec)]
    unknown = [str(word) for word in values if word not in known]
    if unknown:
        raise InputError(f"{where} has no {', '.join(map(repr, unknown))}; its words are {', '.join(known)}")


def _three_numbers(word: str, value: Any) -> tuple[float, float, float]:
    numbers = [value] * 3 if isinstance(value, int | float) else value
    if (
        not isinstance(numbers, list | tuple)
        or len(numbers) != 3
        or not all(isinstance(n, int | float) and not isinstance(n, bool) and abs(n) < _LARGEST for n in numbers)
    ):
        raise InputError(f"{word} must be one finite number or three, got {value!r}")
    first, second, third = (float(number) for number in numbers)
    return first, second, third


def _positive_integer(word: str, value: Any) -> int:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole or value < 1:
        raise InputError(f"{word} must be a whole number of at least 1, got {value!r}")
    if value > _LARGEST:
        raise InputError(f"{word} must be at most {_LARGEST:.0f}, got {value:.3g}")
    return int(value)


#: Channel means and deviations of Kinetics-400, as torchvision's video training script and FIMA's `eval.py` have them.
KINETICS_MEAN = (0.43216, 0.394666, 0.37645)
KINETICS_STD = (0.22803, 0.22145, 0.216989)

#: FIMA, FAME and their MoCo baseline with I3D (ZMHH-H/FIMA `train_ucf101.sh`, `eval.sh`: 16 frames, every 2nd, 224).
FIMA_224 = InputSpec(KINETICS_MEAN, KINETICS_STD, num_frames=16, frame_stride=2, size=224)

#: The same with R(2+1)D-18 or R3D-18 (ZMHH-H/FIMA `train.py`: the default crop, 112).
FIMA_112 = FIMA_224.replace(size=112)

#: The small backbone of this project: 16 frames, every 2nd, at a quarter of I3D's side.
FIMA_TINY = FIMA_224.replace(size=56)

#: torchvision's video resnets: its training script resamples to 15 frames per second and cuts 16 frames at 112 pixels,
#: which is every 2nd frame of an ordinary 30 frames per second video.
TORCHVISION = FIMA_112

#: VideoMAE and the V-JEPA family: ImageNet's mean and deviation (MCG-NJU/VideoMAE `datasets.py`, commit 14ef8d8).
IMAGENET_224 = InputSpec((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), num_frames=16, frame_stride=4, size=224)

#: MaCLR's visual pathway (amazon-science/self-supervised-maclr) and PySlowFast's Slow 8×8.
MACLR = InputSpec((0.45,) * 3, (0.225,) * 3, num_frames=8, frame_stride=8, size=224)

#: TimeSformer 8×32 (facebookresearch/TimeSformer `config/defaults.py`); Hiera and UniFormer have its colors.
TIMESFORMER = MACLR.replace(frame_stride=32)

#: MaCLR as fine-tuned on UCF101 by its release (`configs/UCF101/SLOW_32x8_R50.yaml`).
MACLR_FINETUNED = MACLR.replace(num_frames=32)

#: TCLR (DAVEISHAN/TCLR): frames as OpenCV decodes them, blue first, scaled to [0, 1] and not normalized.
TCLR = InputSpec((0.0,) * 3, (1.0,) * 3, channel_order="bgr", num_frames=16, frame_stride=2, size=112)
