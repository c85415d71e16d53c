"""Where the rows of the accuracy history lie: one object a measuring run, so that no two runs ever write the same.

``<pipeline>/accuracy/<period>/<run key>.json``; whoever reads several puts them together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nightcast.artifacts import JSON, ArtifactRef

if TYPE_CHECKING:
    from nightcast.evaluation.accuracy_history import AccuracyRow
    from nightcast.storage import Storage

# As many rows as are shown by period, and as many as are shown by week.
_DAYS, _WEEKS = 31, 120
_COLUMNS = (
    ("RMSE", "rmse", 1),
    ("baseline", "baseline_rmse", 1),
    ("WAPE %", "wape", 100),
    ("bias %", "bias_percent", 1),
    ("in interval %", "interval_coverage", 100),
    ("AUC", "auc", 1),
    ("log loss", "log_loss", 1),
    ("F1", "f1", 1),
)


def write_row(storage: Storage, pipeline: str, run_key: str, row: AccuracyRow) -> ArtifactRef:
    """Write the row that a run has measured; the same run again replaces its own.

    Parameters
    ----------
    pipeline
        ``<root>/<pipeline>``, where all its runs lie.
    run_key
        The run that has measured, which is not the one that has predicted.
    """
    from nightcast.evaluation.accuracy_history import history_json

    place = f"{pipeline}/accuracy/{row.period}/{run_key}.json"
    return storage.write_bytes(place, history_json([row]).encode(), JSON, rows=1)


def read_rows(
    storage: Storage, pipeline: str, *, until: str | None = None, periods: int | None = None
) -> list[AccuracyRow]:
    """Rows of several runs, ordered by period and predicting run.

    Parameters
    ----------
    until
        Label of the last period that counts.
    periods
        Only so many periods, the last ones.
    """
    from nightcast.evaluation.accuracy_history import merged_history, read_history

    below = f"{pipeline}/accuracy/"
    places = sorted(uri for uri in storage.names_below(below) if uri.endswith(".json"))
    by_period: dict[str, list[str]] = {}
    for uri in places:
        by_period.setdefault(uri.rsplit("/", 2)[-2], []).append(uri)
    labels = [label for label in sorted(by_period) if until is None or label <= until]
    chosen = labels if periods is None else labels[-periods:]
    return merged_history(
        *(read_history(storage.read_bytes(uri).decode()) for label in chosen for uri in by_period[label])
    )


def summary_table(rows: Sequence[AccuracyRow]) -> str:
    """The rows as a table of text that stays readable: by ISO week above 31 of them, by month above 120, and overall.

    Parameters
    ----------
    rows
        At least one. Where they are of several model types, the last one's count.
    """
    from nightcast.evaluation.accuracy_summary import by_month, by_week, grouped, together

    alike = [row for row in rows if row.model_type == rows[-1].model_type]
    shown = list(alike) if len(alike) <= _DAYS else grouped(alike, by_week if len(alike) <= _WEEKS else by_month)
    return accuracy_table([*shown, together("all", alike)] if len(alike) > 1 else shown)


def accuracy_table(rows: Sequence[AccuracyRow]) -> str:
    """The rows as a table of text, with the metrics that one of them has."""
    columns = [column for column in _COLUMNS if any(getattr(row, column[1]) is not None for row in rows)]
    lines = [["period", "model until", "age", "records", *(title for title, _, _ in columns)]]
    for row in rows:
        figures = [(getattr(row, name), factor) for _, name, factor in columns]
        told = ["" if value is None else f"{factor * value:.4g}" for value, factor in figures]
        lines.append([row.period, row.training_cutoff, f"{row.model_age_days} d", f"{row.records_matched:,}", *told])
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
