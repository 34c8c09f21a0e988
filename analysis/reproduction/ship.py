"""``python -m analysis.reproduction.ship``: two backbones of a reproduction into the package, with their model card."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from analysis.reproduction.plan import BUDGETS, METHODS, Run, plan_runs
from analysis.reproduction.score import SCORES, score
from analysis.reproduction.table import Cell, collect
from fima.checkpoints import SHIPPED, load_backbone, save_backbone
from fima.errors import InputError

__all__ = ["ship"]

_WEIGHTS = Path(__file__).resolve().parents[2] / "fima" / "weights"
_LARGEST = 2_000_000  # bytes
_CARD = """\
# Shipped weights

`tiny-vd` and `tiny-fima`: small backbones, trained by this project on its own procedural videos, so that every command
and notebook shows something trained without a download. They know ten motions of textured shapes and nothing of people
or places: fit for looking at the tools and for comparing the two methods, not for real tasks. License: as the project's
(Apache-2.0). For real clips there is `small-fima`: [small-fima.md](small-fima.md).

| name | method | recipe | data | seed | steps | code at commit | SHA-256 |
|---|---|---|---|---|---|---|---|
{rows}

Input: 16 frames, every 2nd, 56 × 56, RGB, normalized with Kinetics' means (written in the files). Format: the project's
own, read without running code; {size} bytes each at most.

## Scores ({regime}; {videos} test videos for probes, {measured} for the rest)

Mean [95 % interval over test videos]; docs/reproduction.md says how they are measured.

| | {names} | chance |
|---|{dashes}
{scores}

Made by `python -m analysis.reproduction.ship --regime {regime} --seed {seed}` from the runs of
`fima-analyze reproduce --regimes {regime} --seeds {seed}`.
"""


def ship(runs: dict[str, Run], folder: Path = _WEIGHTS) -> list[Path]:
    """Write the backbones and the card.

    Args:
        runs: shipped name → finished run; all of one regime, seed and budget.
        folder: to write into.

    Raises:
        InputError: if a run is not finished, or its file would be too large.
    """
    for run in runs.values():
        if not run.finished:
            raise InputError(f"{run.folder}: is not finished; run fima-analyze reproduce first")
    written = []
    for name, run in runs.items():
        loaded = load_backbone(run.checkpoint)
        extra = {"method": METHODS[run.method], "recipe": f"{run.method}-shapes", "data": f"shapes:{run.regime}"}
        path = save_backbone(
            folder / f"{name}.ckpt",
            loaded.backbone,
            arch=loaded.arch,
            input=loaded.input,
            extra=extra | {"seed": run.seed, "epoch": run.budget.epochs, "commit": _commit()},
        )
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path}: has {path.stat().st_size} bytes, at most {_LARGEST} are shipped")
        written.append(path)
    card = folder / "README.md"
    card.write_text(_card(runs, written), encoding="utf-8")
    return [*written, card]


def _card(runs: dict[str, Run], files: list[Path]) -> str:
    first = next(iter(runs.values()))
    table = collect({run: score(run) for run in runs.values()})[first.regime]
    chosen = {name: table[run.method] for name, run in runs.items()}
    digests = [load_backbone(path).sha256 for path in files]
    rows = [
        f"| `{name}` | {METHODS[run.method]} | `{run.method}-shapes` "
        f"| `shapes:{run.regime},videos={run.budget.videos}` | {run.seed} | {_steps(run)} | {_commit()} | {digest} |"
        for (name, run), digest in zip(runs.items(), digests, strict=True)
    ]
    scores = [
        f"| {label} | {' | '.join(_text(cells[name]) for cells in chosen.values())} | {_level(table, name)} |"
        for name, label in SCORES.items()
    ]
    return _CARD.format(
        rows="\n".join(rows),
        size=max(path.stat().st_size for path in files),
        regime=first.regime,
        seed=first.seed,
        videos=first.budget.probe_videos[2],
        measured=first.budget.measured,
        names=" | ".join(f"`{name}`" for name in runs),
        dashes="---|" * (len(runs) + 1),
        scores="\n".join(scores),
    )


def _text(cell: Cell) -> str:
    return cell.text(percent=False)


def _level(table: dict[str, Any], name: str) -> str:
    chance = next(iter(table.values()))[name].summary.chance
    return "–" if chance is None else f"{chance:.3f}"


def _steps(run: Run) -> int:
    return run.budget.epochs * (run.budget.videos // 32)


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def main() -> int:
    """Ship ``tiny-vd`` and ``tiny-fima``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--regime", default="camera")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", default="runs/reproduction")
    args = parser.parse_args()
    runs = plan_runs(BUDGETS["small"], args.runs, ["vd", "fima"], [args.regime], [args.seed])
    for path in ship({f"tiny-{run.method}": run for run in runs if f"tiny-{run.method}" in SHIPPED}):
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
