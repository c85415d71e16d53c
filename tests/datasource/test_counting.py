from __future__ import annotations

import datetime
import gzip
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightcast.datasource import csv_bytes
from nightcast.datasource.counting import count_records, counted_parts
from nightcast.datasource.parts import Part
from nightcast.errors import DatasourceError


def part(path: Path, content: bytes | pa.Table, **options: Any) -> Part:
    kind = "CSV" if isinstance(content, bytes) else "PARQUET"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        pq.write_table(content, path)
    return Part(str(path), -1, path.stat().st_size, kind, **options)


@pytest.mark.parametrize(
    ("content", "records"),
    [
        (b"", 0),
        (b"\n", 1),
        (b"1", 1),
        (b"1\n", 1),
        (b"1\r\n2", 2),
        (b"\n\n1,2,3\n\xff\n", 4),
        (b"\xef\xbb\xbf", 0),
        (b"\xef\xbb\xbf1", 1),
        (b"12345\n" * 1000, 1000),
    ],
)
@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("block", [1, 6, 8 << 20])
def test_lines_behind_the_header_are_counted(
    content: bytes,
    records: int,
    gzipped: bool,
    header: bool,
    block: int,
    tmp_path: Path,
    files: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(csv_bytes, "BLOCK_BYTES", block)
    content = (b"name\n" + content.removeprefix(b"\xef\xbb\xbf")) if header else content
    counted = part(tmp_path / "a", gzip.compress(content) if gzipped else content, header=header)

    assert count_records(counted, files) == records


def test_parts_keep_their_order_and_all_else(tmp_path: Path, files: Any) -> None:
    parts = [
        part(tmp_path / "a", b"1\n2\n", null_as="x"),
        part(tmp_path / "b", pa.table({"n": [1, 2, 3]})),
        part(tmp_path / "c", b"n\n1\n2\n3\n4", header=True),
    ]
    with ThreadPoolExecutor(2) as pool:
        found = counted_parts(parts, files, pool.map)

    assert found == counted_parts(parts, files)
    assert [one.records for one in found] == [2, 3, 4]
    assert [(one.uri, one.format, one.header, one.null_as) for one in found] == [
        (one.uri, one.format, one.header, one.null_as) for one in parts
    ]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (pa.array([1], pa.int16()), pa.array([1], pa.int64())),
        (pa.array([1]), pa.array([1.5], pa.float32())),
        (pa.array(["a"]), pa.array(["a"], pa.large_string())),
        (pa.array(["a"]), pa.array(["a"]).dictionary_encode()),
        (pa.array([Decimal("1.5")], pa.decimal128(4, 1)), pa.array([Decimal("1.5")], pa.decimal128(9, 1))),
        (pa.nulls(1), pa.array(["a"])),
        (pa.array([1]), pa.nulls(1)),
    ],
)
def test_types_that_read_alike_may_differ(left: pa.Array, right: pa.Array, tmp_path: Path, files: Any) -> None:
    parts = [part(tmp_path / "a", pa.table({"x": left})), part(tmp_path / "b", pa.table({"x": right}))]

    assert [one.records for one in counted_parts(parts, files)] == [1, 1]


@pytest.mark.parametrize(
    ("left", "right", "named"),
    [
        (pa.array([1]), pa.array(["1"]), ("int64", "string")),
        (pa.array(["1"]), pa.array([datetime.date(2024, 1, 1)]), ("string", "date32[day]")),
        (pa.array([True]), pa.array([1]), ("bool", "int64")),
        (pa.array([Decimal("1.5")]), pa.array([Decimal("1.50")]), ("decimal128(2, 1)", "decimal128(3, 2)")),
        (
            pa.array([datetime.datetime(2024, 1, 1)]),
            pa.array([datetime.datetime(2024, 1, 1)], pa.timestamp("us", "UTC")),
            ("timestamp[us]", "timestamp[us, tz=UTC]"),
        ),
    ],
)
def test_types_that_differ_between_parts_are_named(
    left: pa.Array, right: pa.Array, named: tuple[str, str], tmp_path: Path, files: Any
) -> None:
    tables = [pa.table({"y": [1], "x": array}) for array in (pa.nulls(1), left, left, right)]
    parts = [part(tmp_path / f"{number}.parquet", table) for number, table in enumerate(tables)]

    with pytest.raises(DatasourceError) as caught:
        counted_parts(parts, files)

    assert (
        f"column 'x' holds {named[0]} in part {parts[1].uri} and {named[1]} in part {parts[3].uri}; "
        "write all parts with the same types"
    ) == str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1 nonsense", None])
def test_what_is_no_parquet_file_is_named(content: bytes | None, tmp_path: Path, files: Any) -> None:
    path = tmp_path / "a.parquet"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(DatasourceError, match=r"part .*a\.parquet (is damaged or no PARQUET file|is missing)"):
        counted_parts([Part(str(path), -1, 0, "PARQUET")], files)


def test_an_unknown_format_is_named(tmp_path: Path, files: Any) -> None:
    with pytest.raises(DatasourceError, match="format 'JSON'; PARQUET and CSV can be read"):
        counted_parts([Part(str(tmp_path), -1, 0, "JSON")], files)
