"""Each extra brings what its part of the project imports: tried in a process that can import nothing else."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

import pytest
from packaging.requirements import Requirement

TRIES = {
    (): """
from fima.checkpoints import load_backbone
from fima.data.video import VideoReader
from fima.losses import info_nce
from fima.methods import FIMA, MaCLR, MoCo
import torch
loaded = load_backbone("tiny-fima")
assert loaded.backbone(torch.zeros(1, 3, 16, 56, 56)).ndim == 5
""",
    ("train",): """
import fima.cli, fima.commands.extract, fima.commands.knn, fima.commands.table
import fima.tasks.pretrain.run, fima.tasks.classify.run, fima.tasks.detect.run, fima.evaluation.extract
""",
    ("analysis",): """
from analysis.settings import Settings
from analysis.studies import run
import analysis.cli, analysis.plotting.style, analysis.pages.explorer
study = run("cam", Settings(size=56, num_frames=8))
assert study.scores
""",
}
"""What of the project must work with the core and these extras alone."""

_BLOCK = """
import sys
from importlib.machinery import PathFinder
class Installed:
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {blocked} else PathFinder.find_spec(name, path, target)
sys.meta_path[:] = [Installed() if finder is PathFinder else finder for finder in sys.meta_path]
"""


def _name(text):
    return re.sub(r"[-_.]+", "-", text).lower()


def _closure(requirements):
    """Distributions that installing these would bring."""
    seen, waiting = set(), [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        key = (_name(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            needs = [Requirement(text) for text in requires(requirement.name) or ()]
        except PackageNotFoundError:
            continue
        extras = [{"extra": extra} for extra in requirement.extras] or [{"extra": ""}]
        waiting += [need for need in needs if need.marker is None or any(need.marker.evaluate(env) for env in extras)]
    return {name for name, _ in seen}


@pytest.mark.slow
@pytest.mark.parametrize("extras", list(TRIES), ids=lambda extras: "+".join(extras) or "core")
def test_an_extra_brings_what_its_part_imports(repo_dir, extras):
    project = tomllib.loads((repo_dir / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + [name for extra in extras for name in project["optional-dependencies"][extra]]
    brought = _closure(wanted) | {"fima"}
    blocked = {
        module
        for module, distributions in packages_distributions().items()
        if not any(_name(name) in brought for name in distributions)
    }
    assert "jupyterlab" in blocked
    code = _BLOCK.format(blocked=sorted(blocked)) + TRIES[extras]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=repo_dir, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
