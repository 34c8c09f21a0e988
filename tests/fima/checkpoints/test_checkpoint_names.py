"""Results name a shipped checkpoint as it is given to --ckpt, not by where the package is installed."""

import json

import pytest

from fima.checkpoints import SHIPPED, load_backbone
from fima.checkpoints.shipped import checkpoint_name, shipped_path
from fima.cli import main
from fima.evaluation.feature_store import read_metadata

DATA = "shapes:easy,videos=6,num_frames=20,size=40"


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_files_go_by_their_names(name):
    path = shipped_path(name)
    assert path.is_file()
    assert checkpoint_name(path) == checkpoint_name(str(path)) == name
    assert checkpoint_name(load_backbone(name).path) == name


@pytest.mark.parametrize(
    "path", ["tiny-fima.ckpt", "weights/tiny-fima.ckpt", "fima/weights/other.ckpt", "runs/tiny-fima", "x/last.ckpt", ""]
)
def test_other_files_keep_their_paths(path):
    assert checkpoint_name(path) == path


def test_features_and_neighbors_name_it(tmp_path):
    words = ["--ckpt=tiny-vd", f"--data={DATA}", "--clips=1"]
    assert main(["extract", *words, f"--out={tmp_path / 'f.parquet'}"]) == 0
    assert read_metadata(tmp_path / "f.parquet")["checkpoint"] == "tiny-vd"
    for command, name in (("knn", "knn.json"), ("retrieve", "retrieval.json")):
        assert main([command, *words, f"--out={tmp_path / command}"]) == 0
        assert json.loads((tmp_path / command / name).read_text())["checkpoint"] == "tiny-vd"
