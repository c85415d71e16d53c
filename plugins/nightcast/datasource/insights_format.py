"""The document ``insights.json``: what is known of a datasource's attributes.

Keys are sorted, numbers are finite, what is not defined is null. ``format`` is ``nightcast-insights``, ``version``
is 1; ``attributes`` has one object an attribute, with its ``type`` and the fields of the class of that type below.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from nightcast.datasource.schema import AttributeType
from nightcast.datasource.strict_json import parse_object
from nightcast.errors import DatasourceError

FORMAT = "nightcast-insights"
VERSION = 1


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
        Pearson's correlation with the target, over the records that have both.
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


@dataclass(frozen=True)
class BinaryInsights:
    """Statistics of a BINARY attribute.

    Parameters
    ----------
    true, false, missing, invalid
        Numbers of cells; invalid is what is none of Amazon ML's forms of two values.
    correlation
        Pearson's correlation of 0 and 1 with the target, over the records that have both.
    """

    type: ClassVar[AttributeType] = AttributeType.BINARY
    true: int
    false: int
    missing: int
    invalid: int
    correlation: float | None


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
        Correlation ratio with the target, adjusted for the number of values (Kelley's epsilon), 0..1; None where
        it is undefined, where `count_error` is not 0, and for the row id.
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
        None: there is no estimator for text yet.
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


AttributeInsights = NumericInsights | BinaryInsights | CategoricalInsights | TextInsights

_CLASSES: dict[str, type[Any]] = {
    kind.type.value: kind for kind in (NumericInsights, BinaryInsights, CategoricalInsights, TextInsights)
}


@dataclass(frozen=True)
class Insights:
    """Statistics of a datasource.

    Parameters
    ----------
    records
        Number of records that were read.
    bad_records
        Number of records that were rejected.
    target
        Name of the target, or None.
    attributes
        Statistics by attribute name, for all attributes of the schema, in its order.
    """

    records: int
    bad_records: int
    target: str | None
    attributes: dict[str, AttributeInsights]

    def to_json(self) -> str:
        """The document, with sorted keys, ended by a line end."""
        document = {
            "format": FORMAT,
            "version": VERSION,
            "records": self.records,
            "badRecords": self.bad_records,
            "target": self.target,
            "attributes": {name: _document(found) for name, found in self.attributes.items()},
        }
        return json.dumps(document, sort_keys=True, allow_nan=False, ensure_ascii=False, separators=(",", ":")) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Insights:
        """Read the document; the attributes come in the order of their names.

        Raises
        ------
        DatasourceError
            When it is damaged, or of another format or a newer version.
        """
        document = parse_object(text, "the insights", DatasourceError)
        if document.get("format") != FORMAT or document.get("version") != VERSION:
            raise DatasourceError(
                f"the insights are of format {document.get('format')!r:.80} version {document.get('version')!r:.80}, "
                f"and {FORMAT} version {VERSION} can be read; compute them again"
            )
        try:
            return cls(
                records=_number(document, "records"),
                bad_records=_number(document, "badRecords"),
                target=document["target"],
                attributes={name: _attribute(found) for name, found in document["attributes"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as fault:
            raise DatasourceError(f"the insights are damaged ({fault!r:.200}); compute them again") from None


def _document(found: AttributeInsights) -> dict[str, Any]:
    # asdict would copy each of thousands of pairs.
    document = {"type": found.type.value, **vars(found)}
    if isinstance(found, NumericInsights) and found.histogram is not None:
        document["histogram"] = vars(found.histogram)
    return document


def _number(document: Mapping[str, Any], key: str) -> int:
    value = document[key]
    if type(value) is not int:
        raise TypeError(f"{key} is no whole number")
    return value


def _pair(value: Any) -> Any:
    if value is None:
        return None
    first, second = value
    return first, second


def _pairs(value: Any) -> Any:
    return [(first, second) for first, second in value]


def _histogram(value: Any) -> Histogram | None:
    return None if value is None else Histogram(edges=value["edges"], counts=value["counts"])


_REBUILT: dict[str, Callable[[Any], Any]] = {
    "histogram": _histogram,
    "values": _pairs,
    "tokens": _pairs,
    **dict.fromkeys(("most_frequent", "least_frequent", "words_per_row", "word_length"), _pair),
}


def _attribute(document: Mapping[str, Any]) -> AttributeInsights:
    kind = _CLASSES[document["type"]]
    names = [field.name for field in fields(kind)]
    if set(document) != {"type", *names}:
        raise ValueError(f"unknown or missing fields: {sorted(set(document) ^ {'type', *names})}")
    found: AttributeInsights = kind(**{name: _REBUILT.get(name, _same)(document[name]) for name in names})
    return found


def _same(value: Any) -> Any:
    return value
