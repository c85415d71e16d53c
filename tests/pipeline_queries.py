"""A pipeline's queries, run on the sandbox's engine on sales that are invented."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import jinja2
import pyarrow as pa

from nightcast.period import Period, PeriodLength
from nightcast.sandbox.dialect import parse
from nightcast.sandbox.translate import to_duckdb
from nightcast.sandbox.warehouse import Warehouse, WarehouseSettings

Rows = list[dict[str, Any]]


class PipelineQueries:
    """The queries of a folder, and a warehouse for them.

    Parameters
    ----------
    folder
        With ``training.sql``, ``scoring.sql`` and ``actuals.sql``.
    length
        Of the pipeline's periods: ``daily``, ``weekly``, ``monthly``.
    training_days
        Days that the training query reads.
    """

    def __init__(self, folder: Path, length: str, training_days: int) -> None:
        self._folder, self._length, self._training_days = folder, PeriodLength(length), training_days
        self._warehouse = Warehouse(None, WarehouseSettings())
        self._connection = self._warehouse.connect()

    def __enter__(self) -> PipelineQueries:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._warehouse.close()

    def load(self, table: str, rows: Rows) -> None:
        """Put rows into a table, in the place of those that it has."""
        schema, _, _ = table.rpartition(".")
        if schema:
            self._connection.execute(f"create schema if not exists {schema}")
        self._connection.register("arrived", pa.Table.from_pylist(rows))
        self._connection.execute(f"create or replace table {table} as select * from arrived")
        self._connection.unregister("arrived")

    def period(self, day: date) -> Period:
        """The pipeline's period that a day lies in."""
        return self._length.holding(day)

    def records(self, name: str, day: date) -> Rows:
        """What a query gives in the run for the period of a day; ``name`` without ``.sql``."""
        return self._connection.sql(self._translated(name, day)).to_arrow_table().to_pylist()

    def read(self, day: date = date(2024, 3, 6)) -> list[str]:
        """Names of the queries that Redshift would understand, as far as the sandbox knows its dialect."""
        names = sorted(path.stem for path in self._folder.glob("*.sql"))
        return [name for name in names if self._translated(name, day)]

    def _translated(self, name: str, day: date) -> str:
        environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
        text = environment.from_string((self._folder / f"{name}.sql").read_text())
        return to_duckdb(parse(text.render(self.period(day).sql_names(self._training_days))), "dev")


def invented_sales(
    first: date,
    end: date,
    *,
    date_column: str,
    keys: Sequence[str],
    value: str | None = None,
    categories: Iterable[str] = (),
    numbers: Iterable[str] = (),
) -> Rows:
    """Sales of three series on the days ``[first, end)``: one sells daily, one weekly, one has stopped a year ago.

    On Sundays nobody sells anything.
    """
    rows: Rows = []
    for number in range((end - first).days):
        day = first + timedelta(days=number)
        if day.weekday() == 6:
            continue
        sold = {"daily": True, "weekly": day.weekday() == 2, "stopped": (end - day).days > 400}
        for place, series in enumerate(name for name, sells in sold.items() if sells):
            rows.append(
                {
                    date_column: datetime.combine(day, time(hour=8 + place)),
                    **{key: f"{series} {key}" for key in keys},
                    **({} if value is None else {value: float(2 + number % 5 + 10 * place)}),
                    **dict.fromkeys(categories, f"kind {number % 3}"),
                    **{name: float(number % 11) for name in numbers},
                }
            )
    return rows
