from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import vstack
from sklearn.linear_model import LinearRegression, Ridge

from nightcast.datasource.insights import compute_insights
from nightcast.datasource.parts import ByteSource, Datasource
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.datasource.selection import selected_batches
from nightcast.errors import ModelError
from nightcast.mlmodel import linear
from nightcast.mlmodel.linear import fit_linear
from nightcast.recipe.featurizer import Featurizer, build_featurizer
from nightcast.recipe.grammar import parse_recipe
from nightcast.recipe.suggest import suggest_recipe
from nightcast.recipe.vocabulary import count_vocabularies

RAW = json.dumps({"outputs": ["price", "normalize(day)", "quantile_bin(day,20)", "ALL_CATEGORICAL", "ngram(title,2)"]})


def featurizer_of(datasource: Datasource, files: ByteSource, recipe: str | None = None) -> Featurizer:
    insights = compute_insights(datasource, files)
    parsed = parse_recipe(recipe or suggest_recipe(datasource.schema, insights), datasource.schema)
    vocabularies = count_vocabularies(datasource, Rearrangement(), parsed, insights, files)
    return build_featurizer(parsed, datasource.schema, insights, vocabularies)


def matrix_of(datasource: Datasource, rearrangement: Rearrangement, featurizer: Featurizer, files: ByteSource):
    """Features and targets of the records that have a target."""
    matrices, targets = [], []
    for part in datasource.numbered():
        for batch in selected_batches(part, rearrangement, (*featurizer.columns, "sold"), files):
            matrices.append(featurizer.transform(batch))
            targets.append(np.array(batch.columns["sold"].to_pylist(), dtype=float))
    target = np.concatenate(targets)
    return vstack(matrices).tocsr()[np.isfinite(target)], target[np.isfinite(target)]


@pytest.mark.parametrize("recipe", [None, RAW])
@pytest.mark.parametrize("l2", [1e-3, 1.0, 100.0])
@pytest.mark.parametrize("rearrangement", [Rearrangement(0, 70), Rearrangement(0, 70, strategy="random", seed="s")])
def test_equal_to_scikit_learn(
    datasource: Datasource, files: ByteSource, recipe: str | None, l2: float, rearrangement: Rearrangement
) -> None:
    featurizer = featurizer_of(datasource, files, recipe)
    fit = fit_linear(datasource, rearrangement, featurizer, files, l2=l2)
    matrix, target = matrix_of(datasource, rearrangement, featurizer, files)
    peer = Ridge(alpha=l2, solver="cholesky").fit(matrix.toarray(), target)
    np.testing.assert_allclose(fit.weights, peer.coef_, atol=1e-8)
    assert fit.intercept == pytest.approx(peer.intercept_, abs=1e-8)
    residuals = target - peer.predict(matrix.toarray())
    assert fit.rmse == pytest.approx(np.sqrt(np.mean(residuals**2)), rel=1e-8)
    assert fit.targets.records == len(target)
    assert fit.targets.mean == pytest.approx(target.mean(), rel=1e-12)
    assert (fit.targets.low, fit.targets.high) == (target.min(), target.max())


def test_least_squares_predicts_as_scikit_learn(datasource: Datasource, files: ByteSource) -> None:
    featurizer = featurizer_of(datasource, files)
    fit = fit_linear(datasource, Rearrangement(), featurizer, files, l2=0.0)
    matrix, target = matrix_of(datasource, Rearrangement(), featurizer, files)
    peer = LinearRegression().fit(matrix.toarray(), target).predict(matrix.toarray())
    np.testing.assert_allclose(matrix @ fit.weights + fit.intercept, peer, atol=1e-6)


def test_numbers_far_from_zero_lose_no_accuracy(
    write: Callable[..., Datasource], files: ByteSource, sales: pa.Table
) -> None:
    far = sales.set_column(1, "price", pa.array(1.2e9 + np.array(sales["day"]) / 7.0))
    datasource = write(far, 700)
    featurizer = featurizer_of(datasource, files, '{"outputs": ["price"]}')
    fit = fit_linear(datasource, Rearrangement(), featurizer, files, l2=1.0)
    matrix, target = matrix_of(datasource, Rearrangement(), featurizer, files)
    peer = Ridge(alpha=1.0).fit(matrix.toarray() - 1.2e9, target)
    assert fit.weights[0] == pytest.approx(peer.coef_[0], rel=1e-9)


def test_the_same_bits_with_any_mapper_and_center(datasource: Datasource, files: ByteSource) -> None:
    def backwards(function, items):
        results = {number: function(item) for number, item in reversed(list(enumerate(items)))}
        return iter([results[number] for number in sorted(results)])

    featurizer = featurizer_of(datasource, files)
    one, other = (
        fit_linear(datasource, Rearrangement(), featurizer, files, mapper, target_center=20.0)
        for mapper in (map, backwards)
    )
    assert one.weights.tobytes() == other.weights.tobytes()
    assert (one.intercept, one.rmse, one.targets) == (other.intercept, other.rmse, other.targets)
    centered = fit_linear(datasource, Rearrangement(), featurizer, files, target_center=-1000.0)
    np.testing.assert_allclose(centered.weights, one.weights, atol=1e-8)


def test_records_without_target_are_dropped_and_counted(write: Callable[..., Datasource], files: ByteSource) -> None:
    schema = Schema((Attribute("x", AttributeType.NUMERIC), Attribute("sold", AttributeType.NUMERIC)), target="sold")
    table = pa.table({"x": [1.0, 2.0, 3.0, 4.0, 5.0], "sold": [10.0, None, float("nan"), 40.0, float("inf")]})
    datasource = write(table, 2, schema)
    featurizer = featurizer_of(datasource, files, '{"outputs": ["x"]}')
    fit = fit_linear(datasource, Rearrangement(), featurizer, files, l2=0.0)
    assert (fit.targets.records, fit.targets.without_target, fit.targets.invalid_target) == (2, 1, 2)
    assert fit.weights.tolist() == pytest.approx([10.0, 0.0])
    assert fit.intercept == pytest.approx(0.0, abs=1e-9)
    assert fit.rmse == pytest.approx(0.0, abs=1e-9)


def test_a_recipe_without_known_values_predicts_the_mean(write: Callable[..., Datasource], files: ByteSource) -> None:
    schema = Schema(
        (Attribute("c", AttributeType.CATEGORICAL), Attribute("sold", AttributeType.NUMERIC)), target="sold"
    )
    datasource = write(pa.table({"c": pa.nulls(3, pa.string()), "sold": [1.0, 2.0, 6.0]}), schema=schema)
    featurizer = featurizer_of(datasource, files)
    fit = fit_linear(datasource, Rearrangement(), featurizer, files)
    assert featurizer.n_features == 0
    assert fit.intercept == pytest.approx(3.0)
    assert fit.rmse == pytest.approx(np.std([1, 2, 6]))


@pytest.mark.parametrize(("target", "words"), [(None, "names no target"), ("title", "is TEXT"), ("promo", "is BINARY")])
def test_targets_that_a_regression_can_not_learn(
    datasource: Datasource, files: ByteSource, target: str | None, words: str
) -> None:
    featurizer = featurizer_of(datasource, files, '{"outputs": ["price"]}')
    other = Datasource(Schema(datasource.schema.attributes, target=target), datasource.parts)
    with pytest.raises(ModelError, match=words):
        fit_linear(other, Rearrangement(), featurizer, files)


@pytest.mark.parametrize("sold", [[], [5.0], [5.0, None, None], [None, None]])
def test_too_few_records(
    write: Callable[..., Datasource], datasource: Datasource, files: ByteSource, sales: pa.Table, sold: list
) -> None:
    featurizer = featurizer_of(datasource, files, '{"outputs": ["price"]}')
    few = write(sales.slice(0, len(sold)).set_column(6, "sold", pa.array(sold, pa.float64())))
    with pytest.raises(ModelError, match="at least 2 are needed"):
        fit_linear(few, Rearrangement(), featurizer, files)


@pytest.mark.parametrize("l2", [-1.0, float("nan"), float("inf")])
def test_penalty_out_of_range(datasource: Datasource, files: ByteSource, l2: float) -> None:
    with pytest.raises(ModelError, match="L2 regularization"):
        fit_linear(datasource, Rearrangement(), featurizer_of(datasource, files), files, l2=l2)


def test_too_many_features(datasource: Datasource, files: ByteSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "MAX_FEATURES", 40)
    with pytest.raises(ModelError, match="and the linear learner takes 40"):
        fit_linear(datasource, Rearrangement(), featurizer_of(datasource, files), files)


def test_numbers_too_large_to_be_squared(write: Callable[..., Datasource], files: ByteSource, sales: pa.Table) -> None:
    huge = write(sales.slice(0, 3).set_column(6, "sold", pa.array([1e308, -1e308, 1e300])))
    featurizer = featurizer_of(huge, files, '{"outputs": ["price"]}')
    with pytest.raises(ModelError, match="too large"):
        fit_linear(huge, Rearrangement(), featurizer, files)
