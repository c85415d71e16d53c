from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightcast.datasource.insights import Insights, compute_insights
from nightcast.datasource.parts import ByteSource, Datasource
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.mlmodel.shapes import Kind, Shapes, plain_shapes, shapes_of, shared_shapes
from nightcast.recipe.featurizer import Featurizer, build_featurizer
from nightcast.recipe.grammar import parse_recipe
from nightcast.recipe.vocabulary import count_vocabularies

KINDS = {"x": "NUMERIC", "gap": "NUMERIC", "flat": "NUMERIC", "day": "CATEGORICAL", "shop": "CATEGORICAL"}
KINDS |= {"note": "TEXT", "promo": "BINARY", "y": "NUMERIC"}
SCHEMA = Schema(tuple(Attribute(name, AttributeType(kind)) for name, kind in KINDS.items()), target="y")
RECORDS = 4000


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """x is even from 0 to 4, gap is sometimes missing, flat does not vary."""
    rng = np.random.default_rng(0)
    days = np.datetime64("2008-01-01") + rng.integers(0, 300, RECORDS)
    return pa.table(
        {
            "x": np.arange(RECORDS) / 1000.0,
            "gap": pa.array(rng.gamma(2, 5, RECORDS), mask=rng.random(RECORDS) < 0.1),
            "flat": np.full(RECORDS, 7.0),
            "day": days.astype(str),
            "shop": [f"s{one}" for one in rng.integers(0, 5, RECORDS)],
            "note": np.array(["late show", "early", "early show"])[rng.integers(0, 3, RECORDS)],
            "promo": rng.random(RECORDS) < 0.5,
            "y": rng.normal(size=RECORDS),
        }
    )


@pytest.fixture
def featurized(
    write: Callable[..., Datasource], files: ByteSource, table: pa.Table
) -> Callable[..., tuple[Featurizer, Insights]]:
    """The featurizer of a recipe of these outputs, and the insights that it is made of."""

    def make(*outputs: str) -> tuple[Featurizer, Insights]:
        datasource = write(table, schema=SCHEMA)
        insights = compute_insights(datasource, files)
        recipe = parse_recipe(json.dumps({"outputs": list(outputs)}), SCHEMA)
        counted = count_vocabularies(datasource, insights.rearrangement, recipe, insights, files)
        return build_featurizer(recipe, SCHEMA, insights, counted), insights

    return make


def dense(shapes: Shapes) -> np.ndarray:
    return shapes.basis.toarray()


def test_bins_have_a_line_ranks_halves_and_their_own(featurized: Callable[..., tuple[Featurizer, Insights]]) -> None:
    shapes = shapes_of(*featurized("quantile_bin(x,8)"))
    basis = dense(shapes)
    # Behind them stands the indicator of missing values.
    assert basis.shape == (8 + 1, 2 + 2 + 4 + 8 + 1)
    basis = basis[:8, :16]
    # The mean values of eight even bins, about the mean, in deviations; a slope of 1 costs as a third of a bin.
    middles = (np.arange(8) + 0.5) / 2 - 2
    np.testing.assert_allclose(basis[:, 0], 3 * middles / (4 / np.sqrt(12)), atol=0.01)
    np.testing.assert_allclose(basis[:, 1], 3 * np.linspace(-1, 1, 8))
    np.testing.assert_array_equal(basis[:, 2:4], np.repeat(np.eye(2), 4, axis=0))
    np.testing.assert_array_equal(basis[:, 4:8], np.repeat(np.eye(4), 2, axis=0))
    np.testing.assert_array_equal(basis[:, 8:], np.eye(8))
    assert shapes.kinds.tolist() == [Kind.LINE] * 2 + [Kind.STEP] * 14 + [Kind.VALUE]
    assert shapes.owners.tolist() == [0] * 2 + [1] * 14 + [2]
    group = shapes.groups[0]
    assert (group.features, group.coefficients) == (slice(0, 8), slice(0, 16))
    np.testing.assert_array_equal(group.columns, basis)


def test_the_line_of_skewed_bins_runs_through_the_means_of_their_values(
    featurized: Callable[..., tuple[Featurizer, Insights]], table: pa.Table
) -> None:
    featurizer, insights = featurized("quantile_bin(gap,10)")
    values = np.array([value for value in table["gap"].to_pylist() if value is not None])
    edges = np.asarray(featurizer.edges["quantile_bin(gap,10)"])
    bins = np.searchsorted(edges, values, side="left")
    means = np.array([values[bins == number].mean() for number in range(10)])
    line = dense(shapes_of(featurizer, insights))[:10, 0] / 3
    np.testing.assert_allclose(line, (means - values.mean()) / values.std(), atol=0.1)
    assert (np.diff(line) > 0).all()


@pytest.mark.parametrize(("bins", "halves"), [(2, 0), (3, 2), (4, 2), (5, 2 + 4), (50, 2 + 4 + 8 + 16 + 32)])
def test_bins_are_halved_until_each_stands_alone(
    featurized: Callable[..., tuple[Featurizer, Insights]], bins: int, halves: int
) -> None:
    columns = shapes_of(*featurized(f"quantile_bin(x,{bins})")).groups[0].columns
    assert columns is not None
    assert columns.shape == (bins, 2 + halves + bins)
    # Each record is in one part of each cut.
    assert (columns[:, 2:].sum(axis=1) == max((bins - 1).bit_length(), 1)).all()


def test_what_is_missing_stands_beside_the_shape(featurized: Callable[..., tuple[Featurizer, Insights]]) -> None:
    featurizer, insights = featurized("quantile_bin(gap,4)")
    assert featurizer.feature_names[-1] == "gap=missing"
    shapes = shapes_of(featurizer, insights)
    basis = dense(shapes)
    assert basis.shape == (5, 2 + 2 + 4 + 1)
    assert basis[4].tolist() == [0.0] * 8 + [1.0]
    assert not basis[:4, 8].any()
    assert shapes.kinds.tolist() == [Kind.LINE] * 2 + [Kind.STEP] * 6 + [Kind.VALUE]
    assert shapes.owners.tolist() == [0] * 2 + [1] * 6 + [2]
    assert [group.columns is None for group in shapes.groups] == [False, True]


@pytest.mark.parametrize("output", ["weekday(day)", "month(day)", "shop", "promo", "note", "ngram(note,2)"])
def test_calendars_and_values_have_no_shape(
    featurized: Callable[..., tuple[Featurizer, Insights]], output: str
) -> None:
    featurizer, insights = featurized(output)
    shapes = shapes_of(featurizer, insights)
    assert featurizer.n_features > 0
    np.testing.assert_array_equal(dense(shapes), np.eye(featurizer.n_features))
    assert not shapes.kinds.any()
    # Tokens, and an indicator alone, are no group of which a record has one.
    grouped = not output.startswith(("note", "ngram", "promo"))
    assert [group.features for group in shapes.groups] == ([slice(0, featurizer.n_features)] if grouped else [])


def test_days_since_the_first_have_the_shape_of_a_number(
    featurized: Callable[..., tuple[Featurizer, Insights]],
) -> None:
    featurizer, insights = featurized('quantile_bin(days_since(day,"2008-01-01"),10)')
    line = dense(shapes_of(featurizer, insights))[:10, 0]
    np.testing.assert_allclose(line, 3 * (np.arange(10) + 0.5 - 5) / 10 * np.sqrt(12), atol=0.15)


def test_numbers_are_in_units_of_their_deviation(featurized: Callable[..., tuple[Featurizer, Insights]]) -> None:
    featurizer, insights = featurized("x", "normalize(x)", "gap", "flat")
    assert featurizer.feature_names == ["x", "x=missing", "normalize(x)", "gap", "gap=missing", "flat", "flat=missing"]
    shapes = shapes_of(featurizer, insights)
    basis, std = dense(shapes), 4 / np.sqrt(12)
    # A coefficient of 1 is the same slope a deviation, whether the recipe has normalized the number or not.
    assert basis[0, 0] == pytest.approx(3 / std, rel=1e-3)
    assert basis[2, 2] == pytest.approx(3.0)
    # An indicator has no units, and flat no deviation.
    np.testing.assert_array_equal(basis[np.ix_([1, 4, 5, 6], [1, 4, 5, 6])], np.diag([1.0, 1.0, 3.0, 1.0]))
    assert np.count_nonzero(basis) == 7
    line, value = Kind.LINE, Kind.VALUE
    assert shapes.kinds.tolist() == [line, value, line, line, value, line, value]
    assert shapes.owners.tolist() == list(range(7))


def test_a_number_that_does_not_vary_has_a_line_of_zeros(
    featurized: Callable[..., tuple[Featurizer, Insights]],
) -> None:
    basis = dense(shapes_of(*featurized("quantile_bin(flat,10)")))
    assert basis.shape == (2, 3 + 1)
    assert np.isfinite(basis).all()
    assert not basis[:, 0].any()


def test_outputs_stand_one_behind_the_other(featurized: Callable[..., tuple[Featurizer, Insights]]) -> None:
    featurizer, insights = featurized("shop", "note", "quantile_bin(x,4)", "promo", "x")
    shapes = shapes_of(featurizer, insights)
    assert shapes.basis.shape == (5 + 3 + (4 + 1) + 1 + 1, 5 + 3 + (8 + 1) + 1 + 1)
    assert shapes.owners.tolist() == [0] * 5 + [1] * 3 + [2] * 2 + [3] * 6 + [4, 5, 6]
    assert [(group.features, group.coefficients) for group in shapes.groups] == [
        (slice(0, 5), slice(0, 5)),
        (slice(8, 12), slice(8, 16)),
        (slice(12, 13), slice(16, 17)),
    ]
    np.testing.assert_array_equal(shapes.transposed.toarray(), dense(shapes).T)
    assert shapes.penalties(2.0, 9.0).tolist() == [2.0] * 8 + [9.0] * 8 + [2.0, 2.0, 9.0]
    apart = shapes.penalties(2.0, 9.0, 70.0)
    assert apart.tolist() == [2.0] * 8 + [9.0] * 2 + [70.0] * 6 + [2.0, 2.0, 9.0]
    assert shapes.by_owner(apart).tolist() == [2.0, 2.0, 9.0, 70.0, 2.0, 2.0, 9.0]
    assert shapes.by_output(featurizer, apart) == {
        "shop": {"l2": 2.0},
        "note": {"l2": 2.0},
        "quantile_bin(x,4)": {"l2": 2.0, "l2Numbers": 9.0, "l2Steps": 70.0},
        "promo": {"l2": 2.0},
        "x": {"l2Numbers": 9.0},
    }
    assert all(shapes.has(kind) for kind in Kind)
    plain = plain_shapes(featurizer)
    np.testing.assert_array_equal(dense(plain), np.eye(15))
    assert not plain.has(Kind.STEP)
    assert not plain.kinds.any()
    assert [group.features for group in plain.groups] == [slice(0, 5), slice(8, 13)]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_products_are_turned_as_by_the_dense_basis(seed: int) -> None:
    from scipy.sparse import csr_array

    rng = np.random.default_rng(seed)
    basis, matrix = rng.normal(size=(6, 9)) * (rng.random((6, 9)) < 0.5), rng.normal(size=(20, 6))
    products = matrix.T @ matrix
    shapes = Shapes(csr_array(basis), np.ones(9, dtype=np.int64), np.zeros(9, dtype=np.int64))
    # What stands below the diagonal does not count.
    found = shapes.turned(np.triu(products) + np.tril(np.full((6, 6), 1e9), -1))
    np.testing.assert_allclose(found, basis.T @ products @ basis, atol=1e-9)


def test_a_recipe_without_features_has_no_shape(featurized: Callable[..., tuple[Featurizer, Insights]]) -> None:
    _, insights = featurized("x")
    for shapes in (plain_shapes(Featurizer((), {})), shapes_of(Featurizer((), {}), insights)):
        assert (shapes.size, shapes.basis.shape, shapes.groups) == (0, (0, 0), ())
        assert shapes.penalties(1.0, 2.0).shape == shapes.by_owner(np.zeros(0)).shape == (0,)
    shared = shared_shapes(Featurizer((), {}), insights)
    assert (shared.lines.shape, shared.levels.shape, shared.shares.shape) == ((0, 0), (0, 0), (0,))


def test_what_sgd_shares_are_lines_halves_quarters(featurized: Callable[..., tuple[Featurizer, Insights]]) -> None:
    featurizer, insights = featurized("shop", "quantile_bin(gap,20)", "weekday(day)", "x", "quantile_bin(x,4)")
    shared = shared_shapes(featurizer, insights)
    lines, levels = shared.lines.toarray(), shared.levels.toarray()
    shapes = shapes_of(featurizer, insights)
    assert lines.shape == (featurizer.n_features, 2)
    # 2 to 16 parts of the first, halves of the second.
    assert levels.shape == (featurizer.n_features, 30 + 2)
    binned = np.zeros(featurizer.n_features, dtype=np.bool_)
    binned[5:25] = True
    assert not lines[~binned, 0].any()
    assert not levels[~binned, :30].any()
    np.testing.assert_allclose(3 * lines[5:25, 0], shapes.groups[1].columns[:, 0])
    np.testing.assert_array_equal(levels[5:25, 2:6], np.repeat(np.eye(4), 5, axis=0))
    assert (levels[5:25].sum(axis=1) == 4).all()
    np.testing.assert_allclose(3 * lines[-4:, 1], shapes.groups[-1].columns[:, 0])
    np.testing.assert_array_equal(levels[-4:, 30:], np.repeat(np.eye(2), 2, axis=0))
    assert not lines[:-4, 1].any()
    shares = np.ones(featurizer.n_features)
    shares[5:25], shares[-4:] = 0.05, 0.25
    np.testing.assert_allclose(shared.shares[: featurizer.n_features], shares)
    np.testing.assert_allclose(shared.shares[featurizer.n_features :][:6], [1 / 2] * 2 + [1 / 4] * 4)
    assert shared.shares[-2:].tolist() == [0.5, 0.5]


def test_bins_share_their_ranks_too_if_wanted(featurized: Callable[..., tuple[Featurizer, Insights]]) -> None:
    featurizer, insights = featurized("shop", "quantile_bin(gap,20)", "quantile_bin(x,5)")
    alone, both = (shared_shapes(featurizer, insights, ranks=ranks).lines.toarray() for ranks in (False, True))
    np.testing.assert_array_equal(both[:, [0, 2]], alone)
    ranks = [group.columns[:, 1] / 3 for group in shapes_of(featurizer, insights).groups if group.columns is not None]
    # None is 0: that would stand for no bin.
    np.testing.assert_allclose(both[5:25, 1], ranks[0] + 2)
    np.testing.assert_allclose(both[-6:-1, 3], [1.0, 1.5, 2.0, 2.5, 3.0])
    assert not both[:5].any()


@pytest.mark.parametrize("binned", [True, False])
def test_days_are_bins_where_days_are_binned(
    featurized: Callable[..., tuple[Featurizer, Insights]], binned: bool
) -> None:
    outputs = ["day", "shop", *['quantile_bin(days_since(day,"2008-01-01"),10)'] * binned]
    featurizer, insights = featurized(*outputs)
    shares = shared_shapes(featurizer, insights).shares
    assert featurizer.feature_names[299].startswith("day=")
    assert shares[:300].tolist() == [1 / 300 if binned else 1.0] * 300
    assert (shares[300:305] == 1.0).all()
