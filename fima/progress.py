"""How far work has come, on stderr: a bar on a terminal, a line now and then elsewhere. Imports no torch."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

__all__ = ["EVERY_SECONDS", "Progress", "duration", "tell"]

EVERY_SECONDS = 15.0
"""Between two lines."""


class Progress:
    """Call it with what is done and how much there is; it is a context, which leaves the terminal as it was.

    Args:
        what: being done, in front of the numbers.
        unit: of what is counted, such as "videos"; empty: it has no name.
        style: "bar", "lines", "none", or "auto": a bar where stderr is a terminal, else lines.
        ends: whether the last line is written however quick the work was.

    Examples:
        >>> with Progress("draw", unit="videos", style="none") as progress:
        ...     progress(1, 2)
    """

    def __init__(self, what: str, *, unit: str = "", style: str = "auto", ends: bool = False) -> None:
        self.what, self.unit, self.ends = what, unit, ends
        self.style = ("bar" if sys.stderr.isatty() else "lines") if style == "auto" else style
        self._began = self._said = time.monotonic()
        self._before = 0
        self._bar: Any = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Show that ``done`` of ``total`` are done; ``note`` stands behind the numbers."""
        now = time.monotonic()
        pace = max(done - self._before, 0) / max(now - self._began, 1e-9)
        if self.style == "bar":
            bar = self._opened()
            bar.update(bar.task_ids[0], completed=done, total=total, note=self._note(pace, note))
        elif self.style == "lines" and (now - self._said >= EVERY_SECONDS or (self.ends and done == total)):
            self._said = now
            left = f", {duration((total - done) / pace)} left" if pace else ""
            counted = f"{done}/{total} {self.unit}".rstrip()
            tell(f"{self.what}: {counted}, {self._note(pace, note)}{left}")

    def begin(self, done: int) -> None:
        """Count pace from now on; ``done`` were done before, such as by the run that this one goes on with."""
        self._before, self._began = done, time.monotonic()

    def tell(self, line: str) -> None:
        """A line on stderr, above the bar; none where nothing is shown."""
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        elif self.style != "none":
            tell(line)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _opened(self) -> Any:
        if self._bar is None:
            from rich import progress
            from rich.console import Console
            from rich.table import Column

            note = progress.TextColumn("{task.fields[note]}", table_column=Column(ratio=1, no_wrap=True))
            self._bar = progress.Progress(
                *(progress.TextColumn("{task.description}"), progress.BarColumn(20), progress.MofNCompleteColumn()),
                *(progress.TimeRemainingColumn(), note),
                console=Console(stderr=True),
                transient=True,
                expand=True,
            )
            self._bar.start()
            self._bar.add_task(self.what, total=None, note="")
        return self._bar

    def _note(self, pace: float, note: str) -> str:
        return f"{pace:.2f} {self.unit}".rstrip() + "/s" + (f", {note}" if note else "")


def duration(seconds: float) -> str:
    """A time in words of a unit that fits: ``40 s``, ``12 min``, ``3 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.0f} h"


def tell(line: str) -> None:
    """A line on stderr."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
