from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightcast.datasource.parts import Batch, Reject
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.prediction.lines import result_lines, tag_texts

KINDS = {"id": AttributeType.TEXT, "x": AttributeType.NUMERIC, "a,b": AttributeType.BINARY, "y": AttributeType.NUMERIC}


def schema(row_id: str | None = "id") -> Schema:
    return Schema(tuple(Attribute(name, kind) for name, kind in KINDS.items()), row_id=row_id)


def batch(ids: list[str | None], labels: list[float | None] | None = None, **invalid: list[bool]) -> Batch:
    columns = {"id": pa.array(ids, pa.string()), "y": pa.array(labels or [None] * len(ids), pa.float64())}
    return Batch(100, columns, {name: np.array(mask) for name, mask in invalid.items()}, len(ids))


def test_tag_label_and_score() -> None:
    found = result_lines(batch(["a", "b"], [10.0, None]), np.array([1.5, -2.0]), schema(), ["x"], "y")
    assert found.text == b"a,1E1,1.5E0\nb,,-2E0\n"
    assert (found.failed, found.rejected) == (0, b"")


@pytest.mark.parametrize(
    ("row_id", "label", "text"),
    [(None, None, b"1.5E0\n"), ("id", None, b"a,1.5E0\n"), (None, "y", b"1E1,1.5E0\n"), ("id", "y", b"a,1E1,1.5E0\n")],
)
def test_columns_as_the_data_have_them(row_id: str | None, label: str | None, text: bytes) -> None:
    assert result_lines(batch(["a"], [10.0]), np.array([1.5]), schema(row_id), [], label).text == text


def test_failed_records_are_empty_lines_with_their_reasons() -> None:
    ids: list[str | None] = ["a", "b", "c\nd", "e", None]
    masks = {"x": [False, True, False, True, False], "a,b": [False, True, False, False, False], "y": [True] * 5}
    scores = np.array([np.inf, 1.0, 2.0, np.nan, 5.0])
    found = result_lines(batch(ids, **masks), scores, schema(), ["x", "a,b"], None)
    assert found.text == b"\n\n\n\n,5E0\n"
    assert found.failed == 4
    assert found.rejected.decode().splitlines() == [
        "100,,the score is not a finite 32-bit number",
        "101,x,not a finite number",
        '101,"a,b",not a form of true or false',
        "102,id,the row id holds a line end",
        "103,x,not a finite number",
        "103,,the score is not a finite 32-bit number",
    ]


def test_rejected_records_fail_for_the_reason_of_their_rejection() -> None:
    reasons = {101: "an empty line", 102: "the number of cells is 1, not 2", 104: "an empty line"}
    rejects = tuple(Reject(record, "part", reason, "") for record, reason in reasons.items())
    read = batch(["a", None, None, "d", None], x=[False, False, False, True, False])
    read = Batch(100, read.columns, read.invalid, len(read), rejects)
    found = result_lines(read, np.array([1.0, np.nan, 2.0, 3.0, 4.0]), schema(), ["x"], None)
    assert found.text == b"a,1E0\n\n\n\n\n"
    assert found.failed == 4
    assert found.rejected.decode().splitlines() == [
        "101,,an empty line",
        '102,,"the number of cells is 1, not 2"',
        "103,x,not a finite number",
        "104,,an empty line",
    ]


def test_an_invalid_cell_that_the_model_does_not_use_is_no_failure() -> None:
    found = result_lines(batch(["a"], x=[True]), np.array([1.0]), schema(), [], None)
    assert (found.text, found.failed) == (b"a,1E0\n", 0)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.none() | st.text(st.sampled_from("ab,\"'; é\r\n"), max_size=6), max_size=12), st.booleans())
def test_tags_are_read_again(tags: list[str | None], coded: bool) -> None:
    import csv
    import io

    array = pa.array(tags, pa.string())
    texts, broken = tag_texts(array.dictionary_encode() if coded else array)
    marks = [False] * len(tags) if broken is None else broken.tolist()
    assert marks == [tag is not None and ("\n" in tag or "\r" in tag) for tag in tags]
    for tag, text, mark in zip(tags, texts.to_pylist(), marks, strict=True):
        if not mark:
            [row] = csv.reader(io.StringIO(text + ",1E0\n"), strict=True)
            assert row == [tag or "", "1E0"]


def test_no_records() -> None:
    found = result_lines(batch([]), np.zeros(0), schema(), ["x"], "y")
    assert (found.text, found.failed, found.rejected) == (b"", 0, b"")
