"""What is summed up of an attribute in one pass: what all states have in common, and the state of BINARY ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from nightcast.datasource.arrow_arrays import Array, Bools, Floats, Ints, numbers
from nightcast.datasource.attribute_insights import AttributeInsights, BinaryInsights
from nightcast.datasource.information import informational_correlation, mutual_information
from nightcast.datasource.sketches import Comoments, Deviations
from nightcast.datasource.target_cells import Beside, TargetCells
from nightcast.datasource.value_keys import digits, float_keys, weighted_sum, with_null


class ColumnState(Protocol):
    """A mergeable summary of one attribute."""

    def add(self, array: Array, invalid: Bools | None, beside: Beside) -> None:
        """Take in one batch of the attribute, with the mask of its invalid cells."""
        ...

    def finish(self) -> None:
        """Take in what was put off: to be called after the last batch of a part, and before anything below."""
        ...

    def merge(self, other: ColumnState) -> None:
        """Add what a state of the same kind has seen in the next part."""
        ...

    def insights(self) -> AttributeInsights:
        """The statistics."""
        ...


@dataclass
class BinaryState:
    """Sums up a BINARY attribute.

    Parameters
    ----------
    joint
        Records by value and class of the target, shape (2, classes); None before there is a target.
    """

    missing: int = 0
    invalid: int = 0
    true: int = 0
    false: int = 0
    fingerprint: int = 0
    pairs: Comoments = field(default_factory=Comoments)
    numeric: bool = True
    joint: Ints | None = None

    def add(self, array: Array, invalid: Bools | None, beside: Beside) -> None:
        """See `ColumnState`."""
        values, valid = numbers(array)
        missing, wrong = cells_without_value(len(values), valid, invalid)
        self.missing += missing
        self.invalid += wrong
        codes = values.astype(np.int32)
        if valid is not None:
            codes[~valid] = 2
        counts = np.bincount(codes, minlength=3)
        self.false += int(counts[0])
        self.true += int(counts[1])
        keys = with_null(float_keys(np.arange(2.0)))
        self.fingerprint = (self.fingerprint + weighted_sum(beside.weights, keys[codes])) % 2**64
        target = beside.target
        if target is None:
            return
        width = target.count + 1
        joint = np.bincount(codes * np.int32(width) + target.classes, minlength=3 * width).reshape(3, width)[:2, :-1]
        self.joint = joint if self.joint is None else self.joint + joint
        self.numeric = target.values is not None
        if self.numeric:
            found = Deviations.of(values if valid is None else values[valid])
            self.pairs.merge(pairs_of(found, values, valid, target))

    def finish(self) -> None:
        """See `ColumnState`."""

    def merge(self, other: ColumnState) -> None:
        """See `ColumnState`."""
        if not isinstance(other, BinaryState):
            raise TypeError("only states of one attribute can be merged")
        self.missing += other.missing
        self.invalid += other.invalid
        self.true += other.true
        self.false += other.false
        self.fingerprint = (self.fingerprint + other.fingerprint) % 2**64
        self.pairs.merge(other.pairs)
        self.numeric &= other.numeric
        if self.joint is None or other.joint is None:
            self.joint = other.joint if self.joint is None else self.joint
        else:
            self.joint = self.joint + other.joint

    def insights(self) -> BinaryInsights:
        """See `ColumnState`."""
        information = None if self.joint is None else mutual_information(self.joint)
        return BinaryInsights(
            true=self.true,
            false=self.false,
            missing=self.missing,
            invalid=self.invalid,
            correlation=self.pairs.correlation if self.numeric else informational_correlation(information),
            mutual_information=information,
            fingerprint=digits(self.fingerprint),
        )


def cells_without_value(cells: int, valid: Bools | None, invalid: Bools | None) -> tuple[int, int]:
    """Numbers of missing and of invalid cells; both are null in the array."""
    absent = 0 if valid is None else cells - int(np.count_nonzero(valid))
    wrong = 0 if invalid is None else int(np.count_nonzero(invalid))
    return absent - wrong, wrong


def pairs_of(found: Deviations, values: Floats, valid: Bools | None, target: TargetCells) -> Comoments:
    """Co-moments of the records that have both a value and a numeric target.

    Parameters
    ----------
    found
        Deviations of the valid values.
    values, valid
        The attribute, of the shape of the target.
    """
    if target.values is None or target.found is None:
        raise AssertionError("a CATEGORICAL target has no co-moments")
    if target.valid is None:
        other = target.found if valid is None else Deviations.of(target.values[valid])
        return Comoments.between(found, other)
    both = target.valid if valid is None else valid & target.valid
    return Comoments.of(values[both], target.values[both])
