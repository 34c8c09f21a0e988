"""The embedding of a table of features (``fima extract``): the same map and scores, without videos or a backbone."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np

from analysis.measures.embedding import FEWEST
from analysis.output import versions
from analysis.studies.common.study import Study
from analysis.studies.embedding.study import make_study
from fima.checkpoints.shipped import checkpoint_name
from fima.errors import InputError
from fima.evaluation.feature_store import FeatureSet, read_clip_vectors, read_features

__all__ = ["run_on_table"]


def run_on_table(path: str | Path, *, seed: int = 0) -> Study:
    """A map of the clips of a table, colored by its labels, and the scores of its vectors.

    Args:
        path: The table.
        seed: Seed of the map and of the shuffling.

    Returns:
        As `analysis.studies.embedding.study.run`: ``clip``, the number of a clip in its video, instead of ``seconds``;
        neither backgrounds nor thumbnails, which a table does not hold. Without any labels, without their scores.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If it is no table of features, holds fewer than 5 clips, or labels of some videos only.
    """
    path = Path(path)
    table = read_features(path)
    clips = int(table.clips.sum())
    if clips < FEWEST:
        raise InputError(f"--features {path}: a map needs at least {FEWEST} clips, got {clips}")
    features = np.concatenate(read_clip_vectors(path, table.video_ids))
    at = np.repeat(np.arange(len(table)), table.clips)
    arrays = {
        "video_id": np.array(table.video_ids),
        "video": at,
        "clip": np.concatenate([np.arange(count) for count in table.clips]),
        **_labels(table, at, path),
    }
    return make_study(
        features, arrays, seed=seed, provenance=_provenance(table, path, seed), skipped=dict(table.skipped)
    )


def _labels(table: FeatureSet, at: np.ndarray, path: Path) -> dict[str, np.ndarray]:
    unknown = table.labels < 0
    if unknown.all():
        return {}
    if unknown.any():
        first = table.video_ids[int(unknown.argmax())]
        raise InputError(f"--features {path}: {first} has no label, but other videos have; give labels to all or none")
    names = [
        table.class_names[label] if label < len(table.class_names) else "" for label in range(table.labels.max() + 1)
    ]
    present, codes = np.unique(table.labels, return_inverse=True)
    texts = [names[label] or str(label) for label in present]
    return {"label": codes[at], "label_name": np.array(texts)}


def _provenance(table: FeatureSet, path: Path, seed: int) -> dict[str, Any]:
    """As `analysis.studies.common.provenance.provenance`, from what the table says of itself; "?" where it does not."""
    about, sha256 = table.metadata, table.metadata.get("sha256")
    name = checkpoint_name(about.get("checkpoint", "unknown checkpoint"))
    data = about.get("data") or {}
    words = ["fima-analyze", "embed", "--features", str(path), *(["--seed", str(seed)] if seed else [])]
    return {
        "checkpoint": {
            "path": f"random, seed {about.get('seed')}" if name == "random" else name,
            "sha256": sha256,
            "trained": name != "random",
            "arch": about.get("arch", "unknown architecture"),
            "format": "features",
            "load_report": None,
        },
        "features": {
            "path": str(path),
            **{key: about.get(key) for key in ("format", "version", "shown", "preset", "protocol", "versions")},
        },
        "input": about.get("input") or dict.fromkeys(("num_frames", "frame_stride", "size"), "?"),
        "inputs": {
            "video": None,
            "data": data.get("path", str(path)),
            "split": data.get("split"),
            "num_videos": len(table) + len(table.skipped),
        },
        "space": "backbone",
        "motion_input": None,
        "settings": {"features": str(path), **({"seed": seed} if seed else {})},
        "normalize": None,
        "boundary": None,
        "layer": about.get("layer") or "output",
        "crop": None,
        "device": None,
        "seed": seed,
        "versions": versions(),
        "command": shlex.join(words),
    }
