"""TICKIT-shaped warehouses on the sandbox's engine, and the project's SQL rendered for a period."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import jinja2
import pyarrow as pa
import pytest

from nightcast.sandbox.dialect import parse
from nightcast.sandbox.sample import generate
from nightcast.sandbox.translate import to_duckdb
from nightcast.sandbox.warehouse import Warehouse, WarehouseSettings

SQL = Path(__file__).resolve().parents[2] / "include" / "sql" / "sales_forecast"
LAST = date(2009, 1, 1)
TRAINING_DAYS = 56


def period_names(end: date, days: int, training_days: int, hour: int) -> dict[str, str]:
    """What the DAG gives to the templates for the period [end - days, end)."""
    step = timedelta(days=days)
    bounds = {
        "history_start": end - timedelta(days=training_days),
        "period_start": end - step,
        "period_end": end,
        "next_period_start": end,
        "next_period_end": end + step,
    }
    return {name: f"{day.isoformat()} {hour:02d}:00:00" for name, day in bounds.items()}


class SalesWarehouse:
    """A warehouse with TICKIT's tables."""

    def __init__(self, tables: dict[str, pa.Table]) -> None:
        self._warehouse = Warehouse(None, WarehouseSettings())
        self._connection = self._warehouse.connect()
        for name, table in tables.items():
            self._connection.register("arrived", table)
            self._connection.execute(f'create table "{name}" as select * from arrived')
            self._connection.unregister("arrived")

    def query(
        self, template: str, end: date, days: int = 1, training_days: int = TRAINING_DAYS, hour: int = 0
    ) -> pa.Table:
        """Result of one of the project's SQL files for the period [end - days, end)."""
        environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
        text = environment.from_string((SQL / f"{template}.sql").read_text())
        sql = to_duckdb(parse(text.render(period_names(end, days, training_days, hour))), "dev")
        return self._connection.sql(sql).to_arrow_table()

    @contextmanager
    def changed(self, *statements: str) -> Iterator[None]:
        """Run statements and take them back at the end."""
        self._connection.begin()
        try:
            for statement in statements:
                self._connection.execute(statement)
            yield
        finally:
            self._connection.rollback()

    def close(self) -> None:
        self._connection.close()
        self._warehouse.close()


@pytest.fixture(scope="session")
def sample() -> dict[str, pa.Table]:
    return generate()


@pytest.fixture(scope="session")
def warehouse(sample: dict[str, pa.Table]) -> Iterator[SalesWarehouse]:
    opened = SalesWarehouse(sample)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def training(warehouse: SalesWarehouse) -> pa.Table:
    return warehouse.query("training", LAST)


@pytest.fixture(scope="session")
def scoring(warehouse: SalesWarehouse) -> pa.Table:
    return warehouse.query("scoring", LAST)


@pytest.fixture
def open_warehouse() -> Iterator[Callable[[dict[str, pa.Table]], SalesWarehouse]]:
    """Opens further warehouses and closes them behind the test."""
    opened: list[SalesWarehouse] = []

    def open_one(tables: dict[str, pa.Table]) -> SalesWarehouse:
        opened.append(SalesWarehouse(tables))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()
