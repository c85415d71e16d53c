"""The statistics of one attribute, by its type: the objects in ``attributes`` of the document ``insights.json``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nightcast.datasource.schema import AttributeType


@dataclass(frozen=True)
class Histogram:
    """Counts of values in intervals of equal width.

    Parameters
    ----------
    edges
        Ends of the intervals, ascending, one more than counts; the last interval includes its upper end, the others
        do not.
    counts
        Number of values in each interval.
    """

    edges: list[float]
    counts: list[int]


@dataclass(frozen=True)
class DateInsights:
    """The time span of an attribute whose strings are dates: ``2008-12-31`` or ``2008-12-31 10:00:00``.

    Parameters
    ----------
    first, last
        The earliest and the latest day, as ``2008-12-31``; a time of day and its zone are left out.
    values
        Number of records with a date.
    percentiles
        101 days, the 0th to the 100th percent: the day at rank floor(p * (values - 1) / 100), exactly.
    """

    first: str
    last: str
    values: int
    percentiles: list[str]


@dataclass(frozen=True)
class NumericInsights:
    """Statistics of a NUMERIC attribute over its valid values; None where there are too few of them.

    Parameters
    ----------
    missing, invalid
        Cells that are empty or NULL, and cells that are no finite number.
    min, max, mean, median
        Minimum and maximum are exact; the median is ``quantiles[500]``.
    std
        Standard deviation of the sample (divisor n - 1).
    zeros
        Number of values equal to 0.
    distinct, distinct_exact
        Number of distinct values, and whether it is counted or estimated (standard error 1.1 %).
    quantiles, quantiles_exact
        1001 values, the 0th to the 1000th permille, linearly interpolated between neighbours as numpy does by default;
        empty without values. Exact up to 4,096 distinct values; beyond, each neighbour is known to a factor of
        1 +- 2**-12 (0.025 %), the ends exactly.
    histogram
        50 intervals from minimum to maximum, one if they are equal.
    correlation
        With a NUMERIC or BINARY target Pearson's correlation, -1..1; with a CATEGORICAL one the correlation ratio of
        this attribute within the target's classes, adjusted for their number (Kelley's epsilon), 0..1. Over the records
        that have both; None where it is undefined.
    mutual_information
        Bits that the value, or the interval that it lies in, tells of the target's class; None without a target.
    fingerprint
        16 hexadecimal digits: equal columns have equal ones, and others almost never.
    """

    type: ClassVar[AttributeType] = AttributeType.NUMERIC
    missing: int
    invalid: int
    min: float | None
    max: float | None
    mean: float | None
    std: float | None
    median: float | None
    zeros: int
    distinct: int
    distinct_exact: bool
    quantiles: list[float]
    quantiles_exact: bool
    histogram: Histogram | None
    correlation: float | None
    mutual_information: float | None
    fingerprint: str


@dataclass(frozen=True)
class BinaryInsights:
    """Statistics of a BINARY attribute.

    Parameters
    ----------
    true, false, missing, invalid
        Numbers of cells; invalid is what is none of Amazon ML's forms of two values.
    correlation
        With a NUMERIC or BINARY target Pearson's correlation of 0 and 1, -1..1; with a CATEGORICAL one the
        informational coefficient of `mutual_information`, 0..1. Over the records that have both.
    mutual_information, fingerprint
        As of `NumericInsights`.
    """

    type: ClassVar[AttributeType] = AttributeType.BINARY
    true: int
    false: int
    missing: int
    invalid: int
    correlation: float | None
    mutual_information: float | None
    fingerprint: str


@dataclass(frozen=True)
class CategoricalInsights:
    """Statistics of a CATEGORICAL attribute, or of the row id.

    Parameters
    ----------
    missing
        Number of NULL cells; an empty string is a value.
    distinct, distinct_exact
        Number of distinct values, and whether it is counted or estimated (standard error 1.1 %).
    values
        Up to 10,000 pairs of value and number of records, most frequent first, equally frequent by value.
    other
        Number of records whose value is not among `values`.
    count_error
        How many records each count may be short of, and a value that is not listed may have had more; 0 up to 65,536
        distinct values. (Schemas of more than 32 CATEGORICAL and TEXT attributes share 2**21, but no attribute has less
        than 20,000, nor more than 64 MiB for its values.)
    most_frequent, least_frequent
        A pair as in `values`; the least frequent one is None when `count_error` is not 0.
    correlation
        With a NUMERIC target the correlation ratio, adjusted for the number of values (Kelley's epsilon); with a BINARY
        or CATEGORICAL one Linfoot's informational coefficient sqrt(1 - exp(-2 I)), I being `mutual_information` in
        nats. Both are 0..1; None where undefined, where `count_error` is not 0, and for the row id.
    mutual_information
        Bits that the value tells of the target's class; None without a target, where `count_error` is not 0, and for
        the row id.
    dates
        Their time span where at least 99 % of the values are dates, else None.
    fingerprint
        As of `NumericInsights`.
    """

    type: ClassVar[AttributeType] = AttributeType.CATEGORICAL
    missing: int
    distinct: int
    distinct_exact: bool
    values: list[tuple[str, int]]
    other: int
    count_error: int
    most_frequent: tuple[str, int] | None
    least_frequent: tuple[str, int] | None
    correlation: float | None
    mutual_information: float | None
    dates: DateInsights | None
    fingerprint: str


@dataclass(frozen=True)
class TextInsights:
    """Statistics of a TEXT attribute.

    Words are what a reader counts: tokens in lower case, without punctuation at their ends, if anything is left.
    Tokens are what a recipe gets: what stands between white space, untouched.

    Parameters
    ----------
    missing
        Number of NULL cells; an empty string is a text of no words.
    words
        Number of words of all records.
    unique_words, unique_words_exact
        Number of distinct words, and whether it is counted or estimated (standard error 1.1 %).
    words_per_row, word_length
        Fewest and most words of a record, and characters of a word; None without records or words.
    tokens
        Up to 10,000 pairs of token and number of records that hold it, most frequent first, then by token.
    unique_tokens, unique_tokens_exact
        Number of distinct tokens, and whether it is counted or estimated.
    count_error
        How many records each of the counts may be short of; see `CategoricalInsights`.
    correlation
        Linfoot's informational coefficient of `mutual_information`, 0..1.
    mutual_information
        Bits that the presence of the most telling token tells of the target's class; None without a target.
    prominent
        Up to 100 triples of token, number of records that hold it and prominence, most prominent first: the bits that
        its presence tells of the target's class, or without a target the entropy of its presence.
    dates, fingerprint
        As of `CategoricalInsights`.
    """

    type: ClassVar[AttributeType] = AttributeType.TEXT
    missing: int
    words: int
    unique_words: int
    unique_words_exact: bool
    words_per_row: tuple[int, int] | None
    word_length: tuple[int, int] | None
    tokens: list[tuple[str, int]]
    unique_tokens: int
    unique_tokens_exact: bool
    count_error: int
    correlation: float | None
    mutual_information: float | None
    prominent: list[tuple[str, int, float]]
    dates: DateInsights | None
    fingerprint: str


AttributeInsights = NumericInsights | BinaryInsights | CategoricalInsights | TextInsights
