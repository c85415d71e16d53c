from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from threadpoolctl import threadpool_limits

from nightcast.datasource.insights import compute_insights
from nightcast.datasource.parts import ByteSource, Datasource, read_batches
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.errors import ModelError
from nightcast.mlmodel import boosting_fit, boosting_search
from nightcast.mlmodel.boosting import BoostingLearner
from nightcast.mlmodel.category_means import with_category_means
from nightcast.mlmodel.held_out import held_out_records
from nightcast.mlmodel.learners import FOLDS, Fit, TrainingTask, fold_of
from nightcast.mlmodel.model import Link
from nightcast.mlmodel.targets import Target
from nightcast.mlmodel.training_matrix import TrainingRows, training_rows
from nightcast.mlmodel.tree_columns import MeanColumn, NumberColumn
from nightcast.mlmodel.tree_encoder import TreeEncoder, build_encoder
from nightcast.mlmodel.trees import BoostedTrees
from nightcast.recipe.grammar import parse_recipe

QUICK = BoostingLearner(max_iterations=30, learning_rate=0.3, max_leaves=6, min_leaf_records=20)
ALL = '{"outputs": ["ALL_INPUTS"]}'
KINDS = {"number": AttributeType.NUMERIC, "truth": AttributeType.BINARY, "word": AttributeType.CATEGORICAL}


def task_of(datasource: Datasource, files: ByteSource, recipe: str = ALL, **changes: Any) -> TrainingTask:
    insights, schema = compute_insights(datasource, files), datasource.schema
    task = TrainingTask(
        datasource,
        insights,
        parse_recipe(recipe, schema),
        Target.of(schema, insights),
        Rearrangement(),
        files,
    )
    return replace(task, **changes)


def predictions(fit: Fit, datasource: Datasource, files: ByteSource) -> np.ndarray:
    return np.concatenate(
        [
            fit.link.predictions(fit.predictor.raw_scores(batch))
            for part in datasource.numbered()
            for batch in read_batches(part, files)
        ]
    )


def table_schema(target: str, **kinds: AttributeType) -> Schema:
    return Schema(tuple(Attribute(name, kind) for name, kind in kinds.items()), target=target)


def test_trees_are_better_than_the_mean_and_say_how_they_came_to_be(
    datasource: Datasource, files: ByteSource, sales: pa.Table
) -> None:
    task = task_of(datasource, files)
    fit = QUICK.fit(task, map)
    targets = np.array(sales["sold"].to_pylist(), dtype=float)
    known = np.isfinite(targets)
    errors = predictions(fit, datasource, files)[known] - targets[known]
    facts = fit.facts
    assert np.sqrt((errors**2).mean()) < 2.0 < targets[known].std() / 1.5
    assert fit.link is Link.IDENTITY
    assert facts["validation"] == {"RegressionRMSE": facts["validationLoss"]}
    assert np.sqrt((errors**2).mean()) * 0.8 < facts["validationLoss"] < 2.2
    assert facts["trainingRecords"] == facts["sampledRecords"] == known.sum()
    # The mean of as many fits as there are folds.
    assert facts["models"] == facts["folds"] == FOLDS == len(fit.held_out)
    assert facts["features"] == len(fit.predictor.encoder.titles)
    assert facts["validationCurve"][0] == [0, pytest.approx(targets[known].var(), rel=0.1)]
    assert facts["iterations"] in [number for number, _ in facts["validationCurve"]]
    assert next(iter(facts["importance"])) in ("price", "day", "venue")
    assert facts["importance"]["promo"] < 0.02
    assert fit.parameters["learningRate"] == 0.3
    assert fit.parameters["maxLeaves"] == 6
    assert fit.parameters["loss"] == "squared_error"
    assert any(line.startswith("iteration 10: training loss") for line in fit.log)
    json.dumps(facts, allow_nan=False)


@pytest.mark.parametrize("limit", ["_FOLDED_RECORDS", "_FOLDED_CELLS"])
def test_of_many_records_the_validation_slice_alone_judges_and_one_fit_is_kept(
    datasource: Datasource, files: ByteSource, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(boosting_search, limit, 2_900)
    fit = QUICK.fit(task_of(datasource, files), map)
    assert (fit.facts["models"], fit.facts["folds"], list(fit.held_out)) == (1, 1, [0])


def test_parts_workers_and_threads_do_not_matter(
    write: Callable[..., Datasource],
    files: ByteSource,
    sales: pa.Table,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def backwards(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        listed = list(items)
        return iter([function(item) for item in listed[::-1]][::-1])

    monkeypatch.setattr(boosting_fit, "_CELLS_WORTH_THREADS", 0)
    found = []
    for size, mapper, threads in ((3000, map, 1), (700, backwards, 2)):
        datasource = write(sales, size)
        # Insights of other parts differ in the last bits of means, which no tree reads.
        with threadpool_limits(threads):
            fit = replace(QUICK, max_iterations=4, row_budget=2000).fit(task_of(datasource, files), mapper)
        folder = tmp_path / f"model-{threads}"
        folder.mkdir()
        names = fit.predictor.save(folder)
        found.append((fit.facts, fit.log, [(folder / name).read_bytes() for name in names]))
    assert found[0] == found[1]
    facts = found[0][0]
    assert 1850 < facts["sampledRecords"] < 2150
    assert 2900 < facts["trainingRecords"] < 3000
    assert found[0][1][0].startswith("learning from a sample of")


def test_the_seed_decides_what_is_drawn(datasource: Datasource, files: ByteSource) -> None:
    tasks = [task_of(datasource, files, seed=seed) for seed in ("", "", "other")]
    encoder = build_encoder(("price",), tasks[0].insights, means=True)
    first, again, other = (training_rows(task, encoder, 500, map) for task in tasks)
    np.testing.assert_array_equal(first.matrix, again.matrix)
    assert first.matrix.shape != other.matrix.shape or (first.matrix != other.matrix).any()
    assert set(first.folds) == set(range(FOLDS))
    assert (first.folds == 0).mean() == pytest.approx(0.15, abs=0.05)


def test_only_the_records_of_the_rearrangement_train(datasource: Datasource, files: ByteSource) -> None:
    whole = task_of(datasource, files)
    encoder = build_encoder(("price",), whole.insights, means=True)
    every = training_rows(whole, encoder, 10_000, map)
    some = training_rows(replace(whole, rearrangement=Rearrangement(0, 70)), encoder, 10_000, map)
    np.testing.assert_array_equal(some.matrix, every.matrix[: len(some)])
    assert len(some) == pytest.approx(2100, abs=40)


def test_a_count_is_learnt_with_the_better_loss(write: Callable[..., Datasource], files: ByteSource) -> None:
    rng = np.random.default_rng(3)
    price = rng.normal(size=(1500, 2))
    sold = rng.poisson(np.exp(1.0 + 1.2 * price[:, 0] + 0.6 * price[:, 1])).astype(float)
    schema = table_schema("sold", price=KINDS["number"], other=KINDS["number"], sold=KINDS["number"])
    datasource = write(pa.table({"price": price[:, 0], "other": price[:, 1], "sold": sold}), schema=schema)
    task = task_of(datasource, files)
    fit = QUICK.fit(task, map)
    tried = [(candidate["loss"], candidate["settings"].split()[0]) for candidate in fit.facts["candidates"]]
    assert {loss for _, loss in tried} == {"loss=squared_error", "loss=poisson"}
    assert min(tried)[1] == f"loss={fit.facts['loss']}"
    squared, poisson = (replace(QUICK, loss=loss).fit(task, map) for loss in ("squared_error", "poisson"))
    assert (squared.link, poisson.link) == (Link.IDENTITY, Link.LOG)
    assert predictions(poisson, datasource, files).min() > 0
    assert predictions(poisson, datasource, files).mean() == pytest.approx(sold.mean(), rel=0.1)
    expected = squared if fit.facts["loss"] == "squared_error" else poisson
    assert fit.facts["validationLoss"] == expected.facts["validationLoss"]
    with pytest.raises(ModelError, match="targets above 0, and the least 'sold' is 0"):
        replace(QUICK, loss="gamma").fit(task, map)


def classified(write: Callable[..., Datasource], kind: AttributeType, values: list[Any], size: int) -> Datasource:
    rng = np.random.default_rng(4)
    first, second = rng.normal(size=(2, size))
    places = np.clip(np.floor(first + second / 2 + len(values) / 2), 0, len(values) - 1).astype(int)
    schema = table_schema("label", first=KINDS["number"], second=KINDS["number"], label=kind)
    labels = pa.array([values[place] for place in places])
    return write(pa.table({"first": first, "second": second, "label": labels}), schema=schema)


def test_probabilities_of_two_classes(write: Callable[..., Datasource], files: ByteSource) -> None:
    datasource = classified(write, KINDS["truth"], [False, True], 800)
    fit = QUICK.fit(task_of(datasource, files), map)
    found = predictions(fit, datasource, files)
    assert fit.link is Link.LOGIT
    assert found.shape == (800,)
    assert fit.facts["validation"]["BinaryAUC"] > 0.93
    assert fit.facts["validation"]["logLoss"] == fit.facts["validationLoss"] < 0.4
    with pytest.raises(ModelError, match="log loss"):
        replace(QUICK, loss="poisson").fit(task_of(datasource, files), map)


@pytest.mark.parametrize("classes", [2, 4])
def test_probabilities_of_several_classes(write: Callable[..., Datasource], files: ByteSource, classes: int) -> None:
    datasource = classified(write, KINDS["word"], [f"c{number}" for number in range(classes)], 600)
    fit = replace(QUICK, max_iterations=10).fit(task_of(datasource, files), map)
    found = predictions(fit, datasource, files)
    assert fit.link is Link.SOFTMAX
    assert found.shape == (600, classes)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert fit.facts["validation"]["MulticlassAvgFScore"] > 0.6
    assert fit.facts["validation"]["logLoss"] < 0.8 * np.log(classes)


def test_a_class_that_a_sample_misses_is_still_a_class(write: Callable[..., Datasource], files: ByteSource) -> None:
    rng = np.random.default_rng(4)
    number = rng.normal(size=2000)
    labels = ["up" if value > 0 else "down" for value in number]
    labels[7] = "once"
    schema = table_schema("label", number=KINDS["number"], label=KINDS["word"])
    datasource = write(pa.table({"number": number, "label": labels}), schema=schema)
    fit = replace(QUICK, max_iterations=5, row_budget=100).fit(task_of(datasource, files), map)
    found = predictions(fit, datasource, files)
    assert found.shape == (2000, 3)
    assert np.isfinite(found).all()
    assert found[:, 1].max() < 0.2


@pytest.mark.parametrize(("size", "trees"), [(2, 1), (30, None)])
def test_few_records_and_constant_targets_give_a_constant(
    write: Callable[..., Datasource], files: ByteSource, size: int, trees: int | None
) -> None:
    schema = table_schema("sold", price=KINDS["number"], sold=KINDS["number"])
    datasource = write(pa.table({"price": np.arange(size, dtype=float), "sold": np.full(size, 4.0)}), schema=schema)
    fit = QUICK.fit(task_of(datasource, files), map)
    np.testing.assert_allclose(predictions(fit, datasource, files), 4.0)
    assert fit.facts["validationLoss"] == pytest.approx(0.0, abs=1e-12)
    assert trees is None or fit.predictor.forest.trees == trees


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (KINDS["truth"], [True, False], [0.5, 0.5]),
        (KINDS["word"], ["b", "a"], [[0.5, 0.5], [0.5, 0.5]]),
    ],
)
def test_two_records_of_two_classes_give_equal_chances(
    write: Callable[..., Datasource], files: ByteSource, kind: AttributeType, values: list[Any], expected: Any
) -> None:
    schema = table_schema("label", price=KINDS["number"], label=kind)
    datasource = write(pa.table({"price": [1.0, 2.0], "label": values}), schema=schema)
    fit = QUICK.fit(task_of(datasource, files), map)
    np.testing.assert_allclose(predictions(fit, datasource, files), expected)


def test_one_record_and_huge_targets_are_refused(write: Callable[..., Datasource], files: ByteSource) -> None:
    schema = table_schema("sold", price=KINDS["number"], sold=KINDS["number"])
    one = write(pa.table({"price": [1.0, 2.0], "sold": [4.0, None]}), schema=schema)
    with pytest.raises(ModelError, match=r"1 training record\(s\) have a target"):
        QUICK.fit(task_of(one, files), map)
    huge = write(pa.table({"price": [1.0, 2.0], "sold": [4.0, 1e200]}), schema=schema)
    with pytest.raises(ModelError, match="'sold' are beyond 1e30: scale it"):
        QUICK.fit(task_of(huge, files), map)


def test_parameters_are_read_and_checked() -> None:
    learner = BoostingLearner.from_parameters(
        {"boosting.maxIterations": "50", "boosting.learningRate": "auto", "boosting.rowBudget": 1e5, "boosting.l2": "1"}
    )
    assert learner == BoostingLearner(max_iterations=50, row_budget=100_000, l2=1.0)
    for key, value in (
        ("loss", "tweedie"),
        ("maxLeaves", 1),
        ("maxIterations", 2.5),
        ("depth", 3),
        ("l2", float("nan")),
    ):
        with pytest.raises(ModelError, match=f"boosting.{key}"):
            BoostingLearner.from_parameters({f"boosting.{key}": value})


def rows_of(codes: np.ndarray, targets: np.ndarray, folds: np.ndarray) -> TrainingRows:
    matrix = np.column_stack([np.zeros(len(codes)), codes]).astype(float)
    return TrainingRows(matrix, targets, folds.astype(np.uint8), len(codes))


def test_no_record_is_told_its_own_target() -> None:
    rng = np.random.default_rng(0)
    size = 4000
    codes, folds = rng.integers(0, 500, size), rng.integers(0, FOLDS, size)
    noise = rng.normal(size=size)
    encoder = TreeEncoder((NumberColumn("price"), MeanColumn("store", tuple(f"s{code}" for code in range(500)))))
    train = folds != 0
    _, matrix = with_category_means(encoder, rows_of(codes, noise, folds), train)
    assert abs(np.corrcoef(matrix[train, 1], noise[train])[0, 1]) < 0.06
    told = noise + np.linspace(-3, 3, 500)[codes]
    filled, matrix = with_category_means(encoder, rows_of(codes, told, folds), train)
    for part in (train, ~train):
        assert np.corrcoef(matrix[part, 1], told[part])[0, 1] > 0.8
    # What is held out is encoded as it will be by the model, and says nothing of itself.
    changed = np.where(train, told, 1e6)
    again, same = with_category_means(encoder, rows_of(codes, changed, folds), train)
    assert again == filled
    np.testing.assert_array_equal(same, matrix)
    column = filled.columns[1]
    assert isinstance(column, MeanColumn)
    np.testing.assert_array_equal(matrix[~train, 1], np.array(column.means)[codes[~train]])


def test_missing_categories_stay_missing_and_rare_ones_are_near_the_mean() -> None:
    codes = np.array([0.0] * 50 + [1.0] * 50 + [2.0, 3.0, np.nan])
    targets = np.array([10.0, 12.0] * 25 + [0.0, 2.0] * 25 + [100.0, 50.0, 6.0])
    folds = np.arange(len(codes)) % FOLDS
    encoder = TreeEncoder((NumberColumn("price"), MeanColumn("store", ("a", "b", "c"))))
    filled, matrix = with_category_means(encoder, rows_of(codes, targets, folds), np.ones(len(codes), dtype=bool))
    column = filled.columns[1]
    assert isinstance(column, MeanColumn)
    assert column.mean == pytest.approx(targets.mean())
    assert 10.5 < column.means[0] < 11.1
    assert column.means[2] < 90
    assert np.isnan(matrix[-1, 1])
    assert matrix[-2, 1] == pytest.approx(targets[folds != folds[-2]].mean())


def test_categories_with_mean_targets_reach_the_predictor(
    write: Callable[..., Datasource], files: ByteSource, tmp_path: Path
) -> None:
    rng = np.random.default_rng(9)
    stores = rng.integers(0, 120, 1500)
    level = rng.normal(0, 5, 120)
    sold = level[stores] + rng.normal(size=1500)
    schema = table_schema("sold", store=KINDS["word"], sold=KINDS["number"])
    names = pa.array([f"s{store}" for store in stores])
    datasource = write(pa.table({"store": names, "sold": sold}), 400, schema=schema)
    fit = QUICK.fit(task_of(datasource, files), map)
    assert any(isinstance(column, MeanColumn) and column.means for column in fit.predictor.encoder.columns)
    assert fit.facts["validationLoss"] < 0.5 * sold.std()
    fit.predictor.save(tmp_path)
    again = replace(fit, predictor=BoostedTrees.load(tmp_path))
    np.testing.assert_array_equal(predictions(again, datasource, files), predictions(fit, datasource, files))
    assert np.sqrt(((predictions(fit, datasource, files) - sold) ** 2).mean()) < 0.5 * sold.std()


@pytest.mark.parametrize("kind", ["number", "truth", "word"])
def test_a_number_that_one_record_alone_has(write: Callable[..., Datasource], files: ByteSource, kind: str) -> None:
    rng = np.random.default_rng(9)
    rare = np.full(400, np.nan)
    rare[17] = 3.0
    number = rng.normal(size=400)
    labels = {"number": number, "truth": number > 0, "word": [f"c{value > 0}" for value in number]}[kind]
    schema = table_schema("y", rare=KINDS["number"], number=KINDS["number"], y=KINDS[kind])
    datasource = write(
        pa.table({"rare": pa.array(rare, from_pandas=True), "number": number, "y": labels}), schema=schema
    )
    fit = replace(QUICK, max_iterations=5).fit(task_of(datasource, files), map)
    assert fit.facts["folds"] == FOLDS
    assert np.isfinite(predictions(fit, datasource, files)).all()


def test_what_is_held_out_is_not_learnt_even_if_its_class_is_nowhere_else(
    write: Callable[..., Datasource], files: ByteSource
) -> None:
    rng = np.random.default_rng(4)
    number = rng.normal(size=400)
    words = ["up" if value > 0 else "down" for value in number]
    words[7] = "once"
    schema = table_schema("y", number=KINDS["number"], y=KINDS["word"])
    datasource = write(pa.table({"number": number, "y": words}), schema=schema)
    task = task_of(datasource, files)
    fit = replace(QUICK, min_leaf_records=1).fit(task, map)
    fold = int(fold_of(np.array([7]), "")[0])
    found = predictions(replace(fit, predictor=fit.held_out[fold]), datasource, files)
    # The one record of its class that stands for it says nothing of the number.
    assert task.target.classes[1] == "once"
    assert found[7, 1] < 0.1
    records = held_out_records(task, [fit], map)
    assert records is not None
    assert set(records.targets) == {0.0, 2.0}
    assert len(records.targets) == 399
