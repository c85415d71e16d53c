"""The README promises only what is there."""

from __future__ import annotations

import json
import re

import pytest

from nightcast.settings import GROUPS


@pytest.fixture(scope="module")
def readme(project):
    return (project / "README.md").read_text()


def params() -> list[tuple[str, object]]:
    return [(name, field.default) for group in GROUPS for name, field in group.model_fields.items()]


def test_every_param_stands_in_the_table_with_its_default(readme):
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \| .+\|$", readme, re.MULTILINE))
    expected = {
        name: f"`{json.dumps(default)}`" if default not in (None, "") else "empty" for name, default in params()
    }
    assert {name: rows.get(name) for name in expected} == expected


def test_every_make_command_is_a_target(readme, project):
    targets = set(re.findall(r"^([a-z0-9-]+):", (project / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z0-9-]+)", readme))
    assert len(named) >= 6
    assert named <= targets


def test_every_linked_file_exists(readme, project):
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", readme) if "://" not in link]
    assert len(links) >= 3
    assert [link for link in links if not (project / link).exists()] == []


def test_nothing_is_left_to_fill_in(readme):
    assert "@@" not in readme
