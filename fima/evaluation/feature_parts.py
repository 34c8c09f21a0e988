"""The parts of a table of features that is being made, in a hidden folder beside it."""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fima.errors import InputError, WriteError
from fima.evaluation.feature_store import read_metadata, schema
from fima.files.locks import exclusive
from fima.files.reading import read_json
from fima.files.writing import scratch_folder, whole_file, write_csv, write_json

__all__ = ["Parts", "check_same", "skipped_path"]

_SETTINGS = "settings.json"


def skipped_path(out: Path) -> Path:
    """Where the videos that could not be read are listed."""
    return out.with_name(f"{out.name}.skipped.csv")


class Parts:
    """The parts of a file that is being made.

    Args:
        out: the file.
        count: parts.
    """

    def __init__(self, out: Path, count: int) -> None:
        self.out, self.count = out, count
        self._folder = out.with_name(f".{out.name}.parts")

    def path(self, number: int) -> Path:
        """Of a part."""
        return self._folder / f"{number:06d}.parquet"

    def are_of(self, content: Mapping[str, Any]) -> bool:
        """Whether unfinished work on these features is there.

        Raises:
            InputError: if it is of other features.
        """
        if (before := self._before()) is None:
            return False
        check_same(before, content, self._folder)
        return True

    def open(self, content: Mapping[str, Any]) -> None:
        """Make the folder, or see that it is of these features.

        It appears with its settings in it, so that of processes that start together one makes it and the others find
        it whole; none removes what another one has begun.
        """
        lock = self._folder.with_name(f"{self._folder.name}.fima-lock")
        with exclusive(lock, str(self.out), wait=True), scratch_folder(self.out.parent) as fresh:
            write_json(fresh / _SETTINGS, content, indent=None)
            while not _moved(fresh, self._folder) and not self.are_of(content):
                self.remove()  # damaged

    def _before(self) -> dict[str, Any] | None:
        """Settings of unfinished work; None if there is none, or it is damaged."""
        try:
            found = read_json(self._folder / _SETTINGS)
        except (FileNotFoundError, ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    def is_whole(self, number: int) -> bool:
        """Whether a part is there and can be read."""
        with suppress(OSError, pa.ArrowInvalid):
            return pq.read_metadata(self.path(number)) is not None
        return False

    def write(self, number: int, rows: Any) -> None:
        """A chunk's rows; the part appears whole or not at all."""
        with whole_file(self.path(number)) as partial:
            pq.write_table(rows, partial, compression="zstd")

    def wait(self, patience: float) -> None:
        """Until all parts are there."""
        left, since, missing = self.count, time.monotonic(), list(range(self.count))
        while missing := [number for number in missing if not self.is_whole(number)]:
            if len(missing) < left:
                left, since = len(missing), time.monotonic()
            if time.monotonic() - since > patience:
                raise InputError(
                    f"{self.out}: {len(missing)} of {self.count} parts are missing and none came for "
                    f"{patience / 60:.0f} minutes; the same command, started alone, makes them"
                )
            time.sleep(0.2)

    def skipped(self, numbers: Iterable[int]) -> dict[str, str]:
        """Videos of these parts that could not be read; parts that are not there have none."""
        found: dict[str, str] = {}
        for number in numbers:
            with suppress(FileNotFoundError, InputError):
                found.update(dict(read_metadata(self.path(number))["skipped"]))
        return found

    def remove(self) -> None:
        """Remove the parts, all at once: a kill leaves no folder without its settings."""
        with scratch_folder(self.out.parent) as away, suppress(FileNotFoundError):
            _moved(self._folder, away)

    def join(self, content: Mapping[str, Any]) -> dict[str, str]:
        """Write the file from its parts, and remove them."""
        skipped = self.skipped(range(self.count))
        filled = [number for number in range(self.count) if pq.read_metadata(self.path(number)).num_rows]
        if not filled:
            reason = next(iter(skipped.values()))
            self.remove()
            raise InputError(f"none of the {len(skipped)} videos can be read; the first: {reason}")
        channels = pq.read_schema(self.path(filled[0])).field("vector").type.list_size
        form = schema(channels, {**content, "skipped": list(skipped.items())})
        if skipped:
            write_csv(skipped_path(self.out), ("video", "reason"), skipped)
        with whole_file(self.out) as partial, pq.ParquetWriter(partial, form, compression="zstd") as writer:
            for number in filled:
                writer.write_table(pq.read_table(self.path(number)).replace_schema_metadata(form.metadata))
        if not skipped:
            skipped_path(self.out).unlink(missing_ok=True)  # of what was there before
        self.remove()
        return skipped


def _moved(folder: Path, target: Path) -> bool:
    """Whether a folder could take the name of another, which nothing had, or a folder with nothing in it."""
    try:
        folder.rename(target)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise WriteError(f"{target}: cannot be written ({error.strerror})") from error
    return True


def check_same(theirs: Mapping[str, Any], ours: Mapping[str, Any], where: Path) -> None:
    """Refuse features of another backbone, data set or protocol.

    Raises:
        InputError: names the first key that differs, and both values.
    """
    for key in sorted(ours.keys() - {"checkpoint", "versions"}):
        if theirs.get(key) != ours[key]:
            found, wanted = (json.dumps(side.get(key))[:100] for side in (theirs, ours))
            raise InputError(f"{where}: is of other features: {key} is {found}, here {wanted}; pass --overwrite")
