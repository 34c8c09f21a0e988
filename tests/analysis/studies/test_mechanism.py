"""FIMA's mechanism: geometry by hand and by loops, the method's own losses as oracle, a decoder that is exact, runs."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread
from matplotlib.patches import ConnectionPatch
from matplotlib.text import Text
from torch import nn
from torch.nn import functional as F

from analysis.cli import main
from analysis.inputs.sessions import open_session
from analysis.measures.mechanism import (
    Trace,
    both_ways,
    box_overlap,
    foreground_overlap,
    matching_cells,
    mean_where,
    mechanism_scores,
    positive_pairs,
    rank_one,
    share_on,
)
from analysis.plotting.mechanism.figure import chosen_cell
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
from fima.methods.losses import contrast_pixels, pixel_contrastive_loss, unit
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


@st.composite
def _geometry(draw):
    """Boxes of both views, either of which may be flipped, and masks of a small grid."""
    corner, side = st.floats(0, 0.6), st.floats(0.2, 0.4)
    boxes = []
    for _ in range(2):
        x, y, w, h = draw(corner), draw(corner), draw(side), draw(side)
        boxes.append([x + w, y, x, y + h] if draw(st.booleans()) else [x, y, x + w, y + h])
    height, width = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    bits = draw(st.lists(st.booleans(), min_size=2 * height * width, max_size=2 * height * width))
    return (
        torch.tensor(boxes)[:, None],
        torch.tensor(bits).view(2, 1, height, width),
        draw(st.sampled_from([0.5, 0.7, 2])),
    )


# Geometry


@given(_geometry())
def test_positives_are_those_of_a_loop_over_cells(geometry):
    boxes, masks, radius = geometry
    height, width = masks.shape[2:]
    (m, n), found = boxes[:, 0].tolist(), positive_pairs(boxes, masks, radius=radius)[0]

    def center(box, row, column):
        x1, y1, x2, y2 = box  # x2 < x1 in a flipped view: its first column lies right
        return x1 + (column + 0.5) / width * (x2 - x1), y1 + (row + 0.5) / height * (y2 - y1)

    diagonal = max(math.hypot((b[2] - b[0]) / width, (b[3] - b[1]) / height) for b in (m, n))
    for p in range(height * width):
        for q in range(height * width):
            distance = math.dist(center(m, *divmod(p, width)), center(n, *divmod(q, width))) / diagonal
            if abs(distance - radius) < 1e-4:
                continue  # rounding decides
            expected = distance < radius and masks[0, 0].flatten()[p] and masks[1, 0].flatten()[q]
            assert bool(found[p, q]) == bool(expected)


@given(_geometry(), st.integers(0, 99))
def test_the_pixel_loss_learns_from_the_cells_that_have_a_positive(geometry, seed):
    boxes, masks, radius = geometry
    draw = torch.Generator().manual_seed(seed)
    query, key = (unit(torch.randn(1, 8, *masks.shape[2:], generator=draw), dim=1) for _ in range(2))
    query.requires_grad_(True)
    loss = pixel_contrastive_loss(
        query, key, unit(torch.randn(1, 8, 5, generator=draw), dim=1), *boxes, *masks, radius=radius
    )
    loss.backward()
    learns = query.grad.abs().sum(dim=1).flatten(1) > 0
    assert torch.equal(learns, positive_pairs(boxes, masks, radius=radius).any(dim=2))


def test_a_flipped_view_matches_mirrored_cells():
    boxes = torch.tensor([[[0.0, 0, 1, 1]], [[1.0, 0, 0, 1]]])
    found = matching_cells(boxes, (2, 3), radius=0.5)[0]
    assert torch.argwhere(found).tolist() == [[0, 2], [1, 1], [2, 0], [3, 5], [4, 4], [5, 3]]
    assert torch.equal(both_ways(found[None])[1, 0, 0], found.T)


def test_the_overlap_of_boxes_by_hand():
    m = torch.tensor([[0.1, 0.2, 0.6, 0.8], [0.6, 0.2, 0.1, 0.8], [0.0, 0.0, 0.3, 0.3]])
    n = torch.tensor([[0.9, 0.0, 0.4, 0.5], [0.4, 0.0, 0.9, 0.5], [0.3, 0.3, 0.9, 0.9]])
    found = box_overlap(torch.stack([m, n]))
    np.testing.assert_allclose(found[:2], [[0.4, 0.2, 0.6, 0.5]] * 2)
    assert found[2].isnan().all()


def test_the_overlap_of_foregrounds_by_hand():
    boxes = torch.tensor([[[0.0, 0, 1, 1]]] * 2)
    masks = torch.tensor([[[[1, 1], [0, 0]]], [[[1, 0], [1, 0]]]]).bool()
    matching = matching_cells(boxes, (2, 2), radius=0.5)
    overlap, chance = foreground_overlap(matching, masks)
    # One of three foreground places is both's; two of four places each: one would be by chance.
    assert (float(overlap), float(chance)) == pytest.approx((1 / 3, 1 / 3))
    apart = torch.tensor([[[0.0, 0, 0.2, 0.2]], [[0.7, 0.7, 1, 1]]])
    assert foreground_overlap(matching_cells(apart, (2, 2), radius=0.7), masks)[0].isnan().all()


def test_means_ranks_and_shares_by_hand():
    similarity = torch.tensor([[0.9, 0.1, 0.2], [0.3, 0.4, 0.5], [0.0, 1.0, 0.0]])
    positives = torch.tensor([[1, 1, 0], [1, 0, 0], [0, 0, 0]]).bool()
    np.testing.assert_allclose(mean_where(similarity, positives), [0.5, 0.3, np.nan], rtol=1e-6)
    hit, chance = rank_one(similarity, positives)  # the first cell's best is a positive, the second's is not
    assert (float(hit), float(chance)) == pytest.approx((1 / 2, (2 / 3 + 1 / 3) / 2))
    assert share_on(torch.tensor([0.5, 0.2, 0.3]), torch.tensor([True, False, True])).item() == pytest.approx(0.8)


# Scores


def _exact(grid=3, slices=2, dim=8, token=True):
    """A prediction that is right at every place, of views that show the same, one of them flipped."""
    draw = torch.Generator().manual_seed(0)
    cells = grid * grid
    mirrored = torch.arange(cells).view(grid, grid).flip(1).flatten()
    keys = unit(torch.randn(2, slices, 1, cells, dim, generator=draw))
    predicted = keys.flip(0)[..., mirrored, :]
    boxes = torch.tensor([[[0.0, 0, 1, 1]], [[1.0, 0, 0, 1]]])
    mask = torch.rand(grid, grid, generator=draw) > 0.5
    masks = torch.stack([mask, mask.flip(1)])[:, None]
    attention = torch.full((2, slices, 1, 2, 4, cells + token, cells), 1 / cells)
    return Trace(boxes, masks, predicted, keys, attention)


def test_exact_predictions_have_cosine_1_and_always_the_first_rank():
    trace = _exact()
    scores, chance = mechanism_scores(trace, radius=0.7, other_keys=-trace.keys)
    foreground = trace.masks[0].float().mean().item()
    assert scores["prediction_cosine"].item() == pytest.approx(1, abs=1e-6)
    assert chance["prediction_cosine"].item() == pytest.approx(-1, abs=1e-6)
    assert scores["rank_one"].item() == 1
    assert chance["rank_one"].item() == pytest.approx(1 / 9)
    assert scores["foreground_overlap"].item() == 1
    assert scores["positive_pairs"].item() == trace.masks[0].sum().item()
    assert scores["elsewhere_cosine"].item() < 0.5
    # Even attention is at its chance levels.
    for name in ("attention_on_foreground", "token_on_foreground", "attention_on_match"):
        assert scores[name].item() == pytest.approx(chance[name].item(), abs=1e-6), name
    assert chance["token_on_foreground"].item() == pytest.approx(foreground)
    assert chance["attention_on_match"].item() == pytest.approx(1 / 9)


def test_equally_similar_cells_share_the_first_place():
    positives = torch.tensor([[True, False, False, True], [False, True, False, False]])
    constant = torch.zeros(2, 4)  # every cell ties: what a random one would give
    share, chance = rank_one(constant, positives)
    assert share == pytest.approx(float(chance)) == pytest.approx((2 / 4 + 1 / 4) / 2)
    pair = torch.tensor([[0.9, 0.9, 0.1, 0.0], [0.1, 0.9, 0.2, 0.0]])  # half of a hit, a whole one
    assert rank_one(pair, positives)[0] == pytest.approx(0.75)


def test_attention_is_looked_for_in_the_other_view():
    trace = _exact(token=False)
    attention = torch.zeros_like(trace.attention)
    seen = trace.masks.flatten(2).flip(0)  # all of m's attention on n's foreground, and of n's on m's
    attention += (seen / seen.sum(dim=-1, keepdim=True))[:, None, :, None, None, None]
    scores, _ = mechanism_scores(Trace(trace.boxes, trace.masks, trace.predicted, trace.keys, attention), radius=0.7)
    assert scores["attention_on_foreground"].item() == pytest.approx(1)
    assert "token_on_foreground" not in scores


def test_views_that_have_nothing_in_common_have_no_score():
    trace = _exact()
    boxes = torch.tensor([[[0.0, 0, 0.2, 0.2]], [[0.7, 0.7, 1, 1]]])
    scores, chance = mechanism_scores(Trace(boxes, trace.masks, trace.predicted, trace.keys, None), radius=0.7)
    assert scores["positive_pairs"].item() == 0
    assert all(scores[name].isnan().all() for name in set(scores) - {"positive_pairs"})
    assert all(level.isnan().all() for level in chance.values())


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"boxes must be \(2, N, 4\), got \(1, 4\)"):
        matching_cells(torch.zeros(1, 4), (2, 2), radius=0.7)
    with pytest.raises(InputError, match="radius must be above 0, got 0"):
        matching_cells(torch.zeros(2, 1, 4), (2, 2), radius=0)
    with pytest.raises(InputError, match=r"masks must be .* bool .*, got \(2, 1, 2, 2\) torch.float32"):
        positive_pairs(torch.zeros(2, 1, 4), torch.zeros(2, 1, 2, 2), radius=0.7)


# What the method computes


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


# The study


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
    study.save(tmp_path / "one")
    run(_session(checkpoint, data="shapes:easy,videos=2")).save(tmp_path / "two")
    one, two = ((tmp_path / name / "mechanism.npz").read_bytes() for name in ("one", "two"))
    assert one == two
    # Not byte for byte: a few pixels under the lines between the views come out one level (of 255) off now and then.
    one, two = (imread(tmp_path / name / "mechanism.png") for name in ("one", "two"))
    assert np.abs(one - two).max() < 1.5 / 255


def test_scores_are_those_of_the_samples_that_training_would_draw(checkpoint):
    study = run(_session(checkpoint, seed=5, boundary="wrap", clips=2))
    windows = WindowDataset(open_dataset(DATA, split="test"), seed=5, num_frames=16, short_side=37)
    mechanism, before, others = _mechanism(_method()), None, []
    for i in range(len(windows)):
        samples = [windows.sample(i, epoch) for epoch in range(2)]
        traces = [mechanism(make_views([one.windows], one.keys, size=32, num_slices=1)) for one in samples]
        found = [mechanism_scores(trace, radius=0.7, other_keys=before) for trace in traces]
        before = traces[-1].keys
        assert study.video_scores["positive_pairs"][i] == np.mean(
            [float(scores["positive_pairs"]) for scores, _ in found]
        )
        for name in ("prediction_cosine", "attention_on_foreground"):
            expected = np.nanmean([float(scores[name]) for scores, _ in found])
            np.testing.assert_allclose(study.video_scores[name][i], expected, atol=1e-4)
        others += [np.nanmean([float(chance["prediction_cosine"]) for _, chance in found])] if i else []
    np.testing.assert_allclose(study.scores["prediction_cosine"].chance, np.mean(others), atol=1e-4)


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
    assert any("no motion decoder" in text.get_text() for text in study.figure().findobj(Text))


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
