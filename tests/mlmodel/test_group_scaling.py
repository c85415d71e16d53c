from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import block_diag, csr_array

from nightcast.mlmodel.group_scaling import GroupScaling
from nightcast.mlmodel.shapes import Group, Kind, Shapes


def shapes_for(*bases: np.ndarray | int, grouped: bool = True) -> Shapes:
    """A group for each basis; a number stands for so many features with coefficients of their own."""
    groups, matrices, feature, coefficient = [], [], 0, 0
    for basis in bases:
        matrix = np.eye(basis) if isinstance(basis, int) else basis
        features, coefficients = matrix.shape
        places = slice(feature, feature + features), slice(coefficient, coefficient + coefficients)
        groups.append(Group(*places, None if isinstance(basis, int) else basis))
        matrices.append(matrix)
        feature, coefficient = feature + features, coefficient + coefficients
    owners = np.repeat(np.arange(len(bases)), [len(matrix.T) for matrix in matrices])
    kinds = [Kind.VALUE if isinstance(basis, int) else Kind.LINE for basis in bases]
    return Shapes(
        csr_array(block_diag([csr_array(matrix) for matrix in matrices])),
        np.repeat(kinds, [len(matrix.T) for matrix in matrices]),
        owners,
        tuple(groups) if grouped else (),
    )


def hessian(shapes: Shapes, products: np.ndarray, sums: np.ndarray, records: float) -> np.ndarray:
    """B'X'X B about means."""
    basis = shapes.basis.toarray()
    return basis.T @ (products - np.outer(sums, sums) / records) @ basis


def scaling_of(shapes: Shapes, counts: np.ndarray, records: float, penalties: np.ndarray) -> GroupScaling:
    """For indicators: sums of X and of its squares are the counts."""
    squares = (shapes.basis.toarray() ** 2).T @ counts
    diagonal = squares - (shapes.basis.toarray().T @ counts) ** 2 / records
    return GroupScaling(shapes, counts, diagonal, records, penalties)


def as_matrix(scaling: GroupScaling, size: int) -> np.ndarray:
    function = scaling.prepared()
    return np.column_stack([function(column) for column in np.eye(size)])


BINS = np.column_stack([np.linspace(-3, 3, 6), np.repeat(np.eye(3), 2, axis=0), np.eye(6)])


@pytest.mark.parametrize("penalty", [1e-3, 1.0, 300.0])
@pytest.mark.parametrize("basis", [BINS, 6], ids=["bins", "values"])
@pytest.mark.parametrize(
    ("counts", "records"),
    [
        ([10.0, 20.0, 5.0, 1.0, 40.0, 3.0], 79.0),
        ([10.0, 20.0, 0.0, 1.0, 0.0, 3.0], 60.0),
        ([0.25, 1.5, 0.01, 2.2, 0.0, 7.3], 12.5),
    ],
    ids=["all records", "some without, some values unused", "weighted"],
)
def test_one_group_is_inverted_exactly(
    basis: np.ndarray | int, counts: list[float], records: float, penalty: float
) -> None:
    shapes, held = shapes_for(basis), np.array(counts)
    penalties = np.full(shapes.size, penalty) * np.linspace(1, 2, shapes.size)
    exact = np.linalg.inv(hessian(shapes, np.diag(held), held, records) + np.diag(penalties))
    found = as_matrix(scaling_of(shapes, held, records, penalties), shapes.size)
    np.testing.assert_allclose(found, exact, rtol=1e-8, atol=1e-9 * abs(exact).max())


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.sampled_from(["bins", "values"]), min_size=1, max_size=4),
    st.floats(1e-4, 1e4),
    st.floats(1e-4, 1e4),
)
def test_where_groups_do_not_meet_the_guess_is_the_inverse(
    seed: int, kinds: list[str], values: float, numbers: float
) -> None:
    rng = np.random.default_rng(seed)
    shapes = shapes_for(*[BINS if kind == "bins" else int(rng.integers(1, 9)) for kind in kinds])
    counts = rng.integers(0, 30, shapes.basis.shape[0]).astype(float)
    records = max(sum(float(counts[group.features].sum()) for group in shapes.groups), 1.0)
    penalties = shapes.penalties(values, numbers)
    # About means, what is not within a group does not count.
    products = np.diag(counts) - np.outer(counts, counts) / records
    block = np.zeros_like(products)
    for group in shapes.groups:
        block[group.features, group.features] = products[group.features, group.features]
    basis = shapes.basis.toarray()
    exact = np.linalg.inv(basis.T @ block @ basis + np.diag(penalties))
    found = as_matrix(scaling_of(shapes, counts, records, penalties), shapes.size)
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-7 * abs(exact).max())
    np.testing.assert_allclose(found, found.T, atol=1e-9 * abs(exact).max())


def test_outside_of_groups_only_the_diagonal_counts() -> None:
    rng = np.random.default_rng(1)
    matrix = rng.normal(3, 1, size=(50, 4))
    about = ((matrix - matrix.mean(axis=0)) ** 2).sum(axis=0)
    shapes = shapes_for(4, grouped=False)
    scaling = GroupScaling(shapes, (matrix**2).sum(axis=0), about, 50.0, np.full(4, 2.0))
    np.testing.assert_allclose(as_matrix(scaling, 4), np.diag(1 / (about + 2.0)))


def test_without_penalty_values_that_some_records_lack_are_inverted() -> None:
    shapes, counts = shapes_for(4), np.array([5.0, 3.0, 2.0, 4.0])
    exact = np.linalg.inv(np.diag(counts) - np.outer(counts, counts) / 20.0)
    np.testing.assert_allclose(as_matrix(scaling_of(shapes, counts, 20.0, np.zeros(4)), 4), exact, rtol=1e-9)


def test_without_penalty_values_that_no_record_has_and_those_of_all_records_stay_finite() -> None:
    # Values that make up all records can not be told from the intercept: the inverse does not exist.
    shapes, counts = shapes_for(4), np.array([5.0, 3.0, 0.0, 4.0])
    found = as_matrix(scaling_of(shapes, counts, 12.0, np.zeros(4)), 4)
    assert np.isfinite(found).all()
    assert not found[2].any()
    assert not found[:, 2].any()
    # It still lessens what is left, in every direction that can be told.
    assert (np.linalg.eigvalsh(found[np.ix_([0, 1, 3], [0, 1, 3])]) > 0).all()
    assert not as_matrix(scaling_of(shapes, np.zeros(4), 12.0, np.zeros(4)), 4).any()
