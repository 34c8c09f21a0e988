"""The three official splits of UCF101 and of HMDB51, in the files' own form: each split against its own lists."""

from __future__ import annotations

import pytest

from fima.data.datasets import open_dataset

CLASSES = ("Archery", "BabyCrawling", "Zumba")
GROUPS = range(1, 7)
HELD_OUT = {1: (1, 2), 2: (3, 4), 3: (5, 6)}
"""Split → the groups that it tests on, as UCF101's splits are made of groups."""


def ucf101(root):
    for name in CLASSES:
        for group in GROUPS:
            path = root / "UCF-101" / name / f"v_{name}_g{group:02d}_c01.avi"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    lists = root / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_text("".join(f"{place + 1} {name}\r\n" for place, name in enumerate(CLASSES)))
    for split, groups in HELD_OUT.items():
        for kind in ("train", "test"):
            rows = [
                f"{name}/v_{name}_g{group:02d}_c01.avi" + (f" {place + 1}" if kind == "train" else "")
                for place, name in enumerate(CLASSES)
                for group in GROUPS
                if (group in groups) == (kind == "test")
            ]
            (lists / f"{kind}list{split:02d}.txt").write_text("\r\n".join(rows) + "\r\n")
    return root


def hmdb51(root):
    """Of each class's six videos a split tests two, trains on three and leaves one out."""
    lists = root / "testTrainMulti_7030_splits"
    lists.mkdir()
    for name in CLASSES:
        (root / "hmdb51_org" / name).mkdir(parents=True)
        for group in GROUPS:
            (root / "hmdb51_org" / name / f"{name}_{group}.avi").touch()
        for split, tested in HELD_OUT.items():
            left_out = max(set(GROUPS) - set(tested))
            tags = {g: 2 if g in tested else 0 if g == left_out else 1 for g in GROUPS}
            text = "".join(f"{name}_{group}.avi {tag} \n" for group, tag in tags.items())
            (lists / f"{name}_test_split{split}.txt").write_text(text)
    return root


@pytest.mark.parametrize("split", HELD_OUT)
def test_ucf101(tmp_path, split):
    root = ucf101(tmp_path)
    parts = {kind: open_dataset(root, split=f"{kind}{split}") for kind in ("train", "test")}
    for kind, part in parts.items():
        assert (part.layout, part.class_names, part.missing) == ("ucf101", CLASSES, ())
        assert {(record.video_id, record.label) for record in part} == {
            (f"{name}/v_{name}_g{group:02d}_c01", label)
            for label, name in enumerate(CLASSES)
            for group in GROUPS
            if (group in HELD_OUT[split]) == (kind == "test")
        }
    assert len(parts["train"]) + len(parts["test"]) == len(open_dataset(root)) == 18


@pytest.mark.parametrize("split", HELD_OUT)
def test_hmdb51(tmp_path, split):
    root = hmdb51(tmp_path)
    left_out = max(set(GROUPS) - set(HELD_OUT[split]))
    wanted = {"test": set(HELD_OUT[split]), "train": set(GROUPS) - set(HELD_OUT[split]) - {left_out}}
    for kind, groups in wanted.items():
        part = open_dataset(root, split=f"{kind}{split}")
        assert (part.layout, part.class_names, part.missing) == ("hmdb51", CLASSES, ())
        assert {(record.video_id, record.label) for record in part} == {
            (f"{name}/{name}_{group}", label) for label, name in enumerate(CLASSES) for group in groups
        }


def test_tests_of_the_splits_share_no_video(tmp_path):
    for name, make in (("u", ucf101), ("h", hmdb51)):
        (tmp_path / name).mkdir()
        make(tmp_path / name)
        tests = [{r.video_id for r in open_dataset(tmp_path / name, split=f"test{split}")} for split in HELD_OUT]
        assert sum(map(len, tests)) == len(set().union(*tests)) == 18
