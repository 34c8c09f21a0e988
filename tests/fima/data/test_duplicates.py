from fima.data.duplicates import copies


def test_copies_are_told_by_content_and_segments_of_one_film_are_none(tmp_path):
    content = {"a": b"one", "b": b"two", "c": b"one", "d": b"three", "e": b"one"}
    for name, text in content.items():
        (tmp_path / name).write_bytes(text)
    paths = [tmp_path / name for name in content]
    assert copies([*paths, None, tmp_path / "a", tmp_path / "none"]) == {2: 0, 4: 0}


def test_the_first_mebibyte_decides_among_files_of_one_size(tmp_path):
    for place, start in enumerate((b"x", b"x", b"y")):
        (tmp_path / str(place)).write_bytes(start + bytes(2 << 20))
    assert copies([tmp_path / str(place) for place in range(3)]) == {1: 0}
