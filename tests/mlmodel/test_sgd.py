from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from nightcast.datasource.insights import compute_insights
from nightcast.datasource.parts import ByteSource, Datasource, read_batches
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.errors import ModelError
from nightcast.mlmodel import sgd_source
from nightcast.mlmodel.learners import Fit, TrainingTask, in_validation
from nightcast.mlmodel.linear_learner import LinearLearner
from nightcast.mlmodel.linear_predictor import LinearPredictor
from nightcast.mlmodel.model import Link
from nightcast.mlmodel.sgd import SgdLearner
from nightcast.mlmodel.sgd_coordinates import coordinates, part_records
from nightcast.mlmodel.sgd_loss import losses
from nightcast.mlmodel.sgd_passes import RATES
from nightcast.mlmodel.sgd_records import Records, joined
from nightcast.mlmodel.sgd_steps import Penalty, Steps
from nightcast.mlmodel.sgd_trimming import trimmed
from nightcast.mlmodel.targets import ModelType, Target
from nightcast.mlmodel.validation import validation_facts
from nightcast.recipe.featurizer import build_featurizer
from nightcast.recipe.grammar import parse_recipe

GOLDEN = Path(__file__).parent / "golden" / "sgd.log"
ALL = '{"outputs": ["ALL_INPUTS"]}'
BINNED = '{"outputs": ["ALL_INPUTS", "quantile_bin(price,20)", "quantile_bin(day,20)"]}'


def task_of(datasource: Datasource, files: ByteSource, recipe: str = ALL, **changes: Any) -> TrainingTask:
    insights, schema = compute_insights(datasource, files), datasource.schema
    target = Target.of(schema, insights)
    task = TrainingTask(datasource, insights, parse_recipe(recipe, schema), target, Rearrangement(), files)
    return replace(task, **changes)


def predictions(fit: Fit, datasource: Datasource, files: ByteSource) -> np.ndarray:
    return np.concatenate(
        [
            fit.link.predictions(fit.predictor.raw_scores(batch))
            for part in datasource.numbered()
            for batch in read_batches(part, files)
        ]
    )


def targets_of(task: TrainingTask) -> tuple[np.ndarray, np.ndarray]:
    found = [
        task.target.labels(batch) for part in task.datasource.numbered() for batch in read_batches(part, task.source)
    ]
    return np.concatenate([labels.values for labels in found]), np.concatenate([labels.known for labels in found])


def loss_of(fit: Fit, task: TrainingTask) -> float:
    values, known = targets_of(task)
    found = predictions(fit, task.datasource, task.source)
    return validation_facts(task.target.model_type, values[known], found[known])[1]


def with_target(sales: pa.Table, schema: Schema, kind: AttributeType) -> tuple[pa.Table, Schema]:
    """Sales with classes instead of numbers, which the attributes do not tell for sure."""
    sold = np.array(sales["sold"].to_pylist(), dtype=float)
    known = np.isfinite(sold)
    noisy = np.where(known, sold, 0) + np.random.default_rng(3).logistic(0, 2, len(sold))
    classes = np.digitize(noisy, [15.0, 20.0])
    column = pa.array(classes > 0) if kind is AttributeType.BINARY else pa.array([f"k{one}" for one in classes])
    attributes = tuple(replace(one, type=kind) if one.name == "sold" else one for one in schema.attributes)
    place = sales.schema.get_field_index("sold")
    return sales.set_column(place, "sold", column), replace(schema, attributes=attributes)


@pytest.mark.parametrize("recipe", [ALL, BINNED])
def test_regression_is_about_as_good_as_the_exact_solution(
    datasource: Datasource, files: ByteSource, recipe: str
) -> None:
    task = task_of(datasource, files, recipe)
    fit, exact = SgdLearner().fit(task, map), LinearLearner().fit(task, map)
    facts = fit.facts
    assert fit.link is Link.IDENTITY
    assert loss_of(fit, task) < 1.02 * loss_of(exact, task)
    assert facts["validationLoss"] < 1.02 * exact.facts["validationLoss"]
    assert facts["validation"] == {"RegressionRMSE": facts["validationLoss"]}
    assert facts["learningRate"] in RATES
    assert 1 <= facts["passes"] <= facts["searchPasses"] <= 10
    known = targets_of(task)[1].sum()
    assert facts["updates"] == known * facts["passes"]
    assert facts["searchUpdates"] == (known - facts["validationRecords"]) * facts["searchPasses"]
    assert facts["features"] == fit.predictor.size
    assert facts["size"] <= 96 * (fit.predictor.size + 1)
    assert facts["pruned"] == 0
    json.dumps(facts, allow_nan=False)
    slice_, (values, known) = np.zeros(3000, dtype=np.bool_), targets_of(task)
    for part in datasource.numbered():
        numbers = np.arange(part.first_record, part.first_record + part.part.records)
        slice_[numbers] = in_validation(numbers, "")
    found = predictions(replace(fit, predictor=fit.held_out[0]), datasource, files)
    errors = (found - values)[slice_ & known]
    assert np.sqrt((errors**2).mean()) == pytest.approx(facts["validationLoss"], rel=1e-9)
    assert any("model-performance: rmse=" in line for line in fit.log)


@pytest.mark.parametrize("kind", [AttributeType.BINARY, AttributeType.CATEGORICAL])
def test_classes_are_told_about_as_well_as_by_the_exact_solution(
    write: Callable[..., Datasource], files: ByteSource, sales: pa.Table, schema: Schema, kind: AttributeType
) -> None:
    table, schema = with_target(sales, schema, kind)
    task = task_of(write(table, 1100, schema), files, BINNED)
    fit, exact = SgdLearner().fit(task, map), LinearLearner().fit(task, map)
    assert fit.facts["validationLoss"] < 1.02 * exact.facts["validationLoss"]
    metric = {AttributeType.BINARY: "BinaryAUC", AttributeType.CATEGORICAL: "MulticlassAvgFScore"}[kind]
    assert list(fit.facts["validation"]) == [metric, "logLoss"]
    assert fit.facts["validation"]["logLoss"] == fit.facts["validationLoss"]
    found = predictions(fit, task.datasource, files)
    assert fit.link is (Link.LOGIT if kind is AttributeType.BINARY else Link.SOFTMAX)
    assert found.shape == ((3000,) if kind is AttributeType.BINARY else (3000, 3))
    assert ((found > 0) & (found < 1)).all()


def test_parts_workers_and_threads_do_not_matter(
    write: Callable[..., Datasource], files: ByteSource, sales: pa.Table, tmp_path: Path
) -> None:
    def backwards(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        listed = list(items)
        return iter([function(item) for item in listed[::-1]][::-1])

    insights, found = compute_insights(write(sales), files), []
    for size, mapper, threads in ((3000, map, 1), (700, backwards, 2)):
        with threadpool_limits(threads):
            fit = SgdLearner(max_passes=3).fit(task_of(write(sales, size), files, BINNED, insights=insights), mapper)
        folder = tmp_path / f"model-{threads}"
        folder.mkdir()
        found.append((fit.facts, fit.log, [(folder / name).read_bytes() for name in fit.predictor.save(folder)]))
    assert found[0] == found[1]


def test_what_does_not_fit_in_memory_is_read_again_in_each_pass(
    datasource: Datasource, files: ByteSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of(datasource, files, BINNED)
    held = SgdLearner(4).fit(task, map)
    monkeypatch.setattr(sgd_source, "KEPT_ENTRIES", 5_000)
    monkeypatch.setattr(sgd_source, "SHUFFLED_RECORDS", 1_000)
    for shuffle in ("auto", "none"):
        streamed = [SgdLearner(4, shuffle).fit(task, map) for _ in range(2)]
        assert streamed[0].log == streamed[1].log
        assert streamed[0].facts["validationRecords"] == held.facts["validationRecords"]
        assert streamed[0].facts["validationLoss"] == pytest.approx(held.facts["validationLoss"], rel=0.01)
        assert streamed[0].log != held.log


def test_the_seed_shuffles_and_none_does_not_shuffle(datasource: Datasource, files: ByteSource) -> None:
    tasks = [task_of(datasource, files, seed=seed) for seed in ("", "", "other")]
    logs = [SgdLearner(max_passes=1).fit(task, map).log for task in tasks]
    assert logs[0] == logs[1] != logs[2]
    ordered = SgdLearner(max_passes=1, shuffle_type="none").fit(tasks[0], map).log
    assert ordered != logs[0]


def records_of(task: TrainingTask) -> Records:
    vocabularies: dict[str, Any] = {}
    found = coordinates(task, build_featurizer(task.recipe, task.datasource.schema, task.insights, vocabularies))
    return joined([one for part in task.datasource.numbered() for one in part_records(part, task, found)])


def test_shuffling_keeps_the_records_and_mixes_them(datasource: Datasource, files: ByteSource) -> None:
    records = records_of(task_of(datasource, files))
    shuffled = records.shuffled("seed")
    assert (np.sort(records.targets) == np.sort(shuffled.targets)).all()
    assert len(shuffled.columns) == len(records.columns)
    order = np.argsort(records.targets, kind="stable")
    place = int(order[7])
    again = int(np.flatnonzero(shuffled.targets == records.targets[place])[0])
    for side, row in ((records, place), (shuffled, again)):
        assert (side.taken(np.array([row])).columns == records.taken(np.array([place])).columns).all()
    places = np.argsort(order)[np.searchsorted(np.sort(records.targets), shuffled.targets)]
    assert abs(np.corrcoef(np.arange(len(places)), places)[0, 1]) < 0.1


def test_missing_numbers_count_as_the_mean_and_what_they_tell_beyond(
    write: Callable[..., Datasource], files: ByteSource
) -> None:
    rng = np.random.default_rng(5)
    year, gone = rng.normal(2020, 2, 4000), rng.random(4000) < 0.3
    target = np.where(gone, 7.0, 3 * (year - 2020)) + rng.normal(0, 0.1, 4000)
    schema = Schema((Attribute("year", AttributeType.NUMERIC), Attribute("y", AttributeType.NUMERIC)), target="y")
    task = task_of(write(pa.table({"year": pa.array(year, mask=gone), "y": target}), schema=schema), files)
    fit = SgdLearner().fit(task, map)
    found = predictions(fit, task.datasource, files)
    assert found[gone] == pytest.approx(7.0, abs=0.05)
    assert found[~gone] == pytest.approx(3 * (year[~gone] - 2020), abs=0.2)
    assert fit.facts["validationLoss"] < 0.11


def test_numbers_that_depend_on_each_other_are_told_apart(write: Callable[..., Datasource], files: ByteSource) -> None:
    rng = np.random.default_rng(2)
    base = rng.normal(0, 1, (5000, 1))
    lags = 1e5 + base + 0.05 * rng.normal(0, 1, (5000, 4))
    target = lags @ [5.0, -5.0, 3.0, -3.0] + rng.normal(0, 0.1, 5000)
    names = [f"lag{place}" for place in range(4)]
    schema = Schema(tuple(Attribute(name, AttributeType.NUMERIC) for name in [*names, "y"]), target="y")
    table = pa.table(dict(zip([*names, "y"], [*lags.T, target], strict=True)))
    task = task_of(write(table, schema=schema), files)
    fit = SgdLearner().fit(task, map)
    assert fit.facts["validationLoss"] < 0.105
    assert isinstance(fit.predictor, LinearPredictor)
    assert fit.predictor.weights[[0, 2, 4, 6], 0] == pytest.approx([5.0, -5.0, 3.0, -3.0], abs=0.1)


def test_l1_makes_weights_zero_and_drops_their_values(datasource: Datasource, files: ByteSource) -> None:
    task = task_of(datasource, files)
    sizes = []
    for l1 in (0.0, 0.01, 1e6):
        fit = SgdLearner(l1=l1, l2=0.0).fit(task, map)
        assert isinstance(fit.predictor, LinearPredictor)
        sizes.append(fit.predictor.size)
        assert fit.predictor.weights.shape == (fit.predictor.size, 1)
    assert sizes[0] > sizes[1] > sizes[2]
    assert (fit.predictor.weights == 0).all()
    assert "venue=v1" not in fit.predictor.featurizer.feature_names
    values, known = targets_of(task)
    assert fit.predictor.intercepts[0] == pytest.approx(values[known].mean(), abs=0.2)


def test_l2_shrinks_weights_as_a_ridge_regression_does(write: Callable[..., Datasource], files: ByteSource) -> None:
    rng = np.random.default_rng(7)
    group = np.minimum(rng.integers(0, 9, 8000), 4)
    target = 3.0 * group + rng.normal(0, 1, 8000)
    schema = Schema((Attribute("g", AttributeType.CATEGORICAL), Attribute("y", AttributeType.NUMERIC)), target="y")
    table = pa.table({"g": [f"g{one}" for one in group], "y": target})
    task = task_of(write(table, schema=schema), files)
    indicators = (group[:, None] == np.arange(5)).astype(float)
    centered = indicators - indicators.mean(axis=0)
    for l2 in (1e-6, 0.1, 1.0):
        exact = np.linalg.solve(
            centered.T @ centered / 8000 + l2 * np.eye(5), centered.T @ (target - target.mean()) / 8000
        )
        found = predictions(SgdLearner(l2=l2).fit(task, map), task.datasource, files)
        assert found == pytest.approx(target.mean() + centered @ exact, abs=0.15)
    gone = SgdLearner(l2=1e300).fit(task, map).predictor
    assert isinstance(gone, LinearPredictor)
    assert np.abs(gone.weights).max(initial=0.0) < 1e-100


def test_a_small_model_keeps_what_matters(write: Callable[..., Datasource], files: ByteSource) -> None:
    rng = np.random.default_rng(1)
    words = np.array([f"w{number}" for number in range(4000)])
    often, seldom = np.minimum(rng.zipf(1.2, (3000, 8)), 4000) - 1, rng.integers(0, 4000, (3000, 8))
    drawn = np.where(rng.random((3000, 8)) < 0.6, often, seldom)
    target = 5.0 * (drawn == 3).any(axis=1) - 4.0 * (drawn == 40).any(axis=1) + rng.normal(0, 1, 3000)
    schema = Schema((Attribute("t", AttributeType.TEXT), Attribute("y", AttributeType.NUMERIC)), target="y")
    table = pa.table({"t": [" ".join(words[row]) for row in drawn], "y": target})
    task = task_of(write(table, schema=schema), files)
    whole = SgdLearner().fit(task, map)
    small = SgdLearner(max_ml_model_size_in_bytes=100_000).fit(task, map)
    assert small.facts["pruned"] > 0
    assert small.facts["trimmedFeatures"] > 0
    assert small.facts["size"] <= 100_000 < whole.facts["size"]
    assert isinstance(small.predictor, LinearPredictor)
    assert np.count_nonzero(small.predictor.weights) + 1 <= 1041
    assert small.predictor.size < whole.predictor.size
    names = small.predictor.featurizer.feature_names
    weights = dict(zip(names, small.predictor.weights[:, 0], strict=True))
    assert weights["t=w3"] > 3.5
    assert weights["t=w40"] < -2.5
    assert loss_of(small, task) < 1.0 < 0.5 * targets_of(task)[0].std()
    assert any(line.startswith("final-consolidation: #params=1041 #pruned=") for line in small.log)


@given(st.integers(0, 30), st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_trimming_keeps_the_mean_score_and_the_most_important(room: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    slopes, shares = rng.normal(0, 1, (9, 2)) * (rng.random((9, 2)) < 0.8), rng.random(8)
    found, count = trimmed(slopes, shares, shares, room)
    left = np.count_nonzero(found[:-1])
    assert left <= max(room - 2, 0)
    assert count == np.count_nonzero(slopes[:-1]) - left
    assert found[-1] + shares @ found[:-1] == pytest.approx(slopes[-1] + shares @ slopes[:-1])
    importance = np.abs(slopes[:-1]) * np.sqrt(shares)[:, None]
    gone = (found[:-1] == 0) & (slopes[:-1] != 0)
    assert not gone.any() or importance[gone].max() <= importance[found[:-1] != 0].min(initial=np.inf)


@pytest.mark.parametrize("model_type", list(ModelType))
def test_residuals_are_the_derivatives_of_the_losses(model_type: ModelType) -> None:
    rng = np.random.default_rng(4)
    outputs = 3 if model_type is ModelType.MULTICLASS else 1
    scores, targets = rng.normal(0, 3, (6, 2, outputs)), rng.integers(0, max(outputs, 2), 6).astype(float)
    found = losses(model_type, scores, targets)
    for output in range(outputs):
        moved = np.zeros(outputs)
        moved[output] = 1e-6
        above, below = (losses(model_type, scores + sign * moved, targets).values for sign in (1, -1))
        assert found.residuals[:, :, output] == pytest.approx((above - below) / 2e-6, abs=1e-6)


def some_records(rng: np.random.Generator, size: int, width: int) -> Records:
    counts = rng.integers(0, 4, size)
    columns = np.concatenate([np.sort(rng.choice(width - 1, count, replace=False)) for count in counts])
    offsets = np.concatenate([[0], np.cumsum(counts)])
    numbers = np.ones((size, 1))
    return Records(offsets, columns.astype(np.int32), numbers, rng.normal(0, 1, size), np.zeros(size, dtype=np.bool_))


def test_averages_of_steps_are_those_of_their_weights() -> None:
    rng = np.random.default_rng(8)
    steps = Steps(ModelType.REGRESSION, (0.1, 10.0), np.array([20]), np.zeros(1), Penalty(l2=1e-3))
    total, weights = np.zeros((21, 2)), 0.0
    for size in (1, 5, 9, 30, 30):
        before = steps.records
        steps.step(some_records(rng, size, 21))
        share = float(steps.records**4 - before**4)
        total += share * steps.weights
        weights += share
    assert steps.averages() == pytest.approx(total / weights)


@pytest.mark.parametrize("penalty", [Penalty(), Penalty(l2=1e-3), Penalty(l1=1e-3)])
def test_steps_over_few_of_many_features_are_those_over_all(penalty: Penalty) -> None:
    found = []
    for spare in (0, 5000):
        rng = np.random.default_rng(6)
        width = 31 + spare
        steps = Steps(ModelType.BINARY, RATES, np.array([width - 1]), np.zeros(1), penalty)
        for _ in range(20):
            records = some_records(rng, 12, 31)
            steps.step(replace(records, targets=(records.targets > 0).astype(float)))
        assert (steps.weights[30 : width - 1] == 0).all()
        found.append(np.append(steps.averages()[:30], steps.averages()[-1:], axis=0))
    assert found[0] == pytest.approx(found[1], rel=1e-12)


@pytest.mark.parametrize("model_type", [ModelType.REGRESSION, ModelType.BINARY])
def test_no_rate_makes_a_step_that_leaves_its_records_worse(model_type: ModelType) -> None:
    rng = np.random.default_rng(9)
    steps = Steps(model_type, RATES, np.array([30]), np.zeros(1), Penalty())
    for size in (1, 3, 20, 50, 50):
        records = some_records(rng, size, 31)
        records = replace(records, targets=(records.targets > 0).astype(float))
        before = steps.step(records)[1].values.sum(axis=0)
        scores = np.stack(
            [
                steps.weights[records.columns[begin:end]].sum(axis=0) + steps.weights[-1]
                for begin, end in zip(records.offsets[:-1], records.offsets[1:], strict=True)
            ]
        )
        after = losses(model_type, scores[:, :, None], records.targets).values.sum(axis=0)
        assert (after <= before * (1 + 1e-12)).all()
    # Rates of 10 and 100 are bounded alike at first, as in Amazon ML's logs.
    first = Steps(model_type, RATES, np.array([30]), np.zeros(1), Penalty())
    first.step(records)
    assert (first.weights[:, 3] == first.weights[:, 4]).all()


def test_parameters_come_by_amazon_mls_names_as_strings_too() -> None:
    learner = SgdLearner.from_parameters(
        {
            "sgd.maxPasses": "100",
            "sgd.shuffleType": "none",
            "sgd.l2RegularizationAmount": "1.0E-06",
            "sgd.l1RegularizationAmount": "0.0",
            "sgd.maxMLModelSizeInBytes": "33554432",
        }
    )
    assert learner == SgdLearner(100, "none", 0.0, 1e-6, 33_554_432)
    assert SgdLearner.from_parameters({}) == SgdLearner(10, "auto", 0.0, None, 104_857_600)
    assert SgdLearner().parameters["l2RegularizationAmount"] == 1e-6
    assert SgdLearner(l1=0.1).parameters["l2RegularizationAmount"] == 0.0
    assert SgdLearner.from_parameters({"sgd.l1RegularizationAmount": "1e-4"}) == SgdLearner(l1=1e-4)
    assert learner.parameters["l2RegularizationAmount"] == 1e-6


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sgd.maxPasses": 0}, "sgd.maxPasses must be a whole number from 1 to 10,000, not 0"),
        ({"sgd.maxPasses": "2.5"}, "whole number"),
        ({"sgd.shuffleType": "sometimes"}, "one of auto, none"),
        ({"sgd.l2RegularizationAmount": "nan"}, "must be a number"),
        ({"sgd.l1RegularizationAmount": float("inf")}, "must be a number"),
        ({"sgd.l1RegularizationAmount": -1}, "from 0 to"),
        ({"sgd.maxMLModelSizeInBytes": 99_999}, "from 100,000"),
        ({"sgd.learningRate": 1}, "no parameter 'sgd.learningRate'; it has sgd.maxPasses"),
        ({"sgd.l1RegularizationAmount": "1e-6", "sgd.l2RegularizationAmount": 1e-6}, "takes one of them"),
    ],
)
def test_parameters_out_of_range_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        SgdLearner.from_parameters(given)


NUMBERS = Schema((Attribute("x", AttributeType.NUMERIC), Attribute("y", AttributeType.NUMERIC)), target="y")


def test_a_constant_target_is_predicted_and_one_record_refused(
    write: Callable[..., Datasource], files: ByteSource
) -> None:
    constant = task_of(write(pa.table({"x": [1.0, 2.0, 4.0] * 9, "y": [5.0] * 27}), schema=NUMBERS), files)
    fit = SgdLearner().fit(constant, map)
    assert predictions(fit, constant.datasource, files) == pytest.approx(5.0)
    assert fit.facts["validationLoss"] == pytest.approx(0.0, abs=1e-9)
    two = task_of(write(pa.table({"x": [1.0, 2.0], "y": [5.0, 6.0]}), schema=NUMBERS), files)
    assert np.isfinite(predictions(SgdLearner().fit(two, map), two.datasource, files)).all()
    for table in ({"x": [1.0], "y": [5.0]}, {"x": [1.0, 2.0], "y": pa.array([None, 5.0])}):
        few = task_of(write(pa.table(table), schema=NUMBERS), files)
        with pytest.raises(ModelError, match=r"1 training record\(s\) have a target, at least 2 are needed"):
            SgdLearner().fit(few, map)


def test_numbers_beyond_float64_are_refused_and_outliers_are_not(
    write: Callable[..., Datasource], files: ByteSource
) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, 300)
    wild = np.append(x, [1e9, -1e7])
    task = task_of(write(pa.table({"x": wild, "y": np.append(2 * x, [0.0, 3.0])}), schema=NUMBERS), files)
    assert np.isfinite(SgdLearner().fit(task, map).facts["validationLoss"])
    large = task_of(write(pa.table({"x": 1e200 * x, "y": x}), schema=NUMBERS), files)
    assert SgdLearner().fit(large, map).facts["validationLoss"] < 0.01
    huge = task_of(write(pa.table({"x": np.full(300, 1.7e308), "y": x}), schema=NUMBERS), files)
    with pytest.raises(ModelError, match="too large for float64"):
        SgdLearner().fit(huge, map)


def test_the_log_has_the_content_of_amazon_mls(write: Callable[..., Datasource], files: ByteSource) -> None:
    rng = np.random.default_rng(12)
    size = 150
    venue, price = rng.integers(0, 3, size), np.round(rng.normal(30, 5, size), 1)
    sold = (venue + rng.normal(0, 1, size) > 1).tolist()
    sold[4] = None
    kinds = {"venue": AttributeType.CATEGORICAL, "price": AttributeType.NUMERIC, "sold": AttributeType.BINARY}
    schema = Schema(tuple(Attribute(name, kind) for name, kind in kinds.items()), target="sold")
    table = pa.table({"venue": [f"v{one}" for one in venue], "price": price, "sold": pa.array(sold, pa.bool_())})
    fit = SgdLearner(max_passes=2, l2=1e-6).fit(task_of(write(table, schema=schema), files), map)
    assert list(fit.log) == GOLDEN.read_text(encoding="utf-8").splitlines()
    trained = size - 1 - in_validation(np.arange(size), "")[np.arange(size) != 4].sum()
    for updates in (0, 64, 128, trained, 2 * trained):
        assert f"updates={updates} pass" in "\n".join(fit.log)


def test_the_log_of_many_passes_stays_short(write: Callable[..., Datasource], files: ByteSource) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(0, 1, 60)
    task = task_of(write(pa.table({"x": x, "y": np.sign(x)}), schema=NUMBERS), files)
    fit = SgdLearner(max_passes=10_000).fit(task, map)
    assert fit.facts["searchPasses"] < 200
    assert len(fit.log) < 2_000
