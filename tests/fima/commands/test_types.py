"""What flags may hold."""

import pytest

from fima.commands.base import Parser


@pytest.fixture
def parser():
    parser = Parser(prog="fima x")
    parser.add_argument("--count", type=int)
    parser.add_argument("--share", type=float)
    parser.add_argument("--data")
    parser.add_argument("videos", nargs="*")
    return parser


@pytest.mark.parametrize(
    "words",
    [
        *(["--count", word] for word in ("9" * 19, "9" * 5000, "²", "٣", "1_0", "1e3", "0x1", "", "nan")),
        *(["--share", word] for word in ("nan", "inf", "1e999", "٣", "", "1" * 400)),
        ["--data", ""],
        ["--data", " "],
        ["a.mp4", ""],
    ],
    ids=lambda words: " ".join(words)[:20],
)
def test_refused_in_one_line_that_names_the_flag(parser, words, capsys):
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(words)
    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert said.startswith(f"fima x: error: argument {words[0] if words[0].startswith('-') else 'videos'}: must ")
    assert (said.count("\n"), len(said) < 160) == (1, True)


@pytest.mark.parametrize(("word", "value"), [("-7", -7), ("+7", 7), ("9223372036854775807", 2**63 - 1), (" 7", 7)])
def test_whole_numbers(parser, word, value):
    assert parser.parse_args([f"--count={word}"]).count == value


@pytest.mark.parametrize(("word", "value"), [("1e-3", 0.001), ("-.5", -0.5), ("3", 3.0)])
def test_numbers(parser, word, value):
    assert parser.parse_args([f"--share={word}"]).share == value
