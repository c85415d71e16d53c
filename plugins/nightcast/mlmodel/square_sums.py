"""What the squared error of a linear model depends on, as sums over records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.mlmodel.gram import Gram
from nightcast.mlmodel.record_sums import PieceSums, RecordSums
from nightcast.recipe.pieces import Piece


class Products(Protocol):
    """Sums over records of products of features X, numbers about their centers, and targets y."""

    @property
    def with_target(self) -> Floats:
        """X'y; float64 of shape (features,)."""
        ...

    @property
    def sums(self) -> Floats:
        """Column sums of X."""
        ...

    @property
    def diagonal(self) -> Floats:
        """Column sums of the squares of X."""
        ...

    def times(self, vector: Floats) -> Floats:
        """``X'X v``."""
        ...

    def products(self) -> Floats:
        """X'X, at least its upper triangle."""
        ...


Sums = TypeVar("Sums", bound=Products)


@dataclass
class SquareSums(Generic[Sums]):
    """Sums over some records: all that their squared error depends on.

    Parameters
    ----------
    gram
        Of the features, with targets about `center`.
    center
        A number near the target's mean, the same in every part: sums of squares about it lose fewer digits.
    records
        Their number, or the sum of their weights.
    total, squares
        Sums of the targets and of their squares, about the center.
    """

    gram: Sums
    center: float
    records: float = 0
    total: float = 0.0
    squares: float = 0.0

    def squared_error(self, weights: Floats, constant: float) -> tuple[float, Floats, float]:
        """Mean squared error of a solution, and half its derivatives by weights and constant.

        Parameters
        ----------
        weights
            float64 of shape (features,).
        constant
            Prediction, about the target's center, for a record whose features are at their centers.
        """
        of_weights = self.gram.times(weights) + constant * self.gram.sums - self.gram.with_target
        of_constant = dot(weights, self.gram.sums) + self.records * constant - self.total
        error = self.squares + dot(weights, of_weights - self.gram.with_target) + constant * (of_constant - self.total)
        # NaN, where squares were beyond float64, stays NaN.
        mean = 0.0 if error < 0 else error / self.records
        return mean, of_weights / self.records, of_constant / self.records


def added(sums: SquareSums[Gram], pieces: Sequence[Piece], targets: Floats) -> None:
    """Add the records of a batch."""
    centered = targets - sums.center
    sums.records += len(targets)
    sums.total += float(centered.sum())
    sums.squares += dot(centered, centered)
    sums.gram.add(pieces, centered)


def merged(sums: SquareSums[Gram], other: SquareSums[Gram]) -> None:
    """Add the sums of the records that follow."""
    sums.records += other.records
    sums.total += other.total
    sums.squares += other.squares
    sums.gram.merge(other.gram)


def of_records(found: RecordSums | PieceSums, center: float) -> SquareSums[RecordSums | PieceSums]:
    """The sums over records in memory."""
    targets = found.targets
    return SquareSums(found, center, len(targets), float(targets.sum()), dot(targets, targets))


def dot(left: Floats, right: Floats) -> float:
    """The dot product. Not BLAS: how that splits the sum depends on its threads."""
    return float(np.einsum("i,i->", left, right))
