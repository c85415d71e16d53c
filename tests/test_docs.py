"""What the documents show is what happens."""

from __future__ import annotations

import doctest
import json
import re
import shlex
from pathlib import Path

import pytest

from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Schema

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def examples_of(page: str) -> str:
    return "\n".join(block for block in blocks(page, "python") if block.startswith(">>>"))


@pytest.mark.parametrize("page", [page for page in PAGES if examples_of(page)])
def test_python_examples_do_what_the_page_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(examples_of(page), {}, page, page, 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(test)
    assert runner.tries > 0 and runner.failures == 0


@pytest.mark.parametrize("page", PAGES)
def test_json_examples_are_json(page):
    for block in blocks(page, "json"):
        assert isinstance(json.loads(block), dict)


@pytest.mark.parametrize("page", PAGES)
def test_linked_files_exist(page):
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", (DOCS / page).read_text()) if "://" not in link]
    assert [link for link in links if not (DOCS / link).exists()] == []


def test_the_schema_and_the_rearrangement_of_the_page_are_read():
    schema, rearrangement = blocks("datasource.md", "json")
    assert Schema.from_json(schema).target == "sold"
    assert Rearrangement.from_json(rearrangement).seed == "s3://bucket/sales/"


def test_the_commands_of_a_pipeline_of_ones_own_have_the_options_that_they_are_written_with():
    from nightcast.cli import _parser

    commands = [
        shlex.split(line)[1:]
        for page in ("new-pipeline.md", "aws.md")
        for block in blocks(page, "bash")
        for line in block.splitlines()
        if line.startswith("nightcast ")
    ]
    assert len(commands) >= 5
    for command in commands:
        given = command[: command.index(">")] if ">" in command else command
        assert _parser().parse_args(given).command in ("new-pipeline", "deploy-aws")


@pytest.mark.parametrize(("page", "command"), [("new-pipeline.md", "new-pipeline"), ("real-time.md", "serve")])
def test_every_option_stands_in_its_page(page, command):
    from nightcast.cli import _parser

    (commands,) = (action for action in _parser()._actions if action.dest == "command")
    options = [name for action in commands.choices[command]._actions for name in action.option_strings]
    text = (DOCS / page).read_text()
    assert [name for name in options if name not in ("-h", "--help") and f"`{name}" not in text] == []
