from __future__ import annotations

import json

import pytest

from nightcast.cli import main
from nightcast.datasource.schema import AttributeType, Schema


def test_each_attribute_is_shown_with_type_reason_and_examples(sales_csv, capsys):
    assert main(["schema", str(sales_csv), "--target", "totalsold", "--row-id", "saleid"]) == 0
    shown = capsys.readouterr().out
    lines = {line.split(" ", 1)[0]: line for line in shown.splitlines() if line}
    assert lines["Attribute"].split() == ["Attribute", "Type", "Reason", "Examples"]
    for name, kind, example in (
        ("price", "NUMERIC", "9.25"),
        ("promo", "BINARY", "yes"),
        ("venue", "CATEGORICAL", "Arena"),
    ):
        assert kind in lines[name] and example in lines[name]
    assert lines["Target"].split() == ["Target", "totalsold"]
    assert "Row id       saleid" in shown
    assert "Header line  yes" in shown
    assert "Records      400 in 1 file" in shown


def test_json_is_the_schema_document(sales_csv, capsys):
    assert main(["schema", str(sales_csv), "--target", "totalsold", "--json"]) == 0
    captured = capsys.readouterr()
    schema = Schema.from_json(captured.out)
    assert schema.target == "totalsold"
    assert schema.header
    assert schema.names[0] == "saleid"
    assert captured.err == ""


def test_output_is_the_same_document(sales_csv, tmp_path, capsys):
    place = tmp_path / "made" / "x.schema"
    assert main(["schema", str(sales_csv), "--output", str(place)]) == 0
    assert f"Written: {place}" in capsys.readouterr().out
    assert main(["schema", str(sales_csv), "--json"]) == 0
    assert place.read_text() == capsys.readouterr().out


def test_a_part_of_a_schema_overrides(sales_csv, tmp_path, capsys):
    override = tmp_path / "part.json"
    override.write_text(json.dumps({"attributes": [{"attributeName": "promo", "attributeType": "CATEGORICAL"}]}))
    assert main(["schema", str(sales_csv), "--schema", str(override)]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("promo"))
    assert "CATEGORICAL  the schema says so; its values look BINARY" in line


def test_a_whole_schema_wins(sales_csv, tmp_path, capsys):
    place = tmp_path / "whole.schema"
    assert main(["schema", str(sales_csv), "--output", str(place)]) == 0
    document = json.loads(place.read_text())
    document["attributes"][3]["attributeType"] = "TEXT"
    place.write_text(json.dumps(document))
    capsys.readouterr()
    assert main(["schema", str(sales_csv), "--schema", str(place), "--json"]) == 0
    assert Schema.from_json(capsys.readouterr().out).type_of("price") is AttributeType.TEXT


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        (b"{", "no JSON"),
        (b"\xff\xfe", "no text in UTF-8"),
        (b'{"targetAttributeName": "sold"}', "'sold'"),
        (b'{"attributes": [{"attributeName": "price", "attributeType": "MONEY"}]}', "'MONEY'"),
    ],
)
def test_a_bad_schema_is_an_error(sales_csv, tmp_path, capsys, schema, fault):
    place = tmp_path / "bad.schema"
    place.write_bytes(schema)
    assert main(["schema", str(sales_csv), "--schema", str(place)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("nightcast: ") and fault in captured.err


@pytest.mark.filterwarnings("default")
def test_old_spellings_are_warned_of(sales_csv, tmp_path, capsys):
    override = tmp_path / "old.json"
    override.write_text(json.dumps({"targetFieldName": "totalsold"}))
    assert main(["schema", str(sales_csv), "--schema", str(override), "--json"]) == 0
    captured = capsys.readouterr()
    assert Schema.from_json(captured.out).target == "totalsold"
    assert captured.err.startswith("nightcast: warning: ") and "targetFieldName" in captured.err
    assert "Traceback" not in captured.err and ".py" not in captured.err


def test_data_that_are_not_there_are_an_error(tmp_path, capsys):
    assert main(["schema", str(tmp_path / "none.csv")]) == 1
    assert "none.csv does not exist" in capsys.readouterr().err


def test_data_on_s3(sales_csv, sandbox, s3, monkeypatch, capsys):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    s3.put_object(Bucket="nightcast", Key="cli/schema/sales.csv", Body=sales_csv.read_bytes())
    command = ["schema", "s3://nightcast/cli/schema/", "--json", "--endpoint-url", sandbox.endpoint_url]
    assert main(command) == 0
    over_s3 = capsys.readouterr().out
    assert main(["schema", str(sales_csv), "--json"]) == 0
    assert capsys.readouterr().out == over_s3


def test_an_empty_place_is_wrong_usage(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["schema", ""])
    assert ended.value.code == 2
    assert "name a file, a folder" in capsys.readouterr().err


def test_a_schema_with_a_byte_order_mark_is_read(sales_csv, tmp_path, capsys):
    (tmp_path / "x.json").write_text('{"targetAttributeName": "price"}', encoding="utf-8-sig")
    assert main(["schema", str(sales_csv), "--schema", str(tmp_path / "x.json"), "--json"]) == 0
    assert '"targetAttributeName": "price"' in capsys.readouterr().out
