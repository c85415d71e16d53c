from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nightcast.cli import insights_tables
from nightcast.cli.tables import Printer, printable

GOLDEN = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Alert:
    code: str
    severity: str
    message: str
    attributes: tuple[str, ...] = ()


@pytest.fixture
def terminal(monkeypatch):
    """A printer on a terminal of 80 columns without colours, and what it prints."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    text = io.StringIO()
    return Printer(text), text


@pytest.fixture
def pipe(monkeypatch):
    """A printer into a pipe, and what it prints."""
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    text = io.StringIO()
    return Printer(text), text


def all_tables(printer, insights):
    insights_tables.print_summary(printer, insights, "s3://bucket/sales/")
    insights_tables.print_target(printer, insights)
    insights_tables.print_attributes(printer, insights)
    insights_tables.print_correlations(printer, insights)
    insights_tables.print_alerts(printer, [Alert("CONSTANT", "warning", "venue has one value")])


def test_insights_in_a_pipe(pipe, some_insights):
    printer, text = pipe
    all_tables(printer, some_insights)
    assert text.getvalue() == (GOLDEN / "insights.txt").read_text()


def test_a_terminal_of_80_columns_is_never_too_narrow(terminal, some_insights):
    printer, text = terminal
    all_tables(printer, some_insights)
    lines = [
        line.replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "")
        for line in text.getvalue().splitlines()
    ]
    assert max(map(len, lines)) <= 80
    joined = "\n".join(lines)
    for whole in ("Distinct", "-0.75", "1,000", "Prominent words", "Night, gala,"):
        assert whole in joined


def test_a_pipe_gets_whole_rows(pipe):
    printer, text = pipe
    printer.table(["Attribute", "Value"], [["a", printer.cell("x" * 5000)]])
    assert "x" * 5000 in text.getvalue()
    assert all(line == line.rstrip() for line in text.getvalue().splitlines())


def test_a_terminal_gets_the_beginning_of_a_long_value(terminal):
    printer, _ = terminal
    assert printer.cell("x" * 5000) == "x" * 59 + "…"


def test_too_many_columns_follow_below(terminal):
    printer, text = terminal
    printer.table(["Name", *[f">column {number}" for number in range(12)]], [["a", *["1,234,567"] * 12]])
    assert text.getvalue().count("Name") == 2
    assert text.getvalue().count("1,234,567") == 12


def test_markup_and_control_characters_of_users_do_nothing(pipe):
    printer, text = pipe
    printer.table(["Attribute"], [[printer.cell("[red]\x1b[31m\u202e:smile:")]])
    assert "[red]\\x1b[31m\\u202e:smile:" in text.getvalue()
    assert printable("Zürich") == "Zürich"


def test_a_datasource_without_target_has_no_correlations(pipe, some_insights):
    printer, text = pipe
    attributes = {
        name: replace(found, correlation=None, mutual_information=None)
        for name, found in some_insights.attributes.items()
    }
    insights = replace(some_insights, target=None, attributes=attributes)
    insights_tables.print_target(printer, insights)
    insights_tables.print_correlations(printer, insights)
    assert text.getvalue() == ""


def test_a_numeric_target_is_shown_in_ten_intervals(pipe, some_insights):
    printer, text = pipe
    insights_tables.print_target(printer, replace(some_insights, target="price"))
    lines = text.getvalue().splitlines()
    assert lines[0] == "Distribution of the target price"
    assert lines[1].startswith("0 to 100      █") and lines[1].endswith("993 (99.9 %)")
    assert len(lines) == 11
