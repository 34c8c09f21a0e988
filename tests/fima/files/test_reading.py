"""Whatever a file holds, reading it ends in its content or in one line that starts with its path, at once."""

from __future__ import annotations

import os
import struct
import time
import zipfile
from itertools import pairwise

import numpy as np
import pytest

from fima.errors import InputError
from fima.files.reading import (
    parse_yaml,
    read_arrays,
    read_json,
    read_lines,
    read_rows,
    read_text,
    read_yaml,
    whole_number,
)

DEEP = "[" * 3000 + "]" * 3000
LAUGHS = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in pairwise("abcdefghijklmnopqrst"))

BAD = {
    "yaml": [
        f"a: {DEEP}", f"a: {'9' * 5000}", f"a: {2**64}", "a: 1\na: 2", "a: &a [*a]", LAUGHS,
        "a: !!python/name:os.system", "{[1]: 2}", "a: [", "seed: 2001-13-45", "a: 2001-12-25", "\x00",
    ],
    "json": [DEEP, "[" * 100_000, "[" + "9" * 400 + "]", '{"a": ' * 70 + "1" + "}" * 70, "{", "", "nul"],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind in BAD for text in BAD[kind]])
def test_values_beyond_the_limits(tmp_path, kind, text):
    path = tmp_path / f"a.{kind}"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        {"yaml": read_yaml, "json": read_json}[kind](path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 500


def test_plain_values_are_read():
    text = "base: &base {lr: 0.1, day: '2001-12-25'}\nrun: {<<: *base, lr: 2.0, steps: 100}\nbits: 18446744073709551615"
    assert parse_yaml(text, "x") == {
        "base": {"lr": 0.1, "day": "2001-12-25"},
        "run": {"lr": 2.0, "day": "2001-12-25", "steps": 100},
        "bits": 2**64 - 1,
    }
    assert parse_yaml("", "x") is None


def test_json_is_read_with_a_byte_order_mark(tmp_path):
    (tmp_path / "a.json").write_text('\ufeff{"a": [1, -2.5, "ü", NaN]}', encoding="utf-8")
    assert str(read_json(tmp_path / "a.json")) == "{'a': [1, -2.5, 'ü', nan]}"


def test_lines_and_rows_come_one_by_one(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xef\xbb\xbfa 1\n\n  b\x85c 2 \r\n".replace(b"\x85", "\x85".encode()))
    assert list(read_lines(path)) == [(1, "a 1"), (3, "b\x85c 2")]
    path.write_text('x,y\n1,"a\nb"\n')
    assert list(read_rows(path)) == [(1, ["x", "y"]), (3, ["1", "a\nb"])]
    for read, word in ((read_lines, "has more than"), (read_rows, "cannot be read as a csv")):
        path.write_bytes(b"x" * 2_000_000)
        with pytest.raises(InputError, match=word):
            list(read(path))
    path.write_bytes(b"a\n\xff\n")
    for read in (read_lines, read_rows):
        with pytest.raises(InputError):
            list(read(path))


def npz(path, shape, name="masks", count=1000):
    header = f"{{'descr': '|b1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target, target.open(f"{name}.npy", "w") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(count))


def test_arrays_are_unpacked_only_if_they_fit(tmp_path):
    path = tmp_path / "a.npz"
    npz(path, (6144, 1024, 1024))
    with pytest.raises(InputError, match=r"a\.npz: unpacks to 6442450944 bytes, expected at most"):
        read_arrays(path)
    assert not read_arrays(path, ("other",))
    for shape in ((100, 100), (-1, 5), (2, 10**30)):  # not what is there, or nothing that could be
        npz(path, shape)
        with pytest.raises(InputError):
            read_arrays(path)
    np.savez(path, masks=np.eye(3, dtype=bool), more=np.arange(4), objects=np.array([1, "x"], dtype=object))
    np.testing.assert_array_equal(read_arrays(path, ("masks",))["masks"], np.eye(3))
    with pytest.raises(InputError, match="npz"):
        read_arrays(path)


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    begun = time.monotonic()
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "loop", "/dev/zero", "a\0b", "a" * 9000):
        with pytest.raises(InputError) as caught:
            read_text(path, most=100)
        assert "\n" not in str(caught.value)
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_text(tmp_path / "absent", most=100)
    (tmp_path / "long").write_text("x" * 101)
    with pytest.raises(InputError, match="has 101 bytes, expected at most 100"):
        read_text(tmp_path / "long", most=100)
    assert time.monotonic() - begun < 5


NUMBERS = {"12": 12, "-3": -3, "+0": 0, "²": None, "١": None, "9" * 19: None, "1e3": None, "": None, "1_0": None}


@pytest.mark.parametrize(("text", "number"), NUMBERS.items())
def test_whole_numbers(text, number):
    assert whole_number(text) == number
