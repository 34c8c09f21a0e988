import argparse
import io
import os
import subprocess
import sys

import pytest

from fima.commands.base import Parser, begin, run
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


def test_a_long_line_is_cut(capsys):
    assert run(raising(InputError("9" * 100_000)), ARGS, "fima x") == 2
    assert len(capsys.readouterr().err) < 2000


def test_interrupt(capsys):
    assert run(raising(KeyboardInterrupt()), ARGS, "fima x") == 130
    assert capsys.readouterr().err == "fima x: error: interrupted\n"


def test_faults_are_one_line_and_a_traceback_only_if_asked(capsys):
    def divide(_args):
        return 1 // 0

    assert run(divide, ARGS, "fima x") == 70
    line = "fima x: error: this is a fault of fima: ZeroDivisionError at fima/commands/base.py:"
    said = capsys.readouterr().err
    assert said.startswith(line)
    assert said.endswith("; --traceback shows it\n")
    assert said.count("\n") == 1
    assert run(divide, argparse.Namespace(traceback=True), "fima x") == 70
    said = capsys.readouterr().err
    assert said.startswith("Traceback (most recent call last):")
    assert said.splitlines()[-1].startswith(line)


def test_another_librarys_advice_is_not_shown_as_ours(capsys):
    torch = pytest.importorskip("torch")
    assert run(lambda _: torch.load(io.BytesIO(b"junk")), ARGS, "fima x") == 70
    assert "weights_only" not in capsys.readouterr().err


def test_what_leaves_the_program_is_a_fault_too(capsys):
    assert run(lambda _: sys.exit(0), ARGS, "fima x") == 70
    assert "SystemExit" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] data. DefaultCPUAllocator: can't allocate memory: 9 bytes"),
        type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory."),
    ],
    ids=["python", "torch", "cuda"],
)
def test_too_little_memory_is_bad_input(error, capsys):
    assert run(raising(error), ARGS, "fima x") == 2
    assert "not enough memory" in capsys.readouterr().err


def test_memory_in_another_sense_is_no_lack_of_it(capsys):
    assert run(raising(RuntimeError("views share memory; clone() first")), ARGS, "fima x") == 70


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
@pytest.mark.parametrize("words", [("fima", "info", "tiny-fima"), ("analysis", "cam", "--help")], ids=" ".join)
def test_terminals_of_any_encoding(encoding, words):
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-m", f"{words[0]}.cli", *words[1:]], env=env, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_sigterm_cleans_up_and_has_its_own_code(tmp_path):
    code = (
        "import argparse, sys, time; from pathlib import Path\n"
        "from fima.commands.base import run; from fima.files.writing import whole_file\n"
        "def write(_):\n"
        "    with whole_file(Path(sys.argv[1])) as partial:\n"
        "        partial.touch(); print('writing', flush=True); time.sleep(60)\n"
        "sys.exit(run(write, argparse.Namespace(), 'fima x'))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "a.txt"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "writing\n"
    process.terminate()
    assert process.communicate()[1] == "fima x: error: interrupted\n"
    assert process.returncode == 143
    assert not list(tmp_path.iterdir())


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


@pytest.mark.parametrize(("given", "kept"), [(None, "passive"), ("active", "active")])
def test_threads_wait_asleep_unless_the_environment_says_otherwise(given, kept, monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if given is not None:
        monkeypatch.setenv("OMP_WAIT_POLICY", given)
    assert "torch" not in _modules_after("import fima.cli, analysis.cli"), (
        "too late for torch, which reads it when loaded"
    )
    begin([])
    assert os.environ["OMP_WAIT_POLICY"] == kept


def _modules_after(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return done.stdout.split()
