"""Redshift's column types: how DuckDB stores them, and what the manifest and the Data API call them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from nightcast.sandbox.errors import RedshiftError, UnsupportedError

VARCHAR_MAXIMUM = 65535
_DEFAULT_LENGTH = {"character": 1, "character varying": 256}

# base name (as in a verbose manifest): DuckDB's type, the Data API's typeName
_BASES = {
    "smallint": ("SMALLINT", "int2"),
    "integer": ("INTEGER", "int4"),
    "bigint": ("BIGINT", "int8"),
    "numeric": ("DECIMAL", "numeric"),
    "real": ("REAL", "float4"),
    "double precision": ("DOUBLE", "float8"),
    "boolean": ("BOOLEAN", "bool"),
    "character": ("VARCHAR", "bpchar"),
    "character varying": ("VARCHAR", "varchar"),
    "date": ("DATE", "date"),
    "timestamp without time zone": ("TIMESTAMP", "timestamp"),
    "timestamp with time zone": ("TIMESTAMPTZ", "timestamptz"),
    "time without time zone": ("TIME", "time"),
}
INTEGER_BASES = ("smallint", "integer", "bigint")


@dataclass(frozen=True)
class RedshiftType:
    """One column type; ``length`` of characters in bytes, ``precision`` and ``scale`` of numeric."""

    base: str
    length: int | None = None
    precision: int | None = None
    scale: int | None = None

    def __str__(self) -> str:
        if self.length is not None:
            return f"{self.base}({self.length})"
        return f"{self.base}({self.precision},{self.scale})" if self.base == "numeric" else self.base

    @property
    def is_text(self) -> bool:
        return self.base in ("character", "character varying")

    @property
    def duckdb(self) -> str:
        """The type in DuckDB's DDL; lengths are kept by a CHECK, as DuckDB ignores them."""
        name = _BASES[self.base][0]
        return f"{name}({self.precision},{self.scale})" if self.base == "numeric" else name

    @property
    def data_api_name(self) -> str:
        return _BASES[self.base][1]

    def manifest_entry(self) -> dict[str, Any]:
        """The ``type`` of a column in a verbose UNLOAD manifest."""
        entry: dict[str, Any] = {"base": self.base}
        if self.is_text:
            entry["max_length"] = self.length
        if self.base == "numeric":
            entry |= {"precision": self.precision, "scale": self.scale}
        return entry


def parse_type(text: str) -> RedshiftType:
    """Read back what ``str(RedshiftType)`` wrote."""
    match = re.fullmatch(r"([a-z ]+?)(?:\((\d+)(?:,(\d+))?\))?", text)
    if match is None or match[1] not in _BASES:
        raise ValueError(f"not a Redshift type: {text}")
    base, first, second = match.groups()
    if base == "numeric":
        return RedshiftType(base, precision=int(first), scale=int(second))
    return RedshiftType(base, length=int(first) if first else None)


_FROM_SQLGLOT = {
    exp.DataType.Type.SMALLINT: "smallint",
    exp.DataType.Type.INT: "integer",
    exp.DataType.Type.BIGINT: "bigint",
    exp.DataType.Type.DECIMAL: "numeric",
    exp.DataType.Type.FLOAT: "real",
    exp.DataType.Type.DOUBLE: "double precision",
    exp.DataType.Type.BOOLEAN: "boolean",
    exp.DataType.Type.CHAR: "character",
    exp.DataType.Type.NCHAR: "character",
    exp.DataType.Type.BPCHAR: "character",
    exp.DataType.Type.VARCHAR: "character varying",
    exp.DataType.Type.NVARCHAR: "character varying",
    exp.DataType.Type.TEXT: "character varying",
    exp.DataType.Type.DATE: "date",
    exp.DataType.Type.TIMESTAMP: "timestamp without time zone",
    exp.DataType.Type.TIMESTAMPNTZ: "timestamp without time zone",
    exp.DataType.Type.TIMESTAMPTZ: "timestamp with time zone",
    exp.DataType.Type.TIME: "time without time zone",
}
_OTHER_REDSHIFT_TYPES = {"SUPER", "GEOMETRY", "GEOGRAPHY", "HLLSKETCH", "VARBINARY", "VARBYTE", "TIMETZ", "INTERVAL"}


def from_sqlglot(kind: exp.DataType) -> RedshiftType:
    """Turn a type as parsed in a statement into ours.

    Raises
    ------
    UnsupportedError
        For types that Redshift knows and the sandbox does not.
    RedshiftError
        For types that Redshift does not know, and for sizes out of range.
    """
    base = _FROM_SQLGLOT.get(kind.this)
    if base is None:
        name = kind.name if kind.this == exp.DataType.Type.USERDEFINED else str(kind.this.value)
        if name.upper() in _OTHER_REDSHIFT_TYPES:
            raise UnsupportedError(f"type {name.upper()}")
        raise RedshiftError(f'type "{name.lower()}" does not exist')
    sizes = [_size(argument) for argument in kind.expressions]
    if base == "numeric":
        precision, scale = (sizes + [18, 0][len(sizes) :])[:2]
        if not 1 <= precision <= 38 or not 0 <= scale <= min(precision, 37):
            raise RedshiftError(f"NUMERIC precision {precision} must be between 1 and 38, scale {scale} within it")
        return RedshiftType(base, precision=precision, scale=scale)
    if base in _DEFAULT_LENGTH:
        length = sizes[0] if sizes else _DEFAULT_LENGTH[base]
        maximum = 4096 if base == "character" else VARCHAR_MAXIMUM
        if not 1 <= length <= maximum:
            raise RedshiftError(f"length for type {base} must be between 1 and {maximum}")
        return RedshiftType(base, length=length)
    return RedshiftType(base)


def _size(argument: exp.Expr) -> int:
    text = argument.name.upper()
    return VARCHAR_MAXIMUM if text == "MAX" else int(text)


_FROM_DUCKDB = {
    "TINYINT": "smallint", "SMALLINT": "smallint", "UTINYINT": "smallint", "INTEGER": "integer",
    "USMALLINT": "integer", "BIGINT": "bigint", "UINTEGER": "bigint", "UBIGINT": "bigint", "HUGEINT": "bigint",
    "UHUGEINT": "bigint", "FLOAT": "real", "DOUBLE": "double precision", "BOOLEAN": "boolean", "DATE": "date",
    "TIMESTAMP": "timestamp without time zone", "TIMESTAMP_S": "timestamp without time zone",
    "TIMESTAMP_MS": "timestamp without time zone", "TIMESTAMP_NS": "timestamp without time zone",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone", "TIME": "time without time zone",
    "BIGNUM": "numeric",
}  # fmt: skip


def from_duckdb_type(name: str, text: RedshiftType | None = None) -> RedshiftType:
    """The Redshift type that a result column of DuckDB's type ``name`` is shown as.

    Integers wider than 64 bits (DuckDB's sum) are shown, and cast, as bigint; anything that is no
    type of Redshift's as text. ``text`` is the best known type of text columns.
    """
    decimal = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", name)
    if decimal:
        return RedshiftType("numeric", precision=int(decimal[1]), scale=int(decimal[2]))
    base = _FROM_DUCKDB.get(name)
    if base is None or base == "numeric":
        return text if text is not None and text.length else RedshiftType("character varying", length=VARCHAR_MAXIMUM)
    return RedshiftType(base)
