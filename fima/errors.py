"""Errors that are not bugs, which command lines print as one line: "your input" (exit code 2), and a run that stopped.

A missing file is always the built-in ``FileNotFoundError``.
"""

import re

__all__ = [
    "CheckpointError",
    "InputError",
    "Interrupted",
    "TrainingError",
    "VideoError",
    "WriteError",
    "lacks_memory",
    "one_line",
]


class InputError(ValueError):
    """A flag, value, path or key that cannot be used; the message names it, what was expected and what was found."""


class VideoError(InputError):
    """A file that cannot be read as video; the message starts with its path."""


class WriteError(InputError):
    """A place that refuses a file (no room, no permission), whatever is in it; the message starts with its path."""


class CheckpointError(InputError):
    """A checkpoint that cannot be loaded completely and safely; the message starts with its path."""


class TrainingError(RuntimeError):
    """A run that had to stop, such as for a loss that is not finite (exit code 4); the message says what it saved."""


class Interrupted(BaseException):
    """A run that a signal stopped, and that has saved: no Exception, which might be swallowed.

    Attributes:
        signal: The number of what asked for the end; the exit code is 128 more.
    """

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.signal = number


def one_line(text: str) -> str:
    """The text with every run of white space, line breaks included, as one space."""
    return " ".join(text.split())


def lacks_memory(error: BaseException) -> bool:
    """Whether an error is an allocator's: Python's, NumPy's, or PyTorch's (by its name: torch is not imported here)."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or (isinstance(error, RuntimeError) and _ALLOCATOR.search(str(error)) is not None)


_ALLOCATOR = re.compile(r"DefaultCPUAllocator: (not enough|can't allocate) memory|CUDA out of memory")
