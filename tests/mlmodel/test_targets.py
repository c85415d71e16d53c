from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from nightcast.datasource.insights import compute_insights
from nightcast.datasource.parts import Batch, Datasource
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.errors import ModelError, SchemaError
from nightcast.mlmodel.targets import ModelType, Target

Write = Callable[..., Datasource]


def schema_of(kind: str | None) -> Schema:
    target = () if kind is None else (Attribute("y", AttributeType(kind)),)
    return Schema((Attribute("x", AttributeType.NUMERIC), *target), target="y" if kind else None)


def target_of(write_parts: Write, files: Any, kind: str, values: list[Any]) -> Target:
    datasource = write_parts(schema_of(kind), pa.table({"x": np.arange(float(len(values))), "y": values}))
    return Target.of(datasource.schema, compute_insights(datasource, files))


def test_the_type_of_the_target_decides(write_parts: Write, files: Any) -> None:
    number = target_of(write_parts, files, "NUMERIC", [1.0, 2.0])
    binary = target_of(write_parts, files, "BINARY", [True, False])
    classes = target_of(write_parts, files, "CATEGORICAL", ["rock", "jazz", None, "rock"])

    assert (number.model_type, number.classes, number.outputs) == (ModelType.REGRESSION, (), 1)
    assert (binary.model_type, binary.outputs) == (ModelType.BINARY, 1)
    assert (classes.model_type, classes.classes, classes.outputs) == (ModelType.MULTICLASS, ("jazz", "rock"), 2)


@pytest.mark.parametrize("coded", [False, True])
def test_labels_of_classes(coded: bool) -> None:
    target = Target("y", ModelType.MULTICLASS, ("jazz", "rock"))
    column = pa.array(["rock", None, "folk", "jazz"])
    found = target.labels(Batch(0, {"y": column.dictionary_encode() if coded else column}))

    assert found.values.tolist() == [1, -1, -1, 0]
    assert found.known.tolist() == [True, False, True, True]
    assert (found.invalid, found.missing) == (0, 1)


def test_labels_of_numbers_tell_missing_from_invalid() -> None:
    target = Target("y", ModelType.REGRESSION)
    invalid = {"y": np.array([False, False, True])}
    found = target.labels(Batch(0, {"y": pa.array([1.5, None, None])}, invalid))

    assert found.known.tolist() == [True, False, False]
    assert (found.values[0], found.invalid, found.missing) == (1.5, 1, 1)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("BINARY", [True, None, True], "all 2 training records with a target have 'y' true"),
        ("CATEGORICAL", ["a", "a"], r"1 class\(es\) of 'y', 'a': at least 2"),
        ("CATEGORICAL", [str(n) for n in range(101)], "101 classes and a model takes 100"),
    ],
)
def test_targets_that_can_not_be_learnt(
    write_parts: Write, files: Any, kind: str, values: list[Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        target_of(write_parts, files, kind, values)


def test_text_and_no_target_are_refused(write_parts: Write, files: Any) -> None:
    with pytest.raises(SchemaError, match="TEXT"):
        target_of(write_parts, files, "TEXT", ["a b", "c"])
    datasource = write_parts(schema_of(None), pa.table({"x": [1.0]}))
    with pytest.raises(SchemaError, match="names no target"):
        Target.of(datasource.schema, compute_insights(datasource, files))


def test_it_can_be_pickled_after_use() -> None:
    target = Target("y", ModelType.MULTICLASS, ("a", "b"))
    target.labels(Batch(0, {"y": pa.array(["a"])}))
    assert pickle.loads(pickle.dumps(target)) == target
