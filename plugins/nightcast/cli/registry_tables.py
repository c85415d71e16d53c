"""What ``nightcast models`` prints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from nightcast.cli.model_tables import metric_text
from nightcast.report.headline import headline

if TYPE_CHECKING:
    from nightcast.cli.tables import Printer
    from nightcast.registry.documents import RegistryEntry
    from nightcast.registry.model_registry import Promotion

_COLUMNS = ["Cut-off", "Run", "State", "Learner", "Metric", ">Value", ">Baseline", "Against baseline", "Promoted"]


def state_of(promotion: Promotion, champion: Promotion | None) -> str:
    """``withdrawn``, ``champion`` or ``promoted``."""
    if promotion.withdrawal is not None:
        return "withdrawn"
    return "champion" if champion is not None and promotion.entry.key == champion.entry.key else "promoted"


def print_champions(printer: Printer, champions: Mapping[str, Promotion | None], day: date) -> None:
    """Print each model with its champion."""
    printer.heading(f"Champions as of {day}")
    rows = [
        [name, *(["-"] * (len(_COLUMNS) - 1) if champion is None else _without_state(printer, champion))]
        for name, champion in champions.items()
    ]
    printer.table(["Model", *(name for name in _COLUMNS if name != "State")], rows)


def print_history(
    printer: Printer, name: str, shown: Sequence[Promotion], champion: Promotion | None, day: date, everything: int
) -> None:
    """Print promotions, and how many are not shown."""
    printer.heading(f"{name} as of {day}")
    printer.table(_COLUMNS, [_row(printer, one, state_of(one, champion)) for one in shown])
    if len(shown) < everything:
        printer.line(f"... and {everything - len(shown):,} earlier ones; --most N shows more")


def print_promotion(printer: Printer, promotion: Promotion, champion: Promotion | None, day: date) -> None:
    """Print all that is known of a promotion."""
    entry = promotion.entry
    state = state_of(promotion, champion)
    printer.heading(f"{entry.model_name}, run {entry.run_key}")
    printer.pairs(
        [
            ("State", f"champion as of {day}" if state == "champion" else state),
            *_withdrawal(printer, promotion),
            ("Training cut-off", f"{entry.cut_off} 00:00 UTC, exclusive"),
            ("Sales period", printer.cell(str(entry.period.get("label", "-")))),
            ("Run", f"{printer.cell(entry.run_id)} ({printer.cell(entry.run_type)})"),
            ("Model type", printer.cell(entry.model_type)),
            ("Learner", printer.cell(entry.learner)),
            (printer.cell(entry.metric_name), metric_text(entry.metric)),
            ("Baseline", f"{metric_text(entry.baseline)}, so {_verdict(entry)}"),
            ("Promoted", entry.promoted_at.isoformat(timespec="seconds")),
            ("Nightcast", printer.cell(entry.code_version)),
            ("Model", entry.model["uri"]),
            ("Entry", promotion.reference["uri"]),
        ]
    )
    printer.heading("Decision of the gate")
    printer.pairs([(printer.cell(name), printer.cell(_text(value))) for name, value in sorted(entry.decision.items())])


def print_withdrawal(printer: Printer, promotion: Promotion, champion: Promotion | None, *, again: bool) -> None:
    """Print what was withdrawn, and which model is champion now."""
    entry = promotion.entry
    printer.pairs(
        [
            ("Was withdrawn before" if again else "Withdrawn", f"{entry.model_name} by run {entry.key}"),
            *_withdrawal(printer, promotion),
            ("Champion now", "none" if champion is None else str(champion.entry.key)),
        ]
    )


def _withdrawal(printer: Printer, promotion: Promotion) -> list[tuple[str, str]]:
    withdrawal = promotion.withdrawal
    if withdrawal is None:
        return []
    return [("Reason", printer.cell(withdrawal.reason)), ("At", withdrawal.withdrawn_at.isoformat(timespec="seconds"))]


def _row(printer: Printer, promotion: Promotion, state: str) -> list[str]:
    entry = promotion.entry
    return [
        entry.cut_off.isoformat(),
        entry.run_key,
        state,
        printer.cell(entry.learner),
        printer.cell(entry.metric_name),
        metric_text(entry.metric),
        metric_text(entry.baseline),
        _verdict(entry),
        entry.promoted_at.isoformat(timespec="minutes"),
    ]


def _without_state(printer: Printer, promotion: Promotion) -> list[str]:
    cells = _row(printer, promotion, "champion")
    return [cell for name, cell in zip(_COLUMNS, cells, strict=True) if name != "State"]


def _verdict(entry: RegistryEntry) -> str:
    """How the metric compares with its baseline, in words."""
    name = entry.metric_name
    if entry.baseline is None:
        return "-"
    try:
        return headline({"performanceMetrics": {name: entry.metric}, "baseline": {name: entry.baseline}}).verdict
    except KeyError:
        # A metric of the operator's own.
        return "-"


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
