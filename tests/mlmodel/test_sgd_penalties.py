from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightcast.datasource.insights import compute_insights
from nightcast.datasource.parts import ByteSource, Datasource, read_batches
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.mlmodel import sgd_penalties
from nightcast.mlmodel.learners import TrainingTask
from nightcast.mlmodel.linear_learner import LinearLearner
from nightcast.mlmodel.sgd import SgdLearner
from nightcast.mlmodel.sgd_coordinates import coordinates
from nightcast.mlmodel.sgd_passes import Passes
from nightcast.mlmodel.sgd_records import Records
from nightcast.mlmodel.targets import Target
from nightcast.recipe.featurizer import build_featurizer
from nightcast.recipe.grammar import parse_recipe

RECIPE = '{"outputs": ["ALL_CATEGORICAL", "quantile_bin(price,20)", "price"]}'


@pytest.fixture
def task(write: Callable[..., Datasource], files: ByteSource) -> Callable[..., TrainingTask]:
    """Sales that depend on a shop, and a little on the price."""

    def made(records: int, kind: str = "NUMERIC") -> TrainingTask:
        rng = np.random.default_rng(7)
        shop, price = rng.integers(0, 40, records), rng.normal(30, 5, records)
        sold = 4 * rng.normal(0, 1, 40)[shop] + 0.05 * price + rng.normal(0, 2, records)
        target = pa.array(sold) if kind == "NUMERIC" else pa.array(sold > 1)
        table = pa.table({"shop": [f"s{one}" for one in shop], "price": price, "sold": target})
        types = {"shop": "CATEGORICAL", "price": "NUMERIC", "sold": kind}
        attributes = tuple(Attribute(name, AttributeType(one)) for name, one in types.items())
        datasource = write(table, schema=Schema(attributes, target="sold"))
        insights = compute_insights(datasource, files)
        recipe = parse_recipe(RECIPE, datasource.schema)
        return TrainingTask(
            datasource, insights, recipe, Target.of(datasource.schema, insights), Rearrangement(), files
        )

    return made


def featurizer_of(task: TrainingTask):  # type: ignore[no-untyped-def]
    return build_featurizer(task.recipe, task.datasource.schema, task.insights)


@pytest.mark.parametrize("kind", ["NUMERIC", "BINARY"])
def test_penalties_are_those_of_linear(kind: str, task: Callable[..., TrainingTask]) -> None:
    given = task(1_500, kind)
    found = sgd_penalties.chosen_penalties(given, coordinates(given, featurizer_of(given)), map)
    assert found is not None
    features = found.coordinates.featurizer.n_features
    shops, numbers = slice(0, 40), found.coordinates.columns
    strength = found.by_output["shop"]["l2"]
    np.testing.assert_allclose(found.l2[shops], strength / 1_500, rtol=1e-3)
    np.testing.assert_allclose(found.coordinates.paces[shops], np.sqrt(10 / strength), rtol=1e-3)
    bins = slice(40, 60)
    np.testing.assert_allclose(found.l2[bins], found.by_output["quantile_bin(price,20)"]["l2Steps"] / 1_500, rtol=1e-3)
    # Parts of the bins have the penalty of the bins, and numbers none.
    levels = slice(features, features + found.coordinates.levels.shape[1])
    assert set(found.l2[levels]) == set(found.l2[bins])
    assert (found.l2[numbers] == 0).all()
    assert found.l2[-1] == 0
    if kind == "NUMERIC":
        assert LinearLearner().fit(given, map).facts["penalties"] == found.by_output


def test_records_without_a_target_do_not_count(
    task: Callable[..., TrainingTask], write: Callable[..., Datasource], files: ByteSource
) -> None:
    whole = task(600)
    with files.local_copy(whole.datasource.parts[0].uri) as path:
        known = pq.read_table(path)
    both = pa.concat_tables([known, known.set_column(2, "sold", pa.nulls(600, pa.float64()))])
    datasource = write(both, schema=whole.datasource.schema)
    given = replace(whole, datasource=datasource, insights=compute_insights(datasource, files))
    assert sgd_penalties.usable_records(given) == 600
    found = sgd_penalties.chosen_penalties(given, coordinates(given, featurizer_of(given), ranks=True), map)
    strength = found.by_output["shop"]["l2"]
    np.testing.assert_allclose(found.l2[:40], strength / 600, rtol=1e-3)
    assert found.records == 600


def test_many_records_and_given_penalties_are_left_alone(
    task: Callable[..., TrainingTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = task(600)
    assert SgdLearner().fit(given, map).facts["penalties"]
    assert SgdLearner(l2=1e-6).fit(given, map).facts["penalties"] == {}
    assert SgdLearner(l1=1e-6).fit(given, map).facts["penalties"] == {}
    # A shop, a bin and a number for each.
    for limit, most in (("_FEW", 600), ("_FEW_CODES", 3 * 600)):
        with monkeypatch.context() as patched:
            patched.setattr(sgd_penalties, limit, most)
            assert sgd_penalties.are_chosen(given)
            patched.setattr(sgd_penalties, limit, most - 1)
            alone = SgdLearner().fit(given, map)
        assert alone.facts["penalties"] == {}
        assert alone.log == SgdLearner(l2=1e-6).fit(given, map).log


def test_learners_are_ranked_by_what_they_make_least_and_not_by_a_slice_that_misleads(
    task: Callable[..., TrainingTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = task(1_500)
    expected = LinearLearner().fit(given, map)

    def predictions(fit):  # type: ignore[no-untyped-def]
        [batch] = read_batches(given.datasource.numbered()[0], given.source)
        return fit.predictor.raw_scores(batch)

    def misleading(passes: Passes) -> Records:
        # A slice for which the mean of all is right.
        slice_ = judged(passes)
        return replace(slice_, targets=np.zeros(len(slice_)))

    judged = Passes._judged
    monkeypatch.setattr(Passes, "_judged", misleading)
    suited = predictions(SgdLearner().fit(given, map)) - predictions(expected)
    misled = predictions(SgdLearner(l2=1e-6).fit(given, map)) - predictions(expected)
    deviation = float(np.std(predictions(expected)))
    assert np.sqrt((suited**2).mean()) < 0.05 * deviation
    assert np.sqrt((misled**2).mean()) > 0.2 * deviation


def test_the_log_says_that_they_were_chosen(task: Callable[..., TrainingTask]) -> None:
    assert "l2RegularizationAmount=chosen" in "\n".join(SgdLearner(max_passes=2).fit(task(600), map).log)
