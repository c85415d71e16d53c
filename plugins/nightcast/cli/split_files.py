"""Writes the two sides of a split as files that are datasources of their own.

Lines of CSV and rows of Parquet are copied as they are, cells that can not be read included; only rejected records are
left out. Each part gives at most one file a side, whose name sorts as the part does, so the order of the records stays.
The same records give the same bytes.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from nightcast.datasource.arrow_arrays import Bools
    from nightcast.datasource.csv_lines import Lines
    from nightcast.datasource.parts import ByteSource, Datasource, Mapper, NumberedPart, Reject
    from nightcast.datasource.rearrangement import Rearrangement

SIDES = ("training", "evaluation")
_GZIP_LEVEL = 6
_GZIP_CONTAINER = 31  # zlib's largest window, in gzip's frame
_BATCH_RECORDS = 131_072


@dataclass(frozen=True)
class Counts:
    """Numbers of records: of each of `SIDES`, and rejected ones; and the first of these."""

    sides: tuple[int, int] = (0, 0)
    rejected: int = 0
    rejects: tuple[Reject, ...] = ()

    def __add__(self, other: Counts) -> Counts:
        from nightcast.datasource.rejects import NAMED_REJECTS

        first, second = self.sides
        rejects = (self.rejects + other.rejects)[:NAMED_REJECTS]
        return Counts((first + other.sides[0], second + other.sides[1]), self.rejected + other.rejected, rejects)


def split_records(
    datasource: Datasource,
    rearrangement: Rearrangement,
    source: ByteSource,
    mapper: Mapper,
    folder: Path | None = None,
) -> Counts:
    """Count the records that a rearrangement takes, and the others; write them if there is a folder.

    Parameters
    ----------
    rearrangement
        Takes the training side; the evaluation side are the others.
    folder
        On disk; it gets the folders `SIDES`.
    mapper
        Applies the part function; workers write to `folder` themselves.

    Raises
    ------
    DatasourceError
        When records can not be read, see `read_batches`, or the folder can not be written.
    """
    if folder is not None:
        for side in SIDES:
            (folder / side).mkdir(parents=True)
            (folder / side / ".schema").write_text(datasource.schema.to_json(), encoding="utf-8")
    total = Counts()
    split = partial(split_part, rearrangement=rearrangement, source=source, folder=folder)
    for counts in mapper(split, datasource.numbered()):
        total += counts
    return total


def check_null(datasource: Datasource) -> None:
    r"""Refuse a text for NULL that nothing in the written files would tell: only ``\N`` is that of a manifest."""
    from nightcast.datasource.locate import UNLOAD_NULL
    from nightcast.errors import DatasourceError

    null_as = datasource.parts[0].null_as
    if null_as not in ("", UNLOAD_NULL):
        raise DatasourceError(
            f"NULL is written {null_as!r}, which the two sides could not tell when they are read; convert the data so "
            f"that NULL is the empty cell or {UNLOAD_NULL}, or leave --output out and give --split to each command"
        )


def write_manifests(datasource: Datasource, folder: Path, base: str) -> None:
    r"""Where NULL is ``\N``, write the manifest into each side that says so.

    Parameters
    ----------
    folder
        Where the sides are written.
    base
        Where they will be: on disk or S3.
    """
    from nightcast.storage import is_s3, local_path

    if not datasource.parts[0].null_as:
        return
    place = base.rstrip("/") if is_s3(base) else local_path(base).resolve().as_uri()
    for side in SIDES:
        names = sorted(path.name for path in (folder / side).glob("part-*"))
        entries = [{"url": f"{place}/{side}/{name}", "mandatory": True} for name in names]
        (folder / side / "manifest").write_text(json.dumps({"entries": entries}, indent=1) + "\n", encoding="utf-8")


def split_part(numbered: NumberedPart, rearrangement: Rearrangement, source: ByteSource, folder: Path | None) -> Counts:
    """The part function of `split_records`."""
    sides, rejected, rejects = _sides_of(numbered, rearrangement, source)
    if folder is not None:
        from nightcast.datasource.parts import local_part

        copy = _copy_parquet if numbered.part.format == "PARQUET" else _copy_csv
        with local_part(numbered.part.uri, numbered.where, source) as path:
            copy(path, numbered, sides, folder)
    first, second = (int(side.sum()) for side in sides)
    return Counts((first, second), rejected, rejects)


def _sides_of(
    numbered: NumberedPart, rearrangement: Rearrangement, source: ByteSource
) -> tuple[tuple[Bools, Bools], int, tuple[Reject, ...]]:
    """Which records of a part go to each side: two masks of shape (records of the part,).

    Then how many go to none, and the first of these.
    """
    import numpy as np

    from nightcast.datasource.parts import read_batches
    from nightcast.datasource.rejects import NAMED_REJECTS

    rejects: tuple[Reject, ...] = ()
    taken = np.zeros(numbered.part.records, dtype=np.bool_)
    rejected = np.zeros(numbered.part.records, dtype=np.bool_)
    for batch in read_batches(numbered, source, rearrangement.columns(numbered.schema)):
        place = slice(
            batch.first_record - numbered.first_record, batch.first_record - numbered.first_record + len(batch)
        )
        taken[place] = rearrangement.mask(batch, numbered.total, numbered.schema.row_id)
        if batch.rejected is not None:
            rejected[place] = batch.rejected
            rejects = (rejects + batch.rejects)[:NAMED_REJECTS]
    return (taken & ~rejected, ~taken & ~rejected), int(rejected.sum()), rejects


def _copy_csv(path: Path, numbered: NumberedPart, sides: tuple[Bools, Bools], folder: Path) -> None:
    from nightcast.datasource.csv_bytes import chunks
    from nightcast.datasource.csv_lines import whole_lines

    blocks = whole_lines(chunks(path, numbered.where), _BATCH_RECORDS)
    with ExitStack() as stack:
        files = [stack.enter_context(_GzipFile(_place(folder, side, numbered, "csv.gz"))) for side in SIDES]
        for first, header, lines in _records(blocks, numbered.part.header):
            for file, side in zip(files, sides, strict=True):
                file.write_lines(header, lines, side[first : first + len(lines)])


def _records(blocks: Iterator[Lines], header: bool) -> Iterator[tuple[int, bytes, Lines]]:
    """Number of the first record of each block, the header line, and the records' lines."""
    from nightcast.datasource.csv_lines import Lines

    first, line = 0, b""
    for lines in blocks:
        if header and not line:
            end = int(lines.ends[0]) + 1
            line, lines = lines.data[:end], Lines(lines.data[end:], lines.ends[1:] - end)
        yield first, line, lines
        first += len(lines)


class _GzipFile:
    """A gzip file without name and time stamp, made by the first line that it gets."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: BinaryIO | None = None
        self.compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_CONTAINER)

    def write_lines(self, header: bytes, lines: Lines, taken: Bools) -> None:
        """Add the lines that are taken, with the header line before the first of them."""
        import numpy as np

        if not taken.any():
            return
        if self.file is None:
            self.file = self.path.open("wb")
            self._write(header)
        # Runs of lines, not lines: each copy is one slice.
        turns = np.flatnonzero(np.diff(taken.astype(np.int8), prepend=0, append=0))
        bounds = np.concatenate([np.zeros(1, dtype=np.int64), lines.ends + 1])[turns].tolist()
        self._write(b"".join([lines.data[start:end] for start, end in zip(bounds[::2], bounds[1::2], strict=True)]))

    def _write(self, content: bytes) -> None:
        if self.file is not None:
            self.file.write(self.compressor.compress(content))

    def __enter__(self) -> _GzipFile:
        return self

    def __exit__(self, *_: object) -> None:
        if self.file is not None:
            self.file.write(self.compressor.flush())
            self.file.close()


def _copy_parquet(path: Path, numbered: NumberedPart, sides: tuple[Bools, Bools], folder: Path) -> None:
    import pyarrow.parquet as pq

    from nightcast.datasource.arrow_arrays import bool_array

    writers: dict[str, Any] = {}
    with ExitStack() as stack:
        file = stack.enter_context(pq.ParquetFile(path))
        first = 0
        for batch in file.iter_batches(batch_size=_BATCH_RECORDS, use_threads=False):
            last = first + batch.num_rows
            for name, side in zip(SIDES, sides, strict=True):
                taken = side[first:last]
                if taken.any():
                    if name not in writers:
                        place = _place(folder, name, numbered, "parquet")
                        writer = pq.ParquetWriter(place, file.schema_arrow, compression="zstd")
                        writers[name] = stack.enter_context(writer)
                    writers[name].write_batch(batch.filter(bool_array(taken)))
            first = last


def _place(folder: Path, side: str, numbered: NumberedPart, suffix: str) -> Path:
    return folder / side / f"part-{numbered.row:05d}.{suffix}"
