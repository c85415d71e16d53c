from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn import metrics

from nightcast.datasource.parts import ByteSource, Datasource, read_batches
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.errors import EvaluationError, SchemaError
from nightcast.evaluation import comparison
from nightcast.evaluation.comparison import compare, usual_of
from nightcast.evaluation.comparison_figures import Resampling
from nightcast.evaluation.evaluate import evaluate
from nightcast.evaluation.naive_baselines import NaiveBaseline
from nightcast.evaluation.text_keys import TextKey
from nightcast.mlmodel.model import MLModel
from trained_models import trained, with_classes

FIRST = Rearrangement(0, 70)
REST = FIRST.complemented()
PRICE = '{"outputs": ["price"]}'
DAYS = TextKey(("title",), r"^day (?P<key>[0-9]{4}-[0-9]{2}-[0-9]{2})$")


@pytest.fixture
def models(datasource: Datasource, files: ByteSource) -> tuple[MLModel, MLModel]:
    """One that knows everything, and one that knows the price alone."""
    return trained(datasource, files, None, FIRST, l2=1.0), trained(datasource, files, PRICE, FIRST, l2=1.0)


def residuals_of(model: MLModel, datasource: Datasource, files: ByteSource) -> np.ndarray:
    """True less predicted of the last 900 records that have a target."""
    batches = [batch for part in datasource.numbered() for batch in read_batches(part, files)]
    truth = np.array([value for batch in batches for value in batch.columns["sold"].to_pylist()], dtype=float)
    found = (truth - np.concatenate([model.predict(batch) for batch in batches]))[2100:]
    return found[np.isfinite(found)]


def test_figures_are_those_of_evaluations(models, datasource: Datasource, files: ByteSource) -> None:
    challenger, champion = models
    found = compare(challenger, champion, datasource, REST, files)
    for figures, model in ((found.challenger, challenger), (found.champion, champion)):
        assert figures.loss == pytest.approx(evaluate(model, datasource, REST, files).metric, rel=1e-12)
    mean = found.baseline("trainingMean")
    assert mean.loss == pytest.approx(evaluate(challenger, datasource, REST, files).baseline, rel=1e-12)
    assert (found.metric, found.resampled) == ("RMSE", "records")
    assert found.seen == 900
    assert found.records == found.sampled == found.difference.units == 900 - found.failures["withoutTarget"]
    assert found.difference.value == found.challenger.loss - found.champion.loss
    # The delta method's standard error of a difference of roots.
    errors = [residuals_of(model, datasource, files) ** 2 for model in models]
    influence = errors[0] / (2 * found.challenger.loss) - errors[1] / (2 * found.champion.loss)
    assert found.difference.standard_error == pytest.approx(influence.std() / np.sqrt(len(influence)), rel=0.2)
    assert found.difference.upper < 0


def test_the_first_model_has_no_difference(models, datasource: Datasource, files: ByteSource) -> None:
    found = compare(models[0], None, datasource, REST, files)
    assert (found.champion, found.difference, found.unfit) == (None, None, None)
    assert found.challenger.loss == compare(*models, datasource, REST, files).challenger.loss


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.sets(st.integers(1, 599), max_size=4), by_day=st.booleans())
def test_any_parts_give_the_same_bits(models, write_parts, files, schema, sales, cuts, by_day) -> None:
    days = [f"day 2024-01-{1 + number % 9:02}" if number % 7 else None for number in range(600)]
    table = sales.slice(0, 600).set_column(4, "title", pa.array(days))
    dates, naive = (DAYS if by_day else None), [NaiveBaseline("lastPeriod", attribute="day")]
    whole = compare(*models, write_parts(schema, table), Rearrangement(), files, naive=naive, dates=dates)
    parts = compare(*models, write_parts(schema, table, sorted(cuts)), Rearrangement(), files, naive=naive, dates=dates)
    assert parts == whole
    assert whole.difference.units == (10 if by_day else whole.records)


def test_other_processes_can_compare(models, datasource: Datasource, files: ByteSource) -> None:
    def elsewhere(function, items):
        return (pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(function))(item))) for item in items)

    naive = [NaiveBaseline("lastPeriod", key=TextKey(("venue",)), actuals=datasource, taken=FIRST)]
    here = compare(*models, datasource, REST, files, naive=naive)
    assert compare(*models, datasource, REST, files, elsewhere, naive=naive) == here


def test_of_many_records_a_sample_tells_the_deviation(models, datasource, files, monkeypatch) -> None:
    whole = compare(*models, datasource, REST, files)
    monkeypatch.setattr(comparison, "MOST_SAMPLED", 300)
    some = compare(*models, datasource, REST, files)
    assert some.challenger == whole.challenger
    assert some.difference.value == whole.difference.value
    assert 240 < some.sampled < 360
    assert some.difference.standard_error == pytest.approx(whole.difference.standard_error, rel=0.3)


def dated(sales: pa.Table, days: int) -> pa.Table:
    start = np.datetime64("2024-01-01")
    texts = [f"day {start + np.timedelta64(number % days, 'D')}" for number in range(sales.num_rows)]
    return sales.set_column(4, "title", pa.array(texts))


@pytest.mark.parametrize(("days", "resampled", "units"), [(4, "records", 891), (40, "days", 40), (210, "weeks", 30)])
def test_days_and_weeks_are_resampled_where_there_are_enough(
    models, write: Callable[..., Datasource], files, sales, days, resampled, units
) -> None:
    found = compare(*models, write(dated(sales, days)), REST, files, dates=DAYS)
    assert found.resampled == resampled
    assert found.difference.units == (found.records if resampled == "records" else units)
    assert found.sampled == found.records


def test_dates_that_can_not_be_read_are_refused(models, datasource: Datasource, files: ByteSource) -> None:
    with pytest.raises(EvaluationError, match="'day' is NUMERIC"):
        compare(*models, datasource, REST, files, dates=TextKey(("day",)))


def test_failures_are_told_apart(models, write: Callable[..., Datasource], files: ByteSource) -> None:
    challenger, champion = models
    table = pa.table(
        {
            "id": range(6),
            "price": [10.0, float("nan"), 20.0, None, 5.0, 1e308],
            "day": [1.0, 2, float("inf"), 4, 5, 6],
            "venue": ["v1"] * 6,
            "title": [""] * 6,
            "promo": [True] * 6,
            "sold": [5.0, 5.0, 5.0, 5.0, None, float("nan")],
        }
    )
    found = compare(challenger, champion, write(table), Rearrangement(), files)
    assert found.failures == {
        "withoutTarget": 1, "invalidTarget": 1, "challengerFailed": 1, "championFailed": 0, "bothFailed": 1,
    }  # fmt: skip
    swapped = compare(champion, challenger, write(table), Rearrangement(), files)
    assert (swapped.failures["challengerFailed"], swapped.failures["championFailed"]) == (0, 1)
    assert (found.seen, found.records) == (6, 2)


def test_no_record_gives_no_figure(models, write: Callable[..., Datasource], files, sales) -> None:
    found = compare(*models, write(sales.slice(0, 1)), Rearrangement(0, 1), files)
    assert (found.records, found.challenger, found.difference) == (0, None, None)
    assert found.baseline("trainingMean").reason == "no record was compared"


def test_without_targets_there_is_no_comparison(models, datasource: Datasource, files: ByteSource) -> None:
    attributes = tuple(item for item in datasource.schema.attributes if item.name != "sold")
    with pytest.raises(EvaluationError, match="has no attribute 'sold'"):
        compare(*models, Datasource(Schema(attributes, row_id="id"), datasource.parts), REST, files)


def test_a_champion_that_can_not_read_the_records_is_unfit(models, write, files, sales, schema) -> None:
    challenger, champion = models
    without = Schema(tuple(one for one in schema.attributes if one.name != "venue"), "sold", "id")
    narrow = write(sales.drop_columns(["venue"]), 1 << 30, without)
    found = compare(champion, challenger, narrow, REST, files)
    assert "lacks 'venue'" in found.unfit
    assert (found.champion, found.difference) == (None, None)
    with pytest.raises(SchemaError, match="lacks 'venue'"):
        compare(challenger, champion, narrow, REST, files)
    labelled, table = with_classes(schema, sales, "BINARY")
    other = trained(write(table, 1 << 30, labelled), files, None, FIRST, l2=1.0)
    assert "BINARY" in compare(challenger, other, write(sales), REST, files).unfit


def test_a_champion_that_saw_other_types_reads_the_records_as_it_did(models, write, files, sales, schema) -> None:
    challenger, champion = models
    types = {"venue": AttributeType.TEXT}
    changed = Schema(
        tuple(Attribute(one.name, types.get(one.name, one.type)) for one in schema.attributes), "sold", "id"
    )
    newer = trained(write(sales, 700, changed), files, None, FIRST, l2=1.0)
    found = compare(newer, challenger, write(sales, 700, changed), REST, files)
    assert found.unfit is None
    assert found.champion == compare(champion, challenger, write(sales), REST, files).champion
    assert found.difference is not None


def test_binary_models(write, files, sales, schema) -> None:
    labelled, table = with_classes(schema, sales, "BINARY")
    datasource = write(table, 1100, labelled)
    challenger = trained(datasource, files, None, FIRST, l2=1.0)
    champion = trained(datasource, files, PRICE, FIRST, l2=1.0)
    found = compare(challenger, champion, datasource, REST, files)
    for figures, model in ((found.challenger, challenger), (found.champion, champion)):
        evaluation = evaluate(model, datasource, REST, files)
        assert figures.loss == pytest.approx(evaluation.other["logLoss"], rel=1e-12)
        assert figures.others == {"AUC": evaluation.metric, "F1": evaluation.other["f1"]}
    truth = np.array([one for one in table["sold"].to_pylist()[2100:] if one is not None])
    share = np.full(len(truth), usual_of(challenger)[0])
    assert found.baseline("trainingMean").loss == pytest.approx(metrics.log_loss(truth, share), rel=1e-9)
    assert found.metric == "logLoss"
    assert found.difference.upper < 0


def test_multiclass_models_that_know_other_classes(write, files, sales, schema) -> None:
    labelled, table = with_classes(schema, sales, "CATEGORICAL")
    datasource = write(table, 1100, labelled)
    challenger = trained(datasource, files, None, FIRST, l2=1.0)
    names = pa.array([None if name == "few" else name for name in table["sold"].to_pylist()])
    champion = trained(write(table.set_column(6, "sold", names), 1100, labelled), files, None, FIRST, l2=1.0)
    strange = pa.array(["new" if place % 10 == 0 else name for place, name in enumerate(table["sold"].to_pylist())])
    found = compare(challenger, champion, write(table.set_column(6, "sold", strange), 1100, labelled), REST, files)
    assert found.failures["unknownClass"] == 90
    # A class that the champion never heard of costs it -log(1e-15) each time.
    assert found.champion.loss > 5 > found.challenger.loss
    assert set(found.challenger.others) == {"F1"}
    same = compare(challenger, challenger, datasource, REST, files)
    evaluation = evaluate(challenger, datasource, REST, files)
    assert same.challenger.loss == pytest.approx(evaluation.other["logLoss"], rel=1e-12)
    assert same.challenger.others["F1"] == pytest.approx(evaluation.metric)
    assert (same.difference.value, same.difference.standard_error) == (0, 0)


@pytest.mark.parametrize("arguments", [{"confidence": 0.5}, {"confidence": float("nan")}, {"replicates": 3}])
def test_a_resampling_that_tells_nothing_is_refused(arguments) -> None:
    with pytest.raises(EvaluationError, match=r"confidence must|replicates tell"):
        Resampling(**arguments)
