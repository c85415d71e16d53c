from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, log_loss, roc_auc_score

from nightcast.mlmodel.targets import ModelType
from nightcast.mlmodel.validation import area_under_curve, validation_facts


def test_a_regression_is_judged_by_its_rmse() -> None:
    metrics, loss = validation_facts(ModelType.REGRESSION, np.array([1.0, 2.0, 6.0]), np.array([1.0, 4.0, 2.0]))
    assert metrics == {"RegressionRMSE": loss}
    assert loss == pytest.approx(np.sqrt(20 / 3))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=60))
def test_the_area_counts_ties_half(pairs: list[tuple[bool, int]]) -> None:
    truth, scores = np.array([pair[0] for pair in pairs]), np.array([pair[1] / 8 for pair in pairs])
    expected = roc_auc_score(truth, scores) if truth.any() and not truth.all() else 0.5
    assert area_under_curve(truth, scores) == pytest.approx(expected, abs=1e-12)


def test_binary_metrics_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(500)
    truth = (rng.random(500) < scores).astype(float)
    metrics, loss = validation_facts(ModelType.BINARY, truth, scores)
    assert metrics["BinaryAUC"] == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert loss == metrics["logLoss"] == pytest.approx(log_loss(truth, scores), rel=1e-12)


def test_multiclass_metrics_are_scikit_learns_over_the_classes_that_occur() -> None:
    rng = np.random.default_rng(1)
    shares = rng.dirichlet(np.ones(4), 400)
    truth = np.array([rng.choice(3, p=row[:3] / row[:3].sum()) for row in shares]).astype(float)
    metrics, loss = validation_facts(ModelType.MULTICLASS, truth, shares)
    expected = f1_score(truth, shares.argmax(axis=1), labels=[0, 1, 2], average="macro")
    assert metrics["MulticlassAvgFScore"] == pytest.approx(expected, abs=1e-12)
    assert loss == pytest.approx(log_loss(truth, shares, labels=[0, 1, 2, 3]), rel=1e-12)


def test_a_sure_error_has_a_finite_loss() -> None:
    assert validation_facts(ModelType.BINARY, np.array([1.0]), np.array([0.0]))[1] == pytest.approx(34.5, abs=0.1)
