"""How often which number occurs: exactly while there are few distinct ones, else by narrow intervals."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nightcast.datasource.arrow_arrays import Floats, Hashes, Ints, each_once, float_array
from nightcast.datasource.attribute_insights import Histogram
from nightcast.datasource.sketches import DistinctHashes
from nightcast.datasource.value_keys import float_keys

EXACT_VALUES = 4096
_SAMPLE = 4 * EXACT_VALUES
_WHOLE_RANGE = 1 << 16
_HISTOGRAM_BINS = 50
# Sign, exponent and 11 bits of the fraction of a float32: 2,048 intervals for each power of two.
_DROPPED_BITS = 12
_INFINITY = np.uint32(0x7F800000 >> _DROPPED_BITS)
_MAGNITUDE = np.uint32(0x7FFFFFFF)


@dataclass
class _Window:
    """Counts of codes, kept for the range of codes that occur and no more."""

    start: int = 0
    counts: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def add(self, codes: npt.NDArray[np.int32]) -> None:
        if len(codes):
            low = int(codes.min())
            self.add_counts(low, np.bincount(codes - low))

    def add_counts(self, low: int, counts: Ints) -> None:
        if len(counts) == 0:
            return
        if len(self.counts) == 0:
            self.start = low
        start, end = min(self.start, low), max(self.start + len(self.counts), low + len(counts))
        if end - start > len(self.counts):
            grown = np.zeros(end - start, dtype=np.int64)
            grown[self.start - start : self.start - start + len(self.counts)] = self.counts
            self.start, self.counts = start, grown
        self.counts[low - self.start : low - self.start + len(counts)] += counts

    def filled(self) -> tuple[Floats, Ints]:
        """Middle of each interval that has counts, as a magnitude, ascending; and the counts."""
        places = np.flatnonzero(self.counts)
        codes = (places + self.start).astype(np.uint32)
        low = (codes << np.uint32(_DROPPED_BITS)).view(np.float32).astype(np.float64)
        high = (
            (np.minimum(codes + np.uint32(1), _INFINITY) << np.uint32(_DROPPED_BITS))
            .view(np.float32)
            .astype(np.float64)
        )
        # The interval above the largest float32 has no upper end.
        return np.where(np.isfinite(high), low / 2 + high / 2, low), self.counts[places]


@dataclass
class NumberCounts:
    """Counts of finite float64 values.

    Exact for up to 4,096 distinct values. Beyond that a value is known by the top 20 bits of its float32 pattern, whose
    order is that of the numbers: an interval of 1/2048 of a power of two. Its middle is off by a factor of at
    most 1 +- 2**-12 (0.025 %) for magnitudes from 1e-37 to 3e38; what lies outside goes to the nearest interval.
    """

    values: Floats | None = field(default_factory=lambda: np.zeros(0))
    counts: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    zeros: int = 0
    above: _Window = field(default_factory=_Window)
    below: _Window = field(default_factory=_Window)
    hashes: DistinctHashes = field(default_factory=DistinctHashes)

    def add(self, values: Floats, low: float, high: float, keys: Hashes | None = None) -> None:
        """Count `values`, finite and at least one.

        Parameters
        ----------
        low, high
            Their minimum and maximum.
        keys
            Their `float_keys`, each at least once, if they are known.
        """
        if self.values is not None:
            found = _distinct(values, low, high)
            if found is not None and self._add_exactly(*found):
                return
            self._leave_exactness()
        self.hashes.add(float_keys(values) if keys is None else keys)
        self._add_intervals(values, low, high)

    def merge(self, other: NumberCounts) -> None:
        """Add what `other` has seen."""
        if other.values is not None:
            if len(other.values) == 0 or (self.values is not None and self._add_exactly(other.values, other.counts)):
                return
            self._leave_exactness()
            self._add_counted(other.values, other.counts)
            return
        self._leave_exactness()
        self.zeros += other.zeros
        self.above.add_counts(other.above.start, other.above.counts)
        self.below.add_counts(other.below.start, other.below.counts)
        self.hashes.merge(other.hashes)

    @property
    def exact(self) -> bool:
        """Whether each distinct value is known."""
        return self.values is not None

    @property
    def distinct(self) -> tuple[int, bool]:
        """Number of distinct values, and whether it is counted."""
        if self.values is not None:
            return len(self.values), True
        return self.hashes.count, self.hashes.exact

    def points(self, low: float, high: float) -> tuple[Floats, Ints]:
        """Ascending values between minimum and maximum, and how often each occurs."""
        if self.values is not None:
            return self.values, self.counts
        below, below_counts = self.below.filled()
        above, above_counts = self.above.filled()
        values = np.concatenate((-below[::-1], np.zeros(1), above))
        counts = np.concatenate((below_counts[::-1], np.array([self.zeros]), above_counts))
        kept = counts > 0
        return np.clip(values[kept], low, high), counts[kept]

    def _add_exactly(self, values: Floats, counts: Ints) -> bool:
        known = self.values
        if known is None:
            return False
        if len(known) == len(values) and bool((known == values).all()):
            self.counts = self.counts + counts
            return True
        union, places = np.unique(np.concatenate((known, values)), return_inverse=True)
        if len(union) > EXACT_VALUES:
            return False
        self.counts = _summed(places, np.concatenate((self.counts, counts)), len(union))
        self.values = union
        return True

    def _leave_exactness(self) -> None:
        if self.values is None:
            return
        values, counts = self.values, self.counts
        self.values, self.counts = None, np.zeros(0, dtype=np.int64)
        self._add_counted(values, counts)

    def _add_counted(self, values: Floats, counts: Ints) -> None:
        self.hashes.add(float_keys(values))
        self.zeros += int(counts[values == 0].sum())
        for window, chosen in ((self.above, values > 0), (self.below, values < 0)):
            codes = _codes(values[chosen])
            if len(codes):
                low = int(codes.min())
                window.add_counts(low, _summed(codes - low, counts[chosen], int(codes.max()) - low + 1))

    def _add_intervals(self, values: Floats, low: float, high: float) -> None:
        if low > 0:
            self.above.add(_codes(values))
            return
        zeros = len(values) - int(np.count_nonzero(values))
        self.zeros += zeros
        if zeros == len(values):
            return
        codes = _signed_codes(values[values != 0] if zeros else values)
        # Even places are of positive values; the least code is made even, too.
        start = int(codes.min()) & ~1
        counts = np.bincount(codes - np.uint32(start))
        for window, found in ((self.above, counts[::2]), (self.below, counts[1::2])):
            filled = np.flatnonzero(found)
            if len(filled):
                window.add_counts(start // 2 + int(filled[0]), found[filled[0] : filled[-1] + 1])


def quantiles(points: Floats, counts: Ints, low: float, high: float) -> list[float]:
    """The 0th to the 1000th permille of counted values.

    Parameters
    ----------
    points, counts
        Ascending values and how often each occurs, from `NumberCounts.points`; at least one.
    low, high
        Minimum and maximum.

    Returns
    -------
    list of float
        1001 values, ascending: between the neighbours of rank p * (n - 1) / 1000, linearly. Type 7 of Hyndman and Fan,
        Sample quantiles in statistical packages, The American Statistician 50 (1996), the default of numpy and pandas.

    Examples
    --------
    >>> quantiles(np.array([1.0, 2.0, 4.0]), np.array([1, 1, 1]), 1.0, 4.0)[::250]
    [1.0, 1.5, 2.0, 3.0, 4.0]
    """
    ends = np.cumsum(counts)
    total = int(ends[-1])
    # Whole numbers: the product of a large count and 0.001 would round.
    ranks = [divmod(permille * (total - 1), 1000) for permille in range(1001)]
    lower = np.array([rank for rank, _ in ranks])
    share = np.array([rest / 1000 for _, rest in ranks])
    upper = np.minimum(lower + 1, total - 1)
    left, right = (points[np.searchsorted(ends, rank, side="right")] for rank in (lower, upper))
    left, right = np.where(lower == 0, low, left), np.where(upper == total - 1, high, right)
    left = np.where(lower == total - 1, high, left)
    # Between equal neighbours the sum of shares may be off by a rounding.
    between = np.where(left == right, left, left * (1 - share) + right * share)
    return [float(value) for value in np.maximum.accumulate(np.clip(between, low, high))]


def histogram(points: Floats, counts: Ints, low: float, high: float) -> Histogram:
    """Counts of values, as of `NumberCounts.points`, in 50 intervals of equal width; in one if `low` equals `high`."""
    if low == high:
        return Histogram([low, high], [int(counts.sum())])
    share = np.arange(_HISTOGRAM_BINS + 1) / _HISTOGRAM_BINS
    # The range may pass that of float64 though its ends do not.
    edges = low + (high - low) * share if np.isfinite(high - low) else low * (1 - share) + high * share
    edges[0], edges[-1] = low, high
    places = np.clip(np.searchsorted(edges, points, side="right") - 1, 0, _HISTOGRAM_BINS - 1)
    found = _summed(places, counts, _HISTOGRAM_BINS)
    return Histogram([float(edge) for edge in edges], [int(count) for count in found])


def _distinct(values: Floats, low: float, high: float) -> tuple[Floats, Ints] | None:
    """Distinct values and their counts, or None when there are more than `EXACT_VALUES`."""
    if high - low < _WHOLE_RANGE:
        steps = (values - low).astype(np.int32)
        if bool((steps + low == values).all()):
            counts = np.bincount(steps)
            places = np.flatnonzero(counts)
            return (places.astype(np.float64) + low, counts[places]) if len(places) <= EXACT_VALUES else None
    if len(each_once(values[:_SAMPLE])) > EXACT_VALUES:
        return None
    # Hash tables of Arrow; two zeros would be two values there.
    found = float_array(values + 0.0).dictionary_encode()
    distinct = np.frombuffer(found.dictionary.buffers()[1], dtype=np.float64, count=len(found.dictionary))
    if len(distinct) > EXACT_VALUES:
        return None
    codes = np.frombuffer(found.indices.buffers()[1], dtype=np.int32, count=len(found))
    order = np.argsort(distinct)
    return distinct[order], np.bincount(codes)[order]


def _codes(values: Floats) -> npt.NDArray[np.int32]:
    patterns = values.astype(np.float32).view(np.uint32) & _MAGNITUDE
    return (patterns >> np.uint32(_DROPPED_BITS)).astype(np.int32)


def _signed_codes(values: Floats) -> npt.NDArray[np.uint32]:
    """Twice the code of the magnitude, and one more for negative values: one count serves both signs."""
    patterns = values.astype(np.float32).view(np.uint32)
    codes = (patterns & _MAGNITUDE) >> np.uint32(_DROPPED_BITS)
    codes <<= np.uint32(1)
    codes |= patterns >> np.uint32(31)
    return codes


def _summed(places: npt.NDArray[np.signedinteger], counts: Ints, length: int) -> Ints:
    # Sums of counts are exact in float64 up to 2**53.
    return np.bincount(places, weights=counts, minlength=length).astype(np.int64)
