"""Result files of runs, read into entries. Imports no torch."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from fima.checkpoints.shipped import checkpoint_name
from fima.errors import InputError
from fima.evaluation.results_table.entries import EvalSettings, ResultEntry
from fima.files.reading import read_json, read_yaml
from fima.legacy import american_keys, input_name
from fima.presets.detection import detection_preset
from fima.presets.loader import preset_names
from fima.presets.retrieval import retrieval_preset

__all__ = ["RESULTS", "collect", "read_result"]

RESULTS = ("result.json", "knn.json", "retrieval.json")
"""Names of the files that `fima finetune`, `linear`, `detect`, `knn` and `retrieve` leave."""

# Told elsewhere: with the backbone, or in the settings themselves.
_TOLD = (
    *("input.num_frames", "input.frame_stride", "input.size", "test.size"),
    *("test.clips", "test.crops", "test.placement", "test.crop_fraction", "test.average"),
)
_ACCURACIES = {"top1": "top-1", "top5": "top-5", "mean_class": "mean class"}
_Score = tuple[float, float | None, float | None, float | None]  # value, low, high, chance


def collect(runs: Iterable[str | Path]) -> list[ResultEntry]:
    """The entries of runs, each file once.

    Args:
        runs: result files, runs' folders, or folders of such, which are searched.

    Raises:
        InputError: if there is no such path, a folder holds no result, or a file is none.
    """
    files: dict[Path, Path] = {}
    for run in map(Path, runs):
        for file in _files(run):
            files.setdefault(file.resolve(), file)
    return [entry for file in files.values() for entry in read_result(file)]


def read_result(file: Path) -> list[ResultEntry]:
    """The entries of a result.

    Raises:
        InputError: if it is none.
    """
    try:
        content = american_keys(read_json(file))
    except OSError as error:
        raise InputError(f"{file}: cannot be read as a result ({error})") from None
    found = content if isinstance(content, dict) else {}
    task = "detection" if "person_boxes" in found else str(found.get("task"))
    read = _READERS.get(task)
    if read is None:
        raise InputError(f"{file}: is no result of fima finetune, linear, knn, retrieve or detect")
    try:
        return read(file, found)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(f"{file}: lacks what a result of {task} has ({type(error).__name__}: {error})") from None


def _files(run: Path) -> list[Path]:
    if run.is_file():
        return [run]
    if not run.is_dir():
        raise InputError(f"{run}: no such file or folder, expected a run")
    found = (path for name in RESULTS for path in run.rglob(name) if path.is_file())
    files = sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(run).parts))
    if not files:
        raise InputError(f"{run}: holds no result, expected {', '.join(RESULTS)} in it or in a folder in it")
    return files


def _supervised(file: Path, content: dict[str, Any]) -> list[ResultEntry]:
    """Of ``fima finetune`` and ``fima linear``; the data set is in config.yaml beside it, of tables in the result."""
    config = _config(file.with_name("config.yaml"))
    if config.get("features_train"):
        config |= {"features": True, **_data_of_tables(content["features"]["data"])}
    videos, kept = content["videos"], content["checkpoint"]
    lost = videos["listed"] - videos["tested"]
    about = {
        "checkpoint": checkpoint_name(kept["path"] or "random"),
        **{"sha256": kept["sha256"], "arch": kept["arch"], "input": _input(content["input"]), "layer": ""},
        **{"task": content["task"], "data": _data_name(config["data"]), "data_path": config["data"]},
        **{"train_split": _text(config["train_split"]), "test_split": _text(config["test_split"])},
        **{"listed": videos["listed"], "tested": videos["tested"], "classes": content["classes"]},
        "settings": _supervised_settings(content, config),
        "remarks": tuple(dict.fromkeys([*_not_tested(lost, videos["listed"]), *content["warnings"]])),
        **{"seed": content["seed"], "source": content["source"], "file": str(file)},
        **{"command": content["command"], "version": content["versions"]["fima"]},
    }
    names = {key: name for key, name in _ACCURACIES.items() if key != "top5" or content["top5_of"] < content["classes"]}
    return _entries(about, {name: _score(content[key]) for key, name in names.items()})


def _supervised_settings(content: dict[str, Any], config: dict[str, Any]) -> EvalSettings:
    changes = {key: value for key, value in content["differs_from_preset"].items() if key not in _TOLD}
    if "sweep" in content:  # the rate is what was searched, not how
        changes = {k: v for k, v in changes.items() if k not in ("optimizer.lr", "optimizer.weight_decay")}
        changes["rate"] = "chosen on validation"
    if config.get("features"):
        changes["features"] = "cached, without augmentation"
    if config.get("examples") is not None:
        changes["examples"] = config["examples"]
    same = ("preset", "crops", "placement", "crop_fraction", "average", "centering")
    return EvalSettings(
        clips=str(content["clips"]) if content["placement"] == "uniform" else None,
        chosen=content["chosen"].get("by", "given"),
        changes=_sorted(changes),
        **{name: content[name] for name in same},
    )


def _neighbors(file: Path, content: dict[str, Any]) -> list[ResultEntry]:
    """Of ``fima knn`` and ``fima retrieve``."""
    test, train, name = content["test"], content["train"], content["preset"]
    listed = None if test.get("videos") is None else test["videos"] + test.get("missing", 0)
    remarks = _not_tested(0 if listed is None else listed - test["used"], listed)
    if content["duplicates"]:
        remarks.append(f"{content['duplicates']} test videos are in the training set too")
    path = test.get("path")
    about = {
        **{"checkpoint": checkpoint_name(content["checkpoint"] or "?"), "sha256": content["sha256"]},
        **{"arch": content["arch"] or "?", "input": _input(content["input"]), "layer": content["layer"] or ""},
        **{"task": content["task"], "data": "?" if path is None else _data_name(path), "data_path": path or ""},
        **{"train_split": _text(train.get("split")), "test_split": _text(test.get("split"))},
        **{"listed": listed, "tested": test["used"], "classes": content["classes"], "remarks": tuple(remarks)},
        "source": retrieval_preset(name).source if name in preset_names("retrieval") else "",
        **{"seed": content["seed"], "file": str(file), "command": shlex.join(content["command"])},
        "version": (content["versions"] or {}).get("fima", ""),
    }
    return [
        entry
        for shown, scores in content["scores"].items()
        for entry in _entries(
            {**about, "settings": _neighbor_settings(content, shown)},
            {metric: _score(score) for metric, score in scores.items()},
        )
    ]


def _neighbor_settings(content: dict[str, Any], shown: str) -> EvalSettings:
    kept = content["protocol"] or {}
    changes: dict[str, Any] = {"clips scaled to length 1": True} if content["unit_clips"] else {}
    if content["task"] == "knn":
        changes["temperature"] = content["temperature"]
    if shown != "rgb":
        changes["shown"] = input_name(shown)
    uniform = kept.get("placement", "uniform") == "uniform"
    return EvalSettings(
        content["preset"],
        clips="/".join(map(str, content["clips"])) if uniform else None,
        crops=content["crops"],
        placement=kept.get("placement"),
        crop_fraction=kept.get("crop_fraction"),
        centering=content["center"],
        changes=_sorted(changes),
    )


def _detection(file: Path, content: dict[str, Any]) -> list[ResultEntry]:
    """Of ``fima detect``."""
    changes = dict(content["preset"])
    name = changes.pop("name")
    usual = detection_preset(name).settings() if name in preset_names("detection") else {}
    changes = {key: value for key, value in changes.items() if key not in usual or usual[key] != value}
    changes["head"] = "alone trained" if content["freeze"] else "and backbone trained"
    changes["boxes"] = Path(content["person_boxes"]).name
    frames, unread = content["keyframes"], content["unread_keyframes"]["test"]
    remarks = [f"{unread} test keyframes not read"] if unread else []
    if content["missing_videos"]:
        remarks.append(f"{len(content['missing_videos'])} films are not there")
    if not content["excluded_files"]:
        remarks.append("no table of excluded timestamps was there")
    about = {
        **{"checkpoint": checkpoint_name(content["checkpoint"] or "random"), "sha256": content["sha256"]},
        **{"arch": content["arch"], "input": _input(content["input"]), "layer": "", "task": "detection"},
        **{"data": f"{_data_name(content['data'])} v{content['version']}", "data_path": content["data"]},
        **{"train_split": "train", "test_split": "val", "listed": frames["truth"], "tested": frames["test"] - unread},
        **{"classes": content["classes_with_truth"], "remarks": tuple(remarks), "seed": content["seed"]},
        "settings": EvalSettings(name, chosen="last", changes=_sorted(changes)),
        **{"source": content["preset_source"], "file": str(file), "command": content["command"], "version": ""},
    }
    means = {metric: content[metric] for metric in ("mAP", "mAP_best_50")}
    return _entries(about, {metric: (v, None, None, None) for metric, v in means.items() if v is not None})


_READERS: dict[str, Callable[[Path, dict[str, Any]], list[ResultEntry]]] = {
    "finetune": _supervised,
    "linear": _supervised,
    "knn": _neighbors,
    "retrieval": _neighbors,
    "detection": _detection,
}


def _entries(about: dict[str, Any], scores: dict[str, _Score]) -> list[ResultEntry]:
    return [
        ResultEntry(metric=metric, value=value, low=low, high=high, chance=chance, **about)
        for metric, (value, low, high, chance) in scores.items()
    ]


def _score(score: dict[str, float]) -> _Score:
    return score["value"], score["low"], score["high"], score.get("chance")


def _not_tested(lost: int, listed: int | None) -> list[str]:
    return [f"{lost} of {listed} test videos not tested"] if lost else []


def _config(path: Path) -> dict[str, Any]:
    try:
        content = american_keys(read_yaml(path))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: is needed beside result.json, for the data set ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected settings, got {type(content).__name__}")
    return content


def _data_of_tables(data: dict[str, Any]) -> dict[str, Any]:
    """What config.yaml says of other runs' data."""
    train, test = data["train"], data["test"]
    return {
        "data": test.get("path") or "?",
        "train_split": train.get("split") or "?",
        "test_split": test.get("split") or "?",
    }


def _data_name(path: str) -> str:
    return path if path.startswith("shapes:") else Path(path).name or path


def _input(spec: dict[str, Any] | None) -> str:
    return "?" if not spec else f"{spec['num_frames']}×{spec['frame_stride']}, {spec['size']}"


def _text(value: Any) -> str:
    return "all" if value is None else str(value)


def _sorted(changes: dict[str, Any]) -> tuple[str, ...]:
    return tuple(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in sorted(changes.items()))
