from __future__ import annotations

import datetime
import gzip
import json
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightcast.sandbox.account import BUCKET, DATABASE, IAM_ROLE, WORKGROUP
from nightcast.sandbox.own_tables import OwnTableError, keep, load_kept, main
from nightcast.sandbox.sample_load import SampleError

WHERE = {"bucket": BUCKET, "database": DATABASE, "workgroup_name": WORKGROUP, "iam_role": IAM_ROLE}
LINES = 'Shop|sold_at|amount|members|note\n1|2024-03-01 10:00:00|2.50|true|5" pipe\n2|2024-03-02 11:00:00|1|false|\n'


@pytest.fixture
def rows(redshift_data):
    def of(sql: str) -> list[list]:
        asked = redshift_data.execute_statement(Database=DATABASE, WorkgroupName=WORKGROUP, Sql=sql, WaitTimeSeconds=30)
        assert redshift_data.describe_statement(Id=asked["Id"], WaitTimeSeconds=30)["Status"] == "FINISHED"
        records = redshift_data.get_statement_result(Id=asked["Id"])["Records"]
        return [[None if "isNull" in cell else next(iter(cell.values())) for cell in record] for record in records]

    return of


def test_delimited_text_is_typed_by_its_values_and_loaded(tmp_path, s3, redshift_data, rows):
    file = tmp_path / "visits.txt.gz"
    file.write_bytes(gzip.compress(LINES.encode()))
    table = keep(tmp_path / "tables", "visits", file)
    assert table.columns == (
        "shop bigint, sold_at timestamp, amount double precision, members boolean, note varchar(16)"
    )
    assert load_kept(tmp_path / "tables", redshift_data, s3, **WHERE) == ["visits"]
    assert rows("select shop, amount, members, note from visits order by shop") == [
        [1, 2.5, True, '5" pipe'],
        [2, 1.0, False, None],
    ]
    assert rows("select sold_at::date::varchar(10) from visits order by 1") == [["2024-03-01"], ["2024-03-02"]]


def test_quoted_csv_keeps_its_commas(tmp_path, s3, redshift_data, rows):
    file = tmp_path / "shops.csv"
    file.write_text('shop,name\n1,"Main, corner ""A"""\n')
    keep(tmp_path / "tables", "shops", file)
    load_kept(tmp_path / "tables", redshift_data, s3, **WHERE)
    assert rows("select name from shops") == [['Main, corner "A"']]


def test_parquet_keeps_its_types(tmp_path, s3, redshift_data, rows):
    file = tmp_path / "prices.parquet"
    pq.write_table(
        pa.table(
            {
                "shop": pa.array([7], pa.int32()),
                "price": pa.array([Decimal("1.25")], pa.decimal128(8, 2)),
                "day": pa.array([datetime.date(2024, 3, 1)]),
                "name": ["x"],
            }
        ),
        file,
    )
    table = keep(tmp_path / "tables", "prices", file)
    assert table.columns == "shop integer, price decimal(8, 2), day date, name varchar(65534)"
    load_kept(tmp_path / "tables", redshift_data, s3, **WHERE)
    assert rows("select price::varchar(8), day::varchar(10) from prices") == [["1.25", "2024-03-01"]]


def test_loading_again_gives_the_same_table(tmp_path, s3, redshift_data, rows):
    file = tmp_path / "again.csv"
    file.write_text("a\n1\n2\n")
    for _ in range(2):
        keep(tmp_path / "tables", "again", file)
        load_kept(tmp_path / "tables", redshift_data, s3, **WHERE)
    assert rows("select count(*) from again") == [[2]]


def test_given_columns_go_before_those_of_the_file_and_redshifts_refusal_is_told(tmp_path, s3, redshift_data):
    file = tmp_path / "wrong.csv"
    file.write_text("a\nword\n")
    keep(tmp_path / "tables", "wrong", file, columns="a integer")
    with pytest.raises(SampleError, match=r"loading the table wrong .*Load into table 'wrong' failed"):
        load_kept(tmp_path / "tables", redshift_data, s3, **WHERE)


@pytest.mark.parametrize("name", ["sales", "Visits", "a-b", ""])
def test_names_of_the_sample_and_names_that_need_quotes_are_refused(tmp_path, name):
    with pytest.raises(OwnTableError, match="can not be the name of a table"):
        keep(tmp_path, name, tmp_path / "x.csv")


def test_the_command_keeps_a_table_below_the_project(tmp_path, capsys):
    file = tmp_path / "visits.txt"
    file.write_text(LINES)
    assert main(["visits", str(file), "--project", str(tmp_path), "--columns", ""]) == 0
    assert "sold_at timestamp" in capsys.readouterr().out
    kept = json.loads((tmp_path / ".nightcast" / "tables" / "visits" / "file.json").read_text())
    assert kept["copy"].startswith("delimiter '|' ignoreheader 1")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("nowhere.csv", None, "can not be read as a table"),
        ("no.parquet", b"text", "can not be read as a table"),
        ("blank.csv", b"a name,b\n1,2\n", "takes in quotes only"),
    ],
)
def test_files_that_are_no_tables_are_refused(tmp_path, capsys, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert main(["visits", str(tmp_path / name), "--project", str(tmp_path)]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / ".nightcast").exists()
