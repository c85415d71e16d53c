from __future__ import annotations

import csv
import datetime
import gzip
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightcast.datasource.inference import InferredAttribute, infer_attributes, inferred_schema, row_id_candidate
from nightcast.datasource.parts import Part
from nightcast.datasource.schema import AttributeType, Schema
from nightcast.errors import DatasourceError, SchemaWarning
from nightcast.storage import Storage

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
Infer = Callable[..., InferredAttribute]


@pytest.fixture
def infer(tmp_path: Path) -> Infer:
    """Infers one column from its cells, behind another one or as the first."""

    def infer(name: str, cells: Sequence[str], *, first: bool = False, **options: Any) -> InferredAttribute:
        path = tmp_path / "column.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([cell, "x"] if first else ["x", cell] for cell in cells)
        names = (name, "other") if first else ("other", name)
        found = infer_attributes([Part(str(path), -1, 1, "CSV")], Storage(), names, **options)
        return found[0 if first else 1]

    return infer


ZIPS = [str(10_000 + 8_999 * n % 90_000) for n in range(1, 200)]
SALARIES = [str(20_000 + 500 * n) for n in range(150)]
COUNTS = [str(n * n % 9) for n in range(200)]
NUMBERED = [str(n) for n in range(1, 31)]
WORDS = [f"the {n} th review of a very good hotel" for n in range(20)]

RULES = [
    # Two values.
    ("promo", ["0", "1", "1"], "BINARY", "two values: 0 and 1"),
    ("promo", ["Y", "n", ""], "BINARY", "two values: Y and n"),
    ("promo", [" TRUE ", "f"], "BINARY", "two values: TRUE and f"),
    ("promo", ["no", "no"], "BINARY", "only no in the sample"),
    ("promo", ["0", "0"], "NUMERIC", "whole numbers from 0 to 0"),
    ("size", ["n", "n"], "CATEGORICAL", "1 value"),
    ("kind", ["spam", "ham", "ham"], "CATEGORICAL", "2 different strings"),
    # Quantities.
    ("price", ["1.5", "-2", "3e2"], "NUMERIC", "numbers from -2 to 300"),
    ("sold", COUNTS, "NUMERIC", "whole numbers from 0 to 7"),
    ("rating", ["1", "2", "5", "3"], "NUMERIC", "whole numbers from 1 to 5"),
    ("year", ["2017", "2018"], "NUMERIC", "whole numbers from 2017 to 2018"),
    ("salary", SALARIES, "NUMERIC", "whole numbers from 20000 to 94500"),
    ("pricepaid", ["100", "200", "100"], "NUMERIC", "whole numbers"),
    ("number_of_items", ["3", "4", "3"], "NUMERIC", "whole numbers"),
    ("delta_code", ["-1", "0", "7"], "NUMERIC", "whole numbers from -1 to 7"),
    ("sold", ["7", "NA", "9", "8"], "NUMERIC", "1 cells such as NA are none and become invalid"),
    ("day", ["20170131", "20170228"], "NUMERIC", "write them as 2008-12-31"),
    # Ids and codes.
    ("order_id", ["7", "9", "11"], "CATEGORICAL", "the name says id; each record has its own"),
    ("venueid", ["7", "9", "7"], "CATEGORICAL", "the name says id; 2 different ones"),
    ("storeNbr", ["7", "9", "7"], "CATEGORICAL", "the name says code"),
    ("product_id", ["1e+05", "100001", "100003"], "CATEGORICAL", "the name says id"),
    ("basket_id", ["3.2e+10", "32053127496", "3.2e+10"], "CATEGORICAL", "the name says id"),
    ("product_id", ["17.0", "18.0", "18.0"], "CATEGORICAL", "the name says id"),
    ("area", ["00123", "4711", "9"], "CATEGORICAL", "leading zeros"),
    ("place", ZIPS, "CATEGORICAL", "whole numbers of 5 digits each: a code"),
    ("passenger_class", ["1", "2", "3", "3"], "CATEGORICAL", "3 different whole numbers, and the name says a group"),
    ("month", ["1", "12", "7"], "CATEGORICAL", "a part of the calendar that repeats"),
    ("location", ["1", "2", "A", *["3"] * 400], "CATEGORICAL", "4 different strings"),
    # A last word that counts or measures.
    ("sku_count", ZIPS, "NUMERIC", "whole numbers from"),
    ("account_balance", ZIPS, "NUMERIC", "whole numbers from"),
    ("mobile_visits", ZIPS, "NUMERIC", "whole numbers from"),
    ("phone_orders", ZIPS, "NUMERIC", "whole numbers from"),
    ("id_count", ZIPS, "NUMERIC", "whole numbers from"),
    ("zip_distance", ZIPS, "NUMERIC", "whole numbers from"),
    ("code_lines", ZIPS, "NUMERIC", "whole numbers from"),
    ("serial_length", ZIPS, "NUMERIC", "whole numbers from"),
    ("key_score", ZIPS, "NUMERIC", "whole numbers from"),
    ("product_type_id_count", ZIPS, "NUMERIC", "whole numbers from"),
    ("centroid", COUNTS, "NUMERIC", "whole numbers from"),
    ("zip", COUNTS, "CATEGORICAL", "the name says code"),
    ("zip_code", COUNTS, "CATEGORICAL", "the name says code"),
    ("zip_code2", COUNTS, "CATEGORICAL", "the name says code"),
    ("store_id", COUNTS, "CATEGORICAL", "the name says id"),
    ("storeID", COUNTS, "CATEGORICAL", "the name says id"),
    ("phone", COUNTS, "CATEGORICAL", "the name says code"),
    ("ean", COUNTS, "CATEGORICAL", "the name says code"),
    # Dates.
    ("day", ["2017-01-31", "2016-02-29", ""], "TEXT", "dates from 2016-02-29 to 2017-01-31"),
    ("at", ["2017-01-31 10:00:00", "2017-01-31T11:00:00Z"], "TEXT", "dates from 2017-01-31 to 2017-01-31"),
    ("day", ["12/31/2008", "1/2/2009"], "TEXT", "dates such as 12/31/2008"),
    ("day", ["31.12.2008", "1.2.2009"], "TEXT", "dates such as 31.12.2008"),
    # Other strings.
    ("review", WORDS, "TEXT", "sentences: 9.0 words on average, and they hardly repeat"),
    ("household", ["2 Adults No Kids", "1 Adult No Kids"] * 20, "CATEGORICAL", "2 different strings"),
    ("venue", ["Toyota Park", "RFK Stadium"], "CATEGORICAL", "strings, and each record has its own"),
    ("price", ["$1,234.50", "$9.00"], "CATEGORICAL", "numbers such as $1,234.50, which no reader takes"),
    ("empty", ["", " ", ""], "CATEGORICAL", "no record of the sample has a value"),
    ("marks", ["NA", "NA"], "CATEGORICAL", "1 value"),
]


@pytest.mark.parametrize(("name", "cells", "kind", "reason"), RULES, ids=lambda value: str(value)[:30])
def test_a_rule_tells_type_and_reason(infer: Infer, name: str, cells: list[str], kind: str, reason: str) -> None:
    found = infer(name, cells)

    assert (found.name, found.type) == (name, kind)
    assert reason in found.reason


def test_a_column_that_counts_the_records_is_a_name_only_where_it_is_the_first(infer: Infer) -> None:
    assert infer("Var1", NUMBERED, first=True).type == "CATEGORICAL"
    assert infer("Var2", NUMBERED).type == "NUMERIC"
    assert infer("day", NUMBERED, first=True).type == "NUMERIC"


@pytest.mark.parametrize(
    ("name", "cells"), [("score_code", ["3", "4", "5"]), ("class", ["1", "2", "3"]), ("amount", ZIPS)]
)
def test_a_target_of_whole_numbers_is_a_quantity(infer: Infer, name: str, cells: list[str]) -> None:
    assert infer(name, cells, target=name).type == "NUMERIC"


def test_a_target_of_zeros_and_ones_is_binary(infer: Infer) -> None:
    assert infer("sold", ["0", "1"], target="sold").type == "BINARY"


def test_what_was_seen_is_told(infer: Infer) -> None:
    found = infer("store", ["north", "", "south", " north", "a" * 70])

    assert found.examples == ("north", "south", "a" * 57 + "...")
    assert (found.distinct, found.missing, found.sampled) == (3, 1, 5)


TABLE = pa.table(
    {
        "flag": pa.array([True, False, None]),
        "price": pa.array([1.0, 2.0, 2.0], pa.float32()),
        "cost": pa.array([Decimal("1.50"), None, Decimal("2.00")], pa.decimal128(8, 2)),
        "orderid": pa.array([Decimal(7), Decimal(8), Decimal(9)], pa.decimal128(8, 0)),
        "sold": pa.array([7, 9, 7], pa.int16()),
        "zip": pa.array(["01234", "12345", "12345"]),
        "text_number": pa.array(["1.5", "2.5", "3.5"]),
        "yes_no": pa.array(["y", "n", "y"], pa.large_string()),
        "day": pa.array([datetime.date(2008, 12, 31), None, datetime.date(2008, 1, 1)]),
        "at": pa.array([datetime.datetime(2008, 12, 31, 10)] * 3, pa.timestamp("us", tz="UTC")),
        "clock": pa.array([datetime.time(10)] * 3),
        "nothing": pa.nulls(3),
        "store": pa.array(["north", "south", "north"]).dictionary_encode(),
    }
)


def parquet_part(path: Path, table: pa.Table, **options: Any) -> Part:
    pq.write_table(table, path, **options)
    return Part(str(path), -1, path.stat().st_size, "PARQUET")


def test_parquet_types_come_first(tmp_path: Path) -> None:
    found = infer_attributes([parquet_part(tmp_path / "a", TABLE)], Storage(), ())

    assert [(one.name, str(one.type)) for one in found] == [
        ("flag", "BINARY"), ("price", "NUMERIC"), ("cost", "NUMERIC"), ("orderid", "CATEGORICAL"), ("sold", "NUMERIC"),
        ("zip", "CATEGORICAL"), ("text_number", "CATEGORICAL"), ("yes_no", "BINARY"), ("day", "TEXT"), ("at", "TEXT"),
        ("clock", "CATEGORICAL"), ("nothing", "CATEGORICAL"), ("store", "CATEGORICAL"),
    ]  # fmt: skip
    reasons = {one.name: one.reason for one in found}
    assert reasons["day"] == "dates from 2008-01-01 to 2008-12-31"
    assert "cast the column to make it NUMERIC" in reasons["text_number"]


@pytest.mark.parametrize("when", [[10**12, None], [10**12]])
def test_timestamps_beyond_the_calendar_are_no_dates(tmp_path: Path, when: list[int | None]) -> None:
    part = parquet_part(tmp_path / "a", pa.table({"at": pa.array(when, pa.timestamp("ms"))}))
    far = parquet_part(
        tmp_path / "b", pa.table({"at": pa.array([4 * 10**17 if one else None for one in when], pa.timestamp("us"))})
    )
    [near], [beyond] = (infer_attributes([one], Storage(), ()) for one in (part, far))

    assert (near.type, near.reason) == ("TEXT", "dates from 2001-09-09 to 2001-09-09")
    assert (beyond.type, beyond.reason) == ("TEXT", "the Parquet column holds timestamps")


def test_columns_that_no_attribute_can_hold_are_left_out_aloud(tmp_path: Path) -> None:
    part = parquet_part(tmp_path / "a", pa.table({"a": [1, 2], "tags": [["x"], ["y"]]}))

    with pytest.warns(SchemaWarning, match="column 'tags' holds list"):
        assert [one.name for one in infer_attributes([part], Storage(), ())] == ["a"]
    nothing = parquet_part(tmp_path / "b", pa.table({"tags": [["x"]]}))
    with pytest.warns(SchemaWarning), pytest.raises(DatasourceError, match="has no column of numbers"):
        infer_attributes([nothing], Storage(), ())


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"PAR1 and no more")

    with pytest.raises(DatasourceError, match=r"part .*/a is damaged or no PARQUET file"):
        infer_attributes([Part(str(tmp_path / "a"), -1, 1, "PARQUET")], Storage(), ())


def test_the_sample_is_spread_over_eight_parts_and_bounded(tmp_path: Path) -> None:
    parts = [parquet_part(tmp_path / str(n), pa.table({"part": [n] * 9_000}), row_group_size=1_000) for n in range(16)]

    (found,) = infer_attributes(parts, Storage(), ())

    assert (found.sampled, found.distinct) == (50_000, 8)
    assert found.examples == ("0", "2", "4", "6", "8")
    assert infer_attributes(parts, Storage(), ()) == (found,)


def test_rejected_records_of_csv_are_not_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x,1\nbroken\nx,2\nx,3,4\nx,\xff\nx,3\n")

    found = infer_attributes([Part(str(path), -1, 1, "CSV")], Storage(), ("a", "sold"))

    assert (found[1].type, found[1].sampled, found[1].missing) == ("NUMERIC", 3, 0)


def test_null_is_what_stands_for_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'\\N,\\N\n7,""\n')

    found = infer_attributes([Part(str(path), -1, 1, "CSV", null_as=r"\N")], Storage(), ("sold", "note"))

    assert [(str(one.type), one.missing) for one in found] == [("NUMERIC", 1), ("CATEGORICAL", 2)]


def attribute(name: str, kind: str = "CATEGORICAL", distinct: int = 9) -> InferredAttribute:
    return InferredAttribute(name, AttributeType(kind), "", (), distinct, 0, 9)


@pytest.mark.parametrize(
    ("attributes", "candidate"),
    [
        ([attribute("code"), attribute("order_id")], "order_id"),
        ([attribute("code"), attribute("store")], "code"),
        ([attribute("store", distinct=8), attribute("code")], None),
        ([attribute("price", "NUMERIC"), attribute("order_id", distinct=8)], None),
        ([attribute("note", "TEXT")], None),
    ],
)
def test_a_row_id_is_different_in_each_record(attributes: list[InferredAttribute], candidate: str | None) -> None:
    assert row_id_candidate(attributes) == candidate


def test_guesses_make_a_schema_and_a_candidate_is_no_row_id_by_itself() -> None:
    guesses = [attribute("order_id"), attribute("sold", "NUMERIC")]

    assert inferred_schema(guesses).row_id is None
    schema = inferred_schema(guesses, target="sold", row_id="order_id", header=True)
    assert (schema.target, schema.row_id, schema.header, schema.names) == (
        "sold",
        "order_id",
        True,
        ("order_id", "sold"),
    )


_cells = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=12), max_size=12)
_forms = st.lists(
    st.sampled_from(
        ["0", "1", "-1", "007", "1e999", "+5", ".5", "nan", "2008-02-30", "2008-02-29", "1/2/3", "$", "NA"]
    ),
    max_size=12,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20), _cells | _forms, st.booleans())
def test_every_column_has_a_type(infer: Infer, name: str, cells: list[str], first: bool) -> None:
    found = infer(name, cells, first=first) if name != "other" else infer("a", cells)

    assert found.sampled == len(cells)
    assert found.missing + found.distinct <= found.sampled or found.sampled == 0
    assert len(found.examples) == min(found.distinct, 5)
    assert inferred_schema([found]).names == (found.name,)


JOURNEY = {
    "transactions": {
        "household_id": "CATEGORICAL", "store_id": "CATEGORICAL", "basket_id": "CATEGORICAL",
        "product_id": "CATEGORICAL", "quantity": "NUMERIC", "sales_value": "NUMERIC", "retail_disc": "NUMERIC",
        "coupon_disc": "NUMERIC", "coupon_match_disc": "NUMERIC", "week": "NUMERIC", "transaction_timestamp": "TEXT",
    },
    "products": dict.fromkeys(
        ("product_id", "manufacturer_id", "department", "brand", "product_category", "product_type", "package_size"),
        "CATEGORICAL",
    ),
    "promotions": {
        "product_id": "CATEGORICAL", "store_id": "CATEGORICAL", "display_location": "CATEGORICAL",
        "mailer_location": "CATEGORICAL", "week": "NUMERIC",
    },
    "coupon_redemptions": {
        "household_id": "CATEGORICAL", "coupon_upc": "CATEGORICAL", "campaign_id": "CATEGORICAL",
        "redemption_date": "TEXT",
    },
    "campaign_descriptions": {
        "campaign_id": "CATEGORICAL", "campaign_type": "CATEGORICAL", "start_date": "TEXT", "end_date": "TEXT",
    },
}  # fmt: skip
TICKIT = {
    "venue": {
        "venueid": "CATEGORICAL", "venuename": "CATEGORICAL", "venuecity": "CATEGORICAL", "venuestate": "CATEGORICAL",
        "venueseats": "NUMERIC",
    },
    "category": {"catid": "CATEGORICAL", "catgroup": "CATEGORICAL", "catname": "CATEGORICAL", "catdesc": "TEXT"},
    "date2008": {
        "dateid": "CATEGORICAL", "caldate": "TEXT", "day": "CATEGORICAL", "week": "NUMERIC", "month": "CATEGORICAL",
        "qtr": "CATEGORICAL", "year": "NUMERIC", "holiday": "BINARY",
    },
    "allevents": {
        "eventid": "CATEGORICAL", "venueid": "CATEGORICAL", "catid": "CATEGORICAL", "dateid": "CATEGORICAL",
        "eventname": "CATEGORICAL", "starttime": "TEXT",
    },
}  # fmt: skip


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
@pytest.mark.parametrize(
    ("folder", "table", "header", "expected"),
    [("completejourney", table, True, types) for table, types in JOURNEY.items()]
    + [("tickit", table, False, types) for table, types in TICKIT.items()],
)
def test_real_tables_get_the_types_that_a_person_would_choose(
    tmp_path: Path, folder: str, table: str, header: bool, expected: dict[str, str]
) -> None:
    path = tmp_path / f"{table}.csv"
    with (
        gzip.open(SHARED / folder / f"{table}_pipe.txt.gz", "rt", encoding="utf-8", newline="") as source,
        path.open("w", newline="", encoding="utf-8") as target,
    ):
        rows = csv.reader(source, delimiter="|", quoting=csv.QUOTE_NONE)
        csv.writer(target, lineterminator="\n").writerows(row for row, _ in zip(rows, range(60_000), strict=False))
    null_as = "" if header else r"\N"

    found = infer_attributes([Part(str(path), -1, 1, "CSV", header, null_as)], Storage(), tuple(expected))

    assert {one.name: str(one.type) for one in found} == expected
    assert isinstance(inferred_schema(found), Schema)
