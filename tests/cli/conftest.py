"""Sales as files, for whole commands."""

from __future__ import annotations

from pathlib import Path

import pytest

RECORDS = 400
VENUES = ("Arena", "Hall <3>", "Theatre", "Park")


def sales_lines(first: int, records: int) -> list[str]:
    """Lines of sales that are the same every time."""
    return [
        f"{number},2008-{1 + number % 12:02d}-{1 + number % 28:02d},{VENUES[number % 4]},"
        f"{(number * 37) % 101 / 4},{'yes' if number % 5 == 0 else 'no'},"
        f'"late {"gala, " if number % 3 else ""}night number {number % 7}",{(number * 37) % 101 / 2 + number % 4}'
        for number in range(first, first + records)
    ]


HEADER = "saleid,day,venue,price,promo,note,totalsold"


@pytest.fixture
def sales_csv(tmp_path: Path) -> Path:
    """One file with a header line."""
    path = tmp_path / "sales.csv"
    path.write_text("\n".join([HEADER, *sales_lines(0, RECORDS)]) + "\n")
    return path


@pytest.fixture
def sales_folder(tmp_path: Path) -> Path:
    """The same records as two files, with one broken line more in the second."""
    folder = tmp_path / "sales"
    folder.mkdir()
    half = RECORDS // 2
    (folder / "0.csv").write_text("\n".join([HEADER, *sales_lines(0, half)]) + "\n")
    lines = sales_lines(half, half)
    (folder / "1.csv").write_text("\n".join([HEADER, *lines[:5], "a line of two,cells", *lines[5:]]) + "\n")
    return folder
