"""The options of UNLOAD, read and checked as Redshift does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nightcast.sandbox.errors import RedshiftError, UnsupportedError
from nightcast.sandbox.options import Words, flag, read_authorization, read_character, read_s3_location, text

MEGABYTE = 1024 * 1024
DEFAULT_FILE_BYTES = int(6.2 * 1024 * MEGABYTE)
_UNSUPPORTED = ("JSON", "PARTITION", "PARTITION BY", "FIXEDWIDTH", "MASTER_SYMMETRIC_KEY", "CONFIRM_ACCESS", "ICEBERG")
_NOT_WITH_CSV = ("ESCAPE", "ADDQUOTES")
_NOT_WITH_PARQUET = ("DELIMITER", "ADDQUOTES", "ESCAPE", "NULL", "HEADER", "GZIP", "BZIP2", "ZSTD")
_COMPRESSIONS = {"GZIP": ".gz", "BZIP2": ".bz2", "ZSTD": ".zst"}


@dataclass
class UnloadOptions:
    """A parsed UNLOAD. Sizes in bytes; ``delimiter`` and ``null_as`` as they are written to the files."""

    query: str
    bucket: str
    prefix: str
    role: str | None = None
    format: str = "TEXT"
    delimiter: str = "|"
    null_as: str = ""
    header: bool = False
    add_quotes: bool = False
    escape: bool = False
    compression: str | None = None
    manifest: bool = False
    verbose: bool = False
    parallel: bool = True
    max_file_bytes: int = DEFAULT_FILE_BYTES
    row_group_bytes: int = 32 * MEGABYTE
    extension: str | None = None
    region: str | None = None
    allow_overwrite: bool = False
    clean_path: bool = False
    encrypted: bool = False
    encrypted_auto: bool = False
    kms_key_id: str | None = None

    @property
    def suffix(self) -> str:
        """What the names of the files end with."""
        if self.extension is not None:
            return f".{self.extension}"
        return ".parquet" if self.format == "PARQUET" else _COMPRESSIONS.get(self.compression or "", "")

    @property
    def encryption(self) -> dict[str, str]:
        """The arguments of PutObject that encrypt as asked; without any, S3 does so by itself."""
        if self.kms_key_id is not None:
            return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.kms_key_id}
        return {}


def parse_unload(sql: str) -> UnloadOptions:
    """Read an UNLOAD statement.

    Raises
    ------
    RedshiftError
        For a syntax error, an unknown option, options that exclude each other, a value out of range.
    """
    words = Words(sql)
    words.expect("UNLOAD")
    words.expect("(")
    query = words.string()
    words.expect(")")
    words.expect("TO")
    bucket, prefix = read_s3_location(words.string())
    options = UnloadOptions(query, bucket, prefix)
    seen: dict[str, str] = {}
    while not words.ended:
        role = read_authorization(words)
        name = "IAM_ROLE" if role is not None else words.peek()
        if role is not None:
            options.role = role
        else:
            name = _read_option(words, options)
        if name in seen:
            raise RedshiftError(f"conflicting or redundant options: {name}")
        seen[name] = name
    _check(options, set(seen))
    return options


def _read_option(words: Words, options: UnloadOptions) -> str:
    """Read one option into ``options``; its canonical name."""
    formatted = words.take("FORMAT")
    if formatted:
        words.take("AS")
    name = words.peek()
    if name in _UNSUPPORTED:
        raise UnsupportedError(f"UNLOAD {name}")
    if name in ("CSV", "PARQUET"):
        words.take(name)
        options.format = name
        return "FORMAT"
    read = _READERS.get(name)
    if read is None or formatted:
        raise words.syntax_error()
    words.take(name)
    read(words, options)
    return "COMPRESSION" if name in _COMPRESSIONS else name


def _compression(name: str) -> Callable[[Words, UnloadOptions], None]:
    def read(words: Words, options: UnloadOptions) -> None:
        options.compression = name

    return read


def _manifest(words: Words, options: UnloadOptions) -> None:
    options.manifest, options.verbose = True, words.take("VERBOSE")


def _delimiter(words: Words, options: UnloadOptions) -> None:
    words.take("AS")
    options.delimiter = read_character(words.string(), "DELIMITER")


def _encrypted(words: Words, options: UnloadOptions) -> None:
    options.encrypted, options.encrypted_auto = True, words.take("AUTO")


def _parallel(words: Words, options: UnloadOptions) -> None:
    options.parallel = words.one_of("ON", "TRUE", "OFF", "FALSE") not in ("OFF", "FALSE")


def _bytes(words: Words, option: str, low: float, high: float) -> int:
    words.take("AS")
    number = words.number()
    megabytes = number * 1024 if words.one_of("MB", "GB") == "GB" else number
    if not low <= megabytes <= high:
        shown = f"{low:g} MB and {high / 1024:g} GB" if high > 1024 else f"{low:g} MB and {high:g} MB"
        raise RedshiftError(f"{option} must be between {shown}, not {megabytes:g} MB")
    return int(megabytes * MEGABYTE)


def _max_file_size(words: Words, options: UnloadOptions) -> None:
    options.max_file_bytes = _bytes(words, "MAXFILESIZE", 5, 6.2 * 1024)


def _row_group_size(words: Words, options: UnloadOptions) -> None:
    options.row_group_bytes = _bytes(words, "ROWGROUPSIZE", 32, 128)


_READERS: dict[str, Callable[[Words, UnloadOptions], None]] = {
    "MANIFEST": _manifest, "HEADER": flag("header"), "DELIMITER": _delimiter, "ENCRYPTED": _encrypted,
    "KMS_KEY_ID": text("kms_key_id"), "GZIP": _compression("GZIP"), "BZIP2": _compression("BZIP2"),
    "ZSTD": _compression("ZSTD"), "ADDQUOTES": flag("add_quotes"), "NULL": text("null_as"),
    "ESCAPE": flag("escape"), "ALLOWOVERWRITE": flag("allow_overwrite"), "CLEANPATH": flag("clean_path"),
    "PARALLEL": _parallel, "MAXFILESIZE": _max_file_size, "ROWGROUPSIZE": _row_group_size,
    "REGION": text("region"), "EXTENSION": text("extension"),
}  # fmt: skip


def _check(options: UnloadOptions, seen: set[str]) -> None:
    if options.role is None:
        raise RedshiftError("Missing credentials: give IAM_ROLE default or IAM_ROLE '<arn>'")
    if options.clean_path and options.allow_overwrite:
        raise RedshiftError("CLEANPATH and ALLOWOVERWRITE options cannot be specified together")
    given = seen | {options.compression or ""}
    excluded = {"CSV": _NOT_WITH_CSV, "PARQUET": _NOT_WITH_PARQUET}.get(options.format, ())
    for name in excluded:
        if name in given:
            shown = "NULL AS" if name == "NULL" else name
            raise RedshiftError(f"{shown} is not supported for UNLOAD to {options.format}")
    if "ROWGROUPSIZE" in seen and options.format != "PARQUET":
        raise RedshiftError("ROWGROUPSIZE is only supported for UNLOAD to PARQUET")
    if options.encrypted and not options.encrypted_auto and options.kms_key_id is None:
        raise RedshiftError("ENCRYPTED needs KMS_KEY_ID; give one, or ENCRYPTED AUTO for the bucket's default key")
    if options.kms_key_id is not None and (not options.encrypted or options.encrypted_auto):
        raise RedshiftError("KMS_KEY_ID needs ENCRYPTED, without AUTO")
    if options.format == "CSV" and "DELIMITER" not in seen:
        options.delimiter = ","
