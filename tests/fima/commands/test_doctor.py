"""``fima doctor`` knows what pyproject.toml asks for, and says what is wrong in a line."""

import importlib.metadata
import sys
import tomllib
import types

from fima.cli import main
from fima.commands import doctor


def test_every_extra_is_one_of_pyproject(repo_dir):
    project = tomllib.loads((repo_dir / "pyproject.toml").read_text())["project"]
    wanted = {"the core": project["dependencies"], **project["optional-dependencies"]}
    for extra, requirements in doctor.EXTRAS.items():
        assert set(requirements) <= {name.replace("[signatures]", "") for name in wanted[extra]}, extra
    assert set(doctor.EXTRAS) == {"the core", *project["optional-dependencies"]} - {"dev"}


def test_this_environment(capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "ok      the core" in out
    assert "reads h264" in out


def test_missing_and_old_packages_are_named(monkeypatch):
    installed = {"safetensors": None, "transformers": "4.57.0"}

    def version(name):
        if installed.get(name, "99") is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed.get(name, "99")

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = doctor._extra("hub", doctor.EXTRAS["hub"])
    assert found.state == "missing"
    assert found.detail == (
        "safetensors is not installed; transformers is 4.57.0, needed is 5.24 or later: "
        "pip install '.[hub]' in the clone"
    )


def test_a_torchvision_of_another_torch_is_named(monkeypatch):
    class Broken(types.ModuleType):
        def find_spec(self, name, path=None, target=None):
            if name == "torchvision":
                raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(sys, "meta_path", [Broken("broken"), *sys.meta_path])
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    found = doctor._torchvision("0.19.0")
    assert found.state == "broken"
    assert "operator torchvision::nms does not exist): pip uninstall torchvision" in found.detail
