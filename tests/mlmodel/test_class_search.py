from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse import block_diag, csr_array, eye_array

from nightcast.errors import ModelError
from nightcast.mlmodel import class_scaling, class_search
from nightcast.mlmodel.class_chunks import MatrixChunk, PieceChunk
from nightcast.mlmodel.class_loss import loss_and_gradient
from nightcast.mlmodel.class_records import ClassRecords
from nightcast.mlmodel.class_search import EXACT, ClassSearch, Coefficients
from nightcast.mlmodel.learners import FOLDS
from nightcast.mlmodel.shapes import Group, Kind, Shapes
from nightcast.mlmodel.strengths import Strengths
from nightcast.mlmodel.targets import ModelType, Target
from nightcast.recipe.pieces import Dense, OneHot

BINS, VALUES, RECORDS = 8, 5, 600
COLUMNS = np.column_stack([np.linspace(-3, 3, BINS), np.repeat(np.eye(4), 2, axis=0), np.eye(BINS)])
FEATURES = BINS + VALUES + 1


def shapes() -> Shapes:
    """Bins, values, and a number."""
    width = COLUMNS.shape[1]
    groups = (
        Group(slice(0, BINS), slice(0, width), COLUMNS),
        Group(slice(BINS, BINS + VALUES), slice(width, width + VALUES), None),
    )
    kinds = np.repeat([Kind.LINE, Kind.VALUE, Kind.LINE], [width, VALUES, 1])
    basis = csr_array(block_diag([COLUMNS, eye_array(VALUES), eye_array(1)]))
    return Shapes(basis, kinds, np.repeat([0, 1, 2], [width, VALUES, 1]), groups)


def records_of(classes: int, records: int = RECORDS) -> ClassRecords:
    """Records in two chunks, whose classes bins, values and number tell somewhat."""
    rng = np.random.default_rng(6)
    bins, values = rng.integers(0, BINS + 1, records), rng.integers(0, VALUES + 1, records)
    number = rng.normal(size=records)
    score = np.sin(bins) + 0.5 * values + number + rng.logistic(size=records)
    targets = np.searchsorted(np.quantile(score, np.arange(1, classes) / classes), score).astype(float)
    pieces = [OneHot(0, BINS, bins), OneHot(BINS, VALUES, values), Dense(BINS + VALUES, number)]
    whole = PieceChunk(pieces, targets, FEATURES)
    folds = rng.integers(0, FOLDS, records).astype(np.uint8)
    cut = [np.arange(records // 3), np.arange(records // 3, records)]
    return ClassRecords([whole.taken(places) for places in cut], [folds[places] for places in cut], records)


def target_of(classes: int) -> Target:
    if classes == 2:
        return Target("y", ModelType.BINARY)
    return Target("y", ModelType.MULTICLASS, tuple(f"c{number}" for number in range(classes)))


def flat_loss(records: ClassRecords, outputs: int, flat: np.ndarray) -> tuple[float, np.ndarray]:
    loss, gradient = loss_and_gradient(records.all(), flat.reshape(outputs, -1))
    return loss, gradient.ravel()


@pytest.mark.parametrize("classes", [2, 3])
def test_derivatives_by_coefficients_are_those_of_the_loss(classes: int) -> None:
    outputs = target_of(classes).outputs
    space, records = Coefficients(shapes(), outputs), records_of(classes)
    penalties = space.shapes.penalties(0.7, 3.0)
    loss = space.penalized(partial(flat_loss, records, outputs), penalties)
    point = np.random.default_rng(1).normal(0, 0.3, len(space.none))
    gradient = loss(point)[1]
    for place, direction in enumerate(1e-5 * np.eye(len(point))):
        slope = (loss(point + direction)[0] - loss(point - direction)[0]) / 2e-5
        assert gradient[place] == pytest.approx(slope, rel=1e-5, abs=1e-5)
    # Intercepts, the last of each row, cost nothing.
    free = np.zeros((outputs, shapes().size + 1))
    free[:, -1] = 2.0
    weights = space.weights(free.ravel())
    assert loss(free.ravel())[0] == pytest.approx(flat_loss(records, outputs, weights)[0])
    assert space.none.shape == free.ravel().shape


def test_weights_and_gradient_are_adjoint() -> None:
    space, rng = Coefficients(shapes(), 3), np.random.default_rng(2)
    point, by_weights = rng.normal(size=len(space.none)), rng.normal(size=3 * (FEATURES + 1))
    assert by_weights @ space.weights(point) == pytest.approx(space.gradient(by_weights) @ point)
    rows = space.weights(point).reshape(3, -1)
    np.testing.assert_allclose(rows[:, :-1], point.reshape(3, -1)[:, :-1] @ shapes().basis.T)
    np.testing.assert_array_equal(rows[:, -1], point.reshape(3, -1)[:, -1])


@pytest.mark.parametrize("rounds", [0, 2], ids=["factored", "by groups"])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_descent_ends_where_scipys_does(monkeypatch: pytest.MonkeyPatch, classes: int, rounds: int) -> None:
    monkeypatch.setattr(class_search, "_GROUPED_ROUNDS", rounds)
    target, records = target_of(classes), records_of(classes)
    space = Coefficients(shapes(), target.outputs)
    search = ClassSearch(target, space, records)
    penalties = space.shapes.penalties(1.0, 10.0)
    found = search.descended(records.all(), space.none, penalties, EXACT)
    loss = space.penalized(partial(flat_loss, records, target.outputs), penalties)
    peer = minimize(loss, space.none, jac=True, method="L-BFGS-B", options={"maxiter": 5000, "gtol": 1e-9})
    assert found.converged
    assert found.value == pytest.approx(peer.fun, rel=1e-7)
    assert found.value <= peer.fun * (1 + 1e-9)


@pytest.mark.parametrize("matrix", [True, False])
def test_many_coefficients_of_several_classes_share_an_inverse(monkeypatch: pytest.MonkeyPatch, matrix: bool) -> None:
    target, records = target_of(4), records_of(4)
    space = Coefficients(shapes(), target.outputs)
    search, penalties = ClassSearch(target, space, records), space.shapes.penalties(1.0, 0.01)
    chunks = records.all() if matrix else records.chunks
    monkeypatch.setattr(class_scaling, "_FACTOR_CELLS", 0)
    monkeypatch.setattr(class_search, "_ALONE_ROUNDS", 0)
    shared = search.descended(chunks, space.none, penalties, EXACT)
    monkeypatch.setattr(class_scaling, "_SHARED_STEPS", 0)
    by_groups = search.descended(chunks, space.none, penalties, EXACT)
    assert shared.converged
    assert shared.value == pytest.approx(by_groups.value, rel=1e-8)
    np.testing.assert_allclose(shared.point, by_groups.point, atol=1e-3)
    assert shared.evaluations < by_groups.evaluations


def test_numbers_whose_squares_are_beyond_float64_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    target, records = target_of(3), records_of(3)
    space = Coefficients(shapes(), target.outputs)
    search, penalties = ClassSearch(target, space, records), space.shapes.penalties(1.0, 1.0)
    chunks = [replace(chunk, values=chunk.values * 1e160) for chunk in records.all() if isinstance(chunk, MatrixChunk)]
    monkeypatch.setattr(class_scaling, "_FACTOR_CELLS", 0)
    monkeypatch.setattr(class_search, "_ALONE_ROUNDS", 0)
    for steps in (1e9, 0):
        monkeypatch.setattr(class_scaling, "_SHARED_STEPS", steps)
        with np.errstate(over="ignore", invalid="ignore"), pytest.raises(ModelError, match="too large for float64"):
            search.descended(chunks, space.none, penalties, EXACT)


def test_an_inverse_that_takes_longer_than_gradients_is_not_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    records = records_of(4, 40)
    entries = sum(chunk.entries for chunk in records.chunks)
    assert entries == 3 * 40
    for steps, expected in ((FEATURES**3 / (4 * entries), True), (FEATURES**3 / (4 * entries) - 1, False)):
        monkeypatch.setattr(class_scaling, "_SHARED_STEPS", steps)
        assert class_scaling._shareable(records.chunks, 4, FEATURES) is expected


@pytest.mark.parametrize("scale", [1e3, 1e6, 1e8])
def test_a_number_of_large_units_leaves_values_alone(scale: float) -> None:
    """Its squares are 1e12 times theirs, and beside the penalty 1 nothing of it is left."""
    target, records = target_of(4), records_of(4)
    space = Coefficients(shapes(), target.outputs)
    penalties = space.shapes.penalties(1.0, 1.0)
    losses = []
    for unit in (1.0, scale):
        large = [
            replace(chunk, values=np.column_stack([chunk.values[:, :-1], chunk.values[:, -1:] * unit]))
            for chunk in records.all()
            if isinstance(chunk, MatrixChunk)
        ]
        costs = penalties.copy()
        costs[-1] *= unit**2
        found = ClassSearch(target, space, records).descended(large, space.none, costs, EXACT)
        assert found.converged
        losses.append(found.value)
    assert losses[1] == pytest.approx(losses[0], rel=1e-7)


def test_few_records_are_judged_by_all_folds_and_many_by_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    target, records = target_of(3), records_of(3)
    facts: list[dict[str, Any]] = []
    for limit in (10_000, 100):
        monkeypatch.setattr(class_search, "_FOLDED", limit)
        search = ClassSearch(target, Coefficients(shapes(), 3), records)
        chosen = search.choose(None)
        # What they cost beside the loss: 2 nats for each power of ten.
        count = search.facts["validationRecords"] if limit == 100 else records.held
        tried = [
            (one["logLoss"] + Strengths(one["l2"], one["l2Numbers"], one["l2Steps"]).doubt / count, one)
            for one in search.facts["strengths"]
        ]
        best = min(tried, key=lambda pair: pair[0])[1]
        assert chosen.told() == {name: best[name] for name in ("l2", "l2Numbers", "l2Steps")}
        assert search.facts["crossValidatedLoss"] == best["logLoss"]
        # Where the final descent begins, the best strength's first solution.
        start = search.start_of(chosen)
        reached = search.descended(records.side(0, within=False), start, search.penalties(chosen), 1e-6)
        assert reached.evaluations <= 3
        facts.append(search.facts)
    assert [one["folds"] for one in facts] == [FOLDS, 1]
    assert facts[1]["crossValidatedLoss"] == pytest.approx(facts[1]["validationLoss"])
    within = sum(int((folds == 0).sum()) for folds in records.folds)
    assert [one["validationRecords"] for one in facts] == [within, within]


def test_a_given_strength_is_kept_and_judged() -> None:
    search = ClassSearch(target_of(2), Coefficients(shapes(), 1), records_of(2))
    assert search.choose(Strengths(2.0, 30.0)) == Strengths(2.0, 30.0)
    [only] = search.facts["strengths"]
    assert (only["l2"], only["l2Numbers"], only["l2Steps"]) == (2.0, 30.0, 30.0)
    assert 0.3 < search.facts["validationLoss"] < np.log(2)


def test_records_of_one_side_are_judged_by_themselves() -> None:
    records = records_of(2, 40)
    records = ClassRecords(records.chunks, [np.ones_like(folds) for folds in records.folds], 40)
    search = ClassSearch(target_of(2), Coefficients(shapes(), 1), records)
    assert search.choose(None) == Strengths()
    assert (search.facts["validationRecords"], search.facts["folds"], search.facts["strengths"]) == (0, 0, [])
