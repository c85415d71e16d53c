"""The dates that Airflow gives to a run: nothing else in Nightcast reads them.

That is ``logical_date`` (and ``ds``, ``ts``), ``data_interval_*``, ``run_after``, ``start_date`` and ``partition_key``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class RunDates:
    """What Airflow says of a run's dates; instants with a time zone, or None where a run has none.

    Parameters
    ----------
    run_type
        ``scheduled``, ``backfill``, ``manual``, ``asset_triggered``, ...
    run_after
        When the run was due. Nothing from then on counts as known to it.
    logical_date, interval_start, interval_end
        Airflow's dates; the interval's end is exclusive.
    partition_key
        Of the runs of partitioned DAGs.
    start_date
        When the run was really started.
    """

    run_type: str
    run_after: datetime | None
    logical_date: datetime | None
    interval_start: datetime | None
    interval_end: datetime | None
    partition_key: str | None = None
    start_date: datetime | None = None

    @property
    def interval(self) -> tuple[datetime, datetime] | None:
        """The data interval ``[start, end)``; None where it is empty, as it is with a bare cron string."""
        if self.interval_start and self.interval_end and self.interval_start < self.interval_end:
            return self.interval_start, self.interval_end
        return None

    @property
    def known_until(self) -> datetime | None:
        """The instant that the run speaks of as now; a period that ends after it is not over yet."""
        # Only of backfills: `airflow dags test` gives its runs the logical date as start.
        if self.run_type == "backfill" and self.run_after and self.start_date:
            return min(self.run_after, self.start_date)
        return self.run_after

    def facts(self) -> dict[str, str | None]:
        """The dates as plain JSON, for ``run.json``; instants in ISO 8601, UTC."""
        instants = {
            "run_after": self.run_after,
            "logical_date": self.logical_date,
            "data_interval_start": self.interval_start,
            "data_interval_end": self.interval_end,
        }
        return {
            "run_type": self.run_type,
            **{name: instant.astimezone(UTC).isoformat() if instant else None for name, instant in instants.items()},
            "partition_key": self.partition_key,
        }


def run_dates(context: Mapping[str, Any]) -> RunDates:
    """Read the dates of the run that an Airflow task context belongs to."""
    run = context["dag_run"]
    return RunDates(
        run_type=str(getattr(run.run_type, "value", run.run_type)),
        run_after=getattr(run, "run_after", None),
        # Runs without a logical date do not have these keys at all.
        logical_date=context.get("logical_date"),
        interval_start=context.get("data_interval_start"),
        interval_end=context.get("data_interval_end"),
        # Airflow 3.1 has no partitions.
        partition_key=getattr(run, "partition_key", None) or None,
        start_date=getattr(run, "start_date", None),
    )
