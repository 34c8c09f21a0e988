"""The Python face: what a researcher types, and that importing it costs nothing."""

import doctest
import subprocess
import sys

import numpy as np
import pytest

import analysis
from analysis import face
from analysis.settings import Settings
from analysis.studies import run
from fima.checkpoints import load_backbone, untrained_backbone
from fima.errors import InputError

SMALL = {"data": "shapes:camera,videos=2,size=56", "num_frames": 8, "size": 56}


def test_importing_does_not_import_torch():
    code = "import sys, analysis; dir(analysis); assert not {'torch', 'numpy', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("model", ["tiny-vd", load_backbone("tiny-vd")], ids=["name", "loaded"])
def test_a_model_by_its_name_or_loaded_gives_the_study_of_the_settings(model):
    study = analysis.run("affinity", model=model, **SMALL)
    expected = run("affinity", Settings(ckpt="tiny-vd", **SMALL))
    np.testing.assert_array_equal(study.arrays["affinity_mean"], expected.arrays["affinity_mean"])
    for name in ("sha256", "trained", "arch"):
        assert study.provenance["checkpoint"][name] == expected.provenance["checkpoint"][name]


def test_an_untrained_backbone_that_is_loaded_is_called_untrained():
    study = analysis.run("affinity", untrained_backbone("tiny", seed=5), **SMALL)
    assert study.untrained
    assert study.provenance["checkpoint"]["path"] is None


def test_a_saved_study_is_loaded(tmp_path):
    study = analysis.run("affinity", "random", **SMALL)
    study.save(tmp_path)
    assert repr(analysis.load(tmp_path / "affinity")) == repr(study)


def test_what_is_not_there_is_named():
    with pytest.raises(InputError, match="measure 'camm': there is no such measure; known: cam, affinity"):
        analysis.run("camm")
    with pytest.raises(InputError, match="unknown setting 'siez'"):
        analysis.run("cam", siez=3)
    with pytest.raises(AttributeError, match="no attribute 'runs'"):
        analysis.runs  # noqa: B018


@pytest.mark.parametrize("module", [analysis, face])
def test_examples_are_true(module):
    assert doctest.testmod(module).failed == 0
