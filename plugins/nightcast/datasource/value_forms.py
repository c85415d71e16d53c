"""What the values of a column look like: numbers, codes, dates, words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightcast.datasource.arrow_arrays import Array, Bools, Floats, Ints, bool_array, coded, numbers, string_spans
from nightcast.datasource.cells import numeric_cells
from nightcast.datasource.iso_dates import days_of

_ZERO_PADDED = r"^0[0-9]+$"
_DRESSED = r"^[+-]?[$€£¥]?\s?[0-9]{1,3}([,. '][0-9]{3})*([.,][0-9]+)?\s?[%$€£¥]?$"
_SLASHED = r"^([0-9]{1,2}[/.][0-9]{1,2}[/.][0-9]{2,4}|[0-9]{4}/[0-9]{1,2}/[0-9]{1,2})( .*)?$"
_COMPACT_DATE = r"^(19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])$"
_MARKER = r"(?i)^(na|n/a|nan|null|none|nil|unknown|-|--|\?|\.|#n/a|\\N)$"
_WORDS = r"\s+"


@dataclass(frozen=True)
class ValueForms:
    """The different values of a column in a sample, and how often each occurs.

    Parameters
    ----------
    values
        Arrow strings, each once, in the order in which they occur, without white space around; none is empty.
    counts
        int64 of shape (len(values),): records of each.
    missing
        Number of records without a value: NULL or blank.
    """

    values: Array
    counts: Ints
    missing: int

    @classmethod
    def of(cls, strings: Array) -> ValueForms:
        """The forms of a string array, dictionary-coded or not, in which NULL is null."""
        codes, distinct = coded(strings)
        trimmed = pc.utf8_trim_whitespace(distinct.cast(pa.string()))
        merged_codes, merged = coded(trimmed)
        # A value that no cell has, and one more for null cells.
        per_value = np.bincount(codes, minlength=len(distinct) + 1)
        counts = np.bincount(merged_codes, weights=per_value[:-1], minlength=len(merged)).astype(np.int64)
        _, offsets = string_spans(merged)
        kept = (offsets[1:] > offsets[:-1]) & (counts[: len(merged)] > 0)
        missing = len(strings) - int(counts[: len(merged)][kept].sum())
        return cls(merged.filter(bool_array(kept)), counts[: len(merged)][kept], missing)

    @cached_property
    def present(self) -> int:
        """Number of records with a value."""
        return int(self.counts.sum())

    @property
    def distinct(self) -> int:
        """Number of different values."""
        return len(self.counts)

    @property
    def unique(self) -> bool:
        """Whether each record has a value of its own."""
        return self.distinct == self.present > 1 and self.missing == 0

    @cached_property
    def markers(self) -> Bools:
        """Values that stand for a missing one, such as NA: bool of shape (len(values),)."""
        return self._matches(_MARKER)

    def share(self, mask: Bools) -> float:
        """Share of the records, those with a marker left out, whose value is in the mask; 0 where there are none."""
        usual = int(self.counts[~self.markers].sum())
        return int(self.counts[mask & ~self.markers].sum()) / usual if usual else 0.0

    @cached_property
    def number(self) -> Bools:
        """Values that NUMERIC takes."""
        return self._parsed[0]

    @property
    def numbers(self) -> Floats:
        """The numbers, in the order of the values that are numbers."""
        return self._parsed[1]

    @cached_property
    def whole(self) -> bool:
        """Whether all numbers are whole ones, as R and pandas write ids too: 1e+05, 309.0."""
        return bool((self.numbers == np.floor(self.numbers)).all())

    @cached_property
    def _parsed(self) -> tuple[Bools, Floats]:
        array, _ = numeric_cells(self.values)
        found, valid = numbers(array)
        return (np.ones(len(found), dtype=np.bool_), found) if valid is None else (valid, found[valid])

    @cached_property
    def zero_padded(self) -> bool:
        """Whether a value has leading zeros."""
        return bool(self._matches(_ZERO_PADDED).any())

    @cached_property
    def digits(self) -> tuple[int, int]:
        """Fewest and most characters of a value."""
        _, offsets = string_spans(self.values)
        lengths = np.diff(offsets)
        return (int(lengths.min()), int(lengths.max())) if len(lengths) else (0, 0)

    @cached_property
    def iso_date(self) -> Bools:
        """Values that are ISO dates or timestamps."""
        return days_of(self.values)[1]

    @cached_property
    def days(self) -> tuple[str, str]:
        """First and last day of the ISO dates; there must be one."""
        found = days_of(self.values)[0][self.iso_date]
        return str(np.datetime64(int(found.min()), "D")), str(np.datetime64(int(found.max()), "D"))

    @cached_property
    def slashed_date(self) -> Bools:
        """Values that look like 12/31/2008, 31.12.2008 or 2008/12/31."""
        return self._matches(_SLASHED)

    @cached_property
    def compact_date(self) -> Bools:
        """Values that look like 20081231."""
        return self._matches(_COMPACT_DATE)

    @cached_property
    def dressed(self) -> Bools:
        """Numbers with thousands separators, a currency sign or a percent sign."""
        return self._matches(_DRESSED) & ~self.number

    @cached_property
    def words(self) -> float:
        """Mean number of words of a record's value."""
        if not self.present:
            return 0.0
        gaps: Any = pc.count_substring_regex(self.values, _WORDS)
        found = numbers(gaps.cast(pa.float64()))[0] + 1
        return float((found * self.counts).sum() / self.present)

    def examples(self, most: int, longest: int = 60) -> tuple[str, ...]:
        """The first values, shortened to `longest` characters."""
        shown: list[str] = self.values.slice(0, most).to_pylist()
        return tuple(text if len(text) <= longest else text[: longest - 3] + "..." for text in shown)

    def _matches(self, pattern: str) -> Bools:
        return numbers(pc.match_substring_regex(self.values, pattern))[0] > 0

    def chosen(self, mask: Bools) -> Array:
        """The values in a mask of shape (len(values),)."""
        return self.values.filter(bool_array(mask))
