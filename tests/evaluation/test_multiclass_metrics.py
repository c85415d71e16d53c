from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from nightcast.evaluation.multiclass_metrics import MulticlassSums

CLASSES = ("Jazz", "Opera", "Rock")


def sums_of(
    true: np.ndarray, scores: np.ndarray, classes: tuple[str, ...] = CLASSES, pieces: int = 1
) -> MulticlassSums:
    total = MulticlassSums(classes)
    for chosen in np.array_split(np.arange(len(true)), pieces):
        part = MulticlassSums(classes)
        part.add(true[chosen].astype(float), scores[chosen])
        total.merge(part)
    return total


def sample(records: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    true = random.choice(classes, records, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())
    raw = random.normal(0, 1, (records, classes))
    raw[np.arange(records), true] += 1
    scores = np.exp(raw)
    return true, scores / scores.sum(axis=1, keepdims=True)


def test_metrics_are_those_of_scikit_learn() -> None:
    true, scores = sample(5_000)
    found = sums_of(true, scores, pieces=4)
    answers = scores.argmax(axis=1)
    assert found.average_f1 == pytest.approx(metrics.f1_score(true, answers, average="macro"))
    assert list(found.f1_by_class.values()) == pytest.approx(list(metrics.f1_score(true, answers, average=None)))
    other = found.facts()["otherMetrics"]
    assert other["accuracy"] == metrics.accuracy_score(true, answers)
    assert other["logLoss"] == pytest.approx(metrics.log_loss(true, scores))


def test_baseline_is_the_f1_of_one_answer() -> None:
    true, scores = sample(2_000)
    baseline = sums_of(true, scores).baseline_f1("Opera")
    assert baseline == pytest.approx(metrics.f1_score(true, np.ones_like(true), average="macro", zero_division=0.0))


def test_the_confusion_matrix_is_ordered_by_true_frequency() -> None:
    true, scores = sample(600)
    matrix = sums_of(true, scores).facts()["confusion"]
    assert matrix["classes"] == ["Rock", "Opera", "Jazz"]
    expected = metrics.confusion_matrix(true, scores.argmax(axis=1), labels=[2, 1, 0])
    assert matrix["counts"] == expected.tolist()


def test_more_than_ten_classes_show_nine_and_the_others() -> None:
    true, scores = sample(3_000, classes=14)
    names = tuple(f"class {number:02}" for number in range(14))
    matrix = sums_of(true, scores, names).facts()["confusion"]
    assert len(matrix["classes"]) == 10
    assert matrix["classes"][-1] == "others"
    assert matrix["classes"][0] == "class 13"
    counts = np.array(matrix["counts"])
    assert counts.sum() == 3_000
    assert counts[0].sum() == (true == 13).sum()
    assert counts[-1].sum() == (true < 5).sum()
    every = matrix["all"]
    assert every["classes"] == [f"class {number:02}" for number in sorted(range(14), key=lambda n: -(true == n).sum())]
    order = [int(name[-2:]) for name in every["classes"]]
    assert every["counts"] == metrics.confusion_matrix(true, scores.argmax(axis=1), labels=order).tolist()


def test_classes_that_the_model_does_not_know_count_as_wrong() -> None:
    true, scores = sample(400)
    unknown = np.where(np.arange(400) < 40, -1, true)
    found = sums_of(unknown, scores)
    facts = found.facts()
    assert facts["otherMetrics"]["recordsOfUnknownClasses"] == 40
    answers = scores.argmax(axis=1)
    assert facts["otherMetrics"]["accuracy"] == ((answers == true)[40:]).sum() / 400
    reference = metrics.f1_score(unknown, answers, labels=[-1, 0, 1, 2], average="macro", zero_division=0.0)
    assert found.average_f1 == pytest.approx(reference)
    assert facts["confusion"]["classes"][-1] == "others"
    assert np.array(facts["confusion"]["counts"]).sum() == 400


def test_a_class_without_evaluated_records_is_no_class() -> None:
    true, scores = sample(300)
    chosen = true != 0
    found = sums_of(true[chosen], scores[chosen])
    assert set(found.f1_by_class) == {"Opera", "Rock"}
    assert found.evaluated_classes == 2
