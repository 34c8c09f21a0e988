"""The parts of a table that several processes make at once."""

import threading

import pyarrow as pa
import pytest

from fima.errors import InputError
from fima.evaluation.feature_parts import Parts

OF, ROWS = {"of": "these"}, pa.table({"a": [1]})


def test_of_two_that_find_damaged_work_none_removes_what_the_other_begins(tmp_path, monkeypatch):
    """The first one acts between what the second one sees and what it does about it, if it can."""
    first, second = (Parts(tmp_path / "f.parquet", 1) for _ in range(2))
    first.path(0).parent.mkdir()
    (first.path(0).parent / "settings.json").write_text('{"of')
    other = threading.Thread(target=lambda: (first.open(OF), first.write(0, ROWS)))
    look = second._before

    def looks_first():
        found = look()
        if other.ident is None:
            other.start()
            other.join(0.5)
        return found

    monkeypatch.setattr(second, "_before", looks_first)
    second.open(OF)
    other.join()
    assert second.are_of(OF)
    assert second.is_whole(0)
    assert [path.name for path in tmp_path.iterdir()] == [".f.parquet.parts"]


def test_a_damaged_part_is_waited_for(tmp_path):
    parts = Parts(tmp_path / "f.parquet", 2)
    parts.open(OF)
    parts.write(0, ROWS)
    parts.path(1).write_bytes(b"PAR1")
    with pytest.raises(InputError, match="1 of 2 parts are missing"):
        parts.wait(0.1)
    parts.write(1, ROWS)
    parts.wait(0.1)
