from __future__ import annotations

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightcast.cli.split_files import SIDES, split_records
from nightcast.datasource.parts import Datasource, Part
from nightcast.datasource.rearrangement import CHRONOLOGICAL, RANDOM, Rearrangement
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from sales_fixtures import Files

SCHEMA = Schema(
    (
        Attribute("id", AttributeType.NUMERIC),
        Attribute("day", AttributeType.CATEGORICAL),
        Attribute("note", AttributeType.TEXT),
    ),
    row_id="id",
)
HEADER = b"id,day,note\r\n"


def line(number: int) -> bytes:
    """Lines whose bytes a reader and a writer would change."""
    texts = ('"a, ""b"""', "NA", '""', "", "1e3", " x ")
    end = b"\r\n" if number % 3 == 0 else b"\n"
    return f"{number:03d},2008-12-{1 + number % 28:02d},{texts[number % 6]}".encode() + end


@pytest.fixture
def csv_parts(tmp_path):
    """Three parts of 40 records with header, one of them gzipped; record 50 is broken, the last line is not ended."""
    parts = []
    for row in range(3):
        lines = [line(number) for number in range(40 * row, 40 * row + 40)]
        if row == 1:
            lines[10] = b"50,too,many,cells\n"
        content = HEADER + b"".join(lines)
        path = tmp_path / f"{row}.csv"
        path.write_bytes(gzip.compress(content) if row == 1 else content.rstrip(b"\r\n"))
        parts.append(Part(str(path), 40, path.stat().st_size, "CSV", header=True))
    return Datasource(SCHEMA, tuple(parts))


def lines_of(folder, side):
    """All lines of a side without headers, files in the order of their names."""
    found = []
    for path in sorted((folder / side).glob("*.csv.gz")):
        header, *lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
        assert header == HEADER
        found += lines
    return found


@pytest.mark.parametrize(
    "rearrangement",
    [
        Rearrangement(0, 70),
        Rearrangement(20, 45, complement=True),
        Rearrangement(0, 70, strategy=RANDOM, seed="7"),
        Rearrangement(0, 70, strategy=CHRONOLOGICAL, attribute="day"),
    ],
)
def test_each_readable_line_goes_to_one_side_as_it_is(csv_parts, files, tmp_path, rearrangement):
    resolved = rearrangement.resolved(csv_parts, files)
    counts = split_records(csv_parts, resolved, files, map, tmp_path / "split")
    training, evaluation = (lines_of(tmp_path / "split", side) for side in SIDES)
    assert counts.sides == (len(training), len(evaluation))
    assert counts.rejected == 1
    numbers = [[int(one[:3]) for one in side] for side in (training, evaluation)]
    assert numbers == [sorted(side) for side in numbers]
    assert sorted(numbers[0] + numbers[1]) == [number for number in range(120) if number != 50]
    # A line that ended with its file gets a line end.
    assert {one if int(one[:3]) not in (39, 119) else one.rstrip() + b"\n" for one in training + evaluation} == {
        line(number) if number not in (39, 119) else line(number).rstrip() + b"\n"
        for number in range(120)
        if number != 50
    }


def test_a_part_that_gives_a_side_nothing_gives_it_no_file(csv_parts, files, tmp_path):
    split_records(csv_parts, Rearrangement(0, 33), files, map, tmp_path / "split")
    assert [path.name for path in sorted((tmp_path / "split/training").iterdir())] == [".schema", "part-00001.csv.gz"]
    assert [path.name for path in sorted((tmp_path / "split/evaluation").iterdir())] == [
        ".schema",
        "part-00001.csv.gz",
        "part-00002.csv.gz",
        "part-00003.csv.gz",
    ]
    assert Schema.from_json((tmp_path / "split/training/.schema").read_text()) == SCHEMA


def test_the_same_records_give_the_same_bytes(csv_parts, files, tmp_path):
    rearrangement = Rearrangement(0, 50, strategy=RANDOM)
    for name in ("a", "b"):
        split_records(csv_parts, rearrangement, files, map, tmp_path / name)
    first, second = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.gz")}
        for name in ("a", "b")
    )
    assert first == second
    assert len(first) == 6


def test_counting_alone_gives_the_same_numbers(csv_parts, files, tmp_path):
    rearrangement = Rearrangement(0, 50, strategy=RANDOM)
    counted = split_records(csv_parts, rearrangement, files, map)
    assert counted == split_records(csv_parts, rearrangement, files, map, tmp_path / "split")
    assert sum(counted.sides) == 119


@given(st.lists(st.booleans(), min_size=1, max_size=300), st.integers(1, 99))
@settings(max_examples=15, deadline=None)
def test_parquet_rows_keep_their_types_and_order(tmp_path_factory, missing, percent):
    folder = tmp_path_factory.mktemp("split")
    table = pa.table(
        {
            "id": pa.array(range(2**60, 2**60 + len(missing))),
            "price": pa.array([None if gone else 0.1 for gone in missing], pa.float32()),
            "extra": ["not in the schema"] * len(missing),
        }
    )
    path = folder / "in.parquet"
    pq.write_table(table, path)
    schema = Schema((Attribute("id", AttributeType.NUMERIC), Attribute("price", AttributeType.NUMERIC)), row_id="id")
    datasource = Datasource(schema, (Part(str(path), table.num_rows, 1, "PARQUET"),))
    counts = split_records(datasource, Rearrangement(0, percent, strategy=RANDOM), Files(), map, folder / "out")
    found = [pq.read_table(one) for side in SIDES for one in sorted((folder / "out" / side).glob("*.parquet"))]
    assert sum(counts.sides) == table.num_rows
    assert [len(side) for side in found] == [count for count in counts.sides if count]
    assert pa.concat_tables(found).sort_by("id") == table
    assert all(side == side.sort_by("id") for side in found)
