"""Small states that sum up many values: added to batch by batch, merged part by part.

All of them are pure functions of the values and of the order in which batches and parts come, so the outcome is the
same to the bit wherever they are computed. No BLAS: its sums depend on the number of threads.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from math import sqrt

import numpy as np

from nightcast.artifacts import finite
from nightcast.datasource.arrow_arrays import Floats, Hashes, Ints, each_once

SMALLEST_HASHES = 8192
_SLOTS = 1 << 15
_WORTH_A_TABLE = 2048


@dataclass
class Moments:
    """Number, mean and sum of squared deviations of values.

    Merged by Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample variances,
    Stanford STAN-CS-79-773 (1979).
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, values: Floats) -> Moments:
        """Moments of finite values of shape (n,)."""
        return Deviations.of(values).moments

    def merge(self, other: Moments) -> None:
        """Add what `other` has seen."""
        count = self.count + other.count
        if other.count == 0:
            return
        delta = other.mean - self.mean
        share = other.count / count
        self.squares += other.squares + delta * delta * self.count * share
        self.mean += delta * share
        self.count = count

    @property
    def average(self) -> float | None:
        """The mean; None without values, or where it passes the range of float64."""
        return finite(self.mean) if self.count else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the sample, divisor n - 1; None below two values."""
        return finite(sqrt(self.squares / (self.count - 1))) if self.count > 1 else None

    @property
    def varies(self) -> bool:
        """Whether the values differ by more than the rounding errors that a constant column leaves behind."""
        noise = 1e-14 * abs(self.mean)
        return self.count > 1 and self.squares > noise * noise * self.count


@dataclass(frozen=True)
class Deviations:
    """Values less their mean, of shape (n,), and the moments of the values themselves."""

    values: Floats
    moments: Moments

    @classmethod
    def of(cls, values: Floats) -> Deviations:
        """Deviations of finite values of shape (n,)."""
        if len(values) == 0:
            return cls(values, Moments())
        mean = float(values.mean())
        deviations = values - mean
        return cls(deviations, Moments(len(values), mean, _dot(deviations, deviations)))


@dataclass
class Comoments:
    """Moments of pairs, and the sum of the products of their deviations; merged as `Moments` are."""

    first: Moments = field(default_factory=Moments)
    second: Moments = field(default_factory=Moments)
    products: float = 0.0

    @classmethod
    def of(cls, first: Floats, second: Floats) -> Comoments:
        """Co-moments of two arrays of finite values of the same shape (n,)."""
        if len(first) == 0:
            return cls()
        return cls.between(Deviations.of(first), Deviations.of(second))

    @classmethod
    def between(cls, first: Deviations, second: Deviations) -> Comoments:
        """The same, with the deviations of both sides known."""
        return cls(copy(first.moments), copy(second.moments), _dot(first.values, second.values))

    def merge(self, other: Comoments) -> None:
        """Add what `other` has seen."""
        count = self.first.count + other.first.count
        if other.first.count == 0:
            return
        weight = self.first.count * (other.first.count / count)
        moved = (other.first.mean - self.first.mean) * (other.second.mean - self.second.mean)
        self.products += other.products + moved * weight
        self.first.merge(other.first)
        self.second.merge(other.second)

    @property
    def correlation(self) -> float | None:
        """Pearson's correlation, -1..1; None where one side does not vary."""
        if not (self.first.varies and self.second.varies):
            return None
        value = finite(self.products / sqrt(self.first.squares) / sqrt(self.second.squares))
        return None if value is None else min(1.0, max(-1.0, value))


@dataclass
class DistinctHashes:
    """How many distinct values there are, from the smallest hashes.

    Exact below 8,192 distinct values (two of them having one hash aside: 1 in 10**11); beyond, the k-th smallest of n
    evenly spread hashes tells n, with a relative standard error of 1 / sqrt(k - 2) = 1.1 %. Source: Bar-Yossef et al.,
    Counting distinct elements in a data stream, RANDOM 2002; the estimator (k - 1) / u_k is unbiased: Beyer et al.,
    On synopses for distinct-value estimation under multiset operations, SIGMOD 2007.
    """

    kept: Hashes = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))
    waiting: list[Hashes] = field(default_factory=list)

    def add(self, hashes: Hashes) -> None:
        """Count values by their hashes, in any order, any number of times."""
        if len(self.kept) == SMALLEST_HASHES:
            hashes = hashes[hashes < self.kept[-1]]
            if len(hashes) > _WORTH_A_TABLE:
                hashes = _unknown(hashes, self.kept)
        elif len(hashes) > _WORTH_A_TABLE:
            hashes = self._smaller(hashes)
        if len(hashes):
            self.waiting.append(hashes)
            if len(self.kept) < SMALLEST_HASHES or sum(len(piece) for piece in self.waiting) >= SMALLEST_HASHES:
                self.settle()

    def merge(self, other: DistinctHashes) -> None:
        """Add what `other` has seen."""
        self.add(other.smallest)

    def _smaller(self, hashes: Hashes) -> Hashes:
        """What there is to sort of many first hashes."""
        if len(hashes) > 4 * SMALLEST_HASHES:
            # They are spread evenly: if most values differ, the smallest ones lie below this, and sorting is short.
            low = each_once(_thinned(hashes[hashes < np.uint64(2**64 * 2 * SMALLEST_HASHES // len(hashes))]))
            if len(low) >= SMALLEST_HASHES:
                if len(self.kept) or self.waiting:
                    return low
                self.kept = low[:SMALLEST_HASHES]
                return low[:0]
        return _thinned(hashes)

    def settle(self) -> None:
        """Sort what waits: a sort of several batches takes less time than one of each."""
        if self.waiting:
            self.kept = each_once(np.concatenate((self.kept, *self.waiting)))[:SMALLEST_HASHES]
            self.waiting = []

    @property
    def smallest(self) -> Hashes:
        """The 8,192 smallest hashes, or all if there are fewer: ascending, each once."""
        self.settle()
        return self.kept

    @property
    def exact(self) -> bool:
        """Whether `count` is counted and not estimated."""
        return len(self.smallest) < SMALLEST_HASHES

    @property
    def count(self) -> int:
        """Number of distinct values."""
        if self.exact:
            return len(self.smallest)
        return round((SMALLEST_HASHES - 1) * 2.0**64 / float(self.smallest[-1]))


def _unknown(hashes: Hashes, known: Hashes) -> Hashes:
    """Most of what is known left out: to look into a table is quicker than to sort."""
    table = np.zeros(_SLOTS, dtype=np.uint64)
    table[_slots(known)] = known
    new: Hashes = hashes[table.take(_slots(hashes)) != hashes]
    return new


def _thinned(hashes: Hashes) -> Hashes:
    """Most repetitions left out, in any order."""
    slots = _slots(hashes)
    table = np.zeros(_SLOTS, dtype=np.uint64)
    table[slots] = hashes
    # One hash of each slot is in the table, the others are left; 0 may stand for an empty slot or be a hash itself.
    others = hashes[table.take(slots) != hashes]
    zero = hashes[hashes == 0][:1]
    return np.concatenate((table[table != 0], others, zero))


def _slots(hashes: Hashes) -> Ints:
    return (hashes & np.uint64(_SLOTS - 1)).astype(np.int64)


def _dot(left: Floats, right: Floats) -> float:
    # Without a path to optimise, einsum runs its own loops and no BLAS.
    return float(np.einsum("i,i->", left, right, optimize=False))
