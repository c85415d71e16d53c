from __future__ import annotations

import numpy as np
import pytest

from nightcast.evaluation.coverage import LEVELS, Coverage
from nightcast.mlmodel.intervals import Intervals

STEPS = tuple(number / 100 for number in range(-500, 501))
INTERVALS = Intervals((10.0,), (STEPS, tuple(2 * step for step in STEPS)), (10_000, 10_000), None)


def test_coverage_and_width_are_those_of_the_bounds() -> None:
    rng = np.random.default_rng(5)
    predictions = rng.uniform(0, 20, 20_000)
    truth = predictions + rng.uniform(-5, 5, 20_000) * np.where(predictions < 10, 1, 2)
    whole, parts = Coverage(), Coverage()
    whole.add(INTERVALS, truth, predictions)
    for chosen in np.array_split(np.arange(20_000), 7):
        part = Coverage()
        part.add(INTERVALS, truth[chosen], predictions[chosen])
        parts.merge(part)
    for level, found, merged in zip(LEVELS, whole.facts(), parts.facts(), strict=True):
        lower, upper = INTERVALS.bounds(predictions, level)
        assert found["level"] == merged["level"] == level
        assert found["coverage"] == merged["coverage"] == np.mean((lower <= truth) & (truth <= upper))
        assert found["coverage"] == pytest.approx(level, abs=0.02)
        assert found["meanWidth"] == pytest.approx((upper - lower).mean(), rel=1e-12)
        assert merged["meanWidth"] == pytest.approx(found["meanWidth"], rel=1e-12)


def test_no_records_no_coverage() -> None:
    assert Coverage().facts() == []


def test_ends_belong_to_the_interval() -> None:
    found = Coverage()
    point = Intervals((), ((0.0,) * 1001,), (50,), None)
    found.add(point, np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    assert [one["coverage"] for one in found.facts()] == [0.5] * 4
    assert [one["meanWidth"] for one in found.facts()] == [0.0] * 4
