"""The operators behind the unload, one after the other, on a small datasource in the sandbox."""

from __future__ import annotations

import gzip
import json

import pytest
from airflow.sdk.exceptions import AirflowFailException

from nightcast.errors import StorageError
from nightcast.operators.base import storage_of
from nightcast.operators.evaluate import EvaluateModelOperator
from nightcast.operators.insights import ComputeInsightsOperator
from nightcast.operators.predict import BatchPredictOperator
from nightcast.operators.publish import PublishRunOperator
from nightcast.operators.schema import CreateSchemaOperator
from nightcast.operators.train import TrainModelOperator
from nightcast.operators.unload import RedshiftUnloadOperator
from nightcast.storage import Storage

# 400 records: sold follows price and weekday exactly, so the model can be checked by eye.
TRAINING = """
select
    ('r' || n.i)::varchar(10) as recordid,
    case when n.i % 7 in (5, 6) then 'weekend' else 'weekday' end::varchar(10) as daykind,
    (n.i % 10)::integer as price,
    (n.i % 2 = 0)::boolean as promo,
    (20 - (n.i % 10) + case when n.i % 7 in (5, 6) then 8 else 0 end)::integer as sold
from (select a.i * 20 + b.i as i from (select 1) as one
    cross join (select 0 as i union all select 1 union all select 2 union all select 3 union all select 4
        union all select 5 union all select 6 union all select 7 union all select 8 union all select 9
        union all select 10 union all select 11 union all select 12 union all select 13 union all select 14
        union all select 15 union all select 16 union all select 17 union all select 18 union all select 19) as a
    cross join (select 0 as i union all select 1 union all select 2 union all select 3 union all select 4
        union all select 5 union all select 6 union all select 7 union all select 8 union all select 9
        union all select 10 union all select 11 union all select 12 union all select 13 union all select 14
        union all select 15 union all select 16 union all select 17 union all select 18 union all select 19) as b
) as n
order by n.i
"""
SCORING = """
select 'next1'::varchar(10) as recordid, 'weekend'::varchar(10) as daykind, 3::integer as price, true as promo
union all
select 'next2', 'weekday', null, false
union all
select 'next3', 'holiday', 5, null
order by recordid
"""
OVERRIDE = {
    "targetAttributeName": "sold",
    "rowId": "recordid",
    "attributes": [{"attributeName": "daykind", "attributeType": "CATEGORICAL"}],
}


class Chain:
    """Runs the operators in the order of the DAG and keeps what each returns."""

    def __init__(self, sandbox, run_facts, context, execute):
        self._run, self._execute, self.context = run_facts, execute, context
        self.base = run_facts["base"]
        self.returned = {}

    def step(self, operator_class, name, **arguments):
        operator = operator_class(task_id=name, run=self._run, **arguments)
        self.returned[name] = self._execute(operator, self.context)
        return self.returned[name]

    def unload(self, name, query):
        return self.step(RedshiftUnloadOperator, name, query=query, dataset=name, poll_interval=0.05)

    def schema(self, override=OVERRIDE):
        return self.step(
            CreateSchemaOperator, "schema", manifest=self.returned["training"], override=json.dumps(override)
        )

    def insights(self):
        return self.step(ComputeInsightsOperator, "insights", **self._given("manifest", "schema"))

    def train(self):
        return self.step(TrainModelOperator, "model", **self._given("manifest", "schema", "insights"))

    def evaluate(self):
        return self.step(EvaluateModelOperator, "evaluation", **self._given("manifest", "schema", "insights", "model"))

    def predict(self):
        return self.step(
            BatchPredictOperator,
            "prediction",
            manifest=self.returned.get("scoring"),
            training_manifest=self.returned["training"],
            **self._given("schema", "model"),
        )

    def publish(self):
        artifacts = {name: self.returned[name] for name in ("schema", "insights", "model", "evaluation")}
        artifacts["recipe"] = self.context["ti"].pushed["recipe"]
        artifacts["data-alerts"] = self.context["ti"].pushed["data_alerts"]
        return self.step(PublishRunOperator, "run", prediction=self.returned["prediction"], artifacts=artifacts)

    def to_prediction(self):
        self.unload("training", TRAINING)
        self.unload("scoring", SCORING)
        for name in ("schema", "insights", "train", "evaluate", "predict"):
            getattr(self, name)()

    def visible(self):
        return [
            uri.removeprefix(self.base) for uri in storage_of("aws_default").names_below(self.base + "predictions/")
        ]

    def _given(self, *names):
        found = {**self.returned, "manifest": self.returned["training"]}
        return {name: found[name] for name in names}


@pytest.fixture
def chain(sandbox, run_facts, context, execute):
    return Chain(sandbox, run_facts, context(), execute)


def test_from_redshift_to_predictions(chain):
    chain.to_prediction()
    assert chain.visible() == []
    reference = chain.publish()
    storage = storage_of("aws_default")
    run = json.loads(storage.read_artifact(reference))
    bp_id = run["batchPrediction"]["batchPredictionId"]
    assert run["batchPrediction"] == {
        "batchPredictionId": bp_id,
        "totalRecordCount": 3,
        "invalidRecordCount": 0,
    }
    result = f"predictions/batch-prediction/result/{bp_id}-scoring_000.parquet.gz"
    assert chain.visible() == [f"predictions/batch-prediction/{bp_id}.manifest", result]
    manifest = json.loads(storage.read_artifact(run["artifacts"]["predictions"]))
    assert list(manifest.values()) == [chain.base + result]
    header, first, second, third, end = gzip.decompress(storage.read_bytes(chain.base + result)).decode().split("\n")
    assert (header, end) == ("tag,score", "")
    assert [line.split(",")[0] for line in (first, second, third)] == ["next1", "next2", "next3"]
    assert float(first.split(",")[1]) == pytest.approx(20 - 3 + 8, abs=1)
    evaluation = json.loads(storage.read_artifact(chain.returned["evaluation"]))
    assert evaluation["recordsSeen"] == 120
    assert evaluation["performanceMetrics"]["RegressionRMSE"] < 0.2 * evaluation["baseline"]["RegressionRMSE"]
    assert "sold" in storage.read_bytes(run["artifacts"]["report"]["uri"]).decode()


def test_another_learner_and_intervals(chain, context):
    quick = '{"boosting.maxIterations": 5, "boosting.maxLeaves": 4, "boosting.learningRate": 0.3}'
    chain.context = context(learner="boosting", training_parameters=quick, intervals=0.9)
    chain.to_prediction()
    chain.publish()
    storage = storage_of("aws_default")
    model, evaluation = (json.loads(storage.read_artifact(chain.returned[name])) for name in ("model", "evaluation"))
    assert (model["learner"], model["parameters"]["maxIterations"]) == ("boosting", 5)
    assert [one["level"] for one in evaluation["intervals"]] == [0.5, 0.8, 0.9, 0.95]
    (result,) = [uri for uri in chain.visible() if uri.endswith(".gz")]
    header, *lines, _ = gzip.decompress(storage.read_bytes(chain.base + result)).decode().split("\n")
    assert header == "tag,score,lower,upper"
    for line in lines:
        score, lower, upper = map(float, line.split(",")[1:])
        assert lower <= score <= upper


def test_classes_go_all_the_way_to_the_report(chain):
    """The target is a CATEGORICAL attribute: scores of classes, F1, and a report of them."""
    chain.unload("training", TRAINING)
    chain.schema({**OVERRIDE, "targetAttributeName": "daykind"})
    for name in ("insights", "train", "evaluate", "predict"):
        getattr(chain, name)()
    chain.publish()
    storage = storage_of("aws_default")
    evaluation = json.loads(storage.read_artifact(chain.returned["evaluation"]))
    assert evaluation["modelType"] == "MULTICLASS"
    assert evaluation["performanceMetrics"]["MulticlassAvgFScore"] > 0.9
    (result,) = [uri for uri in chain.visible() if uri.endswith(".gz")]
    lines = gzip.decompress(storage.read_bytes(chain.base + result)).decode().split("\n")
    assert lines[0] == "tag,trueLabel,bestAnswer,weekday,weekend"
    assert lines[1].startswith("r0,weekday,weekday,")
    assert "Average F1" in storage.read_bytes(chain.base + "report.html").decode()


def test_insights_are_those_of_the_training_records_and_evaluation_takes_the_others(chain, context):
    chain.context = context(split_strategy="random", random_seed="s", training_percent=60)
    chain.unload("training", TRAINING)
    for name in ("schema", "insights", "train", "evaluate"):
        getattr(chain, name)()
    storage = storage_of("aws_default")
    insights, evaluation, model = (
        json.loads(storage.read_artifact(chain.returned[name])) for name in ("insights", "evaluation", "model")
    )
    expected = {"percentBegin": 0, "percentEnd": 60, "complement": False, "strategy": "random",
                "strategyParams": {"randomSeed": "s"}}  # fmt: skip
    assert insights["rearrangement"] == {"splitting": expected}
    assert evaluation["rearrangement"] == {"splitting": {**expected, "complement": True}}
    assert chain.returned["insights"]["rows"] == insights["records"] == model["training"]["records"] != 400
    assert insights["recordsSeen"] == 400
    assert evaluation["recordsSeen"] == 400 - insights["records"]


def test_the_chronological_split_follows_the_days_and_not_the_order(chain, context):
    """The query gives the latest day first, so that a sequential split would train on the future."""
    chain.context = context(split_strategy="chronological", split_attribute="day")
    day = "(date '2008-12-01' + (19 - n.i / 20))::date as day, (n.i % 10)::integer as price"
    chain.unload("training", TRAINING.replace("(n.i % 10)::integer as price", day))
    for name in ("schema", "insights", "train", "evaluate"):
        getattr(chain, name)()
    storage = storage_of("aws_default")
    insights, evaluation = (
        json.loads(storage.read_artifact(chain.returned[name])) for name in ("insights", "evaluation")
    )
    parameters = {"attribute": "day", "cuts": [None, "2008-12-15"]}
    assert insights["rearrangement"]["splitting"]["strategyParams"] == parameters
    assert insights["attributes"]["day"]["dates"]["last"] == "2008-12-14"
    assert (insights["records"], evaluation["recordsSeen"]) == (280, 120)
    assert evaluation["rearrangement"]["splitting"]["strategyParams"] == parameters
    assert evaluation["rearrangement"]["splitting"]["complement"] is True
    assert evaluation["alerts"] == []


def test_a_split_attribute_that_tells_no_time_is_named(chain, context):
    chain.context = context(split_strategy="chronological", split_attribute="daykind")
    chain.unload("training", TRAINING)
    chain.schema()
    with pytest.raises(AirflowFailException, match=r"0 of 400 records have an ISO date in 'daykind' \('week"):
        chain.insights()


def test_data_alerts_are_an_artifact(chain):
    constant = "7::integer as seven, (n.i % 10)::integer as price"
    chain.unload("training", TRAINING.replace("(n.i % 10)::integer as price", constant))
    chain.schema()
    chain.insights()
    pushed = chain.context["ti"].pushed["data_alerts"]
    document = json.loads(storage_of("aws_default").read_artifact(pushed))
    assert pushed["uri"] == chain.base + "data-alerts.json"
    assert pushed["rows"] == len(document["alerts"]) == 1
    assert (document["alerts"][0]["code"], document["alerts"][0]["attributes"]) == ("CONSTANT", ["seven"])


def rejecting(chain, lines):
    """Unload CSV, and break the first lines of its part."""
    storage = storage_of("aws_default")
    reference = chain.unload("training", TRAINING)
    chain.schema()
    manifest = json.loads(storage.read_artifact(reference))
    (entry,) = manifest["entries"]
    text = gzip.decompress(storage.read_bytes(entry["url"])).decode().split("\n")
    # A record that is named twice has a cell too many.
    text[1 : lines + 1] = [f"{line},again" for line in text[1 : lines + 1]]
    storage.write_bytes(entry["url"], gzip.compress("\n".join(text).encode()), "application/gzip")


def test_records_that_can_not_be_read_are_laid_aside_with_their_reasons(chain, context):
    chain.context = context(unload_format="CSV", max_rejected_records=3)
    rejecting(chain, 3)
    storage = storage_of("aws_default")
    left = chain.base + "rejected/of-an-earlier-try.csv.gz"
    storage.write_bytes(left, b"", "application/gzip")
    insights = json.loads(storage.read_artifact(chain.insights()))
    assert (insights["badRecords"], insights["recordsSeen"], insights["records"]) == (3, 400, 277)
    (uri,) = storage.names_below(chain.base + "rejected/")
    assert uri.endswith(".csv.gz")
    content = storage.read_bytes(uri)
    header, *lines = gzip.decompress(content).decode().splitlines()
    assert header == "record,reason,line"
    assert len(lines) == 3
    assert content[4:8] == bytes(4), "a time stamp"
    alerts = json.loads(storage.read_artifact(chain.context["ti"].pushed["data_alerts"]))["alerts"]
    assert "BAD_RECORDS" in [alert["code"] for alert in alerts]
    chain.train()
    chain.evaluate()


def test_more_rejected_records_than_allowed_are_refused(chain, context):
    chain.context = context(unload_format="CSV", max_rejected_records=2)
    rejecting(chain, 3)
    with pytest.raises(AirflowFailException, match="3 of 400 records can not be read, and 2 are allowed"):
        chain.insights()


def test_csv_parts_give_the_same_predictions(chain, sandbox, run_facts, context, execute):
    chain.to_prediction()
    chain.publish()
    storage = storage_of("aws_default")
    (parquet,) = [uri for uri in chain.visible() if uri.endswith(".gz")]
    other = Chain(sandbox, {**run_facts, "base": run_facts["base"] + "csv/"}, context(unload_format="CSV"), execute)
    other.to_prediction()
    other.publish()
    (csv,) = [uri for uri in other.visible() if uri.endswith(".gz")]
    texts = [
        gzip.decompress(storage.read_bytes(base + uri)) for base, uri in ((chain.base, parquet), (other.base, csv))
    ]
    assert texts[0] == texts[1]


def test_the_training_datasource_is_scored_where_nothing_else_was_unloaded(chain):
    chain.unload("training", TRAINING)
    for name in ("schema", "insights", "train", "evaluate", "predict", "publish"):
        getattr(chain, name)()
    (result,) = [uri for uri in chain.visible() if uri.endswith(".gz")]
    lines = gzip.decompress(storage_of("aws_default").read_bytes(chain.base + result)).decode().split("\n")
    assert lines[0] == "tag,trueLabel,score"
    assert len(lines) == 402
    assert lines[1].startswith("r0,2E1,")


def test_a_publication_that_breaks_off_leaves_no_predictions_visible(chain, monkeypatch):
    chain.to_prediction()

    def refuse(self, uri, data, media_type, *, rows=None):
        raise StorageError(f"can not write {uri}: the disk is on fire.")

    with monkeypatch.context() as patched:
        patched.setattr(Storage, "write_bytes", refuse)
        with pytest.raises(StorageError, match="on fire"):
            chain.publish()
    assert chain.visible() == []
    chain.publish()
    assert len(chain.visible()) == 2


def test_a_publication_can_be_repeated(chain):
    chain.to_prediction()
    first = chain.publish()
    seen = chain.visible()
    assert chain.publish() == first
    assert chain.visible() == seen
    assert storage_of("aws_default").names_below(chain.base + "unpublished/") == []


def test_a_task_that_gives_the_same_again_leaves_the_publication_alone(chain):
    chain.to_prediction()
    chain.publish()
    seen = chain.visible()
    chain.evaluate()
    chain.predict()
    assert chain.visible() == seen
    assert chain.base + "run.json" in storage_of("aws_default").names_below(chain.base)


def test_a_task_that_gives_something_else_takes_the_publication_back(chain, context):
    chain.to_prediction()
    chain.publish()
    pushed = chain.context["ti"].pushed
    chain.context = context(learner="linear", training_parameters='{"linear.l2": 1000}')
    chain.context["ti"].pushed.update(pushed)
    chain.train()
    assert chain.visible() == []
    assert chain.base + "run.json" not in storage_of("aws_default").names_below(chain.base)
    chain.evaluate()
    chain.predict()
    chain.publish()
    assert len(chain.visible()) == 2


def test_what_a_killed_publication_left_does_not_stand_beside_the_next_one(chain):
    chain.to_prediction()
    storage = storage_of("aws_default")
    left = chain.base + "predictions/batch-prediction/result/bp-old-scoring_000.parquet.gz"
    storage.write_bytes(left, b"", "application/gzip")
    chain.publish()
    assert len(chain.visible()) == 2
    assert not any("bp-old" in name for name in chain.visible())


def test_a_batch_prediction_of_failures_only_is_not_published(chain):
    chain.unload("training", TRAINING)
    scoring = SCORING.replace("true as promo", "'maybe' as promo").replace(", false", ", 'perhaps'")
    chain.unload("scoring", scoring.replace("5, null", "5, 'never'"))
    for name in ("schema", "insights", "train"):
        getattr(chain, name)()
    with pytest.raises(
        AirflowFailException, match=r"records failed to process.*unpublished/\*\.csv\.gz.*max_failed_records"
    ):
        chain.predict()
    left = storage_of("aws_default").names_below(chain.base + "unpublished/")
    (reasons,) = [uri for uri in left if uri.endswith(".csv.gz")]
    assert gzip.decompress(storage_of("aws_default").read_bytes(reasons)).count(b"promo") == 3


def test_an_s3_that_fails_for_a_moment_is_left_to_a_retry(chain, monkeypatch):
    chain.unload("training", TRAINING)
    chain.schema()

    def slow_down(self, uri):
        raise StorageError(f"can not read {uri}: SlowDown.")

    with monkeypatch.context() as patched:
        patched.setattr(Storage, "local_copy", slow_down)
        with pytest.raises(StorageError, match="SlowDown"):
            chain.insights()


def test_a_missing_target_is_named(chain):
    chain.unload("training", TRAINING)
    override = {key: value for key, value in OVERRIDE.items() if key != "targetAttributeName"}
    with pytest.raises(AirflowFailException, match=r"no target.*targetAttributeName"):
        chain.schema(override)


def test_a_target_that_is_no_column_is_named(chain):
    chain.unload("training", TRAINING)
    with pytest.raises(AirflowFailException, match=r"SchemaError.*totalsold"):
        chain.schema({**OVERRIDE, "targetAttributeName": "totalsold"})


def test_a_column_of_the_wrong_type_is_named(chain):
    """The user says NUMERIC of a column that holds dates."""
    chain.unload("training", TRAINING.replace("(n.i % 10)::integer as price", "date '2008-12-31' as price"))
    chain.schema({**OVERRIDE, "attributes": [{"attributeName": "price", "attributeType": "NUMERIC"}]})
    with pytest.raises(AirflowFailException, match=r"training_000\.parquet.*price|price.*training_000\.parquet"):
        chain.insights()


def test_scoring_columns_that_differ_are_named(chain):
    chain.unload("training", TRAINING)
    chain.unload("scoring", "select 'a'::varchar(10) as recordid, 1 as pricce")
    for name in ("schema", "insights", "train"):
        getattr(chain, name)()
    with pytest.raises(AirflowFailException, match=r"missing \['daykind', 'price', 'promo'\], unknown \['pricce'\]"):
        chain.predict()


def test_a_part_that_s3_lacks_is_named(chain, s3):
    reference = chain.unload("training", TRAINING)
    chain.schema()
    key = reference["uri"].removeprefix("s3://nightcast/").replace("_manifest", "_000.parquet")
    s3.delete_object(Bucket="nightcast", Key=key)
    with pytest.raises((AirflowFailException, StorageError), match=r"training_000\.parquet"):
        chain.insights()


def test_a_row_count_that_differs_from_the_manifest_is_named(chain):
    reference = chain.unload("training", TRAINING)
    chain.schema()
    storage = storage_of("aws_default")
    manifest = json.loads(storage.read_artifact(reference))
    manifest["entries"][0]["meta"]["record_count"] += 1
    manifest["meta"]["record_count"] += 1
    forged = storage.write_bytes(reference["uri"], json.dumps(manifest).encode(), "application/json")
    chain.returned["training"] = {**reference, "sha256": forged["sha256"]}
    with pytest.raises(AirflowFailException, match=r"training_000\.parquet.*400.*401|training_000\.parquet.*401.*400"):
        chain.insights()


def test_a_manifest_that_was_changed_is_noticed(chain):
    reference = chain.unload("training", TRAINING)
    storage_of("aws_default").write_bytes(reference["uri"], b"{}", "application/json")
    with pytest.raises(StorageError, match="is not the object that the task before wrote"):
        chain.schema()


def test_a_recipe_that_does_not_fit_is_refused_before_training(chain, context):
    chain.context = context(recipe='{"outputs": ["ALL_BINARY", "weather"]}')
    chain.unload("training", TRAINING)
    chain.schema()
    chain.insights()
    with pytest.raises(AirflowFailException, match=r"RecipeError.*weather"):
        chain.train()


@pytest.fixture
def scored_by_champion(chain):
    """Scores a query's records by a model that an earlier run has trained; what batch-prediction.json says."""
    chain.unload("training", TRAINING)
    for name in ("schema", "insights", "train"):
        getattr(chain, name)()
    storage, model = storage_of("aws_default"), chain.returned["model"]
    entry = {"model": model, "runKey": "backfill__earlier", "trainingCutOff": "2008-12-23"}
    document = json.dumps({"champion": entry}).encode()
    champion = storage.write_bytes(chain.base + "champion.json", document, "application/json")

    def score(query):
        chain.context["ti"].try_number += 1
        scoring = chain.unload("scoring", query)
        given = {"manifest": scoring, "training_manifest": None, "schema": None}
        chain.step(BatchPredictOperator, "prediction", **given, model=[None, model], champion=champion)
        return json.loads(storage.read_artifact(chain.returned["prediction"]))

    return score


def test_the_champion_reads_the_columns_that_it_knows(scored_by_champion):
    """A column that came after its training does not disturb it."""
    plain = scored_by_champion(SCORING)
    wider = scored_by_champion(f"select 7::integer as seats, known.* from ({SCORING}) as known order by recordid")
    assert plain["model"] == wider["model"]
    assert plain["model"]["runKey"] == "backfill__earlier"
    assert plain["model"]["trainedByThisRun"] is False
    assert (plain["model"]["rowId"], plain["model"]["target"]) == ("recordid", "sold")
    assert set(plain["model"]["training"]) == {"targetMean"}
    assert [one["sha256"] for one in wider["results"]] == [one["sha256"] for one in plain["results"]]


def test_a_column_that_the_champion_learnt_from_must_be_there(scored_by_champion):
    with pytest.raises(AirflowFailException, match=r"lacks 'price', which the model learnt from"):
        scored_by_champion(f"select recordid, daykind, promo from ({SCORING}) as known order by recordid")


def test_without_any_model_nothing_is_scored(chain):
    scoring = chain.unload("scoring", SCORING)
    with pytest.raises(AirflowFailException, match="there is no model to score with"):
        chain.step(
            BatchPredictOperator, "prediction", manifest=scoring, training_manifest=None, schema=None, model=[None]
        )
