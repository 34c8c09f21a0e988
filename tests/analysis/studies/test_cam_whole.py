"""Activation along whole videos: films as long, fast and large as the video, and curves over its true times."""

import json

import av
import numpy as np
import pytest
import torch
from torch import nn

import analysis
from analysis.cli import main
from analysis.settings import Settings
from analysis.studies import open_session
from analysis.studies.cam.whole import takes_whole_frames
from fima.data.readers.file import VideoReader
from fima.data.transcode.encode import write_video
from fima.errors import InputError
from fima.methods.activation import class_agnostic_activation_map

SMALL = {"size": 32, "num_frames": 8, "frame_stride": 1}


def _write(path, length=30, shape=(40, 64), seconds=None):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    frames = [((rows + 3 * columns + 9 * t) % 256).astype(np.uint8)[..., None].repeat(3, axis=2) for t in range(length)]
    return write_video(path, frames, fps=12.5, seconds=seconds)


def _decoded(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        return (stream.width, stream.height), [float(frame.time) for frame in frames], float(stream.average_rate)


class _Squares(nn.Module):
    """A network with a position for each of its 4 × 4 cells."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, 6, (2, 8, 8), stride=(2, 8, 8))
        self.position = nn.Parameter(torch.randn(6, 1, 4, 4))

    def forward(self, clip):
        return self.conv(clip) + self.position


def test_the_film_has_the_videos_length_rate_and_size(tmp_path, capsys):
    video = _write(tmp_path / "my.mp4", 30)
    out = tmp_path / "out"
    words = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    assert main(["cam", "--whole", "--ckpt", "random", "--video", str(video), "--out", str(out), *words]) == 0
    assert _decoded(out / "cam.mp4") == _decoded(video)
    content = json.loads((out / "cam.json").read_text())
    assert content["provenance"]["whole"] == {"hop": 4, "weight": "triangular"}
    assert content["provenance"]["crop"] == "whole frame"
    loaded = analysis.load(out / "cam")
    assert loaded.arrays["whole_0_rgb_map"].shape == (30, 4, 6)
    assert loaded.figure().get_axes()


def test_curves_stand_at_the_times_of_the_frames(tmp_path):
    seconds = np.cumsum([0.0] + [0.04, 0.16] * 10)[:20]
    study = analysis.run("cam", "random", video=_write(tmp_path / "v.mp4", 20, seconds=seconds), whole=True, **SMALL)
    np.testing.assert_allclose(study.arrays["whole_0_seconds"], seconds, atol=1e-3)
    assert study.arrays["whole_0_activation"].shape == study.arrays["whole_0_energy"].shape == (20,)
    study.save(tmp_path / "out")
    np.testing.assert_allclose(_decoded(tmp_path / "out" / "cam.mp4")[1], seconds, atol=1e-3)


@pytest.mark.parametrize("normalize", ["frame", "clip"])
def test_of_a_video_as_long_as_a_clip_the_maps_are_the_clips(tmp_path, normalize):
    video = _write(tmp_path / "v.mp4", 8, shape=(40, 40))
    whole = analysis.run("cam", "random", video=video, whole=True, normalize=normalize, **SMALL)
    plain = analysis.run("cam", "random", video=video, normalize=normalize, **SMALL)
    for name in ("rgb", "motion"):
        session = open_session(Settings(ckpt="random", video=(str(video),), **SMALL))
        (batch,) = session.stream().batches(1)
        maps = getattr(session.extractor(batch[0].frames.movedim(1, 0)[None].float() / 255), name)
        expected = class_agnostic_activation_map(maps, size=(8, 4, 4), normalize=normalize)[0].numpy()
        tolerance = 2e-3 if normalize == "frame" else 0.1  # scaled before, or after, it is stretched in time
        np.testing.assert_allclose(whole.arrays[f"whole_0_{name}_map"], expected, atol=tolerance)
    assert whole.per_video().equals(plain.per_video())


def test_where_nothing_moves_but_in_the_middle_the_curve_rises_there(tmp_path):
    still = np.full((40, 40, 3), 90, np.uint8)
    noise = np.random.default_rng(0).integers(0, 255, (20, 40, 40, 3), np.uint8)
    frames = [*[still] * 30, *noise, *[still] * 30]
    write_video(tmp_path / "v.mp4", frames, fps=10)
    energy = analysis.run("cam", "random", video=tmp_path / "v.mp4", whole=True, **SMALL).arrays["whole_0_energy"]
    assert energy[:20].max() < 0.02 < 0.1 < energy[36:44].min()


def test_a_backbone_of_squares_sees_the_square_which_is_marked(tmp_path):
    video = _write(tmp_path / "v.mp4", 24, shape=(40, 64))
    study = analysis.run("cam", _Squares(), video=video, whole=True, **SMALL)
    assert study.arrays["whole_0_rgb_map"].shape == (24, 4, 4)
    np.testing.assert_allclose(study.arrays["whole_0_region"], [0, 9 / 51, 1, 32 / 51])
    assert "square" in study.provenance["crop"]
    assert "square is what the backbone sees" in study.figure().get_suptitle()
    study.save(tmp_path / "out")
    with VideoReader(tmp_path / "out" / "cam.mp4") as reader, VideoReader(video) as own:
        film, plain = (r.frames([12])[0].float().mean(0) for r in (reader, own))
    outside = (film - plain).abs()[:, :8].mean()
    edge = film[4:-4, 9:15].amax(dim=1) - film[4:-4, 9:15].amin(dim=1)
    assert outside < 6
    assert edge.min() > 60


def test_videos_of_several_shapes_each_get_a_film(tmp_path):
    videos = [_write(tmp_path / f"{i}.mp4", 12 + 6 * i, shape=(40, 40 + 16 * i)) for i in range(2)]
    study = analysis.run("cam", "random", video=videos, whole=True, **SMALL)
    files = study.save(tmp_path / "out")
    films = [path for path in files if path.suffix == ".mp4"]
    assert [path.name for path in films] == ["01-0.mp4", "02-1.mp4"]
    assert [_decoded(film)[0] for film in films] == [(40, 40), (56, 40)]
    assert len(study.per_video()) == 2


def test_progress_counts_windows(tmp_path):
    seen = []
    video = _write(tmp_path / "v.mp4", 30)
    settings = Settings(ckpt="random", video=(str(video),), whole=True, batch_size=2, **SMALL)
    analysis.studies.run("cam", settings, lambda done, total: seen.append((done, total)))
    assert seen == [(2, 7), (4, 7), (6, 7), (7, 7)]


def test_frames_in_memory_get_no_film(tmp_path):
    clip = np.random.default_rng(0).integers(0, 255, (20, 40, 40, 3), np.uint8)
    study = analysis.run("cam", "random", clip=clip, whole=True, **{**SMALL, "num_frames": 8})
    assert not [path for path in study.save(tmp_path / "out") if path.suffix == ".mp4"]


def test_what_does_not_go_together_is_refused():
    for other in ({"clips": 2}, {"start_seconds": 1.0}):
        with pytest.raises(InputError, match="whole takes all of a video"):
            Settings(whole=True, **other)
    with pytest.raises(InputError, match="--hop 9: windows of 8 frames would leave frames out"):
        analysis.run("cam", "random", whole=True, hop=9, **SMALL)
    with pytest.raises(InputError, match="whole must be true or false"):
        Settings(whole="yes")


def test_whether_a_backbone_takes_whole_frames_is_tried():
    assert takes_whole_frames(open_session(Settings(ckpt="random", **SMALL)))
