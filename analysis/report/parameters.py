"""Which notebooks there are, and what they take; read without what runs them, which takes seconds to import."""

from __future__ import annotations

import ast
import json
from importlib import resources
from pathlib import Path

from fima.errors import InputError

__all__ = ["has_notebook", "notebook_parameters", "notebook_path"]

_FOLDER = Path(str(resources.files("analysis")))


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
    cells = json.loads(notebook_path(name).read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    lines = [line for source in sources for line in ast.parse(source).body]
    return {target.id for line in lines if isinstance(line, ast.Assign) for target in line.targets
            if isinstance(target, ast.Name)}  # fmt: skip
