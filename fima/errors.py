"""Errors that mean "your input", told apart from bugs: command lines print them as one line and exit with code 2.

A missing file is always the built-in ``FileNotFoundError``.
"""

__all__ = ["CheckpointError", "InputError", "VideoError"]


class InputError(ValueError):
    """A flag, value, path or key that cannot be used; the message names it, what was expected and what was found."""


class VideoError(InputError):
    """A file that cannot be read as video; the message starts with its path."""


class CheckpointError(InputError):
    """A checkpoint that cannot be loaded completely and safely; the message starts with its path."""
