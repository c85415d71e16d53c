from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from nightcast.datasource.insights import compute_insights
from nightcast.datasource.parts import ByteSource, Datasource
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.mlmodel import held_out, regression_sums
from nightcast.mlmodel.learners import FOLDS, TrainingTask
from nightcast.mlmodel.regression_sums import TrialSet, held_records, summed_records
from nightcast.mlmodel.targets import ModelType, Target
from nightcast.recipe.featurizer import Featurizer, build_featurizer
from nightcast.recipe.grammar import parse_recipe

CENTER = 17.5
RECIPE = '{"outputs": ["price", "quantile_bin(day,20)", "venue", "title"]}'


@pytest.fixture
def task(datasource: Datasource, files: ByteSource) -> TrainingTask:
    split, schema = Rearrangement(0, 80), datasource.schema
    insights = compute_insights(datasource, files, rearrangement=split)
    target = Target.of(schema, insights)
    return TrainingTask(datasource, insights, parse_recipe(RECIPE, schema), target, split, files, "s")


@pytest.fixture
def featurizer(task: TrainingTask) -> Featurizer:
    return build_featurizer(task.recipe, task.datasource.schema, task.insights)


def both(task: TrainingTask, featurizer: Featurizer) -> tuple[TrialSet, TrialSet]:
    return held_records(task, featurizer, CENTER, map), summed_records(task, featurizer, CENTER, map)


def test_held_and_summed_records_have_the_same_sums(task: TrainingTask, featurizer: Featurizer) -> None:
    held, summed = both(task, featurizer)
    assert held.records == summed.records == task.insights.records - task.insights.attributes["sold"].missing
    assert (len(held.trials), len(summed.trials)) == (FOLDS, 1)
    rng = np.random.default_rng(0)
    weights = rng.normal(size=featurizer.n_features)
    # The first fold is the validation slice; the whole uses up the sums of the two.
    for side in (
        lambda found: found.trials[0].rest,
        lambda found: found.trials[0].validation,
        lambda found: found.whole(),
    ):
        ours, other = side(held), side(summed)
        assert ours.records == other.records
        assert (ours.total, ours.squares) == pytest.approx((other.total, other.squares))
        for found, expected in zip(ours.squared_error(weights, 0.3), other.squared_error(weights, 0.3), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-7)
        upper = np.triu(ours.gram.products())
        np.testing.assert_allclose(upper, other.gram.products(), rtol=1e-9, atol=1e-6)


def test_each_record_judges_once(task: TrainingTask, featurizer: Featurizer) -> None:
    held, _ = both(task, featurizer)
    assert sum(trial.validation.records for trial in held.trials) == held.records
    assert all(trial.rest.records + trial.validation.records == held.records for trial in held.trials)
    sums = sum(trial.validation.gram.with_target for trial in held.trials)
    np.testing.assert_allclose(sums, held.whole().gram.with_target, atol=1e-6)


def test_residuals_are_those_of_the_sums(task: TrainingTask, featurizer: Featurizer) -> None:
    weights = np.random.default_rng(1).normal(0, 0.1, featurizer.n_features)
    for found in both(task, featurizer):
        for trial in found.trials:
            predictions, residuals = trial.residuals(weights, 0.4)
            assert len(predictions) == len(residuals) == trial.validation.records
            squared, _, of_constant = trial.validation.squared_error(weights, 0.4)
            assert np.mean(residuals**2) == pytest.approx(squared)
            # True minus predicted.
            assert residuals.mean() == pytest.approx(-of_constant)
            assert (predictions + residuals).sum() == pytest.approx(trial.validation.total)


def test_of_many_records_a_sample_is_kept(
    task: TrainingTask, featurizer: Featurizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_out, "MOST_RECORDS", 100)
    weights = np.zeros(featurizer.n_features)
    [trial] = summed_records(task, featurizer, CENTER, map).trials
    predictions, residuals = trial.residuals(weights, 0.0)
    assert 60 <= len(residuals) == trial.validation.records <= 140
    assert trial.rest.records > 2_000
    assert not predictions.any()
    assert residuals.mean() == pytest.approx(trial.validation.total / trial.validation.records, abs=1.5)

    def backwards(function: Callable[[Any], Any], items: Any) -> Iterator[Any]:
        return iter([function(item) for item in list(items)[::-1]][::-1])

    [again] = summed_records(task, featurizer, CENTER, backwards).trials
    np.testing.assert_array_equal(again.residuals(weights, 0.0)[1], residuals)


def test_beyond_a_number_of_records_the_validation_slice_judges_alone(
    task: TrainingTask, featurizer: Featurizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(regression_sums, "_FOLDED", 1_000)
    held, summed = both(task, featurizer)
    [ours], [other] = held.trials, summed.trials
    assert ours.validation.records == other.validation.records
    assert held.whole().records == held.records


def test_no_record_at_all(write: Callable[..., Datasource], files: ByteSource, sales: pa.Table) -> None:
    empty = sales.slice(0, 30).set_column(6, "sold", pa.nulls(30, pa.float64()))
    datasource = write(empty)
    insights = compute_insights(datasource, files)
    recipe = parse_recipe('{"outputs": ["price"]}', datasource.schema)
    target = Target("sold", ModelType.REGRESSION)
    task = TrainingTask(datasource, insights, recipe, target, Rearrangement(), files)
    featurizer = build_featurizer(recipe, datasource.schema, insights)
    for found in both(task, featurizer):
        assert (found.records, len(found.trials)) == (0, 0)
        assert found.whole().records == 0
