"""Drift as a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightcast.report.charts import percent

if TYPE_CHECKING:
    from nightcast.cli.tables import Printer
    from nightcast.datasource.drift import AttributeDrift, Drift

_VALUES = 3


def print_drift(printer: Printer, drift: Drift, reference: str) -> None:
    """Print how each attribute has drifted, the farthest first.

    Parameters
    ----------
    reference
        Where the earlier insights are.
    """
    printer.heading(f"Drift since {printer.cell(reference)}: {drift.level}")
    rows = [
        [
            printer.cell(found.attribute),
            "-" if found.psi is None else f"{found.psi:.3f}",
            str(found.level),
            f"{percent(found.missing_reference, 1)} to {percent(found.missing_current, 1)}",
            _beyond(found),
            _values(printer, found),
        ]
        for found in sorted(drift.attributes, key=lambda one: -(one.psi or 0.0))
    ]
    printer.table(["Attribute", ">PSI", "Level", ">Missing", ">Beyond range", "New values"], rows)
    for label, names in (("Added", drift.added), ("Removed", drift.removed), ("Other type", drift.retyped)):
        if names:
            printer.line(f"{label}: {', '.join(printer.cell(name) for name in names)}")


def _beyond(found: AttributeDrift) -> str:
    if found.below is None or found.above is None:
        return "-"
    return percent(found.below + found.above, 1)


def _values(printer: Printer, found: AttributeDrift) -> str:
    shown = [printer.cell(value) or "(empty)" for value in found.new_values[:_VALUES]]
    more = ["..."] if len(found.new_values) > _VALUES else []
    return ", ".join([*shown, *more]) or "-"
