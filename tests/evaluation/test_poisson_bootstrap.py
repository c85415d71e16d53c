from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, poisson, t

from nightcast.evaluation.poisson_bootstrap import (
    paired_difference,
    poisson_weights,
    record_streams,
    replicate_means,
    text_streams,
)


def one_each(losses: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Streams, sizes and losses of records."""
    return record_streams("seed", np.arange(len(losses))), np.ones(len(losses), dtype=np.int64), losses


def difference_of(losses: np.ndarray, root: bool = False, confidence: float = 0.95, **more):
    means = losses.mean(axis=0)
    levels = np.sqrt(means) if root else means
    return paired_difference(*one_each(losses), float(levels[0] - levels[1]), root=root, confidence=confidence, **more)


def test_weights_are_poisson() -> None:
    weights = poisson_weights(record_streams("seed", np.arange(20_000)), 50)
    assert weights.shape == (20_000, 50)
    shares = np.bincount(weights.ravel(), minlength=9) / weights.size
    assert shares == pytest.approx(poisson.pmf(np.arange(9), 1), abs=0.0015)
    assert weights.mean() == pytest.approx(1, abs=0.004)
    assert weights.var() == pytest.approx(1, abs=0.01)
    # Neither neighbouring records nor replicates know of each other.
    table = weights[:, :8].astype(float)
    assert np.abs(np.corrcoef(table.T) - np.eye(8)).max() < 0.035
    assert abs(np.corrcoef(weights[:-1, 0], weights[1:, 0])[0, 1]) < 0.035


def test_a_weight_depends_on_seed_record_and_replicate_alone() -> None:
    numbers = np.array([7, 3, 2**40])
    all_of_them = poisson_weights(record_streams("a", numbers), 33)
    for place, number in enumerate(numbers):
        alone = poisson_weights(record_streams("a", np.array([number])), 9)
        assert alone[0].tolist() == all_of_them[place, :9].tolist()
    assert (poisson_weights(record_streams("b", numbers), 33) != all_of_them).any()
    days = poisson_weights(text_streams("a", ["2008-01-01", "2008-01-02"]), 33)
    assert poisson_weights(text_streams("a", ["2008-01-02"]), 33)[0].tolist() == days[1].tolist()


def test_replicates_are_weighted_means_by_brute_force() -> None:
    rng = np.random.default_rng(2)
    sizes, sums = rng.integers(1, 9, 5000), rng.gamma(1, 3, (5000, 3))
    streams = record_streams("seed", np.arange(5000))
    weights = poisson_weights(streams, 17).astype(float)
    expected = (weights.T @ sums) / (weights.T @ sizes)[:, None]
    assert replicate_means(streams, sizes, sums, 17) == pytest.approx(expected, rel=1e-12)


def test_replicates_without_any_weight_are_left_out() -> None:
    found = replicate_means(*one_each(np.ones((1, 2))), 400)
    assert len(found) == pytest.approx(400 * (1 - np.exp(-1)), abs=40)
    assert (found == 1).all()


def test_the_standard_error_of_a_mean_is_the_textbooks() -> None:
    losses = np.random.default_rng(3).gamma(2, 1, (2000, 2))
    found = difference_of(losses, replicates=4000)
    textbook = (losses[:, 0] - losses[:, 1]).std(ddof=1) / np.sqrt(2000)
    assert found.standard_error == pytest.approx(textbook, rel=0.04)
    reach = t.ppf(0.95, 1999) * found.standard_error
    assert (found.lower, found.upper) == pytest.approx((found.value - reach, found.value + reach))


def test_the_standard_error_of_a_root_is_that_of_numpys_bootstrap_and_of_the_delta_method() -> None:
    rng = np.random.default_rng(4)
    hard = rng.gamma(2, 1, 500)
    losses = np.stack([hard * rng.gamma(5, 0.2, 500), hard * rng.gamma(5, 0.24, 500)], axis=1)
    found = difference_of(losses, root=True, replicates=4000)
    drawn = losses[rng.integers(0, 500, (4000, 500))].mean(axis=1)
    ordinary = (np.sqrt(drawn[:, 0]) - np.sqrt(drawn[:, 1])).std()
    assert found.standard_error == pytest.approx(ordinary, rel=0.06)
    roots = np.sqrt(losses.mean(axis=0))
    influence = losses[:, 0] / (2 * roots[0]) - losses[:, 1] / (2 * roots[1])
    assert found.standard_error == pytest.approx(influence.std() / np.sqrt(500), rel=0.06)


def test_of_a_sample_the_error_is_that_of_all_records() -> None:
    losses = np.random.default_rng(5).gamma(2, 1, (4000, 2))
    whole = difference_of(losses, replicates=1000)
    some = paired_difference(
        *one_each(losses[::10]), whole.value, root=False, confidence=0.95, replicates=1000, share=0.1
    )
    assert some.standard_error == pytest.approx(whole.standard_error, rel=0.12)


def test_days_whose_errors_belong_together_are_less_sure_than_their_records() -> None:
    rng = np.random.default_rng(6)
    days, a_day = 40, 100
    common = np.repeat(rng.normal(0, 1, days), a_day)
    losses = np.stack([10 + common + rng.normal(0, 1, days * a_day), np.full(days * a_day, 10.0)], axis=1)
    sums = losses.reshape(days, a_day, 2).sum(axis=1)
    streams = text_streams("seed", [str(day) for day in range(days)])
    value = float((losses[:, 0] - losses[:, 1]).mean())
    blocks = paired_difference(streams, np.full(days, a_day), sums, value, root=False, confidence=0.95, replicates=2000)
    records = difference_of(losses, replicates=2000)
    truth = np.sqrt((1 + 1 / a_day) / days)
    assert blocks.standard_error == pytest.approx(truth, rel=0.25)
    assert records.standard_error < truth / 5


def test_too_few_units_tell_nothing() -> None:
    found = difference_of(np.ones((1, 2)))
    assert (found.value, found.standard_error, found.lower, found.upper) == (0.0, None, None, None)
    huge = paired_difference(*one_each(np.full((5, 2), 1e308)), 0.0, root=False, confidence=0.95)
    assert huge.standard_error is None


def test_equal_models_differ_by_nothing() -> None:
    losses = np.repeat(np.random.default_rng(7).gamma(2, 1, (50, 1)), 2, axis=1)
    found = difference_of(losses, root=True)
    assert (found.value, found.standard_error, found.lower, found.upper) == (0, 0, 0, 0)


@pytest.mark.parametrize(("size", "confidence"), [(12, 0.95), (60, 0.9)])
def test_bounds_hold_as_often_as_they_say(size: int, confidence: float) -> None:
    """Each bound is missed with the stated probability; 600 seeded simulations, tolerance of three deviations."""
    rng, misses, trials = np.random.default_rng(8), np.zeros(2), 600
    for _ in range(trials):
        losses = rng.normal(5, 1, (size, 2))
        found = difference_of(losses, confidence=confidence)
        misses += (found.lower > 0, found.upper < 0)
    expected = 1 - confidence
    assert misses / trials == pytest.approx(expected, abs=3 * np.sqrt(expected * confidence / trials))


def test_more_confidence_reaches_further() -> None:
    losses = np.random.default_rng(9).gamma(2, 1, (300, 2))
    near, far = difference_of(losses, confidence=0.8), difference_of(losses, confidence=0.99)
    assert far.lower < near.lower < near.value < near.upper < far.upper
    assert (far.value - far.lower) / (near.value - near.lower) == pytest.approx(
        norm.ppf(0.99) / norm.ppf(0.8), rel=0.02
    )
