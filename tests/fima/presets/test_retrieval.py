"""Presets of k-NN and retrieval as the commands use them, by the words of docs/protocols.md."""

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from fima.checkpoints import save_backbone, untrained_backbone
from fima.cli import main
from fima.data.datasets import open_dataset
from fima.data.readers.open import open_video
from fima.presets.loader import preset_names

NAMES = preset_names("retrieval")
FRAMES = len(open_video(open_dataset("shapes:easy,videos=1", split="test")[0]))
RANKS = ["recall@1", "recall@5", "recall@10", "recall@20", "recall@50"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Each preset as a user types it: features of both splits, and what is retrieved of them."""
    folder = tmp_path_factory.mktemp("presets")
    made = untrained_backbone(seed=3, input_spec="num_frames=4;size=32")
    kept = save_backbone(folder / "tiny.pt", made.backbone, arch="tiny", input=made.input)
    backbone = ["--ckpt", str(kept), "--device", "cpu"]
    for name in NAMES:
        for split, videos in (("train", 60), ("test", 12)):
            out = folder / f"{name}-{split}.parquet"
            data = ["--data", f"shapes:easy,videos={videos}", "--split", split]
            assert main(["extract", *backbone, *data, "--preset", name, "--out", str(out)]) == 0
        tables = ["--features-train", str(folder / f"{name}-train.parquet")]
        tables += ["--features-test", str(folder / f"{name}-test.parquet")]
        for command in ("knn", "retrieve"):
            assert main([command, *tables, "--preset", name, "--out", str(folder / f"{name}-{command}")]) == 0
    return folder


def by_video(path, unit):
    """Mean vectors by video, from the rows; of clips scaled to length 1 if asked."""
    vectors = {}
    for one in pq.read_table(path).to_pylist():
        vector = np.array(one["vector"], np.float64)
        vectors.setdefault((one["video"], one["label"]), []).append(vector / np.linalg.norm(vector) if unit else vector)
    return vectors


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_commands_do_as_the_table_says(drawn, preset_tables, name):
    """Recall from the stored clips by the words of the table: mean over clips, centered or not, L2, cosine."""
    expected = preset_tables["k-NN and retrieval"][0][name]
    content = json.loads((drawn / f"{name}-retrieve/retrieval.json").read_text())
    train, test = (by_video(drawn / f"{name}-{s}.parquet", expected.get("unit_clips")) for s in ("train", "test"))
    counts = {len(clips) for clips in test.values()}
    fit = (content["input"]["num_frames"] * content["input"]["frame_stride"]) // 2  # a clip every half clip
    span = (content["input"]["num_frames"] - 1) * content["input"]["frame_stride"] + 1
    assert counts == {expected.get("test.clips") or (FRAMES - span) // fit + 1}
    means = [np.stack([np.mean(clips, axis=0) for clips in one.values()]) for one in (train, test)]
    if expected["center"] == "each":
        means = [one - one.mean(axis=0) for one in means]
    gallery, queries = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in means)
    order = np.argsort(-(queries @ gallery.T), axis=1, kind="stable")
    labels = np.array([label for _, label in train])
    right = labels[order] == np.array([label for _, label in test])[:, None]
    assert list(content["scores"]["rgb"]) == RANKS
    for rank in (1, 5, 10, 20, 50):
        assert content["scores"]["rgb"][f"recall@{rank}"]["value"] == pytest.approx(right[:, :rank].any(axis=1).mean())
    assert (content["preset"], content["center"], content["crops"]) == (
        name,
        expected["center"],
        expected["test.crops"],
    )
    assert content["unit_clips"] == expected.get("unit_clips", False)
    assert content["protocol"]["crop_fraction"] == expected["test.crop_fraction"]
    assert content["clips"] == sorted(counts)
    assert content["input"]["mean"] == pytest.approx(expected.get("input.mean", (0.43216, 0.394666, 0.37645)))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_knn_takes_the_same_clips_and_does_not_center(drawn, name):
    content = json.loads((drawn / f"{name}-knn/knn.json").read_text())
    other = json.loads((drawn / f"{name}-retrieve/retrieval.json").read_text())
    assert content["center"] == "none"
    for key in ("preset", "protocol", "clips", "crops", "unit_clips", "input"):
        assert content[key] == other[key], key
    with (drawn / f"{name}-knn/predictions.csv").open() as file:
        found = list(csv.DictReader(file))
    share = np.mean([row["label"] == row["majority@1"] for row in found])
    assert content["scores"]["rgb"]["majority@1"]["value"] == pytest.approx(share)
