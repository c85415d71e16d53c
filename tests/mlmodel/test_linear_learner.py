from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import vstack
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

from nightcast.datasource.insights import compute_insights
from nightcast.datasource.parts import ByteSource, Datasource
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.errors import ModelError
from nightcast.mlmodel import class_records, linear_learner, regression_search
from nightcast.mlmodel.held_out import held_out_records
from nightcast.mlmodel.learners import FOLDS, Fit, TrainingTask, fold_of
from nightcast.mlmodel.linear_learner import LinearLearner
from nightcast.mlmodel.marked_batches import marked_batches, training_batches
from nightcast.mlmodel.model import Link
from nightcast.mlmodel.strengths import Strengths
from nightcast.mlmodel.targets import ModelType, Target
from nightcast.recipe.grammar import parse_recipe
from nightcast.recipe.suggest import suggest_recipe

RAW = json.dumps({"outputs": ["price", "normalize(day)", "quantile_bin(day,20)", "ALL_CATEGORICAL", "ngram(title,2)"]})
SPLITS = [Rearrangement(0, 70), Rearrangement(0, 70, strategy="random", seed="s")]


def task_of(
    datasource: Datasource, files: ByteSource, recipe: str | None = None, split: Rearrangement | None = None
) -> TrainingTask:
    split = split or Rearrangement()
    insights = compute_insights(datasource, files, rearrangement=split)
    parsed = parse_recipe(recipe or suggest_recipe(datasource.schema, insights), datasource.schema)
    target = Target.of(datasource.schema, insights)
    return TrainingTask(datasource, insights, parsed, target, split, files, "seed")


def matrices(task: TrainingTask, fit: Fit) -> tuple[Any, np.ndarray, np.ndarray]:
    """Features, targets, and which records are in the validation slice."""
    features, targets, masks = [], [], []
    for part in task.datasource.numbered():
        for batch, folds in training_batches(part, task, fit.predictor.columns):
            features.append(fit.predictor.featurizer.transform(batch))
            targets.append(task.target.labels(batch).values)
            masks.append(folds == 0)
    return vstack(features).tocsr(), np.concatenate(targets), np.concatenate(masks)


def backwards(function: Callable[[Any], Any], items: Any) -> Any:
    results = {number: function(item) for number, item in reversed(list(enumerate(items)))}
    return iter([results[number] for number in sorted(results)])


@pytest.mark.parametrize("recipe", [None, RAW])
@pytest.mark.parametrize("l2", [1e-3, 1.0, 100.0])
@pytest.mark.parametrize("split", SPLITS)
def test_regression_equal_to_scikit_learn(
    datasource: Datasource, files: ByteSource, recipe: str | None, l2: float, split: Rearrangement
) -> None:
    task = task_of(datasource, files, recipe, split)
    fit = LinearLearner(l2).fit(task, map)
    matrix, target, mask = matrices(task, fit)
    peer = Ridge(alpha=l2, solver="cholesky").fit(matrix.toarray(), target)
    np.testing.assert_allclose(fit.predictor.weights[:, 0], peer.coef_, atol=1e-8)
    assert fit.predictor.intercepts[0] == pytest.approx(peer.intercept_, abs=1e-8)
    assert fit.facts["rmse"] == pytest.approx(np.sqrt(np.mean((target - peer.predict(matrix)) ** 2)), rel=1e-8)
    rest = Ridge(alpha=l2, solver="cholesky").fit(matrix[~mask].toarray(), target[~mask])
    judged = np.sqrt(np.mean((target - rest.predict(matrix))[mask] ** 2))
    assert fit.facts["validation"]["RegressionRMSE"] == pytest.approx(judged, rel=1e-8)
    assert fit.facts["validationLoss"] == fit.facts["validation"]["RegressionRMSE"]
    assert (fit.facts["validationRecords"], fit.link, fit.parameters["l2"]) == (mask.sum(), Link.IDENTITY, l2)


def test_least_squares_predicts_as_scikit_learn(datasource: Datasource, files: ByteSource) -> None:
    task = task_of(datasource, files)
    fit = LinearLearner(0.0).fit(task, map)
    matrix, target, _ = matrices(task, fit)
    peer = LinearRegression().fit(matrix.toarray(), target).predict(matrix.toarray())
    np.testing.assert_allclose(matrix @ fit.predictor.weights[:, 0] + fit.predictor.intercepts, peer, atol=1e-6)


def folds_of(task: TrainingTask, fit: Fit) -> np.ndarray:
    """The fold of each training record with a target."""
    numbers = [
        batch.first_record + places.astype(np.uint64)
        for part in task.datasource.numbered()
        for batch, _, places in marked_batches(part, task, fit.predictor.columns)
    ]
    return fold_of(np.concatenate(numbers), task.seed)


@pytest.fixture
def noisy(write: Callable[..., Datasource], files: ByteSource, sales: pa.Table) -> TrainingTask:
    """Sales by venues that tell nothing."""
    rng = np.random.default_rng(3)
    table = sales.set_column(3, "venue", pa.array([f"v{number}" for number in rng.integers(0, 900, len(sales))]))
    return task_of(write(table, 700), files, '{"outputs": ["venue"]}')


def test_the_strength_is_that_of_the_least_error_over_six_folds(noisy: TrainingTask) -> None:
    fit = LinearLearner().fit(noisy, map)
    tried = {found["l2"]: found["RegressionRMSE"] for found in fit.facts["strengths"]}
    matrix, target, mask = matrices(noisy, fit)
    folds = folds_of(noisy, fit)
    assert set(folds.tolist()) == set(range(FOLDS))
    np.testing.assert_array_equal(folds == 0, mask)
    for l2, rmse in tried.items():
        squared = 0.0
        for fold in range(FOLDS):
            peer = Ridge(alpha=l2, solver="sparse_cg", tol=1e-10).fit(matrix[folds != fold], target[folds != fold])
            squared += ((target - peer.predict(matrix))[folds == fold] ** 2).sum()
        assert rmse == pytest.approx(np.sqrt(squared / len(target)), rel=1e-5)
    # A power of ten has to gain two nats of all records.
    least = min(tried, key=lambda l2: np.log(tried[l2]) + Strengths(l2).doubt / len(target))
    assert fit.parameters["l2"] == least > 10
    # Each record has been predicted once by a model that had not seen it: what intervals are made of.
    assert fit.residuals is not None
    predictions, residuals = fit.residuals
    np.testing.assert_allclose(np.sort(predictions + residuals), np.sort(target), atol=1e-9)
    found = held_out_records(noisy, [fit], map)
    assert found is not None
    np.testing.assert_allclose(np.sort(found.predictions[0]), np.sort(predictions), atol=1e-9)


def test_records_in_memory_and_sums_give_the_same_model(
    datasource: Datasource, files: ByteSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of(datasource, files)
    for given in (LinearLearner(3.0), LinearLearner(2.0, 50.0)):
        held = given.fit(task, map)
        monkeypatch.setattr(linear_learner, "_HELD_CODES", 0)
        summed = given.fit(task, map)
        monkeypatch.undo()
        assert (held.facts["folds"], summed.facts["folds"]) == (FOLDS, 1)
        np.testing.assert_allclose(held.predictor.weights, summed.predictor.weights, atol=1e-8)
        assert summed.facts["validationLoss"] == pytest.approx(held.facts["validationLoss"], rel=1e-8)
        assert summed.residuals is not None
        assert len(summed.residuals[0]) == summed.facts["validationRecords"]
        rmse = np.sqrt(np.mean(summed.residuals[1] ** 2))
        assert rmse == pytest.approx(summed.facts["validationLoss"], rel=1e-8)


def test_records_of_many_outputs_are_held_if_they_fit(
    datasource: Datasource, files: ByteSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of(datasource, files)
    monkeypatch.setattr(linear_learner, "_HELD_CODES", 0)
    for more, folds in ((0, FOLDS), (1, 1)):
        monkeypatch.setattr(linear_learner, "_MANY_OUTPUTS", len(task.recipe.outputs) + more)
        assert LinearLearner(3.0).fit(task, map).facts["folds"] == folds


def test_an_output_that_tells_nothing_gets_a_penalty_of_its_own(
    write: Callable[..., Datasource], files: ByteSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    shop, idle = rng.integers(0, 40, 6000), rng.integers(0, 1500, 6000)
    sold = rng.normal(0, 3, 40)[shop] + rng.normal(0, 1, 6000)
    table = pa.table({"shop": [f"s{one}" for one in shop], "idle": [f"i{one}" for one in idle], "sold": sold})
    kinds = {"shop": "CATEGORICAL", "idle": "CATEGORICAL", "sold": "NUMERIC"}
    schema = Schema(tuple(Attribute(name, AttributeType(kind)) for name, kind in kinds.items()), target="sold")
    task = task_of(write(table, 1500, schema), files, '{"outputs": ["shop", "idle"]}')
    own = LinearLearner().fit(task, map)
    penalties = own.facts["penalties"]
    assert penalties["idle"]["l2"] > 100 * penalties["shop"]["l2"]
    monkeypatch.setattr(regression_search, "_REFINED", 10**9)
    assert own.facts["validationLoss"] < 0.99 * LinearLearner().fit(task, map).facts["validationLoss"]


def test_numbers_far_from_zero_lose_no_accuracy(
    write: Callable[..., Datasource], files: ByteSource, sales: pa.Table
) -> None:
    far = sales.set_column(1, "price", pa.array(1.2e9 + np.array(sales["day"]) / 7.0))
    task = task_of(write(far, 700), files, '{"outputs": ["price"]}')
    fit = LinearLearner(1.0).fit(task, map)
    matrix, target, _ = matrices(task, fit)
    peer = Ridge(alpha=1.0).fit(matrix.toarray() - 1.2e9, target)
    assert fit.predictor.weights[0, 0] == pytest.approx(peer.coef_[0], rel=1e-9)


@pytest.fixture(params=list(ModelType))
def task(
    request: pytest.FixtureRequest, write: Callable[..., Datasource], files: ByteSource, sales: pa.Table, schema: Schema
) -> TrainingTask:
    """A task of each model type."""
    return task_for(request.param, write, files, sales, schema)


def task_for(
    kind: ModelType, write: Callable[..., Datasource], files: ByteSource, sales: pa.Table, schema: Schema
) -> TrainingTask:
    attributes, target = schema.attributes, {"REGRESSION": "sold", "BINARY": "promo", "MULTICLASS": "class"}[kind]
    if kind is not ModelType.REGRESSION:
        rng = np.random.default_rng(8)
        score = np.nan_to_num(np.array(sales["sold"].to_pylist(), dtype=float)) + rng.normal(0, 2, len(sales))
        sales = sales.set_column(5, "promo", pa.array(score > 18, mask=rng.random(len(sales)) < 0.02))
        levels = [f"c{int(level)}" for level in np.clip(score // 6, 1, 4)]
        sales = sales.append_column("class", pa.array(levels, mask=rng.random(len(sales)) < 0.02)).drop(["sold"])
        kept = tuple(one for one in attributes if one.name != "sold")
        attributes = (*kept, Attribute("class", AttributeType.CATEGORICAL))
    changed = Schema(attributes, target=target, row_id="id", excluded=() if kind != "BINARY" else ("class",))
    recipe = '{"outputs": ["quantile_bin(price,20)", "normalize(day)", "venue", "title"]}'
    return task_of(write(sales, 1100, changed), files, recipe)


def loss_of(matrix: Any, classes: np.ndarray, weights: np.ndarray, intercepts: np.ndarray, l2: float) -> float:
    """Negative log-likelihood and penalty."""
    scores = matrix @ weights + intercepts
    if scores.shape[1] == 1:
        scores = np.column_stack([np.zeros(len(scores)), scores])
    shifted = scores - scores.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -logs[np.arange(len(classes)), classes.astype(int)].sum() + l2 / 2 * (weights**2).sum()


@pytest.mark.parametrize("kept", [20_000_000, 0], ids=["in memory", "streamed"])
@pytest.mark.parametrize("l2", [0.02, 1.0, 50.0])
@pytest.mark.parametrize("kind", [ModelType.BINARY, ModelType.MULTICLASS])
def test_classification_is_at_the_optimum_that_scikit_learn_looks_for(
    write: Callable[..., Datasource],
    files: ByteSource,
    sales: pa.Table,
    schema: Schema,
    monkeypatch: pytest.MonkeyPatch,
    kind: ModelType,
    l2: float,
    kept: int,
) -> None:
    monkeypatch.setattr(class_records, "KEPT_CODES", kept)
    monkeypatch.setattr(class_records, "SAMPLE_RECORDS", 1_000)
    task = task_for(kind, write, files, sales, schema)
    fit = LinearLearner(l2).fit(task, map)
    matrix, classes, _ = matrices(task, fit)
    peer = LogisticRegression(C=1 / l2, tol=1e-9, max_iter=3000, solver="newton-cg").fit(matrix, classes.astype(int))
    found = loss_of(matrix, classes, fit.predictor.weights, fit.predictor.intercepts, l2)
    assert found == pytest.approx(loss_of(matrix, classes, peer.coef_.T, peer.intercept_, l2), rel=1e-7)
    assert fit.facts["penalizedLoss"] == pytest.approx(found, rel=1e-12)
    assert fit.facts["converged"]
    assert (fit.facts["sampledRecords"] > 0) == (kept == 0)


@pytest.mark.parametrize("kind", [ModelType.BINARY, ModelType.MULTICLASS])
def test_classification_is_judged_on_the_validation_slice(
    write: Callable[..., Datasource], files: ByteSource, sales: pa.Table, schema: Schema, kind: ModelType
) -> None:
    from sklearn.metrics import f1_score, log_loss, roc_auc_score

    task = task_for(kind, write, files, sales, schema)
    fit = LinearLearner(2.0).fit(task, map)
    matrix, classes, mask = matrices(task, fit)
    peer = LogisticRegression(C=0.5, tol=1e-8, max_iter=3000, solver="newton-cg")
    peer.fit(matrix[~mask], classes[~mask].astype(int))
    shares, truth = peer.predict_proba(matrix[mask]), classes[mask].astype(int)
    assert fit.facts["validationLoss"] == pytest.approx(log_loss(truth, shares), rel=1e-4)
    assert fit.facts["validation"]["logLoss"] == fit.facts["validationLoss"]
    if kind is ModelType.BINARY:
        assert fit.facts["validation"]["BinaryAUC"] == pytest.approx(roc_auc_score(truth, shares[:, 1]), abs=1e-3)
    else:
        score = f1_score(truth, shares.argmax(axis=1), average="macro")
        assert fit.facts["validation"]["MulticlassAvgFScore"] == pytest.approx(score, abs=1e-2)
    chosen = LinearLearner().fit(task, map)
    assert chosen.facts["validationLoss"] < fit.facts["validationLoss"]
    kept = [one for one in chosen.facts["strengths"] if one["logLoss"] == chosen.facts["crossValidatedLoss"]]
    assert {name: kept[0][name] for name in ("l2", "l2Numbers", "l2Steps")}.items() <= chosen.parameters.items()


@pytest.mark.parametrize("kept", [20_000_000, 0])
def test_the_same_bits_with_any_mapper(task: TrainingTask, monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    monkeypatch.setattr(class_records, "KEPT_CODES", kept)
    one, other = (LinearLearner().fit(task, mapper) for mapper in (map, backwards))
    assert one.predictor.weights.tobytes() == other.predictor.weights.tobytes()
    assert one.predictor.intercepts.tobytes() == other.predictor.intercepts.tobytes()
    assert one.facts == other.facts


def test_facts_are_json_values(task: TrainingTask) -> None:
    fit = LinearLearner().fit(task, map)
    assert json.loads(json.dumps(fit.facts, allow_nan=False)) == fit.facts
    assert set(fit.parameters) == {"l2", "l2Numbers", "l2Steps", "maxFeatures"}
    assert fit.parameters["maxFeatures"] == 100_000
    assert fit.facts["features"] == fit.predictor.size > 20


def test_a_limit_on_features_leaves_out_the_rarest(task: TrainingTask) -> None:
    whole, less = LinearLearner().fit(task, map), LinearLearner(max_features=30).fit(task, map)
    assert less.facts["features"] == 30
    assert less.facts["trimmedFeatures"] == whole.facts["features"] - 30


@pytest.mark.parametrize("kind", ["BINARY", "CATEGORICAL"])
def test_separable_classes_have_finite_weights(write: Callable[..., Datasource], files: ByteSource, kind: str) -> None:
    schema = Schema((Attribute("x", AttributeType.NUMERIC), Attribute("y", AttributeType(kind))), target="y")
    x = np.arange(200.0)
    y = pa.array(x >= 100) if kind == "BINARY" else pa.array(np.where(x >= 100, "b", "a"))
    fit = LinearLearner().fit(task_of(write(pa.table({"x": x, "y": y}), 50, schema), files), map)
    assert np.isfinite(fit.predictor.weights).all()
    assert fit.facts["converged"]
    assert next(iter(fit.facts["validation"].values())) == 1.0


def test_constant_and_dependent_columns_are_no_obstacle(write: Callable[..., Datasource], files: ByteSource) -> None:
    kinds = {"x": "NUMERIC", "same": "NUMERIC", "flat": "NUMERIC", "one": "CATEGORICAL", "y": "BINARY"}
    schema = Schema(tuple(Attribute(name, AttributeType(kind)) for name, kind in kinds.items()), target="y")
    rng = np.random.default_rng(2)
    x = rng.normal(size=300)
    columns = {"x": x, "same": 2 * x, "flat": np.full(300, 1e8), "one": ["a"] * 300, "y": rng.random(300) < 0.5 + x / 9}
    task = task_of(write(pa.table(columns), 70, schema), files, '{"outputs": ["x", "same", "flat", "one"]}')
    fit = LinearLearner(1.0).fit(task, map)
    weights = dict(zip(fit.predictor.featurizer.feature_names, fit.predictor.weights[:, 0], strict=True))
    assert weights["flat"] == pytest.approx(0.0, abs=1e-9)
    assert weights["one=a"] == pytest.approx(0.0, abs=1e-6)
    assert weights["same"] == pytest.approx(2 * weights["x"], rel=1e-2)


def test_a_class_of_one_record_is_learnt(write: Callable[..., Datasource], files: ByteSource) -> None:
    schema = Schema((Attribute("x", AttributeType.NUMERIC), Attribute("y", AttributeType.CATEGORICAL)), target="y")
    table = pa.table({"x": np.arange(60.0), "y": ["rare", *(["a", "b"] * 29), "a"]})
    fit = LinearLearner().fit(task_of(write(table, 20, schema), files), map)
    assert fit.predictor.weights.shape[1] == 3
    assert np.isfinite(fit.predictor.intercepts).all()


@pytest.mark.parametrize("records", [2, 3, 5])
def test_few_records_are_enough(write: Callable[..., Datasource], files: ByteSource, records: int) -> None:
    schema = Schema((Attribute("x", AttributeType.NUMERIC), Attribute("y", AttributeType.NUMERIC)), target="y")
    table = pa.table({"x": np.arange(records) * 1.0, "y": np.arange(records) * 2.0})
    fit = LinearLearner(0.0).fit(task_of(write(table, 2, schema), files, '{"outputs": ["x"]}'), map)
    assert fit.predictor.weights[:, 0].tolist() == pytest.approx([2.0, 0.0])


def test_a_single_record_is_not(write: Callable[..., Datasource], files: ByteSource) -> None:
    schema = Schema((Attribute("x", AttributeType.NUMERIC), Attribute("y", AttributeType.NUMERIC)), target="y")
    task = task_of(write(pa.table({"x": [1.0, 2.0], "y": [None, 2.0]}), 2, schema), files, '{"outputs": ["x"]}')
    with pytest.raises(ModelError, match="at least 2 are needed"):
        LinearLearner().fit(task, map)


def test_a_recipe_without_known_values_predicts_the_mean(write: Callable[..., Datasource], files: ByteSource) -> None:
    schema = Schema((Attribute("c", AttributeType.CATEGORICAL), Attribute("y", AttributeType.NUMERIC)), target="y")
    task = task_of(write(pa.table({"c": pa.nulls(3, pa.string()), "y": [1.0, 2.0, 6.0]}), schema=schema), files)
    fit = LinearLearner().fit(task, map)
    assert fit.predictor.weights.shape == (0, 1)
    assert fit.predictor.intercepts[0] == pytest.approx(3.0)


@pytest.mark.parametrize("kind", ["NUMERIC", "BINARY"])
def test_numbers_too_large_to_be_squared(write: Callable[..., Datasource], files: ByteSource, kind: str) -> None:
    schema = Schema((Attribute("x", AttributeType.NUMERIC), Attribute("y", AttributeType(kind))), target="y")
    y = [1.0, 2.0] * 20 if kind == "NUMERIC" else [True, False] * 20
    table = pa.table({"x": [1e308, -1e308, 1e300, 5.0] * 10, "y": y})
    task = task_of(write(table, 20, schema), files, '{"outputs": ["x"]}')
    with pytest.raises(ModelError, match="too large"):
        LinearLearner().fit(task, map)


def test_no_penalty_on_classes_is_refused(task: TrainingTask) -> None:
    if task.target.model_type is ModelType.REGRESSION:
        assert LinearLearner(0.0).fit(task, map).parameters["l2"] == 0
    else:
        with pytest.raises(ModelError, match=r"linear\.l2 is 0.* above 0, or auto"):
            LinearLearner(0.0).fit(task, map)


def test_too_many_features_that_can_not_be_trimmed(task: TrainingTask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_learner, "_MOST_FEATURES", 10)
    assert LinearLearner(max_features=5).fit(task, map).facts["features"] > 10
    monkeypatch.setattr(class_records, "KEPT_CODES", 0)
    with pytest.raises(ModelError, match="the linear learner takes 10"):
        LinearLearner(max_features=5).fit(task, map)


def test_parameters_are_read() -> None:
    assert LinearLearner.from_parameters({}) == LinearLearner()
    assert LinearLearner.from_parameters({"linear.l2": "auto", "linear.maxFeatures": "10000"}) == LinearLearner(
        max_features=10_000
    )
    assert LinearLearner.from_parameters({"linear.l2": 2, "linear.l2Numbers": "30"}) == LinearLearner(2.0, 30.0)
    steps = {"linear.l2": 2, "linear.l2Numbers": 30, "linear.l2Steps": "400"}
    assert LinearLearner.from_parameters(steps) == LinearLearner(2.0, 30.0, 400.0)
    with pytest.raises(ModelError, match=r"linear\.l2 and linear\.l2Steps differ, and one is 0"):
        LinearLearner.from_parameters({"linear.l2": 2, "linear.l2Steps": 0})
    assert LinearLearner.from_parameters({"linear.l2": "1.0E-06"}) == LinearLearner(1e-6)
    assert LinearLearner.from_parameters({"linear.l2": 0}) == LinearLearner(0.0)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("linear.l2", -1, "l2 must be a number from 0"),
        ("linear.l2", "nan", "l2 must be"),
        ("linear.l2Numbers", 5, "l2Numbers is given and linear.l2 is not"),
        ("linear.l2Steps", 5, "l2Steps is given and linear.l2 is not"),
        ("linear.maxFeatures", 10_001, "from 1 to 10,000"),
        ("linear.maxFeatures", 1.5, "a whole number"),
        ("sgd.maxPasses", 1, "has no parameter"),
    ],
)
def test_parameters_out_of_range(key: str, value: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        LinearLearner.from_parameters({key: value})


def test_the_seed_draws_the_validation_slice(task: TrainingTask) -> None:
    one, other = (LinearLearner(1.0).fit(replace(task, seed=seed), map) for seed in "ab")
    assert one.facts["validationLoss"] != other.facts["validationLoss"]
    np.testing.assert_allclose(one.predictor.weights, other.predictor.weights, atol=1e-3)
