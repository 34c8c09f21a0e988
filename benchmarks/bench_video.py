"""How fast VideoReader finds and decodes frames, against plain PyAV on the same file in the same run.

python benchmarks/bench_video.py
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import av
import numpy as np
from limits import check, finish, medians
from star import moving_shape

from fima.data.readers.file import VideoReader

NUM_FRAMES, KEYFRAME_EVERY, HEIGHT, WIDTH = 1400, 48, 240, 320
WINDOW = range(NUM_FRAMES // 2, NUM_FRAMES // 2 + 32)
ROUNDS = 7
WINDOW_LIMIT, WHOLE_LIMIT = 5.0, 1.15


def make_file(path: Path) -> None:
    """A long H.264 file with B-frames: a textured shape over a texture, seen by a camera that shakes a little."""
    rng = np.random.default_rng(0)
    shape = moving_shape(0, num_frames=200, height=HEIGHT + 8, width=WIDTH + 8).frames.transpose(0, 2, 3, 1)
    grain = rng.integers(0, 40, (*shape.shape[1:3], 1), dtype=np.uint8)  # a finely structured surface
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "veryfast", "bf": "2"})
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        stream.codec_context.gop_size = KEYFRAME_EVERY
        for i in range(NUM_FRAMES):
            y, x = rng.integers(0, 8, 2)
            picture = (shape[i % len(shape)] // 8 * 7 + grain)[y : y + HEIGHT, x : x + WIDTH]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def window_from_start(path: Path) -> None:
    """Decodes up to the window's end, converting only the window."""
    with av.open(str(path)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i in WINDOW:
                frame.to_ndarray(format="rgb24")
            if i == WINDOW[-1]:
                return


def window_by_index(path: Path) -> None:
    with VideoReader(path) as reader:
        reader.frames(WINDOW)


def whole_bare(path: Path) -> None:
    """The loop everyone writes first; PyAV's own thread settings, which are also the reader's at this size."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            frame.to_ndarray(format="rgb24")


def whole_reader(path: Path) -> None:
    with VideoReader(path) as reader:
        reader.frames(range(len(reader)))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.mp4"
        make_file(path)
        tasks = (partial(task, path) for task in (window_from_start, window_by_index, whole_bare, whole_reader))
        from_start, by_index, bare, reader = medians(*tasks, rounds=ROUNDS, warm_up=0)
    print(f"{NUM_FRAMES} frames of {WIDTH}×{HEIGHT}, H.264, a keyframe every {KEYFRAME_EVERY}; medians of {ROUNDS}")
    check("window from the middle, against decoding from the start", from_start / by_index, least=WINDOW_LIMIT)
    check("whole file, against a bare decode-and-convert loop", reader / bare, most=WHOLE_LIMIT)


if __name__ == "__main__":
    main()
    finish()
