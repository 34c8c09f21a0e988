"""What each command's result says, as numbers. Imports no torch."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import yaml

from fima.checkpoints.shipped import checkpoint_name
from fima.errors import InputError
from fima.evaluation.results_table.number import Backbone, Data, Number, Protocol
from fima.legacy import american_keys
from fima.presets.detection import detection_preset
from fima.presets.loader import preset_names
from fima.presets.retrieval import retrieval_preset

__all__ = ["read_detection", "read_neighbors", "read_supervised"]

# Told elsewhere: with the backbone, or in the protocol itself.
_TOLD = (
    *("input.num_frames", "input.frame_stride", "input.size", "test.size"),
    *("test.clips", "test.crops", "test.placement", "test.crop_fraction", "test.average"),
)


def read_supervised(file: Path, content: dict[str, Any]) -> list[Number]:
    """Of ``fima finetune`` and ``fima linear``; the data set is in config.yaml beside it, of tables in the result."""
    config = _config(file.with_name("config.yaml"))
    if config.get("features_train"):
        config |= {"features": True, **_data_of_tables(content["features"])}
    kept = content["checkpoint"]
    changes = {k: v for k, v in content["differs_from_preset"].items() if k not in _TOLD}
    if "sweep" in content:  # the rate is what was searched, not how
        changes = {k: v for k, v in changes.items() if k not in ("optimizer.lr", "optimizer.weight_decay")}
        changes["rate"] = "chosen on validation"
    if config.get("features"):
        changes["features"] = "cached, without augmentation"
    if config.get("examples") is not None:
        changes["examples"] = config["examples"]
    protocol = Protocol(
        content["preset"],
        clips=str(content["clips"]) if content["placement"] == "uniform" else None,
        crops=content["crops"],
        placement=content["placement"],
        crop_fraction=content["crop_fraction"],
        average=content["average"],
        centering=content["centering"],
        chosen=content["chosen"].get("by", "given"),
        changes=_sorted(changes),
    )
    videos = content["videos"]
    data = Data(
        _data_name(config["data"]), _text(config["train_split"]), _text(config["test_split"]), videos["listed"],
        content["classes"],
    )  # fmt: skip
    lost = videos["listed"] - videos["tested"]
    remarks = [f"{lost} of {videos['listed']} test videos not tested"] if lost else []
    remarks += content["warnings"]
    names = {"top1": "top-1", "top5": "top-5", "mean_class": "mean class"}
    if content["top5_of"] == content["classes"]:  # always right
        del names["top5"]
    return [
        Number(
            Backbone(kept["sha256"], kept["arch"], _input(content["input"])),
            content["task"],
            data,
            name,
            protocol,
            content[key]["value"],
            content["seed"],
            checkpoint_name(kept["path"] or "random"),
            file,
            low=content[key]["low"],
            high=content[key]["high"],
            source=content["source"],
            remarks=tuple(dict.fromkeys(remarks)),
            command=content["command"],
            version=content["versions"]["fima"],
            tested=videos["tested"],
            data_path=config["data"],
        )
        for key, name in names.items()
    ]


def read_neighbors(file: Path, content: dict[str, Any]) -> list[Number]:
    """Of ``fima knn`` and ``fima retrieve``."""
    kept, test, train = content["protocol"] or {}, content["test"], content["train"]
    uniform = kept.get("placement", "uniform") == "uniform"
    listed = None if test.get("videos") is None else test["videos"] + test.get("missing", 0)
    lost = 0 if listed is None else listed - test["used"]
    remarks = [f"{lost} of {listed} test videos not tested"] if lost else []
    if content["duplicates"]:
        remarks.append(f"{content['duplicates']} test videos are in the training set too")
    path = test.get("path")
    data = Data(
        "?" if path is None else _data_name(path), _text(train.get("split")), _text(test.get("split")), listed,
        content["classes"],
    )  # fmt: skip
    numbers = []
    name = content["preset"]
    source = retrieval_preset(name).source if name in preset_names("retrieval") else ""
    for shown, scores in content["scores"].items():
        changes = {"clips scaled to length 1": True} if content["unit_clips"] else {}
        if content["task"] == "knn":
            changes["temperature"] = content["temperature"]
        if shown != "rgb":
            changes["shown"] = shown
        protocol = Protocol(
            content["preset"],
            clips="/".join(map(str, content["clips"])) if uniform else None,
            crops=content["crops"],
            placement=kept.get("placement"),
            crop_fraction=kept.get("crop_fraction"),
            centering=content["center"],
            changes=_sorted(changes),
        )
        for metric, score in scores.items():
            numbers.append(
                Number(
                    Backbone(
                        content["sha256"], content["arch"] or "?", _input(content["input"]), content["layer"] or ""
                    ),
                    content["task"],
                    data,
                    metric,
                    protocol,
                    score["value"],
                    content["seed"],
                    checkpoint_name(content["checkpoint"] or "?"),
                    file,
                    low=score["low"],
                    high=score["high"],
                    chance=score.get("chance"),
                    source=source,
                    remarks=tuple(remarks),
                    command=shlex.join(content["command"]),
                    version=(content["versions"] or {}).get("fima", ""),
                    tested=test["used"],
                    data_path=path or "",
                )
            )
    return numbers


def read_detection(file: Path, content: dict[str, Any]) -> list[Number]:
    """Of ``fima detect``."""
    kept = dict(content["preset"])
    name = kept.pop("name")
    usual = detection_preset(name).settings() if name in preset_names("detection") else {}
    settings = {key: value for key, value in kept.items() if key not in usual or usual[key] != value}
    path = content["data"]
    boxes = content["person_boxes"]
    settings |= {"head": "alone trained" if content["freeze"] else "and backbone trained", "boxes": Path(boxes).name}
    unread = content["unread_keyframes"]["test"]
    remarks = [f"{unread} test keyframes not read"] if unread else []
    if content["missing_videos"]:
        remarks.append(f"{len(content['missing_videos'])} films are not there")
    if not content["excluded_files"]:
        remarks.append("no table of excluded timestamps was there")
    values = {"mAP": content["mAP"], "mAP_best_50": content["mAP_best_50"]}
    return [
        Number(
            Backbone(content["sha256"], content["arch"], _input(content["input"])),
            "detection",
            Data(
                f"{_data_name(path)} v{content['version']}", "train", "val", content["keyframes"]["truth"],
                content["classes_with_truth"],
            ),
            metric,
            Protocol(name, chosen="last", changes=_sorted(settings)),
            value,
            content["seed"],
            checkpoint_name(content["checkpoint"] or "random"),
            file,
            source=content["preset_source"],
            remarks=tuple(remarks),
            command=content["command"],
            tested=content["keyframes"]["test"] - unread,
            data_path=path,
        )
        for metric, value in values.items()
        if value is not None
    ]  # fmt: skip


def _config(path: Path) -> dict[str, Any]:
    try:
        content = american_keys(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path}: is needed beside result.json, for the data set ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected settings, got {type(content).__name__}")
    return content


def _data_of_tables(features: dict[str, Any]) -> dict[str, Any]:
    """What config.yaml says of other runs' data."""
    train, test = features["data"]["train"], features["data"]["test"]
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
