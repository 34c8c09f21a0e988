"""What a trained backbone is worth in its world: probes, background bias, and the per-video measures of the studies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.measures.registry import full_name
from analysis.reproduction.plan import Run
from analysis.settings import Settings
from analysis.studies import run as run_study
from analysis.studies.bias.measuring import bias_worlds, measure_bias
from fima.checkpoints import LoadedBackbone, load_backbone, untrained_backbone
from fima.data.clip_protocol import ClipProtocol
from fima.data.datasets import VideoDataset, open_dataset
from fima.evaluation.features import clip_features
from fima.evaluation.neighbors import hits, nearest
from fima.evaluation.probes import fit_linear_probe
from fima.files.reading import read_json
from fima.files.writing import write_json

__all__ = ["SCORES", "score"]

SCORES = {
    "linear": "motion, linear probe",
    "nearest": "motion, 1-NN",
    "recall_at_5": "retrieval R@5",
    "background": "background, linear probe",
    "bias_gap": full_name("bias", "gap"),
    "energy": full_name("localize", "energy"),
    "energy_ratio": f"{full_name('localize', 'energy')} / chance",
    "auroc": full_name("localize", "auroc"),
    "top1_agreement": full_name("affinity", "top1_agreement"),
    "affinity_auroc": full_name("affinity", "auroc"),
    "offset_auroc": full_name("temporal", "offset_auroc"),
    "motion_share": full_name("sensitivity", "motion_share"),
}
"""Every score per test video (right or wrong for probes), so that methods are compared in pairs."""

_VERSION = 1
_CLIPS = ClipProtocol(2, crop_fraction=None)
_CORRELATION = 0.9
_STUDIES = {
    "localize": ("energy", "auroc"),
    "affinity": ("top1_agreement", "auroc"),
    "temporal": ("offset_auroc",),
    "sensitivity": ("motion_share",),
}
Array = NDArray[np.float64]


def score(run: Run, *, device: str = "cpu", tell: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Scores of a finished run, from its ``scores.json`` if that was made from the same checkpoint.

    Returns:
        ``values``: score → one number per test video; ``chance``: score → level; ``checkpoint``: SHA-256; ``choices``:
        what validation chose.
    """
    loaded = load_backbone(run.checkpoint) if run.trained else untrained_backbone("tiny", seed=run.seed)
    path = run.scores
    key = {
        "version": _VERSION,
        "checkpoint": loaded.sha256 or f"random:{run.seed}",
        "probe_videos": list(run.budget.probe_videos),
        "measured": run.budget.measured,
    }
    if path.exists():
        kept = read_json(path)
        if kept["key"] == key:
            return dict(kept)
    if tell is not None:
        tell(f"scoring {run.label}")
    values, choices = _probes(loaded, run, device)
    gap, more = _bias_gap(loaded, run, device)
    measured, chance = _measures(run, device)
    values |= gap | measured
    content = {
        "key": key,
        "values": {name: np.asarray(values[name]).round(6).tolist() for name in SCORES},
        "chance": chance
        | {"linear": 0.1, "nearest": 0.1, "background": 0.1, "recall_at_5": _chance_at(5), "bias_gap": 0.0},
        "choices": choices | more,
    }
    write_json(path, content, indent=None)
    return content


def _chance_at(rank: int, classes: int = 10) -> float:
    return 1 - (1 - 1 / classes) ** rank


def _probes(loaded: LoadedBackbone, run: Run, device: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """Right or wrong for each test video: linear probe, nearest neighbor, retrieval; and the background's probe."""
    train, val, test = (
        _world(run.regime, split, count)
        for split, count in zip(("train", "val", "test"), run.budget.probe_videos, strict=True)
    )
    features = {
        name: clip_features(loaded, part.records, _CLIPS, device=device).mean
        for name, part in (("train", train), ("val", val), ("test", test))
    }
    labels = {name: _labels(part) for name, part in (("train", train), ("val", val), ("test", test))}
    probe = fit_linear_probe(features["train"], labels["train"], features["val"], labels["val"])
    order, _ = nearest(features["test"], features["train"], 5)
    hit = hits(order, labels["test"], labels["train"])
    patterns = {name: _patterns(part) for name, part in (("train", train), ("val", val), ("test", test))}
    background = fit_linear_probe(features["train"], patterns["train"], features["val"], patterns["val"])
    values = {
        "linear": probe.predict(features["test"]) == labels["test"],
        "nearest": hit[:, 0],
        "recall_at_5": hit.any(axis=1),
        "background": background.predict(features["test"]) == patterns["test"],
    }
    choices = {"linear_C": probe.strength, "linear_val": probe.validation_accuracy, "background_C": background.strength}
    return {name: np.asarray(right, np.float64) for name, right in values.items()}, choices


def _bias_gap(loaded: LoadedBackbone, run: Run, device: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """Right with backgrounds that tell the class minus right with another class's, video by video."""
    train, val, test = (count // 2 for count in run.budget.probe_videos)
    worlds = bias_worlds(run.regime, (train, val, test), correlation=_CORRELATION)
    found = measure_bias(loaded, worlds, device=device)
    return {"bias_gap": found.gap}, {
        "bias_C": found.strength,
        "with_correlated": float(found.correlated.mean()),
        "with_swapped": float(found.swapped.mean()),
    }


def _measures(run: Run, device: str) -> tuple[dict[str, Array], dict[str, float]]:
    """The studies' scores per video, as ``fima-analyze`` gives them."""
    settings = Settings(
        ckpt=str(run.checkpoint) if run.trained else f"random:{run.seed}",
        data=f"shapes:{run.regime},videos={run.budget.measured}",
        split="test",
        show=1,
        batch_size=16,
        device=device,
        seed=run.seed,
    )
    values: dict[str, Array] = {}
    chance: dict[str, float] = {}
    for measure, names in _STUDIES.items():
        study = run_study(measure, settings)
        for name in names:
            key = "affinity_auroc" if (measure, name) == ("affinity", "auroc") else name
            values[key] = study.video_scores[name]
            level = study.scores[name].chance
            if level is not None:
                chance[key] = level
    values["energy_ratio"] = values["energy"] / chance["energy"]
    return values, chance | {"energy_ratio": 1.0}


def _world(regime: str, split: str, videos: int) -> VideoDataset:
    return open_dataset(f"shapes:{regime},videos={videos}", split=split)


def _labels(data: VideoDataset) -> NDArray[np.int64]:
    return np.array([record.label for record in data])


def _patterns(data: VideoDataset) -> NDArray[np.int64]:
    return np.array([getattr(record, "pattern", -1) for record in data])
