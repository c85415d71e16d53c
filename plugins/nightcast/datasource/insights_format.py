"""The document ``insights.json``: what is known of a datasource's attributes.

Keys are sorted, numbers are finite, what is not defined is null. ``format`` is ``nightcast-insights``, ``version``
is 2; ``attributes`` has one object an attribute, with its ``type`` and the fields of the class of that type in
`nightcast.datasource.attribute_insights`, and ``attributeNames`` their order. ``docs/insights.md`` tells each field and
each estimator with its source.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from nightcast.datasource.attribute_insights import (
    AttributeInsights,
    BinaryInsights,
    CategoricalInsights,
    DateInsights,
    Histogram,
    NumericInsights,
    TextInsights,
)
from nightcast.datasource.iso_dates import day_number
from nightcast.datasource.parts import Reject
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.strict_json import parse_object
from nightcast.errors import DatasourceError, RearrangementError

FORMAT = "nightcast-insights"
VERSION = 2
_QUANTILES = 1001
_PERCENTILES = 101

__all__ = [
    "FORMAT",
    "VERSION",
    "AttributeInsights",
    "BinaryInsights",
    "CategoricalInsights",
    "DateInsights",
    "Histogram",
    "Insights",
    "NumericInsights",
    "TextInsights",
]

_CLASSES: dict[str, type[Any]] = {
    kind.type.value: kind for kind in (NumericInsights, BinaryInsights, CategoricalInsights, TextInsights)
}


@dataclass(frozen=True)
class Insights:
    """Statistics of a datasource, or of the records of it that a data rearrangement takes.

    Parameters
    ----------
    records
        Number of records that were used.
    bad_records
        Number of records of the whole datasource that were rejected.
    target
        Name of the target, or None.
    attributes
        Statistics by attribute name, for all attributes of the schema, in its order.
    records_seen
        Number of records of the whole datasource, rejected ones and those not taken included.
    rearrangement
        Which records were taken.
    rejects
        The rejected records, in record order. Not part of the document.
    """

    records: int
    bad_records: int
    target: str | None
    attributes: dict[str, AttributeInsights]
    records_seen: int = 0
    rearrangement: Rearrangement = field(default_factory=Rearrangement)
    rejects: tuple[Reject, ...] = field(default=(), compare=False)

    def target_distribution(self) -> Histogram | dict[str, int] | None:
        """How the target is distributed.

        Returns
        -------
        Histogram, dict or None
            The histogram of a NUMERIC target; of others the number of records of each class: ``"0"`` and ``"1"``, or
            its values, most frequent first, as far as they are listed. None without a target or without values.
        """
        if self.target is None:
            return None
        found = self.attributes[self.target]
        if isinstance(found, NumericInsights):
            return found.histogram
        if isinstance(found, BinaryInsights):
            return {"0": found.false, "1": found.true} if found.false + found.true else None
        return dict(found.values) or None if isinstance(found, CategoricalInsights) else None

    def to_json(self) -> str:
        """The document, with sorted keys, ended by a line end."""
        document = {
            "format": FORMAT,
            "version": VERSION,
            "records": self.records,
            "recordsSeen": self.records_seen,
            "badRecords": self.bad_records,
            "target": self.target,
            "rearrangement": json.loads(self.rearrangement.to_json()),
            "attributeNames": list(self.attributes),
            "attributes": {name: _document(found) for name, found in self.attributes.items()},
        }
        return json.dumps(document, sort_keys=True, allow_nan=False, ensure_ascii=False, separators=(",", ":")) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Insights:
        """Read the document.

        Raises
        ------
        DatasourceError
            When it is damaged, or of another format or version.
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
                attributes=_attributes(document),
                records_seen=_number(document, "recordsSeen"),
                rearrangement=Rearrangement.from_json(json.dumps(document["rearrangement"])),
            )
        except (KeyError, TypeError, ValueError, AttributeError, RearrangementError) as fault:
            raise DatasourceError(f"the insights are damaged ({fault!r:.200}); compute them again") from None


def _document(found: AttributeInsights) -> dict[str, Any]:
    # asdict would copy each of thousands of pairs.
    document = {"type": found.type.value, **vars(found)}
    for name in ("histogram", "dates"):
        if document.get(name) is not None:
            document[name] = vars(document[name])
    return document


def _attributes(document: Mapping[str, Any]) -> dict[str, AttributeInsights]:
    names, found = document["attributeNames"], document["attributes"]
    if sorted(names) != sorted(found):
        raise ValueError("attributeNames and attributes do not name the same attributes")
    return {name: _attribute(found[name]) for name in names}


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


def _triples(value: Any) -> Any:
    return [(first, second, third) for first, second, third in value]


def _all_of(values: Any, *kinds: type) -> bool:
    """Whether a value is a list of these types; True is no number here."""
    return type(values) is list and all(type(value) in kinds for value in values)


def _dates(value: Any) -> DateInsights | None:
    if value is None:
        return None
    found = DateInsights(**value)
    if not _all_of(found.percentiles, str) or len(found.percentiles) != _PERCENTILES or type(found.values) is not int:
        raise ValueError("dates are not as they are written")
    for day in (found.first, found.last, *found.percentiles):
        day_number(day)
    return found


def _histogram(value: Any) -> Histogram | None:
    if value is None:
        return None
    edges, counts = value["edges"], value["counts"]
    if not _all_of(edges, int, float) or not _all_of(counts, int) or len(edges) != len(counts) + 1:
        raise ValueError("a histogram has numbers as counts, and one edge more than these")
    return Histogram(edges=edges, counts=counts)


def _quantiles(value: Any) -> list[float]:
    if not _all_of(value, int, float) or len(value) not in (0, _QUANTILES):
        raise ValueError(f"quantiles are no {_QUANTILES} numbers")
    return list(value)


_REBUILT: dict[str, Callable[[Any], Any]] = {
    "histogram": _histogram,
    "quantiles": _quantiles,
    "values": _pairs,
    "tokens": _pairs,
    "prominent": _triples,
    "dates": _dates,
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
