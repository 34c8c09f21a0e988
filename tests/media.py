"""Videos for tests where no real ones lie beside the checkout: moving cut-outs and pans over two free photographs.

The photographs are scikit-learn's sample images (CC BY 2.0). Names, codecs, lengths, rates and sizes are those of the
real clips, so that the same tests run on both.
"""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from sklearn.datasets import load_sample_image

__all__ = ["fill_clips", "fill_fights", "made_once", "moving_photograph"]

CLIPS = {
    "bear.mp4": ("libx264", 82, 30, 256, 456),
    "cars.mp4": ("libx264", 150, Fraction(25, 2), 256, 456),
    "dog.mp4": ("libx264", 150, Fraction(30000, 1001), 256, 456),
    "arm_wrestling.mp4": ("libx264", 90, 30, 240, 320),
    "yoga.mp4": ("libx264", 150, 30, 256, 454),
    "h265.mp4": ("libx265", 10, 10, 128, 128),
    "mpeg4.avi": ("mpeg4", 164, 25, 240, 320),
    "video_90.mov": ("libx264", 3, 30, 320, 568),
}
"""Codec, frames, frames a second, height and width as stored."""


def moving_photograph(seed: int, count: int, height: int, width: int) -> Iterator[np.ndarray]:
    """Frames ``(H, W, 3)`` uint8: a pan over one photograph, and an ellipse of the other that crosses it."""
    rng = np.random.default_rng(seed)
    names = ("china.jpg", "flower.jpg") if seed % 2 else ("flower.jpg", "china.jpg")
    behind, front = (cv2.resize(load_sample_image(name), (2 * width, 2 * height)) for name in names)
    pan, start, speed = rng.uniform(0.2, 0.45, 2), rng.uniform(0.2, 0.8, 2), rng.uniform(-0.02, 0.02, 2)
    y, x = np.mgrid[:height, :width]
    for i in range(count):
        top, left = ((0.5 + pan * np.sin(2 * np.pi * np.array([i / 37, i / 53]))) * (height, width)).astype(int)
        frame = behind[top : top + height, left : left + width].copy()
        middle = (start + speed * i) % 1 * (height, width)
        inside = ((y - middle[0]) / (0.2 * height)) ** 2 + ((x - middle[1]) / (0.12 * width)) ** 2 < 1
        frame[inside] = front[height // 2 : height // 2 + height, width // 2 : width // 2 + width][inside]
        yield frame


def _write(path: Path, codec: str, count: int, rate: Fraction | int, height: int, width: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "ultrafast", "x265-params": "log-level=none"} if codec.startswith("libx") else {}
        if path.suffix == ".mov":
            stream.set_display_rotation(90)
        for picture in moving_photograph(zlib.crc32(path.name.encode()), count, height, width):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def fill_clips(folder: Path) -> None:
    """Single clips under the names of the real ones."""
    for name, (codec, *rest) in CLIPS.items():
        _write(folder / name, codec, *rest)


def fill_fights(folder: Path) -> None:
    """A data set in UCF101's layout: two classes, 12 recordings of two videos each, none in both splits."""
    lists: dict[str, list[str]] = {"trainlist01.txt": [], "testlist01.txt": [], "groups.csv": ["video,source_group"]}
    for recording in range(12):
        class_name = ("fight", "noFight")[recording % 2]
        for part in range(2):
            video = f"{class_name}/{'fi' if class_name == 'fight' else 'nofi'}{recording:03d}_{part}.mp4"
            path = folder / "videos" / video
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, "libx264", 50, 30, 120, 160)
            place = "trainlist01.txt" if recording < 8 else "testlist01.txt"
            lists[place].append(f"{video} {1 + recording % 2}" if recording < 8 else video)
            lists["groups.csv"].append(f"{video},{recording}")
    (folder / "annotations").mkdir()
    for name, lines in lists.items():
        (folder / "annotations" / name).write_text("\n".join(lines) + "\n")
    (folder / "annotations" / "classInd.txt").write_text("1 fight\n2 noFight\n")


def made_once(folder: Path, fill: Callable[[Path], None]) -> Path:
    """A folder that the first of several processes fills and all use."""
    partial = folder.with_name(f"{folder.name}.{np.random.default_rng().integers(2**60)}")
    if not folder.exists():
        partial.mkdir(parents=True)
        fill(partial)
        try:
            partial.rename(folder)
        except OSError:  # another process was first
            shutil.rmtree(partial)
    return folder
