from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from nightcast.datasource.parts import Batch
from nightcast.errors import ModelError
from nightcast.mlmodel.boosting_fit import Grown, Problem, nodes_of
from nightcast.mlmodel.forest import Forest
from nightcast.mlmodel.targets import ModelType
from nightcast.mlmodel.tree_columns import CodeColumn, NumberColumn
from nightcast.mlmodel.tree_encoder import TreeEncoder
from nightcast.mlmodel.tree_nodes import NODE, one_leaf_trees, stacked
from nightcast.mlmodel.trees import BoostedTrees

CATEGORIES = 40


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


def matrix_of(size: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    found = np.column_stack(
        [rng.integers(0, CATEGORIES, size), rng.normal(size=(size, 3)), rng.integers(0, 2, size)]
    ).astype(float)
    found[rng.random(found.shape) < 0.05] = np.nan
    return found


def target_of(matrix: np.ndarray) -> np.ndarray:
    known = np.nan_to_num(matrix)
    return known[:, 0] % 5 + known[:, 1] * known[:, 2] + (known[:, 3] > 0.3) + known[:, 4]


def forest_of(model: HistGradientBoostingRegressor | HistGradientBoostingClassifier, problem: Problem) -> Forest:
    nodes = nodes_of(problem, Grown(model, np.zeros(0), np.zeros(0)), model.n_iter_)
    return Forest(nodes, 5, problem.outputs)


@pytest.mark.parametrize("leaves", [2, 31, 32, 33, 64, 150])
def test_scores_are_those_of_scikit_learn_to_the_last_bit(leaves: int) -> None:
    matrix = matrix_of(3000)
    model = HistGradientBoostingRegressor(
        max_iter=30, max_leaf_nodes=leaves, min_samples_leaf=3, categorical_features=[0]
    ).fit(matrix, target_of(matrix))
    forest = forest_of(model, Problem(ModelType.REGRESSION, 0, 1, 0))
    forest.check()
    assert forest.trees == 31
    unseen = matrix_of(5000, seed=2)
    # A category that no training record has, and numbers at and beside thresholds.
    unseen[:50, 0] = CATEGORIES + 3
    thresholds = forest.nodes["threshold"][forest.nodes["feature"] == 1][:50]
    unseen[: len(thresholds), 1] = thresholds
    unseen[50 : 50 + len(thresholds), 1] = np.nextafter(thresholds, np.inf)
    np.testing.assert_array_equal(forest.scores(unseen)[:, 0], model.predict(unseen))


def test_categories_that_a_sample_left_out_go_where_missing_ones_go() -> None:
    matrix = matrix_of(2000)
    # scikit-learn numbers the categories that it meets: 0, 3, 6, ...
    matrix[:, 0] = np.where(np.isnan(matrix[:, 0]), np.nan, matrix[:, 0] // 3 * 3)
    model = HistGradientBoostingRegressor(max_iter=20, categorical_features=[0]).fit(matrix, target_of(matrix))
    forest = forest_of(model, Problem(ModelType.REGRESSION, 0, 1, 0))
    unseen = matrix_of(2000, seed=3)
    np.testing.assert_array_equal(forest.scores(unseen)[:, 0], model.predict(unseen))


@pytest.mark.parametrize("classes", [2, 3])
def test_every_class_has_its_score(classes: int) -> None:
    matrix = matrix_of(1500)
    targets = (target_of(matrix) * 7).astype(int) % classes
    model = HistGradientBoostingClassifier(max_iter=8, categorical_features=[0]).fit(matrix, targets)
    forest = forest_of(model, Problem(ModelType.MULTICLASS, classes, 1, 0))
    found = forest.scores(matrix)
    expected = model.decision_function(matrix)
    np.testing.assert_array_equal(found[:, -1] if classes == 2 else found, expected)
    assert classes > 2 or not found[:, 0].any()


def test_trees_of_one_leaf_are_constants_wherever_they_stand() -> None:
    matrix = matrix_of(500)
    model = HistGradientBoostingRegressor(max_iter=3, categorical_features=[0]).fit(matrix, target_of(matrix))
    grown = forest_of(model, Problem(ModelType.REGRESSION, 0, 1, 0)).nodes
    constant = one_leaf_trees(np.array([0.5]))
    found = Forest(stacked([constant, grown, *[constant] * 200]), 5, 1)
    found.check()
    np.testing.assert_allclose(found.scores(matrix)[:, 0], model.predict(matrix) + 100.5)
    np.testing.assert_array_equal(Forest(constant, 5, 1).scores(matrix), np.full((500, 1), 0.5))
    assert found.scores(matrix[:0]).shape == (0, 1)


@pytest.fixture
def predictor() -> BoostedTrees:
    encoder = TreeEncoder(
        (CodeColumn("genre", tuple("abc"), True), *(NumberColumn(name) for name in ("price", "day", "seats", "promo")))
    )
    matrix = matrix_of(2000)
    matrix[:, 0] %= 4
    model = HistGradientBoostingRegressor(max_iter=5, categorical_features=[0]).fit(matrix, target_of(matrix))
    return BoostedTrees(encoder, forest_of(model, Problem(ModelType.REGRESSION, 0, 1, 0)))


def batch_of(size: int) -> Batch:
    rng = np.random.default_rng(5)
    columns = {name: pa.array(rng.normal(size=size)) for name in ("price", "day", "seats")}
    genres = pa.array(rng.choice(["a", "b", "c", "other", None], size))
    return Batch(0, {**columns, "genre": genres, "promo": pa.array(rng.random(size) < 0.5)})


def test_what_is_saved_is_what_is_loaded(predictor: BoostedTrees, tmp_path: Path) -> None:
    assert predictor.save(tmp_path) == ("encoder.json", "trees.parquet")
    found = BoostedTrees.load(tmp_path)
    batch = batch_of(40_000)
    np.testing.assert_array_equal(found.raw_scores(batch), predictor.raw_scores(batch))
    assert found.raw_scores(batch).shape == (40_000,)
    np.testing.assert_array_equal(
        predictor.raw_scores(batch), predictor.forest.scores(predictor.encoder.encode(batch))[:, 0]
    )
    assert found.size == predictor.size == int((found.forest.nodes["feature"] < 0).sum())
    assert found.columns == ("genre", "price", "day", "seats", "promo")
    (tmp_path / "again").mkdir()
    found.save(tmp_path / "again")
    for name in ("encoder.json", "trees.parquet"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_the_file_of_trees_is_readable_by_others(predictor: BoostedTrees, tmp_path: Path) -> None:
    predictor.save(tmp_path)
    table = pq.read_table(tmp_path / "trees.parquet")
    assert table.column_names == list(NODE.names or ())
    split = table["categorical"].to_pylist().index(True)
    left = table["categories"].to_pylist()[split]
    bits = np.unpackbits(predictor.forest.nodes["categories"][split], bitorder="little")
    assert left == np.flatnonzero(bits).tolist() != []


def test_importance_is_shared_out_among_attributes(predictor: BoostedTrees) -> None:
    found = predictor.importance()
    assert sum(found.values()) == pytest.approx(1)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert set(found) == set(predictor.columns)
    inner = predictor.forest.nodes["feature"] == 0
    assert found["genre"] == pytest.approx(
        predictor.forest.nodes["gain"][inner].sum() / predictor.forest.nodes["gain"].sum()
    )


def test_a_pickled_predictor_predicts_the_same(predictor: BoostedTrees) -> None:
    batch = batch_of(100)
    predictor.raw_scores(batch)
    size = len(pickle.dumps(predictor))
    assert size < predictor.forest.nodes.nbytes + 3000
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(predictor)).raw_scores(batch), predictor.raw_scores(batch))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("left", 0),
        ("left", 10_000),
        ("right", 0),
        ("right", -5),
        ("right", 10_000),
        ("right", 2),
        ("feature", 5),
        ("feature", -2),
        ("feature", -1),
        ("output", 1),
        ("output", -1),
        ("tree", 7),
        ("threshold", np.nan),
        ("categorical", True),
    ],
)
def test_damaged_nodes_are_refused(predictor: BoostedTrees, tmp_path: Path, field: str, value: float) -> None:
    nodes = predictor.forest.nodes.copy()
    # The second split at least is one of a number.
    numeric = np.flatnonzero((nodes["feature"] > 0) & ~nodes["categorical"])[0]
    nodes[field][numeric] = value
    BoostedTrees(predictor.encoder, Forest(nodes, 5, 1)).save(tmp_path)
    with pytest.raises(ModelError):
        BoostedTrees.load(tmp_path)


def test_a_leaf_that_is_no_number_and_trees_that_end_early_are_refused(predictor: BoostedTrees) -> None:
    nodes = predictor.forest.nodes.copy()
    nodes["value"][0] = np.inf
    for damaged in (nodes, predictor.forest.nodes[:-1], predictor.forest.nodes[:0], predictor.forest.nodes[1:]):
        with pytest.raises(ModelError, match="damaged"):
            Forest(damaged, 5, 1).check()


def test_files_that_are_not_of_one_model_are_refused(predictor: BoostedTrees, tmp_path: Path) -> None:
    predictor.save(tmp_path)
    document = json.loads((tmp_path / "encoder.json").read_text())
    document["columns"] = document["columns"][1:]
    (tmp_path / "encoder.json").write_text(json.dumps(document))
    with pytest.raises(ModelError):
        BoostedTrees.load(tmp_path)


@pytest.mark.parametrize("column", ["value", "tree", "categories"])
def test_a_table_of_another_form_is_refused(predictor: BoostedTrees, tmp_path: Path, column: str) -> None:
    predictor.save(tmp_path)
    table = pq.read_table(tmp_path / "trees.parquet")
    place = table.column_names.index(column)
    text = table.set_column(place, column, pa.array(["x"] * table.num_rows))
    for damaged in (text, table.drop_columns([column]), table.replace_schema_metadata({})):
        pq.write_table(damaged, tmp_path / "trees.parquet")
        with pytest.raises(ModelError, match="damaged"):
            BoostedTrees.load(tmp_path)
