"""The figure and the files of a study: looked up by its measure, written together or not at all."""

from __future__ import annotations

import base64
import csv
import html
import importlib
import io
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from analysis.measures.registry import find_measure
from analysis.output import output_folder, write_json, write_npz
from analysis.settings import NOT_DECISIVE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.studies.common.study import Study

__all__ = [
    "draw_figure",
    "draw_figures",
    "figure_files",
    "figure_words",
    "picture_base64",
    "picture_html",
    "save_picture",
    "study_folder",
    "study_identity",
    "study_names",
    "write_study",
]

FilmWriters = dict[str, Callable[[Path], None]]
"""Name of a file → function that writes it."""


def save_picture(figure: Figure, target: Path | IO[bytes], kind: str) -> None:
    """Save a figure in the project's style as ``png``, ``svg`` or ``pdf``; equal figures give equal bytes."""
    importlib.import_module("analysis.plotting.style").save_figure(figure, target, kind)


def picture_base64(figure: Figure) -> str:
    """A figure as a PNG in Base64, as notebooks keep it."""
    buffer = io.BytesIO()
    save_picture(figure, buffer, "png")
    return base64.b64encode(buffer.getvalue()).decode()


def picture_html(picture: str, alt: str) -> str:
    """An HTML element that holds a picture of ``picture_base64``.

    Args:
        picture: PNG in Base64.
        alt: What it shows, for those who do not see it.
    """
    return f'<img alt="{html.escape(alt)}" style="max-width:100%" src="data:image/png;base64,{picture}"/>'


def draw_figure(study: Study) -> Figure:
    """The figure of a study, by ``draw_<measure>`` of the module ``analysis.plotting.<measure>``."""
    module = importlib.import_module(f"analysis.plotting.{study.measure}")
    figure: Figure = getattr(module, f"draw_{study.measure}")(study)
    return figure


def draw_figures(study: Study) -> dict[str, Figure]:
    """The figures of a study by the stems of their files: its own, then those that its entry names as ``parts``."""
    module = importlib.import_module(f"analysis.plotting.{study.measure}")
    draws = {part: getattr(module, f"draw_{study.measure}_{part}") for part in find_measure(study.measure).parts}
    parts = {f"{study.measure}-{part}": draw(study) for part, draw in draws.items()}
    return {study.measure: draw_figure(study)} | {stem: figure for stem, figure in parts.items() if figure is not None}


def figure_words(measure: str) -> dict[str, str]:
    """Stems of the figures that a measure can have, and what each shows."""
    entry = find_measure(measure)
    return {measure: entry.figure} | {f"{measure}-{part}": words for part, words in entry.parts.items()}


def figure_files(folder: Path, measure: str) -> dict[Path, str]:
    """The pictures of a saved study and what each shows, in the order of `draw_figures`.

    Args:
        folder: Where it was saved.
        measure: Its name.
    """
    paths = {folder / f"{stem}.png": words for stem, words in figure_words(measure).items()}
    return {path: words for path, words in paths.items() if path.is_file()}


def study_folder(
    study: Study, out: str | Path, formats: Iterable[str], *, overwrite: bool
) -> AbstractContextManager[Path]:
    """``output_folder`` for the files of a study, which are known by what its provenance says."""
    about = study.provenance
    settings = {name: value for name, value in about["settings"].items() if name not in NOT_DECISIVE}
    return output_folder(
        out, study.measure, study_identity(settings, about["checkpoint"]["sha256"]),
        names=study_names(study.measure, formats), overwrite=overwrite,
    )  # fmt: skip


def study_identity(settings: Mapping[str, Any], sha256: str | None) -> dict[str, Any]:
    """What a study depends on."""
    return {**settings, "sha256": sha256}


def study_names(measure: str, formats: Iterable[str]) -> list[str]:
    """Files that every study of a measure has."""
    return [*find_measure(measure).pages, *(f"{measure}.{ending}" for ending in (*formats, "npz", "json"))]


def write_study(
    study: Study, folder: Path, formats: tuple[str, ...], *, films: bool = True, figure: Figure | None = None
) -> None:
    """Write figures, arrays, scores, list of skipped videos and films.

    Args:
        study: What to write.
        folder: Exists.
        formats: Formats of the figure; none: it is not drawn.
        films: Also write the files that end in ``mp4``.
        figure: Written instead of the study's own.
    """
    figures = {study.measure: figure} if figure is not None else draw_figures(study) if formats else {}
    pictures = {f"{stem}.{kind}": (one, kind) for stem, one in figures.items() for kind in formats}
    for name, (one, kind) in pictures.items():
        save_picture(one, folder / name, kind)
    write_npz(folder / f"{study.measure}.npz", study.arrays)
    writers = {name: write for name, write in _film_writers(study).items() if films or not name.endswith(".mp4")}
    beside = [name for name in pictures if not name.startswith(f"{study.measure}.")]
    write_json(folder / f"{study.measure}.json", study.report() | {"films": [*beside, *writers]})
    if study.skipped:
        _write_skipped(folder / "skipped.csv", study.skipped)
    for name, write in writers.items():
        (folder / name).parent.mkdir(exist_ok=True)
        write(folder / name)


def _film_writers(study: Study) -> FilmWriters:
    """What the measure's entry in the registry names as ``films``."""
    module, _, function = find_measure(study.measure).films.partition(":")
    if not module:
        return {}
    writers: FilmWriters = getattr(importlib.import_module(module), function)(study)
    return writers


def _write_skipped(path: Path, skipped: Mapping[str, str]) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(["video_id", "reason"])
        writer.writerows(skipped.items())
