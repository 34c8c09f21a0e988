"""Imports run one way: fima knows nothing of analysis or of drawing; measures know no model and no file."""

import ast

import pytest

FORBIDDEN = {
    "fima": {"analysis", "matplotlib", "seaborn", "captum", "papermill", "ipywidgets"},
    "fima/data": {"fima.models", "fima.checkpoints", "fima.methods", "fima.training", "lightning"},
    "fima/methods": {"fima.data", "fima.training", "lightning"},
    "fima/methods/losses.py": {"fima.models", "fima.methods", "fima.data"},
    "fima/tasks/pretrain/config.py": {"torch", "lightning", "fima.methods"},
    "fima/tasks/pretrain/method_options.py": {"torch", "lightning", "fima.methods"},
    "fima/tasks/pretrain/recipes.py": {"torch", "lightning", "fima.methods"},
    "fima/engine/health.py": {"lightning", "fima.methods", "fima.data"},
    "fima/checkpoints": {"fima.methods", "fima.training", "fima.evaluation"},
    "fima/models": {"fima.checkpoints", "fima.data"},
    "analysis/measures/affinity.py": {"fima.models", "fima.checkpoints", "fima.data", "analysis.studies", "matplotlib"},
    "analysis/measures/temporal.py": {"fima.models", "fima.checkpoints", "fima.data", "analysis.studies", "matplotlib"},
    "analysis/measures/offsets.py": {"torch", "fima.models", "fima.checkpoints", "fima.data", "matplotlib"},
    "analysis/measures/statistics.py": {"torch", "fima.models", "fima.checkpoints", "fima.data", "matplotlib"},
    "analysis/plotting": {"fima.models", "fima.checkpoints", "fima.data", "matplotlib.pyplot"},
}


def _imports(path):
    """Modules imported at run time (those under ``if TYPE_CHECKING`` are not)."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize("place", list(FORBIDDEN))
def test_imports_run_one_way(repo_dir, place):
    files = [repo_dir / place] if place.endswith(".py") else sorted((repo_dir / place).rglob("*.py"))
    assert files
    for path in files:
        for module in _imports(path):
            wrong = [name for name in FORBIDDEN[place] if module == name or module.startswith(f"{name}.")]
            assert not wrong, f"{path} imports {module}"
