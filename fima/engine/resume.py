"""The checkpoint that a run goes on from, and whether it is this run's."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from fima.checkpoints.containers import plain_key
from fima.checkpoints.files import read_checkpoint
from fima.engine.configuration import RunConfig
from fima.engine.legacy import as_today, run_as_today
from fima.errors import CheckpointError, InputError
from fima.presets.loader import flatten

__all__ = ["LAST", "ResumePoint", "check_same_run", "find_resume", "fingerprint", "saved_state", "step_files"]

LAST = "last.ckpt"
#: What Lightning restores, and what would make it fail in words that no user understands.
_PARTS: Mapping[str, type] = {
    "state_dict": Mapping,
    "optimizer_states": list,
    "lr_schedulers": list,
    "callbacks": Mapping,
    "loops": Mapping,
    "global_step": int,
}
_VERSION = "pytorch-lightning_version"
_STEP_PATTERN = re.compile(r"step-(\d+)\.ckpt")


@dataclass(frozen=True)
class ResumePoint:
    """Where a run goes on.

    Attributes:
        path: The checkpoint.
        run: What it says of its run; None if it is no checkpoint of a run.
        step: Optimizer's steps that it has behind it.
        weights: Names of its weights.
        note: What the user must know, such as that another file was damaged.
        damaged: Newer checkpoints of the same run that cannot be read.
    """

    path: Path
    run: Mapping[str, Any] | None
    step: int = 0
    weights: frozenset[str] = frozenset()
    note: str | None = None
    damaged: tuple[Path, ...] = ()


class _Listed(Protocol):
    def __len__(self) -> int: ...

    def __iter__(self) -> Any: ...


def fingerprint(videos: _Listed) -> dict[str, Any]:
    """What tells one list of videos from another: how many, and a digest of their names in order."""
    digest = hashlib.sha256("\n".join(record.video_id for record in videos).encode()).hexdigest()
    return {"videos": len(videos), "digest": digest}


def step_files(folder: Path) -> list[Path]:
    """Checkpoints of a run by their step, ascending."""
    return sorted(file for file in folder.glob("step-*.ckpt") if _STEP_PATTERN.fullmatch(file.name))


def saved_state(folder: Path) -> str:
    """What a stopped run can rely on, in words."""
    last = folder / LAST
    return f"{last} is good: go on with --resume auto" if last.is_file() else "no checkpoint was written yet"


def find_resume(folder: Path, resume: str) -> ResumePoint | None:
    """The checkpoint that a run goes on from.

    Args:
        folder: Folder of the run.
        resume: "auto": the newest that can be read, and a note if that is not ``last.ckpt``; "never"; or a path.

    Returns:
        Where to go on; None for a new run.

    Raises:
        FileNotFoundError: If a path is given and nothing is there.
        InputError: If a run would be overwritten.
        CheckpointError: If nothing that is there can be read.
    """
    last = folder / LAST
    if resume == "never":
        if last.exists():
            raise InputError(f"{last}: this run exists; go on with --resume auto, or choose another --out")
        return None
    if resume == "auto":
        return _newest([*([last] if last.is_file() else []), *reversed(step_files(folder))])
    path = Path(resume)
    if not path.is_file():
        raise FileNotFoundError(f"--resume {resume}: no such file; expected auto, never or a checkpoint")
    try:
        return _read(path)
    except CheckpointError as error:
        others = [file for file in reversed(step_files(path.parent)) if _is_readable(file)]
        hint = f"; {others[0]} beside it can be read: give that one, or --resume auto" if others else ""
        raise CheckpointError(f"{error}{hint}") from None


def check_same_run(
    point: ResumePoint, config: RunConfig, ours: Mapping[str, Any], *, command: str, weights: Iterable[str] = ()
) -> None:
    """Refuse a checkpoint of other settings, other data or another number of samples to a step.

    A setting that the checkpoint's version did not have was what its default is now.

    Args:
        point: Where the run is to go on.
        config: Configuration of the run.
        ours: As `fima.engine.module.TaskModule.run` gives it.
        command: Name of the command, for messages.
        weights: Names of what is trained.

    Raises:
        CheckpointError: If it is no checkpoint of such a run, or one without some of the weights.
        InputError: Names the first setting that differs and both values.
    """
    run = point.run
    if run is None or not isinstance(run.get("decisive"), Mapping):
        raise CheckpointError(f"{point.path}: is no checkpoint of fima {command}; a new run may start from its weights")
    theirs, mine = _defaults(config) | dict(run["decisive"]), ours["decisive"]
    for name in sorted(theirs.keys() | mine.keys()):
        if theirs.get(name) != mine.get(name):
            raise InputError(
                f"--resume {point.path}: the run was begun with {name} = {theirs.get(name)}, not {mine.get(name)}; a "
                "run goes on as it began"
            )
    for name, value in ours["data"].items():
        if run["data"].get(name) != value:
            what = _other(name, run["data"].get(name), value)
            raise InputError(f"--resume {point.path}: the run was begun with {what}; a run goes on as it began")
    world = run.get("world", 1)
    if world != ours["world"]:
        raise InputError(f"--resume {point.path}: the run was begun with {world} processes, not {ours['world']}")
    if lacking := sorted(set(weights) - point.weights):
        raise CheckpointError(f"{point.path}: damaged: without {len(lacking)} of its weights, such as {lacking[0]}")


def _other(name: str, theirs: Any, ours: Any) -> str:
    if name == "start":
        return "another --ckpt"
    counts = [value.get("videos") if isinstance(value, Mapping) else value for value in (theirs, ours)]
    return f"other {name} videos ({counts[0]}, here {counts[1]}, or other names or order)"


def _defaults(config: RunConfig) -> dict[str, Any]:
    """Dotted name → default of every decisive setting in a group."""
    made = {item.name: item.default_factory() for item in fields(config) if item.default_factory is not MISSING}
    groups = {name: asdict(one) for name, one in made.items() if is_dataclass(one) and not isinstance(one, type)}
    flat = flatten(groups)
    return {name: value for name, value in flat.items() if name in config.decisive()}


def _newest(files: list[Path]) -> ResumePoint | None:
    """The first of the files that can be read."""
    damaged: dict[Path, CheckpointError] = {}
    for file in files:
        try:
            point = _read(file)
        except CheckpointError as error:
            damaged[file] = error
            continue
        if not damaged:
            return point
        words = f"{next(iter(damaged.values()))}; going on from {file} instead, the damaged one is kept beside it"
        return replace(point, note=words, damaged=tuple(damaged))
    if damaged:
        raise CheckpointError(f"{next(iter(damaged.values()))}; nor can an older checkpoint beside it be read")
    return None


def _is_readable(file: Path) -> bool:
    try:
        _read(file)
    except CheckpointError:
        return False
    return True


def _read(path: Path) -> ResumePoint:
    try:
        content = read_checkpoint(path, trust=False)
    except CheckpointError as error:
        if "--trust-checkpoint" in str(error):  # ours never need code
            raise CheckpointError(f"{path}: is no checkpoint of a run: code is needed to read it") from None
        raise
    if not (isinstance(content, Mapping) and isinstance(content.get("run"), Mapping)):
        return ResumePoint(path, None)
    content, run = as_today(dict(content)), run_as_today(content["run"])
    _check_parts(path, content, run)
    return ResumePoint(path, run, int(content["global_step"]), frozenset(map(plain_key, content["state_dict"])))


def _check_parts(path: Path, content: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    """Refuse a checkpoint of a run whose parts are not there, or are of another kind."""
    parts = {name: isinstance(content.get(name), kind) for name, kind in _PARTS.items()}
    parts["run.data"] = isinstance(run.get("data"), Mapping)
    parts[_VERSION] = bool(re.match(r"\d+\.\d+", str(content.get(_VERSION))))
    if lacking := [name for name, there in parts.items() if not there]:
        raise CheckpointError(f"{path}: damaged: no {lacking[0]} in it, or one of another kind")
