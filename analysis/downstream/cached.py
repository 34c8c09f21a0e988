"""The cheap tasks: linear probe, nearest neighbors and retrieval on features that were computed once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.downstream.answers import write_predictions
from analysis.downstream.folds import Parts
from analysis.downstream.identity import write_result
from analysis.downstream.plan import RANKS, Job, K
from analysis.downstream.videos import Videos
from analysis.jobs import Tell
from fima.errors import InputError

__all__ = ["ClipTable", "neighbors", "probe", "read_clips", "run_cached"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ClipTable:
    """Features of clips.

    Attributes:
        vectors: of each video ``(K, C)``; None for a video that could not be read.
        skipped: id → reason, of those.
    """

    vectors: tuple[Floats | None, ...]
    skipped: dict[str, str]

    def known(self, places: Ints) -> Ints:
        """Those of the places that have features."""
        return np.array([place for place in places if self.vectors[place] is not None], np.int64)

    def clips(self, places: Ints) -> list[Floats]:
        """``(K, C)`` of each."""
        return [found for place in places if (found := self.vectors[place]) is not None]

    def means(self, places: Ints) -> Floats:
        """``(N, C)``, clips averaged as `fima.evaluation.feature_store` does."""
        return np.stack([np.mean(one, axis=0, dtype=np.float64) for one in self.clips(places)]).astype(np.float32)


def read_clips(path: Path, videos: Videos) -> ClipTable:
    """Features of ``fima extract``, in the order of the videos.

    Args:
        path: the table.
        videos: that it is of, all of them.

    Raises:
        FileNotFoundError, InputError: as `fima.evaluation.feature_store.read_metadata`; or if none could be read.
    """
    import pyarrow.parquet as pq

    from fima.evaluation.feature_store import read_metadata

    skipped: dict[str, str] = dict(read_metadata(path).get("skipped", []))
    table = pq.read_table(path, columns=["video", "vector"])
    rows: dict[str, list[Floats]] = {}
    for name, vector in zip(table["video"].to_pylist(), table["vector"].to_numpy(), strict=True):
        rows.setdefault(name, []).append(np.asarray(vector, np.float32))
    found = tuple(np.stack(rows[name]) if name in rows else None for name in videos.listed_ids)
    if all(one is None for one in found):
        raise InputError(f"{path}: holds none of the {len(videos)} videos")
    back: dict[str, str] = dict(zip(videos.listed_ids, videos.ids, strict=True))
    return ClipTable(found, {back.get(name, name): reason for name, reason in skipped.items()})


def run_cached(job: Job, features: Path, videos: Videos, parts: Parts, command: list[str], tell: Tell) -> None:
    """Do one job of linear, knn or retrieve, and write its predictions.csv and result.json.

    Args:
        job: to do.
        features: the table of its checkpoint (and, for random weights, seed).
        videos: of the study.
        parts: of the job's scope.
        command: of the linear probe: `Job.command`, whose settings it takes.
        tell: takes lines of progress.
    """
    table = read_clips(features, videos)
    test = table.known(parts.test)
    if job.base == "linear":
        predictions, about = probe(table, videos, parts, command)
    else:
        predictions, about = neighbors(table, videos, parts, task=job.base)
    write_predictions(job.folder / "predictions.csv", videos, test, predictions)
    skipped = {name: reason for name, reason in table.skipped.items() if name in {videos.ids[p] for p in parts.test}}
    right = float((predictions == videos.labels[test]).mean())
    content = {
        "task": job.base,
        "shown": job.shown,
        "seed": job.seed,
        "top1": right,
        "unreadable": skipped,
        "checkpoint": {"path": job.checkpoint.path},
        "class_names": list(videos.class_names),
        **about,
    }
    write_result(job, content)
    tell(f"{job.label}: {100 * right:.1f} % of {len(test)}")


def neighbors(table: ClipTable, videos: Videos, parts: Parts, *, task: str) -> tuple[Ints, dict[str, Any]]:
    """Predicted labels of the test videos by k-NN ("knn") or the nearest neighbor alone ("retrieve").

    The gallery is training and validation, since nothing is chosen. Retrieval centers as the preset ``fima`` does,
    k-NN does not, as in ``fima knn``.
    """
    from fima.evaluation.feature_store import FeatureSet
    from fima.evaluation.neighbor_report import find_neighbors, knn_scores, recall_scores
    from fima.presets.retrieval import retrieval_preset

    def features(places: Ints) -> FeatureSet:
        known = table.known(places)
        clips = np.array([len(one) for one in table.clips(known)], np.int64)
        ids = tuple(videos.ids[place] for place in known)
        return FeatureSet(ids, videos.labels[known], videos.class_names, table.means(known), clips, (None,) * len(ids))

    train, test = features(parts.gallery), features(parts.test)
    chosen = retrieval_preset("fima", center="none" if task == "knn" else None)
    found = find_neighbors(train, test, min(max(K, *RANKS), len(train)), center=chosen.center)
    if task == "knn":
        k = min(K, len(train))
        scores, predictions = knn_scores(found, [k])
        about = {"scores": scores, "chance": scores[f"weighted@{k}"]["chance"], "k": k}
        return predictions[f"weighted@{k}"], {**about, "center": chosen.center}
    recalls, _ = recall_scores(found, [rank for rank in RANKS if rank <= len(train)])
    nearest = np.asarray(train.labels[found.order[:, 0]], np.int64)
    return nearest, {"scores": recalls, "chance": recalls["recall@1"]["chance"], "center": chosen.center}


def probe(table: ClipTable, videos: Videos, parts: Parts, command: list[str]) -> tuple[Ints, dict[str, Any]]:
    """Predicted labels of the test videos by a linear head; its rate and epoch are those best on validation.

    The same as ``fima linear --features true`` with these settings, but that the features are there already, and that
    the batch is at most all clips there are.
    """
    from fima.evaluation.features import ClipFeatures
    from fima.tasks.classify.classifier import ClassifierHead
    from fima.tasks.classify.parse import parse_supervised
    from fima.tasks.classify.probe import head_scores, sweep_heads
    from fima.tasks.classify.start import fit_batch

    config = parse_supervised(command[1:], "linear")
    if config is None:
        raise InputError("the linear probe's settings ask for help or for a print")

    def features(places: Ints) -> ClipFeatures:
        known = table.known(places)
        ids = tuple(videos.ids[place] for place in known)
        return ClipFeatures(ids, videos.labels[known], tuple(table.clips(known)), {})

    train, validation, test = (features(places) for places in (parts.train, parts.validation, parts.test))
    channels = train.vectors[0].shape[1]
    config, _ = fit_batch(config, len(train.vectors), given=False, clips=sum(map(len, train.vectors)))
    head = ClassifierHead.seeded(channels, len(videos.class_names), config.head, config.seed)
    trial, trials = sweep_heads(head, train, validation, config, lambda line: None)
    scores = head_scores(trial.head, test, config.test.average)
    chosen = {"lr": trial.lr, "epoch": trial.epoch, "validation_top1": trial.top1, "trials": trials}
    return np.asarray(scores.argmax(axis=1), np.int64), {"chosen": chosen}
