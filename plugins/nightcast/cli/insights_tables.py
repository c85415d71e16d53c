"""Insights as tables for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from nightcast.cli.tables import printable
from nightcast.datasource.insights_format import (
    AttributeInsights,
    BinaryInsights,
    CategoricalInsights,
    Histogram,
    Insights,
    NumericInsights,
    TextInsights,
)
from nightcast.report.charts import compact, number, percent
from nightcast.report.insights_page import kinds_of, span_of

if TYPE_CHECKING:
    from nightcast.cli.tables import Printer
    from nightcast.datasource.data_alerts import DataAlert

_RANKED, _CLASSES, _WORDS, _BAR = 20, 10, 5, 30
_NONE = "-"
Cells = list[str]


def print_summary(printer: Printer, insights: Insights, data: str) -> None:
    """Print Amazon ML's data summary: records seen, bad records, attributes per type."""
    printer.heading("Data summary")
    taken = insights.records < insights.records_seen - insights.bad_records
    printer.pairs(
        [
            ("Data", printer.cell(data)),
            ("Records seen", f"{insights.records_seen:,}"),
            ("Bad records", f"{insights.bad_records:,}"),
            *([("Records taken", f"{insights.records:,} by {insights.rearrangement.to_json()}")] if taken else []),
            ("Attributes", f"{len(insights.attributes):,}: {kinds_of(insights)}"),
            ("Target", _NONE if insights.target is None else printer.cell(insights.target)),
        ]
    )


def print_target(printer: Printer, insights: Insights) -> None:
    """Print how the target is distributed, as bars: ten intervals of a number, or the most frequent classes."""
    distribution = insights.target_distribution()
    if distribution is None:
        return
    rows = _intervals(distribution) if isinstance(distribution, Histogram) else _classes(printer, insights)
    top = max(count for _, count in rows)
    total = sum(count for _, count in rows)
    printer.heading(f"Distribution of the target {printer.cell(insights.target or '')}")
    printer.pairs(
        [(label, f"{'█' * -(-_BAR * count // top)} {count:,} ({percent(count, total)})") for label, count in rows]
    )


def print_attributes(printer: Printer, insights: Insights) -> None:
    """Print one table for each type that occurs, and one of the dates among texts and categories."""
    for kind, (columns, row) in _TABLES.items():
        named = {name: found for name, found in insights.attributes.items() if isinstance(found, kind)}
        if named:
            rows = [[printer.cell(name), *row(printer, found, insights.records)] for name, found in named.items()]
            printer.heading(f"{kind.type.value} attributes ({len(named):,})")
            printer.table(["Attribute", *columns], rows)
    dates = [[printer.cell(name), *_dates(found)] for name, found in insights.attributes.items() if _dates(found)]
    if dates:
        printer.heading(f"Dates ({len(dates):,})")
        printer.table(["Attribute", "First", "Median", "Last", ">Records"], dates)


def print_correlations(printer: Printer, insights: Insights) -> None:
    """Print the attributes by the strength of their correlation to the target, strongest first."""
    found = [
        (name, facts)
        for name, facts in insights.attributes.items()
        if facts.correlation is not None or facts.mutual_information is not None
    ]
    if not found:
        return
    found.sort(key=lambda one: (-abs(one[1].correlation or 0.0), -(one[1].mutual_information or 0.0)))
    shown = found[:_RANKED] if printer.on_terminal else found
    printer.heading("Correlation to target")
    printer.table(
        ["Attribute", "Type", ">Correlation", ">Mutual information (bits)"],
        [
            [printer.cell(name), facts.type.value, _correlation(facts), _decimal(facts.mutual_information)]
            for name, facts in shown
        ],
    )
    if len(shown) < len(found):
        printer.line(f"and {len(found) - len(shown):,} more, in the HTML page")


def print_alerts(printer: Printer, alerts: Sequence[DataAlert]) -> None:
    """Print the data alerts, or that there is none."""
    printer.heading(f"Data alerts ({len(alerts):,})")
    if not alerts:
        printer.line("none")
        return
    printer.table(
        ["Severity", "Code", "What"], [[alert.severity, alert.code, printable(alert.message)] for alert in alerts]
    )


def _numeric(printer: Printer, found: NumericInsights, records: int) -> Cells:
    return [
        _count(printer, found.missing, records),
        _count(printer, found.invalid, records),
        *(_number(value) for value in (found.min, found.max, found.mean, found.median, found.std)),
        _distinct(found.distinct, found.distinct_exact),
        _correlation(found),
    ]


def _binary(printer: Printer, found: BinaryInsights, records: int) -> Cells:
    valid = found.true + found.false
    return [
        _count(printer, found.missing, records),
        _count(printer, found.invalid, records),
        percent(found.true, valid) if valid else _NONE,
        _correlation(found),
    ]


def _categorical(printer: Printer, found: CategoricalInsights, records: int) -> Cells:
    return [
        _count(printer, found.missing, records),
        _distinct(found.distinct, found.distinct_exact),
        *(_frequent(printer, pair) for pair in (found.most_frequent, found.least_frequent)),
        _correlation(found),
    ]


def _text(printer: Printer, found: TextInsights, records: int) -> Cells:
    words = ", ".join(token for token, _, _ in found.prominent[:_WORDS])
    return [
        _count(printer, found.missing, records),
        f"{found.words:,}",
        _distinct(found.unique_words, found.unique_words_exact),
        *(span_of(pair) if pair else _NONE for pair in (found.words_per_row, found.word_length)),
        _correlation(found),
        printer.cell(words) or _NONE,
    ]


def _dates(found: AttributeInsights) -> Cells:
    dates = found.dates if isinstance(found, CategoricalInsights | TextInsights) else None
    return [] if dates is None else [dates.first, dates.percentiles[50], dates.last, f"{dates.values:,}"]


_MISSING, _CORRELATION = ">Missing", ">Corr."
_TABLES: dict[type[Any], tuple[Sequence[str], Callable[[Printer, Any, int], Cells]]] = {
    NumericInsights: (
        (_MISSING, ">Invalid", ">Min", ">Max", ">Mean", ">Median", ">Std", ">Distinct", _CORRELATION),
        _numeric,
    ),
    BinaryInsights: ((_MISSING, ">Invalid", ">True", _CORRELATION), _binary),
    CategoricalInsights: ((_MISSING, ">Unique", "Most frequent", "Least frequent", _CORRELATION), _categorical),
    TextInsights: (
        (_MISSING, ">Words", ">Unique words", ">Words per row", ">Word length", _CORRELATION, "Prominent words"),
        _text,
    ),
}


def _count(printer: Printer, count: int, records: int) -> str:
    """A number of cells; a terminal has room for their share alone."""
    if not count:
        return "0"
    share = percent(count, records)
    return share if printer.on_terminal else f"{count:,} ({share})"


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else number(value)


def _distinct(count: int, exact: bool) -> str:
    return f"{'' if exact else '~'}{count:,}"


def _decimal(value: float | None) -> str:
    return _NONE if value is None else f"{value:.3f}"


def _correlation(found: AttributeInsights) -> str:
    # Rounding must not leave the sign of a negative number on 0.
    return _NONE if found.correlation is None else f"{round(found.correlation, 2) + 0.0:.2f}"


def _frequent(printer: Printer, pair: tuple[str, int] | None) -> str:
    return _NONE if pair is None else f"{printer.cell(pair[0]) or '(empty)'} ({compact(pair[1])})"


def _intervals(found: Histogram) -> list[tuple[str, int]]:
    step = max(1, len(found.counts) // 10)
    return [
        (
            f"{number(found.edges[first])} to {number(found.edges[min(first + step, len(found.counts))])}",
            sum(found.counts[first : first + step]),
        )
        for first in range(0, len(found.counts), step)
    ]


def _classes(printer: Printer, insights: Insights) -> list[tuple[str, int]]:
    target = insights.attributes[insights.target or ""]
    if isinstance(target, BinaryInsights):
        return [("0", target.false), ("1", target.true)]
    if not isinstance(target, CategoricalInsights):
        return []
    rows = [(printer.cell(value) or "(empty)", count) for value, count in target.values[:_CLASSES]]
    other = target.other + sum(count for _, count in target.values[_CLASSES:])
    return [*rows, ("other", other)] if other else rows
