"""Attribution over videos: the study, the command, class logits."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from analysis.cli import main
from analysis.inputs.backbone.features import FeatureExtractor
from analysis.inputs.sessions import Session, open_session
from analysis.inputs.video.clips import to_batch
from analysis.inputs.video.videos import VideoSource
from analysis.measures.attribution import (
    METHODS,
    attribute,
    logit_target,
)
from analysis.measures.localization import localization_scores
from analysis.settings import Settings
from analysis.studies.attribution import clips
from analysis.studies.attribution.cost import num_passes
from analysis.studies.attribution.study import run
from fima.checkpoints import untrained_backbone
from fima.cli import main as fima
from fima.errors import InputError
from fima.tasks.classify.classifier import (
    ClassifierHead,
    classifier_extra,
    load_classifier,
)
from tests.classifier_files import CLASSES, write_fine_tuned, write_foreign

SLOW_LAST = [*METHODS[:-1], pytest.param(METHODS[-1], marks=pytest.mark.slow)]


def _rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


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


def test_another_videos_feature_needs_another_video():
    session = _session(target="other")
    study = run(session, **SMALL)
    assert study.provenance["without_reference"] == []
    turned = run(replace(session, videos=session.videos[::-1]), **SMALL)
    np.testing.assert_allclose(
        study.video_scores["motion_correlation"], turned.video_scores["motion_correlation"][::-1], atol=1e-5
    )
    with pytest.raises(InputError, match="target other: compares with another video"):
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


SMALL_FLAGS = ["--num-frames", "8", "--size", "24", "--steps", "4", "--show", "1"]


@pytest.fixture
def fine_tuned(tmp_path):
    return write_fine_tuned(tmp_path / "tuned.pth")


@pytest.fixture
def foreign(tmp_path):
    return write_foreign(tmp_path / "best.pth.tar")


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


@pytest.mark.parametrize("method", METHODS)
def test_the_passes_of_a_map_are_told_beforehand(method):
    shape, steps, at_once, seen = (8, 24, 20), 11, 4, []

    def features(inputs):
        seen.append((len(inputs), torch.is_grad_enabled() and inputs.requires_grad))
        return inputs.mean(dim=(3, 4), keepdim=True)

    clip = torch.rand(1, 3, *shape)
    attribute(
        features, clip, [lambda pooled: pooled.sum(dim=1)], torch.zeros_like(clip),
        method=method, steps=steps, internal_batch_size=at_once,
    )  # fmt: skip
    counted = [size for size, gradient in seen if gradient or method == "occlusion"]
    assert (len(counted), max(counted)) == num_passes(method, steps, at_once, shape)


def test_the_command_says_what_it_will_cost_before_it_begins(tmp_path, capsys, monkeypatch):
    made = []
    monkeypatch.setattr(clips, "attribute", lambda *given, **named: made.append(1) or attribute(*given, **named))
    flags = ["attribution", "--data", "shapes:easy,videos=3", "--split", "test", "--num-frames", "8", "--size", "32"]
    assert main([*flags, "--steps", "6", "--batch-size", "4", "--show", "2", "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().err.splitlines()[0]
    expected = f"attribution: {len(made)} maps (integrated_gradients) of 2 passes each, 4 clips at once: "
    assert told.startswith(f"{expected}{2 * len(made)} passes forward and backward, by the first about ")
