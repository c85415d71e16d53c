from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightcast.datasource import csv_lines
from nightcast.datasource.csv_lines import (
    Lines,
    cells_of,
    count_lines,
    faulty_lines,
    first_unreadable,
    may_be_unreadable,
    shown_lines,
    whole_lines,
    without_lines,
)


@settings(max_examples=200, deadline=None)
@given(st.text("ab\n\r", max_size=40).map(str.encode), st.integers(1, 9), st.integers(1, 5))
def test_blocks_are_the_lines_whatever_the_chunks(content: bytes, size: int, most: int) -> None:
    blocks = list(whole_lines((content[n : n + size] for n in range(0, len(content), size)), most))

    tail = content[content.rfind(b"\n") + 1 :]
    assert b"".join(block.data for block in blocks) == content + (
        (b"\r\n" if tail.endswith(b"\r") else b"\n") if tail else b""
    )
    for block in blocks:
        assert block.data.endswith(b"\n") and 1 <= len(block) == count_lines(block.data) <= most
        assert block.ends.tolist() == [place for place, byte in enumerate(block.data) if byte == 10]
        assert block.bounds() == [0, *(block.ends + 1)]


def test_a_line_that_never_ends_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_lines, "LINE_BYTES", 8)

    blocks = whole_lines([b"a\nbb", b"bbbbbbbb", b"bbbbbbbb", b"b\nc"], 9)
    assert [block.data for block in blocks] == [b"a\n", b"bbbbbbbbbb\n", b"c\n"]
    assert [block.data for block in whole_lines([b"bbbbbbbbb", b"b\r"], 9)] == [b"bbbbbbbbbb\n"]


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ("", [""]),
        (",", ["", ""]),
        ('"a","b,c",""', ["a", "b,c", ""]),
        ('"a ""b"" c"', ['a "b" c']),
        ('a"b,5" pipe', ['a"b', '5" pipe']),
        ('"a"b"c,d', ['ab"c', "d"]),
        (' "a","b"', [' "a"', "b"]),
        ('"a', None),
        ('a,"b""', None),
        ('5" pipe,"b', None),
        ('"', None),
        ('""', [""]),
        ('"""', None),
    ],
)
def test_cells_of_a_line(line: str, cells: list[str] | None) -> None:
    assert cells_of(line) == cells


def test_the_doctest_of_cells_holds() -> None:
    import doctest

    assert doctest.testmod(csv_lines).failed == 0


def test_faulty_lines_have_one_reason_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_lines, "LINE_BYTES", 8)
    data = b"\r\na,b\n\nxxxxxxxxx\n\xff\xffxxxxxxxxx\nx\xc3\n\xa9,\xfe\nxxxxxxxx\r\nxxxxxxxx\r\rx\n"
    empty, long = "an empty line", "longer than 8 bytes"
    utf8 = {5: "bytes that are no UTF-8 at byte 2", 6: "bytes that are no UTF-8 at byte 1"}

    assert faulty_lines(Lines.of(data), 2) == {0: empty, 2: empty, 3: long, 4: long, 8: long} | utf8
    assert faulty_lines(Lines.of(data), 1) == {3: long, 4: long, 8: long} | utf8
    assert faulty_lines(Lines.of(b"xxxxxx\rxxxxx\n"), 1) == {}
    assert faulty_lines(Lines.of("ä,ß\n".encode()), 2) == {}


def test_lines_are_left_out_and_shown() -> None:
    data = "a\n\r\nbé\r\nccc\n".encode() + b"\xff\n" + b"d" * 2000 + b"\n"

    lines = Lines.of(data)
    assert without_lines(lines, []) == data
    assert without_lines(lines, [3, 0, 5]) == "\r\nbé\r\n".encode() + b"\xff\n"
    assert without_lines(lines, range(6)) == b""
    assert list(shown_lines(lines, range(6))) == ["a", "", "bé", "ccc", "\ufffd", "d" * 1000]
    assert list(shown_lines(Lines.of("😀".encode() * 1500 + b"\n"), [0])) == ["😀" * 1000]


@pytest.mark.parametrize(
    ("data", "hint", "fault"),
    [
        (b'a,b\r\n"c, d",5"\n', False, None),
        (b"a\rb\n", True, (0, "\r")),
        (b"a\nb\r\r\n", True, (1, "\r")),
        (b'a\nb,"c\n', True, (1, '"')),
        (b'"a\nb\n', False, (0, '"')),
        (b'"a\nb\rc\n', True, (0, '"')),
        (b"", False, None),
    ],
)
def test_the_first_line_that_makes_a_file_unreadable(data: bytes, hint: bool, fault: tuple[int, str] | None) -> None:
    assert may_be_unreadable(data) is hint
    assert first_unreadable(data, []) == fault


def test_lines_that_are_left_out_make_nothing_unreadable() -> None:
    assert first_unreadable(b'"a\nb\n"c\n', {0}) == (2, '"')
    assert first_unreadable(b'"a\nb\n"c\n', {0, 2}) is None
