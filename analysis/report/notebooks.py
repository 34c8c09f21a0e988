"""The notebooks of the measures: executed through papermill, kept, and written as pages that need no network."""

from __future__ import annotations

import ast
import logging
import sys
import warnings
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter

from fima.errors import CheckpointError, InputError, VideoError
from fima.files.writing import whole_file, write_text

__all__ = ["execute", "has_notebook", "notebook_parameters", "notebook_path"]

_FOLDER = Path(str(resources.files("analysis")))
_USERS = {kind.__name__: kind for kind in (InputError, VideoError, CheckpointError)}
"""A user's mistakes: what a notebook says of them is told as it is."""


def has_notebook(name: str) -> bool:
    """Whether a measure has one."""
    return (_FOLDER / f"{name}.ipynb").exists()


def notebook_path(name: str) -> Path:
    """The notebook of a measure, in the package (in a checkout and in an installed wheel).

    Raises:
        InputError: If there is no such notebook.
    """
    if not has_notebook(name):
        known = ", ".join(sorted(path.stem for path in _FOLDER.glob("*.ipynb")))
        raise InputError(f"notebook {name!r} does not exist; known: {known}")
    return _FOLDER / f"{name}.ipynb"


def notebook_parameters(name: str) -> set[str]:
    """Names in a notebook's ``parameters`` cell (papermill's own reading of it stumbles over comments)."""
    cells = nbformat.read(notebook_path(name), as_version=4).cells  # type: ignore[no-untyped-call]
    sources = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    lines = [line for source in sources for line in ast.parse(source).body]
    return {target.id for line in lines if isinstance(line, ast.Assign) for target in line.targets
            if isinstance(target, ast.Name)}  # fmt: skip


def execute(name: str, folder: Path, parameters: Mapping[str, Any], *, of: str) -> None:
    """Run a notebook into ``<folder>/<name>.ipynb`` and the same as HTML; each file appears whole.

    Args:
        name: Of the notebook.
        folder: Where it is kept; where it writes to is a parameter of its own.
        parameters: As papermill can write them into a cell.
        of: What it is run for, named when it fails.

    Raises:
        InputError, CheckpointError, VideoError: What the notebook says of a user's mistake.
        RuntimeError: For anything else, with the notebook's traceback.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}.ipynb"
    page = target.with_suffix(".html")
    page.unlink(missing_ok=True)  # of an earlier report
    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        with whole_file(target) as partial:
            papermill.execute_notebook(
                str(notebook_path(name)), str(partial), parameters=dict(parameters),
                kernel_name="python3", kernel_manager_class=_OwnInterpreter, progress_bar=False,
                extra_arguments=["--log-level=ERROR"],
            )  # fmt: skip
    except (papermill.PapermillExecutionError, CellExecutionError) as error:
        if (kind := _USERS.get(error.ename)) is not None or error.ename == "FileNotFoundError":
            raise (kind or InputError)(error.evalue) from None
        raise RuntimeError(f"{name}.ipynb failed for {of}: {error}") from None
    # A measure may have a page of that name itself, which the notebook has just written.
    write_text(
        page if not page.exists() else page.with_suffix(".notebook.html"), _to_html(target), errors="xmlcharrefreplace"
    )


class _OwnInterpreter(AsyncKernelManager):
    """Notebooks run in the environment of the program, whatever kernel is installed under the name python3."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """This interpreter."""
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="Python 3", language="python")


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
