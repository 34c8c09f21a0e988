"""Imports run one way, room by room, and no two files need each other: the layout is the architecture."""

import ast
import graphlib
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]

_BASE = {"fima.errors", "fima.files", "fima.input_spec", "fima.legacy", "fima.progress", "fima.seeding"}
_CORE = _BASE | {"fima.data", "fima.transforms", "fima.models", "fima.checkpoints"}
_ALL = _CORE | {"fima.methods", "fima.presets", "fima.engine", "fima.evaluation", "fima.tasks"}
_LOOKING = {"analysis.settings", "analysis.output", "analysis.measures", "analysis.inputs"}
_PAGES = _LOOKING | {"analysis.studies", "analysis.plotting", "analysis.pages", "analysis.jobs"}

MAY_IMPORT = {
    "fima.files": {"fima.errors"},
    "fima.data": _BASE,
    "fima.transforms": _BASE,
    "fima.models": _BASE | {"fima.transforms"},
    "fima.checkpoints": _CORE - {"fima.data"},
    "fima.methods": _CORE - {"fima.data"},
    "fima.presets": _BASE | {"fima.data"},
    "fima.engine": _CORE | {"fima.methods", "fima.presets"},
    "fima.evaluation": _CORE | {"fima.presets"},
    "fima.tasks": _ALL,
    "fima.commands": _ALL | {"fima.cli"},
    "analysis.measures": _BASE | {"fima.transforms", "fima.methods", "fima.evaluation"},
    "analysis.inputs": _ALL | _LOOKING,
    "analysis.studies": _ALL | _LOOKING,
    "analysis.plotting": _BASE | {"fima.data", "analysis.measures", "analysis.studies", "analysis.settings"},
    "analysis.pages": _ALL | _PAGES,
    "analysis.compare": _ALL | _PAGES,
    "analysis.report": _ALL | _PAGES | {"analysis.compare"},
    "analysis.downstream": _ALL | _PAGES | {"analysis.compare"},
    "analysis.gallery": _ALL | _PAGES,
    "analysis.reproduction": _ALL | _PAGES | {"analysis.compare", "analysis.downstream"},
}
"""What each room may import of the project, beside itself. A thin module with a public name belongs to no room."""

LIBRARIES_KEPT_OUT = {
    "fima": {"matplotlib", "seaborn", "captum", "papermill", "ipywidgets"},
    "fima.data": {"lightning"},
    "fima.transforms": {"lightning", "av"},
    "fima.models": {"lightning", "av"},
    "fima.methods": {"lightning", "av"},
    "fima.presets": {"torch", "lightning"},
    "analysis.measures": {"matplotlib", "av"},
    "analysis.plotting": {"matplotlib.pyplot"},
}

FILES = [path for wing in ("fima", "analysis") for path in sorted((REPO / wing).rglob("*.py"))]


def _module(path):
    return ".".join(path.relative_to(REPO).with_suffix("").parts).removesuffix(".__init__")


MODULES = {_module(path): path for path in FILES}


def _imports(path, *, lazy=True):
    """Modules that a file imports when it runs (not those under ``if TYPE_CHECKING``), as dotted names."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not lazy:
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def _below(module, names):
    return any(module == name or module.startswith(f"{name}.") for name in names)


def _room_files(room):
    return [path for name, path in MODULES.items() if _below(name, {room})]


def test_every_folder_is_a_guarded_room():
    folders = {".".join(path.relative_to(REPO).parts[:2]) for path in FILES if len(path.relative_to(REPO).parts) > 2}
    assert folders - set(MAY_IMPORT) <= {"analysis.commands"}, "a new room needs its arrows in MAY_IMPORT"


@pytest.mark.parametrize("room", list(MAY_IMPORT))
def test_arrows_between_rooms(room):
    thin = {"fima.data.video"}
    wrong = [
        f"{path.relative_to(REPO)} imports {module}"
        for path in _room_files(room)
        for module in _imports(path)
        if _module(path) not in thin
        and _below(module, {"fima", "analysis"})
        and module != "fima.__version__"
        and not _below(module, MAY_IMPORT[room] | {room})
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("place", list(LIBRARIES_KEPT_OUT))
def test_libraries_stay_out(place):
    for path in _room_files(place):
        for module in _imports(path):
            assert not _below(module, LIBRARIES_KEPT_OUT[place]), f"{path} imports {module}"


def test_the_core_knows_nothing_of_the_analysis():
    for path in _room_files("fima"):
        assert not any(_below(module, {"analysis"}) for module in _imports(path)), path


def test_no_two_files_need_each_other():
    graph = {}
    for name, path in MODULES.items():
        graph[name] = {
            target if target in MODULES else target.rpartition(".")[0]
            for target in _imports(path)
            if _below(target, {"fima", "analysis"})
        } & (set(MODULES) - {name})
    for name in graph:  # a package's __init__ collects its modules' names: that is no circle
        if MODULES[name].name == "__init__.py":
            graph[name] = set()
    graphlib.TopologicalSorter(graph).prepare()


def test_no_file_is_longer_than_a_few_screens():
    long = {str(path.relative_to(REPO)): lines for path in FILES if (lines := len(path.read_text().splitlines())) > 330}
    assert not long
