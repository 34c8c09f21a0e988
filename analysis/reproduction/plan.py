"""Which runs a reproduction is made of. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fima.data.shapes import REGIMES, open_shapes, require_backgrounds
from fima.errors import InputError

__all__ = ["BUDGETS", "METHODS", "WITHOUT", "Budget", "Run", "plan_runs"]

METHODS = {
    "random": "untrained",
    "moco": "MoCo",
    "vd": "MoCo + L_VD",
    "pixel": "MoCo + L_Pix",
    "fima": "FIMA",
    "fima-no-decoder": "FIMA without decoder",
    "fima-no-foreground": "FIMA without foreground",
    "fima-no-frame": "FIMA without frame loss",
    "maclr": "MaCLR",
}
"""In the order of the paper's ablation; all but the first and those of `WITHOUT` have a recipe ``<name>-shapes``. L_Pix
alone is without motion decoder, foreground sampling and frame loss."""
WITHOUT = {f"fima-no-{part}": part for part in ("decoder", "foreground", "frame")}
"""FIMA with one of its parts switched off: method → the option. They are trained only if asked for."""


@dataclass(frozen=True)
class Budget:
    """How much is spent.

    Attributes:
        name: of the budget.
        epochs: of pre-training, on ``videos`` training videos.
        videos: to train on.
        probe_videos: of the train, val and test splits, for probes.
        measured: test videos for localization, alignment and sensitivity.
        warning: what a reader must know, on top of the page; empty if nothing.
    """

    name: str
    epochs: int
    videos: int
    probe_videos: tuple[int, int, int]
    measured: int
    warning: str = ""


BUDGETS = {
    "small": Budget("small", 24, 1600, (1600, 500, 1000), 200),
    "long": Budget("long", 100, 1600, (1600, 500, 1000), 200),
    "quick": Budget(
        "quick", 5, 480, (480, 150, 200), 40,
        "This is the quick run: it shows that everything works. It is far too short to conclude anything from.",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One method trained in one regime from one seed.

    Attributes:
        method: a key of `METHODS`.
        regime: a key of `fima.data.shapes.REGIMES`, or one with knobs as ``shapes:`` takes them.
        seed: of weights and draws.
        folder: of the run.
        budget: what it may take.
        step: of the checkpoint that is looked at; None: the last.
    """

    method: str
    regime: str
    seed: int
    folder: Path
    budget: Budget
    step: int | None = None

    @property
    def trained(self) -> bool:
        """Whether there is anything to train."""
        return self.method != "random"

    @property
    def checkpoint(self) -> Path:
        """What training ends with, or one on the way."""
        return self.folder / ("last.ckpt" if self.step is None else f"step-{self.step:08d}.ckpt")

    @property
    def scores(self) -> Path:
        """What the checkpoint is worth, once it is scored."""
        return self.folder / ("scores.json" if self.step is None else f"scores-{self.step:08d}.json")

    @property
    def finished(self) -> bool:
        """Whether training came to its end."""
        return not self.trained or (self.folder / "finished").exists()

    def command(self, threads: int) -> list[str]:
        """Arguments of ``fima`` that train it, or go on; about every tenth of it leaves a checkpoint."""
        tenth = str(max(1, round(self.budget.epochs / 10)))
        return [
            *self.recipe, "--out", str(self.folder), "--seed", str(self.seed), "--resume", "auto",
            "--trainer.threads", str(threads), "--log.progress", "lines",
            "--checkpoints.every_epochs", tenth, "--checkpoints.keep_every", tenth,
        ]  # fmt: skip

    @property
    def recipe(self) -> list[str]:
        """What of the command decides, with the seed, what is learnt."""
        data = f"shapes:{self.regime},videos={self.budget.videos}"
        off = WITHOUT.get(self.method)
        method = ["--recipe", f"{'fima' if off else self.method}-shapes", *([f"--method.{off}", "false"] * bool(off))]
        return ["pretrain", *method, "--data", data, "--optimizer.epochs", str(self.budget.epochs)]

    @property
    def label(self) -> str:
        """Its name in lines of progress."""
        return f"{self.method}, {self.regime}, seed {self.seed}" + (f", step {self.step}" if self.step else "")

    def at(self, step: int) -> Run:
        """The same, looked at on the way."""
        return replace(self, step=step)


def plan_runs(
    budget: Budget, folder: str | Path, methods: Sequence[str], regimes: Sequence[str], seeds: Sequence[int]
) -> list[Run]:
    """The runs in the order in which they are worth most: all methods of a regime and seed before the next.

    Raises:
        InputError: for an unknown method or regime, one whose backgrounds cannot be told apart, or no seed.
        FileNotFoundError: if the pictures of natural looks are not there.
    """
    if unknown := [name for name in methods if name not in METHODS]:
        raise InputError(f"--methods: there is no {unknown[0]!r}; known: {', '.join(METHODS)}")
    if unknown := [name for name in regimes if name.partition(",")[0] not in REGIMES]:
        raise InputError(f"--regimes: there is no {unknown[0]!r}; known: {', '.join(REGIMES)}")
    if not seeds or min(seeds) < 0 or not methods or not regimes:
        raise InputError("--methods, --regimes and --seeds need at least one value each, seeds of at least 0")
    for regime in regimes:
        require_backgrounds(open_shapes(f"shapes:{regime},videos=1"), "--regimes")
    return [
        Run(method, regime, seed, Path(folder) / budget.name / regime.replace("/", "+") / f"{method}-{seed}", budget)
        for seed in dict.fromkeys(seeds)
        for regime in dict.fromkeys(regimes)
        for method in METHODS
        if method in methods
    ]
