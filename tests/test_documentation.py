"""What the documentation names is there: files, modules, commands, flags and links."""

import importlib
import re
from pathlib import Path

import pytest

import analysis.cli
import fima.cli
from analysis.studies import STUDIES

REPO = Path(__file__).resolve().parents[1]
PAGES = [REPO / "README.md", REPO / "CONTRIBUTING.md", *sorted((REPO / "docs").glob("*.md"))]
# Decisions tell of what was, too.
CURRENT = [page for page in PAGES if page.name != "decisions.md"]


def named(page, pattern):
    return sorted(set(re.findall(pattern, page.read_text(encoding="utf-8"))))


FOLDERS = r"(?:fima|analysis|tests|benchmarks|notebooks|docs)"
FILES = rf"(?<![\w/.<-])({FOLDERS}/[\w/]+\.(?:py|ipynb|md|yaml|sh|npz|json))"
MODULES = r"(?<![\w/.-])((?:fima|analysis)(?:\.[a-z_0-9]+)+(?:\.[A-Za-z_0-9]+)?)(?![\w(])"
NO_MODULE = re.compile(r"\.(pth|tar|ckpt|pt|ipynb|md|html|json|npz|png|mp4|csv|yaml)\b")


@pytest.mark.parametrize("page", CURRENT, ids=lambda page: page.name)
def test_files_that_are_named_exist(page):
    assert [path for path in named(page, FILES) if not (REPO / path).exists()] == []


@pytest.mark.parametrize("page", CURRENT, ids=lambda page: page.name)
def test_modules_that_are_named_exist(page):
    for name in named(page, MODULES):
        if NO_MODULE.search(name):
            continue
        found, rest = importlib.import_module(name.partition(".")[0]), name.split(".")[1:]
        for number, word in enumerate(rest):
            try:
                found = importlib.import_module(".".join(name.split(".")[: number + 2]))
            except ModuleNotFoundError:
                assert hasattr(found, word), f"{page.name}: {name}"
                break


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = named(page, r"\]\((?!https?://|#)([^)#\s]+)")
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", CURRENT, ids=lambda page: page.name)
def test_commands_that_are_named_exist(page):
    known = {
        "fima": {command.name for command in fima.cli.COMMANDS},
        "fima-analyze": {*analysis.cli.COMMANDS, *STUDIES, "embed"},
    }
    for program, command in named(page, r"(?m)(?:^|`)(fima|fima-analyze) ([a-z][a-z-]*)"):
        assert command in known[program], f"{page.name}: {program} {command}"
