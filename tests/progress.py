"""What commands say while they work, for tests that compare the rest."""

from __future__ import annotations

__all__ = ["without_progress"]


def without_progress(stderr: str) -> str:
    """What a command wrote on stderr, less the lines of progress: they come where the machine is slow."""
    return "".join(line for line in stderr.splitlines(keepends=True) if not line.endswith(" left\n"))
