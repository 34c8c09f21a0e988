"""Studies: right numbers from right clips, whole videos only, equal runs equal bytes."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.text import Text

from analysis.inputs.backbone.features import FeatureExtractor
from analysis.inputs.video.clips import read_clip
from analysis.measures.affinity import affinity_scores, spatial_affinity
from analysis.measures.temporal import temporal_similarity
from analysis.settings import DEFAULT_CKPT, Settings
from analysis.studies import CORE, open_session, run
from analysis.studies.common.collecting import Examples
from fima.checkpoints import load_backbone, untrained_backbone
from fima.data.readers.file import VideoReader
from fima.errors import InputError, VideoError

SHAPE = {"num_frames": 8, "frame_stride": 2, "size": 56}
SMALL = {"ckpt": "random", **SHAPE}
WITHOUT_MASKS = [measure for measure in CORE if measure not in ("localize", "mover")]


def _by_hand(path, start):
    """RGB and motion features of one clip, the long way."""
    loaded = untrained_backbone("tiny", seed=0)
    loaded = replace(loaded, input=loaded.input.replace(**SHAPE))
    with VideoReader(path) as reader:
        frames = read_clip(reader, start, loaded.input)
    return FeatureExtractor(loaded)(frames.movedim(1, 0)[None].float() / 255)


@pytest.mark.parametrize("measure", [*CORE, "attribution"])
def test_every_study_runs_on_the_built_in_defaults(measure):
    # Gradients at full size and number take a minute; the command's own tests run them.
    study = run(
        measure, Settings(show=2, **({"num_frames": 8, "size": 56, "steps": 2} if measure == "attribution" else {}))
    )
    assert not study.untrained
    assert study.scores
    # A curve need not fall: only its width may be undefined.
    assert all(np.isfinite(summary.mean) for name, summary in study.scores.items() if "half_width" not in name)
    name = "small-fima" if measure in ("cam", "localize", "mover") else DEFAULT_CKPT
    assert f"{name.split('-')[0]} ({name})" in study.figure().get_suptitle()
    checkpoint = study.report()["provenance"]["checkpoint"]
    assert (checkpoint["path"], checkpoint["sha256"]) == (name, load_backbone(name).sha256)
    assert study.report()["provenance"]["inputs"]["video"] == ["procedural"]


@pytest.mark.parametrize(("ckpt", "seed", "arch"), [("random", 3, None), ("random:3", 0, None), (None, 3, "tiny")])
def test_untrained_weights_on_request(ckpt, seed, arch):
    study = run("affinity", Settings(ckpt=ckpt, seed=seed, arch=arch, video=()))
    assert study.untrained
    assert study.report()["provenance"]["checkpoint"]["path"] is None
    assert "UNTRAINED" in study.figure().get_suptitle()
    session = open_session(Settings(ckpt=ckpt, seed=seed, arch=arch))
    expected = untrained_backbone("tiny", seed=3).backbone.state_dict()
    for name, value in session.loaded.backbone.state_dict().items():
        assert torch.equal(value, expected[name])


def test_affinity_of_a_real_clip_is_the_measure_of_its_features(clips_dir):
    study = run("affinity", Settings(video=str(clips_dir / "dog.mp4"), start_seconds=0.4, **SMALL))
    with VideoReader(clips_dir / "dog.mp4") as reader:
        start = round(0.4 * reader.fps)
    features = _by_hand(clips_dir / "dog.mp4", start)
    expected = spatial_affinity(features.rgb, features.motion)
    np.testing.assert_allclose(study.arrays["affinity_mean"], expected[0].numpy(), atol=1e-5)
    for name, value in affinity_scores(expected).items():
        assert study.scores[name].mean == pytest.approx(float(value[0]), abs=1e-3)
    assert study.scores["top1_agreement"].chance == pytest.approx(1 / 49)


def test_the_mean_is_over_videos_however_many_clips_each_has(clips_dir):
    videos = [str(clips_dir / name) for name in ("dog.mp4", "bear.mp4")]
    both = run("affinity", Settings(video=videos, clips=3, batch_size=4, **SMALL))
    alone = [run("affinity", Settings(video=video, clips=3, **SMALL)) for video in videos]
    np.testing.assert_allclose(
        both.arrays["affinity_mean"], np.mean([study.arrays["affinity_mean"] for study in alone], axis=0), atol=1e-5
    )
    np.testing.assert_allclose(
        both.video_scores["contrast"], [study.scores["contrast"].mean for study in alone], atol=1e-5
    )
    assert both.scores["contrast"].num_videos == 2


def test_temporal_reads_windows_along_the_whole_video(clips_dir):
    path = clips_dir / "dog.mp4"
    study = run("temporal", Settings(video=str(path), hop=5, **SMALL))
    with VideoReader(path) as reader:
        starts = range(0, len(reader) - 15 + 1, 5)
    rgb, motion = [], []
    for start in starts:
        features = _by_hand(path, start)
        rgb.append(features.rgb[0].mean(dim=(1, 2, 3)))
        motion.append(features.motion[0].mean(dim=(1, 2, 3)))
    cosine = (
        torch.nn.functional.normalize(torch.stack(rgb), dim=1)
        @ torch.nn.functional.normalize(torch.stack(motion), dim=1).T
    )
    at = {
        int(frames): value
        for frames, value in zip(study.arrays["offset_frames"], study.arrays["offset_mean"], strict=True)
    }
    for step in (-2, 0, 1, 3):
        assert at[5 * step] == pytest.approx(float(cosine.diagonal(step).mean()), abs=1e-5)


def test_temporal_slices_are_those_of_the_chosen_clip(clips_dir):
    path = clips_dir / "dog.mp4"
    study = run("temporal", Settings(video=str(path), start_seconds=0.0, num_frames=16, frame_stride=1, size=56))
    loaded = load_backbone(DEFAULT_CKPT)
    loaded = replace(loaded, input=loaded.input.replace(num_frames=16, frame_stride=1, size=56))
    with VideoReader(path) as reader:
        frames = read_clip(reader, 0, loaded.input)
    features = FeatureExtractor(loaded)(frames.movedim(1, 0)[None].float() / 255)
    expected = temporal_similarity(features.rgb, features.motion)[0]
    np.testing.assert_allclose(study.arrays["similarity_mean"], expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("measure", WITHOUT_MASKS)
def test_equal_runs_give_equal_bytes(measure, tmp_path, clips_dir):
    settings = Settings(video=(str(clips_dir / "yoga.mp4"), str(clips_dir / "cars.mp4")), clips=2, **SMALL)
    for name in ("one", "two"):
        run(measure, settings).save(tmp_path / name)
    one, two = tmp_path / "one", tmp_path / "two"
    for kind in ("npz", "png"):
        assert (one / f"{measure}.{kind}").read_bytes() == (two / f"{measure}.{kind}").read_bytes()
    first, second = (json.loads((folder / f"{measure}.json").read_text()) for folder in (one, two))
    assert first.pop("created")
    assert second.pop("created")
    assert first == second


def test_the_saved_arrays_are_what_is_drawn(tmp_path):
    study = run("affinity", Settings(show=1))
    study.save(tmp_path)
    saved = np.load(tmp_path / "affinity.npz")
    matrix = next(ax for ax in study.figure().axes + _below(study.figure()) if ax.get_title() == "mean affinity")
    np.testing.assert_array_equal(matrix.images[0].get_array(), saved["affinity_mean"])
    np.testing.assert_array_equal(saved["video_id"], ["procedural"])


def _below(figure):
    return [ax for sub in figure.subfigs for ax in sub.axes]


def test_one_color_range_for_all_panels_that_are_compared():
    study = run("affinity", Settings(show=1))
    axes = _below(study.figure())
    limits = {image.get_clim() for ax in axes for image in ax.images if image.get_cmap().name == "viridis"}
    assert len(limits) == 1


def test_cam_films_show_every_frame(tmp_path, clips_dir):
    study = run("cam", Settings(video=str(clips_dir / "dog.mp4"), **SMALL))
    study.save(tmp_path)
    with VideoReader(tmp_path / "cam.mp4") as film:
        assert film.codec == "h264"
        assert len(film) % 8 == 0
        frame = film.frames([0])[0]
    original = torch.from_numpy(study.arrays["example_frames"][0, 0]).movedim(-1, 0)
    assert frame.shape == (3, 224 + 24, 3 * 224 + 8)
    assert frame[:, :24].float().mean() > 200  # the names of the panels, black on white
    assert all(frame[:, :24, at : at + 224].min() < 100 for at in (0, 228, 456))
    shown = frame[:, 24:, :224]
    assert (shown.float() - original.float()).abs().mean() < 6  # the left panel, but for compression


def test_several_videos_give_several_films(tmp_path, clips_dir):
    videos = [str(clips_dir / name) for name in ("dog.mp4", "bear.mp4", "cars.mp4")]
    run("cam", Settings(video=videos, show=2, **SMALL)).save(tmp_path)
    assert sorted(path.name for path in (tmp_path / "cam").iterdir()) == ["01-dog.mp4", "02-cars.mp4"]


@pytest.fixture
def broken_data(tmp_path, clips_dir):
    """A data set of which one video is cut and one is text."""
    folder = tmp_path / "data" / "class"
    folder.mkdir(parents=True)
    for name in ("dog.mp4", "bear.mp4", "cars.mp4"):
        (folder / name).write_bytes((clips_dir / name).read_bytes())
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("not a video")
    return tmp_path / "data"


def test_broken_videos_of_a_data_set_are_skipped_and_listed(broken_data, tmp_path):
    study = run("affinity", Settings(data=str(broken_data), **SMALL))
    study.save(tmp_path / "out")
    assert list(study.skipped) == ["class/empty", "class/text"]
    assert study.untrained
    assert study.scores["contrast"].num_videos == 3
    rows = (tmp_path / "out" / "skipped.csv").read_text().splitlines()
    assert rows[0] == "video_id,reason"
    assert [row.split(",")[0] for row in rows[1:]] == ["class/empty", "class/text"]


def test_a_data_set_of_broken_videos_only_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.mp4").write_text("not a video")
    with pytest.raises(InputError, match=r"none of its 1 videos can be used; the first: .*x\.mp4"):
        run("cam", Settings(data=str(tmp_path)))


def test_a_given_broken_video_is_refused_before_anything_runs(broken_data):
    with pytest.raises(VideoError, match=r"text\.mp4"):
        open_session(Settings(video=str(broken_data / "class" / "text.mp4")))


def test_progress_reaches_the_number_of_videos(broken_data):
    seen = []
    run("cam", open_session(Settings(data=str(broken_data), **SMALL)), lambda done, total: seen.append((done, total)))
    assert seen[-1] == (5, 5)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_real_data_set_by_video(fight_dir):
    study = run("affinity", Settings(data=str(fight_dir), split="test", num_frames=4, frame_stride=2, size=56, show=3))
    assert study.scores["auroc"].num_videos == len(study.video_scores["video_id"]) >= 8
    low, mean, high = (getattr(study.scores["auroc"], name) for name in ("low", "mean", "high"))
    assert low < mean < high
    assert len(study.arrays["example_frame"]) == 3


def test_a_single_position_has_no_affinity():
    with pytest.raises(InputError, match="at least 2 positions, tiny gives 1 x 1"):
        run("affinity", Settings(size=8, num_frames=4))


@pytest.mark.parametrize("measure", ["cam", "affinity"])
@pytest.mark.parametrize("broken", [["a.mp4"], ["d.mp4"], ["a.mp4", "b.mp4", "d.mp4"]], ids=["first", "last", "most"])
def test_a_broken_video_gives_its_place_in_the_figure_to_the_next(measure, broken, tmp_path, clips_dir):
    for name in ("a.mp4", "b.mp4", "c.mp4", "d.mp4"):
        content = b"not a video" if name in broken else (clips_dir / "dog.mp4").read_bytes()
        (tmp_path / name).write_bytes(content)
    for show in (1, 2, 4):
        study = run(measure, Settings(data=str(tmp_path), show=show, **SMALL))
        shown = study.arrays["example_video_id"].tolist()
        assert len(set(shown)) == len(shown) >= 1
        assert not {f"{name}.mp4" for name in shown} & set(broken)
        assert study.figure().axes or study.figure().subfigs
    assert len(study.skipped) == len(broken)


def test_examples_are_spread_and_never_too_many():
    chosen = Examples(10, 4)
    assert [index for index in range(10) if chosen.take(index)] == [0, 3, 6, 9]
    chosen = Examples(10, 4)
    assert [index for index in range(2, 10) if chosen.take(index)] == [2, 3, 6, 9]
    chosen = Examples(2, 8)
    assert [index for index in range(2) if chosen.take(index)] == [0, 1]


def test_listed_videos_that_are_not_there_are_skipped_too(tmp_path, clips_dir):
    (tmp_path / "dog.mp4").write_bytes((clips_dir / "dog.mp4").read_bytes())
    (tmp_path / "list.txt").write_text("dog.mp4 0\ngone.mp4 1\n")
    study = run("affinity", Settings(data=str(tmp_path / "list.txt"), **SMALL))
    assert list(study.skipped) == ["gone.mp4"]
    study.save(tmp_path / "out")
    assert "gone.mp4" in (tmp_path / "out" / "skipped.csv").read_text()


def test_a_second_run_leaves_nothing_of_the_first(tmp_path, clips_dir):
    videos = [str(clips_dir / name) for name in ("dog.mp4", "bear.mp4")]
    (tmp_path / "mine.txt").write_text("keep")
    run("cam", Settings(video=videos, **SMALL)).save(tmp_path, formats=("png", "svg"))
    (tmp_path / "skipped.csv").write_text("mine too")
    with pytest.raises(InputError, match=r"another run's cam \(video"):
        run("cam", Settings(video=videos[0], **SMALL)).save(tmp_path)
    run("cam", Settings(video=videos[0], **SMALL)).save(tmp_path, overwrite=True)
    names = ["cam.json", "cam.mp4", "cam.npz", "cam.png", "mine.txt", "skipped.csv"]
    assert sorted(path.name for path in tmp_path.glob("[!.]*")) == names


def test_short_videos_are_named_as_repeated_and_keep_their_times(clips_dir):
    study = run("cam", Settings(video=str(clips_dir / "h265.mp4"), clips=5))
    assert study.repeated == ["h265"]
    assert len(study.arrays["example_video_id"]) == 1
    assert study.arrays["example_seconds"].max() < 1.01  # the video is ten frames long
    assert "repeated in time: 1 video" in study.figure().get_suptitle()
    assert run("cam", Settings(video=str(clips_dir / "dog.mp4"))).repeated == []


@pytest.mark.parametrize("measure", WITHOUT_MASKS)
def test_names_are_drawn_as_they_are(measure, tmp_path, clips_dir):
    video = tmp_path / "a $x^{2 b$ %s \u4e2d.mp4"
    video.write_bytes((clips_dir / "h265.mp4").read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(measure, Settings(video=str(video), **SMALL)).save(tmp_path / "out")
    assert (tmp_path / "out" / f"{measure}.png").exists()


def test_one_slice_and_one_window_say_so(clips_dir):
    study = run("temporal", Settings(video=str(clips_dir / "h265.mp4"), num_frames=8, layer=None))
    words = " ".join(text.get_text() for text in study.figure().findobj(Text))
    assert "nothing to compare" in words
    if len(study.arrays["similarity_mean"]) == 1:
        assert "contrast" not in study.scores


def test_each_slice_has_its_own_motion_frame(clips_dir):
    study = run("affinity", Settings(video=str(clips_dir / "dog.mp4"), size=56))
    first, second = study.arrays["example_slice_motion_frame"][0]
    assert not np.array_equal(first, second)
    times = study.arrays["example_slice_seconds"][0]
    with VideoReader(clips_dir / "dog.mp4") as reader:
        assert times[1] - times[0] == pytest.approx(16 / reader.fps)


def test_chance_of_cam_is_another_videos_motion(clips_dir):
    videos = [str(clips_dir / name) for name in ("dog.mp4", "bear.mp4", "cars.mp4")]
    several = run("cam", Settings(video=videos, **SMALL))
    assert several.scores["rgb_motion_correlation"].chance is not None
    assert run("cam", Settings(video=videos[0], **SMALL)).scores["rgb_motion_correlation"].chance is None


def test_normalize_over_the_clip_keeps_frames_comparable(clips_dir):
    dog = {"ckpt": "tiny-fima", "video": str(clips_dir / "dog.mp4"), "size": 56}
    frame, clip = (run("cam", Settings(normalize=how, **dog)).arrays["example_rgb_map"][0] for how in ("frame", "clip"))
    # T' = 2: the first and the last frame hold one slice each, untouched by the other.
    assert frame[0].max() == pytest.approx(frame[-1].max(), abs=0.05)
    # Only one slice holds the clip's minimum; within the frame, interpolation may stay a little above it.
    lowest, other = sorted((float(clip[0].min()), float(clip[-1].min())))
    assert lowest == pytest.approx(0, abs=0.02)
    assert other > lowest + 0.02


def test_flat_maps_after_an_untrained_norm_are_said():
    settings = {"arch": "videomae-tiny", "size": 32, "num_frames": 4}
    flat, read_before = (run("localize", Settings(**settings, layer=layer)) for layer in (None, "blocks.2"))
    assert flat.scores["auroc"].mean == 0.5
    assert [note for note in flat.notes() if "maps of the features' strength are flat" in note]
    assert read_before.scores["auroc"].mean != 0.5
    assert not any("flat" in note for note in read_before.notes())
    assert not any("flat" in note for note in run("localize", Settings(size=56, num_frames=4)).notes())
