"""The files that a data argument names: a file, a folder, a prefix on S3, or an UNLOAD manifest."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import unquote

from nightcast.datasource.parts import ByteSource
from nightcast.errors import DatasourceError, ManifestError
from nightcast.warehouse.manifest import is_manifest, manifest_sizes, manifest_urls

CSV, PARQUET = "CSV", "PARQUET"
_GZIP = b"\x1f\x8b"
_HEAD_BYTES = 4096
# What other tools write, by the first bytes, so that nobody waits for a CSV reader to say that all is wrong.
_FOREIGN = {
    b"PK\x03\x04": "a zip archive", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"ORC": "ORC",
    b"Obj\x01": "Avro", b"SQLite format 3": "an SQLite database", b"%PDF": "PDF",
}  # fmt: skip


class Lister(ByteSource, Protocol):
    """Where bytes come from, and what lies there."""

    def sizes_below(self, prefix: str) -> dict[str, int]:
        """URI and bytes of all files below a folder or a prefix that ends in ``/``, sorted by URI."""
        ...

    def size(self, uri: str) -> int | None:
        """Bytes of a file, or None if it does not exist."""
        ...

    def read_bytes(self, uri: str, most: int | None = None) -> bytes:
        """All bytes of a small file, or its first `most`."""
        ...


@dataclass(frozen=True)
class DataFile:
    """One file: where it lies, its size in bytes, and its records where a manifest tells them (else -1)."""

    uri: str
    bytes: int
    records: int = -1


@dataclass(frozen=True)
class DataFiles:
    """The files that a data argument names.

    Parameters
    ----------
    uri
        What was asked for.
    format
        ``"PARQUET"`` or ``"CSV"``, of all files.
    files
        In record order: that of the manifest, or sorted by name.
    manifest
        The UNLOAD manifest that names them, if one does.
    """

    uri: str
    format: str
    files: tuple[DataFile, ...]
    manifest: str | None = None


def find_files(data: str, source: Lister) -> DataFiles:
    """The files that a data argument names.

    Parameters
    ----------
    data
        A file, a folder (on S3 it ends in ``/``), or an UNLOAD manifest: a path, ``file://`` or ``s3://``. A folder
        stands for the UNLOAD manifest in it, else for all files below it, sorted by name, without hidden files, those
        that begin with ``_``, schemas, manifests of any tool (JSON objects in files so called) and empty files.

    Raises
    ------
    DatasourceError
        When there is nothing, or several manifests, or files of several or of unknown formats.
    ManifestError
        When a file that the manifest names is missing, or has another size than the manifest says.
    """
    if is_bucket(data):
        raise DatasourceError(f"{data} is a bucket; a prefix on S3 must end in /, as in {data}/")
    if not data.endswith("/"):
        size = source.size(data)
        if size is not None:
            return _of_file(data, size, source)
        if data.startswith("s3://"):
            raise DatasourceError(f"{data} does not exist; a prefix on S3 must end in /, as in {data}/")
    sizes = source.sizes_below(data if data.endswith("/") else f"{data}/")
    if not sizes:
        raise DatasourceError(f"{data} does not exist, or holds no files; name a file, a folder or an UNLOAD manifest")
    return _of_folder(data, sizes, source)


def is_bucket(data: str) -> bool:
    """Whether a data argument names a bucket alone, as ``s3://bucket`` does and ``s3://bucket/`` does not."""
    return data.startswith("s3://") and "/" not in data.removeprefix("s3://")


def _of_file(uri: str, size: int, source: Lister) -> DataFiles:
    if size == 0:
        raise DatasourceError(f"{uri} is empty; write it again")
    if source.read_bytes(uri, 1) == b"{":
        content = source.read_bytes(uri)
        if is_manifest(content):
            return _of_manifest(uri, uri, content, source)
    return DataFiles(uri, format_of(uri, source), (DataFile(uri, size),))


def _of_folder(folder: str, sizes: dict[str, int], source: Lister) -> DataFiles:
    objects = {uri: content for uri in sizes if (content := _called_manifest(uri, source)) is not None}
    manifests = [(uri, content) for uri, content in objects.items() if is_manifest(content)]
    if len(manifests) > 1:
        listed = ", ".join(uri for uri, _ in manifests[:5])
        raise DatasourceError(f"{folder} holds {len(manifests)} UNLOAD manifests ({listed}); name one of them")
    if manifests:
        return _of_manifest(folder, *manifests[0], source)
    files = tuple(
        DataFile(uri, size) for uri, size in sizes.items() if size and uri not in objects and _is_data(uri, folder)
    )
    if not files:
        raise DatasourceError(f"{folder} holds no files with data; hidden, empty and .schema files do not count")
    return DataFiles(folder, _common_format([file.uri for file in files], source), files)


def _of_manifest(asked: str, uri: str, content: bytes, source: Lister) -> DataFiles:
    files = []
    for url, told in zip(manifest_urls(content), manifest_sizes(content), strict=True):
        size = source.size(url)
        if size is None:
            raise ManifestError(
                f"{uri} names {url}, which does not exist. Was it deleted, by a lifecycle rule say? Unload again."
            )
        if told is not None and size != told:
            raise ManifestError(
                f"{url} has {size:,} bytes, {uri} says {told:,}. It was overwritten or cut off; unload again."
            )
        files.append(DataFile(url, size))
    filled = [file.uri for file in files if file.bytes]
    if not filled:
        raise ManifestError(f"{uri} names no file with data: nothing was unloaded. Change the query, or its period.")
    return DataFiles(asked, _common_format(filled, source), tuple(files), uri)


def _common_format(uris: Sequence[str], source: Lister) -> str:
    formats = {uri: format_of(uri, source) for uri in uris}
    first = formats[uris[0]]
    for uri, found in formats.items():
        if found != first:
            raise DatasourceError(
                f"{uris[0]} is {first} and {uri} is {found}; a datasource is of one format: name the files of one"
            )
    return first


def format_of(uri: str, source: Lister) -> str:
    """``"PARQUET"`` or ``"CSV"``, by the first bytes of a file and never by its name.

    Raises
    ------
    DatasourceError
        When the bytes are those of another format, such as JSON or a zip archive, or of Parquet within gzip.
    """
    head = source.read_bytes(uri, _HEAD_BYTES)
    if head.startswith(b"PAR1"):
        return PARQUET
    if head.startswith(_GZIP):
        head = _unzipped(head, uri)
        if head.startswith(b"PAR1"):
            raise DatasourceError(f"{uri} is Parquet within gzip; unzip it: Parquet is compressed by itself")
    foreign = next((name for magic, name in _FOREIGN.items() if head.startswith(magic)), None)
    if foreign is None and _is_json(head):
        foreign = "JSON"
    if foreign is not None:
        raise DatasourceError(f"{uri} is {foreign}; CSV, gzip CSV and Parquet can be read: write it as one of them")
    return CSV


def _unzipped(head: bytes, uri: str) -> bytes:
    try:
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(head, _HEAD_BYTES)
    except zlib.error as fault:
        raise DatasourceError(f"{uri} is truncated or damaged: {fault}; write it again") from fault


def _is_json(head: bytes) -> bool:
    """Whether text begins as an object or a list of objects does; a CSV cell rarely begins with ``{"``."""
    start = b"".join(head[:80].split())
    return start.startswith((b'{"', b'[{"', b"[["))


def _is_data(uri: str, folder: str) -> bool:
    # A folder may lie below a hidden one; what counts is what lies below the folder itself.
    base = folder if "://" in folder else Path(folder).absolute().as_uri()
    below = unquote(uri).removeprefix(unquote(base).rstrip("/") + "/")
    hidden = any(piece.startswith((".", "_")) for piece in below.split("/"))
    return not hidden and not uri.endswith((".schema", "/"))


def _called_manifest(uri: str, source: Lister) -> bytes | None:
    """Content of a JSON object that is called a manifest, else None.

    UNLOAD writes ``<prefix>manifest``; a batch prediction's is called ``.manifest``. Data may be called so as well.
    """
    if not PurePosixPath(uri).name.lower().removesuffix(".json").endswith("manifest"):
        return None
    if not source.read_bytes(uri, _HEAD_BYTES).lstrip().startswith(b"{"):
        return None
    content = source.read_bytes(uri)
    try:
        return content if isinstance(json.loads(content), dict) else None
    except (ValueError, RecursionError):
        return None
