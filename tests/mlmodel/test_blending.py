from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from given_predictors import Given, Other
from nightcast.mlmodel.blend import Blend
from nightcast.mlmodel.blending import best_share, blended
from nightcast.mlmodel.held_out import HeldOut
from nightcast.mlmodel.learners import Fit
from nightcast.mlmodel.model import Link
from nightcast.mlmodel.targets import ModelType
from nightcast.mlmodel.validation import validation_facts


def records(targets: Any, *predictions: Any, folds: Any = None) -> HeldOut:
    truth = np.asarray(targets, dtype=float)
    of_folds = np.zeros(len(truth), dtype=np.uint8) if folds is None else np.asarray(folds, dtype=np.uint8)
    return HeldOut(of_folds, truth, tuple(np.asarray(one, dtype=float) for one in predictions))


def noisy(size: int, first: float, second: float) -> HeldOut:
    """A truth, and two models that miss it independently of each other."""
    random = np.random.default_rng(0)
    truth = random.normal(size=size)
    return records(truth, truth + first * random.normal(size=size), truth + second * random.normal(size=size))


def test_shares_of_independent_errors_are_as_their_precisions() -> None:
    # The best share is b**2 / (a**2 + b**2) for deviations a and b.
    assert best_share(ModelType.REGRESSION, noisy(20_000, 1.0, 1.0)) == 0.5
    assert best_share(ModelType.REGRESSION, noisy(20_000, 1.0, 2.0)) == 0.8
    assert best_share(ModelType.REGRESSION, noisy(20_000, 2.0, 1.0)) == 0.2


def test_a_model_that_adds_nothing_is_left_out() -> None:
    assert best_share(ModelType.REGRESSION, noisy(20_000, 0.01, 1.0)) == 1.0
    assert best_share(ModelType.REGRESSION, noisy(20_000, 1.0, 0.01)) == 0.0
    truth = np.arange(400) % 2
    sure, unsure = np.where(truth > 0, 0.99, 0.01), np.full(400, 0.5)
    assert best_share(ModelType.BINARY, records(truth, sure, unsure)) == 1.0
    assert best_share(ModelType.BINARY, records(truth, unsure, sure)) == 0.0


def test_few_records_hardly_move_the_share() -> None:
    assert best_share(ModelType.REGRESSION, noisy(1, 0.0, 1.0)) == pytest.approx(0.55, abs=0.051)


def test_a_model_that_errs_next_to_nothing_is_kept_alone() -> None:
    truth = np.arange(1000) % 2
    exact, near = (np.where(truth > 0, 1 - error, error) for error in (1e-6, 1e-3))
    # In all 0.001 nats against 1.
    assert best_share(ModelType.BINARY, records(truth, exact, near)) == 1.0
    assert best_share(ModelType.BINARY, records(truth, near, exact)) == 0.0
    few = np.arange(1000) < 20
    assert best_share(ModelType.BINARY, records(truth[few], exact[few], near[few])) == 0.5


def test_of_two_models_that_are_the_same_one_is_kept() -> None:
    for kind, targets in ((ModelType.REGRESSION, [1.0, 2.0, 3.0]), (ModelType.BINARY, [0.0, 1.0, 1.0])):
        assert best_share(kind, records(targets, [0.2, 0.3, 0.9], [0.2, 0.3, 0.9])) == 1.0


@pytest.mark.parametrize("unit", [1e-300, 1e-160, 1.0, 1e200])
def test_units_of_the_target_do_not_matter(unit: float) -> None:
    found = noisy(2_000, 1.0, 2.0)
    scaled = HeldOut(found.folds, found.targets * unit, tuple(one * unit for one in found.predictions))
    assert best_share(ModelType.REGRESSION, scaled) == best_share(ModelType.REGRESSION, found)


def test_probabilities_of_several_classes_are_judged_by_those_of_the_truth() -> None:
    truth = np.arange(3000) % 3
    first = np.full((3000, 3), 0.05)
    first[np.arange(3000), truth] = 0.9
    second = np.roll(first, 1, axis=1)
    assert best_share(ModelType.MULTICLASS, records(truth, first, second)) == 1.0
    half = np.arange(3000) < 1500
    # Each knows half of the records.
    mixed = [np.where(chosen[:, None], first, 1 / 3) for chosen in (half, ~half)]
    assert best_share(ModelType.MULTICLASS, records(truth, *mixed)) == 0.5


@given(st.integers(0, 2**32 - 1), st.integers(2, 60))
def test_no_share_has_a_lower_penalised_loss(seed: int, size: int) -> None:
    random = np.random.default_rng(seed)
    found = records(random.normal(size=size), random.normal(size=size), random.normal(size=size))
    share = best_share(ModelType.REGRESSION, found)
    first, second = (found.targets - one for one in found.predictions)
    scale = (np.mean(first**2) + np.mean(second**2)) / 2

    def loss(other: float) -> float:
        return float(np.sum((other * first + (1 - other) * second) ** 2) / scale + 10 * (other - 0.5) ** 2)

    assert loss(share) <= min(loss(number / 20) for number in range(21)) * (1 + 1e-9)


def fits() -> list[Fit]:
    facts: dict[str, Any] = {"features": 3, "validation": {}, "importance": {"x": 1.0}}
    return [
        Fit(Given([1.0]), Link.IDENTITY, {"l2": 2.0}, {"features": 2}),
        Fit(Other([1.0]), Link.LOG, {"maxLeaves": 8}, facts),
    ]


def test_the_mean_tells_how_it_came_to_be() -> None:
    held = noisy(600, 1.0, 2.0)
    held = HeldOut((np.arange(600) % 6).astype(np.uint8), held.targets, held.predictions)
    fit = blended(ModelType.REGRESSION, fits(), 0.8, held)
    mean = 0.8 * held.predictions[0] + 0.2 * held.predictions[1]
    assert isinstance(fit.predictor, Blend)
    assert fit.predictor.shares == {"given": 0.8, "other": pytest.approx(0.2)}
    assert [member.link for member in fit.predictor.members] == [Link.IDENTITY, Link.LOG]
    assert fit.link is Link.IDENTITY
    assert fit.parameters == {"given.l2": 2.0, "other.maxLeaves": 8}
    assert fit.residuals is not None
    np.testing.assert_allclose(fit.residuals[0], mean)
    np.testing.assert_allclose(fit.residuals[0] + fit.residuals[1], held.targets)
    of_slice = held.folds == 0
    assert fit.facts["validation"]["RegressionRMSE"] == fit.facts["validationLoss"]
    assert fit.facts["validationLoss"] == pytest.approx(
        validation_facts(ModelType.REGRESSION, held.targets[of_slice], mean[of_slice])[1]
    )
    assert fit.facts["heldOutLoss"] == pytest.approx(np.sqrt(np.mean((held.targets - mean) ** 2)))
    assert (fit.facts["folds"], fit.facts["features"], fit.facts["importance"]) == (6, 5, {"x": 1.0})
    assert fit.facts["members"]["given"] == {"features": 2}


def test_a_classification_has_no_residuals() -> None:
    truth = np.arange(40) % 2
    fit = blended(ModelType.BINARY, fits(), 0.5, records(truth, np.full(40, 0.4), np.full(40, 0.6)))
    assert fit.residuals is None
    assert fit.link is Link.LOGIT
    assert fit.facts["validation"] == {"BinaryAUC": 0.5, "logLoss": pytest.approx(np.log(2))}
