"""The options of COPY from S3, read and checked as Redshift does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from nightcast.sandbox.errors import RedshiftError, UnsupportedError
from nightcast.sandbox.options import Words, flag, read_authorization, read_character, read_s3_location, text

_UNSUPPORTED = (
    "JSON", "AVRO", "ORC", "RCFILE", "SEQUENCEFILE", "SHAPEFILE", "FIXEDWIDTH", "LZOP", "SSH", "READRATIO",
    "MASTER_SYMMETRIC_KEY", "ENCRYPTED", "NOLOAD", "ACCEPTINVCHARS", "TRIMBLANKS", "MAXERROR", "SERIALIZETOJSON",
    "FILLRECORD",
)  # fmt: skip
_COMPRESSIONS: dict[str, Literal["gzip", "bz2", "zstd"]] = {"GZIP": "gzip", "BZIP2": "bz2", "ZSTD": "zstd"}
_NOT_WITH_PARQUET = (
    "DELIMITER", "NULL", "ESCAPE", "REMOVEQUOTES", "IGNOREHEADER", "EMPTYASNULL", "BLANKSASNULL", "DATEFORMAT",
    "TIMEFORMAT", "QUOTE", "COMPRESSION", "IGNOREBLANKLINES", "TRUNCATECOLUMNS", "ROUNDEC", "ACCEPTANYDATE",
)  # fmt: skip


@dataclass
class CopyOptions:
    """A parsed COPY. ``compression`` is pyarrow's name of it."""

    schema: str | None
    table: str
    columns: list[str]
    bucket: str
    prefix: str
    role: str | None = None
    format: str = "TEXT"
    delimiter: str = "|"
    quote: str = '"'
    null_as: str = "\\N"
    escape: bool = False
    remove_quotes: bool = False
    compression: Literal["gzip", "bz2", "zstd"] | None = None
    manifest: bool = False
    ignore_header: int = 0
    empty_as_null: bool = False
    blanks_as_null: bool = False
    ignore_blank_lines: bool = False
    truncate_columns: bool = False
    round_decimals: bool = False
    accept_any_date: bool = False
    explicit_ids: bool = False
    date_format: str = "YYYY-MM-DD"
    time_format: str = "YYYY-MM-DD HH:MI:SS"
    region: str | None = None
    given: set[str] = field(default_factory=set)


def parse_copy(sql: str) -> CopyOptions:
    """Read a COPY statement.

    Raises
    ------
    RedshiftError
        For a syntax error, an unknown option, options that exclude each other, a value out of range.
    """
    words = Words(sql)
    words.expect("COPY")
    schema, table = None, words.word().lower()
    while words.take("."):
        schema, table = table, words.word().lower()
    columns: list[str] = []
    if words.take("("):
        columns.append(words.word().lower())
        while words.take(","):
            columns.append(words.word().lower())
        words.expect(")")
    words.expect("FROM")
    location = words.string()
    if not location.startswith("s3://"):
        raise UnsupportedError(f"COPY from '{location}'")
    bucket, prefix = read_s3_location(location)
    options = CopyOptions(schema, table, columns, bucket, prefix)
    while not words.ended:
        role = read_authorization(words)
        name = "IAM_ROLE" if role is not None else _read_option(words, options)
        options.role = role or options.role
        if name in options.given:
            raise RedshiftError(f"conflicting or redundant options: {name}")
        options.given.add(name)
    _check(options)
    return options


def _read_option(words: Words, options: CopyOptions) -> str:
    formatted = words.take("FORMAT")
    if formatted:
        words.take("AS")
    name = words.peek()
    if name in _UNSUPPORTED:
        raise UnsupportedError(f"COPY {name}")
    if name in ("CSV", "PARQUET"):
        words.take(name)
        options.format = name
        return "FORMAT"
    if name in _COMPRESSIONS and words.take(name):
        options.compression = _COMPRESSIONS[name]
        return "COMPRESSION"
    read = _READERS.get(name)
    if read is None or formatted:
        raise words.syntax_error()
    words.take(name)
    read(words, options)
    return name


def _character(name: str) -> Callable[[Words, CopyOptions], None]:
    def read(words: Words, options: CopyOptions) -> None:
        words.take("AS")
        setattr(options, name, read_character(words.string(), name.upper()))

    return read


def _ignore_header(words: Words, options: CopyOptions) -> None:
    words.take("AS")
    options.ignore_header = int(words.number())


def _encoding(words: Words, options: CopyOptions) -> None:
    words.take("AS")
    encoding = words.word()
    if encoding.upper() not in ("UTF8", "UTF-8"):
        raise UnsupportedError(f"COPY ENCODING {encoding}")


def _no_effect(words: Words, options: CopyOptions) -> None:
    """COMPUPDATE and STATUPDATE: the sandbox keeps neither encodings nor statistics."""
    words.one_of("PRESET", "ON", "TRUE", "OFF", "FALSE")


def _comp_rows(words: Words, options: CopyOptions) -> None:
    words.number()


_READERS: dict[str, Callable[[Words, CopyOptions], None]] = {
    "DELIMITER": _character("delimiter"), "QUOTE": _character("quote"), "NULL": text("null_as"),
    "ESCAPE": flag("escape"), "REMOVEQUOTES": flag("remove_quotes"), "MANIFEST": flag("manifest"),
    "IGNOREHEADER": _ignore_header, "EMPTYASNULL": flag("empty_as_null"), "BLANKSASNULL": flag("blanks_as_null"),
    "IGNOREBLANKLINES": flag("ignore_blank_lines"), "TRUNCATECOLUMNS": flag("truncate_columns"),
    "ROUNDEC": flag("round_decimals"),
    "ACCEPTANYDATE": flag("accept_any_date"), "EXPLICIT_IDS": flag("explicit_ids"),
    "DATEFORMAT": text("date_format"), "TIMEFORMAT": text("time_format"), "REGION": text("region"),
    "ENCODING": _encoding, "COMPUPDATE": _no_effect, "STATUPDATE": _no_effect, "COMPROWS": _comp_rows,
}  # fmt: skip


def _check(options: CopyOptions) -> None:
    if options.role is None:
        raise RedshiftError("Missing credentials: give IAM_ROLE default or IAM_ROLE '<arn>'")
    if options.format == "CSV":
        for name in ("ESCAPE", "REMOVEQUOTES"):
            if name in options.given:
                raise RedshiftError(f"{name} is not supported for COPY from CSV")
        if "DELIMITER" not in options.given:
            options.delimiter = ","
    elif "QUOTE" in options.given:
        raise RedshiftError("QUOTE is only supported for COPY from CSV")
    if options.format == "PARQUET":
        for name in _NOT_WITH_PARQUET:
            if name in options.given:
                raise RedshiftError(f"{name} argument is not supported for PARQUET based COPY")
