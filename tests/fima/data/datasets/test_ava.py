import numpy as np
import pytest

from fima.data.datasets.layouts.ava import GROUND_TRUTH, first_frame_second, open_ava
from fima.data.datasets.layouts.ava_files import read_ava_boxes, read_excluded, read_label_map
from fima.errors import InputError

ROWS = """\
film-b,0902,0.1,0.2,0.3,0.4,12,0
film-b,0902,0.1,0.2,0.3,0.4,80,0
film-b,0902,0.5,0.2,0.9,0.4,12,1
-film,1798,0.077,0.151,0.283,0.811,11,5
"""


def written(tmp_path, text, name="table.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_actions_of_one_box_are_put_together(tmp_path):
    first, second = read_ava_boxes(written(tmp_path, ROWS))
    assert (first.video, first.second, first.actions) == ("-film", 1798, ((11,),))
    assert np.array_equal(first.boxes, [[0.077, 0.151, 0.283, 0.811]])
    assert (second.video, second.second, second.actions) == ("film-b", 902, ((12, 80), (12,)))
    assert second.boxes.shape == (2, 4)


@pytest.mark.parametrize("middle", ["", ",", ",12"], ids=["7-columns", "8-columns", "with-action"])
def test_person_boxes_by_their_score(tmp_path, middle):
    text = f"f,0902,0.1,0.2,0.3,0.4{middle},0.95\nf,0902,0.5,0.2,0.9,0.4{middle},0.90\nf,0903,0,0,1,1{middle},0.2\n"
    (frame,) = read_ava_boxes(written(tmp_path, text), min_score=0.9)
    assert (frame.second, len(frame.boxes), frame.actions) == (902, 2, ((), ()))
    assert read_ava_boxes(written(tmp_path, text), min_score=0.96) == []


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ("f,0902,0.1,0.2,0.3,0.4", "at least 7 columns"),
        ("f,0902.5,0.1,0.2,0.3,0.4,12,0", "whole second"),
        ("f,0902,10,20,300,400,12,0", "shares of the frame"),
        ("f,0902,0.5,0.2,0.3,0.4,12,0", "x1 ≤ x2"),
        ("f,0902,0.1,0.2,0.3,nan,12,0", "coordinate"),
        ("f,0902,0.1,0.2,0.3,0.4,,0", "id of an action"),
        ("f,0902,0.1,0.2,0.3,0.4,0,0", "id of an action"),
    ],
)
def test_rows_that_are_wrong_are_named(tmp_path, row, word):
    path = written(tmp_path, ROWS + row + "\n")
    with pytest.raises(InputError, match=word) as caught:
        read_ava_boxes(path)
    assert str(caught.value).startswith(f"{path}:5: ")


def test_boxes_just_outside_are_cut(tmp_path):
    (frame,) = read_ava_boxes(written(tmp_path, "f,902,-0.002,0,1.004,1,1,0\n"))
    assert np.array_equal(frame.boxes, [[0, 0, 1, 1]])


def test_excluded(tmp_path):
    assert read_excluded(written(tmp_path, "f,0902\ng,1000\n\n")) == {("f", 902), ("g", 1000)}
    assert read_excluded(written(tmp_path, "")) == frozenset()
    with pytest.raises(InputError, match="a video and a second"):
        read_excluded(written(tmp_path, "f,0902,1\n"))


def test_both_kinds_of_label_map(tmp_path):
    items = 'item {\n  name: "bend/bow (at the waist)"\n  id: 1\n}\nitem {\n  name: "stand"\n  id: 12\n}\n'
    labels = """label {
  name: "bend/bow (at the waist)"
  label_id: 1
  label_type: PERSON_MOVEMENT
}
label { name: 'stand' label_id: 12 label_type: PERSON_MOVEMENT }
"""
    expected = {1: "bend/bow (at the waist)", 12: "stand"}
    assert read_label_map(written(tmp_path, items)) == expected
    assert read_label_map(written(tmp_path, labels)) == expected
    for text, word in (("", "found none"), ('item { name: "x" }', "a name and an id"), (items + items, "twice")):
        with pytest.raises(InputError, match=word):
            read_label_map(written(tmp_path, text))


@pytest.mark.parametrize(
    ("duration", "start", "expected"),
    [
        (901.0, None, 900.0),
        (900.9, None, 900.0),
        (5400.0, None, 0.0),
        (1800.0, None, 0.0),
        (1500.0, None, None),
        (1500.0, 300.0, 300.0),
    ],
)
def test_where_a_file_begins(duration, start, expected):
    assert first_frame_second(duration, 1798, start) == expected


@pytest.fixture(scope="module")
def miniature(tmp_path_factory, write_miniature):
    return write_miniature(tmp_path_factory.mktemp("ava") / "mini", train=2, val=1, seconds=(902, 903))


def test_the_official_layout_is_read(miniature):
    data = open_ava(miniature)
    assert [(f.video, f.second) for f in data.train] == [
        ("train-film-0", 902), ("train-film-0", 903), ("train-film-1", 902),
    ]  # fmt: skip
    assert data.excluded == (1, 1)
    assert [(f.video, f.second, len(f.boxes)) for f in data.test] == [("val-film-0", 902, 2)]
    assert data.test[0].actions == ()
    assert data.evaluated == tuple(range(1, 13))
    assert 13 in data.class_ids
    assert data.names[13] == "on the right"
    assert data.names[7] == "looming"
    assert data.missing == ()
    assert data.last_seconds == {"train-film-0": 903, "train-film-1": 902, "val-film-0": 902}
    assert {len(own) for frame in data.truth for own in frame.actions} == {2}
    assert all(record.path.is_dir() for record in data.videos.values())


def test_true_boxes_and_low_scores(miniature):
    true = open_ava(miniature, boxes=GROUND_TRUTH)
    assert np.array_equal(true.test[0].boxes, true.truth[0].boxes)
    assert true.test[0].actions == ()
    assert len(open_ava(miniature, min_score=0.4).test[0].boxes) == 3
    assert open_ava(miniature, min_score=1.0).test == ()


def test_tables_and_films_in_other_places(miniature, tmp_path):
    for name in ("annotations/ava_v2.2", "videos"):
        (tmp_path / name).mkdir(parents=True)
    for path in (miniature / "annotations").glob("*.*"):
        if "excluded" not in path.name and "activitynet" not in path.name:
            (tmp_path / "annotations/ava_v2.2" / path.name).write_text(path.read_text())
    (tmp_path / "videos/val-film-0.mkv").touch()
    boxes = next(miniature.glob("annotations/person*/*.csv"))
    data = open_ava(tmp_path, boxes=str(boxes))
    assert data.videos["val-film-0"].path == tmp_path / "videos/val-film-0.mkv"
    assert data.missing == ("train-film-0", "train-film-1")
    assert data.evaluated == tuple(range(1, 14))
    assert (data.excluded, data.excluded_files) == ((0, 0), ())


def test_what_is_missing_is_named(miniature, tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        open_ava(tmp_path / "none")
    with pytest.raises(InputError, match=r"2\.1, 2\.2"):
        open_ava(miniature, "3")
    with pytest.raises(InputError, match=r"ava_train_v2\.1\.csv"):
        open_ava(miniature, "2.1")
    with pytest.raises(FileNotFoundError, match="--boxes"):
        open_ava(miniature, boxes=str(tmp_path / "none.csv"))
    (tmp_path / "annotations").mkdir()
    for path in (miniature / "annotations").glob("*.*"):
        (tmp_path / "annotations" / path.name).write_text(path.read_text())
    with pytest.raises(InputError, match="--boxes gt"):
        open_ava(tmp_path)
    with pytest.raises(InputError, match="none of its 3 films is there"):
        open_ava(tmp_path, boxes=GROUND_TRUTH)


def test_the_miniature_comes_with_the_package_also_under_its_earlier_name(tmp_path, capsys, monkeypatch):
    from fima.data.shapes import detection
    from fima.evaluation.detection.miniature import write_miniature

    assert write_miniature is detection.write_miniature
    monkeypatch.setattr("sys.argv", ["detection", str(tmp_path)])
    (tmp_path / "mine").touch()
    assert detection.main() == 2
    assert capsys.readouterr().err == f"{tmp_path}: is not empty; choose another folder\n"
