from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics

from nightcast.datasource.parts import ByteSource, Datasource, read_batches
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.errors import EvaluationError, SchemaError
from nightcast.evaluation.evaluate import evaluate
from nightcast.mlmodel.model import MLModel
from trained_models import trained, with_classes

TRAINED_ON = Rearrangement(0, 70)


@pytest.fixture
def model(datasource: Datasource, files: ByteSource) -> MLModel:
    return trained(datasource, files, rearrangement=TRAINED_ON)


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
    assert found.metric == pytest.approx(np.sqrt(np.mean(residuals**2)), rel=1e-12)
    assert found.baseline == pytest.approx(np.sqrt(np.mean((truth[known] - model.training["targetMean"]) ** 2)))
    assert found.other["MAE"] == pytest.approx(np.abs(residuals).mean())
    assert found.other["R2"] == pytest.approx(1 - np.mean(residuals**2) / truth[known].var())
    assert found.metric < found.baseline / 2
    assert (found.records_seen, found.records_failed) == (900, (~known).sum())
    assert found.failures == {
        "rejected": 0,
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
    assert document["performanceMetrics"] == {"RegressionRMSE": found.metric}
    assert document["baseline"] == {"RegressionRMSE": found.baseline}
    assert document["otherMetrics"] == dict(found.other)
    assert sorted(found.other) == ["MAE", "MAPE", "R2", "WAPE", "bias"]
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
    assert found.failures == {
        "rejected": 0, "withoutTarget": 1, "invalidTarget": 1, "invalidInput": 2, "scoreNotFinite": 0,
    }  # fmt: skip
    assert (found.records_seen, found.records_failed) == (6, 4)
    assert checks(found.alerts) == ["ENOUGH_DATA", "ALL_RECORDS_USED", "TARGET_DISTRIBUTION"]


def test_a_score_beyond_all_numbers_fails(
    datasource: Datasource, write: Callable[..., Datasource], files: ByteSource, sales: pa.Table
) -> None:
    model = trained(datasource, files, '{"outputs": ["price"]}', TRAINED_ON)
    steep = dataclasses.replace(
        model, predictor=dataclasses.replace(model.predictor, weights=model.predictor.weights * 1e10)
    )
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


def classes_and_scores(model: MLModel, datasource: Datasource, files: ByteSource) -> tuple[list[Any], np.ndarray]:
    """True classes, None where there is none, and scores, of the last 900 records."""
    batches = [batch for part in datasource.numbered() for batch in read_batches(part, files)]
    truth = [value for batch in batches for value in batch.columns["sold"].to_pylist()]
    return truth[2100:], np.concatenate([model.predict(batch) for batch in batches])[2100:]


def test_a_binary_model_is_judged_as_scikit_learn_does(
    write: Callable[..., Datasource], schema: Schema, sales: pa.Table, files: ByteSource
) -> None:
    labelled, table = with_classes(schema, sales, "BINARY")
    datasource = write(table, 1100, labelled)
    model = dataclasses.replace(trained(datasource, files, rearrangement=TRAINED_ON, l2=1.0), score_threshold=0.3)
    found = evaluate(model, datasource, TRAINED_ON.complemented(), files)
    truth, scores = classes_and_scores(model, datasource, files)
    known = np.array([value is not None for value in truth])
    ones, chosen = np.array([bool(value) for value in truth])[known], scores[known]
    assert found.metric == pytest.approx(metrics.roc_auc_score(ones, chosen), rel=1e-12)
    assert found.other["logLoss"] == pytest.approx(metrics.log_loss(ones, chosen), rel=1e-9)
    assert found.other["precision"] == pytest.approx(metrics.precision_score(ones, chosen >= 0.3))
    assert found.other["recall"] == pytest.approx(metrics.recall_score(ones, chosen >= 0.3))
    assert found.metric > 0.9
    assert (found.baseline, found.metric_name) == (0.5, "BinaryAUC")
    assert (found.records_seen, found.failures["withoutTarget"]) == (900, (~known).sum())
    document = json.loads(found.to_json(), parse_constant=pytest.fail)
    assert document["modelType"] == "BINARY"
    assert document["performanceMetrics"] == {"BinaryAUC": found.metric}
    assert document["baseline"] == {"BinaryAUC": 0.5}
    assert sum(document["confusion"].values()) == known.sum()
    assert document["scoreThreshold"] == 0.3
    assert document["intervals"] == []


def test_a_binary_model_on_records_of_one_class_has_no_metric(
    write: Callable[..., Datasource], schema: Schema, sales: pa.Table, files: ByteSource
) -> None:
    labelled, table = with_classes(schema, sales, "BINARY")
    model = trained(write(table, 1100, labelled), files, rearrangement=TRAINED_ON, l2=1.0)
    ones = write(table.filter(table["sold"]), 1100, labelled)
    found = evaluate(model, ones, Rearrangement(), files)
    assert found.metric is None
    assert json.loads(found.to_json())["performanceMetrics"] == {"BinaryAUC": None}
    assert checks(found.alerts) == ["TARGET_DISTRIBUTION"]


def test_a_multiclass_model_is_judged_as_scikit_learn_does(
    write: Callable[..., Datasource], schema: Schema, sales: pa.Table, files: ByteSource
) -> None:
    labelled, table = with_classes(schema, sales, "CATEGORICAL")
    datasource = write(table, 1100, labelled)
    model = trained(datasource, files, rearrangement=TRAINED_ON, l2=1.0)
    found = evaluate(model, datasource, TRAINED_ON.complemented(), files, segments=["promo"])
    truth, scores = classes_and_scores(model, datasource, files)
    known = np.array([value is not None for value in truth])
    names = np.array(truth, dtype=object)[known].astype(str)
    best = np.array(model.target.classes)[scores[known].argmax(axis=1)]
    assert found.metric == pytest.approx(metrics.f1_score(names, best, average="macro"), rel=1e-12)
    assert found.other["accuracy"] == pytest.approx(metrics.accuracy_score(names, best))
    assert found.other["logLoss"] == pytest.approx(metrics.log_loss(names, scores[known], labels=model.target.classes))
    counts = model.training["classCounts"]
    usual = np.full(len(names), max(counts, key=counts.get))
    assert found.baseline == pytest.approx(metrics.f1_score(names, usual, average="macro", zero_division=0))
    assert found.metric > 2 * found.baseline
    document = json.loads(found.to_json(), parse_constant=pytest.fail)
    assert document["performanceMetrics"] == {"MulticlassAvgFScore": found.metric}
    matrix = metrics.confusion_matrix(names, best, labels=document["confusion"]["classes"])
    assert document["confusion"]["counts"] == matrix.tolist()
    # Of classes the error of a record is 1 less the probability of its class.
    places = [model.target.classes.index(name) for name in names]
    errors = 1 - scores[known][np.arange(len(names)), places]
    told = document["segments"]["promo"]
    assert sum(one["meanAbsoluteError"] * one["records"] for one in told) == pytest.approx(errors.sum())


def test_a_class_that_the_model_does_not_know_is_a_miss(
    write: Callable[..., Datasource], schema: Schema, sales: pa.Table, files: ByteSource
) -> None:
    labelled, table = with_classes(schema, sales, "CATEGORICAL")
    model = trained(write(table, 1100, labelled), files, rearrangement=TRAINED_ON, l2=1.0)
    strange = table.slice(0, 600).set_column(6, "sold", pa.array(["few"] * 300 + ["(unknown)", None, "none"] * 100))
    found = evaluate(model, write(strange, 250, labelled), Rearrangement(), files, segments=["promo"])
    assert found.other["recordsOfUnknownClasses"] == 200
    assert found.failures["withoutTarget"] == 100
    # Two classes are unknown, and the known one is hit or missed.
    assert found.metric == pytest.approx(found.facts["f1ByClass"]["few"] / 3)
    assert checks(found.alerts) == ["ALL_RECORDS_USED", "TARGET_DISTRIBUTION"]


def test_coverage_of_the_intervals(datasource: Datasource, files: ByteSource) -> None:
    model = trained(datasource, files, None, TRAINED_ON, "boosting", maxIterations=30, learningRate=0.3, maxLeaves=8)
    found = evaluate(model, datasource, TRAINED_ON.complemented(), files)
    assert [one["level"] for one in found.intervals] == [0.5, 0.8, 0.9, 0.95]
    for one in found.intervals:
        # The mean of six fits errs less than each of them, whose residuals these are: narrow intervals cover more.
        assert -0.06 < one["coverage"] - one["level"] < max(0.06, 0.2 * (1 - one["level"]))
    widths = [one["meanWidth"] for one in found.intervals]
    assert widths == sorted(widths)
    assert 0 < widths[0] < 4 * found.metric
    assert json.loads(found.to_json())["intervals"] == found.intervals
    without = evaluate(dataclasses.replace(model, intervals=None), datasource, TRAINED_ON.complemented(), files)
    assert without.intervals == []


def test_errors_by_segment_and_week(
    datasource: Datasource, write: Callable[..., Datasource], files: ByteSource, sales: pa.Table
) -> None:
    model = trained(datasource, files, '{"outputs": ["price", "day"]}', l2=1.0)
    days = [None if number % 10 == 9 else f"2024-01-{number % 28 + 1:02}" for number in range(3000)]
    days[0] = "no day"
    dated = write(sales.set_column(4, "title", pa.array(days)), 1100)
    found = evaluate(model, dated, Rearrangement(), files, segments=["venue", "promo", "gone"], dates="title")
    scores = np.concatenate([model.predict(b) for part in dated.numbered() for b in read_batches(part, files)])
    residuals = np.array(sales["sold"].to_pylist(), dtype=float) - scores
    known = np.isfinite(residuals)
    assert set(found.segments) == {"venue", "promo"}
    promo = np.array(sales["promo"].to_pylist())
    for one in found.segments["promo"]:
        some = residuals[known & (promo == (one["value"] == "1"))]
        assert one["records"] == len(some)
        assert one["meanResidual"] == pytest.approx(some.mean(), abs=1e-12)
        assert one["meanAbsoluteError"] == pytest.approx(np.abs(some).mean())
        assert one["rootMeanSquaredError"] == pytest.approx(np.sqrt((some**2).mean()))
    venues = found.segments["venue"]
    assert len(venues) == 41
    assert "" in [one["value"] for one in venues]
    assert [one["records"] for one in venues] == sorted((one["records"] for one in venues), reverse=True)
    weeks = [one["value"] for one in found.weeks]
    assert weeks == ["", "2024-01-01", "2024-01-08", "2024-01-15", "2024-01-22"]
    assert sum(one["records"] for one in found.weeks) == known.sum()
    json.loads(found.to_json(), parse_constant=pytest.fail)


def test_errors_are_not_told_by_a_number(model: MLModel, datasource: Datasource, files: ByteSource) -> None:
    for arguments in ({"segments": ["price"]}, {"dates": "day"}):
        with pytest.raises(EvaluationError, match="is NUMERIC"):
            evaluate(model, datasource, Rearrangement(), files, **arguments)
