"""Whole runs of the DAG's own operators on the sample sales: who scores, what is promoted, how accurate it was."""

from __future__ import annotations

import gzip
import hashlib
import json
import runpy
from datetime import date, timedelta

import pytest
from airflow.sdk.exceptions import AirflowFailException

from dag_runs import DagRuns
from nightcast.operators.base import storage_of
from nightcast.registry.model_registry import ModelRegistry
from nightcast.report.summary import run_summary
from nightcast.sandbox.account import BUCKET, DATABASE, IAM_ROLE, WORKGROUP

TRAINING = {"create_schema", "compute_insights", "train_model", "evaluate_model", "compare_models", "promote"}
pytestmark = pytest.mark.timeout(300)
QUICK = {"learner": "linear", "training_days": 14}


@pytest.fixture(scope="module")
def sales(sandbox, s3, redshift_data):
    """The sample sales of a year that ends with 2008-12-31."""
    from nightcast.sandbox.sample import load

    where = {"bucket": BUCKET, "database": DATABASE, "workgroup_name": WORKGROUP, "iam_role": IAM_ROLE}
    load(redshift_data, s3, **where, year_end=date(2008, 12, 31))


@pytest.fixture(scope="module")
def dag(project):
    return runpy.run_path(str(project / "dags" / "sales_forecast.py"))["dag"]


@pytest.fixture
def runs(sales, dag, request):
    return DagRuns(dag, request.node.name.partition("[")[0], **QUICK)


def read(reference):
    return json.loads(storage_of("aws_default").read_artifact(reference))


def published(run):
    """run.json."""
    assert not run.errors, run.errors
    return read(run.returned["batch_prediction.publish"]["return_value"])


def predictions(run):
    """Score by tag."""
    storage = storage_of("aws_default")
    found = {}
    for uri in read(published(run)["artifacts"]["predictions"]).values():
        for line in gzip.decompress(storage.read_bytes(uri)).decode().splitlines()[1:]:
            tag, score = line.split(",")[:2]
            found[tag] = float(score)
    return found


def champion(run, day):
    found = ModelRegistry(storage_of("aws_default"), run.facts["registry"]).champion_as_of(
        run.facts["pipeline"], date.fromisoformat(day)
    )
    return found and found.entry.key


def test_the_first_run_trains_promotes_and_scores(runs):
    run = runs.day("2008-12-29")
    assert run.skipped() == {"approve", "measure_accuracy"}
    document = published(run)
    assert set(document["artifacts"]) == {
        *("champion", "schema", "insights", "data-alerts", "recipe", "model", "evaluation", "gate"),
        *("batch-prediction", "report", "predictions"),
    }
    assert document["model"]["trainedByThisRun"] is True
    assert document["model"]["uri"] == document["artifacts"]["model"]["uri"]
    assert champion(run, "2008-12-30").run_key == run.facts["run_key"]
    gate = read(document["artifacts"]["gate"])
    assert (gate["decision"], gate["championSawRecords"]) == ("promote", False)
    baselines = {one["name"]: one for one in gate["comparison"]["baselines"]}
    assert baselines["lastPeriod"]["recordsKnown"] > 1000
    assert "does not hold" in baselines["seasonAgo"]["unavailable"]
    assert "Promoted" in storage_of("aws_default").read_bytes(document["artifacts"]["report"]["uri"]).decode()


@pytest.fixture(scope="module")
def weekly(sales, dag):
    """Runs that train weekly."""
    return DagRuns(dag, "weekly", **QUICK, retrain="weekly", intervals=0.9)


@pytest.fixture(scope="module")
def fortnight(weekly):
    """Runs of nine days in a row, by day, and then of an old period."""
    days = [(date(2008, 12, 20) + timedelta(days=n)).isoformat() for n in range(9)]
    found = {day: weekly.day(day) for day in days}
    before = champion(found[days[-1]], "2008-12-29")
    old = weekly.day("2008-12-15")
    return {**found, "old": old, "champion before": before, "champion after": champion(old, "2008-12-29")}


def test_with_weekly_training_the_champion_scores_in_between(fortnight):
    trained = [day for day, run in fortnight.items() if day[0] == "2" and "train_model" not in run.skipped()]
    # A Saturday without a champion yet, then the Monday.
    assert trained == ["2008-12-20", "2008-12-22"]
    run = fortnight["2008-12-28"]
    assert run.skipped() == {*TRAINING, "unload_training", "approve"}
    document = published(run)
    assert document["model"]["trainedByThisRun"] is False
    assert document["model"]["trainingCutOff"] == "2008-12-23"
    assert set(document["artifacts"]) == {"champion", "accuracy", "batch-prediction", "report", "predictions"}
    page = storage_of("aws_default").read_bytes(document["artifacts"]["report"]["uri"]).decode()
    assert "the champion, trained by run" in page
    assert {tag.partition("-")[2] for tag in predictions(run)} == {"20081229"}


def test_an_old_period_neither_sees_nor_moves_the_newer_champion(fortnight):
    old = fortnight["old"]
    found = read(old.returned["choose_model"]["return_value"])
    assert (found["champion"], found["trains"]) == (None, True)
    assert published(old)["model"]["trainingCutOff"] == "2008-12-16"
    assert champion(old, "2008-12-16").run_key == old.facts["run_key"]
    assert fortnight["champion after"] == fortnight["champion before"]
    assert fortnight["champion before"].cut_off == date(2008, 12, 23)


def test_the_accuracy_is_that_of_the_former_runs_predictions(fortnight):
    """Recomputed from the sample's own tables."""
    from nightcast.sandbox.sample import generate

    sold = generate(date(2008, 12, 31))["sales"].to_pandas()
    history = read(published(fortnight["2008-12-28"])["artifacts"]["accuracy"])["rows"]
    assert [row["period"] for row in history] == [f"2008-12-{day}" for day in range(21, 29)]
    assert "measure_accuracy" in fortnight["2008-12-20"].skipped()
    for row in (history[0], history[-1]):
        day = date.fromisoformat(row["period"])
        former = fortnight[(day - timedelta(days=1)).isoformat()]
        scores = predictions(former)
        on_day = sold[sold["saletime"].dt.date == day]
        truth = on_day.groupby("eventid")["qtysold"].sum()
        errors = {tag: score - truth.get(int(tag.partition("-")[0]), 0) for tag, score in scores.items()}
        # Tickets of events that have no record on the day, by the queries, are nothing to be predicted.
        of_predicted = sum(truth.get(int(tag.partition("-")[0]), 0) for tag in scores)
        assert row["records_matched"] == len(scores)
        assert row["missing_actual"] == row["without_prediction"] == 0
        assert row["rmse"] == pytest.approx((sum(e * e for e in errors.values()) / len(errors)) ** 0.5)
        assert row["bias"] == pytest.approx(sum(errors.values()) / len(errors))
        assert row["wape"] == pytest.approx(sum(map(abs, errors.values())) / of_predicted)
        assert row["run"] == former.facts["run_key"]
        assert 0.5 < row["interval_coverage"] <= 1
    assert [row["model_age_days"] for row in history] == [0, 1, 0, 1, 2, 3, 4, 5]


def test_a_refused_challenger_leaves_the_scoring_to_the_champion(fortnight, weekly):
    run = weekly.day("2008-12-29", min_improvement=50, must_beat=["trainingMean", "lastPeriod"])
    document = published(run)
    gate = read(document["artifacts"]["gate"])
    assert gate["decision"] == "keep"
    assert run.returned["ml_model.promote"]["refusal"] == {"decision": "refused", "reason": gate["reason"]}
    assert document["model"]["trainingCutOff"] == "2008-12-23"
    assert champion(run, "2008-12-31").cut_off == date(2008, 12, 23)
    assert gate["comparison"]["champion"]["loss"] > 0
    assert gate["championSawRecords"] is False
    assert "model" in document["artifacts"], "the challenger stays in its run's folder"


def test_without_a_champion_a_refused_model_scores_all_the_same(runs):
    run = runs.day("2008-12-29", gate_min_records=1_000_000)
    assert read(published(run)["artifacts"]["gate"])["decision"] == "keep"
    assert published(run)["model"]["trainedByThisRun"] is True
    assert champion(run, "2008-12-30") is None


def test_drift_may_skip_the_training_or_fail_the_run(fortnight, weekly):
    """Two days instead of two weeks: other events, and two of the days of the week."""
    given = {"training_days": 2, "retrain": "every_run"}
    skipped = weekly.day("2008-12-28", run_id="manual__skips", on_drift="skip", **given)
    gate = read(published(skipped)["artifacts"]["gate"])
    assert (gate["decision"], gate["comparison"], gate["drift"]["level"]) == ("skip", None, "major")
    assert skipped.skipped() >= {"train_model", "evaluate_model", "compare_models", "promote"}
    assert published(skipped)["model"]["trainingCutOff"] == "2008-12-23"
    failed = weekly.day("2008-12-28", run_id="manual__fails", on_drift="fail", **given)
    error = failed.errors["datasource.compute_insights"]
    assert isinstance(error, AirflowFailException)
    assert "DataRefusedError: The run fails: major drift" in str(error)
    assert failed.states["batch_prediction.publish"] == "upstream_failed"


@pytest.mark.parametrize(("answer", "promoted"), [("Approve", True), ("Reject", False)])
def test_a_person_is_asked_in_runs_by_hand_only(runs, answer, promoted):
    runs.name += answer
    runs.answers["ml_model.approve"] = {"chosen_options": [answer], "responded_by_user": {"id": "1", "name": "ada"}}
    run = runs.day("2008-12-29", "manual", approval=True)
    assert run.states["ml_model.approve"] == "success"
    assert (champion(run, "2008-12-30") is not None) is promoted
    assert published(run)["model"]["trainedByThisRun"] is True
    if not promoted:
        assert run.returned["ml_model.promote"]["refusal"]["reason"] == "Not promoted: ada has rejected it."
        assert runs.day("2008-12-29", approval=True).states["ml_model.approve"] == "skipped"


def test_the_training_datasource_is_scored_by_the_champion_too(fortnight, weekly):
    run = weekly.day("2008-12-28", run_id="backfill__labels", score="training_datasource")
    assert "unload_training" not in run.skipped()
    assert published(run)["batchPrediction"]["invalidRecordCount"] == 0
    assert published(run)["model"]["trainingCutOff"] == "2008-12-23"


def test_the_accuracy_stands_in_a_table_of_the_warehouse_once(fortnight, weekly, redshift_data):
    from nightcast.sandbox.sample_load import run_transaction

    where = {"database": DATABASE, "workgroup_name": WORKGROUP}
    run_transaction(redshift_data, ["drop table if exists accuracy_of_sales"], **where)
    # Two runs that measure the same predictions.
    for run_id in ("backfill__table", "manual__table"):
        run = weekly.day("2008-12-28", run_id=run_id, accuracy_table="public.accuracy_of_sales")
        assert not run.errors, run.errors
    row = read(published(run)["artifacts"]["accuracy"])["rows"][-1]
    statement = "select period, run, records_matched, rmse, interval_coverage from accuracy_of_sales"
    asked = redshift_data.execute_statement(Database=DATABASE, WorkgroupName=WORKGROUP, Sql=statement)["Id"]
    while redshift_data.describe_statement(Id=asked)["Status"] not in ("FINISHED", "FAILED"):
        pass
    (record,) = redshift_data.get_statement_result(Id=asked)["Records"]
    assert [next(iter(cell.values())) for cell in record] == [
        row[name] for name in ("period", "run", "records_matched", "rmse", "interval_coverage")
    ]
    refused = weekly.day("2008-12-28", run_id="backfill__refused", accuracy_table="nowhere.accuracy")
    assert "Redshift refused a row" in str(refused.errors["batch_prediction.measure_accuracy"])
    # Predictions are published all the same, and the report says what is missing.
    document = read(refused.returned["batch_prediction.publish"]["return_value"])
    assert (refused.errors.keys(), document["failed"]) == ({"batch_prediction.measure_accuracy"}, ["accuracy"])
    assert "accuracy" not in document["artifacts"]
    report = storage_of("aws_default").read_bytes(document["artifacts"]["report"]["uri"]).decode()
    assert "Not measured" in report
    assert "could not be measured" in run_summary(storage_of("aws_default"), refused.facts["base"])


def test_no_sale_after_the_periods_end_changes_a_byte(runs, redshift_data):
    from nightcast.sandbox.sample_load import run_transaction

    def digests(run):
        storage = storage_of("aws_default")
        return {
            uri: hashlib.sha256(storage.read_bytes(uri)).hexdigest() for uri in storage.names_below(run.facts["base"])
        }

    where = {"database": DATABASE, "workgroup_name": WORKGROUP}
    runs.day("2008-12-27")
    run = runs.day("2008-12-28")
    assert not run.errors, run.errors
    before, later = digests(run), predictions(runs.day("2008-12-29", run_id="backfill__later"))
    assert len(before) > 15
    assert "accuracy" in published(run)["artifacts"]
    planted = (
        "insert into sales select salesid + 10000000, listid, sellerid, buyerid, eventid, dateid, 8, pricepaid * 5, "
        "commission, saletime from sales where saletime >= '2008-12-29'"
    )
    run_transaction(redshift_data, [planted], **where)
    try:
        # With its own parts gone, the run unloads anew.
        storage_of("aws_default").delete(list(before))
        again = runs.day("2008-12-28")
        assert published(again) == published(run)
        assert digests(again) == before
        changed = predictions(runs.day("2008-12-29", run_id="backfill__changed"))
    finally:
        run_transaction(redshift_data, ["delete from sales where salesid >= 10000000"], **where)
    assert changed.keys() == later.keys()
    assert sum(changed[tag] != later[tag] for tag in later) > 0.9 * len(later), (
        "the planted sales change what sees them"
    )
