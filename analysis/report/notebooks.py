"""The notebooks of the measures: executed through papermill, kept, and written as pages that need no network.

Papermill and nbconvert take seconds to import: this file is imported where a notebook is run.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter

from analysis.report.parameters import notebook_path
from fima.errors import CheckpointError, InputError, VideoError
from fima.files.writing import whole_file, write_text

__all__ = ["execute"]

_USERS = {kind.__name__: kind for kind in (InputError, VideoError, CheckpointError)}
"""A user's mistakes: what a notebook says of them is told as it is."""


def execute(name: str, folder: Path, parameters: Mapping[str, Any], *, of: str, aside: Path) -> None:
    """Run a notebook into ``<folder>/<name>.ipynb`` and the same as HTML; each file appears whole.

    Args:
        name: Of the notebook.
        folder: Where it is kept; where it writes to is a parameter of its own.
        parameters: As papermill can write them into a cell.
        of: What it is run for, named when it fails.
        aside: The hidden folder in which all is made, whose name is not to stay in the notebook.

    Raises:
        InputError, CheckpointError, VideoError: What the notebook says of a user's mistake.
        RuntimeError: For anything else, in a line; the notebook by itself shows where.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}.ipynb"
    page = target.with_suffix(".html")
    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        with whole_file(target) as partial:
            papermill.execute_notebook(
                str(notebook_path(name)), str(partial), parameters=dict(parameters),
                kernel_name="python3", kernel_manager_class=_OwnInterpreter, progress_bar=False,
                extra_arguments=["--log-level=ERROR"],
            )  # fmt: skip
            text = partial.read_text(encoding="utf-8")
            partial.write_text(text.replace(f"{aside.name}/", ""), encoding="utf-8")
    except (papermill.PapermillExecutionError, CellExecutionError) as error:
        if (kind := _USERS.get(error.ename)) is not None or error.ename == "FileNotFoundError":
            raise (kind or InputError)(error.evalue) from None
        raise RuntimeError(f"{name}.ipynb failed for {of}: {error.ename}: {error.evalue}") from None
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
