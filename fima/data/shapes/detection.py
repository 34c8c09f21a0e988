"""A miniature of AVA in its official layout: films of moving shapes, whose motions are the actions."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fima.data.shapes.dataset import open_shapes
from fima.data.shapes.motions import MOTIONS
from fima.data.shapes.render import ShapesVideo
from fima.data.transcode.encode import write_video
from fima.errors import InputError

__all__ = ["ON_THE_LEFT", "ON_THE_RIGHT", "write_miniature"]

ON_THE_LEFT, ON_THE_RIGHT = 12, 13
"""Actions that go with the motions, whose ids are 1 to 10; 11 is in the label map and never happens, 13 not in it."""

_FPS, _FIRST = 30, 900
_FILE_LAYOUTS = ("frames", "rawframes", "videos_15min")


class _Row(NamedTuple):
    second: int
    box: tuple[float, ...]
    action: int
    person: int

    def text(self, film: str) -> str:
        corners = ",".join(f"{value:.3f}" for value in self.box)
        return f"{film},{self.second:04d},{corners},{self.action},{self.person}\n"


def write_miniature(
    folder: str | Path,
    *,
    train: int = 8,
    val: int = 4,
    seconds: Sequence[int] = (902, 903, 904),
    version: str = "2.2",
    layout: Literal["frames", "rawframes", "videos_15min"] = "frames",
    motions: Sequence[int] = tuple(range(len(MOTIONS))),
    seed: int = 0,
) -> Path:
    """Write films of 64 × 128 pixels at 30 frames per second that begin at second 900, and AVA's tables.

    Two shapes move beside each other (`fima.data.shapes`, regime "easy"); each is a person, with the box of its mask,
    its motion as one action and its side as another. Tables: both splits, excluded timestamps (the last keyframe of
    the last film of each split), both label maps, PySlowFast's person boxes of the validation films: the true ones
    moved a little, with scores from 0.95, and a wrong one with 0.5.

    Args:
        folder: to write into; made if missing.
        train: films.
        val: films.
        seconds: keyframes of every film, ascending, from 902.
        version: in the names of the tables, "2.1" or "2.2".
        layout: ``frames/<film>/<film>_000001.jpg`` as PySlowFast, ``rawframes/<film>/img_00001.jpg`` as MMAction2, or
            ``videos_15min/<film>.mp4``.
        motions: of `fima.data.shapes.motions.MOTIONS`, which are drawn from.
        seed: of all films.

    Returns:
        The folder.

    Raises:
        InputError: if the layout is none, or the folder holds something.
    """
    target = Path(folder)
    if layout not in _FILE_LAYOUTS:
        raise InputError(f"layout must be one of {', '.join(_FILE_LAYOUTS)}, got {layout!r}")
    if target.exists() and any(target.iterdir()):
        raise InputError(f"{target}: is not empty; choose another folder")
    tables = target / "annotations"
    tables.mkdir(parents=True)
    frames = (seconds[-1] - _FIRST + 1) * _FPS
    for split, films in (("train", train), ("val", val)):
        shapes = _shapes(split, 2 * films, frames, motions, seed)
        rows: dict[str, list[_Row]] = {}
        for number in range(films):
            film = f"{split}-film-{number}"
            rows[film] = _write_film(target / layout, film, shapes[2 * number : 2 * number + 2], seconds)
        text = "".join(row.text(film) for film, own in rows.items() for row in own)
        (tables / f"ava_{split}_v{version}.csv").write_text(text, encoding="utf-8")
        excluded = f"{split}-film-{films - 1},{seconds[-1]:04d}\n" if films else ""
        (tables / f"ava_{split}_excluded_timestamps_v{version}.csv").write_text(excluded, encoding="utf-8")
        if split == "val":
            _write_person_boxes(tables / "person_box_67091280_iou90", rows, seed)
    _write_maps(tables, version)
    return target


def _shapes(split: str, count: int, frames: int, motions: Sequence[int], seed: int) -> list[Any]:
    """Records whose motion is one of those asked for."""
    drawn = 4 * count * (len(MOTIONS) // max(len(motions), 1) + 1)
    records = open_shapes(f"shapes:easy,num_frames={frames},videos={max(drawn, 1)},seed={seed}", split=split)
    return [record for record in records if record.label in set(motions)][:count]


def _write_film(folder: Path, film: str, persons: Sequence[Any], seconds: Sequence[int]) -> list[_Row]:
    drawn = [record.draw() for record in persons]
    every = np.arange(len(drawn[0]))
    pictures = np.concatenate([video.frames(every) for video in drawn], axis=2)
    if folder.name == "videos_15min":
        folder.mkdir(parents=True, exist_ok=True)
        write_video(folder / f"{film}.mp4", pictures, fps=_FPS, crf=12)
    else:
        _write_pictures(
            folder / film, "img_{:05d}.jpg" if folder.name == "rawframes" else film + "_{:06d}.jpg", pictures
        )
    rows = []
    for second in seconds:
        for side, (record, video) in enumerate(zip(persons, drawn, strict=True)):
            box = _box_of(video, (second - _FIRST) * _FPS, side)
            rows += [_Row(second, box, a, side) for a in (record.label + 1, (ON_THE_LEFT, ON_THE_RIGHT)[side])]
    return rows


def _write_pictures(folder: Path, template: str, pictures: NDArray[np.uint8]) -> None:
    import cv2

    folder.mkdir(parents=True)
    for number, picture in enumerate(pictures, 1):
        _, stored = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        (folder / template.format(number)).write_bytes(stored.tobytes())


def _box_of(video: ShapesVideo, frame: int, side: int) -> tuple[float, ...]:
    """Shares of a picture that is twice as wide as the shape's own."""
    mask = video.masks(np.array([frame]))[0]
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    height, width = mask.shape
    x1, x2 = ((place + side * width) / (2 * width) for place in (columns[0], columns[-1] + 1))
    return tuple(round(float(value), 3) for value in (x1, rows[0] / height, x2, (rows[-1] + 1) / height))


def _write_person_boxes(folder: Path, rows: dict[str, list[_Row]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    lines = []
    for film, own in rows.items():
        for second, box in dict.fromkeys((row.second, row.box) for row in own):
            moved = np.clip(np.array(box) + rng.uniform(-0.01, 0.01, 4), 0, 1)
            corners = ",".join(f"{value:.3f}" for value in moved)
            lines.append(f"{film},{second:04d},{corners},,{rng.uniform(0.95, 1):.6f}\n")
        lines += [
            f"{film},{second:04d},0.400,0.100,0.600,0.900,,0.500000\n" for second in sorted({r.second for r in own})
        ]
    folder.mkdir()
    (folder / "ava_detection_val_boxes_and_labels.csv").write_text("".join(lines), encoding="utf-8")


def _write_maps(tables: Path, version: str) -> None:
    names = dict(enumerate([*MOTIONS, "resting", "on the left", "on the right"], 1))
    every = chain(
        *(
            (f'label {{\n  name: "{n}"\n', f"  label_id: {i}\n  label_type: PERSON_MOVEMENT\n}}\n")
            for i, n in names.items()
        )
    )
    (tables / f"ava_action_list_v{version}.pbtxt").write_text("".join(every), encoding="utf-8")
    year = 2018 if version == "2.1" else 2019
    counted = (f'item {{\n  name: "{n}"\n  id: {i}\n}}\n' for i, n in names.items() if i != ON_THE_RIGHT)
    short = tables / f"ava_action_list_v{version}_for_activitynet_{year}.pbtxt"
    short.write_text("".join(counted), encoding="utf-8")


def main() -> int:
    """``python -m fima.data.shapes.detection DIR``."""
    try:
        if len(sys.argv) != 2:
            raise InputError("give one folder to write into: python -m fima.data.shapes.detection DIR")
        write_miniature(sys.argv[1])
    except (InputError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
