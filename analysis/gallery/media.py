"""What the page shows of a video: a still and a short silent film, both as data addresses."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.pages.environment import data_address, jpeg_address
from fima.data.datasets import VideoRecord
from fima.data.readers.open import open_video
from fima.data.sampling import clip_indices, uniform_clip_starts
from fima.data.transcode.encode import write_video
from fima.input_spec import InputSpec

__all__ = ["SIDE", "Media", "film_of", "media_of", "still_of"]

SIDE = 128  # pixels
_SLOWEST = 4.0  # frames per second: a strided clip of a slow video should still look like a film
_FILM_QUALITY = 30  # x264's crf; of a thumbnail, nobody sees the difference to 18, at a quarter of the bytes
_STILL_QUALITY = 80


@dataclass(frozen=True)
class Media:
    """Data addresses.

    Attributes:
        still: JPEG, the middle frame of the clip in the middle of the video.
        film: mp4 of that clip.
    """

    still: str
    film: str

    def __len__(self) -> int:
        return len(self.still) + len(self.film)


def media_of(record: VideoRecord, spec: InputSpec) -> Media:
    """The clip in the middle of a video, as long as the backbone's clips are, center-cropped to `SIDE` pixels.

    Raises:
        VideoError: if it cannot be read.
        OSError: if there is no such file.
    """
    with open_video(record) as reader:
        [start] = uniform_clip_starts(len(reader), 1, num_frames=spec.num_frames, frame_stride=spec.frame_stride)
        places = clip_indices(len(reader), start, num_frames=spec.num_frames, frame_stride=spec.frame_stride)
        frames = reader.frames(places, short_side=SIDE).permute(0, 2, 3, 1).numpy()
        rate = reader.fps / spec.frame_stride
    top, left = (frames.shape[1] - SIDE) // 2, (frames.shape[2] - SIDE) // 2
    clip = np.ascontiguousarray(frames[:, top : top + SIDE, left : left + SIDE])
    return Media(still_of(clip[len(clip) // 2]), film_of(clip, max(rate, _SLOWEST)))


def still_of(frame: NDArray[np.uint8]) -> str:
    """``(H, W, 3)`` as a data address of a JPEG."""
    return jpeg_address(frame, quality=_STILL_QUALITY)


def film_of(frames: NDArray[np.uint8], fps: float) -> str:
    """``(T, H, W, 3)`` as a data address of an mp4."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_video(Path(folder) / "clip.mp4", frames, fps=fps, crf=_FILM_QUALITY)
        return data_address("video/mp4", path.read_bytes())
