import argparse

import pytest

from fima.commands.base import Parser, run
from fima.errors import CheckpointError, InputError, one_line

ARGS = argparse.Namespace()


def raising(error):
    def command(_args):
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("size must be 1"), "fima x: error: size must be 1\n"),
        (CheckpointError("a.pt: two\n  lines"), "fima x: error: a.pt: two lines\n"),
        (FileNotFoundError("a.mp4: no such file"), "fima x: error: a.mp4: no such file\n"),
        (
            FileNotFoundError(2, "No such file or directory", "a.mp4"),
            "fima x: error: a.mp4: No such file or directory\n",
        ),
        (InputError(""), "fima x: error: InputError\n"),
    ],
    ids=["input", "two-lines", "own-oserror", "system-oserror", "silent"],
)
def test_bad_input_is_one_line_and_two(error, line, capsys):
    assert run(raising(error), ARGS, "fima x") == 2
    assert capsys.readouterr() == ("", line)


def test_interrupt(capsys):
    assert run(raising(KeyboardInterrupt()), ARGS, "fima x") == 130
    assert capsys.readouterr().err == "fima x: error: interrupted\n"


def test_bugs_keep_their_traceback():
    with pytest.raises(ValueError, match="a bug"):
        run(raising(ValueError("a bug")), ARGS, "fima x")


def test_code_and_arguments_pass_through():
    args = argparse.Namespace(n=7)
    assert run(lambda given: given.n, args, "fima x") == 7


@pytest.mark.parametrize("argv", [["--n", "x"], ["--number"], ["--nu", "3"], ["more"]], ids=str)
def test_parser_errors_are_one_line(argv, capsys):
    parser = Parser(prog="fima x")
    parser.add_argument("--number", type=int)
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(argv)
    assert stop.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("fima x: error: ")
    assert err.count("\n") == 1


def test_one_line():
    assert one_line(" a\n\tb  c ") == "a b c"
