"""What every command of this project shares: errors of one line, exit codes, Ctrl-C.

Exit codes: 0 done, 2 bad input (one line on stderr), 3 done but for some videos, 4 training stopped by itself (one
line), 130 or 143 interrupted by Ctrl-C or SIGTERM; anything else is a bug and keeps its traceback.
Nothing here imports torch.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from fima.errors import InputError, TrainingError, one_line

__all__ = ["BAD_INPUT", "INTERRUPTED", "STOPPED", "Parser", "run"]

BAD_INPUT = 2
STOPPED = 4
INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, ``<prog>: error: <what>``, with exit code 2 and no usage dump.

    Flags must be written in full: an abbreviation that works today would break when a longer flag is added.
    Subparsers made with ``add_subparsers()`` are of the same class.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # argparse's own long list of options

    def error(self, message: str) -> NoReturn:
        """Print one line and leave with exit code 2."""
        _print_error(self.prog, message)
        raise SystemExit(BAD_INPUT)


def run(command: Callable[[argparse.Namespace], int], args: argparse.Namespace, prog: str) -> int:
    """Call a command and turn the user's mistakes into one line and an exit code.

    Args:
        command: does the work and returns the exit code.
        args: the parsed flags, passed on.
        prog: the name in front of an error, such as ``fima info``.

    Returns:
        What the command returned; 2 after an ``InputError`` or ``OSError``; 4 after a ``TrainingError``; 130 after
        Ctrl-C. Other exceptions pass through: they are bugs, and need their traceback.
    """
    try:
        code = command(args)
        # Flushed here, so that a reader who has gone (``fima info … | head -1``) is noticed inside this try.
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes stdout once more at exit, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (InputError, OSError) as error:
        _print_error(prog, _describe(error))
        return BAD_INPUT
    except TrainingError as error:
        _print_error(prog, str(error))
        return STOPPED
    except KeyboardInterrupt:
        _print_error(prog, "interrupted")
        return INTERRUPTED
    return code


def _describe(error: Exception) -> str:
    """The message; for an error of the operating system, the path and the reason without ``[Errno 2]``."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return str(error) or type(error).__name__


def _print_error(prog: str, message: str) -> None:
    sys.stderr.write(f"{prog}: error: {one_line(message)}\n")
