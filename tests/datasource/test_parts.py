from __future__ import annotations

import contextlib
import datetime
import gzip
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightcast.datasource.arrow_arrays import float_array, numbers
from nightcast.datasource.cells import typed_cells
from nightcast.datasource.parts import Batch, Datasource, NumberedPart, Part, read_batches
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.errors import DatasourceError, MissingObjectError, SchemaError

Write = Callable[..., Datasource]


def schema_of(row_id: str | None = None, **types: str) -> Schema:
    attributes = tuple(Attribute(name, AttributeType(kind)) for name, kind in types.items())
    return Schema(attributes, row_id=row_id)


def read(datasource: Datasource, files: Any, columns: list[str] | None = None) -> list[Batch]:
    return [batch for numbered in datasource.numbered() for batch in read_batches(numbered, files, columns)]


def cells(datasource: Datasource, files: Any, name: str) -> list[Any]:
    return [cell for batch in read(datasource, files) for cell in batch.columns[name].to_pylist()]


def invalid(datasource: Datasource, files: Any, name: str) -> list[bool]:
    (batch,) = read(datasource, files)
    return batch.invalid[name].tolist() if name in batch.invalid else [False] * len(batch)


def one(array: pa.Array, kind: str, write_parts: Write) -> Datasource:
    return write_parts(schema_of(x=kind), pa.table({"x": array}))


def test_records_are_numbered_over_all_parts(write_parts: Write, files: Any) -> None:
    datasource = write_parts(schema_of(x="NUMERIC"), pa.table({"x": np.arange(300_000.0)}), [1, 1, 140_000])
    batches = read(datasource, files)

    assert datasource.records == 300_000
    assert [numbered.first_record for numbered in datasource.numbered()] == [0, 1, 1, 140_000]
    assert {numbered.total for numbered in datasource.numbered()} == {300_000}
    assert max(len(batch) for batch in batches) == 131_072
    for batch in batches:
        assert numbers(batch.columns["x"])[0][0] == batch.first_record


def test_only_the_wanted_columns_are_read(write_parts: Write, files: Any) -> None:
    table = pa.table({"x": [1.0, 2.0], "y": ["a", "b"], "z": [[1], [2]]})
    datasource = write_parts(schema_of(x="NUMERIC", y="TEXT"), table)

    assert [list(batch.columns) for batch in read(datasource, files, ["y"])] == [["y"]]
    assert [(len(batch), batch.columns) for batch in read(datasource, files, [])] == [(2, {})]
    with pytest.raises(SchemaError, match="no attribute 'z'"):
        read(datasource, files, ["z"])


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([1, None, -3], pa.int16()), [1.0, None, -3.0]),
        (pa.array([2**53 + 1], pa.int64()), [2.0**53]),
        (pa.array([1.5, None], pa.float32()), [1.5, None]),
        (pa.array([Decimal("1.10"), None, Decimal("-3.05")], pa.decimal128(18, 2)), [1.1, None, -3.05]),
        (pa.array([Decimal("12345678901234567890.12")], pa.decimal128(38, 2)), [12345678901234567890.12]),
        (pa.array([True, None, False]), [1.0, None, 0.0]),
        (pa.nulls(2), [None, None]),
    ],
)
def test_numeric_columns_of_any_width_are_float64(
    array: pa.Array, expected: list[Any], write_parts: Write, files: Any
) -> None:
    datasource = one(array, "NUMERIC", write_parts)

    assert cells(datasource, files, "x") == expected
    assert read(datasource, files)[0].columns["x"].type == pa.float64()
    assert read(datasource, files)[0].invalid == {}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.decimals(-(10**16), 10**16, places=4, allow_nan=False), min_size=1, max_size=20))
def test_decimals_are_the_nearest_float64(values: list[Decimal]) -> None:
    found, _ = typed_cells(pa.array(values, pa.decimal128(38, 4)), AttributeType.NUMERIC)

    assert found.to_pylist() == [float(value) for value in values]


def test_nan_and_infinity_are_invalid_and_null_is_missing(write_parts: Write, files: Any) -> None:
    datasource = one(pa.array([1.0, float("nan"), None, float("-inf")]), "NUMERIC", write_parts)

    assert cells(datasource, files, "x") == [1.0, None, None, None]
    assert invalid(datasource, files, "x") == [False, True, False, True]


@pytest.mark.parametrize(
    ("array", "expected", "wrong"),
    [
        (pa.array([True, None, False]), [True, None, False], [False] * 3),
        (pa.array([1, 0, 2, None]), [True, False, None, None], [False, False, True, False]),
        (pa.array([1.0, 0.5]), [True, None], [False, True]),
        (
            pa.array([" Yes", "F", "spam", None, ""]),
            [True, False, None, None, None],
            [False, False, True, False, False],
        ),
        (pa.array(["0", "n", "NO", "f", "False "]), [False] * 5, [False] * 5),
        (pa.array(["1", "y", "YES", "t", "\tTrue"]), [True] * 5, [False] * 5),
        (pa.nulls(1), [None], [False]),
    ],
)
def test_binary_columns_know_amazon_mls_forms(
    array: pa.Array, expected: list[Any], wrong: list[bool], write_parts: Write, files: Any
) -> None:
    datasource = one(array, "BINARY", write_parts)

    assert cells(datasource, files, "x") == expected
    assert invalid(datasource, files, "x") == wrong


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array(["NA", "null", "", None, " a "]), ["NA", "null", "", None, " a "]),
        (pa.array(["a", None]).dictionary_encode(), ["a", None]),
        (pa.DictionaryArray.from_arrays(pa.array([1, None], pa.int8()), pa.array(["b", "a"])), ["a", None]),
        (pa.array(["a", None], pa.large_string()), ["a", None]),
        (pa.array([7, None, 2**62]), ["7", None, "4611686018427387904"]),
        (pa.array(range(5000)), [str(n) for n in range(5000)]),
        (pa.array([True, None, False]), ["t", None, "f"]),
        (pa.array([Decimal("12.50"), None], pa.decimal128(9, 2)), ["12.50", None]),
        (pa.array([Decimal("0.00000010"), None], pa.decimal128(9, 8)), ["0.00000010", None]),
        (pa.array([datetime.date(2008, 12, 31), None]), ["2008-12-31", None]),
        (pa.array([datetime.datetime(2008, 12, 31, 10), None]), ["2008-12-31 10:00:00", None]),
        (pa.array([datetime.datetime(2008, 1, 1, 10, 0, 0, 250_000)]), ["2008-01-01 10:00:00.25"]),
        (pa.array([datetime.datetime(2008, 1, 1)], pa.timestamp("ns", "UTC")), ["2008-01-01 00:00:00+00"]),
        (pa.array([datetime.time(1, 2, 3)]), ["01:02:03"]),
        (pa.nulls(2), [None, None]),
    ],
)
@pytest.mark.parametrize("kind", ["CATEGORICAL", "TEXT"])
def test_strings_are_what_redshift_writes(
    array: pa.Array, expected: list[Any], kind: str, write_parts: Write, files: Any
) -> None:
    assert cells(one(array, kind, write_parts), files, "x") == expected


def test_the_row_id_is_text_whatever_its_type(write_parts: Write, files: Any) -> None:
    table = pa.table({"id": pa.array([2**60 + 1, None])})

    assert cells(write_parts(schema_of("id", id="NUMERIC"), table), files, "id") == ["1152921504606846977", None]


def test_dictionaries_may_differ_between_row_groups(write_parts: Write, files: Any) -> None:
    values = [f"v{n // 10}" for n in range(1000)]
    datasource = write_parts(schema_of(x="CATEGORICAL"), pa.table({"x": values}), [333], row_group=70)

    assert cells(datasource, files, "x") == values


def test_strings_that_repeat_come_as_codes_and_ids_do_not(write_parts: Write, files: Any) -> None:
    table = pa.table({"city": [f"city {n % 40}" for n in range(5000)], "id": [f"sale {n}" for n in range(5000)]})
    (batch,) = read(write_parts(schema_of(city="CATEGORICAL", id="CATEGORICAL"), table), files)

    assert batch.columns["city"].type == pa.dictionary(pa.int32(), pa.string())
    assert batch.columns["id"].type == pa.string()


def test_long_texts_come_in_small_batches(write_parts: Write, files: Any) -> None:
    rng = np.random.default_rng(5)
    values = [rng.bytes(20_000).hex() for _ in range(2000)]
    datasource = write_parts(schema_of(x="TEXT"), pa.table({"x": values}), row_group=300)

    assert max(len(batch) for batch in read(datasource, files)) < 2000
    assert cells(datasource, files, "x") == values


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (pa.array(["1"]), "NUMERIC"),
        (pa.array([datetime.date(2008, 1, 1)]), "NUMERIC"),
        (pa.array([datetime.date(2008, 1, 1)]), "BINARY"),
        (pa.array([1.5]), "CATEGORICAL"),
        (pa.array([[1]]), "TEXT"),
        (pa.array([b"a"]), "TEXT"),
    ],
)
def test_a_column_of_the_wrong_type_is_named(array: pa.Array, kind: str, write_parts: Write, files: Any) -> None:
    datasource = one(array, kind, write_parts)

    with pytest.raises(DatasourceError) as caught:
        read(datasource, files)

    message = str(caught.value)
    assert datasource.parts[0].uri in message and "entry 1 of the manifest" in message
    assert "column 'x' holds " in message and f"which can not be read as {kind}" in message


def test_a_missing_column_is_named_with_what_looks_like_it(write_parts: Write, files: Any) -> None:
    datasource = write_parts(schema_of(Price="NUMERIC"), pa.table({"price": [1.0], "other": [1.0]}))

    with pytest.raises(DatasourceError, match="has no column 'Price'; it has price:"):
        read(datasource, files)


def test_two_columns_of_one_name_are_refused(tmp_path: Path, files: Any) -> None:
    pq.write_table(pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], ["x", "x"]), tmp_path / "a")
    datasource = Datasource(schema_of(x="NUMERIC"), (Part(str(tmp_path / "a"), 1, 1, "PARQUET"),))

    with pytest.raises(DatasourceError, match="has 2 columns 'x'"):
        read(datasource, files)


def test_text_that_is_no_utf8_is_refused(tmp_path: Path, files: Any) -> None:
    ends = pa.py_buffer(np.array([0, 2, 3], np.int32))
    bad = pa.Array.from_buffers(pa.string(), 2, [None, ends, pa.py_buffer(b"ok\xff")])
    pq.write_table(pa.table({"x": bad}), tmp_path / "a")
    datasource = Datasource(schema_of(x="TEXT"), (Part(str(tmp_path / "a"), 2, 1, "PARQUET"),))

    with pytest.raises(
        DatasourceError, match=r"record 1 \(counted from 0\) has a value of column 'x' that is no UTF-8"
    ):
        read(datasource, files)


@pytest.mark.parametrize("said", [2, 4])
def test_another_number_of_records_is_refused_before_the_first(said: int, write_parts: Write, files: Any) -> None:
    part = write_parts(schema_of(x="NUMERIC"), pa.table({"x": [1.0, 2.0, 3.0]})).parts[0]
    datasource = Datasource(schema_of(x="NUMERIC"), (Part(part.uri, said, part.bytes, "PARQUET"),))

    with pytest.raises(DatasourceError, match=f"holds 3 records and its manifest says {said}"):
        next(read_batches(datasource.numbered()[0], files))


def test_a_missing_part_is_named(tmp_path: Path, files: Any) -> None:
    numbered = NumberedPart(Part(str(tmp_path / "gone"), 1, 1, "PARQUET"), 0, schema_of(x="TEXT"), 1, row=3)

    with pytest.raises(DatasourceError, match=r"gone \(entry 3 of the manifest\) is missing"):
        next(read_batches(numbered, files))


@pytest.mark.parametrize("fault", [FileNotFoundError("no such file"), MissingObjectError("the object is not there")])
def test_a_fault_of_the_source_names_the_part(fault: Exception) -> None:
    class Broken:
        def local_copy(self, uri: str) -> Any:
            raise fault

    numbered = NumberedPart(Part("s3://b/0000_part_00", 1, 1, "PARQUET"), 0, schema_of(x="TEXT"), 1)

    with pytest.raises(DatasourceError, match=r"s3://b/0000_part_00.*can not be read: .*not? .*unload again"):
        next(read_batches(numbered, Broken()))


def test_a_damaged_file_is_named(tmp_path: Path, files: Any) -> None:
    (tmp_path / "a").write_bytes(b"PAR1 nonsense")
    datasource = Datasource(schema_of(x="TEXT"), (Part(str(tmp_path / "a"), 1, 1, "PARQUET"),))

    with pytest.raises(DatasourceError, match="damaged or no PARQUET file"):
        read(datasource, files)


def test_an_unknown_format_is_refused(files: Any) -> None:
    with pytest.raises(DatasourceError, match=r"format 'JSON'; PARQUET and CSV can be read"):
        read(Datasource(schema_of(x="TEXT"), (Part("a", 1, 1, "JSON"),)), files)


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_is_read_plain_and_gzipped(gzipped: bool, end: str, write_csv: Write, files: Any) -> None:
    text = end.join(['1e3,yes,"a, ""b""",x', "-.5,0,NA,", "+7.,F,null,ü", ""])
    schema = schema_of(n="NUMERIC", b="BINARY", c="CATEGORICAL", t="TEXT")
    datasource = write_csv(schema, text, text, records=[3, 3], gzipped=gzipped)

    assert cells(datasource, files, "n") == [1000.0, -0.5, 7.0] * 2
    assert cells(datasource, files, "b") == [True, False, False] * 2
    assert cells(datasource, files, "c") == ['a, "b"', "NA", "null"] * 2
    assert cells(datasource, files, "t") == ["x", None, "ü"] * 2
    assert [batch.first_record for batch in read(datasource, files)] == [0, 3]


@pytest.mark.parametrize(
    "cell", ["nan", "NaN", "inf", "-Infinity", "1,000", "1_000", "0x10", "1 2", "1e", "--1", ".", "1e999", "abc", "1d5"]
)
def test_what_is_no_finite_number_is_invalid(cell: str, write_csv: Write, files: Any) -> None:
    datasource = write_csv(schema_of(n="NUMERIC"), f'1\n"{cell}"\n2\n', records=[3])

    assert cells(datasource, files, "n") == [1.0, None, 2.0]
    assert invalid(datasource, files, "n") == [False, True, False]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20), st.booleans())
def test_numbers_as_text_are_the_nearest_float64(values: list[float], with_invalid: bool) -> None:
    from nightcast.datasource.cells import numeric_cells

    texts = [f" {value!r} " for value in values] + (["x"] if with_invalid else [])
    found, wrong = numeric_cells(pa.array(texts))

    assert found.to_pylist() == [*values, None][: len(texts)]
    assert (wrong is not None) == with_invalid


def test_blank_numbers_and_flags_are_missing(write_csv: Write, files: Any) -> None:
    datasource = write_csv(schema_of(n="NUMERIC", b="BINARY"), '"",""\n"  "," "\n,\n', records=[3])

    assert cells(datasource, files, "n") == cells(datasource, files, "b") == [None] * 3
    assert read(datasource, files)[0].invalid == {}


@pytest.mark.parametrize(
    ("null_as", "text", "expected"),
    [
        ("", '1,\n2,""\n3,NA\n', [None, "", "NA"]),
        ("\\N", '1,\\N\n2,\n3,"\\N"\n', [None, "", "\\N"]),
        ("NULL", "1,NULL\n2,null\n3,NA\n", [None, "null", "NA"]),
    ],
)
def test_the_null_sentinel_is_no_empty_string(
    null_as: str, text: str, expected: list[Any], write_csv: Write, files: Any
) -> None:
    datasource = write_csv(schema_of(n="NUMERIC", c="CATEGORICAL"), text, records=[3], null_as=null_as)

    assert cells(datasource, files, "c") == expected


def test_a_part_without_records_is_read(write_csv: Write, files: Any) -> None:
    schema = schema_of(n="NUMERIC")

    assert read(write_csv(schema, "", "1\n", records=[0, 1]), files)[0].first_record == 0
    assert sum(len(batch) for batch in read(write_csv(schema, "n\n", records=[0], header=True), files)) == 0


def test_an_empty_line_is_a_missing_value_of_the_only_attribute(write_csv: Write, files: Any) -> None:
    assert cells(write_csv(schema_of(n="NUMERIC"), "1\n\n3\n", records=[3]), files, "n") == [1.0, None, 3.0]


@pytest.mark.parametrize(("said", "found"), [(2, "at least 3"), (4, "3")])
def test_another_number_of_csv_records_is_refused(said: int, found: str, write_csv: Write, files: Any) -> None:
    datasource = write_csv(schema_of(n="NUMERIC"), "1\n2\n3\n", records=[said])

    with pytest.raises(DatasourceError, match=f"holds {found} records and its manifest says {said}"):
        read(datasource, files)


def test_a_truncated_gzip_is_refused(tmp_path: Path, files: Any) -> None:
    content = gzip.compress("\n".join(str(n) for n in range(100_000)).encode())
    (tmp_path / "a.gz").write_bytes(content[: len(content) // 2])
    datasource = Datasource(schema_of(n="NUMERIC"), (Part(str(tmp_path / "a.gz"), 100_000, 1, "CSV"),))

    with pytest.raises(DatasourceError, match="damaged"):
        read(datasource, files)


def test_a_large_csv_file_comes_in_batches(write_csv: Write, files: Any) -> None:
    total = 400_000
    text = "\n".join(f"{n},c{n % 7}" for n in range(total)) + "\n"
    datasource = write_csv(schema_of(n="NUMERIC", c="CATEGORICAL"), text, records=[total], gzipped=True)
    batches = read(datasource, files)

    assert max(len(batch) for batch in batches) <= 131_072
    assert all(numbers(batch.columns["n"])[0][0] == batch.first_record for batch in batches)
    assert sum(len(batch) for batch in batches) == total


_cells = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=6)


class Here:
    """Gives local files as they are."""

    def local_copy(self, uri: str) -> contextlib.nullcontext[Path]:
        return contextlib.nullcontext(Path(uri))


def batches_of(content: bytes, records: int) -> list[Batch]:
    """What is read from the bytes of one CSV part of two attributes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        path.write_bytes(content)
        schema = schema_of(a="TEXT", b="NUMERIC")
        return read(Datasource(schema, (Part(str(path), records, len(content), "CSV"),)), Here())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(_cells, st.integers()), min_size=1, max_size=20))
def test_every_quoted_text_is_read_back(rows: list[tuple[str, int]]) -> None:
    lines = ['"' + text.replace('"', '""') + f'",{number}\n' for text, number in rows]
    found = batches_of("".join(lines).encode(), len(rows))

    assert [cell for batch in found for cell in batch.columns["a"].to_pylist()] == [text for text, _ in rows]
    assert [cell for batch in found for cell in batch.columns["b"].to_pylist()] == [float(n) for _, n in rows]


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(st.binary(max_size=40), st.text('a1,"\r\n .', max_size=40).map(str.encode)),
    st.integers(0, 4),
    st.booleans(),
)
def test_any_bytes_give_the_promised_records_or_an_error(content: bytes, records: int, gzipped: bool) -> None:
    try:
        found = batches_of(gzip.compress(content)[: None if records else -3] if gzipped else content, records)
    except DatasourceError:
        return
    assert sum(len(batch) for batch in found) == records


def test_arrow_arrays_of_numpy_values_keep_their_nulls() -> None:
    array = float_array(np.array([1.0, 2.0, 3.0]), np.array([True, False, True])).slice(1)
    values, valid = numbers(array)

    assert array.to_pylist() == [None, 3.0]
    assert values[1] == 3.0 and valid is not None and valid.tolist() == [False, True]
