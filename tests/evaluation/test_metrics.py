from __future__ import annotations

import doctest
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from nightcast.evaluation import metrics
from nightcast.evaluation.metrics import RegressionSums, histogram_edges

numbers = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))
pairs = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=40)


def sums_of(found: list[tuple[float, float]]) -> RegressionSums:
    sums = RegressionSums()
    sums.add(np.array([truth for truth, _ in found]), np.array([score for _, score in found]))
    return sums


@settings(max_examples=60, deadline=None)
@given(pairs, st.floats(-1e3, 1e3))
def test_metrics_are_scikit_learns(found: list[tuple[float, float]], training_mean: float) -> None:
    truth, scores = np.array(found).T
    sums = sums_of(found)
    assert sums.rmse == pytest.approx(math.sqrt(mean_squared_error(truth, scores)), rel=1e-9, abs=1e-9)
    assert sums.mae == pytest.approx(mean_absolute_error(truth, scores), rel=1e-9, abs=1e-9)
    baseline = math.sqrt(mean_squared_error(truth, np.full(len(truth), training_mean)))
    assert sums.baseline_rmse(training_mean) == pytest.approx(baseline, rel=1e-9, abs=1e-9)
    if np.ptp(truth) > 1e-3:
        assert sums.r2 == pytest.approx(r2_score(truth, scores), rel=1e-6, abs=1e-9)


def test_r2_is_undefined_for_a_constant_truth() -> None:
    assert sums_of([(2.0, 1.0), (2.0, 3.0)]).r2 is None
    assert sums_of([(2.0, 1.0)]).r2 is None


@settings(max_examples=60, deadline=None)
@given(pairs, st.lists(st.integers(0, 40), max_size=3))
def test_merged_parts_are_the_whole(found: list[tuple[float, float]], cuts: list[int]) -> None:
    bounds = [0, *sorted(cut % (len(found) + 1) for cut in cuts), len(found)]
    merged = RegressionSums()
    for begin, end in itertools.pairwise(bounds):
        merged.merge(sums_of(found[begin:end]) if begin < end else RegressionSums())
    whole = sums_of(found)
    assert (merged.records, merged.low, merged.high) == (whole.records, whole.low, whole.high)
    for name in ("rmse", "mae"):
        assert getattr(merged, name) == pytest.approx(getattr(whole, name), rel=1e-9)
    expected = whole.residual_facts()
    facts = merged.residual_facts()
    for name in ("median", "p05", "p95", "min", "max"):
        assert facts[name] == pytest.approx(expected[name], rel=1e-9, abs=1e-9)


def test_histogram_counts_every_residual_once() -> None:
    residuals = np.random.default_rng(4).normal(0.2, 1.0, 20_000)
    residuals[:3] = [-50.0, 60.0, 70.0]
    facts = sums_of([(residual, 0.0) for residual in residuals]).residual_facts()
    bars = facts["histogram"]
    assert len(bars["edges"]) == len(bars["counts"]) + 1 == 41
    assert bars["edges"][0] == -4.0
    assert bars["edges"][20] == 0.0
    assert bars["below"] + sum(bars["counts"]) + bars["above"] == 20_000
    assert bars["below"] >= 1
    assert bars["above"] >= 2
    expected = np.histogram(residuals, bars["edges"])[0]
    # Residuals are known to 0.025 %, so a few at an edge may stand beside it.
    assert abs(expected - bars["counts"]).max() <= 3
    assert facts["median"] == pytest.approx(np.median(residuals), abs=1e-3)
    assert facts["mean"] == pytest.approx(residuals.mean())
    assert facts["std"] == pytest.approx(residuals.std(ddof=1))


@pytest.mark.parametrize(
    ("rmse", "width"),
    [(1.0, 0.2), (0.7, 0.1), (3.0, 0.5), (700.0, 100.0), (8000.0, 2000.0), (0.0, 1.0), (1e-300, 1.0), (2e-7, 5e-8)],
)
def test_bars_have_round_widths(rmse: float, width: float) -> None:
    edges = histogram_edges(rmse)
    assert edges == [pytest.approx(width * place) for place in range(-20, 21)]
    assert edges == sorted(set(edges))
    assert all(len(repr(edge)) < 9 for edge in edges)


def test_examples() -> None:
    result = doctest.testmod(metrics)
    assert result.attempted
    assert not result.failed
