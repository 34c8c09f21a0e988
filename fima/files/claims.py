"""Result folders belong to the run that wrote them: claimed once, and nothing else in them is ever replaced.

A claimed folder has a hidden ``.fima-results.json`` that records of each kind of result what it was asked for, and the
names and digests of its files. Only a file that a record lists, and that is still as it was written, is replaced or
removed; whatever else is there, an input above all, makes the run refuse before it has written anything.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fima.errors import InputError, WriteError, one_line
from fima.files.locks import exclusive
from fima.files.records import RECORDS, digest, own_table, read_records
from fima.files.writing import PARTIAL, make_folder, remove_empty, scratch_folder, sweep, write_json

__all__ = ["RECORDS", "Claim", "claim_file", "claim_output", "is_left_over", "results_folder"]

_SHOWN = 3


def is_left_over(name: str) -> bool:
    """Whether a file is what a run hides beside its results, which a killed one leaves: record, lock, half a file."""
    locks = name.endswith(".fima-lock") or name == f"{RECORDS}.lock"
    return name == RECORDS or locks or PARTIAL.fullmatch(name) is not None


class Claim:
    """What a run may write in a folder; made by `claim_output`.

    Attributes:
        folder: of the results.
        files: what the run's own record lists: name → digests that the file may have; None: it is being written.
    """

    def __init__(
        self,
        folder: Path,
        kind: str,
        settings: Mapping[str, Any],
        *,
        inputs: Iterable[str | Path] = (),
        overwrite: bool | None = None,
        shared: Iterable[str] = (),
        flag: str = "--out",
    ) -> None:
        self.folder, self.kind, self.settings = folder, kind, settings
        self.inputs = {os.path.realpath(path) for path in inputs}
        self.overwrite, self.shared, self.flag = overwrite, frozenset(shared), flag
        self._has_written = False
        records = read_records(folder)
        self._others = {name: record["files"] for name, record in records.items() if name != kind}
        own = records.get(kind)
        self.before: Mapping[str, Any] | None = None if own is None else own["settings"]
        self.files: dict[str, list[str | None]] = {} if own is None else dict(own["files"])

    def adopt(self, known: Iterable[str], names: Iterable[str]) -> None:
        """Take over results of a version that kept no record: known ones, or, as of unknown settings, others."""
        if self.before is not None:
            return
        found = [name for name in known if (self.folder / name).is_file()]
        tables = [own_table(self.folder / name) for name in names if name.endswith(".json")]
        if not found and any(table is not None for table in tables):
            also = [name for table in tables for name in table or () if ".." not in name]
            found = [name for name in (*names, *also) if (self.folder / name).is_file()]
            self.before = {"made by": "an earlier version of fima"}
        self.files = {name: [digest(self.folder / name)] for name in found}

    def check_settings(self) -> None:
        """Refuse to replace what was made with other settings.

        Raises:
            InputError: names the first that differs.
        """
        before, now = self.before, self.settings
        if before in (None, now) or self.overwrite or not any(map(self.owns, self.files)):
            return
        key = next(key for key in {**before, **now} if before.get(key) != now.get(key))
        theirs, ours = (one_line(json.dumps(of.get(key), ensure_ascii=False))[:80] for of in (before, now))
        raise InputError(
            f"{self.flag} {self.folder}: holds another run's {self.kind} ({key}: {theirs}, here {ours}); give another "
            f"{self.flag}{self._or_overwrite()}"
        )

    def owns(self, name: str) -> bool:
        """Whether this kind of run wrote the file as it is now."""
        return self._listed(self.files, name)

    def check(self, names: Iterable[str]) -> None:
        """Refuse names under which something lies that may not be replaced.

        Raises:
            InputError: names the first few.
        """
        foreign = [name for name in names if os.path.lexists(self.folder / name) and not self._may_replace(name)]
        if foreign:
            more = ", …" if len(foreign) > _SHOWN else ""
            raise InputError(
                f"{self.flag} {self.folder}: holds {', '.join(foreign[:_SHOWN])}{more}, not of this run; nothing was "
                f"written: {self._way_out(foreign)}"
            )

    def expect(self, *names: str) -> None:
        """Files that are written in place from now on, which a killed run may leave in any state.

        Raises:
            InputError: as `check`.
        """
        new = [name for name in names if None not in self.files.get(name, ())]
        self.check(new)
        if new:
            self.files |= {name: [*self.files.get(name, ()), None] for name in new}
            self._write()

    def forget(self, name: str) -> bool:
        """Remove a file if it is this run's own; whether it was."""
        if not self.owns(name) or self._is_input(name):
            return False
        path = self.folder / name
        path.unlink()
        remove_empty([path.parent] if path.parent != self.folder else [])
        return True

    def publish(self, scratch: Path) -> None:
        """Move the files of a scratch folder into place together; then remove what an earlier run left beside them.

        Raises:
            InputError: as `check`; nothing was moved then.
        """
        new = {str(path.relative_to(scratch)): digest(path) for path in sorted(scratch.rglob("*")) if path.is_file()}
        self.check(new)
        left = self.files.keys() - new.keys()
        self.files |= {name: [*self.files.get(name, ()), written] for name, written in new.items()}
        self._write()
        for name in new:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (scratch / name).replace(self.folder / name)
        for name in left:
            if all(not self._listed(files, name) for files in self._others.values()):
                self.forget(name)
            del self.files[name]
        self.seal()

    @contextmanager
    def together(self) -> Iterator[Path]:
        """A scratch folder whose files are published when the block ends well; on an error nothing of it stays."""
        with scratch_folder(self.folder) as scratch:
            try:
                yield scratch
                self.publish(scratch)
            except WriteError as error:
                raise WriteError(str(error).replace(str(scratch), str(self.folder))) from error

    def seal(self) -> None:
        """Note how the files are that were written in place."""
        if not self._has_written:
            return
        present = {name: self.folder / name for name in self.files if (self.folder / name).is_file()}
        self.files = {name: [digest(path)] for name, path in present.items() if self.owns(name)}
        self._write()

    def _may_replace(self, name: str) -> bool:
        if self._is_input(name):
            return False
        others = any(self._listed(files, name) for files in self._others.values())
        return self.owns(name) or (others and (self.overwrite or name in self.shared))

    def _is_input(self, name: str) -> bool:
        return os.path.realpath(self.folder / name) in self.inputs

    def _listed(self, files: Mapping[str, list[str | None]], name: str) -> bool:
        path, known = self.folder / name, files.get(name)
        return known is not None and path.is_file() and (None in known or digest(path) in known)

    def _way_out(self, foreign: Iterable[str]) -> str:
        if any(self._listed(files, name) for name in foreign for files in self._others.values()):
            return f"give another {self.flag}{self._or_overwrite()}"
        return f"give another {self.flag}, or move them away"

    def _or_overwrite(self) -> str:
        return "" if self.overwrite is None else ", or --overwrite"

    def _write(self) -> None:
        self._has_written = True
        with exclusive(self.folder / f"{RECORDS}.lock", f"{self.flag} {self.folder}", wait=True):
            records = read_records(self.folder)
            records[self.kind] = {"settings": self.settings, "files": self.files}
            records = {kind: record for kind, record in records.items() if record["files"]}
            if records:
                write_json(self.folder / RECORDS, {"version": 1, "results": records})
            else:
                (self.folder / RECORDS).unlink(missing_ok=True)


@contextmanager
def claim_output(
    folder: str | Path,
    kind: str,
    settings: Mapping[str, Any],
    *,
    names: Iterable[str] = (),
    inputs: Iterable[str | Path] = (),
    overwrite: bool | None = None,
    known: Iterable[str] = (),
    damaged: Iterable[Path] = (),
    shared: Iterable[str] = ("skipped.csv",),
    flag: str = "--out",
    lock: str = ".fima-lock",
) -> Iterator[Claim]:
    """Keep a folder for one run: after all else was checked, and before anything is written.

    Args:
        folder: of the results; made, with its parents, if missing. What was made goes again if nothing is written.
        kind: of the results, such as ``cam``; several kinds may lie side by side.
        settings: what the results depend on, as JSON has it; the same ones may replace their own earlier results.
        names: what will be written for sure, so that a conflict is found before the work; ``*`` stands for anything.
        inputs: files that are read, which are never replaced.
        overwrite: also replace results of other settings and kinds that a record lists; None: cannot be asked for.
        known: files of an earlier version of this project, without a record, that the caller knows by their content.
        damaged: files that are kept as ``<name>.damaged`` once the folder is this run's.
        shared: names that all kinds write alike.
        flag: what the folder was given with.
        lock: runs of one lock cannot be at work at the same time.

    Raises:
        InputError: if another run is writing there, or has written there, or something is there that no run wrote.
    """
    target = Path(folder)
    made = make_folder(target, flag)
    try:
        with exclusive(target / lock, f"{flag} {target}"):
            sweep(target)
            for file in damaged:
                with suppress(FileNotFoundError):
                    file.replace(file.with_name(f"{file.name}.damaged"))
            plain = json.loads(json.dumps(settings, default=os.fspath))
            claim = Claim(target, kind, plain, inputs=inputs, overwrite=overwrite, shared=shared, flag=flag)
            claim.adopt(known, names)
            claim.check_settings()
            there = {str(path.relative_to(target)) for name in names if "*" in name for path in target.glob(name)}
            claim.check([*(name for name in names if "*" not in name), *sorted(there)])
            try:
                yield claim
            finally:
                claim.seal()
    finally:
        remove_empty(made)


@contextmanager
def results_folder(folder: str | Path, kind: str, settings: Mapping[str, Any], **rules: Any) -> Iterator[Path]:
    """Results that appear together: a scratch folder of a claim (`claim_output`, which takes the rules)."""
    with claim_output(folder, kind, settings, **rules) as claim, claim.together() as scratch:
        yield scratch


@contextmanager
def claim_file(
    path: Path,
    by: str,
    *beside: str,
    inputs: Iterable[str | Path] = (),
    overwrite: bool | None = None,
    known: bool = False,
) -> Iterator[Claim]:
    """The same (`claim_output`) for one file that is written in place and may lie among others.

    ``by`` is the command, which alone may replace it; ``beside`` may be written with it; ``known``: by its content.
    """
    names, kind = [path.name, *beside], f"file {path.name}"
    with claim_output(
        path.parent, kind, {"command": by}, names=names, inputs=inputs, overwrite=overwrite,
        known=names if known else [], lock=f".{path.name}.fima-lock",
    ) as claim:  # fmt: skip
        claim.expect(*names)
        yield claim
