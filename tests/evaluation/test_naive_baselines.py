from __future__ import annotations

import doctest
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from nightcast.datasource.parts import Batch, ByteSource, Datasource
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.errors import EvaluationError
from nightcast.evaluation import naive_baselines, text_keys
from nightcast.evaluation.comparison import compare, usual_of
from nightcast.evaluation.naive_baselines import NaiveBaseline
from nightcast.evaluation.text_keys import TextKey
from trained_models import trained, with_classes

EARLY, LATE = Rearrangement(0, 70), Rearrangement(0, 70, complement=True)
VENUE = TextKey(("venue",))


def test_documentation() -> None:
    assert doctest.testmod(text_keys).failed == 0


def figures_of(found, name: str = "lastPeriod"):
    return found.baseline(name)


def test_means_by_key_of_earlier_actuals(datasource: Datasource, files: ByteSource, sales: pa.Table) -> None:
    model = trained(datasource, files, None, EARLY, l2=1.0)
    naive = [NaiveBaseline("lastPeriod", key=VENUE, actuals=datasource, taken=EARLY)]
    found = figures_of(compare(model, None, datasource, LATE, files, naive=naive))
    frame = sales.to_pandas()
    means = frame[:2100].dropna(subset=["venue", "sold"]).groupby("venue")["sold"].mean()
    late = frame[2100:].dropna(subset=["sold"])
    forecast = late["venue"].map(means).astype(float)
    assert found.known == forecast.notna().sum() < len(late)
    errors = late["sold"] - forecast.fillna(model.training["targetMean"])
    assert found.loss == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-12)
    assert found.loss < compare(model, None, datasource, LATE, files).baseline("trainingMean").loss


def test_an_attribute_that_holds_the_last_value(datasource: Datasource, files: ByteSource, sales: pa.Table) -> None:
    model = trained(datasource, files, None, EARLY, l2=1.0)
    found = figures_of(
        compare(model, None, datasource, LATE, files, naive=[NaiveBaseline("lastPeriod", attribute="price")])
    )
    late = sales.to_pandas()[2100:].dropna(subset=["sold"])
    errors = late["sold"] - late["price"].fillna(model.training["targetMean"])
    assert found.loss == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-12)
    assert found.known == late["price"].notna().sum()


@pytest.mark.parametrize("kind", ["BINARY", "CATEGORICAL"])
def test_shares_of_classes_by_key(kind: str, write, files: ByteSource, sales: pa.Table, schema: Schema) -> None:
    labelled, table = with_classes(schema, sales, kind)
    datasource = write(table, 1100, labelled)
    model = trained(datasource, files, None, EARLY, l2=1.0)
    naive = [NaiveBaseline("lastPeriod", key=VENUE, actuals=datasource, taken=EARLY)]
    found = figures_of(compare(model, None, datasource, LATE, files, naive=naive))
    frame = table.to_pandas()
    names = [True] if kind == "BINARY" else list(model.target.classes)
    early = frame[:2100].dropna(subset=["venue", "sold"])
    usual, losses = usual_of(model), []
    for venue, truth in frame[2100:].dropna(subset=["sold"])[["venue", "sold"]].itertuples(index=False):
        same = early[early["venue"] == venue]["sold"]
        shares = (np.array([(same == name).sum() for name in names]) + usual) / (len(same) + 1)
        likely = shares[names.index(truth)] if truth in names else 1 - shares[0]
        losses.append(-np.log(likely))
    assert found.loss == pytest.approx(np.mean(losses), rel=1e-9)


def refusals(schema: Schema, datasource: Datasource) -> list[tuple[NaiveBaseline, str]]:
    no_target = Datasource(Schema(schema.attributes[:-1], row_id="id"), datasource.parts)
    no_venue = Datasource(Schema(schema.attributes[4:], target="sold"), datasource.parts)
    return [
        (NaiveBaseline("lastPeriod", key=VENUE, reason="the warehouse begins later"), "the warehouse begins later"),
        (NaiveBaseline("lastPeriod"), "there are no earlier actuals"),
        (NaiveBaseline("lastPeriod", attribute="gone"), "the records have no attribute 'gone'"),
        (NaiveBaseline("lastPeriod", attribute="venue"), "'venue' is not NUMERIC"),
        (NaiveBaseline("lastPeriod", key=TextKey(("price",)), actuals=datasource), "'price' is NUMERIC, and keys"),
        (NaiveBaseline("lastPeriod", key=VENUE, actuals=no_target), "the earlier actuals have no attribute 'sold'"),
        (NaiveBaseline("lastPeriod", key=VENUE, actuals=no_venue), "of the earlier actuals: the records have no attr"),
        (
            NaiveBaseline("lastPeriod", key=TextKey(("venue",), "^none(?P<key>x)$"), actuals=datasource),
            "none of the earlier actuals has a key",
        ),
    ]


def test_what_can_not_be_had_says_why(datasource: Datasource, files: ByteSource, schema: Schema) -> None:
    model = trained(datasource, files, None, EARLY, l2=1.0)
    for baseline, reason in refusals(schema, datasource):
        found = figures_of(compare(model, None, datasource, LATE, files, naive=[baseline]))
        assert (found.loss, found.known) == (None, 0)
        assert found.reason.startswith(reason)


def test_too_many_keys(datasource: Datasource, files: ByteSource, monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained(datasource, files, None, EARLY, l2=1.0)
    monkeypatch.setattr(naive_baselines, "MOST_KEYS", 39)
    naive = [NaiveBaseline("seasonAgo", key=VENUE, actuals=datasource, taken=EARLY)]
    found = figures_of(compare(model, None, datasource, LATE, files, naive=naive), "seasonAgo")
    assert (found.loss, found.reason) == (None, "the earlier actuals have more than 39 keys: name a coarser one")
    monkeypatch.setattr(naive_baselines, "MOST_KEYS", 40)
    assert figures_of(compare(model, None, datasource, LATE, files, naive=naive), "seasonAgo").loss is not None


def test_no_compared_record_has_an_earlier_value(write: Callable[..., Datasource], files, sales: pa.Table) -> None:
    datasource = write(sales)
    model = trained(datasource, files, None, EARLY, l2=1.0)
    others = write(sales.set_column(3, "venue", pa.array(["elsewhere"] * sales.num_rows)))
    naive = [NaiveBaseline("lastPeriod", key=VENUE, actuals=others)]
    found = figures_of(compare(model, None, datasource, LATE, files, naive=naive))
    assert (found.loss, found.reason) == (None, "none of the compared records has an earlier value")


def test_a_value_forecasts_no_class(write, files: ByteSource, sales: pa.Table, schema: Schema) -> None:
    labelled, table = with_classes(schema, sales, "BINARY")
    datasource = write(table, 1100, labelled)
    model = trained(datasource, files, None, EARLY, l2=1.0)
    found = compare(model, None, datasource, LATE, files, naive=[NaiveBaseline("lastPeriod", attribute="price")])
    assert figures_of(found).reason == "a value of an attribute can only forecast a regression"


def test_one_way_at_a_time() -> None:
    with pytest.raises(EvaluationError, match="give one of them"):
        NaiveBaseline("lastPeriod", attribute="price", key=VENUE)


@pytest.mark.parametrize("coded", [False, True])
def test_keys_of_several_attributes_and_of_patterns(coded: bool) -> None:
    ids = pa.array(["12-20080101", "3-20081231", None, "x", "12-20080230", "12-20080101"])
    columns = {
        "id": ids.dictionary_encode() if coded else ids,
        "promo": pa.array([True, False, True, None, True, True]),
    }
    batch = Batch(0, columns, {}, 6)
    keys, codes = TextKey(("id",), r"-(?P<key>[0-9]{8})$").days(batch)
    assert [keys[code] for code in codes] == ["2008-01-01", "2008-12-31", "", "", "", "2008-01-01"]
    both = TextKey(("id", "promo"))
    assert both.texts(batch).to_pylist()[:4] == ["12-20080101\x1ftrue", "3-20081231\x1ffalse", None, None]
    hashes, present = both.hashes(batch)
    assert present.tolist() == [True, True, False, False, True, True]
    assert hashes[0] == hashes[5] != hashes[1]


@pytest.mark.parametrize(
    ("attributes", "pattern", "message"),
    [
        ((), None, "names no attribute"),
        (("id",), "(", "no regular expression"),
        (("id",), "^[0-9]+", "one named group"),
        (("id", "day"), "(?P<key>x)", "belongs to one attribute"),
    ],
)
def test_keys_that_make_no_sense_are_refused(attributes, pattern, message) -> None:
    with pytest.raises(EvaluationError, match=message):
        TextKey(attributes, pattern)


def test_a_pattern_of_python_alone_is_refused() -> None:
    batch = Batch(0, {"id": pa.array(["a"])}, {}, 1)
    with pytest.raises(EvaluationError, match="can not be read by RE2"):
        TextKey(("id",), r"(?<=a)(?P<key>b)").texts(batch)


def test_attribute_types_of_keys() -> None:
    schema = Schema((Attribute("id", AttributeType.NUMERIC), Attribute("y", AttributeType.NUMERIC)), row_id="id")
    assert TextKey(("id",)).fault(schema) is None
    assert TextKey(("y",)).fault(schema) == "'y' is NUMERIC, and keys are texts"
