from __future__ import annotations

import csv
import io

from nightcast.datasource.parts import Reject
from nightcast.datasource.rejects import rejected_files


def test_each_part_has_a_file_that_csv_readers_understand() -> None:
    line = 'a,"b\nc"'
    rejects = [Reject(3, "s3://b/p/0000_part_00", "has 2 cells, not 3", line), Reject(9, "/data/0001_part_00", "x", "")]
    found = rejected_files(rejects)

    assert list(found) == ["0000_part_00.csv", "0001_part_00.csv"]
    rows = list(csv.reader(io.StringIO(found["0000_part_00.csv"].decode(), newline="")))
    assert rows == [["record", "reason", "line"], ["3", "has 2 cells, not 3", line]]


def test_parts_of_one_name_keep_files_of_their_own() -> None:
    rejects = [Reject(place, f"s3://b/{place}/sales.csv", "broken", "ü") for place in range(3)]
    found = rejected_files(rejects)

    assert list(found) == ["00001-sales.csv.csv", "00002-sales.csv.csv", "00003-sales.csv.csv"]
    assert found["00003-sales.csv.csv"].decode().splitlines()[1] == "2,broken,ü"


def test_where_nothing_was_rejected_there_is_no_file() -> None:
    assert rejected_files([]) == {}
