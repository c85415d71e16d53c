"""Tables of one's own in the sandbox: kept as files, and loaded by CREATE TABLE and COPY whenever a stack starts."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from nightcast.errors import NightcastError
from nightcast.sandbox.sample_load import TABLES, replace_by_copy, run_transaction

_TABLE = re.compile(r"[a-z_][a-z0-9_]{0,126}")
_DELIMITERS = ",|\t;"
_DESCRIPTION = "file.json"


class OwnTableError(NightcastError):
    """A file can not become a table of the sandbox."""


@dataclass(frozen=True)
class OwnTable:
    """A table and the file that it is loaded from.

    Parameters
    ----------
    columns
        As they stand in CREATE TABLE.
    copy
        Options of its COPY, without the role.
    """

    name: str
    file: str
    columns: str
    copy: str

    def statements(self, address: str, iam_role: str) -> list[str]:
        """DROP, CREATE and COPY."""
        return replace_by_copy(self.name, self.columns, address, iam_role, self.copy)


def keep(folder: Path, name: str, file: Path, *, columns: str | None = None, delimiter: str | None = None) -> OwnTable:
    """Copy a file into a folder of tables, with what is needed to load it; gives the table.

    Parameters
    ----------
    folder
        Where tables are kept; created when needed. A table of the name is replaced.
    file
        CSV or other delimited text with a header line, perhaps gzipped, or Parquet.
    columns
        Names and Redshift types as in CREATE TABLE; None: both are taken from the file.
    delimiter
        None: whichever of ``, | tab ;`` is in the header line.

    Raises
    ------
    OwnTableError
        If the file can not be read, or a name is none of a table or column.
    """
    if not _TABLE.fullmatch(name) or name in TABLES:
        raise OwnTableError(
            f"{name!r} can not be the name of a table: write small letters, digits and _, and no name "
            f"of the sample ({', '.join(TABLES)})."
        )
    try:
        kind = _parquet(file) if file.name.endswith(".parquet") else _delimited(file, delimiter)
    except (OSError, pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise OwnTableError(
            f"{file} can not be read as a table ({error}): it must be Parquet, named *.parquet, or delimited text with "
            "a header line, gzipped if named *.gz."
        ) from error
    schema, copy = kind
    table = OwnTable(name, file.name, columns or _columns(schema, file), copy)
    place = folder / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    shutil.copyfile(file, place / file.name)
    (place / _DESCRIPTION).write_text(json.dumps(asdict(table), indent=2))
    return table


def load_kept(
    folder: Path, redshift: Any, s3: Any, *, bucket: str, database: str, workgroup_name: str, iam_role: str
) -> list[str]:
    """Load all kept tables by boto3 clients, each in a transaction of its own; gives their names.

    Raises
    ------
    SampleError
        With Redshift's message, when a table can not be loaded.
    """
    names = []
    for description in sorted(folder.glob(f"*/{_DESCRIPTION}")):
        table = OwnTable(**json.loads(description.read_text()))
        key = f"tables/{table.name}/{table.file}"
        s3.upload_file(str(description.parent / table.file), bucket, key)
        statements = table.statements(f"s3://{bucket}/{key}", iam_role)
        what = f"the table {table.name}"
        run_transaction(redshift, statements, database=database, workgroup_name=workgroup_name, what=what)
        names.append(table.name)
    return names


def _parquet(file: Path) -> tuple[pa.Schema, str]:
    return pq.read_schema(file), "format as parquet"


def _delimited(file: Path, delimiter: str | None) -> tuple[pa.Schema, str]:
    """Types of all values, and how COPY reads the file."""
    gzipped = file.name.endswith(".gz")
    with pa.input_stream(str(file)) as stream:
        head = stream.read(1 << 16).decode("utf-8", errors="ignore")
    header, _, rest = head.partition("\n")
    found = delimiter or max(_DELIMITERS, key=header.count)
    # COPY's CSV knows quotes; other text has none, so that a quote in it is a character like any other.
    quoted = found == "," or '"' in header or f'{found}"' in rest or rest.startswith('"')
    table = csv.read_csv(
        str(file),
        parse_options=csv.ParseOptions(delimiter=found, quote_char='"' if quoted else False),
        convert_options=csv.ConvertOptions(strings_can_be_null=True, null_values=[""]),
    )
    shown = "\\t" if found == "\t" else found
    pieces = ["csv" if quoted else "", f"delimiter '{shown}'", "gzip" if gzipped else "", "ignoreheader 1 emptyasnull"]
    options = " ".join(piece for piece in pieces if piece) + " dateformat 'auto' timeformat 'auto'"
    return _with_lengths(table), options


def _with_lengths(table: pa.Table) -> pa.Schema:
    """The schema; of texts the metadata say the longest one's bytes."""
    import pyarrow.compute as pc

    fields = []
    for place, field in enumerate(table.schema):
        longest = pc.max(pc.binary_length(table.column(place))).as_py() if pa.types.is_string(field.type) else None
        fields.append(field.with_metadata({"longest": str(longest or 1)}))
    return pa.schema(fields)


def _columns(schema: pa.Schema, file: Path) -> str:
    names = [field.name.strip().lower() for field in schema]
    for name in names:
        if not _TABLE.fullmatch(name):
            raise OwnTableError(
                f"{file} has a column {name!r}, which Redshift takes in quotes only: rename it, or give --columns "
                "'name type, ...' for all columns in their order."
            )
    return ", ".join(f"{name} {_redshift_type(field)}" for name, field in zip(names, schema, strict=True))


def _redshift_type(field: pa.Field[Any]) -> str:
    kind = field.type
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    if pa.types.is_timestamp(kind):
        return "timestamp" if kind.tz is None else "timestamptz"
    for matches, name in _TYPES:
        if matches(kind):
            return name
    longest = int((field.metadata or {}).get(b"longest", b"32767"))
    # Room for longer texts of a later file.
    return f"varchar({min(max(2 * longest, 16), 65535)})"


_TYPES = (
    (lambda kind: pa.types.is_int16(kind) or pa.types.is_int8(kind), "smallint"),
    (pa.types.is_int32, "integer"),
    (pa.types.is_integer, "bigint"),
    (pa.types.is_float32, "real"),
    (pa.types.is_floating, "double precision"),
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_date, "date"),
)


def main(arguments: list[str] | None = None) -> int:
    """What ``make load`` does; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m nightcast.sandbox.own_tables",
        description="Keep a file as a table of the sandbox. Each `make run`, `make up` and `make backfill` loads it.",
    )
    parser.add_argument("table", help="name of the table")
    parser.add_argument("file", type=Path, help="delimited text with a header line, perhaps gzipped, or Parquet")
    parser.add_argument("--columns", help="'name type, ...' as in CREATE TABLE; default: as the file's values are")
    parser.add_argument("--delimiter", help="default: whichever of , | tab ; is in the header line")
    parser.add_argument("--project", type=Path, default=Path.cwd(), help="folder with dags/ and plugins/")
    options = parser.parse_args(arguments)
    folder = tables_of(options.project)
    try:
        table = keep(
            folder, options.table, options.file, columns=options.columns or None, delimiter=options.delimiter or None
        )
    except NightcastError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"kept {options.file} as the table {table.name}:\n  " + table.columns.replace(", ", "\n  "))
    return 0


def tables_of(project: Path) -> Path:
    """Where a project keeps its own tables."""
    return project / ".nightcast" / "tables"


if __name__ == "__main__":
    sys.exit(main())
