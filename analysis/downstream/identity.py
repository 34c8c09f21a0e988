"""What a job is of, written beside its result: nothing finished under other settings is taken for this job's."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.downstream.plan import FEATURES, RANKS, Checkpoint, Job, K
from fima.errors import InputError
from fima.files.reading import read_yaml
from fima.files.writing import write_json
from fima.input_spec import InputSpec
from fima.legacy import american_keys

__all__ = ["Known", "identity", "look", "pretrained_on", "write_result"]


@dataclass(frozen=True)
class Known:
    """What a checkpoint's file says of itself.

    Attributes:
        arch: of the backbone.
        input: that it expects.
        sha256: of the file; None for random weights.
    """

    arch: str
    input: InputSpec
    sha256: str | None


def look(checkpoints: list[Checkpoint], arch: str | None) -> dict[Checkpoint, Known]:
    """Open every checkpoint once; random weights get the architecture of the first trained one, or tiny.

    Args:
        checkpoints: that take part.
        arch: of random weights; None: as above.

    Raises:
        FileNotFoundError, CheckpointError, InputError: as `fima.checkpoints.load_backbone`.
    """
    from fima.evaluation.backbone import open_backbone

    known: dict[Checkpoint, Known] = {}
    for one in sorted(checkpoints, key=lambda c: not c.trained):
        like = arch or next((k.arch for c, k in known.items() if c.trained), "tiny")
        loaded, _ = open_backbone(one.path, arch=None if one.trained else like, device="cpu")
        known[one] = Known(loaded.arch, loaded.input, loaded.sha256)
    return {one: known[one] for one in checkpoints}


def pretrained_on(checkpoint: Checkpoint, data: str) -> bool:
    """Whether the run that a checkpoint lies in says (config.yaml) that it was pre-trained on this data set."""
    config = Path(checkpoint.path).parent / "config.yaml"
    if not checkpoint.trained or not config.is_file():
        return False
    try:
        content = american_keys(read_yaml(config))
    except InputError:
        return False
    theirs = content.get("data") if isinstance(content, dict) else None
    return isinstance(theirs, str) and Path(theirs).resolve() == Path(data).resolve()


def identity(job: Job, runs: Path, known: Known) -> dict[str, Any]:
    """What the result depends on: weights, videos, seed, settings; neither paths nor threads."""
    lists = runs / "lists"
    files = [lists / "all.csv"] if job.task == FEATURES else sorted((lists / job.scope).glob("*.csv"))
    command = job.command(Path(), known.arch, 1)
    dropped = {"--data", "--out", "--ckpt", "--resume", "--trainer.threads", "--threads", "--log.progress"}
    pairs = [pair for pair in zip(command[1::2], command[2::2], strict=True) if pair[0] not in dropped]
    settings: dict[str, Any] = dict(pairs)
    if job.base in ("knn", "retrieve"):
        settings = {"k": K, "ranks": list(RANKS), "--seed": str(job.seed)}
    if job.shown != "rgb":
        settings["--shown"] = job.shown
    return {
        "task": job.task,
        "weights": known.sha256 or f"random {known.arch}",
        "videos": {file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:16] for file in files},
        "settings": settings,
    }


def write_result(job: Job, content: Mapping[str, Any]) -> None:
    """Write result.json, whole: with it the job is finished."""
    write_json(job.folder / "result.json", content)
