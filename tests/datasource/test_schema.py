from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.errors import SchemaError, SchemaWarning

GOLDEN = (Path(__file__).parent / "golden" / "sales.schema").read_text(encoding="utf-8")


@pytest.fixture
def sales() -> Schema:
    return Schema.from_json(GOLDEN)


def document(**changes: Any) -> str:
    return json.dumps(json.loads(GOLDEN) | changes)


def test_a_schema_is_written_as_it_was_read(sales: Schema) -> None:
    assert sales.to_json() == GOLDEN


def test_roles_and_types_are_read(sales: Schema) -> None:
    assert (sales.target, sales.row_id, sales.excluded, sales.header) == (
        "totalsold",
        "order_id",
        ("unitprice",),
        False,
    )
    assert sales.type_of("promo") is AttributeType.BINARY
    assert sales.names == ("order_id", "region", "promo", "unitprice", "Größe", "totalsold")


def test_inputs_are_neither_target_nor_row_id_nor_excluded(sales: Schema) -> None:
    assert [attribute.name for attribute in sales.inputs] == ["region", "promo", "Größe"]


def test_optional_keys_may_be_left_out() -> None:
    schema = Schema.from_json('{"attributes": [{"attributeName": "a", "attributeType": "TEXT"}]}')

    assert schema == Schema((Attribute("a", AttributeType.TEXT),))


def test_a_schema_travels_to_another_process(sales: Schema) -> None:
    sales.type_of("promo")

    assert pickle.loads(pickle.dumps(sales)) == sales


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targetAttributeName": "sold"}, "targetAttributeName names 'sold', which is no attribute"),
        ({"rowId": "id"}, "rowId names 'id'"),
        ({"excludedAttributeNames": ["id"]}, "excludedAttributeNames names 'id'"),
        ({"excludedAttributeNames": ["promo", "promo"]}, "twice"),
        ({"excludedAttributeNames": "promo"}, "must be a list of attribute names"),
        ({"excludedAttributeNames": ["totalsold"]}, "'totalsold' is excluded too"),
        ({"rowId": "totalsold"}, "both target and row id"),
        ({"rowId": 7}, '"rowId" must be an attribute name or null'),
        ({"rowWeight": "promo"}, "rowWeight, which Amazon ML never defined"),
        ({"version": "2.0"}, "of version '2.0'"),
        ({"dataFormat": "PARQUET"}, "the dataFormat 'PARQUET'"),
        ({"dataFileContainsHeader": "false"}, "must be true or false"),
        ({"targetFieldName": "totalsold"}, "'targetAttributeName' in two spellings"),
        ({"target": "totalsold"}, "unknown key 'target'"),
        ({"attributes": {}}, "must be a list"),
        ({"attributes": []}, "0 attributes"),
        ({"attributes": ["a"]}, "entry 1 of attributes must be"),
        ({"attributes": [{"attributeName": "a"}]}, 'entry 1 of attributes needs "attributeType"'),
        ({"attributes": [{"attributeName": "a", "fieldName": "a"}]}, "'attributeName' in two spellings"),
        ({"attributes": [{"attributeName": "a", "attributeType": "WEIGHTED_INT_SEQUENCE"}]}, "never defined"),
        ({"attributes": [{"attributeName": "a", "attributeType": "WEIGHTED_STRING_SEQUENCE"}]}, "never defined"),
        ({"attributes": [{"attributeName": "a", "attributeType": "STRING"}]}, "attribute 'a' has the type 'STRING'"),
        ({"attributes": [{"attributeName": "a", "attributeType": "TEXT"}] * 2}, "'a' is named twice"),
        ({"attributes": [{"attributeName": "", "attributeType": "TEXT"}]}, "has 0 characters"),
        ({"attributes": [{"attributeName": "a" * 65, "attributeType": "TEXT"}]}, "has 65 characters"),
        ({"attributes": [{"attributeName": "\ud800", "attributeType": "TEXT"}]}, "surrogate"),
    ],
)
def test_a_fault_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError) as caught:
        Schema.from_json(document(**changes))

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no JSON"),
        ("[]", "must be a JSON object"),
        ('{"version": "1.0"}', 'has no key "attributes"'),
        ('{"version": "1.0", "fieldName": "a"}', "unknown key 'fieldName'"),
        ('{"rowId": null, "rowId": "a", "attributes": []}', "the key 'rowId' twice"),
        ('{"rowWeight": NaN, "attributes": []}', "holds NaN"),
        ("[" * 100_000, "can not be read as JSON"),
        ('{"rowWeight": ' + "9" * 5000 + "}", "can not be read as JSON"),
        (" " * 131_072, "131,072 characters and at most 131,071"),
    ],
)
def test_text_that_is_no_schema_is_refused(text: str, message: str) -> None:
    with pytest.raises(SchemaError) as caught:
        Schema.from_json(text)

    assert message in str(caught.value)


OLD = """{
  "version": "1.0", "recordAnnotationFieldName": "id", "recordWeightFieldName": null, "targetFieldName": "sold",
  "dataFormat": "CSV", "dataFileContainsHeader": true, "excludedVariableNames": ["note"],
  "variables": [
    {"fieldName": "id", "fieldType": "CATEGORICAL"},
    {"variableName": "note", "variableType": "TEXT"},
    {"attributeName": "sold", "attributeType": "NUMERIC"}
  ]
}"""


def test_older_spellings_are_understood_with_a_warning_each() -> None:
    with pytest.warns(SchemaWarning) as caught:
        schema = Schema.from_json(OLD)

    assert (schema.row_id, schema.target, schema.excluded, schema.header) == ("id", "sold", ("note",), True)
    assert schema.names == ("id", "note", "sold")
    told = [str(warning.message) for warning in caught]
    assert len(told) == 9
    assert "the schema has the key 'targetFieldName', an old spelling of 'targetAttributeName'" in told[2]


def test_what_was_read_in_an_older_spelling_is_written_in_todays() -> None:
    with pytest.warns(SchemaWarning):
        written = Schema.from_json(OLD).to_json()

    assert list(json.loads(written)) == list(json.loads(GOLDEN))
    assert json.loads(written)["attributes"][1] == {"attributeName": "note", "attributeType": "TEXT"}


def test_an_override_may_use_an_older_spelling_too(sales: Schema) -> None:
    with pytest.warns(SchemaWarning, match="targetVariableName"):
        assert sales.with_overrides({"targetVariableName": "promo"}).target == "promo"


def test_the_longest_schema_is_read() -> None:
    assert Schema.from_json(GOLDEN + " " * (131_071 - len(GOLDEN))).target == "totalsold"


@pytest.mark.parametrize("count", [1, 1000])
def test_up_to_a_thousand_attributes_are_taken(count: int) -> None:
    assert len(Schema(tuple(Attribute(f"a{n}", AttributeType.NUMERIC) for n in range(count))).names) == count


def test_more_than_a_thousand_attributes_are_refused() -> None:
    with pytest.raises(SchemaError, match="1,001 attributes"):
        Schema(tuple(Attribute(f"a{n}", AttributeType.NUMERIC) for n in range(1001)))


def test_a_name_of_64_characters_is_taken() -> None:
    assert Schema((Attribute("ä" * 64, AttributeType.TEXT),)).names == ("ä" * 64,)


def test_only_a_schema_with_a_target_that_is_no_text_can_be_trained_with(sales: Schema) -> None:
    assert sales.require_target() == Attribute("totalsold", AttributeType.NUMERIC)
    with pytest.raises(SchemaError, match="names no target"):
        sales.with_overrides({"targetAttributeName": None}).require_target()
    with pytest.raises(SchemaError, match="'Größe' is TEXT"):
        sales.with_overrides({"targetAttributeName": "Größe"}).require_target()


def test_an_unknown_attribute_has_no_type(sales: Schema) -> None:
    with pytest.raises(SchemaError, match="no attribute 'price'; it has 'order_id', 'region'"):
        sales.type_of("price")


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("smallint", "NUMERIC"), ("INT8", "NUMERIC"), ("numeric(18, 2)", "NUMERIC"), ("double  precision", "NUMERIC"),
        ("real", "NUMERIC"), ("boolean", "BINARY"), ("character(10)", "CATEGORICAL"), ("bpchar", "CATEGORICAL"),
        ("character varying(200)", "TEXT"), ("date", "TEXT"), ("timestamp without time zone", "TEXT"),
        ("super", "TEXT"),
    ],
)  # fmt: skip
def test_redshift_types_become_amazon_mls(column: str, expected: str) -> None:
    assert Schema.from_columns([("a", column)]).type_of("a") == expected


def test_an_override_changes_what_it_names_and_keeps_the_order(sales: Schema) -> None:
    override = {
        "attributes": [
            {"attributeName": "Größe", "attributeType": "CATEGORICAL"},
            {"attributeName": "region", "attributeType": "TEXT"},
        ],
        "rowId": None,
        "excludedAttributeNames": [],
        "dataFileContainsHeader": True,
    }

    found = sales.with_overrides(override)

    assert found.names == sales.names
    assert (found.type_of("Größe"), found.type_of("region")) == ("CATEGORICAL", "TEXT")
    assert (found.target, found.row_id, found.excluded, found.header) == ("totalsold", None, (), True)


@pytest.mark.parametrize(
    "override",
    [
        {"attributes": [{"attributeName": "price", "attributeType": "TEXT"}]},
        {"targetAttributeName": "price"},
        {"rowID": "order_id"},
        {"attributes": None},
        ["promo"],
    ],
)
def test_a_wrong_override_is_refused(sales: Schema, override: Any) -> None:
    with pytest.raises(SchemaError):
        sales.with_overrides(override)


_names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=64)
_schemas = st.lists(st.tuples(_names, st.sampled_from(AttributeType)), min_size=3, max_size=8, unique_by=lambda a: a[0])


@settings(max_examples=60)
@given(_schemas, st.booleans())
def test_every_schema_survives_the_round_trip(columns: list[tuple[str, AttributeType]], header: bool) -> None:
    attributes = tuple(Attribute(name, kind) for name, kind in columns)
    schema = Schema(attributes, attributes[0].name, attributes[1].name, (attributes[2].name,), header)

    assert Schema.from_json(schema.to_json()) == schema


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_keys = st.sampled_from([*json.loads(GOLDEN), "variables", "x"])


@pytest.mark.filterwarnings("ignore::nightcast.errors.SchemaWarning")
@settings(max_examples=200)
@given(st.dictionaries(_keys, _json, max_size=3), st.text(max_size=30))
def test_nothing_but_a_schema_error_escapes(changes: dict[str, Any], text: str) -> None:
    for attempt in (document(**changes), json.dumps(changes), text):
        try:
            assert isinstance(Schema.from_json(attempt), Schema)
        except SchemaError:
            continue


def test_a_long_schema_in_older_spellings_warns_once_of_each() -> None:
    entries = [{"fieldName": f"a{number}", "fieldType": "NUMERIC"} for number in range(1_000)]
    with pytest.warns(SchemaWarning) as caught:
        Schema.from_json(json.dumps({"version": "1.0", "variables": entries}))
    assert [str(warning.message).split("'")[1] for warning in caught] == ["variables", "fieldName", "fieldType"]
