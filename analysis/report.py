"""Run the notebooks for checkpoints and videos through papermill, and bind them with one index page."""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from itertools import count
from pathlib import Path
from typing import Any

import nbformat
import papermill
import yaml
from jinja2 import Environment, FileSystemLoader
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter

from analysis.output import make_folder, remove_empty, timestamp
from analysis.render import safe_name
from analysis.settings import Settings
from analysis.studies import open_session
from fima.errors import InputError

__all__ = ["MadeReport", "Report", "make_report", "notebook_parameters", "notebook_path"]

_FOLDER = Path(str(resources.files("analysis")))
_UNFINISHED = ".unfinished"


@dataclass(frozen=True)
class Report:
    """What to put into a report.

    Attributes:
        settings: Videos and clips, the same for every checkpoint; its ``ckpt`` is not used.
        checkpoints: Paths; None is the built-in backbone.
        notebooks: Names, such as ``cam``.
        parameters: Further notebook parameters as text, read as YAML.
        out: The report's folder.
        overwrite: Write into a folder that holds a report already.
    """

    settings: Settings
    checkpoints: tuple[str | None, ...]
    notebooks: tuple[str, ...]
    out: Path
    parameters: Mapping[str, str] = field(default_factory=dict)
    overwrite: bool = False


@dataclass(frozen=True)
class MadeReport:
    """A finished report: its index page, and how many videos were skipped in any notebook."""

    index: Path
    skipped: int


def make_report(report: Report, progress: Callable[[int, int], None] | None = None) -> MadeReport:
    """Execute every notebook for every checkpoint and write the index page last.

    Args:
        report: What to run.
        progress: Called with (notebooks done, notebooks in all).

    Raises:
        InputError: Before anything is run, for an unknown parameter, a folder in use, or input that cannot be read.
    """
    jobs = _plan(report)
    made = _claim(report)
    try:
        for done, job in enumerate(jobs):
            if progress is not None:
                progress(done, len(jobs))
            _execute(job)
        if progress is not None:
            progress(len(jobs), len(jobs))
        return _write_index(report, jobs)
    except BaseException:
        if made:
            shutil.rmtree(report.out, ignore_errors=True)
            remove_empty(made)
        raise
    finally:
        (report.out / _UNFINISHED).unlink(missing_ok=True)


def notebook_path(name: str) -> Path:
    """The notebook of a measure, beside this module (in a checkout and in an installed wheel).

    Raises:
        InputError: If there is no such notebook.
    """
    path = _FOLDER / f"{name}.ipynb"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in _FOLDER.glob("*.ipynb")))
        raise InputError(f"notebook {name!r} does not exist; known: {known}")
    return path


def notebook_parameters(name: str) -> set[str]:
    """Names in a notebook's ``parameters`` cell."""
    return set(papermill.inspect_notebook(str(notebook_path(name))))


@dataclass(frozen=True)
class _Job:
    """One notebook for one checkpoint."""

    notebook: str
    checkpoint: str
    parameters: dict[str, Any]
    folder: Path


def _plan(report: Report) -> list[_Job]:
    extra = {name: _value(name, text) for name, text in report.parameters.items()}
    known = {notebook: notebook_parameters(notebook) for notebook in report.notebooks}
    for name in extra:
        if not any(name in names for names in known.values()):
            every = ", ".join(sorted(set().union(*known.values())))
            raise InputError(f"parameter {name!r} is in none of the notebooks {', '.join(known)}; known: {every}")
    jobs = []
    for label, ckpt in _labels(report.checkpoints).items():
        settings = replace(report.settings, ckpt=ckpt)
        open_session(Settings.from_parameters({**settings.changed(), **_settings_among(extra)}))
        folder = report.out / label
        for notebook, names in known.items():
            given = {**_plain(settings.changed()), **extra, "out": folder.as_posix()}
            jobs.append(_Job(notebook, label, {n: v for n, v in given.items() if n in names}, folder))
    return jobs


def _value(name: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise InputError(f"parameter {name} must be a YAML value, got {text!r}") from None


def _settings_among(parameters: Mapping[str, Any]) -> dict[str, Any]:
    names = Settings.__dataclass_fields__
    return {name: value for name, value in parameters.items() if name in names}


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """As papermill can write them into a cell."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in parameters.items()}


def _labels(checkpoints: Iterable[str | None]) -> dict[str, str | None]:
    """Folder name → checkpoint, unique."""
    labels: dict[str, str | None] = {}
    for ckpt in checkpoints:
        stem = label = safe_name(_stem(Path(Settings(ckpt=ckpt).checkpoint).name))
        for number in count(2):
            if label not in labels:
                break
            label = f"{stem}-{number}"
        labels[label] = ckpt
    return labels


def _stem(name: str) -> str:
    """A checkpoint's name without its endings, of which there may be two."""
    for ending in (".tar", ".pth", ".pt", ".ckpt", ".pyth", ".bin"):
        name = name.removesuffix(ending)
    return name


def _claim(report: Report) -> list[Path]:
    """Make the folder and mark it unfinished; refuse one in use, unless it may be overwritten.

    A report that was killed left its mark: the same command takes its folder again.

    Returns:
        The folders made.
    """
    if report.out.exists() and not report.out.is_dir():
        raise InputError(f"--out {report.out}: is a file, expected a folder")
    unfinished = report.out / _UNFINISHED
    in_use = report.out.is_dir() and any(report.out.iterdir()) and not unfinished.exists()
    if in_use and not report.overwrite:
        raise InputError(f"--out {report.out}: is not empty; give another folder or --overwrite")
    made = make_folder(report.out)
    try:
        unfinished.touch()
    except OSError as error:
        remove_empty(made)
        raise InputError(f"--out {report.out}: cannot be written ({error.strerror})") from None
    return made


def _execute(job: _Job) -> None:
    """Run a notebook into ``<folder>/<notebook>.ipynb`` and the same as HTML; each file appears whole."""
    job.folder.mkdir(parents=True, exist_ok=True)
    target = job.folder / f"{job.notebook}.ipynb"
    partial = job.folder / f".{job.notebook}.partial.ipynb"
    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        papermill.execute_notebook(
            str(notebook_path(job.notebook)), str(partial), parameters=job.parameters,
            kernel_name="python3", progress_bar=False, extra_arguments=["--log-level=ERROR"],
        )  # fmt: skip
        partial.replace(target)
    except (papermill.PapermillExecutionError, CellExecutionError) as error:
        raise _refusal(job, error) from None
    finally:
        partial.unlink(missing_ok=True)
    _write_text(target.with_suffix(".html"), _to_html(target))


def _refusal(job: _Job, error: Any) -> Exception:
    """A user's mistake stays one line; anything else keeps the notebook's traceback."""
    if error.ename in ("InputError", "VideoError", "CheckpointError", "FileNotFoundError"):
        return InputError(error.evalue)
    return RuntimeError(f"{job.notebook}.ipynb failed for {job.checkpoint}: {error}")


def _to_html(notebook: Path) -> str:
    """A page that needs no network: the scripts that nbconvert loads from elsewhere are left out."""
    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        template_name="lab", require_js_url="", mathjax_url="", jquery_url="", mermaid_js_url="",
        jupyter_widgets_base_url="", embed_images=True, exclude_anchor_links=True,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nbconvert warns of missing cell ids and alt texts of others' outputs
        body, _ = exporter.from_notebook_node(nbformat.read(notebook, as_version=4))  # type: ignore[no-untyped-call]
    return str(body)


def _write_index(report: Report, jobs: list[_Job]) -> MadeReport:
    sections: dict[str, list[dict[str, Any]]] = {}
    skipped: set[str] = set()
    for job in jobs:
        result = json.loads((job.folder / f"{job.notebook}.json").read_text())
        skipped |= set(result["skipped"])
        sections.setdefault(job.checkpoint, []).append(_card(report.out, job, result))
    environment = Environment(loader=FileSystemLoader(_FOLDER / "templates"), autoescape=True)
    page = environment.get_template("index.html").render(
        title=report.out.name, sections=sections, created=timestamp(), skipped=sorted(skipped)
    )
    index = report.out / "index.html"
    _write_text(index, page)
    return MadeReport(index, len(skipped))


def _card(out: Path, job: _Job, result: dict[str, Any]) -> dict[str, Any]:
    """What the index shows of one notebook."""
    folder = job.folder.relative_to(out)
    return {
        "measure": job.notebook,
        "folder": folder.as_posix(),
        "figure": (folder / f"{job.notebook}.png").as_posix(),
        "films": [(folder / film).as_posix() for film in result["films"]],
        "scores": [{"name": name.replace("_", " "), **summary} for name, summary in result["scores"].items()],
        "untrained": result["untrained"],
        "checkpoint": result["provenance"]["checkpoint"],
        "input": result["provenance"]["input"],
        "inputs": result["provenance"]["inputs"],
        "command": result["provenance"]["command"],
    }


def _write_text(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.partial")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
