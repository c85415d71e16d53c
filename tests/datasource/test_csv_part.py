from __future__ import annotations

import csv
import gzip
import io
import re
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nightcast.datasource import csv_bytes, csv_lines
from nightcast.datasource.counting import count_records
from nightcast.datasource.parts import Batch, Datasource, Part, Reject, read_batches
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.errors import DatasourceError

Write = Callable[..., Datasource]
TWO = Schema((Attribute("a", AttributeType.TEXT), Attribute("b", AttributeType.NUMERIC)))
ONE = Schema((Attribute("a", AttributeType.TEXT),))


class Here:
    """Gives local files as they are."""

    def local_copy(self, uri: str) -> AbstractContextManager[Path]:
        return nullcontext(Path(uri))


@contextmanager
def limits(block: int, line: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_bytes, "BLOCK_BYTES", block)
        patch.setattr(csv_lines, "LINE_BYTES", line)
        yield


@contextmanager
def part_of(content: bytes, schema: Schema, **options: Any) -> Iterator[Datasource]:
    """A datasource of one CSV part, its records counted."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        path.write_bytes(content)
        part = Part(str(path), -1, len(content), "CSV", **options)
        counted = Part(str(path), count_records(part, Here()), len(content), "CSV", **options)
        yield Datasource(schema, (counted,))


def read(datasource: Datasource, columns: list[str] | None = None) -> list[Batch]:
    return [batch for numbered in datasource.numbered() for batch in read_batches(numbered, Here(), columns)]


def values(batches: list[Batch], name: str) -> list[Any]:
    return [cell for batch in batches for cell in batch.columns[name].to_pylist()]


def rejects(batches: list[Batch]) -> list[tuple[int, str, str]]:
    return [(reject.record, reject.reason, reject.line) for batch in batches for reject in batch.rejects]


def outcome(content: bytes, schema: Schema, columns: list[str] | None, **options: Any) -> Any:
    """Everything that a reader tells, or the error that it stops at, without the name of the file."""
    try:
        with part_of(content, schema, **options) as datasource:
            batches = read(datasource, columns)
            assert sum(map(len, batches)) == datasource.records
    except DatasourceError as fault:
        return re.sub(r"part \S+", "part", str(fault))
    for batch in batches:
        left_out = {reject.record - batch.first_record for reject in batch.rejects}
        assert left_out <= set(range(len(batch)))
        for name, array in batch.columns.items():
            assert all(array[place].as_py() is None for place in left_out)
            assert not any(batch.invalid[name][place] for place in left_out if name in batch.invalid)
    return {name: values(batches, name) for name in columns or []}, rejects(batches)


def told(content: bytes, width: int, line_bytes: int) -> list[str] | None:
    """The rules once more, line by line: "used", or why a record is rejected; None for an unreadable file."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or content.count(0) * 4 > len(content):
        return None
    *lines, last = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    lines = [*(line.removesuffix(b"\r") for line in lines), *([last] if last else [])]
    if lines and b"\r" in lines[0]:
        return None
    found = [verdict(line, width, line_bytes) for line in lines]
    return None if None in found else [one for one in found if one is not None]


def verdict(line: bytes, width: int, line_bytes: int) -> str | None:
    if len(line) > line_bytes:
        return None if b"\r" in line[:line_bytes] else "longer"
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return "UTF-8"
    cells = None if "\r" in text else split(text)
    if cells is None:
        return None
    if not line and width > 1:
        return "empty"
    return "used" if len(cells) == width else f"is {len(cells)}, not {width}"


def split(line: str) -> list[str] | None:
    cells, place = [], 0
    while True:
        cell, quoted = "", line[place : place + 1] == '"'
        if quoted:
            place += 1
            while line[place : place + 1] != '"' or line[place : place + 2] == '""':
                if place >= len(line):
                    return None
                cell += line[place]
                place += 2 if line[place] == '"' else 1
            place += 1
        while place < len(line) and line[place] != ",":
            cell += line[place]
            place += 1
        cells.append(cell)
        place += 1
        if place > len(line):
            return cells


# What begins as a gzip file does is read as one.
_CONTENT = st.one_of(
    st.binary(max_size=60).filter(lambda content: not content.startswith(b"\x1f\x8b")),
    st.text('a1,"\r\n .', max_size=60).map(str.encode),
    st.lists(
        st.sampled_from(
            (
                *("a,1\n", '"x, y",2\n', '"a""b",3\r\n', "ü,4\n", "\n", "a\n", "a,1,2\n", 'a,"1\n', '5" x,"2\n', "a,x"),
                *("b\r,1\n", "\udcff,1\n", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,1\n", ',"",\n', ",\n", "\r\n"),
            )
        ),
        max_size=12,
    ).map(lambda lines: "".join(lines).encode(errors="surrogateescape")),
)


@settings(max_examples=300, deadline=None)
@given(_CONTENT, st.booleans(), st.integers(1, 40), st.booleans())
@example(b'a,1\n5" x,"2\n', True, 8, False)
@example(b"\n\na,1\n\r\n", True, 8, False)
@example(b'""', False, 1, False)
def test_any_bytes_are_read_as_the_rules_say_whatever_the_block(
    content: bytes, wide: bool, block: int, gzipped: bool
) -> None:
    schema = TWO if wide else ONE
    stored = gzip.compress(content) if gzipped else content
    names = list(schema.names)
    with limits(8 << 20, 32):
        expected = outcome(content, schema, names)
        reasons = told(content, len(names), 32)
        if isinstance(expected, str) and "begins with a header" not in expected:
            assert reasons is None and expected.startswith("part")
        elif not isinstance(expected, str):
            assert reasons is not None
            assert [record for record, _, _ in expected[1]] == [n for n, why in enumerate(reasons) if why != "used"]
            for record, reason, _ in expected[1]:
                assert reasons[record] in reason
        if not stored.startswith(b"\x1f\x8b") or gzipped:
            assert outcome(stored, schema, names) == expected
    with limits(block, 32):
        assert outcome(stored, schema, names) == expected
        for few in ([names[-1]], []):
            fewer = outcome(stored, schema, few)
            assert fewer == expected if isinstance(expected, str) else fewer[1] == expected[1]


_FIELD = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=8)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(_FIELD, _FIELD, _FIELD), min_size=1, max_size=12),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.booleans(),
    st.integers(1, 60),
)
def test_what_python_writes_is_read_back(
    rows: list[tuple[str, str, str]], end: str, quoting: Any, header: bool, block: int
) -> None:
    schema = Schema(tuple(Attribute(name, AttributeType.TEXT) for name in ("x", 'y, "z"', "ü")))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=end, quoting=quoting)
    writer.writerows([list(schema.names)] * header + [list(row) for row in rows])
    content = text.getvalue().encode()
    with limits(block, 102_400), part_of(content, schema, header=header, null_as="\\N") as datasource:
        batches = read(datasource)

    again = list(csv.reader(io.StringIO(content.decode(), newline="")))[header:]
    assert [list(row) for row in zip(*(values(batches, name) for name in schema.names), strict=True)] == [
        [None if cell == "\\N" and quoting == csv.QUOTE_MINIMAL else cell for cell in row] for row in again
    ]


def test_a_rejected_record_keeps_its_place(write_csv: Write) -> None:
    text = b'1,a\n2\n3,"c, d"\n4,d,e,f\n\n6,\xe4\n7,g\r\n' + b"8," + b"x" * 102_400 + b"\n9,h"
    schema = Schema((Attribute("n", AttributeType.NUMERIC), Attribute("c", AttributeType.CATEGORICAL)))
    datasource = write_csv(schema, b"0,z\n", text, records=[1, 9])
    batches = read(datasource)

    assert values(batches, "n") == [0.0, 1.0, None, 3.0, None, None, None, 7.0, None, 9.0]
    assert values(batches, "c") == ["z", "a", None, "c, d", None, None, None, "g", None, "h"]
    uri = datasource.parts[1].uri
    assert [reject for batch in batches for reject in batch.rejects] == [
        Reject(2, uri, "the number of cells is 1, not 2", "2"),
        Reject(4, uri, "the number of cells is 4, not 2", "4,d,e,f"),
        Reject(5, uri, "an empty line", ""),
        Reject(6, uri, "bytes that are no UTF-8 at byte 3", "6,\ufffd"),
        Reject(8, uri, "longer than 102,400 bytes", "8," + "x" * 998),
    ]
    assert batches[0].rejected is None
    assert batches[1].rejected is not None and batches[1].rejected.tolist() == [0, 1, 0, 1, 1, 1, 0, 1]
    assert batches[1].invalid == {}


def test_all_records_of_a_part_may_be_rejected(write_csv: Write) -> None:
    [batch] = read(write_csv(TWO, "1\n\n1,2,3\n", records=[3]))

    assert batch.columns["a"].to_pylist() == batch.columns["b"].to_pylist() == [None] * 3
    assert len(batch.rejects) == 3


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
@pytest.mark.parametrize(("size", "rejected"), [(102_400, []), (102_401, [0])])
def test_a_line_of_100_kb_is_the_longest(size: int, rejected: list[int], end: str, write_csv: Write) -> None:
    [batch] = read(write_csv(ONE, "x" * size + end, records=[1]))

    assert [reject.record for reject in batch.rejects] == rejected


def test_a_huge_line_is_not_held(write_csv: Write) -> None:
    content = b"a,1\n" + b"x" * (96 << 20) + b"\nb,2\n"
    datasource = write_csv(TWO, content, records=[3], gzipped=True)
    del content
    tracemalloc.start()
    batches = read(datasource)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert values(batches, "a") == ["a", None, "b"]
    assert [reject.line for batch in batches for reject in batch.rejects] == ["x" * 1000]
    assert peak < 40 << 20


@pytest.mark.parametrize("columns", [["a"], ["b"], []])
def test_records_without_the_wanted_columns_are_checked_all_the_same(columns: list[str], write_csv: Write) -> None:
    datasource = write_csv(TWO, b"x,1\nx\n\xff,1\nx,2\n", records=[4])
    batches = read(datasource, columns)

    assert [record for record, _, _ in rejects(batches)] == [1, 2]
    with pytest.raises(DatasourceError, match=r"record 1 \(counted from 0\) has a line end within a value"):
        read(write_csv(TWO, 'x,1\n"x\ny",1\n', records=[2]), columns)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'1,a\n2,"b\nc"\n', "record 1 (counted from 0) has a line end within a value, or a quote that is never"),
        (b'1,a\n2,"b', "record 1 (counted from 0) has a line end within a value"),
        (b'1,a\n5" pipe,"2\n3,c\n4"\n', "record 1 (counted from 0) has a line end within a value"),
        (b"1,a\r2,b\r", "ends its lines by CR alone"),
        (b"1,a\r", "ends its lines by CR alone"),
        (b"1,a\r2,b\r" * 20_000, "ends its lines by CR alone"),
        (b"1,a\r\n2,b\rc\r\n", "record 1 (counted from 0) has a CR within a value"),
        (b'1,a\n2,"b\rc"\n', "record 1 (counted from 0) has a CR within a value"),
        (b"1,a\n2,b\r", "record 1 (counted from 0) has a CR within a value"),
        ("1,a\n".encode("utf-16"), "is UTF-16"),
        ("1,a\n".encode("utf-16-be"), "is UTF-16"),
        (b"a,b\n1,2\n", "begins with a header (a, b), and dataFileContainsHeader is false"),
        (b'"b",a\n1,2\n', "begins with a header (b, a)"),
    ],
)
def test_a_file_whose_records_can_not_be_told_is_refused(content: bytes, message: str, write_csv: Write) -> None:
    datasource = write_csv(TWO, content, records=[2])

    with pytest.raises(DatasourceError) as caught:
        read(datasource)

    assert message in str(caught.value)
    assert f"part {datasource.parts[0].uri} (entry 1 of the manifest)" in str(caught.value)


def test_the_first_unreadable_record_is_named_far_into_the_file(write_csv: Write) -> None:
    lines = [f"word {n},{n}" for n in range(200_000)]
    lines[150_001] = '"never closed,1'
    lines[150_003] = "a\rb,1"
    datasource = write_csv(TWO, "\n".join(lines), records=[200_000], gzipped=True)

    with pytest.raises(DatasourceError, match=r"record 150,001 \(counted from 0\) has a line end"):
        read(datasource)


@pytest.mark.parametrize("header", ["b,a", '\ufeff"b",a', "b,a\r"])
def test_columns_go_by_the_names_of_the_header(header: str, write_csv: Write) -> None:
    datasource = write_csv(TWO, "a,b\nx,1\n", f"{header}\n2,y\n3\n", records=[1, 2], header=True)
    batches = read(datasource)

    assert values(batches, "a") == ["x", "y", None]
    assert values(batches, "b") == [1.0, 2.0, None]
    assert rejects(batches) == [(2, "the number of cells is 1, not 2", "3")]


@pytest.mark.parametrize("header", ["a", "a,b,b", "a,b,c", "A,b", "1,2", "", '"a,b'])
def test_mixed_headers_are_refused(header: str, write_csv: Write) -> None:
    datasource = write_csv(TWO, "a,b\n1,2\n", f"{header}\n1,2\n", records=[1, 1], header=True)

    with pytest.raises(DatasourceError, match=r"(?s)0001_part.*has the header .*the schema has the attributes a, b;"):
        read(datasource)


def test_a_header_that_is_no_utf8_is_refused(write_csv: Write) -> None:
    datasource = write_csv(TWO, "a,b\n1,2\n", b"a,\xff\n1,2\n", records=[1, 1], header=True)

    with pytest.raises(DatasourceError, match=r"the header of part .*0001_part.* is no UTF-8 at byte 2 "):
        read(datasource)


@pytest.mark.parametrize("content", ["", "a,b", "a,b\n", "\ufeffa,b\r\n"])
def test_a_file_of_a_header_alone_has_no_records(content: str, write_csv: Write) -> None:
    assert read(write_csv(TWO, content, records=[0], header=True)) == []


def test_a_byte_order_mark_is_no_value(write_csv: Write) -> None:
    assert values(read(write_csv(TWO, "\ufeffx,1\n", records=[1])), "a") == ["x"]


def test_numbers_that_arrow_does_not_take_may_come_late(write_csv: Write) -> None:
    cells = [str(n / 8) for n in range(3000)]
    cells[2100:2105] = ["+1.", " 2 ", '"  "', "x", "1e999"]
    with limits(4096, 102_400):
        batches = read(write_csv(TWO, "".join(f"t,{cell}\n" for cell in cells), records=[3000]))

    expected = [n / 8 for n in range(3000)]
    assert values(batches, "b") == [*expected[:2100], 1.0, 2.0, None, None, None, *expected[2105:]]
    invalid = [
        batch.first_record + place
        for batch in batches
        if "b" in batch.invalid
        for place in batch.invalid["b"].nonzero()[0].tolist()
    ]
    assert invalid == [2103, 2104]


def test_ids_stop_being_coded_and_stay_the_same_text(write_csv: Write) -> None:
    with limits(1 << 16, 102_400):
        batches = read(write_csv(TWO, "".join(f"id {n},1\n" for n in range(20_000)), records=[20_000]))

    assert batches[-1].columns["a"].type == pa.string()
    assert values(batches, "a") == [f"id {n}" for n in range(20_000)]


def test_gzip_members_are_one_file() -> None:
    content = gzip.compress(b"x,1\ny,") + gzip.compress(b"2\n") + gzip.compress(b"")
    with part_of(content, TWO) as datasource:
        assert values(read(datasource), "b") == [1.0, 2.0]


def test_damaged_gzip_is_named(tmp_path: Path, files: Any) -> None:
    content = gzip.compress("".join(f"x,{n}\n" for n in range(50_000)).encode())
    turned = bytearray(content)
    turned[len(content) // 2] ^= 255
    for number, damaged in enumerate((content[:-1], content[:-9], content[:40], bytes(turned), content + content[:99])):
        path = tmp_path / f"{number}.gz"
        path.write_bytes(damaged)
        part = Part(str(path), 50_000, len(damaged), "CSV")
        with pytest.raises(DatasourceError, match=rf"{number}\.gz.*(truncated|damaged|holds at least)"):
            read(Datasource(TWO, (part,)))
        with pytest.raises(DatasourceError, match=rf"part .*{number}\.gz is truncated or damaged: .*; write it again"):
            count_records(part, files)
