"""What the readers of the file formats are asked for, and what they give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nightcast.datasource.arrow_arrays import Array, Bools
from nightcast.datasource.schema import Attribute

BATCH_RECORDS = 131_072


@dataclass(frozen=True)
class WantedPart:
    """What to read of one file.

    Parameters
    ----------
    where
        How error messages call the file.
    attributes
        What to read, and as which type.
    names
        All attributes of the schema in column order: the columns of a CSV file without header.
    records
        How many records the manifest promises.
    header, null_as
        As of `Part`.
    checked
        What a Parquet file must have besides, in types that can be read.
    """

    where: str
    attributes: tuple[Attribute, ...]
    names: tuple[str, ...]
    records: int
    header: bool
    null_as: str
    checked: tuple[Attribute, ...] = ()


@dataclass(frozen=True)
class RejectedLine:
    """A record that could not be read.

    Parameters
    ----------
    place
        Its number within the file, from 0.
    reason, line
        As of `Reject`.
    """

    place: int
    reason: str
    line: str


@dataclass(frozen=True)
class Decoded:
    """Records that follow each other in one file: `columns` and `invalid` as of `Batch`, rejected ones in order."""

    size: int
    columns: dict[str, Array]
    invalid: dict[str, Bools]
    rejects: tuple[RejectedLine, ...] = ()


class Reader(Protocol):
    """Reads one file format; raises DatasourceError, OSError or ArrowException."""

    def __call__(self, path: Path, wanted: WantedPart, /) -> Iterator[Decoded]: ...
