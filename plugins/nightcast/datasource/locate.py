"""From a data argument to part files, and what these say of their columns before there is a schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from nightcast.datasource.csv_header import common_header, default_names, has_header
from nightcast.datasource.csv_lines import header_text
from nightcast.datasource.data_files import CSV, PARQUET, DataFiles, Lister, find_files, is_bucket
from nightcast.datasource.parts import Part, local_part
from nightcast.datasource.samples import SAMPLE_PARTS, FirstRows, first_rows
from nightcast.errors import DatasourceError
from nightcast.warehouse.manifest import is_verbose, read_manifest

UNLOAD_NULL = r"\N"
"""What stands for NULL in CSV that the unload task writes."""


@dataclass(frozen=True)
class Located:
    """The part files of a datasource, and what is known of their columns before there is a schema.

    Parameters
    ----------
    uri
        What was asked for.
    parts
        In record order; ``records`` is -1 where no verbose manifest tells it.
    names
        Names of the columns, in column order: those of the manifest, the Parquet file or the CSV header, else ``Var1``
        and so on.
    named
        Whether the names are the data's own.
    columns
        (name, Redshift type), where a verbose manifest tells them.
    manifest
        The UNLOAD manifest that names the parts, if one does.
    """

    uri: str
    parts: tuple[Part, ...]
    names: tuple[str, ...]
    named: bool
    columns: tuple[tuple[str, str], ...] = ()
    manifest: str | None = None

    @property
    def format(self) -> str:
        """``"PARQUET"`` or ``"CSV"``."""
        return self.parts[0].format

    @property
    def header(self) -> bool:
        """Whether each CSV part begins with a line of names."""
        return self.parts[0].header


def find_schema(data: str, source: Lister) -> str | None:
    """The schema that lies beside some data, where Amazon ML's console looked for it, or None.

    That is ``<file>.schema`` for a file and for a manifest, ``<folder>/.schema`` for a folder.
    """
    if is_bucket(data):
        return None
    beside = [f"{data}.schema"] if not data.endswith("/") else []
    return next((uri for uri in [*beside, f"{data.rstrip('/')}/.schema"] if source.size(uri) is not None), None)


def locate(
    data: str,
    source: Lister,
    *,
    names: Sequence[str] | None = None,
    header: bool | None = None,
    null_as: str | None = None,
) -> Located:
    """Find the part files that a data argument names, and what they say of their columns.

    Parameters
    ----------
    data
        As of `find_files`.
    names
        What a schema calls the columns.
    header
        Whether each CSV file begins with a line of names; None: as the first rows of up to eight files look, see
        `has_header` and `common_header`; where a manifest names the columns, those of one file with two rows.
    null_as
        What stands for NULL in a CSV cell without quotes. None: ``\\N`` for the files of a manifest, and where the
        first lines hold it; else the empty cell.

    Raises
    ------
    DatasourceError, ManifestError
        When the data can not be found, or are damaged; or when only some of the files begin with a header.
    """
    files = find_files(data, source)
    columns = _manifest_columns(files, source)
    if files.format == PARQUET:
        parts = _parts(files, source)
        filled = next(file.uri for file in files.files if file.bytes)
        own = tuple(name for name, _ in columns) or _parquet_names(filled, source)
        return Located(data, parts, own, True, columns, files.manifest)
    heads = _heads(files, source, most=1 if columns else SAMPLE_PARTS)
    expected = [name for name, _ in columns] or names
    if header is None:
        header = _begin_with_header(heads, expected)
    if null_as is None:
        null_as = UNLOAD_NULL if files.manifest or any(head.sentinel for head in heads.values()) else ""
    own, named = _csv_names(data, heads, expected, header=header)
    parts = _parts(files, source, header=header, null_as=null_as)
    return Located(data, parts, own, named or bool(columns), columns, files.manifest)


def _manifest_columns(files: DataFiles, source: Lister) -> tuple[tuple[str, str], ...]:
    if files.manifest is None:
        return ()
    content = source.read_bytes(files.manifest)
    if not is_verbose(content):
        return ()
    return tuple((column.name, column.base) for column in read_manifest(content, files.manifest).columns)


def _parts(files: DataFiles, source: Lister, *, header: bool = False, null_as: str = "") -> tuple[Part, ...]:
    records = [-1] * len(files.files)
    if files.manifest is not None:
        content = source.read_bytes(files.manifest)
        if is_verbose(content):
            manifest = read_manifest(content, files.manifest, header=header)
            manifest.reconcile({file.uri: file.bytes for file in files.files}.get)
            records = [entry.records for entry in manifest.entries]
    return tuple(
        Part(file.uri, count, file.bytes, files.format, header, null_as)
        for file, count in zip(files.files, records, strict=True)
    )


def _parquet_names(uri: str, source: Lister) -> tuple[str, ...]:
    where = f"part {uri}"
    with local_part(uri, where, source) as path:
        try:
            return tuple(pq.read_schema(path).names)
        except (OSError, pa.ArrowException) as fault:
            raise DatasourceError(f"{where} is damaged or no PARQUET file: {fault}; write it again") from fault


def _heads(files: DataFiles, source: Lister, *, most: int) -> dict[str, FirstRows]:
    """How some CSV files begin that have a row, by URI in record order: `most`, and more till one has two rows."""
    filled = [file for file in files.files if file.bytes]
    count = min(most, len(filled))
    chosen = [place * len(filled) // count for place in range(count)]
    found: dict[int, FirstRows] = {}
    for place in [*chosen, *(place for place in range(len(filled)) if place not in chosen)]:
        if len(found) >= count and any(len(head.rows) > 1 for head in found.values()):
            break
        head = first_rows(Part(filled[place].uri, -1, filled[place].bytes, CSV), source)
        if head.rows:
            found[place] = head
    return {filled[place].uri: found[place] for place in sorted(found)}


def _begin_with_header(heads: dict[str, FirstRows], expected: Sequence[str] | None) -> bool:
    names, common = sorted(expected or ()), common_header([head.rows for head in heads.values()])
    headed = [
        uri
        for uri, head in heads.items()
        if sorted(head.rows[0]) == names or head.rows[0] == common or has_header(head.rows)
    ]
    if not headed:
        return False
    header = heads[headed[0]].rows[0]
    for uri, head in heads.items():
        # The columns of a file with a header may have an order of their own.
        if sorted(head.rows[0]) != sorted(header):
            raise DatasourceError(
                f"{headed[0]} begins with the header {_listed(header)}, and {uri} with {_listed(head.rows[0])}; begin "
                "each file with the same names, or none; if no file has a header, set dataFileContainsHeader to false "
                "in the schema"
            )
    return True


def _listed(cells: Sequence[str]) -> str:
    shown = ", ".join(cell[:64] for cell in cells[:20])
    return shown + ", ..." if len(cells) > 20 else shown


def _csv_names(
    data: str, heads: dict[str, FirstRows], expected: Sequence[str] | None, *, header: bool
) -> tuple[tuple[str, ...], bool]:
    """Names of CSV columns, and whether they are the files' own."""
    if not heads:
        if expected is None:
            raise DatasourceError(f"{data} has no line that can be read, so that nothing tells its columns")
        return tuple(expected), False
    uri, head = next(((uri, head) for uri, head in heads.items() if len(head.rows) > 1), next(iter(heads.items())))
    if header:
        header_text(head.line, f"part {uri}")
        return head.rows[0], True
    widths = [len(row) for row in head.rows]
    # One broken line tells nothing.
    width = max(widths, key=widths.count)
    if expected is not None and len(expected) == width:
        return tuple(expected), False
    return default_names(width), False
