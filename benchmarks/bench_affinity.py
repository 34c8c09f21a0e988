"""``fima-analyze affinity`` against its bare parts: decoding, and two forward passes of the backbone.

One run, three rounds, the parts and the whole in turn; the ratio is that of the medians. The whole is all that
follows the imports: opening, decoding, forward passes, scores, figure, files.
"""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from limits import check, finish, timed
from star import moving_shape

from analysis.inputs.backbone.features import FeatureExtractor
from analysis.inputs.video.clips import place_clips, read_clip
from analysis.inputs.video.videos import VideoSource
from analysis.settings import Settings
from analysis.studies import Session, run
from fima.checkpoints import untrained_backbone
from fima.data.readers.file import VideoReader
from fima.data.transcode.encode import write_video
from fima.transforms.motion import frame_difference
from fima.transforms.normalize import normalize

CLIPS, SIZE, BATCH, LIMIT = 32, 112, 8, 1.15


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        videos = _videos(Path(folder))
        loaded = untrained_backbone("i3d", seed=0)
        loaded = replace(loaded, input=loaded.input.replace(size=SIZE))
        session = Session(Settings(size=SIZE, batch_size=BATCH), loaded, FeatureExtractor(loaded), videos)
        _forwards(session, [torch.zeros(BATCH, 3, 16, SIZE, SIZE).contiguous(memory_format=torch.channels_last_3d)] * 2)
        decode, forward, whole = [], [], []
        for round_ in range(3):
            taken, batches = timed(lambda: _decode(session))
            decode.append(taken)
            forward.append(timed(lambda batches=batches: _forwards(session, batches))[0])  # type: ignore[misc]
            out = Path(folder) / f"out{round_}"
            whole.append(timed(lambda out=out: run("affinity", session).save(out))[0])  # type: ignore[misc]
    bare = statistics.median(decode) + statistics.median(forward)
    said = f"decoding {statistics.median(decode):.2f} s + two bare forward passes {statistics.median(forward):.2f} s"
    said = f"affinity, {CLIPS} clips, I3D at {SIZE} px: {statistics.median(whole):.2f} s over ({said})"
    check(said, statistics.median(whole) / bare, most=LIMIT)


def _videos(folder: Path) -> list[VideoSource]:
    sources = []
    for i in range(CLIPS):
        frames = moving_shape(i, num_frames=64, height=240, width=320).frames
        path = folder / f"{i}.mp4"
        write_video(path, [frame.transpose(1, 2, 0) for frame in frames], fps=25)
        sources.append(VideoSource(str(i), path))
    return sources


def _decode(session: Session) -> list[torch.Tensor]:
    """Read each clip by itself, as plainly as the reader allows, and batch them."""
    place = place_clips(session.spec)
    clips = []
    for video in session.videos:
        assert video.path is not None
        with VideoReader(video.path) as reader:
            clips.append(read_clip(reader, place(reader.seconds, reader.duration_seconds)[0], session.spec))
    frames = torch.stack(clips).permute(0, 2, 1, 3, 4)
    return [b.to(torch.float32, memory_format=torch.channels_last_3d) / 255 for b in torch.split(frames, BATCH)]


def _forwards(session: Session, batches: list[torch.Tensor]) -> None:
    """The two passes alone: inputs are normalized and differenced outside the backbone's time in the whole run too."""
    with torch.inference_mode():
        for batch in batches:
            for inputs in (batch, frame_difference(batch, boundary="repeat")):
                session.extractor.backbone(normalize(inputs, session.spec))


if __name__ == "__main__":
    main()
    finish()
