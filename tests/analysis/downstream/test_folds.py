"""Cutting videos into folds: recordings stay whole, every video is tested once, classes are balanced."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.downstream.folds import cut, make_scopes, write_lists
from analysis.downstream.videos import Videos, open_videos
from fima.data.datasets import open_dataset
from fima.data.datasets.groups import group_rule, source_groups
from fima.errors import InputError


def make_videos(labels: np.ndarray, groups: np.ndarray | None, test: int, folder: Path = Path("/data")) -> Videos:
    ids = tuple(f"c{label}/v{place:03}" for place, label in enumerate(labels))
    names = tuple(f"c{label}" for label in range(labels.max() + 1))
    paths = tuple(folder / f"{video}.mp4" for video in ids)
    places = np.arange(len(labels))
    return Videos(ids, paths, labels, names, places[:-test], places[-test:], groups, "x" if groups is not None else "")


@settings(max_examples=30, deadline=None)
@given(
    folds=st.integers(2, 5),
    sizes=st.lists(st.integers(1, 5), min_size=24, max_size=40),
    seed=st.integers(0, 1000),
)
def test_folds_hold_each_video_once_and_tear_no_recording(folds: int, sizes: list[int], seed: int) -> None:
    groups = np.repeat(np.arange(len(sizes)), sizes)
    of_group = np.resize([0, 1], len(sizes))
    np.random.default_rng(seed).shuffle(of_group)
    parts = cut(of_group[groups], groups, folds)
    assert sorted(np.concatenate(parts)) == list(range(len(groups)))
    for number, part in enumerate(parts):
        others = np.concatenate([one for other, one in enumerate(parts) if other != number])
        assert not set(groups[part]) & set(groups[others])
    assert all(np.array_equal(a, b) for a, b in zip(parts, cut(of_group[groups], groups, folds), strict=True))


def test_without_recordings_every_fold_has_the_same_share_of_every_class() -> None:
    labels = np.array([0] * 30 + [1] * 60)
    for part in cut(labels, None, 5):
        assert np.bincount(labels[part]).tolist() == [6, 12]


def test_parts_are_disjoint_and_validation_shares_no_recording_with_training_or_test() -> None:
    groups = np.repeat(np.arange(40), 3)
    labels = np.arange(40)[groups] % 2
    scopes = make_scopes(make_videos(labels, groups, 30), 4)
    assert list(scopes) == ["split", "fold1", "fold2", "fold3", "fold4"]
    for parts in scopes.values():
        together = [set(groups[part]) for part in (parts.train, parts.validation, parts.test)]
        assert not together[0] & together[1]
        assert not together[0] & together[2]
        assert not together[1] & together[2]
        assert len(parts.train) + len(parts.validation) + len(parts.test) == 120
        assert set(labels[parts.train]) == set(labels[parts.validation]) == {0, 1}
        assert np.array_equal(parts.gallery, np.sort(np.concatenate([parts.train, parts.validation])))
    assert scopes["split"].test.tolist() == list(range(90, 120))


@pytest.mark.parametrize(("folds", "what"), [(1, "at least 2"), (-1, "at least 2"), (9, "8 source recordings")])
def test_folds_that_cannot_be_made_are_refused(folds: int, what: str) -> None:
    groups = np.arange(16)
    with pytest.raises(InputError, match=what):
        make_scopes(make_videos(groups % 2, groups, 4), folds)


def test_a_class_with_one_training_video_has_nothing_to_hold_out() -> None:
    with pytest.raises(InputError, match="hold out validation"):
        make_scopes(make_videos(np.array([0, 0, 0, 1, 0, 1, 1]), None, 3), 0)


def test_every_person_is_left_out_once() -> None:
    groups = np.tile(np.arange(4), 6)
    scopes = make_scopes(make_videos(np.resize([0, 1, 1], 24), groups, 6), "groups")
    tests = [scopes[f"fold{n + 1}"].test for n in range(4)]
    assert [set(groups[part]) for part in tests] == [{0}, {1}, {2}, {3}]
    for scope, parts in scopes.items():
        if scope != "split":
            assert not set(groups[parts.test]) & set(groups[parts.gallery])
    with pytest.raises(InputError, match="three source recordings or people"):
        make_scopes(make_videos(np.resize([0, 1], 24), None, 6), "groups")


def test_a_data_set_without_splits_has_folds_alone(tmp_path: Path) -> None:
    for name in ("a/x_1", "a/x_2", "a/x_3", "b/x_1", "b/x_2", "b/x_3"):
        (tmp_path / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "videos" / f"{name}.avi").write_bytes(b"x")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "classInd.txt").write_text("1 a\n2 b\n")
    videos = open_videos(str(tmp_path), group=r"_(\d)")
    assert len(videos) == 6
    assert len(videos.test) == 0
    assert set(make_scopes(videos, 3)) == {"fold1", "fold2", "fold3"}
    with pytest.raises(InputError, match="nothing to test on"):
        make_scopes(videos, 0)
    with pytest.raises(InputError, match="no split 'train'"):
        open_videos(str(tmp_path), train_split="train")


def test_videos_without_classes_are_refused_with_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp4").touch()
    with pytest.raises(InputError, match=r"found clips \(class folders\); see docs/datasets.md, or give a list"):
        open_videos(str(tmp_path))


def test_a_rule_is_a_pattern_or_a_column(tmp_path: Path) -> None:
    ids = ("a/v_Run_g01_c01", "a/v_Run_g01_c02", "b/v_Run_g02_c01")
    assert group_rule(r"_(g\d+)_", ids, tmp_path).tolist() == [0, 0, 1]
    assert group_rule(r"g\d+", ids, tmp_path).tolist() == [0, 0, 1]
    (tmp_path / "groups.csv").write_text("video,other,source\n" + "".join(f"{i}.mp4,x,{i[-1]}\n" for i in ids))
    assert group_rule("groups.csv:source", ids, tmp_path).tolist() == [0, 1, 0]


def test_a_data_set_may_say_itself_what_its_videos_are_cut_from(tmp_path: Path) -> None:
    names = [f"{split}/{label}/{split}{number}" for split in ("train", "test") for label in "ab" for number in range(2)]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.mp4").write_bytes(name.encode())
    assert open_videos(str(tmp_path)).groups is None
    (tmp_path / "annotations").mkdir()
    ids = open_videos(str(tmp_path)).ids
    rows = "".join(f"{video}.mp4,{number // 2}\n" for number, video in enumerate(ids))
    (tmp_path / "annotations" / "groups.csv").write_text("video,source\n" + rows)
    found = open_videos(str(tmp_path))
    assert (found.rule, np.asarray(found.groups).tolist()) == (
        "annotations/groups.csv:source",
        [0, 0, 1, 1, 2, 2, 3, 3],
    )
    assert open_videos(str(tmp_path), group="none").groups is None


def test_a_data_set_says_itself_what_its_videos_were_cut_from(tmp_path: Path) -> None:
    ids = ["A/v_A_g01_c01", "A/v_A_g01_c02", "A/v_A_g02_c01", "B/v_B_g01_c01"]
    assert source_groups(tmp_path, ids) == [0, 0, 1, 2]  # UCF101's names; g01 of another class is another recording
    assert source_groups(tmp_path, [*ids, "other"]) is None
    (tmp_path / "groups.csv").write_text("video,person\na,x\nb,y\nc,x\n")
    assert source_groups(tmp_path, ["a", "b", "c"]) == [0, 1, 0]
    assert source_groups(tmp_path, ["a", "d"]) is None


@pytest.mark.parametrize(
    "rows",
    [
        "video,person\nA/one.mp4,x\nA/two.mp4,y\nB/three.mp4,x\n",
        "\ufeffvideo;person\r\none.mp4;x\r\ntwo;y\r\nthree.mp4;x\r\n",  # base names alone, as a spreadsheet saves it
        "video\tperson\nvideos/A/one.mp4\tx\nvideos\\A\\two.mp4\ty\n./B/three.mp4\tx\n",
    ],
)
def test_a_table_may_write_more_or_less_of_a_path_and_other_separators(tmp_path: Path, rows: str) -> None:
    (tmp_path / "groups.csv").write_bytes(rows.encode())
    (tmp_path / "list.csv").touch()
    for data in (tmp_path, tmp_path / "list.csv"):
        assert source_groups(data, ["A/one", "A/two", "B/three"]) == [0, 1, 0]


def test_a_base_name_that_fits_two_videos_says_nothing_of_them_but_an_exact_one_does(tmp_path: Path) -> None:
    (tmp_path / "groups.csv").write_text("video,person\none,x\n")
    with pytest.raises(InputError, match="says nothing of 2 of 2"):
        group_rule("groups.csv:person", ("A/one", "B/one"), tmp_path)
    with pytest.raises(InputError, match="says nothing of 1 of 2 videos, such as 'B/one'"):
        group_rule("groups.csv:person", ("one", "B/one"), tmp_path)


@pytest.mark.parametrize(
    ("rule", "what"),
    [("z(\\d)", "says nothing of 2 of 2"), ("(", "regular expression"), ("no.csv:source", "there is no"),
     ("groups.csv:color", "color"), ("groups.csv:source", "says nothing of 1 of 2")],
)  # fmt: skip
def test_a_rule_that_does_not_fit_is_refused(tmp_path: Path, rule: str, what: str) -> None:
    (tmp_path / "groups.csv").write_text("video,source\na.mp4,1\n")
    with pytest.raises(InputError, match=what):
        group_rule(rule, ("a", "b"), tmp_path)


def test_lists_are_read_back_by_the_ordinary_readers_and_other_lists_are_refused(tmp_path: Path) -> None:
    labels = np.resize([0, 1, 2], 48)
    videos = make_videos(labels, None, 12, tmp_path / "data")
    for path in videos.paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())
    scopes = make_scopes(videos, 3)
    write_lists(tmp_path / "lists", videos, scopes)
    write_lists(tmp_path / "lists", videos, scopes)  # the same again is no matter
    for scope, parts in scopes.items():
        for name, places in (("train", parts.train), ("val", parts.validation), ("test", parts.test)):
            found = open_dataset(tmp_path / "lists" / scope, split=name, cache=False)
            assert [record.path for record in found] == [videos.paths[place] for place in places]
            assert [record.label for record in found] == videos.labels[places].tolist()
            assert found.class_names == videos.class_names
            assert [record.video_id for record in found] == [videos.listed_ids[place] for place in places]
    everything = open_dataset(tmp_path / "lists" / "all.csv", cache=False)
    assert [record.video_id for record in everything] == list(videos.listed_ids)
    with pytest.raises(InputError, match="another --runs"):
        write_lists(tmp_path / "lists", videos, make_scopes(videos, 4))


def test_paths_that_a_list_cannot_hold_are_refused(tmp_path: Path) -> None:
    videos = make_videos(np.resize([0, 1], 12), None, 4, tmp_path / "a,b")
    with pytest.raises(InputError, match="comma"):
        write_lists(tmp_path / "lists", videos, make_scopes(videos, 2))


def test_drawn_data_is_refused() -> None:
    with pytest.raises(InputError, match="fima shapes"):
        open_videos("shapes:easy")


def test_folds_of_a_data_set_share_no_recording(fight_dir: Path) -> None:
    videos = open_videos(str(fight_dir))
    assert videos.groups is not None
    assert videos.shared_groups == 0
    scopes = make_scopes(videos, 5)
    tested = np.concatenate([parts.test for name, parts in scopes.items() if name != "split"])
    assert sorted(tested) == list(range(len(videos)))
    for parts in scopes.values():
        assert not set(videos.groups[parts.gallery]) & set(videos.groups[parts.test])
        assert not set(videos.groups[parts.train]) & set(videos.groups[parts.validation])
        assert 0.3 < videos.labels[parts.test].mean() < 0.7
