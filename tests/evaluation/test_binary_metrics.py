from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from nightcast.evaluation.binary_metrics import BinarySums
from nightcast.mlmodel.model import Link


def sums_of(classes: np.ndarray, raw: np.ndarray, pieces: int = 1, threshold: float = 0.5) -> BinarySums:
    total = BinarySums(threshold)
    for chosen in np.array_split(np.arange(len(classes)), pieces):
        part = BinarySums(threshold)
        part.add(classes[chosen], raw[chosen], Link.LOGIT.predictions(raw[chosen]))
        total.merge(part)
    return total


def sample(records: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    raw = random.normal(-1.0, 2.0, records)
    return (random.random(records) < Link.LOGIT.predictions(raw)).astype(float), raw


@pytest.mark.parametrize("records", [50, 3_000, 200_000])
def test_metrics_are_those_of_scikit_learn(records: int) -> None:
    classes, raw = sample(records)
    scores = 1 / (1 + np.exp(-raw))
    found = sums_of(classes, raw, pieces=7, threshold=0.3)
    labels = scores >= 0.3
    other = found.facts()["otherMetrics"]
    # Beyond 4,096 distinct scores a class they are counted in narrow intervals.
    assert found.auc == pytest.approx(metrics.roc_auc_score(classes, scores), abs=1e-12 if records < 4_096 else 1e-4)
    assert other["logLoss"] == pytest.approx(metrics.log_loss(classes, scores), rel=1e-9)
    assert other["brierScore"] == pytest.approx(metrics.brier_score_loss(classes, scores), rel=1e-9)
    assert other["accuracy"] == metrics.accuracy_score(classes, labels)
    assert other["precision"] == pytest.approx(metrics.precision_score(classes, labels))
    assert other["recall"] == pytest.approx(metrics.recall_score(classes, labels))
    assert other["f1"] == pytest.approx(metrics.f1_score(classes, labels))
    [[true_negative, false_positive], _] = metrics.confusion_matrix(classes, labels)
    assert other["falsePositiveRate"] == pytest.approx(false_positive / (false_positive + true_negative))


def test_the_threshold_itself_is_a_one() -> None:
    found = sums_of(np.array([1.0, 0.0]), np.array([0.0, -1.0]), threshold=0.5)
    assert found.facts()["confusion"] == {
        "truePositives": 1,
        "trueNegatives": 1,
        "falsePositives": 0,
        "falseNegatives": 0,
    }


def test_without_one_of_the_classes_there_is_no_auc() -> None:
    found = sums_of(np.zeros(3), np.array([0.1, 0.2, 0.3]))
    assert found.auc is None
    assert found.facts()["otherMetrics"]["recall"] is None
    assert found.records == 3


def test_thresholds_histogram_and_calibration_count_all_records() -> None:
    classes, raw = sample(10_000)
    scores = Link.LOGIT.predictions(raw)
    facts = sums_of(classes, raw).facts()
    histogram = facts["scoreHistogram"]
    assert sum(histogram["zeros"]) + sum(histogram["ones"]) == 10_000
    at_30 = facts["thresholds"][29]
    assert at_30["threshold"] == 0.3
    assert at_30["recall"] == pytest.approx(((scores >= 0.3) & (classes > 0)).sum() / classes.sum())
    assert sum(bar["records"] for bar in facts["calibration"]) == 10_000
    for bar in facts["calibration"]:
        # The classes were drawn with these probabilities.
        assert bar["shareOfOnes"] == pytest.approx(bar["meanScore"], abs=5 * 0.5 / np.sqrt(bar["records"]))


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([-3.0, -1.5, -0.0, 0.0, 0.5, 2.0])), min_size=1, max_size=60),
    st.integers(1, 5),
)
@settings(max_examples=60, deadline=None)
def test_auc_of_any_ties_and_any_parts(records: list[tuple[bool, float]], pieces: int) -> None:
    classes = np.array([float(positive) for positive, _ in records])
    raw = np.array([score for _, score in records])
    found = sums_of(classes, raw, pieces).auc
    if len(set(classes)) < 2:
        assert found is None
    else:
        assert found == pytest.approx(metrics.roc_auc_score(classes, raw + 0.0))


def test_extreme_log_odds_give_finite_metrics() -> None:
    found = sums_of(np.array([0.0, 1.0, 1.0]), np.array([-1000.0, 1000.0, -1000.0]))
    assert found.facts()["otherMetrics"]["logLoss"] == pytest.approx(-np.log(1e-15) / 3)
    assert found.auc == 0.75
