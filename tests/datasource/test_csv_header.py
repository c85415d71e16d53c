from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightcast.datasource.csv_header import default_names, has_header


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("store,sold\nnorth,7", True),
        ("store,sold\nnorth,\nsouth,NA\nwest,-1.5e3", True),
        ("store,day\nnorth,2008-12-31", True),
        ("store,day\nnorth,12/31/2008 10:00", True),
        ("store,price\nnorth,$1 234.50", True),
        ("a b,sold %\nnorth,7", True),
        ("store,2008\nnorth,7", False),
        ("store,store\nnorth,7", False),
        ("store,\nnorth,7", False),
        ("store,NA\nnorth,7", False),
        (f"{'s' * 65},sold\nnorth,7", False),
        ("store,sold", False),
        ("north,7\nsouth,8", False),
        ("store,city\nnorth,York", False),
        ("store,sold\nnorth,7\nsouth,many", False),
        ("", False),
    ],
)
def test_a_header_is_of_another_kind_than_what_is_below(text: str, expected: bool) -> None:
    assert has_header([line.split(",") for line in text.splitlines()]) is expected


def test_rows_of_another_width_tell_nothing() -> None:
    assert has_header([["store", "sold"], ["broken"], ["north", "7"]])


@given(st.lists(st.lists(st.text(max_size=8), min_size=1, max_size=4), max_size=6))
def test_a_file_that_begins_twice_the_same_has_no_header(rows: list[list[str]]) -> None:
    assert not has_header([*rows[:1], *rows])


@given(st.integers(1, 1200))
def test_default_names_sort_as_the_columns_do(width: int) -> None:
    names = default_names(width)
    assert len(set(names)) == width and list(names) == sorted(names)
