"""Which checkpoints are compared, under which names: files, untrained backbones, and the folders of training runs.

Importing this module does not import torch.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from analysis.settings import DEFAULT_CKPT, untrained_seed
from fima.errors import CheckpointError, InputError

__all__ = [
    "DEFAULT_CHECKPOINTS",
    "Plan",
    "Source",
    "newest_checkpoint",
    "plan_columns",
    "plan_sources",
    "run_checkpoints",
    "short_names",
]

DEFAULT_CHECKPOINTS = ("tiny-vd", DEFAULT_CKPT)
"""What is compared where no checkpoint is given: two methods, on the same data, that come along."""

_STEP = re.compile(r"step-(\d+)\.ckpt")
_ENDINGS = (".tar", ".pth", ".pt", ".ckpt", ".pyth", ".bin")
_SAY_NOTHING = ("last", "best", "checkpoint", "model")


@dataclass(frozen=True)
class Source:
    """One set of weights.

    Attributes:
        name: Short and unique in a comparison.
        ckpt: The file; None is an untrained backbone.
        seed: Seed of untrained weights.
        run: Name of the training run that it is a step of.
        step: Optimizer step of that run.
    """

    name: str
    ckpt: str | None
    seed: int | None = None
    run: str | None = None
    step: int | None = None

    @property
    def key(self) -> tuple[str, str]:
        """The same for the same weights, as far as can be told without reading them."""
        return ("random", str(self.seed)) if self.ckpt is None else ("file", str(Path(self.ckpt).resolve()))


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes:
        columns: Side by side, the baseline first; of a run its newest checkpoint, of a run alone also its first.
        runs: Name → all checkpoints of the run by step.
    """

    columns: list[Source]
    runs: dict[str, list[Source]] = field(default_factory=dict)


def plan_sources(
    given: Sequence[str], names: Sequence[str] | None = None, *, seed: int = 0, trust: bool = False
) -> Plan:
    """Columns and training curves of what ``--ckpt`` names.

    Args:
        given: Checkpoint files, folders of runs, ``random`` or ``random:SEED``.
        names: One for each, instead of those made from the paths.
        seed: Seed of a plain ``random``.
        trust: Read files that run code (only to find the step of a file whose name does not tell it).

    Raises:
        InputError: For fewer than two checkpoints, one given twice, or names that are not as many or not unique.
        CheckpointError: For a folder without checkpoints, or a checkpoint of a folder that does not say its step.
    """
    columns: list[Source] = []
    runs: dict[str, list[Source]] = {}
    for word, name in zip(given, _names(given, names), strict=True):
        if (weights := untrained_seed(word, seed)) is not None:
            columns.append(Source(name, None, seed=weights))
        elif _is_run(word):
            steps = [
                Source(f"{name} step {step}", str(file), run=name, step=step)
                for step, file in run_checkpoints(Path(word), trust=trust).items()
            ]
            runs[name] = steps
            alone = len(given) == 1 and len(steps) > 1
            columns += [steps[0], steps[-1]] if alone else [replace(steps[-1], name=name)]
        else:
            columns.append(Source(name, word))
    if len(columns) < 2:
        what = f"got {given[0]} alone" if given else "got none"
        raise InputError(f"--ckpt: give at least two checkpoints to compare, or the folder of a run, {what}")
    _check_distinct(columns)
    return Plan(columns, runs)


def plan_columns(
    given: Sequence[str], names: Sequence[str] | None = None, *, seed: int = 0, trust: bool = False
) -> list[Source]:
    """A column for each of one or several checkpoints; of a run's folder its newest.

    Args:
        given: As of ``plan_sources``.
        names: One for each, instead of those made from the paths.
        seed: Seed of a plain ``random``.
        trust: Read files that run code.

    Raises:
        InputError: For a checkpoint given twice, or names that are not as many or not unique.
        CheckpointError: For a folder without checkpoints, or a checkpoint of a folder that does not say its step.
    """
    columns = []
    for word, name in zip(given, _names(given, names), strict=True):
        weights = untrained_seed(word, seed)
        ckpt = None if weights is not None else newest_checkpoint(word, trust=trust)
        columns.append(Source(name, ckpt, seed=weights))
    _check_distinct(columns)
    return columns


def newest_checkpoint(word: str, *, trust: bool = False) -> str:
    """The newest checkpoint of a training run's folder; any other word as it is.

    Raises:
        CheckpointError: For a checkpoint of a folder that does not say its step.
    """
    from fima.checkpoints.files import newest_of_run

    if not _is_run(word):
        return word
    return str(newest_of_run(Path(word)) or list(run_checkpoints(Path(word), trust=trust).values())[-1])


def _is_run(word: str) -> bool:
    """Whether it is a folder of checkpoints, and not one that holds a single model in another library's format."""
    folder = Path(word)
    return folder.is_dir() and (any(folder.glob("*.ckpt")) or not (folder / "config.json").is_file())


def run_checkpoints(folder: Path, *, trust: bool = False) -> dict[int, Path]:
    """Step → checkpoint file of a run's folder, in the order of the steps; a second name of a file is left out.

    Args:
        folder: Holds ``step-*.ckpt``, or other ``*.ckpt`` that say their ``global_step``.
        trust: Read files that run code.

    Raises:
        CheckpointError: If there is none, or one does not say its step.
    """
    files = sorted(folder.glob("*.ckpt"))
    found = {int(match[1]): file for file in files if (match := _STEP.fullmatch(file.name))}
    for file in files:
        if not _STEP.fullmatch(file.name) and not any(file.samefile(other) for other in found.values()):
            found.setdefault(_step_inside(file, trust=trust), file)
    if not found:
        raise CheckpointError(f"{folder}: no checkpoint in this folder; expected the *.ckpt files of a training run")
    return dict(sorted(found.items()))


def _step_inside(file: Path, *, trust: bool) -> int:
    from fima.checkpoints.files import read_checkpoint

    content = read_checkpoint(file, trust=trust)
    step = content.get("global_step") if isinstance(content, dict) else None
    if not isinstance(step, int):
        raise CheckpointError(f"{file}: does not say its step; expected a global_step in it, or the name step-N.ckpt")
    return step


def _check_distinct(columns: list[Source]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for column in columns:
        if column.key in seen:
            what = f"seed {column.seed}" if column.ckpt is None else str(column.ckpt)
            raise InputError(
                f"--ckpt: {seen[column.key]} and {column.name} are the same checkpoint ({what}); give each once"
            )
        seen[column.key] = column.name


def _names(given: Sequence[str], names: Sequence[str] | None) -> list[str]:
    if not names:
        return short_names(given)
    if len(names) != len(given):
        raise InputError(f"--name: give one for each checkpoint, got {len(names)} for {len(given)}")
    for name, times in Counter(names).items():
        if times > 1 or not name.strip():
            raise InputError(f"--name: names must differ and not be empty, got {name!r}{' twice' if times > 1 else ''}")
    return list(names)


def _candidates(word: str) -> tuple[str, ...]:
    """Names from short to long."""
    if (seed := untrained_seed(word, 0)) is not None:
        return (f"untrained seed {seed}" if ":" in word else "untrained",)
    path = Path(word)
    folder = path.absolute().parent.name or "/"
    stem = path.absolute().name if path.is_dir() else _stem(path.name)
    short = folder if stem in _SAY_NOTHING and not path.is_dir() else stem
    return short, f"{folder}/{stem}", word


def short_names(given: Sequence[str]) -> list[str]:
    """A name for each checkpoint: the shortest that is not also another's; what still repeats is numbered.

    A file that only says ``last`` or ``best`` goes by its folder, ``runs/fima/last.ckpt`` as ``fima``.
    """
    candidates = [_candidates(word) for word in given]
    names = [some[0] for some in candidates]
    for level in (1, 2):
        times = Counter(names)
        names = [
            some[min(level, len(some) - 1)] if times[name] > 1 else name
            for some, name in zip(candidates, names, strict=True)
        ]
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return unique


def _stem(name: str) -> str:
    """A checkpoint's name without its endings, of which there may be two."""
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return name or "checkpoint"
