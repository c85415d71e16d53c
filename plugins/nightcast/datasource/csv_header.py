"""Whether a CSV file begins with a line of names, when nobody says so."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nightcast.datasource.schema import MAX_NAME_CHARACTERS

Row = Sequence[str]

_VALUE = re.compile(
    # A number, with what money and thousands add; a date; a clock time.
    r"[+-]?[$€£¥]?\s?([0-9][0-9,. ']*|\.[0-9]+)([eE][+-]?[0-9]+)?\s?[%$€£¥]?"
    r"|[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}([ T].*)?|[0-9]{1,2}:[0-9]{2}.*"
)
_MARKERS = frozenset(("", r"\N", "na", "n/a", "nan", "null", "none", "-", "?"))


def has_header(rows: Sequence[Row]) -> bool:
    """Whether the first row holds names.

    Its cells are different, not empty, of at most 64 characters, and neither numbers nor dates; and in at least one
    column all the other rows hold numbers or dates, so that the first is of another kind.

    Examples
    --------
    >>> has_header([["store", "sold"], ["north", "7"], ["south", "9"]])
    True
    >>> has_header([["north", "7"], ["south", "9"]]), has_header([["store", "city"], ["north", "York"]])
    (False, False)
    """
    if not rows:
        return False
    if not _may_be_header(rows[0]):
        return False
    width = len(rows[0])
    others = [row for row in rows[1:] if len(row) == width]
    return any(_all_values([row[place].strip() for row in others]) for place in range(width))


def common_header(files: Sequence[Sequence[Row]]) -> Row | None:
    """The line that two files begin with, where it can only hold names.

    Parameters
    ----------
    files
        The first rows of each file.

    Returns
    -------
    Row or None
        Its cells are as those of `has_header`, and none of them stands in its column again.

    Examples
    --------
    >>> common_header([[["store", "city"], ["north", "York"]], [["store", "city"], ["south", "Bath"]]])
    ['store', 'city']
    >>> common_header([[["north", "York"], ["north", "Bath"]], [["north", "York"]]])
    """
    begins = [tuple(rows[0]) for rows in files if rows]
    repeated = next((rows[0] for rows in files if rows and begins.count(tuple(rows[0])) > 1), None)
    if repeated is None or not _may_be_header(repeated):
        return None
    others = (row for rows in files for row in rows[1:] if len(row) == len(repeated))
    again = any(cell == name for row in others for cell, name in zip(row, repeated, strict=True))
    return None if again else repeated


def default_names(width: int) -> tuple[str, ...]:
    """Names of columns without a header, as Amazon ML's tools gave them.

    Examples
    --------
    >>> default_names(3), default_names(12)[:2]
    (('Var1', 'Var2', 'Var3'), ('Var01', 'Var02'))
    """
    digits = len(str(width))
    return tuple(f"Var{place:0{digits}}" for place in range(1, width + 1))


def _may_be_header(row: Row) -> bool:
    cells = [cell.strip() for cell in row]
    return len(set(cells)) == len(cells) and all(_is_name(cell) for cell in cells)


def _is_name(cell: str) -> bool:
    named = 1 <= len(cell) <= MAX_NAME_CHARACTERS and cell.lower() not in _MARKERS
    return named and not _VALUE.fullmatch(cell)


def _all_values(cells: Sequence[str]) -> bool:
    present = [cell for cell in cells if cell.lower() not in _MARKERS]
    return bool(present) and all(_VALUE.fullmatch(cell) for cell in present)
