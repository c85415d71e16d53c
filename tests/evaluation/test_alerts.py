from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from nightcast.datasource.parts import ByteSource, Datasource
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.evaluation.alerts import evaluation_alerts
from nightcast.evaluation.binary_metrics import BinarySums
from nightcast.evaluation.metrics import RegressionSums
from nightcast.evaluation.multiclass_metrics import MulticlassSums
from nightcast.mlmodel.model import MLModel
from trained_models import trained, with_classes

SEQUENTIAL = Rearrangement(0, 70)
RANDOM = Rearrangement(0, 70, strategy="random", seed="a")


def model_of(datasource: Datasource, files: ByteSource, on: Rearrangement) -> MLModel:
    return trained(datasource, files, '{"outputs": ["price"]}', on)


def sums(sales: pa.Table, records: int = 900, shift: float = 0.0, spread: float = 1.0) -> RegressionSums:
    targets = np.array(sales["sold"].drop_null().to_pylist()[:records])
    found = RegressionSums()
    found.add((targets - targets.mean()) * spread + targets.mean() + shift, np.zeros(len(targets)))
    return found


def raised(
    model: MLModel, datasource: Datasource, on: Rearrangement, found: RegressionSums, failed: int = 0
) -> list[str]:
    return [alert["check"] for alert in evaluation_alerts(model, datasource, on, found, failed)]


@pytest.mark.parametrize(
    ("trained_on", "evaluated_on", "alert"),
    [
        (SEQUENTIAL, SEQUENTIAL.complemented(), False),
        (SEQUENTIAL, Rearrangement(70, 100), False),
        (SEQUENTIAL, Rearrangement(69, 100), True),
        (SEQUENTIAL, SEQUENTIAL, True),
        (SEQUENTIAL, Rearrangement(), True),
        (Rearrangement(20, 40, complement=True), Rearrangement(20, 40), False),
        (Rearrangement(20, 40, complement=True), Rearrangement(30, 50), True),
        (RANDOM, RANDOM.complemented(), False),
        (RANDOM, dataclasses.replace(RANDOM.complemented(), seed="b"), True),
        (RANDOM, SEQUENTIAL.complemented(), True),
    ],
)
def test_held_out(
    datasource: Datasource,
    files: ByteSource,
    sales: pa.Table,
    trained_on: Rearrangement,
    evaluated_on: Rearrangement,
    alert: bool,
) -> None:
    model = model_of(datasource, files, trained_on)
    assert raised(model, datasource, evaluated_on, sums(sales)) == (["HELD_OUT_DATA"] if alert else [])


def test_another_datasource_is_held_out(
    datasource: Datasource, write: Callable[..., Datasource], files: ByteSource, sales: pa.Table
) -> None:
    model = model_of(datasource, files, SEQUENTIAL)
    assert raised(model, write(sales, 500), SEQUENTIAL, sums(sales)) == []


def test_enough_records(datasource: Datasource, files: ByteSource, sales: pa.Table) -> None:
    model = model_of(datasource, files, SEQUENTIAL)
    tenth = -(-model.training["records"] // 10)
    assert raised(model, datasource, Rearrangement(70), sums(sales, tenth)) == []
    assert raised(model, datasource, Rearrangement(70), sums(sales, tenth - 1)) == ["ENOUGH_DATA"]


def test_schema(datasource: Datasource, files: ByteSource, sales: pa.Table) -> None:
    model = model_of(datasource, files, SEQUENTIAL)
    attributes = (*datasource.schema.attributes[1:], Attribute("new", AttributeType.TEXT))
    changed = Datasource(dataclasses.replace(datasource.schema, attributes=attributes, row_id=None), datasource.parts)
    [alert] = evaluation_alerts(model, changed, Rearrangement(70), sums(sales), 0)
    assert alert == {"check": "SCHEMA_MATCH", "message": "missing: id; added: new"}


def test_failed_records(datasource: Datasource, files: ByteSource, sales: pa.Table) -> None:
    model = model_of(datasource, files, SEQUENTIAL)
    [alert] = evaluation_alerts(model, datasource, Rearrangement(70), sums(sales), 1234)
    assert alert == {"check": "ALL_RECORDS_USED", "message": "1,234 record(s) could not be evaluated"}


@pytest.mark.parametrize(
    ("shift", "spread", "alert"),
    [(0.2, 1.0, False), (0.4, 1.0, True), (-0.4, 1.0, True), (0, 1.7, True), (0, 0.6, True)],
)
def test_target_distribution(
    datasource: Datasource, files: ByteSource, sales: pa.Table, shift: float, spread: float, alert: bool
) -> None:
    model = model_of(datasource, files, SEQUENTIAL)
    moved = sums(sales, shift=shift * model.training["targetStd"], spread=spread)
    assert raised(model, datasource, Rearrangement(70), moved) == (["TARGET_DISTRIBUTION"] if alert else [])


@pytest.mark.parametrize("kind", ["BINARY", "CATEGORICAL"])
@pytest.mark.parametrize(("first", "alert"), [(0.0, False), (0.08, False), (0.12, True)])
def test_shares_of_classes(
    write: Callable[..., Datasource],
    schema: Schema,
    sales: pa.Table,
    files: ByteSource,
    kind: str,
    first: float,
    alert: bool,
) -> None:
    labelled, table = with_classes(schema, sales, kind)
    datasource = write(table, 1100, labelled)
    model = model_of(datasource, files, SEQUENTIAL)
    counts: dict[str, int] = model.training["classCounts"]
    shares = {name: count / sum(counts.values()) for name, count in counts.items()}
    names = sorted(shares)
    shares[names[0]] += first
    shares[names[1]] -= first
    found = BinarySums(0.5) if kind == "BINARY" else MulticlassSums(tuple(names))
    rows = [round(10_000 * shares[name]) for name in names]
    found.confusion[: len(rows), 0] = rows
    raised_here = evaluation_alerts(model, datasource, SEQUENTIAL.complemented(), found, 0)
    assert [one["check"] for one in raised_here] == (["TARGET_DISTRIBUTION"] if alert else [])
    if alert:
        # Both moved by as much: which of them is told hangs on the last bit.
        total, before = sum(counts.values()), dict(zip(names, rows, strict=True))
        assert raised_here[0]["message"] in {
            f"class {name!r} is {before[name] / sum(rows):.1%} of the records here, and {counts[name] / total:.1%} "
            "in training"
            for name in names[:2]
        }


def test_classes_that_the_model_does_not_know_are_another_distribution(
    write: Callable[..., Datasource], schema: Schema, sales: pa.Table, files: ByteSource
) -> None:
    labelled, table = with_classes(schema, sales, "CATEGORICAL")
    datasource = write(table, 1100, labelled)
    model = model_of(datasource, files, SEQUENTIAL)
    found = MulticlassSums(model.target.classes)
    found.confusion[:, 0] = [*(3 * model.training["classCounts"][name] for name in model.target.classes), 0]
    found.confusion[-1, 0] = found.confusion.sum() // 4
    [alert] = evaluation_alerts(model, datasource, SEQUENTIAL.complemented(), found, 0)
    assert alert["message"].startswith("class '(unknown)' is 20.0% of the records here, and 0.0% in training")
