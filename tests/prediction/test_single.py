from __future__ import annotations

import csv
import dataclasses
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from nightcast.datasource.parts import ByteSource, Datasource
from nightcast.datasource.schema import Schema
from nightcast.errors import PredictionError
from nightcast.mlmodel.model import MLModel
from nightcast.prediction.batch import predict
from nightcast.prediction.formatting import format_scores
from nightcast.prediction.single import RecordPredictor
from trained_models import trained, with_classes

Write = Callable[..., Datasource]
SOME = 100


@pytest.fixture
def model(datasource: Datasource, files: ByteSource) -> MLModel:
    return trained(datasource, files)


def records_of(sales: pa.Table) -> list[dict[str, str]]:
    """The first records as clients of Amazon ML gave them: texts, and nothing for what is missing."""
    found = []
    for row in sales.slice(0, SOME).to_pylist():
        known = {name: value for name, value in row.items() if value is not None and name != "sold"}
        found.append({name: str(int(value)) if value in (True, False) else str(value) for name, value in known.items()})
    return found


def written(scores: list[float]) -> list[str]:
    """Scores as result files have them: seven digits."""
    return list(format_scores(np.array(scores)).to_pylist())


@pytest.mark.parametrize("kind", ["NUMERIC", "BINARY", "CATEGORICAL"])
@pytest.mark.parametrize("learner", ["linear", "boosting"])
def test_single_records_are_predicted_as_in_a_batch(
    kind: str, learner: str, schema: Schema, sales: pa.Table, write: Write, files: ByteSource, tmp_path: Path
) -> None:
    kinds, table = with_classes(schema, sales, kind)
    # Where a text may be empty and not missing, as in Parquet, a single record can not tell the two apart.
    titles = [title or None for title in table["title"].to_pylist()]
    datasource = write(table.set_column(4, "title", pa.array(titles)), schema=kinds)
    model = trained(datasource, files, learner=learner)
    result = predict(model, datasource, "bp", tmp_path / "out", files)
    with gzip.open(result.results[0].path, "rt", newline="") as lines:
        rows = list(csv.DictReader(lines))[:SOME]
    single = RecordPredictor(model)

    for record, row in zip(records_of(table), rows, strict=True):
        found = single.predict(record)
        assert found["details"] == {"PredictiveModelType": model.model_type.value, "Algorithm": learner.upper()}
        if kind == "NUMERIC":
            assert written([found["predictedValue"]]) == [row["score"]]
            continue
        assert found["predictedLabel"] == row["bestAnswer"]
        names = [found["predictedLabel"]] if kind == "BINARY" else list(model.target.classes)
        titles = ["score"] if kind == "BINARY" else names
        assert list(found["predictedScores"]) == names
        assert written([found["predictedScores"][name] for name in names]) == [row[one] for one in titles]


def test_a_binary_score_is_that_of_1_under_either_label(
    schema: Schema, sales: pa.Table, write: Write, files: ByteSource
) -> None:
    kinds, table = with_classes(schema, sales, "BINARY")
    model = trained(write(table, schema=kinds), files)
    scores = {}
    for threshold, label in ((0.0, "1"), (1.0, "0")):
        found = RecordPredictor(dataclasses.replace(model, score_threshold=threshold)).predict({})
        assert found["predictedLabel"] == label
        scores[label] = found["predictedScores"]
    assert scores == {"1": {"1": scores["1"]["1"]}, "0": {"0": scores["1"]["1"]}}


def test_what_is_missing_may_be_left_out_or_blank(model: MLModel, sales: pa.Table) -> None:
    single = RecordPredictor(model)
    [record, *_] = records_of(sales)
    assert set(model.columns) >= {"price", "promo"}
    without = {name: value for name, value in record.items() if name not in ("price", "promo")}
    expected = single.predict(without)
    for missing in (None, "", "  "):
        assert single.predict({**without, "price": missing, "promo": missing}) == expected
    # As the empty cell of a CSV file; a client of Amazon ML has no null.
    bare = {name: value for name, value in record.items() if name not in ("venue", "title")}
    assert single.predict({**bare, "venue": "", "title": ""}) == single.predict(bare)
    assert single.predict(record) != expected


def test_numbers_and_booleans_of_json_are_taken_as_their_text(model: MLModel) -> None:
    single = RecordPredictor(model)
    assert single.predict({"price": 12.5, "promo": True}) == single.predict({"price": "12.5", "promo": "yes"})
    assert single.predict({"price": 3, "promo": False}) == single.predict({"price": "3", "promo": "n"})
    # Redshift writes booleans so.
    assert single.predict({"venue": True}) == single.predict({"venue": "t"})


def test_the_target_and_the_row_id_are_passed_over(model: MLModel) -> None:
    single = RecordPredictor(model)
    assert single.predict({"price": "3", "sold": "no number", model.schema.row_id or "": "7"}) == single.predict(
        {"price": "3"}
    )


def test_intervals_are_told_as_details(model: MLModel) -> None:
    found = RecordPredictor(model, 0.9).predict({"price": "3"})
    assert float(found["details"]["Lower"]) < found["predictedValue"] < float(found["details"]["Upper"])
    with pytest.raises(PredictionError, match="no prediction intervals"):
        RecordPredictor(dataclasses.replace(model, intervals=None), 0.9)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"prise": "1"}, r"the record has 'prise', and the model's schema does not: it has .*'price'"),
        ({"price": "1,5"}, r"the attribute 'price' is NUMERIC, and its value '1,5' is no number"),
        ({"price": float("nan")}, r"'nan' is no number"),
        ({"promo": "maybe"}, r"the attribute 'promo' is BINARY, and its value 'maybe' is no 0, 1 or another form"),
        ({"price": [1]}, r"the attribute 'price' must be a text in Unicode, not \[1\]"),
    ],
)
def test_a_record_that_can_not_be_read_is_refused(model: MLModel, record: dict[str, Any], message: str) -> None:
    with pytest.raises(PredictionError, match=message):
        RecordPredictor(model).predict(record)


def test_a_score_beyond_32_bits_is_refused(datasource: Datasource, files: ByteSource) -> None:
    model = trained(datasource, files, '{"outputs": ["price"]}')
    with pytest.raises(PredictionError, match="not a finite 32-bit number"):
        RecordPredictor(model).predict({"price": "1e300"})
