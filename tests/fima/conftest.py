"""What tests of several packages read: the tables of docs/protocols.md."""

import re

import pytest
import yaml


def _table(lines):
    """Column → row → value of a Markdown table; an en dash is nothing."""
    rows = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]
    head, body = rows[0], rows[2:]
    return {
        name: {row[0]: yaml.safe_load(row[place]) for row in body if row[place] != "–"}
        for place, name in enumerate(head)
        if place
    }


@pytest.fixture(scope="session")
def protocols(repo_dir):
    """First word of each section of docs/protocols.md → its tables; those of settings as preset → flag → value."""
    found = {}
    for section in (repo_dir / "docs/protocols.md").read_text(encoding="utf-8").split("\n## ")[1:]:
        blocks = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
        found[section.split(":")[0]] = [block.splitlines() for block in blocks]
    return found


@pytest.fixture(scope="session")
def preset_tables(protocols):
    """Section → tables as preset → flag → value."""
    return {name: [_table(lines) for lines in blocks] for name, blocks in protocols.items() if "number" not in name}
