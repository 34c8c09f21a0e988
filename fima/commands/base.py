"""What every command of this project shares: errors of one line, exit codes, Ctrl-C.

Exit codes: 0 done, 2 bad input (one line on stderr), 3 done but for some videos, 4 training stopped by itself (one
line), 70 a fault of ours (one line; ``--traceback`` shows where), 130 or 143 interrupted by Ctrl-C or SIGTERM.
Nothing here imports torch.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from fima import __version__
from fima.commands.types import finite, text, whole
from fima.errors import InputError, Interrupted, TrainingError, lacks_memory, one_line
from fima.legacy import american_flags

__all__ = [
    "BAD_INPUT",
    "FAULT",
    "INTERRUPTED",
    "STOPPED",
    "TERMINATED",
    "Parser",
    "add_global_flags",
    "begin",
    "run",
]

BAD_INPUT = 2
STOPPED = 4
FAULT = 70
INTERRUPTED = 130
TERMINATED = 143
_FLAG = "--traceback"
_LONGEST = 1500


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, ``<prog>: error: <what>``, with exit code 2 and no usage dump.

    Values are checked by their types (`fima.commands.types`); None is text.
    Flags must be written in full: an abbreviation that works today would break when a longer flag is added.
    Subparsers made with ``add_subparsers()`` are of the same class.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # argparse's own long list of options
        for kind, check in ((int, whole), (float, finite), (None, text)):
            self.register("type", kind, check)

    def add_subparsers(self, **kwargs: Any) -> Any:
        """As argparse has it; the words that it passes on are the subparser's to check."""
        action = super().add_subparsers(**kwargs)
        action.type = str
        return action

    def error(self, message: str) -> NoReturn:
        """Print one line and leave with exit code 2."""
        _print_error(self.prog, message)
        raise SystemExit(BAD_INPUT)


def run(command: Callable[[argparse.Namespace], int], args: argparse.Namespace, prog: str) -> int:
    """Call a command and turn whatever it ends with into at most one line and an exit code.

    Args:
        command: does the work and returns the exit code.
        args: the parsed flags, passed on.
        prog: the name in front of an error, such as ``fima info``.

    Returns:
        What the command returned, or the exit code of what it raised (see above).
    """
    try:
        with _terminated_as_interrupted():
            code = command(args)
            # Flushed here, so that a reader who has gone (``fima info … | head -1``) is noticed inside this try.
            sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes stdout once more at exit, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Interrupted as stop:
        sys.stderr.write(f"{prog}: {stop}\n")
        return 128 + stop.signal
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        if getattr(args, "traceback", False):
            traceback.print_exc()
        code, message = _verdict(error)
        _print_error(prog, message)
    return code


def add_global_flags(parser: argparse.ArgumentParser) -> None:
    """``--version`` and ``--traceback``, which `begin` takes."""
    parser.add_argument("--version", action="version", version=f"fima {__version__}")
    parser.add_argument(_FLAG, action="store_true", help="after any error, show where it was raised")


def begin(argv: Sequence[str] | None) -> tuple[list[str], bool]:
    """What a program begins with: letters that the terminal lacks are escaped, and ``--traceback`` may stand anywhere.

    Threads of torch that wait do so asleep, unless the environment says otherwise: where others compute on the same
    processor, waiting awake takes several times as long as the work.

    Args:
        argv: without the program's name; None: those of the process.

    Returns:
        The arguments but for the flag, in their present names, and whether it was among them.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    arguments = american_flags(sys.argv[1:] if argv is None else argv)
    return [word for word in arguments if word != _FLAG], _FLAG in arguments


class _Terminated(KeyboardInterrupt):
    """SIGTERM, as a scheduler sends it: like Ctrl-C, it leaves nothing half-written."""


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    process = os.getpid()

    def leave(number: int, frame: Any) -> None:
        if os.getpid() != process:  # a forked worker ends at once
            os._exit(TERMINATED)
        raise _Terminated

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _verdict(error: BaseException) -> tuple[int, str]:
    """Exit code and message."""
    if isinstance(error, InputError | OSError):
        return BAD_INPUT, _describe(error)
    if isinstance(error, TrainingError):
        return STOPPED, str(error)
    if isinstance(error, KeyboardInterrupt):
        return (TERMINATED if isinstance(error, _Terminated) else INTERRUPTED), "interrupted"
    if lacks_memory(error):
        return BAD_INPUT, f"not enough memory ({one_line(str(error))[:120]}); try smaller clips or batches"
    return FAULT, f"this is a fault of fima: {_fault(error)}; {_FLAG} shows it"


def _fault(error: BaseException) -> str:
    """Kind and place of an unexpected error; its words only if they are ours, as another library's advice is not."""
    frames = traceback.extract_tb(error.__traceback__)
    root = Path(__file__).parents[2]
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(root / "fima")
            or Path(frame.filename).is_relative_to(root / "analysis")]  # fmt: skip
    place = f" at {Path(ours[-1].filename).relative_to(root)}:{ours[-1].lineno}" if ours else ""
    words = f" ({str(error)[:200]})" if str(error) and ours and ours[-1] is frames[-1] else ""
    return f"{type(error).__name__}{place}{words}"


def _describe(error: Exception) -> str:
    """The message; for an error of the operating system, the path and the reason without ``[Errno 2]``."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return str(error) or type(error).__name__


def _print_error(prog: str, message: str) -> None:
    line = one_line(message)
    sys.stderr.write(f"{prog}: error: {line if len(line) <= _LONGEST else line[:_LONGEST] + ' …'}\n")
