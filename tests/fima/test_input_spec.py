import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fima import input_spec
from fima.errors import InputError
from fima.input_spec import FIMA_224, MACLR, InputSpec

numbers = st.floats(-10, 10, allow_nan=False)
specs = st.builds(
    InputSpec,
    mean=st.tuples(numbers, numbers, numbers),
    std=st.tuples(*[st.floats(1e-3, 10)] * 3),
    channel_order=st.sampled_from(["rgb", "bgr"]),
    num_frames=st.integers(1, 64),
    frame_stride=st.integers(1, 16),
    size=st.integers(1, 512),
)


@given(specs)
def test_dict_and_json_round_trip(spec):
    assert InputSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@given(specs)
def test_inline_text_round_trip(spec):
    words = {word: ",".join(map(repr, v)) if isinstance(v, list) else v for word, v in spec.to_dict().items()}
    assert InputSpec.parse(";".join(f"{word} = {value}" for word, value in words.items())) == spec


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".yml"])
def test_from_a_file(tmp_path, suffix):
    path = tmp_path / f"spec{suffix}"
    path.write_text(json.dumps(MACLR.to_dict()))  # JSON is YAML too
    assert InputSpec.parse(str(path)) == MACLR


def test_one_word_changes_the_base():
    assert InputSpec.parse("size=64", base=FIMA_224) == FIMA_224.replace(size=64)
    assert InputSpec.parse("mean=0.5;std=0.25", base=MACLR).mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "input spec is empty"),
        ("size", "got 'size'"),
        ("size=", "got 'size='"),
        ("sizes=4", "has no 'sizes'; its words are mean, std, channel_order, num_frames"),
        ("size=4;size=5", "gives size twice"),
        ("size=big", "size must be a number .* got 'big'"),
        ("size=0", "size must be a whole number of at least 1, got 0"),
        ("size=2.5", "size must be a whole number of at least 1, got 2.5"),
        ("num_frames=-1", "num_frames must be .* got -1"),
        ("frame_stride=1,2", r"frame_stride must be .* got \[1.0, 2.0\]"),
        ("std=0.1,0,0.1", "std must be above 0"),
        ("mean=1,2", "mean must be one finite number or three"),
        ("mean=nan", "mean must be one finite number or three"),
        ("channel_order=gbr", "channel_order must be 'rgb' or 'bgr', got 'gbr'"),
    ],
)
def test_bad_text_names_the_word(text, message):
    with pytest.raises(InputError, match=message):
        InputSpec.parse(text, base=FIMA_224)


def test_without_a_base_the_colors_are_needed():
    with pytest.raises(InputError, match="lacks mean and std"):
        InputSpec.parse("size=4")


def test_bad_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.yaml: no such file"):
        InputSpec.parse(str(tmp_path / "absent.yaml"))
    for name, text, message in [
        ("a.json", "{", "is not a JSON file"),
        ("b.yaml", "a: [", "is not YAML"),
        ("c.yaml", "- 1", "mapping of words to values, got list"),
        ("d.json", '{"color": 1}', "has no 'color'"),
    ]:
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=message):
            InputSpec.parse(str(tmp_path / name))


@pytest.mark.parametrize("value", [True, "4", None, float("nan")], ids=repr)
def test_sizes_are_whole_numbers(value):
    with pytest.raises(InputError, match="size must be a whole number"):
        FIMA_224.replace(size=value)


def test_families_are_the_papers():
    """Numbers of the specification, written out a second time."""
    assert (FIMA_224.num_frames, FIMA_224.frame_stride, FIMA_224.size) == (16, 2, 224)
    assert FIMA_224.mean == (0.43216, 0.394666, 0.37645)
    assert FIMA_224.std == (0.22803, 0.22145, 0.216989)
    assert InputSpec((0.45, 0.45, 0.45), (0.225, 0.225, 0.225), "rgb", 8, 8, 224) == MACLR
    assert MACLR.replace(num_frames=32) == input_spec.MACLR_FINETUNED
    assert InputSpec((0, 0, 0), (1, 1, 1), "bgr", 16, 2, 112) == input_spec.TCLR
