"""A run's folder: claimed once, its settings in config.yaml, and nothing else in it ever replaced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from fima.engine.configuration import RunConfig
from fima.engine.parsing import as_yaml
from fima.engine.resume import ResumePoint
from fima.files.claims import Claim, claim_output
from fima.files.writing import write_text

__all__ = ["TRAINED", "RunFolder", "opened_run", "write_config"]

TRAINED = ("config.yaml", "metrics.csv", "failures.csv", "last.ckpt", "best.ckpt", "step-*.ckpt")
"""What every training leaves; a ``*`` stands for anything."""


class RunFolder:
    """What a run may write, made by `opened_run`.

    Attributes:
        path: The folder.
    """

    def __init__(self, config: RunConfig, names: Iterable[str], claim: Claim | None) -> None:
        self.path, self._config, self._claim = Path(config.out), config, claim
        self._names = [name for name in names if "*" not in name]

    def begin(self) -> None:
        """Write the settings; from now on the files of the run are this run's."""
        if self._claim is not None:
            self._claim.expect(*self._names)
            write_config(self.path / "config.yaml", self._config)

    def expect(self, name: str) -> None:
        """One more file of the run.

        Raises:
            InputError: If something of that name is there that is not of the run.
        """
        if self._claim is not None:
            self._claim.expect(name)

    def forget(self, name: str) -> None:
        """Remove a file of the run; another's stays."""
        if self._claim is not None:
            self._claim.forget(name)


@contextmanager
def opened_run(
    config: RunConfig,
    kind: str,
    settings: Mapping[str, Any],
    *,
    names: Iterable[str] = TRAINED,
    inputs: Iterable[str] = (),
    resume: ResumePoint | None = None,
    leads: bool = True,
) -> Iterator[RunFolder]:
    """Keep a folder for one run: after all else was checked, and before anything is written.

    Args:
        config: Configuration of the run.
        kind: Name of the task.
        settings: What the weights and results depend on.
        names: What the run leaves.
        inputs: Files that are read, which are never replaced.
        resume: Where the run goes on, if it does; a run that an earlier version began here is known by it.
        leads: Whether this process is the first of the run; the others write nothing.

    Raises:
        InputError: If another run is writing there, or has written there, or something is there that no run wrote.
    """
    names = tuple(names)
    if not leads:
        yield RunFolder(config, names, None)
        return
    folder = Path(config.out)
    begun = resume is not None and resume.path.resolve().parent == folder.resolve()
    damaged = resume.damaged if resume is not None and begun else ()
    known = {path.name for name in names for path in folder.glob(name)} if begun else ()
    with claim_output(folder, kind, settings, names=names, inputs=inputs, known=known, damaged=damaged) as claim:
        yield RunFolder(config, names, claim)


def write_config(path: Path, config: RunConfig) -> None:
    """Write a configuration as a file of settings that repeats the run."""
    plain = {name: value for name, value in config.to_dict().items() if name not in config.NOT_WRITTEN}
    write_text(path, yaml.safe_dump(as_yaml(plain), sort_keys=False))
