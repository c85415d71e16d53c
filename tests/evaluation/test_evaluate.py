from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from nightcast.datasource.insights import compute_insights
from nightcast.datasource.parts import ByteSource, Datasource, read_batches
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.errors import EvaluationError, SchemaError
from nightcast.evaluation.evaluate import evaluate
from nightcast.mlmodel.files import MLModel
from nightcast.mlmodel.train import train_regression
from nightcast.recipe.suggest import suggest_recipe

TRAINED_ON = Rearrangement(0, 70)


@pytest.fixture
def model(datasource: Datasource, files: ByteSource) -> MLModel:
    insights = compute_insights(datasource, files)
    recipe = suggest_recipe(datasource.schema, insights)
    return train_regression(datasource, insights, recipe, TRAINED_ON, files)


def checks(found: list[dict[str, str]]) -> list[str]:
    return [alert["check"] for alert in found]


def test_metrics_of_held_out_records(
    model: MLModel, datasource: Datasource, files: ByteSource, sales: pa.Table
) -> None:
    found = evaluate(model, datasource, TRAINED_ON.complemented(), files)
    truth = np.array(sales["sold"].to_pylist()[2100:], dtype=float)
    known = np.isfinite(truth)
    scores = np.concatenate([model.predict(b) for part in datasource.numbered() for b in read_batches(part, files)])[
        2100:
    ]
    residuals = (truth - scores)[known]
    assert found.rmse == pytest.approx(np.sqrt(np.mean(residuals**2)), rel=1e-12)
    assert found.baseline_rmse == pytest.approx(np.sqrt(np.mean((truth[known] - model.training["targetMean"]) ** 2)))
    assert found.mae == pytest.approx(np.abs(residuals).mean())
    assert found.r2 == pytest.approx(1 - np.sum(residuals**2) / np.sum((truth[known] - truth[known].mean()) ** 2))
    assert found.rmse < found.baseline_rmse / 2
    assert (found.records_seen, found.records_failed) == (900, (~known).sum())
    assert found.failures == {
        "withoutTarget": (~known).sum(),
        "invalidTarget": 0,
        "invalidInput": 0,
        "scoreNotFinite": 0,
    }
    assert checks(found.alerts) == ["ALL_RECORDS_USED"]


def test_document(model: MLModel, datasource: Datasource, files: ByteSource) -> None:
    found = evaluate(model, datasource, TRAINED_ON.complemented(), files)
    document = json.loads(found.to_json(), parse_constant=pytest.fail)
    assert found.to_json() == json.dumps(document, sort_keys=True, indent=2) + "\n"
    assert document["modelType"] == "REGRESSION"
    assert document["performanceMetrics"] == {"RegressionRMSE": found.rmse}
    assert document["baseline"] == {"RegressionRMSE": found.baseline_rmse}
    assert document["otherMetrics"] == {"MAE": found.mae, "R2": found.r2}
    assert document["recordsSeen"] == 900
    assert document["rearrangement"]["splitting"]["complement"] is True
    assert sum(document["residuals"]["histogram"]["counts"]) > 800
    assert found.to_json() == evaluate(model, datasource, TRAINED_ON.complemented(), files).to_json()


def test_failures_are_told_apart(model: MLModel, write: Callable[..., Datasource], files: ByteSource) -> None:
    table = pa.table(
        {
            "id": range(6),
            "price": [10.0, float("nan"), 20.0, None, float("inf"), 1e308],
            "day": [1, 2, 3, 4, 5, 6],
            "venue": ["v1"] * 6,
            "title": [""] * 6,
            "promo": ["yes", "no", "maybe", None, "1", "0"],
            "sold": [5.0, 5.0, 5.0, 5.0, None, float("nan")],
        }
    )
    found = evaluate(model, write(table), Rearrangement(), files)
    # Invalid inputs beside a target: price of the 2nd, promo of the 3rd. A missing price is no fault.
    assert found.failures == {"withoutTarget": 1, "invalidTarget": 1, "invalidInput": 2, "scoreNotFinite": 0}
    assert (found.records_seen, found.records_failed) == (6, 4)
    assert checks(found.alerts) == ["ENOUGH_DATA", "ALL_RECORDS_USED", "TARGET_DISTRIBUTION"]


def test_a_score_beyond_all_numbers_fails(
    datasource: Datasource, write: Callable[..., Datasource], files: ByteSource, sales: pa.Table
) -> None:
    insights = compute_insights(datasource, files)
    model = train_regression(datasource, insights, '{"outputs": ["price"]}', TRAINED_ON, files)
    steep = dataclasses.replace(model, weights=model.weights * 1e10)
    found = evaluate(
        steep, write(sales.slice(0, 3).set_column(1, "price", pa.array([1.0, 1e308, 2.0]))), Rearrangement(), files
    )
    assert found.failures["scoreNotFinite"] == 1
    assert found.records_failed == 1


def test_without_targets_there_is_no_evaluation(
    model: MLModel, datasource: Datasource, write: Callable[..., Datasource], files: ByteSource, sales: pa.Table
) -> None:
    empty = write(sales.slice(0, 5).set_column(6, "sold", pa.nulls(5, pa.float64())))
    with pytest.raises(EvaluationError, match="none of 5 records could be evaluated \\(withoutTarget 5\\)"):
        evaluate(model, empty, Rearrangement(), files)
    attributes = tuple(item for item in datasource.schema.attributes if item.name != "sold")
    unlabelled = Datasource(Schema(attributes, row_id="id"), datasource.parts)
    with pytest.raises(EvaluationError, match="has no attribute 'sold'"):
        evaluate(model, unlabelled, Rearrangement(), files)
    with pytest.raises(SchemaError, match="lacks"):
        evaluate(
            model,
            Datasource(Schema((Attribute("sold", AttributeType.NUMERIC),)), datasource.parts),
            Rearrangement(),
            files,
        )


def test_a_rearrangement_that_takes_nothing(
    model: MLModel, write: Callable[..., Datasource], files: ByteSource, sales: pa.Table
) -> None:
    with pytest.raises(EvaluationError, match="takes none"):
        evaluate(model, write(sales.slice(0, 1)), Rearrangement(0, 1), files)
