from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightcast.datasource.locate import find_schema, locate
from nightcast.datasource.opening import OpenedDatasource, open_datasource
from nightcast.datasource.parts import read_batches
from nightcast.datasource.schema import Schema
from nightcast.errors import DatasourceError, ManifestError, SchemaError
from nightcast.storage import Storage

SALES = "store,day,sold\nnorth,2008-12-30,7\nsouth,2008-12-31,9\nnorth,2009-01-01,4\n"
BARE = SALES.split("\n", 1)[1]
Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file and gives its path."""

    def write(name: str, content: str | bytes = SALES) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


def document(*attributes: tuple[str, str], **keys: Any) -> str:
    listed = [{"attributeName": name, "attributeType": kind} for name, kind in attributes]
    return json.dumps({"version": "1.0", "attributes": listed} | keys)


WHOLE = document(("store", "TEXT"), ("day", "CATEGORICAL"), ("sold", "NUMERIC"), targetAttributeName="sold")


def opened(data: str, **options: Any) -> OpenedDatasource:
    return open_datasource(data, Storage(), **options)


def types(found: OpenedDatasource) -> dict[str, str]:
    return {attribute.name: str(attribute.type) for attribute in found.datasource.schema.attributes}


def cells(found: OpenedDatasource, name: str) -> list[Any]:
    values: list[Any] = []
    for part in found.datasource.numbered():
        for batch in read_batches(part, Storage(), [name]):
            assert not batch.rejects
            values += batch.columns[name].to_pylist()
    return values


def unloaded(
    write: Write, *texts: str, header: bool = False, verbose: bool = True, names: str = "store day sold"
) -> str:
    """CSV parts with their manifest."""
    kinds = {"store": "character varying", "day": "date", "sold": "integer"}
    entries, total = [], [0, 0]
    for number, text in enumerate(texts):
        content = gzip.compress(text.encode())
        path = write(f"{number:04}_part_00.gz", content)
        records = text.count("\n")
        total = [total[0] + records, total[1] + len(content)]
        meta = {"content_length": len(content), "record_count": records}
        entries.append({"url": Path(path).as_uri()} | ({"meta": meta} if verbose else {}))
    elements = [{"name": name, "type": {"base": kinds[name]}} for name in names.split()]
    meta = {"record_count": total[0], "content_length": total[1]}
    told = {"schema": {"elements": elements}, "meta": meta} if verbose else {}
    return write("manifest", json.dumps({"entries": entries} | told))


def test_a_csv_file_says_all_of_itself(write: Write) -> None:
    found = opened(write("sales.csv"), target="sold")

    assert types(found) == {"store": "CATEGORICAL", "day": "TEXT", "sold": "NUMERIC"}
    assert (found.datasource.records, found.datasource.schema.header, found.schema_uri) == (3, True, None)
    assert found.datasource.schema.target == "sold"
    assert [one.name for one in found.inferred or ()] == ["store", "day", "sold"]
    assert cells(found, "sold") == [7.0, 9.0, 4.0]


def test_without_header_columns_are_numbered(write: Write) -> None:
    found = opened(write("sales.csv", BARE))

    assert types(found) == {"Var1": "CATEGORICAL", "Var2": "TEXT", "Var3": "NUMERIC"}
    assert cells(found, "Var3") == [7.0, 9.0, 4.0]


def test_who_says_whether_there_is_a_header_is_believed(write: Write) -> None:
    strings = write("strings.csv", "store,city\nnorth,York\nsouth,Bath\n")

    assert opened(strings).datasource.records == 3
    assert opened(strings, header=True).datasource.records == 2
    assert opened(write("sales.csv"), header=False).datasource.records == 4


def test_a_header_may_name_no_column_twice(write: Write) -> None:
    with pytest.raises(SchemaError, match="'sold' is named twice"):
        opened(write("sales.csv", "sold,sold\n1,2\n"), header=True)


def test_more_than_a_thousand_columns_are_refused(write: Write) -> None:
    with pytest.raises(SchemaError, match="1,001 attributes"):
        opened(write("wide.csv", ",".join(["1"] * 1001) + "\n"))


@pytest.mark.parametrize("separator", ["|", "\t", ";"])
def test_other_separators_are_named(write: Write, separator: str) -> None:
    with pytest.raises(DatasourceError, match=r"sales\.csv is separated by .*; write it as CSV"):
        opened(write("sales.csv", SALES.replace(",", separator)))


def test_lines_that_end_by_cr_alone_are_refused(write: Write) -> None:
    with pytest.raises(DatasourceError, match="ends its lines by CR alone"):
        opened(write("sales.csv", SALES.replace("\n", "\r")))


def test_files_of_a_folder_are_one_datasource(write: Write, tmp_path: Path) -> None:
    write("b.csv", gzip.compress(SALES.encode()))
    write("a/1.csv", "store,day,sold\nwest,2008-01-01,1\n")

    found = opened(f"{tmp_path}/")

    assert cells(found, "store") == ["west", "north", "south", "north"]


def test_a_file_without_the_header_of_the_others_is_refused(write: Write, tmp_path: Path) -> None:
    write("a.csv")
    write("b.csv", BARE)

    with pytest.raises(
        DatasourceError, match=r"a\.csv begins with the header store, .*b\.csv with north, 2008-12-30, 7"
    ):
        opened(str(tmp_path))


def test_a_header_that_only_a_later_file_has_is_refused(write: Write, tmp_path: Path) -> None:
    write("1.csv", "2,1\n4,3\n")
    write("3.csv", "a,b\n1,2\n")

    with pytest.raises(DatasourceError, match=r"3\.csv begins with the header a, b, and .*1\.csv with 2, 1"):
        opened(str(tmp_path))
    assert opened(str(tmp_path), header=False).datasource.records == 4


def test_a_file_of_a_header_alone_holds_no_records(write: Write, tmp_path: Path) -> None:
    write("0000", "store,sold\n")
    write("0001", "store,sold\nn,1\ns,2\n")

    found = opened(str(tmp_path))

    assert found.datasource.schema.header and found.datasource.records == 2
    assert cells(found, "sold") == [1.0, 2.0]


def test_a_line_that_all_files_of_strings_begin_with_is_a_header(write: Write, tmp_path: Path) -> None:
    write("0000", "store,city\nnorth,York\n")
    write("0001", "store,city\nsouth,Bath\n")

    assert cells(opened(str(tmp_path)), "city") == ["York", "Bath"]


def test_a_file_with_two_rows_is_looked_for_behind_the_sample(write: Write, tmp_path: Path) -> None:
    for number in range(20):
        write(f"{number:02}", "store,sold\nn,1\n" if number == 3 else "store,sold\n")

    assert opened(str(tmp_path)).datasource.records == 1


@pytest.mark.parametrize("options", [{}, {"header": True}, {"schema_text": WHOLE, "header": True}])
def test_a_header_that_is_no_utf8_is_named(write: Write, options: dict[str, Any]) -> None:
    data = write("sales.csv", SALES.encode().replace(b"store", b"caf\xe9"))

    with pytest.raises(DatasourceError, match=r"the header of part .*sales\.csv is no UTF-8 at byte 3"):
        opened(data, **options)


def test_parquet_has_its_own_names_and_types(tmp_path: Path) -> None:
    pq.write_table(pa.table({"storeid": [1, 2, 2], "sold": [1.5, 2.5, 3.5]}), tmp_path / "a.parquet")

    found = opened(str(tmp_path))

    assert types(found) == {"storeid": "CATEGORICAL", "sold": "NUMERIC"}
    assert (found.datasource.records, found.datasource.schema.header) == (3, False)


def test_two_parquet_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1, 2]), pa.array([3, 4])], names=["a", "a"])
    pq.write_table(table, tmp_path / "a.parquet")

    with pytest.raises(DatasourceError, match=r"a\.parquet has 2 columns 'a'; rename one"):
        opened(str(tmp_path))


def test_only_files_of_a_manifest_are_called_its_entries(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1, 2]}), tmp_path / "a.parquet")

    found = opened(str(tmp_path))

    assert found.datasource.numbered()[0].where == f"part {(tmp_path / 'a.parquet').as_uri()}"


def test_a_parquet_schema_may_leave_columns_out(tmp_path: Path) -> None:
    pq.write_table(pa.table({"storeid": [1, 2], "other": [0, 0], "sold": [1.5, 2.5]}), tmp_path / "a.parquet")

    found = opened(str(tmp_path), schema_text=document(("sold", "NUMERIC"), ("storeid", "CATEGORICAL")))

    assert types(found) == {"storeid": "CATEGORICAL", "sold": "NUMERIC"}
    with pytest.raises(SchemaError, match=r"missing \['price'\]"):
        opened(str(tmp_path), schema_text=document(("price", "NUMERIC")))


# Schemas


def test_a_schema_beside_the_data_is_found(write: Write, tmp_path: Path) -> None:
    data = write("sales.csv")
    write("sales.csv.schema", WHOLE)

    found = opened(data)

    assert (found.schema_uri, found.inferred) == (f"{data}.schema", None)
    assert types(found) == {"store": "TEXT", "day": "CATEGORICAL", "sold": "NUMERIC"}
    assert (found.datasource.schema.target, found.datasource.schema.header) == ("sold", True)


def test_a_folder_has_its_schema_within(write: Write, tmp_path: Path) -> None:
    write("a.csv")
    schema = write(".schema", WHOLE)

    for folder in (str(tmp_path), f"{tmp_path}/"):
        assert find_schema(folder, Storage()) == schema
        assert opened(folder).schema_uri == schema


def test_a_given_schema_wins_over_the_one_beside_the_data(write: Write) -> None:
    write("sales.csv.schema", WHOLE)

    found = opened(
        write("sales.csv"), schema_text=document(("store", "CATEGORICAL"), ("day", "TEXT"), ("sold", "TEXT"))
    )

    assert types(found) == {"store": "CATEGORICAL", "day": "TEXT", "sold": "TEXT"}
    assert (found.schema_uri, found.inferred, found.datasource.schema.target) == (None, None, None)


def test_a_part_of_a_schema_overrides_what_is_found(write: Write) -> None:
    part = '{"targetAttributeName": "sold", "attributes": [{"attributeName": "day", "attributeType": "CATEGORICAL"}]}'
    data = write("sales.csv")

    inferred = opened(data, schema_text=part)
    write("sales.csv.schema", WHOLE)
    found = opened(data, schema_text='{"targetAttributeName": null, "rowId": "day"}')

    assert types(inferred) == {"store": "CATEGORICAL", "day": "CATEGORICAL", "sold": "NUMERIC"}
    assert inferred.inferred is not None and inferred.datasource.schema.target == "sold"
    assert types(found)["store"] == "TEXT"
    assert (found.datasource.schema.target, found.datasource.schema.row_id) == (None, "day")


def test_a_schema_names_the_columns_of_a_file_without_header(write: Write) -> None:
    listed = json.loads(WHOLE)["attributes"]

    found = opened(write("sales.csv", BARE), schema_text=json.dumps({"attributes": listed}))

    assert types(found) == {"store": "TEXT", "day": "CATEGORICAL", "sold": "NUMERIC"}
    assert cells(found, "store") == ["north", "south", "north"]


def test_a_header_that_a_schema_names_is_seen_where_all_are_strings(write: Write) -> None:
    data = write("strings.csv", "city,store\nYork,north\n")

    found = opened(data, schema_text=document(("store", "TEXT"), ("city", "TEXT")))

    assert found.datasource.schema.header and cells(found, "city") == ["York"]


def test_a_schema_of_another_width_is_refused(write: Write) -> None:
    with pytest.raises(SchemaError, match=r"the schema has 2 attributes, and the records of .* have 3 cells"):
        opened(write("sales.csv", BARE), schema_text=document(("a", "TEXT"), ("b", "TEXT")))


def test_a_schema_of_other_columns_is_refused(write: Write) -> None:
    text = document(("store", "TEXT"), ("day", "TEXT"), ("price", "NUMERIC"))
    with pytest.raises(SchemaError, match=r"missing \['price'\], unknown \['sold'\]"):
        opened(write("sales.csv"), schema_text=text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "price"}, "targetAttributeName names 'price'"),
        ({"row_id": "price"}, "rowId names 'price'"),
        ({"target": "sold", "row_id": "sold"}, "both target and row id"),
        ({"schema_text": "{"}, "the schema is no JSON"),
        ({"schema_text": '{"dataFileContainsHeader": "yes"}'}, "must be true or false"),
    ],
)
def test_wrong_roles_and_documents_are_refused(write: Write, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        opened(write("sales.csv"), **options)


def test_a_schema_that_is_no_text_is_named(write: Write) -> None:
    data = write("sales.csv")
    write("sales.csv.schema", b"\xff\xfe")

    with pytest.raises(SchemaError, match=r"sales\.csv\.schema is no text in UTF-8"):
        opened(data)


def test_a_schema_beside_the_data_must_be_whole(write: Write) -> None:
    data = write("sales.csv")
    write("sales.csv.schema", '{"targetAttributeName": "sold"}')

    with pytest.raises(SchemaError, match=r'sales\.csv\.schema has no key "attributes"'):
        opened(data)


# Manifests


def test_a_manifest_tells_types_and_numbers_of_records(write: Write) -> None:
    def uncounted(*_: Any) -> Any:
        raise AssertionError("the manifest tells the numbers")

    path = unloaded(write, BARE, "\\N,2008-01-01,\\N\n")

    found = opened(path, mapper=uncounted)

    assert types(found) == {"store": "TEXT", "day": "TEXT", "sold": "NUMERIC"}
    assert (found.schema_uri, found.inferred) == (path, None)
    assert [part.records for part in found.datasource.parts] == [3, 1]
    assert cells(found, "store") == ["north", "south", "north", None]


def unloaded_parquet(write: Write, tmp_path: Path, *tables: pa.Table, more: int = 0) -> str:
    """Parquet parts of a column `sold` with a verbose manifest that says `more` records than the last has."""
    entries = []
    for number, table in enumerate(tables):
        path = tmp_path / f"{number:04}_part_00.parquet"
        pq.write_table(table, path)
        meta = {"content_length": path.stat().st_size, "record_count": len(table)}
        entries.append({"url": path.as_uri(), "meta": meta})
    entries[-1]["meta"]["record_count"] += more
    total = {key: sum(entry["meta"][key] for entry in entries) for key in ("record_count", "content_length")}
    elements = [{"name": "sold", "type": {"base": "integer"}}]
    return write("manifest", json.dumps({"entries": entries, "schema": {"elements": elements}, "meta": total}))


def test_parquet_parts_of_a_manifest_must_hold_the_same_types(write: Write, tmp_path: Path) -> None:
    path = unloaded_parquet(write, tmp_path, pa.table({"sold": [1, 2]}), pa.table({"sold": ["1", "2"]}))

    with pytest.raises(
        DatasourceError, match=r"column 'sold' holds int64 in part .*0000_.* and string in part .*0001_"
    ):
        opened(path)


def test_parquet_parts_must_hold_as_many_records_as_the_manifest_says(write: Write, tmp_path: Path) -> None:
    table = pa.table({"sold": [1, 2]})

    assert opened(unloaded_parquet(write, tmp_path, table, table)).datasource.records == 4
    with pytest.raises(DatasourceError, match=r"0001_part_00\.parquet holds 2 records and its manifest says 3"):
        opened(unloaded_parquet(write, tmp_path, table, table, more=1))


def test_header_lines_of_a_manifest_are_no_records(write: Write) -> None:
    found = opened(unloaded(write, SALES, SALES, header=True))

    assert (found.datasource.records, found.datasource.schema.header) == (6, True)
    assert cells(found, "sold") == [7.0, 9.0, 4.0] * 2


def test_a_schema_is_brought_to_the_column_order_of_the_manifest(write: Write) -> None:
    rows = "7,north\n9,south\n"

    found = opened(
        unloaded(write, rows, names="sold store"), schema_text=document(("store", "TEXT"), ("sold", "NUMERIC"))
    )

    assert cells(found, "store") == ["north", "south"]


def test_data_to_score_need_not_have_the_target(write: Write) -> None:
    found = opened(unloaded(write, "north,2008-12-31\n", names="store day"), schema_text=WHOLE)

    assert (types(found), found.datasource.schema.target) == ({"store": "TEXT", "day": "CATEGORICAL"}, None)


def test_a_manifest_that_is_not_verbose_only_names_files(write: Write) -> None:
    found = opened(unloaded(write, BARE, verbose=False))

    assert types(found) == {"Var1": "CATEGORICAL", "Var2": "TEXT", "Var3": "NUMERIC"}
    assert found.datasource.records == 3
    assert found.datasource.parts[0].null_as == r"\N"


def test_a_file_that_is_shorter_than_its_manifest_says_is_named(write: Write) -> None:
    path = unloaded(write, BARE)
    write("0000_part_00.gz", gzip.compress(b"north,2008-12-31,7\n"))

    with pytest.raises(ManifestError, match=r"0000_part_00\.gz has .* bytes, .*manifest says"):
        opened(path)


def test_null_is_seen_in_files_without_a_manifest(write: Write) -> None:
    assert locate(write("a.csv", "1,\\N\n2,3\n"), Storage()).parts[0].null_as == r"\N"
    assert locate(write("b.csv", '1,"\\N"\n2,3\n'), Storage()).parts[0].null_as == ""
    assert locate(write("c.csv", "1,-\n2,3\n"), Storage(), null_as="-").parts[0].null_as == "-"


def test_data_without_a_line_need_a_schema(write: Write) -> None:
    data = write("a.csv.gz", gzip.compress(b""))

    with pytest.raises(DatasourceError, match="no line that can be read"):
        opened(data)
    assert opened(data, schema_text=WHOLE).datasource.records == 0


def test_what_is_opened_is_written_as_a_schema_that_opens_it_again(write: Write) -> None:
    data = write("sales.csv")
    first = opened(data, target="sold")
    write("sales.csv.schema", first.datasource.schema.to_json())

    again = opened(data)

    assert again.datasource == first.datasource
    assert Schema.from_json(again.datasource.schema.to_json()) == first.datasource.schema
