"""Sums of numbers without any rounding, so that they are the same to the bit however the records lie in parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from nightcast.datasource.arrow_arrays import Floats, Ints

_FRACTION, _HALF = 53, 26
# The least number of float64 is 2**-1074; its exponent by frexp is -1073, and its fraction ends 53 bits further down.
_LEAST_EXPONENT = -1073
_POINT = _FRACTION - _LEAST_EXPONENT
_EXPONENTS = 4096


@dataclass
class ExactSums:
    """Sums of several columns by key.

    A float64 is a whole number of 53 bits times a power of two. The whole numbers of one exponent are added as such,
    in two halves that no number of records of a batch overflows, and totals are Python's unbounded integers: addition
    is then associative, which that of floats is not. (The idea is Kulisch's: Computer arithmetic and validity, 2008.)

    Parameters
    ----------
    columns
        Number of columns.
    rows
        By key the number of records, then for each column the sum, as a multiple of 2**-1126.
    """

    columns: int
    rows: dict[str, list[int]] = field(default_factory=dict)

    def add(self, keys: Sequence[str], codes: Ints, values: Floats) -> None:
        """Add finite values of shape (n, columns) of the keys ``keys[codes]``; at most 2**26 records at once."""
        for code, count in enumerate(np.bincount(codes, minlength=len(keys)).tolist()):
            if count:
                self._row(keys[code])[0] += count
        for column in range(self.columns):
            self._add_column(keys, codes, values[:, column], column + 1)

    def merge(self, other: ExactSums) -> None:
        """Add the sums of other records."""
        for key, row in other.rows.items():
            known = self._row(key)
            for place, total in enumerate(row):
                known[place] += total

    @property
    def records(self) -> int:
        """Number of records."""
        return sum(row[0] for row in self.rows.values())

    def total(self, column: int) -> float:
        """Sum of a column over all keys, rounded once."""
        return _rounded(sum(row[column + 1] for row in self.rows.values()), 1)

    def mean(self, column: int) -> float:
        """Mean of a column over all records, rounded once; of no record it is 0."""
        return _rounded(sum(row[column + 1] for row in self.rows.values()), self.records or 1)

    def by_key(self) -> tuple[list[str], Ints, Floats]:
        """Keys in ascending order, the number of records of each, and its sums: shapes (keys,), (keys, columns)."""
        keys = sorted(self.rows)
        counts = np.array([self.rows[key][0] for key in keys], dtype=np.int64)
        sums = [[_rounded(total, 1) for total in self.rows[key][1:]] for key in keys]
        return keys, counts, np.array(sums, dtype=np.float64).reshape(len(keys), self.columns)

    def _row(self, key: str) -> list[int]:
        return self.rows.setdefault(key, [0] * (self.columns + 1))

    def _add_column(self, keys: Sequence[str], codes: Ints, values: Floats, place: int) -> None:
        fractions, exponents = np.frexp(values)
        whole = np.ldexp(fractions, _FRACTION).astype(np.int64)
        cells, inverse = np.unique(
            codes.astype(np.int64) * _EXPONENTS + (exponents - _LEAST_EXPONENT), return_inverse=True
        )
        high = np.bincount(inverse, weights=whole >> _HALF, minlength=len(cells))
        low = np.bincount(inverse, weights=whole & ((1 << _HALF) - 1), minlength=len(cells))
        for cell, upper, lower in zip(cells.tolist(), high.tolist(), low.tolist(), strict=True):
            code, shift = divmod(cell, _EXPONENTS)
            self._row(keys[code])[place] += ((int(upper) << _HALF) + int(lower)) << shift


def _rounded(total: int, divisor: int) -> float:
    """A quotient of whole numbers, which Python rounds rightly; infinite beyond the range of float64."""
    try:
        return total / (divisor << _POINT)
    except OverflowError:
        return float("inf") if total > 0 else float("-inf")
