"""FIMA's mechanism over videos: what the method computes, the study, the command."""

import json

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from matplotlib.patches import ConnectionPatch
from matplotlib.text import Text
from torch import nn
from torch.nn import functional as F

from analysis.cli import main
from analysis.inputs.sessions import open_session
from analysis.measures.common.chance import choose_partners
from analysis.measures.mechanism import (
    mechanism_scores,
    prediction_cosine,
)
from analysis.plotting.mechanism.views import chosen_cell
from analysis.settings import Settings
from analysis.studies.mechanism import study as study_module
from analysis.studies.mechanism.study import Mechanism, run
from fima.checkpoints import save_backbone, untrained_backbone
from fima.checkpoints.files import write_checkpoint
from fima.data.datasets import open_dataset
from fima.data.readers.file import VideoReader
from fima.data.windows import WindowDataset
from fima.errors import CheckpointError, InputError
from fima.methods import FIMA, MaCLR, MoCo, export_method, method_state, save_method
from fima.methods.activation import foreground_mask
from fima.methods.losses import contrast_pixels, unit
from fima.models.heads import Decoded
from fima.seeding import SampleKeys
from fima.transforms.views import Views, make_views

SMALL = {"queue_size": 8, "width": 16, "feedforward": 16, "hidden": 32, "dim": 16}

DATA = "shapes:easy,videos=4"

CLIP = {"num_frames": 8, "size": 32}


def _method(kind=FIMA, seed=0, **settings):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind("tiny", **({**SMALL, **settings} if kind is FIMA else settings))


def _mechanism(method, boundary="wrap"):
    return Mechanism(method, untrained_backbone("tiny"), boundary=boundary, device=torch.device("cpu"))


def _views(n=3, seed=0, frames=32, size=32):
    windows = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, 2, frames, 48, 40, 3), np.uint8))
    return make_views(windows, SampleKeys(seed, 0, np.arange(n)), size=size, num_slices=2)


@pytest.mark.parametrize("settings", [{}, {"decoder": False}, {"foreground": False}, {"frame": False}])
def test_the_trace_is_what_the_pixel_loss_is_made_of(settings):
    method, views = _method(**settings), _views()
    trace = _mechanism(method)(views)
    losses = method.eval().losses(views, augment=False, update=False)
    assert torch.equal(method.observed["mask"], trace.masks)

    grid = trace.masks.shape[2:]

    def maps(rows):
        return rows.mT.reshape(len(rows), -1, *grid)

    terms = []
    for view in (1, 0):
        asked = 1 - view
        for i in range(trace.keys.shape[1]):
            others = torch.cat([trace.keys[view, :i], trace.keys[view, i + 1 :]]).permute(1, 3, 0, 2)
            terms.append(
                contrast_pixels(
                    maps(trace.predicted[asked, i]), maps(trace.keys[view, i]), others, views.boxes[asked],
                    views.boxes[view], trace.masks[asked], trace.masks[view], radius=method.radius,
                )
            )  # fmt: skip
    assert float(torch.stack([term.loss for term in terms]).mean()) == pytest.approx(
        float(losses["pixel"].detach()), abs=1e-5
    )


def test_masks_are_the_foreground_of_the_key_maps():
    method, views = _method(), _views()
    trace = _mechanism(method)(views)
    mechanism = _mechanism(method)
    for view in range(2):
        features = mechanism._key(views.global_clips[view])
        assert torch.equal(trace.masks[view], foreground_mask(features.rgb, features.motion))


def test_attention_sums_to_1_and_the_decoder_follows_from_it():
    method, views = _method(), _views()
    trace = _mechanism(method)(views)
    np.testing.assert_allclose(trace.attention.sum(dim=-1), 1, atol=1e-5)
    decoder = method.eval().decoder
    with torch.no_grad():
        rgb = [method.encoder_q(_normalized(clip)) for clip in views.global_clips]
        rows = torch.stack([maps.flatten(3).permute(2, 0, 3, 1) for maps in rgb])  # (2, T', N, P, C)
        for asked, i, sample in ((0, 0, 0), (1, 1, 2)):
            embedded = decoder.embed(rows[:, i, sample])
            memory, weights = embedded[1 - asked], trace.attention[asked, i, sample]
            target = torch.cat([decoder.cls_token[0], embedded[asked]])
            for layer, heads in zip(decoder.transformer_decoder.layers, weights, strict=True):
                attention = layer.multihead_attn
                value = F.linear(memory, attention.in_proj_weight[32:], attention.in_proj_bias[32:])
                mixed = [head @ part for head, part in zip(heads, value.chunk(4, dim=-1), strict=True)]
                target = target + attention.out_proj(torch.cat(mixed, dim=-1))
                target = target + layer.linear2(F.relu(layer.linear1(layer.norm3(target))))
            decoded = target[1:] @ decoder.embedding2.weight[:, :, 0, 0].T + decoder.embedding2.bias
            expected = unit(method.projector_dense.project(decoded))
            np.testing.assert_allclose(trace.predicted[asked, i, sample], expected, atol=1e-4)


def _normalized(clip):
    spec = untrained_backbone("tiny").input
    mean, std = (torch.tensor(values).view(3, 1, 1, 1) for values in (spec.mean, spec.std))
    return (clip - mean) / std


def test_nothing_depends_on_what_else_is_in_the_batch():
    method, views = _method(), _views()
    whole = _mechanism(method)(views)
    for i in range(3):
        alone = _mechanism(method)(
            Views(views.global_clips[:, i : i + 1], views.local_clips[:, :, i : i + 1], views.boxes[:, i : i + 1])
        )
        assert torch.equal(alone.masks[:, 0], whole.masks[:, i])
        for name in ("predicted", "keys", "attention"):
            np.testing.assert_allclose(getattr(alone, name)[:, :, 0], getattr(whole, name)[:, :, i], atol=1e-4)


class _ExactDecoder(nn.Module):
    """Knows the true motion of what it is asked to look at."""

    cls_token = None

    def __init__(self, motion):
        super().__init__()
        self.motion = motion

    def embed(self, rows):
        return rows

    def forward(self, query, memory, *, positions=True, attention=False):
        cells = query.shape[1]
        return Decoded(None, self.motion.flip(0).flatten(0, 2), torch.full((len(query), 1, 1, cells, cells), 1 / cells))


def test_a_method_whose_decoder_is_exact_predicts_all_there_is():
    method, views = _method(), _views()
    same = Views(
        views.global_clips[:1].expand(2, -1, -1, -1, -1, -1),
        views.local_clips,
        torch.tensor([0.0, 0, 1, 1]).expand(2, 3, 4),
    )
    motion = _mechanism(method)._key(same.global_clips.flatten(0, 1)).motion
    method.decoder = _ExactDecoder(torch.stack(motion.chunk(2)).flatten(4).permute(0, 3, 1, 4, 2))
    trace = _mechanism(method)(same)
    scores, _ = mechanism_scores(trace, radius=method.radius)
    assert (scores["positive_pairs"] == trace.masks[0].flatten(1).sum(dim=1)).all()
    np.testing.assert_allclose(scores["prediction_cosine"], 1, atol=1e-5)
    np.testing.assert_array_equal(scores["rank_one"], 1)
    np.testing.assert_array_equal(scores["foreground_overlap"], 1)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return str(save_method(tmp_path_factory.mktemp("method") / "fima.ckpt", _method()))


def _session(ckpt, **settings):
    return open_session(Settings(**{"ckpt": ckpt, "data": DATA, "split": "test", **CLIP, **settings}))


def test_two_drawn_videos_from_end_to_end(checkpoint, tmp_path):
    steps = []
    study = run(_session(checkpoint, data="shapes:easy,videos=2"), lambda *done: steps.append(done))
    count = len(study.video_scores["video_id"])
    assert count == 2
    assert steps == [(1, 2), (2, 2)]
    arrays = study.arrays
    assert study.scores["prediction_cosine"].chance is not None
    assert arrays["example_pairs"].shape == (arrays["example_masks"][0].size,) * 2
    assert arrays["example_views"].dtype == np.uint8
    lines = study.figure().findobj(ConnectionPatch)
    assert len(lines) == arrays["example_pairs"].sum() > 0
    stems = ["mechanism", *(f"mechanism-{part}" for part in ("attention", "motion", "scores"))]
    assert list(study.figures()) == stems
    study.save(tmp_path / "one")
    assert {path.stem for path in (tmp_path / "one").glob("*.png")} == set(stems)
    run(_session(checkpoint, data="shapes:easy,videos=2")).save(tmp_path / "two")
    one, two = ((tmp_path / name / "mechanism.npz").read_bytes() for name in ("one", "two"))
    assert one == two
    # Not byte for byte: a few pixels under the lines between the views come out one level (of 255) off now and then.
    one, two = (imread(tmp_path / name / "mechanism.png") for name in ("one", "two"))
    assert np.abs(one - two).max() < 1.5 / 255


def test_scores_are_those_of_the_samples_that_training_would_draw(checkpoint):
    study = run(_session(checkpoint, seed=5, boundary="wrap", clips=2))
    windows = WindowDataset(open_dataset(DATA, split="test"), seed=5, num_frames=16, short_side=37)
    mechanism, firsts = _mechanism(_method()), []
    for i in range(len(windows)):
        samples = [windows.sample(i, epoch) for epoch in range(2)]
        traces = [mechanism(make_views([one.windows], one.keys, size=32, num_slices=1)) for one in samples]
        found = [mechanism_scores(trace, radius=0.7) for trace in traces]
        firsts.append(traces[0])
        assert study.video_scores["positive_pairs"][i] == np.mean(
            [float(scores["positive_pairs"]) for scores, _ in found]
        )
        for name in ("prediction_cosine", "attention_on_foreground"):
            expected = np.nanmean([float(scores[name]) for scores, _ in found])
            np.testing.assert_allclose(study.video_scores[name][i], expected, atol=1e-4)
    ids = [str(name) for name in study.video_scores["video_id"]]
    places = choose_partners(ids, labels=[r.label for r in open_dataset(DATA, split="test").records], seed=5)
    others = [
        np.nanmean([float(prediction_cosine(firsts[i], firsts[j].keys, radius=0.7)) for j in own if j >= 0])
        for i, own in enumerate(places)
    ]
    np.testing.assert_allclose(study.scores["prediction_cosine"].chance, np.nanmean(others), atol=1e-3)


def test_crops_are_drawn_as_the_checkpoint_was_trained(tmp_path):
    config = {
        "windows": {"short_side": 40, "min_gap": 3, "gap_seconds": (0.5, 1.0)},
        "views": {"area": (0.5, 0.6), "aspect": (1.0, 1.0), "flip_probability": 1.0},
    }
    write_checkpoint(tmp_path / "trained.ckpt", method_state(_method()) | {"config": config})
    study = run(_session(str(tmp_path / "trained.ckpt")))
    boxes = study.arrays["example_boxes"]
    assert (boxes[:, 0] > boxes[:, 2]).all()
    size = np.abs(boxes[:, 2:] - boxes[:, :2])
    assert ((size**2 > 0.4) & (size**2 < 0.7)).all()
    assert study.provenance["windows"]["short_side"] == 40


def test_a_view_is_what_its_box_cuts_out_of_the_source(checkpoint):
    """Shown pictures have their own size; shrunk, they are the middle frames of the clips that the method sees."""
    session = _session(checkpoint, data="shapes:easy,videos=1", seed=2)
    study = run(session)
    _, sampling = study_module._load(session)
    drawn = study_module._draw(session, sampling, session.videos[0], 0)[0]
    shown, slices = study.arrays["example_slice"]
    moment = int((shown + 0.5) * 8 / slices)
    for view in range(2):
        small = F.interpolate(torch.from_numpy(study.arrays["example_views"][view]).permute(2, 0, 1)[None].float(), 32,
                              mode="area")[0] / 255  # fmt: skip
        seen = drawn.views.global_clips[view, 0, :, moment]
        assert (small - seen).abs().mean() < 0.05
        assert (small.flip(-1) - seen).abs().mean() > 2 * (small - seen).abs().mean()


def test_reference_files_and_untrained_methods_work(tmp_path):
    path = export_method(tmp_path / "fima.pth.tar", _method())
    assert run(_session(str(path))).provenance["method"]["class"] == "FIMA"
    figure = run(_session("random:3", data="shapes:easy,videos=1")).figure()
    assert "UNTRAINED" in figure.get_suptitle()


def test_without_a_decoder_there_is_no_attention_and_the_figure_says_so(tmp_path):
    study = run(_session(str(save_method(tmp_path / "fima.ckpt", _method(decoder=False)))))
    assert not any("attention" in name or "token" in name for name in study.scores)
    figures = study.figures()
    assert list(figures) == ["mechanism", "mechanism-motion", "mechanism-scores"]
    assert any("no motion decoder" in text.get_text() for text in figures["mechanism-motion"].findobj(Text))


@pytest.mark.parametrize(("kind", "found"), [(MoCo, "found MoCo"), (MaCLR, "found MaCLR")])
def test_other_methods_are_refused(tmp_path, kind, found):
    path = save_method(tmp_path / "other.ckpt", _method(kind))
    with pytest.raises(InputError, match=rf"other.ckpt: mechanism needs a whole FIMA method, .*{found}"):
        run(_session(str(path)))


def test_a_backbone_alone_is_refused_in_one_line(tmp_path):
    backbone = untrained_backbone("tiny")
    path = save_backbone(tmp_path / "backbone.ckpt", backbone.backbone, arch="tiny", input=backbone.input)
    for ckpt in (str(path), None):
        with pytest.raises(InputError, match=r"whole FIMA method.*, or random; found fima-backbone") as caught:
            run(_session(ckpt))
        assert "\n" not in str(caught.value)
        assert not isinstance(caught.value, CheckpointError)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layer": "layer1"}, "layer does not go with mechanism"),
        ({"start_seconds": 1.0}, "start_seconds does not go with mechanism"),
        ({"frame_stride": 3}, "frame_stride must be even.*got 3"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(checkpoint, settings, message):
    settings = {"layer": open_session(Settings()).extractor.info.taps[0].layer} if "layer" in settings else settings
    with pytest.raises(InputError, match=message):
        run(_session(checkpoint, **settings))


def test_broken_videos_of_a_data_set_are_skipped_and_short_ones_repeated(checkpoint, tmp_path, clips_dir):
    for name in ("bear", "dog"):
        (tmp_path / f"{name}.mp4").write_bytes((clips_dir / f"{name}.mp4").read_bytes())
    (tmp_path / "cars.mp4").write_bytes(b"not a video")
    study = run(_session(checkpoint, data=str(tmp_path), split=None))
    assert list(study.skipped) == ["cars"]
    assert study.video_scores["video_id"].tolist() == ["bear", "dog"]
    assert not study.repeated
    lengths = {}
    for name in ("bear", "dog"):
        with VideoReader(tmp_path / f"{name}.mp4") as reader:
            lengths[name] = len(reader)
    frames = (min(lengths.values()) + 1) // 2 + 1  # a window of twice as many fits into the longer one alone
    long = run(_session(checkpoint, data=str(tmp_path), split=None, num_frames=frames))
    assert long.repeated == [name for name, length in lengths.items() if length < 2 * frames]
    assert long.repeated
    (tmp_path / "bear.mp4").unlink()
    (tmp_path / "dog.mp4").unlink()
    with pytest.raises(InputError, match="none of its 1 videos can be used"):
        run(_session(checkpoint, data=str(tmp_path), split=None))


def test_the_cell_that_is_followed_has_a_positive():
    pairs = np.zeros((9, 9), bool)
    assert chosen_cell(pairs) == 4
    pairs[[0, 1, 2], [3, 3, 3]] = True
    assert chosen_cell(pairs) == 1


def test_the_command_shows_an_untrained_method_where_no_checkpoint_is_given(tmp_path, capsys):
    words = [
        "--data",
        "shapes:easy,videos=2,size=48",
        "--size",
        "32",
        "--num-frames",
        "8",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(["mechanism", *words]) == 0
    report = json.loads((tmp_path / "out" / "mechanism.json").read_text())
    assert report["untrained"]
    assert "--ckpt random" in report["provenance"]["command"]
