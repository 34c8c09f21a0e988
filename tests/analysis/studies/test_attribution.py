"""Attribution: numbers by hand, invariances, the sanity check on backbones with known answers, the study."""

import json
import warnings
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr
from torch import nn

from analysis.cli import main
from analysis.inputs.clips import to_batch
from analysis.inputs.features import FeatureExtractor
from analysis.inputs.heads import load_head
from analysis.inputs.randomized import cascade, layers_from_top, stage_counts
from analysis.inputs.sessions import Session, open_session
from analysis.inputs.videos import VideoSource
from analysis.measures.attribution import (
    BASELINES,
    METHODS,
    attribute,
    baseline_clip,
    cosine_target,
    frame_share,
    logit_target,
    motion_scores,
)
from analysis.measures.localization import localization_scores
from analysis.measures.sanity import can_differ, rank_correlation
from analysis.measures.temporal import pool_features
from analysis.settings import Settings
from analysis.studies.attribution.study import run
from fima.checkpoints import load_backbone, untrained_backbone
from fima.cli import main as fima
from fima.errors import CheckpointError, InputError
from fima.tasks.classify.classifier import (
    Classifier,
    ClassifierHead,
    classifier_extra,
    load_classifier,
    save_classifier,
)
from fima.transforms.motion import frame_difference

SHAPE = (3, 4, 6, 6)

# Occlusion looks at a clip a hundred times.
SLOW_LAST = [*METHODS[:-1], pytest.param(METHODS[-1], marks=pytest.mark.slow)]


def _rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def _linear(weight):
    """Features and target whose product is exactly the sum of weight · clip."""
    positions = weight[0].numel()
    return (lambda clip: clip * weight), (lambda pooled: pooled.sum(dim=1) * positions)


def _attribute(method, clip, weight, baseline, **settings):
    features, target = _linear(weight)
    return attribute(features, clip, [target] * len(clip), baseline, method=method, **settings)


@pytest.fixture(scope="module")
def tiny():
    loaded = untrained_backbone("tiny", seed=0)
    return FeatureExtractor(replace(loaded, input=loaded.input.replace(num_frames=8, size=24)))


def _motion_targets(extractor, clip):
    with torch.no_grad():
        motion = frame_difference(clip, boundary="repeat")
        return [cosine_target(pool_features(extractor.feature_map(one[None]))[0]) for one in motion]


def _of_tiny(tiny, clip, baseline="mean", **settings):
    start = baseline_clip(baseline, clip)
    return attribute(tiny.feature_map, clip, _motion_targets(tiny, clip), start, **settings)


@pytest.mark.parametrize("method", METHODS)
def test_normalized_once_or_at_every_pass_is_the_same(tiny, method):
    clip = _rand(2, 3, 8, 24, 24)
    usual = _of_tiny(tiny, clip, method=method, steps=5)
    calls = []

    def prepare(one):
        calls.append(len(one))
        return tiny.prepare(one)

    start, targets = baseline_clip("mean", clip), _motion_targets(tiny, clip)
    found = attribute(tiny.prepared_map, clip, targets, start, method=method, steps=5, prepare=prepare)
    assert (found.map - usual.map).norm() <= 1e-4 * usual.map.norm()
    assert found.convergence_delta.tolist() == pytest.approx(usual.convergence_delta.tolist(), abs=1e-4, nan_ok=True)
    assert (calls == [1, 1] * 2) == (method == "integrated_gradients")


# By hand


@pytest.mark.parametrize("steps", [1, 5])
def test_integrated_gradients_of_a_linear_function_are_weight_times_difference(steps):
    clip, weight, baseline = _rand(2, *SHAPE), _rand(*SHAPE, seed=1) - 0.5, _rand(2, *SHAPE, seed=2)
    found = _attribute("integrated_gradients", clip, weight, baseline, steps=steps)
    torch.testing.assert_close(found.map, (weight * (clip - baseline)).sum(dim=1), atol=1e-5, rtol=1e-4)
    assert (found.convergence_delta < 1e-4).all()


def test_gradient_shap_of_a_linear_function_is_weight_times_difference_up_to_its_noise():
    clip, weight = _rand(1, *SHAPE), torch.ones(SHAPE)
    baseline = torch.zeros_like(clip)
    found = _attribute("gradient_shap", clip, weight, baseline, steps=400)
    # Noise of 0.05 averaged over 400 samples and summed over 3 colors: deviation 0.0043.
    torch.testing.assert_close(found.map, clip.sum(dim=1), atol=0.025, rtol=0)
    assert float(found.convergence_delta) < 1e-4


def test_occlusion_of_a_linear_function_is_what_each_window_held():
    clip, weight, baseline = _rand(1, *SHAPE), _rand(*SHAPE, seed=1), _rand(1, *SHAPE, seed=2)
    held = (weight * (clip - baseline)).sum(dim=1)[0]
    # Windows of one pixel, moved by one: every pixel's own share.
    single = _attribute("occlusion", clip, weight, baseline, window=(1, 1), internal_batch_size=16)
    torch.testing.assert_close(single.map[0], held, atol=1e-4, rtol=1e-4)
    # Larger ones by brute force: averaged over all that cover a pixel.
    frames, pixels, total, number = 2, 4, torch.zeros(4, 6, 6), torch.zeros(4, 6, 6)
    for t in range(3):
        for y in (0, 2):
            for x in (0, 2):
                box = (slice(t, t + frames), slice(y, y + pixels), slice(x, x + pixels))
                total[box] += held[box].sum()
                number[box] += 1
    found = _attribute("occlusion", clip, weight, baseline, window=(frames, pixels))
    torch.testing.assert_close(found.map[0], total / number, atol=1e-4, rtol=1e-4)
    assert found.convergence_delta.isnan().all()


def test_grad_cam_of_one_convolution_by_hand():
    conv = nn.Conv3d(3, 5, 3, padding=1)
    clip, reference = _rand(1, *SHAPE), _rand(5, seed=3)
    found = attribute(conv, clip, [cosine_target(reference)], torch.zeros_like(clip), method="grad_cam").map[0]
    feature_map = conv(clip).detach()[0]
    pooled = feature_map.mean(dim=(1, 2, 3))
    unit, aim = pooled / pooled.norm(), reference / reference.norm()
    gradient = (aim - (aim @ unit) * unit) / pooled.norm() / feature_map[0].numel()
    expected = torch.einsum("c,cthw->thw", gradient, feature_map)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)
    assert float(found.sum()) == pytest.approx(0, abs=1e-5)  # a cosine does not care how long features are


def test_grad_cam_is_interpolated_to_the_clip(tiny):
    clip = _rand(2, 3, 8, 24, 24)
    assert _of_tiny(tiny, clip, method="grad_cam").map.shape == (2, 8, 24, 24)


def test_a_class_logit_is_a_target():
    head = nn.Linear(3, 4)
    clip, baseline = _rand(1, *SHAPE), torch.zeros(1, *SHAPE)
    found = attribute(lambda c: c, clip, [logit_target(head, 2)], baseline, steps=3)
    expected = (head.weight[2].detach().view(1, 3, 1, 1, 1) * clip).sum(dim=1) / clip[0, 0].numel()
    torch.testing.assert_close(found.map, expected, atol=1e-6, rtol=1e-4)


@given(st.integers(0, 1000), st.sampled_from([1e-30, 1e-3, 1.0, 1e30]))
def test_cosine_whatever_the_scale(seed, scale):
    first, second = torch.randn(2, 4, 7, generator=torch.Generator().manual_seed(seed))
    expected = torch.cosine_similarity(first.double(), second[:1].double()).float()
    torch.testing.assert_close(cosine_target(second[0])(first * scale), expected, atol=1e-5, rtol=0)
    assert cosine_target(second[0])(torch.zeros(2, 7)).tolist() == [0, 0]


# Completeness, and what must not matter


@pytest.mark.parametrize("baseline", BASELINES)
def test_integrated_gradients_sum_to_the_difference_of_the_target(tiny, baseline):
    """Through the normalization, which a clip in [0, 1] goes through here as well."""
    clip = _rand(2, 3, 8, 24, 24)
    start = baseline_clip(baseline, clip)
    found = _of_tiny(tiny, clip, baseline, steps=128)
    with torch.no_grad():
        for i, target in enumerate(_motion_targets(tiny, clip)):
            one, other = (target(pool_features(tiny.feature_map(x[i : i + 1]))) for x in (clip, start))
            assert float(found.map[i].double().sum()) == pytest.approx(float(one - other), rel=0.03, abs=1e-3)
            relative = abs(float(found.map[i].double().sum()) / float(one - other) - 1)
            assert float(found.convergence_delta[i]) == pytest.approx(relative, abs=2e-3)


def test_convergence_delta_falls_with_the_steps(tiny):
    clip = _rand(2, 3, 8, 24, 24)
    deltas = [_of_tiny(tiny, clip, steps=steps).convergence_delta.mean() for steps in (2, 16, 128)]
    assert all(more > less for more, less in pairwise(deltas))
    assert deltas[-1] < 0.02


@pytest.mark.parametrize("method", SLOW_LAST)
def test_a_map_depends_neither_on_the_batch_nor_on_how_much_is_computed_at_once(tiny, method):
    clip = _rand(3, 3, 8, 24, 24)
    together = _of_tiny(tiny, clip, method=method, steps=7, internal_batch_size=4)
    assert together.map.std() > 0
    for at_once in (1, 3, 64):
        alone = _of_tiny(tiny, clip[1:2], method=method, steps=7, internal_batch_size=at_once)
        scale = float(together.map[1].abs().max())
        torch.testing.assert_close(alone.map[0], together.map[1], atol=2e-4 * scale, rtol=0)


@pytest.mark.parametrize("method", SLOW_LAST)
@pytest.mark.parametrize("at_once", [1, 3])
def test_no_more_clips_are_computed_at_once_than_allowed(tiny, method, at_once):
    clip, seen = _rand(2, 3, 8, 24, 24), []

    def features(given):
        seen.append(len(given))
        return tiny.feature_map(given)

    start = torch.zeros_like(clip)
    attribute(features, clip, _motion_targets(tiny, clip), start, method=method, steps=7, internal_batch_size=at_once)
    assert max(seen) == (1 if method == "grad_cam" else at_once)
    if method == "integrated_gradients":
        assert sum(seen) == 2 * (7 + 2)  # and both ends, for the convergence delta


def test_the_clip_the_backbone_and_the_global_random_numbers_stay_as_they_were(tiny):
    clip = _rand(1, 3, 8, 24, 24)
    before, weights = clip.clone(), {n: w.clone() for n, w in tiny.backbone.state_dict().items()}
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    expected = np.random.rand(), float(torch.rand(()))  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nor does anything reach a notebook's stderr
        for method in METHODS:
            _of_tiny(tiny, clip, method=method, steps=3)
        list(cascade(tiny, [20]))
    assert (np.random.rand(), float(torch.rand(()))) == expected  # noqa: NPY002
    assert torch.equal(clip, before)
    assert not clip.requires_grad
    assert all(torch.equal(weight, weights[name]) for name, weight in tiny.backbone.state_dict().items())
    assert all(weight.grad is None for weight in tiny.backbone.parameters())


# Baselines


def test_baselines_by_hand():
    clip = _rand(2, 3, 5, 20, 20)
    mean = baseline_clip("mean", clip)
    for i in range(2):
        for channel in range(3):
            torch.testing.assert_close(mean[i, channel], clip[i, channel].mean().expand(5, 20, 20))
    assert not baseline_clip("black", clip).any()
    assert torch.equal(baseline_clip("frozen", clip), clip[:, :, 2:3].expand_as(clip))
    blurred = baseline_clip("blurred", clip)
    expected = gaussian_filter(clip.double().numpy(), (0, 0, 0, 2, 2), mode="nearest", truncate=3)
    np.testing.assert_allclose(blurred.numpy(), expected, atol=1e-5)


def test_a_frozen_baseline_explains_nothing_that_rests():
    clip = torch.full((1, *SHAPE), 0.5)
    clip[:, :, 3, 2, 2] = 1
    frozen = baseline_clip("frozen", clip)
    found = _attribute("integrated_gradients", clip, _rand(*SHAPE), frozen)
    assert found.map[0].nonzero().tolist() == [[3, 2, 2]]


# Scores


def test_shares_of_frames_by_hand():
    maps = torch.zeros(2, 3, 2, 2)
    maps[0, 0, 0, 0], maps[0, 2, 1, 1], maps[0, 2, 0, 1] = -1, 2, 1
    share = frame_share(maps)
    assert share[0].tolist() == [0.25, 0, 0.75]
    assert share[1].isnan().all()


def test_attribution_that_is_the_motion_energy_correlates_fully_whatever_its_sign():
    energy = _rand(1, 4, 8, 8)
    sign = torch.where(_rand(1, 4, 8, 8, seed=1) > 0.5, 1.0, -1.0)
    scores = motion_scores(3 * sign * energy, energy, (2, 4, 4))
    assert float(scores["time_correlation"]) == pytest.approx(1)
    assert float(scores["motion_correlation"]) == pytest.approx(1)
    late = torch.arange(4.0).view(1, 4, 1, 1).expand(1, 4, 8, 8)
    assert float(motion_scores(late, late.flip(1), (4, 2, 2))["time_correlation"]) == pytest.approx(-1)
    assert motion_scores(torch.ones(1, 4, 8, 8), energy, (2, 4, 4))["time_correlation"].isnan().all()


@given(st.integers(0, 1000))
def test_rank_correlation_is_spearmans_of_absolute_maps(seed):
    draw = torch.Generator().manual_seed(seed)
    first, second = torch.randint(-4, 5, (2, 2, 3, 4, 4), generator=draw).float()
    inside = torch.rand(2, 3, 4, 4, generator=draw) > 0.3
    for i, found in enumerate(rank_correlation(first, second, inside)):
        a, b = (x[i][inside[i]].abs().numpy() for x in (first, second))
        assert float(found) == pytest.approx(spearmanr(a, b).statistic)
    torch.testing.assert_close(rank_correlation(first, -(first**3)), torch.ones(2, dtype=torch.float64))
    assert rank_correlation(torch.ones_like(first), second).isnan().all()


# The sanity check


class Colors(nn.Module):
    """Answers by the colors that its weights choose, and by nothing else."""

    def __init__(self, channels):
        super().__init__()
        self.stem = nn.Conv3d(3, channels, 1, bias=False)

    def forward(self, clip):
        return self.stem(clip)


class Unweighted(Colors):
    """Its weights change nothing, as if the method showed the input's edges only."""

    def forward(self, clip):
        return clip + 0 * self.stem(clip)


def _extractor(backbone):
    loaded = untrained_backbone("tiny", seed=0)
    return FeatureExtractor(replace(loaded, backbone=backbone, input=loaded.input.replace(num_frames=4, size=8)))


def _sanity(backbone, channels):
    extractor = _extractor(backbone)
    clip = _rand(1, 3, 4, 8, 8)
    target = [logit_target(lambda pooled: pooled.sum(dim=1, keepdim=True), 0)]
    start = baseline_clip("mean", clip)

    def found(using):
        return attribute(using.feature_map, clip, target, start, steps=4).map

    randomized = [found(changed) for _, changed in cascade(extractor, [1], seed=1)]
    return float(rank_correlation(found(extractor), randomized[0]))


def test_the_sanity_check_tells_whether_a_map_depends_on_the_weights():
    only_red = Colors(1)
    with torch.no_grad():
        only_red.stem.weight.copy_(torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1, 1))
    assert _sanity(only_red, 1) < 0.6
    assert _sanity(Unweighted(3), 3) == pytest.approx(1)


def test_layers_are_those_that_are_read_from_the_top(tiny):
    names = layers_from_top(tiny)
    weighted = [name for name, module in tiny.backbone.named_modules() if list(module.parameters(recurse=False))]
    assert sorted(names) == sorted(weighted)
    assert names[-1] == "stem.0"
    assert names[0].startswith("stage3")
    below = layers_from_top(FeatureExtractor(tiny.loaded, layer="stage1"))
    assert {name.split(".")[0] for name in below} == {"stage1", "stem"}


def test_the_cascade_changes_the_first_layers_only_and_alike_for_a_seed(tiny):
    names = layers_from_top(tiny)
    original = tiny.backbone.state_dict()
    convolutions = [name for name in names if isinstance(tiny.backbone.get_submodule(name), nn.Conv3d)]
    runs = {seed: [] for seed in (0, 0.5, 1)}
    for seed, kept in runs.items():
        for count, changed in cascade(tiny, [2, 5, len(names)], int(seed)):
            state = {name: weight.clone() for name, weight in changed.backbone.state_dict().items()}
            for name in convolutions:
                same = torch.equal(state[f"{name}.weight"], original[f"{name}.weight"])
                assert same == (name not in names[:count])
            kept.append(state)
    assert all(torch.equal(w, runs[0.5][i][n]) for i, state in enumerate(runs[0]) for n, w in state.items())
    assert not torch.equal(runs[0][-1]["stem.0.weight"], runs[1][-1]["stem.0.weight"])


def test_weights_without_an_initializer_keep_their_deviation():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Parameter(torch.linspace(-3, 3, 3000).view(3, 1000))

        def forward(self, clip):
            return clip * self.token.mean(dim=1).view(1, 3, 1, 1, 1)

    extractor = _extractor(Bare())
    assert layers_from_top(extractor) == [""]
    ((_, changed),) = cascade(extractor, [1])
    assert not torch.equal(changed.backbone.token, extractor.backbone.token)
    assert changed.backbone.token.std().item() == pytest.approx(extractor.backbone.token.std().item(), rel=0.1)


@given(st.integers(1, 200), st.integers(1, 12))
def test_stages_ascend_to_all_layers(num_layers, stages):
    counts = stage_counts(num_layers, stages)
    assert counts == sorted(set(counts))
    assert 1 <= counts[0] <= counts[-1] == num_layers
    assert len(counts) <= stages


def test_what_equals_its_baseline_does_not_count():
    clip = _rand(1, *SHAPE)
    baseline = clip.clone()
    baseline[0, 1, 2, 3, 3] += 0.5
    assert can_differ(clip, baseline, "integrated_gradients").nonzero().tolist() == [[0, 2, 3, 3]]
    assert can_differ(clip, baseline, "grad_cam").all()


# What cannot be used


def test_what_does_not_fit_is_refused():
    clip = _rand(1, *SHAPE)
    features, target = _linear(torch.ones(SHAPE))
    for settings, message in (
        ({"method": "saliency"}, "method must be one of integrated_gradients, .*, got 'saliency'"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"internal_batch_size": 0}, "internal_batch_size must be at least 1, got 0"),
        ({"method": "occlusion", "window": (5, 2)}, r"window must fit into 4 frames of 6 x 6, got \(5, 2\)"),
    ):
        with pytest.raises(InputError, match=message):
            attribute(features, clip, [target], clip, **settings)
    with pytest.raises(InputError, match="baseline must be"):
        attribute(features, clip, [target], clip[:, :, :2])
    with pytest.raises(InputError, match="2 targets"):
        attribute(features, clip, [target] * 2, clip)
    with pytest.raises(InputError, match="baseline must be one of mean, black, blurred, frozen, got 'white'"):
        baseline_clip("white", clip)
    with pytest.raises(InputError, match=r"clip must be \(N, 3, T, H, W\)"):
        baseline_clip("black", clip[0])


# The study


def _session(videos=3, **settings):
    opened = open_session(Settings(**({"num_frames": 8, "size": 24, "show": 2, "steps": 4} | settings)))
    sources = [VideoSource(f"shape {i}", None, seed=i) for i in range(videos)]
    return Session(opened.settings, opened.loaded, opened.extractor, sources)


SMALL = {"stages": 2}


def test_the_built_in_video_has_all_scores_and_its_map_depends_on_the_weights():
    study = run(open_session(Settings(num_frames=8, size=32, steps=16)), stages=3)
    localization = {"energy", "auroc"}
    own = {"time_correlation", "motion_correlation", "convergence_delta", "sanity_correlation", "input_correlation"}
    assert set(study.scores) == own | localization
    assert study.scores["convergence_delta"].mean < 0.1
    assert study.scores["sanity_correlation"].chance == 0
    assert study.scores["time_correlation"].chance is None  # of one video
    sanity = study.arrays["example_sanity"][0]
    assert sanity[0] == 1
    assert sanity[-1] == study.scores["sanity_correlation"].mean
    assert sanity[-1] < 0.8
    np.testing.assert_allclose(study.arrays["example_share"].sum(axis=1), 1)
    assert study.arrays["sanity_layers"].tolist()[-1] == len(study.arrays["layer_names"])


@pytest.mark.slow
def test_equal_runs_give_equal_bytes_whatever_the_batch(tmp_path):
    for name, batch_size in (("one", 2), ("two", 2), ("three", 3)):
        run(_session(batch_size=batch_size), **SMALL).save(tmp_path / name)
    for kind in ("npz", "png"):
        one, two = ((tmp_path / name / f"attribution.{kind}").read_bytes() for name in ("one", "two"))
        assert one == two
    first, third = (np.load(tmp_path / name / "attribution.npz") for name in ("one", "three"))
    np.testing.assert_allclose(first["score_motion_correlation"], third["score_motion_correlation"], atol=1e-3)


@pytest.mark.parametrize("method", SLOW_LAST)
def test_every_method_makes_a_study(method):
    study = run(_session(videos=2, show=1, method=method), **SMALL)
    assert ("convergence_delta" in study.scores) == (method in ("integrated_gradients", "gradient_shap"))
    assert study.scores["motion_correlation"].chance is not None
    assert study.provenance["method"] == method
    assert study.figure().get_suptitle()


def test_scores_are_those_of_the_maps_that_are_shown():
    session = _session(videos=1, show=1)
    study = run(session, **SMALL)
    shown = torch.from_numpy(study.arrays["example_map"])
    (clip,) = session.stream(truth=True)
    located = localization_scores(shown.abs(), clip.truth.mask[None], clip.truth.known[None])
    for name in ("energy", "auroc"):
        assert study.scores[name].mean == pytest.approx(float(located[name]))


def test_another_videos_feature_needs_a_video_before():
    study = run(_session(target="other"), **SMALL)
    assert study.provenance["without_reference"] == ["shape 0"]
    assert study.video_scores["video_id"].tolist() == ["shape 1", "shape 2"]
    with pytest.raises(InputError, match="target other: compares with the video before"):
        run(_session(videos=1, target="other"), **SMALL)


def test_a_function_is_a_target():
    head = nn.Linear(128, 3)
    study = run(_session(videos=1), target=logit_target(head, 1), **SMALL)
    assert study.scores["convergence_delta"].num_videos == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "cam"}, "method must be one of"),
        ({"baseline": "white"}, "baseline must be one of"),
        ({"target": "label"}, "target must be one of motion, other, logit, or logit:CLASS with its index, got 'label'"),
        ({"target": "logit:"}, "got 'logit:'"),
        ({"target": "logit:-1"}, "got 'logit:-1'"),
        ({"target": "logit:golf"}, "got 'logit:golf'"),
        ({"target": None}, "target must be one of motion, .*, got None"),
        ({"steps": 0}, "steps must be a whole number of at least 1"),
        ({"stages": 0}, "stages must be at least 1"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings, message):
    stages = settings.pop("stages", 1)
    with pytest.raises(InputError, match=message):
        run(_session(videos=1, **settings), stages=stages)


# Class logits of a checkpoint's own classifier

CLASSES = ("falls", "rises", "a name that is far too long for a margin", "rests")
SMALL_FLAGS = ["--num-frames", "8", "--size", "24", "--steps", "4", "--show", "1"]


def _tiny_state():
    return untrained_backbone("tiny", seed=0).backbone.state_dict()


@pytest.fixture
def fine_tuned(tmp_path):
    """A file as ``fima finetune`` writes it, whose third class (index 2) wins on whatever is seen."""
    loaded = untrained_backbone("tiny", seed=0)
    head = ClassifierHead(128, 4, dropout=0.5, l2_norm=True, batch_norm=True)
    with torch.no_grad():
        head.fc.bias[2] = 100
        head.norm.running_mean.copy_(_rand(128))
    classifier = Classifier(loaded.backbone, head)
    return save_classifier(tmp_path / "tuned.pth", classifier, arch="tiny", input=loaded.input, class_names=CLASSES)


@pytest.fixture
def foreign(tmp_path):
    """A file as FIMA's and FAME's fine-tuning write it."""
    state = {f"module.{name}": value for name, value in _tiny_state().items()}
    head = nn.Linear(128, 5)
    state |= {f"module.fc.{name}": value for name, value in head.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "best.pth.tar")
    return tmp_path / "best.pth.tar", head


def test_the_head_of_a_fine_tuned_file_is_the_classifiers_own(fine_tuned):
    head = load_head(load_backbone(fine_tuned))
    pooled = _rand(6, 128)
    with torch.no_grad():
        expected = load_classifier(fine_tuned).classifier.head(pooled)
    assert torch.equal(head.head(pooled), expected)
    assert head.class_names == CLASSES
    assert [head.label(i) for i in range(4)] == list(CLASSES)
    assert not any(parameter.requires_grad for parameter in head.head.parameters())


@pytest.mark.parametrize("place", ["fc", "head.projection"])
def test_the_linear_layer_beside_a_backbone_is_its_head(tmp_path, place):
    head = nn.Linear(128, 5)
    state = _tiny_state() | {f"{place}.{name}": value for name, value in head.state_dict().items()}
    torch.save(state, tmp_path / "plain.pth")
    found = load_head(load_backbone(tmp_path / "plain.pth"))
    pooled = _rand(3, 128)
    assert torch.equal(found.head(pooled), head(pooled))
    assert (found.classes, found.class_names, found.label(3)) == (5, (), "class 3")


def test_a_projector_of_pre_training_is_no_head(tmp_path):
    state = {f"module.encoder_q.{name}": value for name, value in _tiny_state().items()}
    state |= {"module.encoder_q.fc.weight": torch.zeros(64, 128), "module.encoder_q.fc.bias": torch.zeros(64)}
    torch.save({"state_dict": state}, tmp_path / "moco.pth")
    with pytest.raises(InputError, match=r"moco\.pth has no classifier head; expected a file of fima finetune"):
        load_head(load_backbone(tmp_path / "moco.pth"))


def test_damaged_heads_are_refused(tmp_path, fine_tuned):
    content = torch.load(fine_tuned)
    for change, said in (
        ({"classes": ["one", "two"]}, "RuntimeError"),
        ({"state_dict": {}}, "KeyError"),
        ({"settings": {"color": "red"}}, "TypeError"),
    ):
        changed = content | {"extra": {"classifier": content["extra"]["classifier"] | change}}
        torch.save(changed, tmp_path / "damaged.pth")
        with pytest.raises(CheckpointError, match=said) as error:
            load_head(load_backbone(tmp_path / "damaged.pth"))
        assert "\n" not in str(error.value)
    content["extra"]["classifier"]["state_dict"]["fc.weight"][0, 0] = torch.nan
    torch.save(content, tmp_path / "nan.pth")
    with pytest.raises(CheckpointError, match="not all of its weights are finite"):
        load_head(load_backbone(tmp_path / "nan.pth"))


class Doubled(nn.Module):
    """Features that are twice the colors."""

    channels, temporal_stride, spatial_stride = 3, 1, 1

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv3d(3, 3, 1, bias=False)
        with torch.no_grad():
            self.stem.weight.copy_(2 * torch.eye(3).view(3, 3, 1, 1, 1))

    def forward(self, clip):
        return self.stem(clip)


@pytest.mark.parametrize("target", ["logit", "logit:1"])
def test_the_logits_map_of_a_linear_network_by_hand(tmp_path, target):
    """Each pixel adds weight · 2 · (pixel − the clip's mean color) / deviation, over the number of pixels."""
    head, usual = ClassifierHead(3, 2), untrained_backbone("tiny")
    weight = torch.tensor([[0.5, -1.0, 2.0], [3.0, 0.25, -0.5]])
    with torch.no_grad():
        head.fc.weight.copy_(weight)
        head.fc.bias.copy_(torch.tensor([0.0, 50.0]))  # the second is ranked first
    spec = usual.input.replace(num_frames=4, size=24)
    loaded = replace(
        usual, backbone=Doubled(), input=spec, path=tmp_path / "linear.pth", extra=classifier_extra(head, ("a", "b"))
    )
    session = Session(
        Settings(target=target, steps=3, show=1), loaded, FeatureExtractor(loaded), [VideoSource("shape", None, seed=0)]
    )
    study = run(session, **SMALL)
    pixels = to_batch(list(session.stream()))[0]
    difference = pixels - pixels.mean(dim=(1, 2, 3), keepdim=True)
    factor = 2 * weight[1] / torch.tensor(spec.std) / pixels[0].numel()
    expected = torch.einsum("c,cthw->thw", factor, difference)
    found = study.arrays["example_map"][0]
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(found).max(), rtol=1e-3)
    assert study.arrays["example_class"].tolist() == ["b"]


def test_the_command_explains_a_class_by_its_index(fine_tuned, tmp_path):
    flags = ["--ckpt", str(fine_tuned), "--data", "shapes:easy,videos=2,size=32", *SMALL_FLAGS]
    studies = {}
    for target in ("logit", "logit:2"):
        out = tmp_path / target.replace(":", "-")
        assert main(["attribution", *flags, "--target", target, "--out", str(out)]) == 0
        report = json.loads((out / "attribution.json").read_text())["provenance"]
        assert report["target"] == target
        assert report["class_names"] == list(CLASSES)
        assert f"--target {target}" in report["command"]
        studies[target] = report, np.load(out / "attribution.npz")
    first, arrays = studies["logit"]
    assert set(map(tuple, first["target_classes"].values())) == {(CLASSES[2],)}
    assert len(first["target_classes"]) == 2
    assert arrays["example_class"].tolist() == [CLASSES[2]]
    # The class ranked first, and that class by its index, are one question.
    np.testing.assert_array_equal(arrays["example_map"], studies["logit:2"][1]["example_map"])
    np.testing.assert_array_equal(arrays["example_sanity"], studies["logit:2"][1]["example_sanity"])
    assert studies["logit:2"][0]["target_class"] == {"index": 2, "name": CLASSES[2]}


def test_the_class_is_named_in_the_figure(fine_tuned, foreign):
    own = run(_session(videos=1, show=1, ckpt=str(fine_tuned), target="logit:1"), **SMALL).figure()
    assert "logit of class 1, rises" in own.get_suptitle().replace("\n", " ")
    assert "attribution\nrises" in [ax.get_ylabel() for ax in own.axes]
    path, _ = foreign
    other = run(_session(videos=1, show=1, ckpt=str(path), target="logit:1"), **SMALL).figure()
    assert "logit of class 1?" in other.get_suptitle().replace("\n", " ")


def test_a_logit_map_is_that_of_the_heads_function(foreign):
    path, head = foreign
    session = _session(videos=1, show=1, ckpt=str(path), target="logit:3")
    by_name = run(session, **SMALL)
    by_function = run(session, target=logit_target(head, 3), **SMALL)
    another = run(session, target=logit_target(head, 2), **SMALL)
    np.testing.assert_array_equal(by_name.arrays["example_map"], by_function.arrays["example_map"])
    assert not np.allclose(by_name.arrays["example_map"], another.arrays["example_map"], atol=0)
    assert by_name.provenance["target_class"] == {"index": 3, "name": "class 3"}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--target", "logit", "--ckpt", "random"], "target logit: untrained weights have no classifier head"),
        (["--target", "logit", "--ckpt", "tiny-fima"], "has no classifier head; expected a file of fima finetune"),
        (["--target", "logit:4", "--ckpt", "TUNED"], "tuned.pth has 4 classes, 0 to 3"),
        (
            ["--target", "logit", "--ckpt", "TUNED", "--layer", "stage1"],
            "reads the backbone's output, not layer stage1",
        ),
        (["--target", "logit:x", "--ckpt", "TUNED"], "logit:CLASS with its index, got 'logit:x'"),
    ],
)
def test_a_logit_that_cannot_be_had_is_one_line(fine_tuned, tmp_path, capsys, flags, said):
    flags = [str(fine_tuned) if flag == "TUNED" else flag for flag in flags]
    assert main(["attribution", *SMALL_FLAGS, *flags, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("file", ["chosen.ckpt", "last.ckpt"])
def test_a_logit_of_a_really_fine_tuned_checkpoint(tmp_path, file):
    threads = torch.get_num_threads()
    try:
        assert fima([
            "finetune", "--data=shapes:easy,videos=12", "--ckpt=random", "--arch=tiny", "--input.num_frames=8",
            "--input.size=32", "--optimizer.lr=0.01", "--optimizer.batch_size=4", "--optimizer.epochs=1",
            "--test.clips=1", "--validation.choose=last", "--loader.workers=0", "--log.tensorboard=false",
            "--trainer.threads=1", f"--out={tmp_path / 'run'}",
        ]) == 0  # fmt: skip
    finally:
        torch.set_num_threads(threads)
    path = tmp_path / "run" / file
    out = tmp_path / "out"
    flags = ["--data", "shapes:easy,videos=2", "--split", "test", "--steps", "64", "--show", "2"]
    assert main(["attribution", "--ckpt", str(path), "--target", "logit", *flags, "--out", str(out)]) == 0
    report = json.loads((out / "attribution.json").read_text())
    # Complete: the maps add up to what the class's logit gains over the baseline.
    assert report["scores"]["convergence_delta"]["mean"] < 0.05
    trained = load_classifier(path)
    assert report["provenance"]["class_names"] == list(trained.class_names)
    assert {name for (name,) in report["provenance"]["target_classes"].values()} <= set(trained.class_names)
