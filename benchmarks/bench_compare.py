"""``fima-analyze compare`` of two checkpoints against its bare parts: decoding once, two forward passes of each.

One run, three rounds, the parts and the whole in turn; the ratio is that of the medians. The whole is all that follows
the imports: reading the checkpoints, decoding, forward passes, the scores of activation maps and affinity, the paired
differences, figures, page and files. Temporal similarity looks at further windows of the videos, and so has further
passes; it is not in the comparison.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from limits import check, finish, timed
from star import moving_shape

from analysis.compare import compare
from analysis.inputs.backbone.features import FeatureExtractor
from analysis.inputs.video.clips import place_clips, read_clip
from analysis.settings import Settings
from fima.checkpoints import LoadedBackbone, save_backbone, untrained_backbone
from fima.data.readers.file import VideoReader
from fima.data.transcode.encode import write_video
from fima.transforms.motion import frame_difference
from fima.transforms.normalize import normalize

CLIPS, SIZE, BATCH, ROUNDS, LIMIT = 64, 112, 8, 3, 1.15


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        videos = _videos(folder)
        extractors, files = zip(*(_checkpoint(folder, seed) for seed in (1, 2)), strict=True)
        settings = Settings(video=tuple(map(str, videos)), size=SIZE, batch_size=BATCH)
        warm = torch.zeros(BATCH, 3, 16, SIZE, SIZE).contiguous(memory_format=torch.channels_last_3d)
        _forwards(extractors, [warm, warm])
        decode, forward, whole = [], [], []
        for round_ in range(ROUNDS):
            taken, batches = timed(lambda: _decode(videos, extractors[0].loaded))
            decode.append(taken)
            forward.append(timed(lambda batches=batches: _forwards(extractors, batches))[0])  # type: ignore[misc]
            out = folder / f"out{round_}"
            whole.append(timed(lambda out=out: _compare(settings, files, out))[0])  # type: ignore[misc]
    bare = statistics.median(decode) + statistics.median(forward)
    said = (
        f"decoding once {statistics.median(decode):.2f} s + two bare passes of both {statistics.median(forward):.2f} s"
    )
    said = f"compare, 2 checkpoints, {CLIPS} clips, I3D at {SIZE} px: {statistics.median(whole):.2f} s over ({said})"
    check(said, statistics.median(whole) / bare, most=LIMIT)


def _compare(settings: Settings, files: tuple[str, ...], out: Path) -> None:
    compare(settings, files, measures=("cam", "affinity"), untrained=False).save(out)


def _checkpoint(folder: Path, seed: int) -> tuple[FeatureExtractor, str]:
    loaded = untrained_backbone("i3d", seed=seed)
    loaded = replace(loaded, input=loaded.input.replace(size=SIZE))
    file = save_backbone(folder / f"seed{seed}.pth", loaded.backbone, arch="i3d", input=loaded.input)
    return FeatureExtractor(loaded), str(file)


def _videos(folder: Path) -> list[Path]:
    paths = []
    for i in range(CLIPS):
        frames = moving_shape(i, num_frames=64, height=240, width=320).frames
        paths.append(folder / f"{i}.mp4")
        write_video(paths[-1], [frame.transpose(1, 2, 0) for frame in frames], fps=25)
    return paths


def _decode(videos: list[Path], loaded: LoadedBackbone) -> list[torch.Tensor]:
    """Read each clip by itself, as plainly as the reader allows, and batch them."""
    place = place_clips(loaded.input)
    clips = []
    for path in videos:
        with VideoReader(path) as reader:
            clips.append(read_clip(reader, place(reader.seconds, reader.duration_seconds)[0], loaded.input))
    frames = torch.stack(clips).permute(0, 2, 1, 3, 4)
    return [b.to(torch.float32, memory_format=torch.channels_last_3d) / 255 for b in torch.split(frames, BATCH)]


def _forwards(extractors: Sequence[FeatureExtractor], batches: list[torch.Tensor]) -> None:
    """The two passes of every backbone alone, on inputs laid out as the backbone is quickest."""
    with torch.inference_mode():
        for extractor, batch in itertools.product(extractors, batches):
            for inputs in (batch, frame_difference(batch, boundary="repeat")):
                inputs = normalize(inputs, extractor.loaded.input)
                extractor.backbone(inputs.contiguous(memory_format=torch.channels_last_3d))


if __name__ == "__main__":
    main()
    finish()
