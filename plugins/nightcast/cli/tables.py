"""Tables on a terminal, and whole ones in a pipe."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_LONGEST = 60
_FOLDED, _GAP = 24, 2
_ENDLESS = 1 << 20


class Printer:
    """Prints headings, tables and pairs.

    A terminal gets colours and its own width, and long cells in several lines; anything else gets each row in one
    line, however long it is, without colours. NO_COLOR is respected.

    Parameters
    ----------
    file
        Standard output by default.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        from rich.console import Console

        options = {"markup": False, "highlight": False, "emoji": False, "soft_wrap": False}
        self.file = file or sys.stdout
        self.console = Console(file=self.file, **options)  # type: ignore[arg-type]
        self.on_terminal = self.console.is_terminal
        self._begun = False
        if not self.on_terminal:
            self.console = Console(file=self.file, width=_ENDLESS, **options)  # type: ignore[arg-type]

    def line(self, text: str = "") -> None:
        """Print a line of our own words."""
        self._begun = True
        self.console.print(text, soft_wrap=True)

    def heading(self, text: str) -> None:
        """Print a heading, with an empty line before it unless it comes first."""
        if self._begun:
            self.line()
        self._begun = True
        self.console.print(text, style="bold", soft_wrap=True)

    def cell(self, text: str) -> str:
        """A user's text for a cell: what can not be printed is escaped, and on a terminal the end is left out."""
        shown = printable(text)
        return shown if not self.on_terminal or len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"

    def pairs(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Print names and what they are, in two columns."""
        from rich.table import Table

        table = Table.grid(padding=(0, 2))
        for name, text in pairs:
            table.add_row(name, text)
        self._print(table)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table.

        Parameters
        ----------
        columns
            Names. One that begins with ``>`` is aligned to the right and stays in one line.
        rows
            Cells. Where a terminal is too narrow for all columns, the rest follow as a table of their own, with the
            first column again.
        """
        for number, block in enumerate(self._blocks(columns, rows)):
            if number:
                self.line()
            self._print(_table(columns, rows, block))

    def _blocks(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[list[int]]:
        everything = list(range(len(columns)))
        if not self.on_terminal:
            return [everything]
        widths = [_width(name, [row[place] for row in rows]) for place, name in enumerate(columns)]
        blocks = [[0]]
        used = widths[0]
        for place in everything[1:]:
            if used + widths[place] > self.console.width and len(blocks[-1]) > 1:
                blocks.append([0])
                used = widths[0]
            blocks[-1].append(place)
            used += widths[place]
        return blocks

    def _print(self, content: RenderableType) -> None:
        """Print, in a pipe without the blanks that fill each line up to the table's width."""
        self._begun = True
        if self.on_terminal:
            self.console.print(content)
            return
        from rich.console import Console

        text = io.StringIO()
        Console(file=text, width=_ENDLESS, markup=False, highlight=False, emoji=False).print(content)
        for line in text.getvalue().splitlines():
            self.file.write(line.rstrip() + "\n")


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], block: Sequence[int]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for place in block:
        right = columns[place].startswith(">")
        table.add_column(
            columns[place].removeprefix(">"), justify="right" if right else "left", no_wrap=right, overflow="fold"
        )
    for row in rows:
        table.add_row(*(row[place] for place in block))
    return table


def _width(name: str, cells: Sequence[str]) -> int:
    """Room that a column needs, with the gap after it; a column of words can be folded."""
    from rich.cells import cell_len

    room = max(map(cell_len, [name.removeprefix(">"), *cells]))
    return (room if name.startswith(">") else min(room, _FOLDED)) + _GAP


def printable(text: str) -> str:
    """The text with each character escaped that would move a terminal's cursor, or turn its direction.

    Examples
    --------
    >>> printable("Zürich\\t\\x1b[31m")
    'Zürich\\\\t\\\\x1b[31m'
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
