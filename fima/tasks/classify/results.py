"""What a test leaves: result.json, predictions.csv, confusion.csv."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fima import __version__
from fima.data.clip_protocol import ClipProtocol
from fima.data.datasets.groups import source_groups
from fima.evaluation.metrics import confusion_matrix, per_class_accuracy, scores_of
from fima.files.reading import read_json
from fima.files.writing import write_csv, write_json
from fima.legacy import american_keys
from fima.presets.loader import flatten
from fima.presets.supervised import preset
from fima.tasks.classify.config import SupervisedConfig
from fima.tasks.classify.testing import VideoScores

__all__ = ["RESULT", "RESULTS", "describe", "differences", "explain_choice", "write_results"]

RESULT = "result.json"
RESULTS = (RESULT, "predictions.csv", "confusion.csv")
"""What a test leaves."""


def write_results(
    folder: Path,
    config: SupervisedConfig,
    found: VideoScores,
    class_names: Sequence[str],
    *,
    chosen: dict[str, Any],
    checkpoint: dict[str, Any],
    input: dict[str, Any],
    protocol: ClipProtocol,
    missing: int,
    warnings: Sequence[str],
    command: str,
    extra: dict[str, Any],
) -> Path:
    """Write the three files, each whole or not at all, result.json last.

    Args:
        folder: of the run.
        config: of the run.
        found: the test's scores.
        class_names: by label.
        chosen: the epoch, how it was chosen, and what it reached there.
        checkpoint: where the backbone is from: path, sha256, arch, format.
        input: of a test clip, as `InputSpec.to_dict`.
        protocol: of the test.
        missing: listed test videos that the disk does not hold.
        warnings: what a reader of the numbers must know.
        command: as typed.
        extra: further entries.

    Returns:
        result.json.
    """
    predictions = found.scores.argmax(axis=1)
    own = per_class_accuracy(predictions == found.labels, found.labels, len(class_names))
    groups = source_groups(Path(config.data), found.video_ids)
    result = {
        **_about_preset(config),
        **scores_of(found.scores, found.labels, groups),
        "videos": _counts(found, missing),
        "top5_of": min(5, len(class_names)),
        "classes": len(class_names),
        "interval": f"95 % over {'videos' if groups is None else 'source recordings'}",
        **protocol.to_dict(),
        "centering": None,
        "input": input,
        "seed": config.seed,
        "chosen": chosen,
        "checkpoint": checkpoint,
        "per_class": dict(zip(class_names, own, strict=True)),
        "unreadable": found.skipped,
        "warnings": list(warnings),
        **extra,
        "command": command,
        "versions": _versions(),
    }
    _write_tables(folder, found, list(class_names))
    write_json(folder / RESULT, result)
    return folder / RESULT


def _about_preset(config: SupervisedConfig) -> dict[str, Any]:
    source = preset(config.preset, config.task)
    return {
        "task": config.task,
        "preset": config.preset,
        "source": source.source,
        "source_takes_best_on_test": source.best_on_test,
        "source_leaves_open": list(source.open),
        "source_notes": list(source.notes),
        "differs_from_preset": differences(config),
    }


def _versions() -> dict[str, str]:
    return {
        "fima": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def _counts(found: VideoScores, missing: int) -> dict[str, Any]:
    tested, skipped = len(found.labels), len(found.skipped)
    listed = tested + skipped + missing
    note = "accuracies are of the tested videos"
    return {"tested": tested, "unreadable": skipped, "missing": missing, "listed": listed, "note": note}


def _write_tables(folder: Path, found: VideoScores, names: list[str]) -> None:
    predictions = found.scores.argmax(axis=1)
    rows = zip(found.video_ids, found.labels, predictions, found.scores, strict=True)
    write_csv(
        folder / "predictions.csv",
        ["video", "label", "prediction", *(f"score_{name}" for name in names)],
        [[video, names[label], names[guess], *(f"{s:.8g}" for s in scores)] for video, label, guess, scores in rows],
    )
    matrix = confusion_matrix(found.labels, predictions, len(names))
    counts = [[name, *map(int, row)] for name, row in zip(names, matrix, strict=True)]
    write_csv(folder / "confusion.csv", ["label", *names], counts)


def differences(config: SupervisedConfig) -> dict[str, Any]:
    """Settings that are not the preset's, dotted name → value."""
    ours = flatten(config.to_dict())
    theirs = preset(config.preset, config.task).settings()
    return {
        name: ours[name]
        for name, value in theirs.items()
        if ours[name] != (list(value) if isinstance(value, tuple) else value)
    }


def explain_choice(
    config: SupervisedConfig,
    epoch: int,
    top1: float | None,
    history: Sequence[dict[str, float]],
    *,
    validation: int,
    held_out: bool,
) -> dict[str, Any]:
    """How the tested weights were chosen.

    Args:
        config: of the run.
        epoch: chosen.
        top1: that it reached where it was chosen; None where it was the only one.
        history: of all epochs that were looked at.
        validation: videos.
        held_out: whether they were taken out of training.
    """
    by = config.validation.choose
    source = f"{validation} videos" + (" held out from training" if held_out else "")
    how = {
        "val": f"epoch {epoch}, best on validation ({source})",
        "last": f"epoch {epoch}, the last",
        "test": f"epoch {epoch}, BEST ON THE TEST SPLIT: optimistic, comparable only with numbers chosen so",
    }[by]
    return {"epoch": epoch, "by": by, "how": how, "top1": top1, "history": list(history)}


def describe(result: Path) -> str:
    """The numbers of a result.json in a line or two."""
    content = american_keys(read_json(result))
    names = {"top1": "top-1", "top5": f"top-{content['top5_of']}", "mean_class": "mean class"}
    parts = [f"{word} {_percent(content[name])}" for name, word in names.items()]
    videos = content["videos"]
    line = (
        f"{', '.join(parts)} of {videos['tested']} test videos ({videos['listed']} listed); {content['chosen']['how']}"
    )
    return "\n".join([line, *(f"warning: {text}" for text in content["warnings"]), str(result)])


def _percent(score: Mapping[str, float | None]) -> str:
    value, low, high = (None if score[name] is None else 100 * (score[name] or 0) for name in ("value", "low", "high"))
    return f"{value:.1f} %" + ("" if low is None else f" [{low:.1f}, {high:.1f}]")
