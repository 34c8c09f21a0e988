"""Around a run: no second one in its folder, and one line for what it can die of."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lightning.pytorch as pl

from fima.engine.checkpoints import LAST
from fima.errors import InputError, TrainingError, VideoError, one_line

__all__ = ["one_line_errors", "one_run_at_a_time"]


@contextmanager
def one_run_at_a_time(folder: Path, trainer: pl.Trainer) -> Iterator[None]:
    """Keeps a second run out of the same folder."""
    if not trainer.is_global_zero:
        yield
        return
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"{folder}: another run is writing there; wait for it, or choose another --out") from None
        yield


@contextmanager
def one_line_errors(folder: Path) -> Iterator[None]:
    """Turns what a run can die of into our errors."""
    try:
        yield
    except VideoError as error:
        # A worker's error carries its traceback as text; the last line is what it says.
        raise VideoError(str(error).strip().splitlines()[-1].split("VideoError: ")[-1]) from error
    except SystemExit as stop:  # Lightning's way out of Ctrl-C
        raise KeyboardInterrupt from stop
    except TrainingError:
        raise
    except RuntimeError as error:
        text = one_line(str(error))
        cause = next((words for sign, words in _CAUSES.items() if sign in text.lower()), None)
        if cause is None:
            raise
        last = folder / LAST
        saved = f"go on from {last} with --resume auto" if last.exists() else "nothing was saved yet"
        raise TrainingError(f"{cause} ({text[:200]}); {saved}") from error


_CAUSES = {
    "dataloader worker": "a worker that decodes videos died",
    "connection closed by peer": "another process of the run is gone",
    "connection reset": "another process of the run is gone",
    "gloo": "the connection to another process of the run broke",
    "nccl": "the connection to another process of the run broke",
    "out of memory": "too little memory: lower optimizer.batch_size and raise optimizer.accumulate",
}
