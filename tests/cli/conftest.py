"""Sales as files, for whole commands."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightcast.cli import main

RECORDS = 400
VENUES = ("Arena", "Hall <3>", "Theatre", "Park")


def sales_lines(first: int, records: int) -> list[str]:
    """Lines of sales that are the same every time."""
    return [
        f"{number},2008-{1 + number % 12:02d}-{1 + number % 28:02d},{VENUES[number % 4]},"
        f"{(number * 37) % 101 / 4},{'yes' if number % 5 == 0 else 'no'},"
        f'"late {"gala, " if number % 3 else ""}night number {number % 7}",{(number * 37) % 101 / 2 + number % 4}'
        for number in range(first, first + records)
    ]


HEADER = "saleid,day,venue,price,promo,note,totalsold"


@pytest.fixture(autouse=True)
def no_handlers_of_other_tests() -> None:
    """Airflow's handler, once a test imports it, writes to the stream that this test has captured, long closed."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        if not type(handler).__module__.startswith("_pytest"):
            root.removeHandler(handler)


@pytest.fixture
def sales_csv(tmp_path: Path) -> Path:
    """One file with a header line."""
    path = tmp_path / "sales.csv"
    path.write_text("\n".join([HEADER, *sales_lines(0, RECORDS)]) + "\n")
    return path


@pytest.fixture
def sales_folder(tmp_path: Path) -> Path:
    """The same records as two files, with one broken line more in the second."""
    folder = tmp_path / "sales"
    folder.mkdir()
    half = RECORDS // 2
    (folder / "0.csv").write_text("\n".join([HEADER, *sales_lines(0, half)]) + "\n")
    lines = sales_lines(half, half)
    (folder / "1.csv").write_text("\n".join([HEADER, *lines[:5], "a line of two,cells", *lines[5:]]) + "\n")
    return folder


LABELLED_RECORDS = 600
TARGETS = {"sold": "REGRESSION", "hit": "BINARY", "band": "MULTICLASS"}
BANDS = ("low", "mid <1>", "high")
FIRST_70 = '{"splitting": {"percentBegin": 0, "percentEnd": 70}}'
LAST_30 = '{"splitting": {"percentBegin": 70, "percentEnd": 100}}'


def labelled_rows() -> list[dict[str, object]]:
    """Sales that a model can tell something of: each with a number, a yes or no, and one of three classes."""
    rows: list[dict[str, object]] = []
    for number in range(LABELLED_RECORDS):
        price, place = (number * 37) % 101 / 4, number % 4
        sold = 40 - price + 5 * place + (number * 7919) % 13 - 6
        day = date(2008, 1, 1) + timedelta(days=number // 4)
        rows.append(
            {
                "saleid": f"s{number}",
                "day": day.isoformat(),
                "venue": VENUES[place],
                "price": price,
                "sold": sold,
                "hit": int(sold > 35),
                "band": BANDS[int(sold > 30) + int(sold > 40)],
            }
        )
    return rows


def labelled_schema(target: str) -> str:
    """The schema with one of `TARGETS`; the others are excluded."""
    types = {"saleid": "CATEGORICAL", "day": "TEXT", "venue": "CATEGORICAL", "price": "NUMERIC"}
    types |= {"sold": "NUMERIC", "hit": "BINARY", "band": "CATEGORICAL"}
    document = {
        "version": "1.0",
        "rowId": "saleid",
        "targetAttributeName": target,
        "dataFormat": "CSV",
        "dataFileContainsHeader": True,
        "attributes": [{"attributeName": name, "attributeType": kind} for name, kind in types.items()],
        "excludedAttributeNames": [name for name in TARGETS if name != target],
    }
    return json.dumps(document)


@dataclass(frozen=True)
class Labelled:
    """Files of labelled sales, and linear models of their first 70 %."""

    folder: Path

    @property
    def csv(self) -> str:
        return str(self.folder / "sales.csv")

    @property
    def parquet(self) -> str:
        return str(self.folder / "sales.parquet")

    @property
    def unlabelled(self) -> str:
        """Without the columns of the targets."""
        return str(self.folder / "scoring.csv")

    def schema(self, target: str) -> str:
        return str(self.folder / f"{target}.schema")

    def model(self, target: str) -> str:
        return str(self.folder / f"model-{target}")


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Labelled:
    """CSV, Parquet, schemas and models; not to be written to."""
    given, rows = Labelled(tmp_path_factory.mktemp("labelled")), labelled_rows()
    for path, names in ((given.csv, list(rows[0])), (given.unlabelled, ["saleid", "day", "venue", "price"])):
        lines = [",".join(str(row[name]) for name in names) for row in rows]
        Path(path).write_text("\n".join([",".join(names), *lines]) + "\n")
    pq.write_table(pa.Table.from_pylist(rows), given.parquet)
    for target in TARGETS:
        Path(given.schema(target)).write_text(labelled_schema(target))
        command = ["train", given.csv, "--schema", given.schema(target), "--split", FIRST_70, "--learner", "linear"]
        assert main([*command, "-o", given.model(target)]) == 0
    return given
