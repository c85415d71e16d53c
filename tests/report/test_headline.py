from __future__ import annotations

import doctest

import pytest

from nightcast.report import headline as headline_module
from nightcast.report.headline import headline


@pytest.mark.parametrize(
    ("metric", "value", "baseline", "name", "verdict"),
    [
        ("RegressionRMSE", 2.0, 2.5, "RMSE", "20.0 % better"),
        ("RegressionRMSE", 3.0, 2.5, "RMSE", "20.0 % worse"),
        ("RegressionRMSE", 2.5, 2.5, "RMSE", "no better"),
        ("RegressionRMSE", 0.0, 0.0, "RMSE", "not comparable"),
        ("BinaryAUC", 0.75, 0.5, "AUC", "50.0 % better"),
        ("BinaryAUC", 0.25, 0.5, "AUC", "50.0 % worse"),
        ("BinaryAUC", None, 0.5, "AUC", "not comparable"),
        ("MulticlassAvgFScore", 0.4, 0.2, "Average F1", "25.0 % better"),
        ("MulticlassAvgFScore", 1.0, 1.0, "Average F1", "not comparable"),
    ],
)
def test_a_metric_is_compared_with_its_baseline_and_with_a_perfect_model(metric, value, baseline, name, verdict):
    found = headline({"performanceMetrics": {metric: value}, "baseline": {metric: baseline}})
    assert (found.name, found.value, found.baseline, found.verdict) == (name, value, baseline, verdict)


def test_examples():
    result = doctest.testmod(headline_module)
    assert result.attempted
    assert not result.failed
