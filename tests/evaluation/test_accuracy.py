from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn import metrics

from nightcast.datasource.parts import ByteSource, Datasource, read_batches
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.errors import EvaluationError
from nightcast.evaluation.accuracy import measure_accuracy
from nightcast.evaluation.accuracy_history import (
    REDSHIFT_COLUMNS,
    AccuracyRow,
    Origin,
    history_csv,
    history_json,
    merged_history,
    read_history,
)
from nightcast.evaluation.prediction_files import Predictions, open_predictions
from nightcast.mlmodel.model import MLModel
from nightcast.mlmodel.targets import ModelType
from nightcast.prediction.batch import predict
from trained_models import trained, with_classes

ORIGIN = Origin("2008-12-31", "2008-12-31 00:00:00", "run-b", "run-a", "2008-12-24T00:00:00Z", {"targetMean": 2.0})
EARLY = Rearrangement(0, 70)


@pytest.fixture
def write_results(tmp_path: Path) -> Callable[..., list[tuple[str, int]]]:
    """Writes result files by their lines; returns what `open_predictions` takes."""

    def write(header: str, *parts: list[str]) -> list[tuple[str, int]]:
        folder = tmp_path / f"results-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        files = []
        for number, lines in enumerate(parts):
            path = folder / f"bp-1-{number}.gz"
            path.write_bytes(gzip.compress("".join(f"{line}\n" for line in [header, *lines]).encode()))
            files.append((str(path), len(lines)))
        return files

    return write


def actuals_schema(kind: AttributeType = AttributeType.NUMERIC) -> Schema:
    attributes = (Attribute("recordid", AttributeType.CATEGORICAL), Attribute("totalsold", kind))
    return Schema(attributes, target="totalsold", row_id="recordid")


def actuals_table(pairs: list[tuple[str | None, object]]) -> pa.Table:
    return pa.table({"recordid": [name for name, _ in pairs], "totalsold": [value for _, value in pairs]})


def test_figures_of_a_regression(write_results, write_parts, files: ByteSource) -> None:
    lines = ["1-a,1E0,0E0,2E0", "2-b,5E0,2E0,8E0", "", "3-c,2E0,0E0,4E0", "4-d,7E0,6E0,8E0"]
    results = write_results("tag,score,lower,upper", lines[:2], lines[2:])
    actuals = write_parts(
        actuals_schema(), actuals_table([("2-b", 8), ("9-z", 1), ("1-a", 0), ("3-c", 9), ("4-d", None)])
    )
    row = measure_accuracy(open_predictions(results, files), actuals, ORIGIN, files)
    assert (row.period, row.run, row.model_run) == ("2008-12-31", "run-b", "run-a")
    assert (row.training_cutoff, row.model_age_days, row.model_type) == ("2008-12-24T00:00:00Z", 7, "REGRESSION")
    assert (row.records_predicted, row.records_failed, row.records_matched) == (4, 1, 3)
    assert (row.missing_actual, row.without_prediction, row.duplicates) == (1, 1, 0)
    predicted, truth = np.array([5.0, 1, 2]), np.array([8.0, 0, 9])
    assert row.rmse == pytest.approx(np.sqrt(np.mean((predicted - truth) ** 2)))
    assert row.baseline_rmse == pytest.approx(np.sqrt(np.mean((2 - truth) ** 2)))
    assert row.wape == pytest.approx(np.abs(predicted - truth).sum() / truth.sum())
    assert (row.bias, row.bias_percent) == pytest.approx((-3.0, -900 / 17))
    # 8 lies at the end of its interval, 0 too, and 9 above its own.
    assert (row.interval_coverage, row.interval_width) == pytest.approx((2 / 3, 4.0))
    assert row.auc is row.log_loss is row.f1 is None


def test_each_tag_counts_once(write_results, write_parts, files: ByteSource) -> None:
    results = write_results("tag,score", ["a,1E0", "b,2E0", ",4E0"], ["a,9E0"])
    actuals = write_parts(
        actuals_schema(), actuals_table([("a", 1), ("a", 50), ("b", 2), (None, 3), ("b", 60)]), [2, 3]
    )
    row = measure_accuracy(open_predictions(results, files), actuals, ORIGIN, files)
    assert row.rmse == 0
    assert (row.records_predicted, row.records_matched, row.missing_actual) == (4, 2, 1)
    assert (row.duplicates, row.without_prediction) == (3, 1)


def test_without_a_match_no_figure_is_told(write_results, write_parts, files: ByteSource) -> None:
    actuals = write_parts(actuals_schema(), actuals_table([("x", 1)]))
    row = measure_accuracy(open_predictions(write_results("tag,score", ["a,1E0"]), files), actuals, ORIGIN, files)
    assert (row.records_matched, row.missing_actual, row.rmse, row.wape) == (0, 1, None, None)
    failed = measure_accuracy(open_predictions(write_results("tag,score", [""]), files), actuals, ORIGIN, files)
    assert (failed.records_predicted, failed.records_failed, failed.missing_actual) == (0, 1, 0)
    assert failed.without_prediction == 1


def test_ratios_to_nothing_are_not_told(write_results, write_parts, files: ByteSource) -> None:
    actuals = write_parts(actuals_schema(), actuals_table([("a", 0), ("b", 0)]))
    row = measure_accuracy(
        open_predictions(write_results("tag,score", ["a,1E0", "b,0E0"]), files), actuals, ORIGIN, files
    )
    assert (row.wape, row.bias_percent, row.bias, row.interval_coverage) == (None, None, 0.5, None)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.sets(st.integers(1, 50), max_size=3),
    part=st.integers(1, 59),
    most_tags=st.sampled_from([5_000_000, 60, 25, 7]),
)
def test_any_parts_and_any_number_of_passes_give_the_same_bits(
    write_results, write_parts, files, cuts, part, most_tags
) -> None:
    rng = np.random.default_rng(12)
    lines = [f"{number}-x,{rng.gamma(2, 3):.6E}" if number % 11 else "" for number in range(60)]
    pairs = [(f"{number}-x", float(rng.poisson(6)) / 3) for number in rng.permutation(60).tolist() if number % 7]
    table = actuals_table([*pairs, ("other", 3.0), pairs[4]])
    whole = measure_accuracy(
        open_predictions(write_results("tag,score", lines), files), write_parts(actuals_schema(), table), ORIGIN, files
    )
    found = measure_accuracy(
        open_predictions(write_results("tag,score", lines[:part], lines[part:]), files),
        write_parts(actuals_schema(), table, sorted(cuts)),
        ORIGIN,
        files,
        most_tags=most_tags,
    )
    assert found == whole
    assert (whole.records_matched, whole.duplicates, whole.records_failed) == (46, 1, 6)


def scored(model, datasource: Datasource, files: ByteSource, folder: Path, level: float | None = None) -> Predictions:
    """The records of a datasource as `predict` writes them."""
    result = predict(model, datasource, "bp-1", folder, files, level=level)
    return open_predictions([(str(one.path), one.records) for one in result.results], files)


def scores_of(model: MLModel, datasource: Datasource, files: ByteSource) -> np.ndarray:
    batches = [batch for part in datasource.numbered() for batch in read_batches(part, files)]
    return np.concatenate([model.predict(batch) for batch in batches])


def test_predictions_of_a_regression_are_read_again(
    write, files: ByteSource, sales: pa.Table, tmp_path: Path, datasource: Datasource
) -> None:
    model = trained(datasource, files, None, EARLY, "boosting", maxIterations=20, learningRate=0.3, maxLeaves=8)
    predictions = scored(model, datasource, files, tmp_path / "out", 0.9)
    assert (predictions.model_type, predictions.intervals) == (ModelType.REGRESSION, True)
    origin = replace(ORIGIN, training=model.training)
    row = measure_accuracy(predictions, datasource, origin, files)
    truth = np.array(sales["sold"].to_pylist(), dtype=float)
    known = np.isfinite(truth)
    assert (row.records_matched, row.missing_actual) == (known.sum(), (~known).sum())
    errors = (truth - scores_of(model, datasource, files))[known]
    assert row.rmse == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-5)
    assert row.bias == pytest.approx(-errors.mean(), abs=1e-5)
    assert row.baseline_rmse == pytest.approx(np.sqrt(np.mean((truth[known] - model.training["targetMean"]) ** 2)))
    assert 0.8 < row.interval_coverage < 1
    assert row.interval_width > 0
    assert row.rmse < row.baseline_rmse


@pytest.mark.parametrize("kind", ["BINARY", "CATEGORICAL"])
def test_predictions_of_classes(kind, write, files: ByteSource, sales, schema: Schema, tmp_path: Path) -> None:
    labelled, table = with_classes(schema, sales, kind)
    datasource = write(table, 1100, labelled)
    model = trained(datasource, files, None, EARLY, l2=1.0)
    row = measure_accuracy(
        scored(model, datasource, files, tmp_path / "out"), datasource, replace(ORIGIN, training=model.training), files
    )
    truth = table["sold"].to_pylist()
    known = np.array([value is not None for value in truth])
    scores = scores_of(model, datasource, files)[known]
    names = np.array([value for value in truth if value is not None])
    assert row.records_matched == known.sum()
    assert row.rmse is None
    if kind == "BINARY":
        assert row.auc == pytest.approx(metrics.roc_auc_score(names, scores), abs=1e-5)
        assert row.log_loss == pytest.approx(metrics.log_loss(names, scores), rel=1e-5)
        counts = model.training["classCounts"]
        usual = np.full(len(names), counts["1"] / (counts["0"] + counts["1"]))
        assert row.baseline_log_loss == pytest.approx(metrics.log_loss(names, usual))
        assert row.f1 is None
        return
    best = np.array(model.target.classes)[scores.argmax(axis=1)]
    assert row.f1 == pytest.approx(metrics.f1_score(names, best, average="macro"))
    counts = model.training["classCounts"]
    usual = np.full(len(names), max(counts, key=counts.get))
    assert row.baseline_f1 == pytest.approx(metrics.f1_score(names, usual, average="macro", zero_division=0))


def test_classes_that_the_model_does_not_know_are_misses(write_results, write_parts, files: ByteSource) -> None:
    lines = ["1,a,a,9E-1,1E-1", '2,"b, c","b, c",2E-1,8E-1', '3,a,"b, c",3E-1,7E-1']
    predictions = open_predictions(write_results('tag,trueLabel,bestAnswer,a,"b, c"', lines), files)
    assert predictions.classes == ("a", "b, c")
    actuals = write_parts(
        actuals_schema(AttributeType.CATEGORICAL), actuals_table([("1", "a"), ("2", "b, c"), ("3", "new")])
    )
    row = measure_accuracy(predictions, actuals, replace(ORIGIN, training={"classCounts": {"a": 3, "b, c": 1}}), files)
    assert row.f1 == pytest.approx((1 + 2 / 3 + 0) / 3)


@pytest.mark.parametrize(
    ("header", "lines", "message"),
    [
        ("score", ["1E0"], "have no tags"),
        ("trueLabel,score", ["1,1E0"], "have no tags"),
        ("tag,price", ["a,1"], "columns tag, price, which are none of a batch prediction"),
        ("tag,bestAnswer,a", ["x,a,1E0"], "none of a batch prediction"),
        ("tag,score", ["a,high"], "a prediction that can not be read"),
        ("tag,bestAnswer,a,b", ["x,c,1E0,0E0"], "an answer that is none of its classes"),
    ],
)
def test_what_is_no_result_is_refused(write_results, write_parts, files: ByteSource, header, lines, message) -> None:
    kind = AttributeType.CATEGORICAL if "bestAnswer" in header else AttributeType.NUMERIC
    actuals = write_parts(actuals_schema(kind), actuals_table([("a", None)]))
    with pytest.raises(EvaluationError, match=message):
        measure_accuracy(open_predictions(write_results(header, lines), files), actuals, ORIGIN, files)


def test_missing_and_damaged_files_are_refused(files: ByteSource, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="name their result files"):
        open_predictions([], files)
    (tmp_path / "plain.gz").write_text("tag,score\n")
    with pytest.raises(EvaluationError, match="can not be read"):
        open_predictions([(str(tmp_path / "plain.gz"), 0)], files)


def test_actuals_need_row_id_and_target(write_results, write_parts, files: ByteSource) -> None:
    predictions = open_predictions(write_results("tag,score", ["a,1E0"]), files)
    actuals = write_parts(actuals_schema(), actuals_table([("a", 1)]))
    for changes, lacks in (({"row_id": None}, "row id"), ({"target": None}, "target")):
        with pytest.raises(EvaluationError, match=f"have no {lacks}"):
            measure_accuracy(predictions, replace(actuals, schema=replace(actuals.schema, **changes)), ORIGIN, files)


def test_numbers_too_large_to_be_squared(write_results, write_parts, files: ByteSource) -> None:
    predictions = open_predictions(write_results("tag,score", ["a,1E0"]), files)
    with pytest.raises(EvaluationError, match="too large to be squared"):
        measure_accuracy(predictions, write_parts(actuals_schema(), actuals_table([("a", 1e200)])), ORIGIN, files)


def test_a_model_that_saw_the_period_is_refused() -> None:
    assert replace(ORIGIN, training_cutoff="2008-12-31T00:00:00+00:00").age_days == 0
    with pytest.raises(EvaluationError, match="may have known the outcome"):
        replace(ORIGIN, training_cutoff="2008-12-31 00:00:01")
    with pytest.raises(EvaluationError, match="no instant in ISO form"):
        replace(ORIGIN, period_start="yesterday")


def row_of(period: str, run: str = "r", **figures) -> AccuracyRow:
    counts = dict.fromkeys([name for name, kind in REDSHIFT_COLUMNS.items() if kind in ("integer", "bigint")], 1)
    return AccuracyRow(
        period=period,
        run=run,
        model_run="m",
        training_cutoff="2008-01-01",
        model_type="REGRESSION",
        **counts,
        **figures,
    )


periods = st.tuples(st.sampled_from(["2008-01-01", "2008-01-02", "2008-02-01"]), st.sampled_from("ab"))


@settings(max_examples=60, deadline=None)
@given(st.lists(periods, max_size=8), st.lists(periods, max_size=4))
def test_merged_histories_have_each_period_and_run_once(first, second) -> None:
    old = [row_of(*key, rmse=1.0) for key in first]
    new = [row_of(*key, rmse=2.0) for key in second]
    merged = merged_history(old, new)
    keys = [(row.period, row.run) for row in merged]
    assert keys == sorted(set(first) | set(second))
    assert all(row.rmse == (2.0 if (row.period, row.run) in second else 1.0) for row in merged)
    assert merged_history(merged, new) == merged
    assert read_history(history_json(merged)) == merged


def test_documents_never_hold_what_is_no_number() -> None:
    rows = [row_of("2008-01-02", rmse=float("nan"), wape=float("inf"), bias=-0.5), row_of("2008-01-01", 'a,"b"')]
    text = history_json(rows)
    document = json.loads(text, parse_constant=pytest.fail)
    assert text == json.dumps(document, sort_keys=True, indent=2) + "\n"
    assert (document["rows"][0]["rmse"], document["rows"][0]["bias"]) == (None, -0.5)
    table = list(csv.DictReader(io.StringIO(history_csv(rows))))
    assert list(table[0]) == list(REDSHIFT_COLUMNS) == list(asdict(rows[0]))
    assert (table[0]["rmse"], table[0]["wape"], table[0]["bias"]) == ("", "", "-0.5")
    assert table[1]["run"] == 'a,"b"'


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda document: document.update(format="x"), "has format 'x'"),
        (lambda document: document.update(version=2), "version 2"),
        (lambda document: document.update(rows={}), "no list of rows"),
        (lambda document: document["rows"][0].pop("rmse"), "lacks or adds rmse"),
        (lambda document: document["rows"][0].update(rmse="low"), "has rmse 'low'"),
        (lambda document: document["rows"][0].update(records_matched=True), "has records_matched True"),
        (lambda document: document["rows"][0].update(period=None), "has period None"),
    ],
)
def test_a_damaged_history_is_refused(change, message: str) -> None:
    document = json.loads(history_json([row_of("2008-01-01")]))
    change(document)
    with pytest.raises(EvaluationError, match=message):
        read_history(json.dumps(document))
