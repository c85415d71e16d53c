"""Metrics of a multiclass model, as sums that are added batch by batch and merged part by part."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nightcast.datasource.arrow_arrays import Floats, Ints

_SHOWN_CLASSES = 10
_LEAST_PROBABILITY = 1e-15
_MOST_UNKNOWN = 1_000  # names that are kept, so that memory does not grow with the records
OTHERS = "others"


@dataclass
class MulticlassSums:
    """Sums over evaluated records.

    Parameters
    ----------
    classes
        The model's classes, in the order of its scores.
    confusion
        Records by true and predicted class: int64 of shape (classes + 1, classes); the last row is that of
        classes that the model does not know.
    log_loss
        Sum of the negative log-likelihood of the true class, in nats, over the records whose class the model knows.
    unknown_names
        Classes that the model does not know, the first 1,000 of them; where nobody tells them, they count as one.
    """

    classes: tuple[str, ...]
    confusion: Ints = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))
    log_loss: float = 0.0
    unknown_names: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        if not self.confusion.size:
            self.confusion = np.zeros((len(self.classes) + 1, len(self.classes)), dtype=np.int64)

    def add(self, numbers: Floats, scores: Floats) -> None:
        """Add numbers of the true classes, -1 for unknown ones, shape (records,); scores: (records, classes)."""
        if not len(numbers):
            return
        size = len(self.classes)
        true = numbers.astype(np.int64)
        known = true >= 0
        rows = np.where(known, true, size)
        # Of equal scores the first class is the answer.
        self.confusion += np.bincount(rows * size + scores.argmax(axis=1), minlength=self.confusion.size).reshape(
            self.confusion.shape
        )
        likely = scores[known, true[known]]
        self.log_loss -= float(np.log(np.maximum(likely, _LEAST_PROBABILITY)).sum())

    def merge(self, other: MulticlassSums) -> None:
        """Add the sums of the records that follow."""
        self.confusion += other.confusion
        self.log_loss += other.log_loss
        self.add_unknown(other.unknown_names)

    def add_unknown(self, names: Iterable[str]) -> None:
        """Tell classes of evaluated records that the model does not know."""
        for name in sorted(names):
            if len(self.unknown_names) < _MOST_UNKNOWN:
                self.unknown_names.add(name)

    @property
    def records(self) -> int:
        """Number of evaluated records."""
        return int(self.confusion.sum())

    @property
    def f1_by_class(self) -> dict[str, float]:
        """F1 of each class that the evaluated records have and the model knows; that of the others is 0."""
        true = self.confusion.sum(axis=1)
        predicted = self.confusion.sum(axis=0)
        found = {
            name: 2.0 * float(self.confusion[place, place]) / float(true[place] + predicted[place])
            for place, name in enumerate(self.classes)
            if true[place]
        }
        return found

    @property
    def unknown(self) -> int:
        """Number of records whose class the model does not know."""
        return int(self.confusion[-1].sum())

    @property
    def evaluated_classes(self) -> int:
        """Classes that the records have, those that the model does not know among them."""
        known = int(np.count_nonzero(self.confusion[:-1].sum(axis=1)))
        return known + (max(len(self.unknown_names), 1) if self.unknown else 0)

    @property
    def average_f1(self) -> float:
        """Macro average of F1: the plain mean over the classes of the evaluated records."""
        return sum(self.f1_by_class.values()) / self.evaluated_classes

    def baseline_f1(self, most_frequent: str) -> float:
        """Macro average of F1 of always answering one class: 2 p / ((1 + p) K) for its share p among K classes."""
        share = float(self.confusion[self.classes.index(most_frequent)].sum()) / self.records
        return 2.0 * share / ((1.0 + share) * self.evaluated_classes)

    def facts(self) -> dict[str, Any]:
        """Everything that is told beside the average F1, as JSON values."""
        known = self.records - self.unknown
        hits = int(np.trace(self.confusion[:-1]))
        return {
            "otherMetrics": {
                "accuracy": hits / self.records,
                "logLoss": self.log_loss / known if known else None,
                "recordsOfUnknownClasses": self.unknown,
            },
            "confusion": self._matrix(),
            "f1ByClass": self.f1_by_class,
        }

    def _matrix(self) -> dict[str, Any]:
        """The confusion matrix: classes by descending number of true records; with more than 10, the top 9 and others.

        ``counts`` has a row a true class and a column a predicted one. Where classes are among the others, ``all`` is
        the matrix of all of them.
        """
        true = self.confusion[:-1].sum(axis=1)
        order = np.lexsort((np.arange(len(self.classes)), -true))
        if len(order) <= _SHOWN_CLASSES:
            return self._matrix_of(order)
        return {**self._matrix_of(order[: _SHOWN_CLASSES - 1]), "all": self._matrix_of(order)}

    def _matrix_of(self, shown: Ints) -> dict[str, Any]:
        """The matrix of some classes, by their numbers; the rest and those that the model does not know are others."""
        place = np.full(len(self.classes) + 1, len(shown))
        place[shown] = np.arange(len(shown))
        grouped = len(shown) < len(self.classes) or bool(self.unknown)
        names = [self.classes[number] for number in shown] + ([OTHERS] if grouped else [])
        counts = np.zeros((len(shown) + 1, len(shown) + 1), dtype=np.int64)
        rows, columns = np.nonzero(self.confusion)
        np.add.at(counts, (place[rows], place[columns]), self.confusion[rows, columns])
        size = len(names)
        return {"classes": names, "counts": counts[:size, :size].tolist()}
