"""Motion sensitivity over videos: the study and its figure."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.collections import PathCollection
from matplotlib.text import Text

from analysis.cli import main
from analysis.inputs.sessions import Session, open_session
from analysis.inputs.video.clips import ClipTruth, read_clip
from analysis.inputs.video.partners import partners_of
from analysis.inputs.video.truth import drawn_backgrounds
from analysis.inputs.video.videos import VideoSource, list_videos
from analysis.measures.sensitivity import (
    ALTERATIONS,
    cosine_distance,
    replace_background,
)
from analysis.plotting.sensitivity import altered_names, draw_distances
from analysis.plotting.style import new_figure
from analysis.settings import Settings
from analysis.studies.sensitivity import run
from fima.errors import InputError


class SessionWithTruth(Session):
    """Masks are the left half of the picture; videos in ``unknown`` lack them in one frame."""

    unknown = ()

    def stream(self, place=None, *, truth=False, cell=0):
        stream, spec = super().stream(place), self.spec
        plain = stream._decode

        def masked():
            for clip in plain():
                mask = torch.zeros(spec.num_frames, spec.size, spec.size, dtype=torch.bool)
                mask[:, :, : spec.size // 2] = True
                known = torch.ones(spec.num_frames, dtype=torch.bool)
                known[0] = clip.video.video_id not in self.unknown
                yield replace(clip, truth=ClipTruth(mask, known))

        stream._decode = masked
        return stream


def _session(videos=3, kind=Session, **settings):
    opened = open_session(Settings(**({"num_frames": 8, "size": 32} | settings)))
    sources = [VideoSource(f"shape {i}", None, seed=i) for i in range(videos)]
    return kind(opened.settings, opened.loaded, opened.extractor, sources)


def _pooled(session, clip):
    with torch.no_grad():
        return session.extractor.feature_map(clip).mean(dim=(2, 3, 4))


def _clips(session):
    clips = []
    for video in session.videos:
        with video.open() as reader:
            start = (len(reader) - (session.spec.num_frames - 1) * session.spec.frame_stride - 1) // 2
            clips.append(read_clip(reader, start, session.spec).movedim(1, 0)[None].float() / 255)
    return clips


def test_the_built_in_video_has_all_that_needs_no_other_and_no_mask():
    study = run(open_session(Settings(ckpt="random")))
    assert set(study.scores) == set(ALTERATIONS)
    assert all(0 < summary.mean < 2 and summary.chance is None for summary in study.scores.values())
    assert study.arrays["example_name"].tolist() == ["original", *ALTERATIONS]
    figure = study.figure()
    assert "UNTRAINED" in figure.get_suptitle()
    assert any("no motion share" in text.get_text() for text in figure.findobj(Text))


def test_equal_runs_give_equal_bytes(tmp_path):
    for name in ("one", "two"):
        run(_session(kind=SessionWithTruth, seed=3)).save(tmp_path / name)
    for kind in ("npz", "png"):
        one, two = ((tmp_path / name / f"sensitivity.{kind}").read_bytes() for name in ("one", "two"))
        assert one == two


def test_scores_are_the_distances_of_the_features_of_each_video():
    session = _session()
    study = run(session)
    clips = _clips(session)
    for i, clip in enumerate(clips):
        for name, alter in ALTERATIONS.items():
            expected = cosine_distance(_pooled(session, clip), _pooled(session, alter(clip, 0)))
            assert study.video_scores[name][i] == pytest.approx(float(expected), abs=1e-6), name
    pooled = torch.cat([_pooled(session, clip) for clip in clips])
    others = [float(cosine_distance(pooled[[i, i]], pooled[[j for j in range(3) if j != i]]).mean()) for i in range(3)]
    np.testing.assert_allclose(study.video_scores["other_video"], others, atol=1e-6)


class _Filmed(VideoSource):
    """A video whose background nobody knows."""

    drawn = False


@pytest.mark.parametrize("kind", [VideoSource, _Filmed])
def test_the_background_is_that_of_a_partner(kind):
    session = _session(kind=SessionWithTruth)
    session = replace(session, videos=[kind(video.video_id, None, seed=video.seed) for video in session.videos])
    study = run(session)
    clips = _clips(session)
    mask = torch.zeros(1, 8, 32, 32, dtype=torch.bool)
    mask[..., :16] = True
    partners = partners_of(session.videos)
    for i, video in enumerate(session.videos):
        partner = partners[video.video_id][0]
        place = session.videos.index(partner)
        background = clips[place][:, :, 4:5]
        if kind is VideoSource:
            with partner.open() as reader:
                start = (len(reader) - (session.spec.num_frames - 1) * session.spec.frame_stride - 1) // 2
            alone = drawn_backgrounds(partner, start, session.spec)
            background = alone[:1].movedim(0, 1)[None].float() / 255
        changed = replace_background(clips[i], mask, background)
        expected = float(cosine_distance(_pooled(session, clips[i]), _pooled(session, changed)))
        assert study.video_scores["background_replaced"][i] == pytest.approx(expected, abs=1e-6)
        share = study.video_scores["frozen"][i] / (study.video_scores["frozen"][i] + expected)
        assert study.video_scores["motion_share"][i] == pytest.approx(share, abs=1e-3)
    assert study.scores["motion_share"].chance == 0.5
    assert study.arrays["example_video_id"] == "shape 0"
    assert study.arrays["example_name"][-1] == "background_replaced"


def test_the_order_of_the_list_changes_nothing():
    session = _session(4, SessionWithTruth)
    one, other = (run(replace(session, videos=order)) for order in (session.videos, session.videos[::-1]))
    assert one.video_scores["video_id"].tolist() == other.video_scores["video_id"].tolist()[::-1]
    for name in set(one.video_scores) - {"video_id"}:
        np.testing.assert_allclose(one.video_scores[name], other.video_scores[name][::-1], atol=1e-6)


def test_nothing_depends_on_the_size_of_the_batches():
    one, many = (run(_session(4, SessionWithTruth, clips=2, batch_size=size)) for size in (1, 5))
    assert set(one.video_scores) == set(many.video_scores)
    for name in set(one.video_scores) - {"video_id", "motion_share"}:
        np.testing.assert_allclose(one.video_scores[name], many.video_scores[name], atol=1e-6)
    assert np.array_equal(one.arrays["example_frames"], many.arrays["example_frames"])


def test_a_mask_that_is_unknown_in_a_frame_is_not_used():
    study = run(_session(kind=type("Kind", (SessionWithTruth,), {"unknown": ("shape 1",)})))
    assert np.isnan(study.video_scores["motion_share"]).tolist() == [False, True, False]
    assert study.scores["motion_share"].num_videos == 2
    assert study.arrays["example_video_id"] == "shape 0"


def test_a_broken_video_gives_no_other_video(tmp_path, clips_dir):
    for name in ("dog", "bear", "cars"):
        (tmp_path / f"{name}.mp4").write_bytes((clips_dir / f"{name}.mp4").read_bytes())
    small = {"data": str(tmp_path), "num_frames": 8, "size": 32}
    whole = run(open_session(Settings(**small)))
    (tmp_path / "bearded.mp4").write_bytes(b"not a video")
    broken = run(open_session(Settings(**small)))
    assert list(broken.skipped) == ["bearded"]
    np.testing.assert_allclose(whole.video_scores["other_video"], broken.video_scores["other_video"], atol=1e-6)


def test_the_figure_draws_the_saved_numbers():
    study = run(_session(4, SessionWithTruth))
    ax = draw_distances(study.arrays, ax=new_figure(3).subplots())
    rows = altered_names(study.arrays)
    assert sorted(rows) == sorted(study.arrays["example_name"][1:])
    means = {
        rows[round(float(y))]: float(x)
        for points in ax.collections
        if isinstance(points, PathCollection) and len(points.get_offsets()) == 1
        for x, y in points.get_offsets()
    }
    assert means == {name: study.arrays[f"summary_{name}"][0] for name in rows}
    share = study.scores["motion_share"]
    assert ax.get_title().startswith(f"motion share {share.mean:.2f} [{share.low:.2f}, {share.high:.2f}]")


def test_a_motion_share_of_nothing_says_so():
    study = run(_session(2, SessionWithTruth))
    arrays = study.arrays | {"summary_motion_share": np.array([np.nan, np.nan, np.nan, 0.5])}
    assert "neither" in replace(study, arrays=arrays).figure().axes[-1].get_title()


def test_the_battery_is_of_the_same_passes_and_says_what_drawn_videos_are(capsys, tmp_path):
    flags = [
        "--data",
        "shapes:noise,videos=50,seed=25,num_frames=16",
        "--num-frames",
        "4",
        "--size",
        "32",
        "--ckpt",
        "random",
    ]
    assert main(["sensitivity", *flags, "--battery", "--out", str(tmp_path / "out")]) == 0
    scores = json.loads((tmp_path / "out" / "sensitivity.json").read_text())["scores"]
    assert scores["probe_frozen"]["low"] < scores["probe_frozen"]["chance"]  # one frame of noise carries nothing
    assert {"arrow_of_time", "chirality", "chirality_clockwise_vs_counter_clockwise", "order_gain"} <= scores.keys()
    assert scores["chirality_clockwise_vs_counter_clockwise"]["num_videos"] == 12
    assert main(["sensitivity", *flags, "--pairs", "clockwise:spinning"]) == 2
    assert "pairs clockwise:spinning are for the battery" in capsys.readouterr().err


def test_pairs_that_are_asked_for_take_the_place_of_the_drawn_ones():
    session = _session(
        0, data="shapes:easy,videos=50,seed=25,num_frames=16", battery=True, pairs=("horizontal:vertical",)
    )
    study = run(replace(session, videos=list_videos(session.settings).videos))
    assert [name for name in study.scores if "_vs_" in name] == ["chirality_horizontal_vs_vertical"]
    told = {video.video_id for video in list_videos(session.settings).videos if video.label in (0, 1)}
    seen = study.video_scores["video_id"][~np.isnan(study.video_scores["chirality"])]
    assert set(seen) == told
    figures = study.figures()
    assert list(figures) == ["sensitivity", "sensitivity-alterations", "sensitivity-battery"]
    figure = figures["sensitivity-battery"]
    assert "Temporal battery" in figure.get_suptitle()
    assert len(figure.axes) == 1
    assert not any("probe" in ax.get_title() for ax in study.figure().axes)  # each figure says one thing


def test_the_battery_needs_classes(clips_dir):
    with pytest.raises(InputError, match="--battery needs a data set whose videos have classes"):
        run(open_session(Settings(video=str(clips_dir / "dog.mp4"), battery=True)))
