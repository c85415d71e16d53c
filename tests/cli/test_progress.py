from __future__ import annotations

import io
import sys

import pytest

from nightcast.cli import progress
from nightcast.datasource.parts import Datasource, Part
from nightcast.datasource.schema import Attribute, AttributeType, Schema

SCHEMA = Schema((Attribute("a", AttributeType.NUMERIC),))
PARTS = Datasource(SCHEMA, tuple(Part(f"{row}.csv", 500, 1, "CSV") for row in range(3))).numbered()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def a_terminal(monkeypatch):
    """Standard error, for the rest of the test: pytest puts back its own after the fixtures."""
    stream = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def numbers(part):
    return part.row


def test_a_terminal_sees_parts_and_records_and_the_results_are_the_same(monkeypatch):
    terminal = a_terminal(monkeypatch)
    with progress.shown(map, "insights") as mapper:
        assert list(mapper(numbers, PARTS)) == [1, 2, 3]
    shown = terminal.getvalue()
    assert "insights" in shown and "3/3" in shown and "records/s" in shown


def test_items_that_are_no_parts_are_counted_too(monkeypatch):
    terminal = a_terminal(monkeypatch)
    with progress.shown(map, "reading") as mapper:
        assert list(mapper(str, [1, 2])) == ["1", "2"]
    assert "2/2" in terminal.getvalue()
    assert "records/s" not in terminal.getvalue()


def test_an_error_of_a_part_goes_through(monkeypatch):
    a_terminal(monkeypatch)

    def fails(part):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), progress.shown(map, "insights") as mapper:
        list(mapper(fails, PARTS))


def test_what_is_printed_meanwhile_goes_to_standard_output(monkeypatch, capsys):
    terminal = a_terminal(monkeypatch)
    with progress.shown(map, "insights") as mapper:
        for row in mapper(numbers, PARTS):
            print("row", row)
    assert "row" not in terminal.getvalue()


def test_a_pipe_sees_nothing(capsys):
    with progress.shown(map, "insights") as mapper:
        assert mapper is map
    assert capsys.readouterr() == ("", "")
