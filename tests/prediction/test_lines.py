from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightcast.datasource.parts import Batch, Reject
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.errors import ModelError, PredictionError
from nightcast.mlmodel.intervals import Intervals
from nightcast.mlmodel.model import Link, MLModel
from nightcast.mlmodel.targets import ModelType, Target
from nightcast.prediction.answers import Answers
from nightcast.prediction.csv_fields import line_fields
from nightcast.prediction.lines import Lines, result_lines

NUMBER = Target("y", ModelType.REGRESSION)
KINDS = {"id": AttributeType.TEXT, "x": AttributeType.NUMERIC, "a,b": AttributeType.BINARY, "y": AttributeType.NUMERIC}


def schema(row_id: str | None = "id", target: str | None = None) -> Schema:
    return Schema(tuple(Attribute(name, kind) for name, kind in KINDS.items()), row_id=row_id, target=target)


def lines_of(
    records: Batch,
    raw: Any,
    seen_as: Schema,
    columns: Sequence[str] = ("x", "a,b"),
    target: Target = NUMBER,
    **changes: Any,
) -> Lines:
    """The lines of records that get the given scores of a model."""
    links = {ModelType.REGRESSION: Link.IDENTITY, ModelType.BINARY: Link.LOGIT, ModelType.MULTICLASS: Link.SOFTMAX}
    level = changes.pop("level", None)
    model = MLModel(seen_as, "{}", target, Fixed(np.asarray(raw, dtype=float)), links[target.model_type], "fixed")
    return result_lines(records, Answers(replace(model, **changes), level), seen_as, columns)


@dataclass(frozen=True)
class Fixed:
    """Predicts what it is told."""

    raw: np.ndarray
    kind = "fixed"
    columns = ("x", "a,b")
    size = 0

    def raw_scores(self, batch: Batch) -> np.ndarray:
        return self.raw

    def save(self, directory: Path) -> tuple[str, ...]:
        return ()


def batch(ids: list[str | None], labels: list[float | None] | None = None, **invalid: list[bool]) -> Batch:
    columns = {"id": pa.array(ids, pa.string()), "y": pa.array(labels or [None] * len(ids), pa.float64())}
    return Batch(100, columns, {name: np.array(mask) for name, mask in invalid.items()}, len(ids))


def test_tag_label_and_score() -> None:
    found = lines_of(batch(["a", "b"], [10.0, None]), [1.5, -2.0], schema(target="y"))
    assert found.text == b"a,1E1,1.5E0\nb,,-2E0\n"
    assert (found.failed, found.rejected) == (0, b"")


@pytest.mark.parametrize(
    ("row_id", "label", "text"),
    [(None, None, b"1.5E0\n"), ("id", None, b"a,1.5E0\n"), (None, "y", b"1E1,1.5E0\n"), ("id", "y", b"a,1E1,1.5E0\n")],
)
def test_columns_as_the_data_have_them(row_id: str | None, label: str | None, text: bytes) -> None:
    assert lines_of(batch(["a"], [10.0]), [1.5], schema(row_id, label)).text == text


def test_failed_records_are_empty_lines_with_their_reasons() -> None:
    ids: list[str | None] = ["a", "b", "c\nd", "e", None]
    masks = {"x": [False, True, False, True, False], "a,b": [False, True, False, False, False], "y": [True] * 5}
    scores = np.array([np.inf, 1.0, 2.0, np.nan, 5.0])
    found = lines_of(batch(ids, **masks), scores, schema())
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
    found = lines_of(read, [1.0, np.nan, 2.0, 3.0, 4.0], schema())
    assert found.text == b"a,1E0\n\n\n\n\n"
    assert found.failed == 4
    assert found.rejected.decode().splitlines() == [
        "101,,an empty line",
        '102,,"the number of cells is 1, not 2"',
        "103,x,not a finite number",
        "104,,an empty line",
    ]


def test_an_invalid_cell_that_the_model_does_not_use_is_no_failure() -> None:
    found = lines_of(batch(["a"], x=[True]), [1.0], schema(), columns=[])
    assert (found.text, found.failed) == (b"a,1E0\n", 0)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.none() | st.text(st.sampled_from("ab,\"'; é\r\n"), max_size=6), max_size=12), st.booleans())
def test_tags_are_read_again(tags: list[str | None], coded: bool) -> None:
    import csv
    import io

    array = pa.array(tags, pa.string())
    texts, broken = line_fields(array.dictionary_encode() if coded else array)
    marks = [False] * len(tags) if broken is None else broken.tolist()
    assert marks == [tag is not None and ("\n" in tag or "\r" in tag) for tag in tags]
    for tag, text, mark in zip(tags, texts.to_pylist(), marks, strict=True):
        if not mark:
            [row] = csv.reader(io.StringIO(text + ",1E0\n"), strict=True)
            assert row == [tag or "", "1E0"]


def test_no_records() -> None:
    found = lines_of(batch([]), [], schema(target="y"))
    assert (found.text, found.failed, found.rejected) == (b"", 0, b"")


STEPS = tuple(number / 100 for number in range(-500, 501))


def test_intervals_stand_behind_the_score() -> None:
    intervals = Intervals((10.0,), (STEPS, tuple(2 * step for step in STEPS)), (999, 999), 0.0).to_document()
    found = lines_of(batch(["a", "b"], [1.0, None]), [2.0, 20.0], schema(target="y"), intervals=intervals, level=0.8)
    assert found.text.startswith(b"a,1E0,2E0,0E0,")
    # Four on either side, to a record more or less, and twice that for large predictions; nothing begins below 0.
    low, high = (float(cell) for cell in found.text.decode().split("\n")[1].split(",")[3:])
    assert (low, high) == pytest.approx((12.0, 28.0), abs=0.05)


def test_an_interval_beyond_32_bits_fails_the_record() -> None:
    huge = tuple(step * 1e38 for step in STEPS)
    intervals = Intervals((), (huge,), (999,), None).to_document()
    found = lines_of(batch(["a"]), [1e38], schema(), intervals=intervals, level=0.8)
    assert (found.text, found.failed) == (b"\n", 1)
    assert b"not a finite 32-bit number" in found.rejected


def boolean_batch(labels: list[bool | None]) -> Batch:
    columns = {"id": pa.array([f"r{place}" for place in range(len(labels))]), "y": pa.array(labels, pa.bool_())}
    return Batch(0, columns, {}, len(labels))


def test_a_binary_model_answers_at_its_threshold() -> None:
    target = Target("y", ModelType.BINARY)
    raw = [0.0, -1e-9, np.log(3.0), np.nan]
    found = lines_of(boolean_batch([True, False, None, True]), raw, schema(target="y"), target=target)
    assert found.text == b"r0,1,1,5E-1\nr1,0,0,5E-1\nr2,,1,7.5E-1\n\n"
    assert found.failed == 1
    cut = lines_of(boolean_batch([True]), [0.0], schema(), target=target, score_threshold=0.6)
    assert cut.text == b"r0,0,5E-1\n"


CLASSES = ("a", 'b, "c"', "d")


def class_batch(labels: list[str | None], coded: bool = False) -> Batch:
    column = pa.array(labels, pa.string())
    columns = {
        "id": pa.array([f"r{place}" for place in range(len(labels))]),
        "y": column.dictionary_encode() if coded else column,
    }
    return Batch(7, columns, {}, len(labels))


@pytest.mark.parametrize("coded", [False, True])
def test_a_multiclass_model_answers_with_the_most_probable_class_and_all_scores(coded: bool) -> None:
    target = Target("y", ModelType.MULTICLASS, CLASSES)
    raw = [[0.0, np.log(2.0), 0.0], [0.0, 0.0, 0.0], [1.0, np.nan, 0.0], [-800.0, -800.0, 0.0], [0.0, 0.0, 0.0]]
    labels = ['b, "c"', None, "a", "new, one", "two\nlines"]
    found = lines_of(class_batch(labels, coded), raw, schema(target="y"), target=target)
    assert found.text.decode().split("\n") == [
        'r0,"b, ""c""","b, ""c""",2.5E-1,5E-1,2.5E-1',
        "r1,,a,3.333333E-1,3.333333E-1,3.333333E-1",
        "",
        'r3,"new, one",d,0E0,0E0,1E0',
        "",
        "",
    ]
    assert found.rejected.decode().splitlines() == [
        "9,,the score is not a finite 32-bit number",
        "11,y,the target holds a line end",
    ]


def test_class_names_are_titles_of_columns() -> None:
    target = Target("y", ModelType.MULTICLASS, CLASSES)
    model = MLModel(schema(), "{}", target, Fixed(np.zeros(0)), Link.SOFTMAX, "fixed")
    titles = Answers(model).header(schema(target="y"))
    assert ",".join(titles) == 'tag,trueLabel,bestAnswer,a,"b, ""c""",d'
    assert Answers(model).header(schema(None)) == ["bestAnswer", "a", '"b, ""c"""', "d"]


@pytest.mark.parametrize("model_type", list(ModelType))
def test_intervals_of_a_model_without_any_are_refused(model_type: ModelType) -> None:
    model = MLModel(schema(), "{}", Target("y", model_type, ("a", "b")), Fixed(np.zeros(0)), Link.IDENTITY, "fixed")
    with pytest.raises(PredictionError, match=f"no prediction intervals: .*({model_type}|held)"):
        Answers(model, 0.9)
    with pytest.raises(ModelError, match="must lie between 0 and 1"):
        Answers(model, 1.0)
