from __future__ import annotations

import json

from nightcast.cli import main
from nightcast.datasource.schema import Schema
from nightcast.recipe.grammar import parse_recipe


def test_the_suggested_recipe_fits_the_schema(labelled, tmp_path, capsys):
    command = ["recipe", labelled.csv, "--schema", labelled.schema("sold")]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert list(json.loads(printed)) == ["groups", "assignments", "outputs"]
    with open(labelled.schema("sold")) as schema:
        assert set(parse_recipe(printed, Schema.from_json(schema.read())).columns) == {"day", "venue", "price"}
    assert main([*command, "-o", str(tmp_path / "r.json")]) == 0
    assert (tmp_path / "r.json").read_text() == printed
    assert "Written" in capsys.readouterr().out


def test_the_target_can_be_named_without_a_schema(labelled, capsys):
    assert main(["recipe", labelled.parquet, "--target", "sold", "--row-id", "saleid"]) == 0
    groups = json.loads(capsys.readouterr().out)["groups"]
    assert [group for group in groups.values() if "price" in group]


def test_an_unknown_target_is_an_error(labelled, capsys):
    assert main(["recipe", labelled.csv, "--target", "sales"]) == 1
    assert "sales" in capsys.readouterr().err
