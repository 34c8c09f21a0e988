"""Whether a checkpoint belongs to the run that wants to go on from it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fima.data.datasets import VideoDataset
from fima.errors import CheckpointError, InputError
from fima.legacy import american_keys
from fima.tasks.pretrain.config import PretrainConfig

__all__ = ["check_same_run", "fingerprint"]


def fingerprint(videos: VideoDataset) -> dict[str, Any]:
    """What tells one data set from another: how many videos, and a digest of their names in order."""
    digest = hashlib.sha256("\n".join(record.video_id for record in videos).encode()).hexdigest()
    return {"videos": len(videos), "digest": digest}


def check_same_run(content: Any, config: PretrainConfig, videos: VideoDataset, world: int, path: Path | None) -> None:
    """Refuse a checkpoint of other settings, other data or another number of samples to a step.

    Raises:
        CheckpointError: if it is no checkpoint of a run.
        InputError: names the first setting that differs and both values.
    """
    if not isinstance(content, Mapping) or not isinstance(content.get("run"), Mapping):
        raise CheckpointError(f"{path}: is no checkpoint of fima pretrain; to start from its weights use --init")
    run = content["run"]
    theirs, ours = american_keys(run["decisive"]), config.decisive()
    for name in sorted(theirs.keys() | ours.keys()):
        if theirs.get(name) != ours.get(name):
            raise InputError(
                f"--resume {path}: the run was begun with {name} = {theirs.get(name)}, not {ours.get(name)}; a run "
                "goes on as it began (--init starts a new one from its weights)"
            )
    if run["data"] != fingerprint(videos):
        raise InputError(
            f"--resume {path}: the run was begun on other videos ({run['data']['videos']}, here {len(videos)}, or "
            "other names or order); a run goes on with the data it began with"
        )
    if run["world"] != world:
        raise InputError(f"--resume {path}: the run was begun with {run['world']} processes, not {world}")
