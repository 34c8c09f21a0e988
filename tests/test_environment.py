"""pyproject.toml, constraints.txt and environment.yml speak of the same packages and versions."""

import re
import tomllib

import yaml


def _name(requirement: str) -> str:
    return re.split(r"[<>=!~ \[]", requirement)[0].lower().replace("_", "-")


def _pins(lines):
    return {_name(line): line.split("==")[1].strip() for line in lines if "==" in line and not line.startswith("#")}


def _declared(repo_dir):
    project = tomllib.loads((repo_dir / "pyproject.toml").read_text())["project"]
    extras = [requirement for extra in project["optional-dependencies"].values() for requirement in extra]
    return sorted({*project["dependencies"], *(name for name in extras if not name.startswith("fima["))})


def test_every_dependency_is_pinned_within_its_bound(repo_dir):
    pins = _pins((repo_dir / "constraints.txt").read_text().splitlines())
    for requirement in _declared(repo_dir):
        name, lowest = _name(requirement), requirement.split(">=")[1]
        pinned = [int(part) for part in re.findall(r"\d+", pins[name])]
        assert pinned >= [int(part) for part in re.findall(r"\d+", lowest)], requirement


def test_conda_environment_has_the_same_packages_and_versions(repo_dir):
    environment = yaml.safe_load((repo_dir / "environment.yml").read_text())
    python, _, nested = environment["dependencies"]
    pins = _pins((repo_dir / "constraints.txt").read_text().splitlines())
    listed = _pins(nested["pip"])
    assert set(listed) == {_name(requirement) for requirement in _declared(repo_dir)}
    assert listed == {name: pins[name] for name in listed}
    assert python == "python=3.11"


def test_torch_is_pinned_without_a_local_version(repo_dir):
    assert "torch==2.13.0\n" in (repo_dir / "constraints.txt").read_text()
