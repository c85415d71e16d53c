from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.sparse import block_diag, csr_array, eye_array

from nightcast.mlmodel import penalized_squares
from nightcast.mlmodel.gram import Gram
from nightcast.mlmodel.penalized_squares import PenalizedSquares
from nightcast.mlmodel.record_sums import RecordFeatures, RecordSums
from nightcast.mlmodel.shapes import Group, Kind, Shapes
from nightcast.mlmodel.square_sums import SquareSums, added, of_records
from nightcast.recipe.pieces import Dense, OneHot, Piece, to_csr

BINS, VALUES, RECORDS = 16, 30, 500
HALVES = [np.repeat(np.eye(parts), BINS // parts, axis=0) for parts in (2, 4, 8)]
COLUMNS = np.column_stack([np.linspace(-3, 3, BINS), *HALVES, np.eye(BINS)])


def shaped() -> Shapes:
    """Bins, values, three numbers."""
    width = COLUMNS.shape[1]
    basis = csr_array(block_diag([COLUMNS, eye_array(VALUES), eye_array(3)]))
    groups = (
        Group(slice(0, BINS), slice(0, width), COLUMNS),
        Group(slice(BINS, BINS + VALUES), slice(width, width + VALUES), None),
    )
    kinds = np.repeat([Kind.LINE, Kind.VALUE, Kind.LINE], [width, VALUES, 3])
    owners = np.repeat([0, 1, 2, 3, 4], [width, VALUES, 1, 1, 1])
    return Shapes(basis, kinds, owners, groups)


def pieces_and_target(scales: tuple[float, float, float]) -> tuple[list[Piece], np.ndarray]:
    """The second number is about the first one; bins of what the third one tells."""
    rng = np.random.default_rng(5)
    bins, values = rng.integers(0, BINS + 1, RECORDS), rng.integers(0, VALUES + 1, RECORDS)
    base, other = rng.normal(size=(2, RECORDS))
    numbers = [base, base + 1e-3 * rng.normal(size=RECORDS), other]
    target = np.sin(bins) + rng.normal(0, 2, VALUES + 1)[values] + base + rng.normal(0, 0.5, RECORDS)
    dense = [Dense(BINS + VALUES + place, scales[place] * one) for place, one in enumerate(numbers)]
    return [OneHot(0, BINS, bins), OneHot(BINS, VALUES, values), *dense], target


def systems(scales: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> tuple[list[PenalizedSquares], np.ndarray, Any]:
    """Of records that are held and of sums, with the matrix of features times basis and the target."""
    pieces, target = pieces_and_target(scales)
    shapes = shaped()
    features = shapes.basis.shape[0]
    center = 0.3
    streamed = SquareSums(Gram(np.zeros(features)), center)
    added(streamed, pieces, target)
    matrix = to_csr(pieces, RECORDS, features)
    held = of_records(RecordSums(RecordFeatures(matrix), target - center), center)
    both = [PenalizedSquares(held, shapes), PenalizedSquares(streamed, shapes)]
    return both, (matrix @ shapes.basis).toarray(), target


def expected(matrix: np.ndarray, target: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    about = matrix - matrix.mean(axis=0)
    return np.linalg.solve(about.T @ about + np.diag(penalties), about.T @ (target - target.mean()))


@pytest.fixture(params=[True, False], ids=["conjugate gradients", "Cholesky"])
def descending(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the solution is descended to; then a factor is no way out."""
    if request.param:

        def refused(self: PenalizedSquares, penalties: np.ndarray) -> None:
            raise AssertionError("the descent did not converge")

        monkeypatch.setattr(penalized_squares, "_FACTORED", 0)
        monkeypatch.setattr(PenalizedSquares, "_solver", refused)
    return bool(request.param)


@pytest.mark.usefixtures("descending")
@pytest.mark.parametrize("strengths", [(1.0, 1.0), (0.01, 100.0), (1e4, 0.1)])
@pytest.mark.parametrize("warm", [False, True])
def test_solutions_are_those_of_dense_algebra(strengths: tuple[float, float], warm: bool) -> None:
    both, matrix, target = systems()
    penalties = both[0].shapes.penalties(*strengths)
    exact = expected(matrix, target, penalties)
    start = exact + np.random.default_rng(0).normal(0, 0.1, len(exact)) if warm else None
    for system in both:
        found = system.solved(penalties, start, 1e-12)
        np.testing.assert_allclose(found, exact, rtol=1e-6, atol=1e-8)
        weights = system.weights(found)
        np.testing.assert_allclose(weights, shaped().basis @ exact, atol=1e-6)
        # The constant makes the mean residual 0; targets are about 0.3.
        assert system.constant(weights) == pytest.approx(target.mean() - 0.3 - matrix.mean(axis=0) @ exact, abs=1e-7)


def test_the_guess_of_similar_records_leads_to_the_same_solution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(penalized_squares, "_FACTORED", 0)
    [held, streamed], matrix, target = systems()
    # Half of the records are similar enough.
    half = held.sums.gram.taken(np.arange(RECORDS) % 2 == 0)
    like = PenalizedSquares(of_records(half, held.sums.center), held.shapes)
    for strength in (1.0, 0.0):
        penalties = held.shapes.penalties(strength, 10.0)
        found = replace(streamed, like=like).solved(penalties, None, 1e-12)
        np.testing.assert_allclose(found, expected(matrix, target, penalties), rtol=1e-5, atol=1e-7)


def test_a_guess_of_records_that_lack_some_features_ends_no_descent_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(penalized_squares, "_FACTORED", 0)
    [held, _], _, _ = systems()
    # Without the records of two values, whose scaling is then the inverse of their tiny penalties.
    values = held.sums.gram.features.matrix[:, [BINS, BINS + 1]].sum(axis=1)
    like = PenalizedSquares(of_records(held.sums.gram.taken(np.asarray(values) == 0), held.sums.center), held.shapes)
    penalties = held.shapes.penalties(1e-7, 1.0)
    found = replace(held, like=like).solved(penalties, None, 1e-10)
    np.testing.assert_allclose(found, held.solved(penalties, None, 1e-12), atol=1e-6)


@pytest.mark.usefixtures("descending")
def test_numbers_of_very_different_units_are_solved() -> None:
    both, matrix, target = systems((1e4, 1e-4, 1e2))
    penalties = both[0].shapes.penalties(1.0, 1.0)
    predicted = (matrix - matrix.mean(axis=0)) @ expected(matrix, target, penalties)
    for system in both:
        found = (matrix - matrix.mean(axis=0)) @ system.solved(penalties)
        np.testing.assert_allclose(found, predicted, atol=1e-5)


def test_without_penalty_descent_and_factor_predict_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    # Coefficients of bins depend on each other, so only values and numbers are left unpenalised.
    both, matrix, target = systems()
    penalties = both[0].shapes.penalties(0.0, 1.0)
    exact = expected(matrix, target, penalties)
    factored = [system.solved(penalties) for system in both]
    monkeypatch.setattr(penalized_squares, "_FACTORED", 0)
    for system, found in zip(both, factored, strict=True):
        np.testing.assert_allclose(found, exact, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(system.solved(penalties, None, 1e-12), exact, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-5, 1e-8])
def test_no_more_is_left_than_tolerated(monkeypatch: pytest.MonkeyPatch, tolerance: float) -> None:
    monkeypatch.setattr(penalized_squares, "_FACTORED", 0)
    both, matrix, target = systems()
    about = matrix - matrix.mean(axis=0)
    penalties = both[0].shapes.penalties(1.0, 10.0)
    exact = expected(matrix, target, penalties)
    hessian = about.T @ about + np.diag(penalties)
    found = both[0].solved(penalties, None, tolerance)
    left = found - exact
    # In the norm of the problem itself, which the scaled one is near to.
    assert left @ hessian @ left <= (20 * tolerance) ** 2 * (exact @ hessian @ exact)


def test_a_start_at_the_solution_needs_no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(penalized_squares, "_FACTORED", 0)
    both, matrix, target = systems()
    penalties = both[0].shapes.penalties(1.0, 10.0)
    exact = expected(matrix, target, penalties)
    monkeypatch.setattr(penalized_squares, "_MOST_STEPS", 1)
    monkeypatch.setattr(penalized_squares, "_MOST_FACTORED", 0)
    np.testing.assert_array_equal(both[0].solved(penalties, exact, 1e-6), exact)
    # Without it, one step is not enough, and a factor would be too large: what was reached is taken.
    assert abs(both[0].solved(penalties, None, 1e-6) - exact).max() > 1e-3


def test_a_descent_that_does_not_converge_gives_way_to_a_factor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(penalized_squares, "_FACTORED", 0)
    monkeypatch.setattr(penalized_squares, "_MOST_STEPS", 2)
    both, matrix, target = systems()
    penalties = both[0].shapes.penalties(1.0, 10.0)
    for system in both:
        np.testing.assert_allclose(system.solved(penalties), expected(matrix, target, penalties), rtol=1e-6, atol=1e-8)


@pytest.mark.usefixtures("descending")
def test_columns_that_do_not_vary_have_no_weight() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=60)
    pieces: list[Piece] = [Dense(0, x), Dense(1, np.full(60, 1e8)), OneHot(2, 2, np.ones(60, dtype=np.int64))]
    shapes = Shapes(
        csr_array(np.eye(4)), np.zeros(4, dtype=np.bool_), np.arange(4), (Group(slice(2, 4), slice(2, 4), None),)
    )
    matrix = to_csr(pieces, 60, 4)
    # As in a fit, numbers are about their centers.
    matrix = csr_array(matrix.toarray() - [0, 1e8, 0, 0])
    system = PenalizedSquares(of_records(RecordSums(RecordFeatures(matrix), 2 * x), 0.0), shapes)
    np.testing.assert_allclose(system.solved(np.full(4, 1e-9)), [2, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(system.solved(np.zeros(4)), [2, 0, 0, 0], atol=1e-9)


@pytest.mark.usefixtures("descending")
def test_the_inverse_is_symmetric_and_transposed_the_adjoint() -> None:
    both, _, _ = systems()
    system, rng = both[0], np.random.default_rng(1)
    penalties = system.shapes.penalties(2.0, 5.0)
    one, other = rng.normal(size=(2, system.shapes.size))
    found = [system.inverse(right, penalties, None, 1e-12) for right in (one, other)]
    assert one @ found[1] == pytest.approx(other @ found[0], rel=1e-8)
    values = rng.normal(size=system.shapes.basis.shape[0])
    assert values @ system.weights(one) == pytest.approx(system.transposed(values) @ one)


def test_no_coefficients() -> None:
    shapes = Shapes(csr_array((0, 0)), np.zeros(0, dtype=np.bool_), np.zeros(0, dtype=np.int64))
    system = PenalizedSquares(
        of_records(RecordSums(RecordFeatures(csr_array((3, 0))), np.array([1.0, 2.0, 6.0])), 0.0), shapes
    )
    assert system.solved(np.zeros(0)).shape == (0,)
    assert system.constant(np.zeros(0)) == pytest.approx(3.0)
