from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import minimize

from nightcast.datasource.insights import compute_insights
from nightcast.datasource.parts import ByteSource, Datasource, read_batches
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.mlmodel import sgd_consolidation
from nightcast.mlmodel.learners import Fit, TrainingTask
from nightcast.mlmodel.linear_learner import LinearLearner
from nightcast.mlmodel.sgd import SgdLearner
from nightcast.mlmodel.sgd_consolidation import PenalisedLoss, consolidated
from nightcast.mlmodel.sgd_records import Records
from nightcast.mlmodel.targets import ModelType, Target
from nightcast.recipe.grammar import parse_recipe

RECORDS, WIDTH = 200, 9
OUTPUTS = {ModelType.REGRESSION: 1, ModelType.BINARY: 1, ModelType.MULTICLASS: 3}


def loss_of(model_type: ModelType) -> PenalisedLoss:
    """Two indicators a record of six, one of which no record has; two numbers and the intercept."""
    rng = np.random.default_rng(3)
    first, second = rng.integers(0, 3, RECORDS), rng.integers(3, 5, RECORDS)
    numbers = np.column_stack([rng.normal(size=(RECORDS, 2)), np.ones(RECORDS)])
    score = first - 2.0 * second + 3.0 * numbers[:, 0] + rng.normal(size=RECORDS)
    targets = {
        ModelType.REGRESSION: score,
        ModelType.BINARY: score > np.median(score),
        ModelType.MULTICLASS: np.searchsorted(np.quantile(score, [0.3, 0.6]), score),
    }[model_type]
    records = Records(
        2 * np.arange(RECORDS + 1),
        np.column_stack([first, second]).ravel().astype(np.int32),
        numbers,
        targets.astype(float),
        np.zeros(RECORDS, dtype=np.bool_),
    )
    l2 = np.array([0.01] * 5 + [0.0] + [0.1, 0.001, 0.0])
    return PenalisedLoss(model_type, records, np.array([6, 7, 8]), l2)


@pytest.mark.parametrize("model_type", ModelType)
def test_the_gradient_is_the_derivative_of_the_loss(model_type: ModelType) -> None:
    loss = loss_of(model_type)
    point = np.random.default_rng(1).normal(size=WIDTH * OUTPUTS[model_type])
    gradient = loss(point)[1]
    for place, direction in enumerate(1e-5 * np.eye(len(point))):
        slope = (loss(point + direction)[0] - loss(point - direction)[0]) / 2e-5
        assert gradient[place] == pytest.approx(slope, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("model_type", ModelType)
def test_the_scaling_is_the_inverse_of_the_second_derivatives(model_type: ModelType) -> None:
    loss = loss_of(model_type)
    point = np.random.default_rng(1).normal(0, 0.3, size=WIDTH * OUTPUTS[model_type])
    inverse = loss.scaling(point)(np.ones(len(point)))
    for place, direction in enumerate(1e-5 * np.eye(len(point))):
        second = ((loss(point + direction)[1] - loss(point - direction)[1]) / 2e-5)[place]
        # Nothing is known of the indicator that no record has.
        assert inverse[place] == pytest.approx(1.0 if place // OUTPUTS[model_type] == 5 else 1 / second, rel=1e-2)


@pytest.mark.parametrize("model_type", ModelType)
def test_it_ends_where_scipys_minimum_is(model_type: ModelType) -> None:
    loss, outputs = loss_of(model_type), OUTPUTS[model_type]
    found = consolidated(loss, np.zeros((WIDTH, outputs)))
    peer = minimize(loss, np.zeros(WIDTH * outputs), jac=True, method="L-BFGS-B", options={"gtol": 1e-9})
    assert found.converged
    assert loss(found.point)[0] == pytest.approx(peer.fun, rel=1e-5)
    assert 2 <= found.evaluations <= 60
    assert not found.point.reshape(WIDTH, outputs)[5].any()


def test_the_guess_of_the_hessian_is_renewed_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    loss = loss_of(ModelType.BINARY)
    whole = consolidated(loss, np.zeros((WIDTH, 1)))
    monkeypatch.setattr(sgd_consolidation, "_EVALUATIONS_A_ROUND", 4)
    short = consolidated(loss, np.zeros((WIDTH, 1)))
    assert short.evaluations > 4
    assert short.value == pytest.approx(whole.value, rel=1e-4)
    monkeypatch.setattr(sgd_consolidation, "_ROUNDS", 1)
    assert not consolidated(loss, np.zeros((WIDTH, 1))).converged


def raw_scores(fit: Fit, task: TrainingTask) -> np.ndarray:
    [batch] = read_batches(task.datasource.numbered()[0], task.source)
    scores: np.ndarray = fit.predictor.raw_scores(batch)
    # Of several classes only differences count.
    return scores - scores.mean(axis=1, keepdims=True) if scores.ndim > 1 else scores


@pytest.mark.parametrize("kind", ["NUMERIC", "BINARY", "CATEGORICAL"])
def test_of_few_records_the_model_is_that_of_linear(
    kind: str, write: Callable[..., Datasource], files: ByteSource
) -> None:
    """Effects without noise, missing numbers, and numbers that depend on each other."""
    rng, size = np.random.default_rng(8), 400
    shop, price = rng.integers(0, 6, size), rng.normal(30, 5, size)
    cost = price + rng.normal(0, 0.1, size)
    sold = shop - np.where(price > 35, 3.0, 0.0) + 5.0 * (price - cost) + 0.1 * price + rng.normal(0, 0.01, size)
    target = {
        "NUMERIC": sold,
        "BINARY": sold > np.median(sold),
        "CATEGORICAL": [f"c{one}" for one in np.searchsorted(np.quantile(sold, [0.3, 0.6]), sold)],
    }[kind]
    table = {
        "shop": [f"s{one}" for one in shop],
        "price": price,
        "cost": pa.array(cost, mask=rng.random(size) < 0.1),
        "sold": target,
    }
    types = {"shop": "CATEGORICAL", "price": "NUMERIC", "cost": "NUMERIC", "sold": kind}
    schema = Schema(tuple(Attribute(name, AttributeType(one)) for name, one in types.items()), target="sold")
    datasource = write(pa.table(table), schema=schema)
    insights = compute_insights(datasource, files)
    recipe = parse_recipe('{"outputs": ["shop", "quantile_bin(price,20)", "price", "normalize(cost)"]}', schema)
    task = TrainingTask(datasource, insights, recipe, Target.of(schema, insights), Rearrangement(), files)
    expected, found = (raw_scores(learner.fit(task, map), task) for learner in (LinearLearner(), SgdLearner()))
    steps_alone = raw_scores(SgdLearner(l2=1e-6).fit(task, map), task)
    rmse, alone = (np.sqrt(((one - expected) ** 2).mean()) for one in (found, steps_alone))
    assert rmse < 0.02 * expected.std()
    assert alone > 2 * rmse


def test_the_log_and_validation_are_of_the_consolidated_model(
    write: Callable[..., Datasource], files: ByteSource
) -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(300, 2))
    table = pa.table({"a": x[:, 0], "b": x[:, 0] + 0.01 * x[:, 1], "y": x[:, 1]})
    schema = Schema(tuple(Attribute(name, AttributeType.NUMERIC) for name in "aby"), target="y")
    datasource = write(table, schema=schema)
    insights = compute_insights(datasource, files)
    recipe = parse_recipe('{"outputs": ["ALL_INPUTS"]}', schema)
    task = TrainingTask(datasource, insights, recipe, Target.of(schema, insights), Rearrangement(), files)
    fit = SgdLearner(max_passes=1).fit(task, map)
    assert any(line.startswith("final-consolidation: ") and " is-converged=true" in line for line in fit.log)
    [batch] = read_batches(datasource.numbered()[0], files)
    held_out = fit.held_out[0].raw_scores(batch)
    assert np.sqrt(((held_out - x[:, 1]) ** 2).mean()) < 0.6
    assert fit.facts["validationLoss"] < 0.7
    assert not any("#gradients" in line for line in SgdLearner(l2=1e-6).fit(task, map).log)
