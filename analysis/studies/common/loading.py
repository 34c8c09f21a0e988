"""Studies read again as they were saved, also those of earlier versions."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from analysis.measures.common.statistics import Summary
from analysis.studies.common.study import Study
from fima.errors import InputError
from fima.files.reading import read_arrays, read_json
from fima.legacy import american_keys, american_name

__all__ = ["load_study"]

_NUMBERS = {"mean", "std", "low", "high"}
"""Of a summary: what is not-a-number where a file says null."""


def load_study(path: str | Path) -> Study:
    """A study that was saved, to look at, draw and compare again.

    Args:
        path: ``out/cam``, the folder and the measure, with or without ``.json`` or ``.npz``; or a folder that holds a
            single study. Files of earlier versions are read too.

    Raises:
        FileNotFoundError: If there is no such study.
        InputError: If the files hold no study, or a folder holds several.
    """
    stem = _stem(Path(path))
    try:
        content = american_keys(read_json(stem.with_name(f"{stem.name}.json")))
        stored = read_arrays(stem.with_name(f"{stem.name}.npz"))
        arrays = {american_name(name): array for name, array in stored.items()}
        if "example_name" in arrays:  # names of alterations, which are scores too
            arrays["example_name"] = np.array([american_name(name) for name in arrays["example_name"].tolist()])
        scores = {name: _summary(values) for name, values in content["scores"].items()}
        named = {name: arrays[f"score_{name}"] for name in scores}
        return Study(
            measure=content["measure"],
            arrays=arrays,
            scores=scores,
            video_scores={"video_id": arrays["video_id"], **named},
            provenance=content["provenance"],
            skipped=content.get("skipped", {}),
            repeated=content.get("repeated", []),
            references=frozenset(map(american_name, content.get("references", ()))),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{stem}: holds no study that can be read ({type(error).__name__}: {error})") from None


def _stem(path: Path) -> Path:
    """The path of the files without their endings."""
    if not path.is_dir() or path.with_name(f"{path.name}.json").is_file():  # films lie in a folder of the same name
        return path.with_suffix("") if path.suffix in (".json", ".npz", ".png") else path
    stems = [file.with_suffix("") for file in sorted(path.glob("*.json")) if file.with_suffix(".npz").is_file()]
    if not stems:
        raise FileNotFoundError(f"{path}: no study in this folder; expected <measure>.json and <measure>.npz")
    if len(stems) > 1:
        names = ", ".join(stem.name for stem in stems)
        raise InputError(f"{path}: holds several studies ({names}); give one, such as {stems[0]}")
    return stems[0]


def _summary(values: Mapping[str, Any]) -> Summary:
    """A score's summary; not-a-number is null in JSON."""
    known = {field.name for field in dataclasses.fields(Summary)} & values.keys()
    numbers: dict[str, Any] = {name: values[name] for name in known}
    return Summary(**numbers | {name: math.nan for name in known & _NUMBERS if values[name] is None})
