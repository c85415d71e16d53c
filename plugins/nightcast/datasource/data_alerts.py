"""Alerts about the data themselves: what a person should look at before a model is trained on them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from math import log2

from nightcast.datasource.insights_format import (
    AttributeInsights,
    BinaryInsights,
    CategoricalInsights,
    Insights,
    NumericInsights,
    TextInsights,
)
from nightcast.datasource.name_hints import says_code
from nightcast.datasource.schema import Schema
from nightcast.datasource.stability import absent_cells

FORMAT = "nightcast-data-alerts"
VERSION = 1
WARNING, NOTE = "warning", "note"

# Nine of ten cells say nothing, so a weight rests on the tenth.
_MOSTLY = 0.9
# One cell in a hundred is more than a slip of somebody's hand.
_MANY = 0.01
# Numbers of distinct values are estimated with a standard error of 1.1 %: four of them are never passed by chance.
_NEARLY_ALL = 0.95
# In fewer records than these, that all values differ is no surprise.
_ENOUGH_RECORDS = 100
# What is known before a sale hardly explains 98 % (0.99 squared) of what is sold; a copy of the target does.
_LEAK = 0.99
# A recipe makes at most 10,000 features (Amazon ML's limit), and below ten records a category's weight is mostly noise.
_MANY_VALUES = 10_000
_FEW_RECORDS_A_VALUE = 10
# With one record in a hundred in the other classes, always answering the first one is hard to beat.
_ONE_CLASS = 0.99
# Numbers that are handed out one after the other leave few gaps, even where some records are not among these.
_MOST_GAPS = 2


@dataclass(frozen=True)
class DataAlert:
    """Something that a person should look at.

    Parameters
    ----------
    code
        What it is: ``CONSTANT``, ``ONE_VALUE`` (or missing), ``MOSTLY_MISSING``, ``MANY_INVALID``, ``ID_LIKE``,
        ``LEAK_LIKE``, ``DUPLICATE``, ``HIGH_CARDINALITY``, ``IMBALANCED_TARGET``, ``TARGET_MISSING``,
        ``ROW_ID_NOT_UNIQUE`` or ``BAD_RECORDS``.
    attributes
        Names of the attributes that it is about; none for ``BAD_RECORDS``.
    severity
        ``warning``: the model will probably suffer. ``note``: perhaps as meant.
    message
        What was found, and what to do.
    """

    code: str
    attributes: tuple[str, ...]
    severity: str
    message: str


def data_alerts(insights: Insights, schema: Schema) -> list[DataAlert]:
    """What stands out in the statistics of a datasource.

    Parameters
    ----------
    insights
        Of the datasource, or of its training records.
    schema
        Says which attributes are learnt from: the others are looked at as target, row id or not at all, unless they are
        copies of one that is.

    Returns
    -------
    list of DataAlert
        In the order of the schema; those of several attributes, target, row id and records at the end.
    """
    found: list[DataAlert] = []
    for attribute in schema.inputs:
        if attribute.name in insights.attributes:
            found.extend(_of_input(attribute.name, insights))
    found.extend(_duplicates(insights, schema))
    if schema.target in insights.attributes:
        found.extend(_of_target(str(schema.target), insights))
    if schema.row_id in insights.attributes:
        found.extend(_of_row_id(str(schema.row_id), insights))
    if insights.bad_records:
        message = (
            f"{insights.bad_records:,} of {insights.records_seen:,} records were rejected and left out; "
            "rejected/ tells the reason of each"
        )
        found.append(DataAlert("BAD_RECORDS", (), WARNING, message))
    return found


def alerts_json(alerts: Sequence[DataAlert]) -> str:
    """The document ``data-alerts.json``: ``format``, ``version``, and ``alerts`` as objects; ended by a line end."""
    document = {"format": FORMAT, "version": VERSION, "alerts": [asdict(alert) for alert in alerts]}
    return json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def _of_input(name: str, insights: Insights) -> Iterator[DataAlert]:
    found, records = insights.attributes[name], insights.records

    def alert(code: str, severity: str, message: str) -> DataAlert:
        return DataAlert(code, (name,), severity, f"{name}: {message}")

    absent = absent_cells(found)
    if absent >= _MOSTLY * records:
        yield alert(
            "MOSTLY_MISSING",
            WARNING,
            f"{absent:,} of {records:,} cells are missing or invalid; exclude it, or fill it in the query",
        )
        return
    yield from _many_invalid(found, records, alert)
    if _is_constant(found, records):
        if absent:
            yield alert(
                "ONE_VALUE",
                NOTE,
                f"one value or missing ({absent:,} of {records:,}): only its presence can tell something",
            )
        else:
            yield alert("CONSTANT", NOTE, "has one value only, from which nothing can be learnt; exclude it")
        return
    present = records - absent
    distinct = _distinct(found)
    if _is_id_like(name, found, present):
        yield alert(
            "ID_LIKE",
            WARNING,
            f"nearly every record has a value of its own ({distinct:,} in {present:,}), which no other record will "
            "have; exclude it, or make it the row id",
        )
        return
    if isinstance(found, CategoricalInsights) and _has_too_many_values(found, present):
        yield alert(
            "HIGH_CARDINALITY",
            NOTE,
            f"has {distinct:,} values in {present:,} records, too many to learn a weight for each; group them in the "
            "query, or exclude it",
        )
    leak = _leak(found, insights)
    if leak is not None:
        yield alert(
            "LEAK_LIKE", WARNING, f"tells the target nearly alone ({leak}); exclude it if it is known only afterwards"
        )


def _many_invalid(
    found: AttributeInsights, records: int, alert: Callable[[str, str, str], DataAlert]
) -> Iterator[DataAlert]:
    invalid = found.invalid if isinstance(found, NumericInsights | BinaryInsights) else 0
    if invalid and invalid >= _MANY * records:
        yield alert(
            "MANY_INVALID",
            WARNING,
            f"{invalid:,} of {records:,} cells are no {found.type.value} value; mend the query, or change the type",
        )


def _distinct(found: AttributeInsights) -> int:
    if isinstance(found, BinaryInsights):
        return (found.true > 0) + (found.false > 0)
    return found.unique_tokens if isinstance(found, TextInsights) else found.distinct


def _is_constant(found: AttributeInsights, records: int) -> bool:
    if not isinstance(found, TextInsights):
        return _distinct(found) == 1
    # The same words in every text; that their order differs is possible, and learnt from by n-grams alone.
    present = records - found.missing
    lengths = found.words_per_row
    return lengths is not None and lengths[0] == lengths[1] and all(count == present for _, count in found.tokens)


def _is_id_like(name: str, found: AttributeInsights, present: int) -> bool:
    if present < _ENOUGH_RECORDS or _distinct(found) < _NEARLY_ALL * present:
        return False
    if isinstance(found, CategoricalInsights):
        return found.dates is None
    if isinstance(found, TextInsights):
        # Several words are a text, whose words come again.
        return found.words_per_row == (1, 1) and found.dates is None
    return isinstance(found, NumericInsights) and _is_numbering(name, found, present)


def _is_numbering(name: str, found: NumericInsights, present: int) -> bool:
    """Measurements are all distinct, too: only a name, or a range that is nearly filled, makes whole numbers an id."""
    low, high = found.min, found.max
    if low is None or high is None or not (low.is_integer() and high.is_integer()):
        return False
    return high - low < _MOST_GAPS * present or says_code(name)


def _has_too_many_values(found: CategoricalInsights, present: int) -> bool:
    rare = present >= _ENOUGH_RECORDS and found.distinct * _FEW_RECORDS_A_VALUE > present
    return found.distinct > _MANY_VALUES or rare


def _leak(found: AttributeInsights, insights: Insights) -> str | None:
    """How much an attribute tells of the target, where that is nearly all."""
    if found.correlation is not None and abs(found.correlation) >= _LEAK:
        return f"correlation {found.correlation:.3f}"
    entropy = _target_entropy(insights)
    if found.mutual_information is None or not entropy:
        return None
    # A class has no variance: its entropy is what can be explained.
    share = found.mutual_information / entropy
    return f"{min(share, 1.0):.1%} of its information" if share >= _LEAK**2 else None


def _target_entropy(insights: Insights) -> float | None:
    """Bits of the target's class; None for a NUMERIC target, and for one with values that are not listed."""
    target = None if insights.target is None else insights.attributes.get(insights.target)
    counts: list[int] = []
    if isinstance(target, BinaryInsights):
        counts = [target.true, target.false]
    elif isinstance(target, CategoricalInsights) and not target.other:
        counts = [count for _, count in target.values]
    total = sum(counts)
    return sum(-count / total * log2(count / total) for count in counts if count) if total else None


def _duplicates(insights: Insights, schema: Schema) -> Iterator[DataAlert]:
    """Columns that hold the same in every record, and of which one at least is used."""
    alike: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in schema.names:
        found = insights.attributes.get(name)
        varies = (
            found is not None and not _is_constant(found, insights.records) and absent_cells(found) < insights.records
        )
        if found is not None and varies:
            alike[found.type.value, found.fingerprint].append(name)
    inputs = {attribute.name for attribute in schema.inputs}
    for names in alike.values():
        if len(names) < 2 or not inputs.intersection(names):
            continue
        listed = ", ".join(names)
        if schema.target in names:
            message = f"{listed}: hold the same in every record, and {schema.target} is the target; exclude the others"
        elif schema.row_id in names:
            message = f"{listed}: hold the same in every record, and {schema.row_id} is the row id; exclude the others"
        elif len(inputs.intersection(names)) == 1:
            message = f"{listed}: hold the same in every record, and one of them is not excluded; is that meant?"
        else:
            message = f"{listed}: hold the same in every record; exclude all but one"
        yield DataAlert("DUPLICATE", tuple(names), WARNING if schema.target in names else NOTE, message)


def _of_target(name: str, insights: Insights) -> Iterator[DataAlert]:
    found, records = insights.attributes[name], insights.records
    absent = absent_cells(found)
    if absent:
        message = (
            f"{name}: {absent:,} of {records:,} records ({absent / records:.1%}) have no target, and train nothing"
        )
        yield DataAlert(
            "TARGET_MISSING",
            (name,),
            WARNING if absent >= _MANY * records else NOTE,
            f"{message}; leave them out in the query, if that is not meant",
        )
    if _is_constant(found, records):
        message = f"{name}: the target has one value only, so there is nothing to learn; take other records"
        yield DataAlert("CONSTANT", (name,), WARNING, message)
        return
    counts = insights.target_distribution()
    total = records - absent
    most = max(counts, key=lambda value: counts[value]) if isinstance(counts, dict) and counts else None
    if isinstance(counts, dict) and most is not None and counts[most] > _ONE_CLASS * total:
        message = f"{name}: {counts[most] / total:.2%} of the records are of the class {most!r:.80}"
        yield DataAlert(
            "IMBALANCED_TARGET",
            (name,),
            WARNING,
            f"{message}; select more of the others, or judge it by more than accuracy",
        )


def _of_row_id(name: str, insights: Insights) -> Iterator[DataAlert]:
    found, records = insights.attributes[name], insights.records
    absent, distinct = absent_cells(found), _distinct(found)
    exact = not isinstance(found, CategoricalInsights) or found.distinct_exact
    if not absent and distinct >= (records if exact else _NEARLY_ALL * records):
        return
    message = (
        f"{name}: the row id has {'' if exact else 'about '}{distinct:,} values in {records:,} records, "
        f"{absent:,} of them without one, so predictions can not be told apart; take an attribute, or join some in the "
        "query, that names each record"
    )
    yield DataAlert("ROW_ID_NOT_UNIQUE", (name,), WARNING, message)
