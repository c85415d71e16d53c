"""The insights of a datasource as one HTML page: the same insights give the same bytes, and it needs no other file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from nightcast.datasource.insights_format import (
    AttributeInsights,
    BinaryInsights,
    CategoricalInsights,
    Insights,
    NumericInsights,
    TextInsights,
)
from nightcast.report.attribute_charts import attribute_chart
from nightcast.report.charts import bar, number, percent, plain
from nightcast.report.templates import template

if TYPE_CHECKING:
    from nightcast.datasource.data_alerts import DataAlert
    from nightcast.datasource.schema import Schema

_RANKED, _TOKENS = 30, 10
Facts = list[tuple[str, str]]


def render_insights(insights: Insights, schema: Schema, alerts: Sequence[DataAlert], name: str) -> str:
    """Render the page.

    Parameters
    ----------
    insights
        What is shown.
    schema
        Roles of the attributes.
    alerts
        What is wrong with the data.
    name
        What the datasource is called: a heading.

    Returns
    -------
    str
        A whole HTML document, whose own content security policy lets it load nothing and run nothing.
    """
    attributes = [_attribute(place, attribute, insights, schema) for place, attribute in enumerate(insights.attributes)]
    return template("insights_page.html.jinja").render(
        name=name,
        insights=insights,
        taken=insights.records < insights.records_seen - insights.bad_records,
        kinds=kinds_of(insights),
        alerts=alerts,
        target_chart=_target_chart(insights),
        ranked=_ranked(insights, attributes),
        attributes=attributes,
    )


def kinds_of(insights: Insights) -> str:
    """How many attributes each type has.

    Returns
    -------
    str
        Such as ``2 NUMERIC, 1 TEXT``: only types that occur, most first.
    """
    counts = Counter(found.type.value for found in insights.attributes.values())
    return ", ".join(
        f"{count:,} {kind}" for kind, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    )


def role_of(schema: Schema, name: str) -> str:
    """``target``, ``row id``, ``excluded``, or nothing."""
    if name in schema.excluded:
        return "excluded"
    return {schema.target: "target", schema.row_id: "row id"}.get(name, "")


def distinct_of(count: int, exact: bool) -> str:
    """A number of distinct values, with ``about`` before an estimate."""
    return f"{'' if exact else 'about '}{count:,}"


def span_of(pair: tuple[int, int]) -> str:
    """The range of a count: one number where both ends are the same."""
    return f"{pair[0]:,}" if pair[0] == pair[1] else f"{pair[0]:,} to {pair[1]:,}"


def _attribute(place: int, name: str, insights: Insights, schema: Schema) -> dict[str, Any]:
    found, records = insights.attributes[name], insights.records
    return {
        "id": f"attribute-{place}",
        "name": name,
        "type": found.type.value,
        "role": role_of(schema, name),
        "missing": percent(found.missing, records) if found.missing else "",
        "invalid": _invalid(found, records),
        "distinct": _distinct(found),
        "summary": _SUMMARIES[type(found)](found, records),
        "correlation": _correlation_bar(found),
        "facts": [*_common(found, records), *_FACTS[type(found)](found, records), *_told(found)],
        "chart": attribute_chart(name, found, records),
        "tokens": _tokens(found, records) if isinstance(found, TextInsights) else [],
        "scored": insights.target is not None,
    }


def _common(found: AttributeInsights, records: int) -> Facts:
    return [("Missing", _count(found.missing, records))]


def _told(found: AttributeInsights) -> Facts:
    facts = []
    if found.correlation is not None:
        facts.append(("Correlation to target", f"{found.correlation:.3f}"))
    if found.mutual_information is not None:
        facts.append(("Mutual information with target", f"{found.mutual_information:.3f} bits"))
    return facts


def _invalid(found: AttributeInsights, records: int) -> str:
    some = isinstance(found, NumericInsights | BinaryInsights) and found.invalid
    return percent(some, records) if some else ""


def _distinct(found: AttributeInsights) -> str:
    if isinstance(found, BinaryInsights):
        return number((found.true > 0) + (found.false > 0))
    if isinstance(found, TextInsights):
        return f"{distinct_of(found.unique_words, found.unique_words_exact)} words"
    return distinct_of(found.distinct, found.distinct_exact)


def _count(count: int, records: int) -> str:
    return f"{count:,} ({percent(count, records)})" if count else "0"


def _numeric_summary(found: NumericInsights, _: int) -> str:
    if found.min is None:
        return "no values"
    return f"{number(found.min)} to {number(found.max)}, median {number(found.median)}"


def _binary_summary(found: BinaryInsights, _: int) -> str:
    return f"{percent(found.true, found.true + found.false)} true"


def _categorical_summary(found: CategoricalInsights, records: int) -> str:
    if found.dates is not None:
        return f"{found.dates.first} to {found.dates.last}"
    if found.most_frequent is None:
        return "no values"
    value, count = found.most_frequent
    return "each value once" if count == 1 else f"{plain(value, 60) or '(empty)'} {percent(count, records)}"


def _text_summary(found: TextInsights, _: int) -> str:
    if found.dates is not None:
        return f"{found.dates.first} to {found.dates.last}"
    if found.words_per_row is None:
        return "no values"
    return f"{span_of(found.words_per_row)} words a record"


def _numeric_facts(found: NumericInsights, records: int) -> Facts:
    facts = [("Invalid", _count(found.invalid, records))]
    if found.min is None:
        return facts
    near = "" if found.quantiles_exact else "about "
    return [
        *facts,
        ("Range", f"{number(found.min)} to {number(found.max)}"),
        ("Mean", number(found.mean)),
        ("Median", near + number(found.median)),
        ("Standard deviation", number(found.std)),
        ("5 % to 95 %", f"{near}{number(found.quantiles[50])} to {number(found.quantiles[950])}"),
        ("Zeros", _count(found.zeros, records)),
        ("Distinct values", distinct_of(found.distinct, found.distinct_exact)),
    ]


def _binary_facts(found: BinaryInsights, records: int) -> Facts:
    return [
        ("Invalid", _count(found.invalid, records)),
        ("True", f"{found.true:,} ({percent(found.true, found.true + found.false)})"),
        ("False", f"{found.false:,}"),
    ]


def _categorical_facts(found: CategoricalInsights, records: int) -> Facts:
    facts = [("Unique values", distinct_of(found.distinct, found.distinct_exact))]
    for label, pair in (("Most frequent", found.most_frequent), ("Least frequent", found.least_frequent)):
        if pair is not None:
            facts.append((label, f"{plain(pair[0]) or '(empty)'}: {_count(pair[1], records)}"))
    if found.count_error:
        facts.append(("Counts", f"may be short of up to {found.count_error:,}"))
    return [*facts, *_date_facts(found)]


def _text_facts(found: TextInsights, _: int) -> Facts:
    facts = [
        ("Words", f"{found.words:,}"),
        ("Unique words", distinct_of(found.unique_words, found.unique_words_exact)),
    ]
    for label, pair in (("Words per row", found.words_per_row), ("Word length", found.word_length)):
        if pair is not None:
            facts.append((label, span_of(pair)))
    return [*facts, *_date_facts(found)]


def _date_facts(found: CategoricalInsights | TextInsights) -> Facts:
    return [] if found.dates is None else [("Dates", f"{found.dates.first} to {found.dates.last}")]


def _tokens(found: TextInsights, records: int) -> list[tuple[str, str, str, str]]:
    return [
        (plain(token), f"{prominence:.4f}", f"{count:,}", percent(count, records))
        for token, count, prominence in found.prominent[:_TOKENS]
    ]


def _correlation_bar(found: AttributeInsights) -> str:
    if found.correlation is None:
        return ""
    return bar(abs(found.correlation), f"{found.correlation:.2f}".replace("-0.00", "0.00"))


def _ranked(insights: Insights, attributes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The attributes that tell most of the target, with their mutual information."""
    found = []
    for attribute in attributes:
        facts = insights.attributes[attribute["name"]]
        if facts.correlation is not None:
            bits = facts.mutual_information
            found.append((abs(facts.correlation), attribute, "" if bits is None else f"{bits:.3f}"))
    found.sort(key=lambda one: -one[0])
    return [{**attribute, "bits": bits} for _, attribute, bits in found[:_RANKED]]


def _target_chart(insights: Insights) -> str:
    if insights.target is None or insights.target_distribution() is None:
        return ""
    return attribute_chart(insights.target, insights.attributes[insights.target], insights.records)


_SUMMARIES: dict[type, Callable[[Any, int], str]] = {
    NumericInsights: _numeric_summary,
    BinaryInsights: _binary_summary,
    CategoricalInsights: _categorical_summary,
    TextInsights: _text_summary,
}
_FACTS: dict[type, Callable[[Any, int], Facts]] = {
    NumericInsights: _numeric_facts,
    BinaryInsights: _binary_facts,
    CategoricalInsights: _categorical_facts,
    TextInsights: _text_facts,
}
