"""The background-bias gap: features whose gap is known, the videos, the command."""

import base64
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb

from analysis.cli import main
from analysis.plotting.bias import draw_bias
from analysis.plotting.style import REFERENCE
from analysis.reproduction.plan import Budget, Run
from analysis.reproduction.score import _bias_gap
from analysis.settings import Settings
from analysis.studies.bias.measuring import bias_gap, bias_worlds, measure_bias
from analysis.studies.bias.result import compare_bias
from fima.checkpoints import untrained_backbone
from fima.data.clip_protocol import MIDDLE_CLIP
from fima.errors import InputError
from fima.evaluation.features import clip_features
from fima.evaluation.intervals import interval
from fima.evaluation.probes import fit_linear_probe

CLASSES = 10
SMALL = ["--num-frames", "4", "--size", "32"]


def _labels(part):
    return np.array([record.label for record in part])


def _patterns(part):
    return np.array([record.pattern for record in part])


def _of_worlds(worlds, feature):
    """The gap of features that are a function of a part's videos."""
    return bias_gap(*((feature(part), _labels(part)) for part in worlds.parts))


def _one_hot(values):
    return np.eye(CLASSES, dtype=np.float32)[values]


# Features whose gap is known


@pytest.mark.parametrize("correlation", [1.0, 0.9])
def test_features_that_are_the_background_lose_all_but_chance(correlation):
    worlds = bias_worlds("easy", (400, 100, 1000), correlation=correlation)
    found = _of_worlds(worlds, lambda part: _one_hot(_patterns(part)))
    # Right where the pattern is the label's: on the correlated share, and by luck on a tenth of the others.
    luck = (1 - correlation) / CLASSES
    assert found.correlated.mean() == pytest.approx(correlation + luck, abs=0.03)
    assert found.swapped.mean() == pytest.approx(luck, abs=0.03)
    assert found.gap.mean() == pytest.approx(correlation, abs=0.03)
    assert found.correlated.tolist() == (_patterns(worlds.test) == _labels(worlds.test)).tolist()


def test_features_that_are_the_motion_lose_nothing():
    worlds = bias_worlds("easy", (300, 100, 200))
    found = _of_worlds(worlds, lambda part: _one_hot(_labels(part)))
    assert found.correlated.all()
    assert found.swapped.all()
    assert not found.gap.any()


def test_features_that_say_nothing_have_no_gap_either():
    worlds = bias_worlds("easy", (300, 100, 200))
    found = _of_worlds(worlds, lambda part: np.zeros((len(part), 4), np.float32))
    assert found.correlated.mean() < 0.25
    assert not found.gap.any()


def test_without_correlation_swapping_changes_nothing():
    worlds = bias_worlds("camera", (50, 20, 80), correlation=0)
    assert _patterns(worlds.test).tolist() == _patterns(worlds.swapped).tolist()
    assert not _of_worlds(worlds, lambda part: _one_hot(_patterns(part))).gap.any()


@settings(max_examples=15)
@given(st.integers(0, 1000))
def test_the_gap_is_right_minus_right_by_hand(seed):
    draw = np.random.default_rng(seed)
    sizes = {"train": 40, "val": 20, "test": 30}
    parts = {name: (draw.normal(size=(n, 5)), draw.integers(3, size=n)) for name, n in sizes.items()}
    swapped = draw.normal(size=(30, 5)), parts["test"][1]
    found = bias_gap(parts["train"], parts["val"], parts["test"], swapped)
    probe = fit_linear_probe(*parts["train"], *parts["val"])
    expected = [
        int(a == label) - int(b == label)
        for a, b, label in zip(probe.predict(parts["test"][0]), probe.predict(swapped[0]), swapped[1], strict=True)
    ]
    assert found.gap.tolist() == expected
    assert found.gap.mean() == pytest.approx(found.correlated.mean() - found.swapped.mean())
    assert (found.strength, found.validation_accuracy) == (probe.strength, probe.validation_accuracy)


def test_other_motions_are_refused():
    features, labels = np.zeros((10, 2)), np.arange(10) % 2
    part = features, labels
    with pytest.raises(InputError, match="labels differ"):
        bias_gap(part, part, part, (features, 1 - labels))
    with pytest.raises(InputError, match="at least two classes"):
        bias_gap((features, 0 * labels), part, part, part)


# The videos


@pytest.mark.parametrize("regime", ["easy", "camera", "clutter", "changing"])
def test_swapped_videos_are_the_same_motions_before_another_background(regime):
    worlds = bias_worlds(regime, (4, 3, 60), correlation=0.9)
    assert [len(part) for part in worlds.parts] == [4, 3, 60, 60]
    assert len(worlds) == 127
    assert worlds.classes == CLASSES
    patterns = worlds.patterns()
    labels = _labels(worlds.test)
    assert labels.tolist() == _labels(worlds.swapped).tolist()
    told = patterns[0] != patterns[1]  # the others drew theirs
    assert told.mean() == pytest.approx(0.9, abs=0.15)
    assert (patterns[0][told] == labels[told]).all()
    assert (patterns[1][told] == (labels[told] + 1) % CLASSES).all()
    for own, other in zip(worlds.test.records[:5], worlds.swapped.records[:5], strict=True):
        one, two = own.draw(), other.draw()
        times = np.arange(0, own.world.num_frames, 16)
        np.testing.assert_array_equal(one.masks(times), two.masks(times))


def test_a_backbone_is_measured_as_its_features_say():
    loaded = untrained_backbone("tiny", seed=1, input_spec="num_frames=4;size=32")
    worlds = bias_worlds("easy", (30, 10, 12))
    seen = []
    found = measure_bias(loaded, worlds, batch_size=8, progress=seen.append)
    expected = bias_gap(
        *((f.mean, f.labels) for f in (clip_features(loaded, p.records, MIDDLE_CLIP) for p in worlds.parts))
    )
    assert found.gap.tolist() == expected.gap.tolist()
    assert seen == sorted(seen)
    assert seen[-1] == len(worlds) == 64


def test_an_inner_layer_is_the_output_of_what_is_measured():
    loaded = untrained_backbone("tiny", seed=1, input_spec="num_frames=4;size=32")
    worlds = bias_worlds("easy", (30, 10, 12))
    inner = [clip_features(loaded, part.records, MIDDLE_CLIP, layer="stage1") for part in worlds.parts]
    assert inner[0].mean.shape[1] < loaded.info.channels
    expected = bias_gap(*((features.mean, features.labels) for features in inner))
    assert measure_bias(loaded, worlds, layer="stage1").gap.tolist() == expected.gap.tolist()


def test_the_reproductions_score_is_this_gap(tmp_path):
    loaded = untrained_backbone("tiny", seed=0, input_spec="num_frames=4;size=32")
    run = Run("random", "camera", 0, tmp_path, Budget("tiny", 1, 8, (81, 40, 25), 8))
    values, choices = _bias_gap(loaded, run, "cpu")
    found = measure_bias(loaded, bias_worlds("camera", (40, 20, 12)))
    assert values["bias_gap"].tolist() == found.gap.tolist()
    assert choices == {
        "bias_C": found.strength,
        "with_correlated": found.correlated.mean(),
        "with_swapped": found.swapped.mean(),
    }


# The command


def test_the_command_writes_figure_numbers_and_every_video(tmp_path, capsys):
    flags = ["--ckpt", "random", "tiny-vd", "--videos", "60", "40", *SMALL, "--out", str(tmp_path / "out")]
    assert main(["bias", *flags, "--format", "png", "svg"]) == 0
    out = tmp_path / "out"
    assert {path.name for path in out.glob("[!.]*")} == {"bias.png", "bias.svg", "bias.json", "bias.npz", "index.html"}
    report, saved = json.loads((out / "bias.json").read_text()), np.load(out / "bias.npz")
    assert report["asked"]["videos"] == {"train": 60, "val": 20, "test": 40}
    assert list(report["checkpoints"]) == saved["name"].tolist() == ["untrained", "tiny-vd"]
    for i, one in enumerate(report["checkpoints"].values()):
        values = {"correlated": saved["correlated"][i], "swapped": saved["swapped"][i]}
        values["gap"] = values["correlated"].astype(float) - values["swapped"]
        for name, right in values.items():
            score = one["scores"][name]
            assert score["mean"] == pytest.approx(right.mean())
            limits = (-1, 1) if name == "gap" else (0, 1)
            assert [score["low"], score["high"]] == pytest.approx(interval(right, limits=limits)[:2])
            assert score["chance"] == (0 if name == "gap" else 0.1)
            assert saved[f"summary_{name}"][i].tolist() == pytest.approx([score[k] for k in ("mean", "low", "high", "chance")])  # fmt: skip  # noqa: E501
    first, second = report["checkpoints"].values()
    assert (first["untrained"], second["untrained"]) == (True, False)
    assert second["provenance"]["checkpoint"]["sha256"]
    assert second["provenance"]["input"]["num_frames"] == 4
    difference = report["gap_minus_first"]["tiny-vd"]
    assert difference["mean"] == pytest.approx(second["scores"]["gap"]["mean"] - first["scores"]["gap"]["mean"])
    printed = capsys.readouterr().out
    assert "untrained weights: untrained" in printed
    assert "40 videos, chance 10%" in printed
    assert str(out / "bias.png") in printed


def test_equal_runs_give_equal_bytes(tmp_path):
    for name in ("one", "two"):
        flags = ["--ckpt", "random:3", "--videos", "30", "12", *SMALL, "--out", str(tmp_path / name)]
        assert main(["bias", *flags]) == 0
    for file in ("bias.npz", "bias.png"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_without_a_checkpoint_it_is_the_one_that_comes_along():
    result = compare_bias(Settings(num_frames=4, size=32), videos=(30, 4))
    assert list(result.gaps) == ["tiny-fima"]
    assert result.differences() == {}
    shown = result._repr_mimebundle_()
    assert base64.b64decode(shown["image/png"]).startswith(b"\x89PNG")  # where html is stripped
    assert shown["image/png"] in shown["text/html"]
    assert shown["text/plain"].startswith("tiny-fima: ")
    named = compare_bias(Settings(arch="tiny", num_frames=4, size=32), videos=(30, 4))
    assert named.untrained == ["untrained"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--videos", "60"], "--videos: expected 2 arguments"),
        (["--videos", "1", "40"], "--videos: give at least 2 videos to train on and 2 to test, got 1 and 40"),
        (["--videos", "60", "-4"], "got 60 and -4"),
        (["--correlation", "1.5"], "correlation must be in [0, 1], got 1.5"),
        (["--correlation", "nan"], "argument --correlation: must be a finite number"),
        (["--regime", "storm"], "storm"),
        (["--ckpt", "tiny-vd", "missing.pth"], "missing.pth: no such checkpoint"),
        (["--ckpt", "random", "--layer", "stage9"], "--layer stage9: not in tiny"),
        (["--device", "abacus"], "abacus"),
    ],
)
def test_what_cannot_be_used_is_one_line(tmp_path, capsys, flags, said):
    try:
        code = main(["bias", *SMALL, *flags, "--out", str(tmp_path / "out")])
    except SystemExit as error:
        code = error.code
    assert code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


# The figure


def test_the_figure_shows_the_numbers():
    row = np.array([[0.5, 0.4, 0.6, 0.1], [0.3, 0.2, 0.4, 0.1]])
    arrays = {
        "name": np.array(["a $name$", "b"]),
        "summary_correlated": row,
        "summary_swapped": row - 0.1,
        "summary_gap": np.array([[0.1, -0.05, 0.2, 0], [0.1, np.nan, np.nan, 0]]),
    }
    asked = {"regime": "camera", "videos": {"train": 6, "val": 2, "test": 4}, "correlation": 0.9}
    figure = draw_bias(arrays, asked, ["b"])
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.texts] == ["10.0 [−5.0, 20.0]", "10.0", "gap (% points)"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a $name$", "b (untrained)"]
    dots = [one for one in ax.collections if isinstance(one, PathCollection)]
    assert [round(float(one.get_offsets()[0, 0]), 6) for one in dots] == [50, 40, 30, 20]
    filled, open_, gray, _ = (one.get_facecolor()[0] for one in dots)
    assert (open_ == 1).all()  # of two conditions the changed one is open, in the checkpoint's hue
    assert not (filled[:3] == 1).all()
    assert tuple(gray[:3]) == to_rgb(REFERENCE)  # untrained among trained
    assert ax.get_xlim() == (0, 70)
    assert "UNTRAINED" not in figure.get_suptitle()
    assert "UNTRAINED" in draw_bias(arrays, asked, ["a $name$", "b"]).get_suptitle()
