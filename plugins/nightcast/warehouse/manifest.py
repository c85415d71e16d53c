"""The manifest that ``UNLOAD ... MANIFEST VERBOSE`` leaves on S3: what was unloaded, and nothing else.

A datasource is what its manifest names, never what lies below a prefix: left-over files of an
earlier unload must not join in.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nightcast.errors import ManifestError


@dataclass(frozen=True)
class ManifestEntry:
    """One file: where it lies, its size in bytes and its records (header line not counted)."""

    uri: str
    bytes: int
    records: int


@dataclass(frozen=True)
class ManifestColumn:
    """One column and its Redshift type, such as ``character varying`` or ``numeric``."""

    name: str
    base: str


@dataclass(frozen=True)
class Manifest:
    """A read manifest; entries in manifest order, which is record order."""

    uri: str
    entries: tuple[ManifestEntry, ...]
    columns: tuple[ManifestColumn, ...]

    @property
    def records(self) -> int:
        """Records of all files."""
        return sum(entry.records for entry in self.entries)

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(entry.bytes for entry in self.entries)

    def reconcile(self, size_of: Callable[[str], int | None]) -> None:
        """Compare with what lies on S3.

        Parameters
        ----------
        size_of
            Bytes of an object, or None if it does not exist.

        Raises
        ------
        ManifestError
            If a file is missing, or has another size than the manifest says.
        """
        for entry in self.entries:
            size = size_of(entry.uri)
            if size is None:
                raise ManifestError(
                    f"{self.uri} names {entry.uri}, which does not exist. Was it deleted, by a lifecycle "
                    "rule say? Clear the unload task to unload again."
                )
            if size != entry.bytes:
                raise ManifestError(
                    f"{entry.uri} has {size:,} bytes, {self.uri} says {entry.bytes:,}. It was overwritten "
                    "or cut off; clear the unload task to unload again."
                )


def is_manifest(text: str | bytes) -> bool:
    """Whether a text is a manifest of UNLOAD, verbose or not: a JSON object with ``entries`` that have a ``url``."""
    try:
        content = json.loads(text)
        return len(content["entries"]) > 0 and all(isinstance(item["url"], str) for item in content["entries"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def is_verbose(text: str | bytes) -> bool:
    """Whether a manifest tells columns and numbers of records, as `read_manifest` wants it."""
    content = json.loads(text)
    return "schema" in content and "meta" in content


def manifest_urls(text: str | bytes) -> list[str]:
    """Where the files of a manifest lie, verbose or not, in manifest order."""
    return [item["url"] for item in json.loads(text)["entries"]]


def manifest_sizes(text: str | bytes) -> list[int | None]:
    """Bytes of the files of a manifest, verbose or not, in manifest order; None where it does not tell them."""
    told = [item.get("meta") for item in json.loads(text)["entries"]]
    sizes = [meta.get("content_length") if isinstance(meta, dict) else None for meta in told]
    return [size if isinstance(size, int) else None for size in sizes]


def read_manifest(text: str | bytes, uri: str, *, header: bool = False) -> Manifest:
    """Read a verbose manifest.

    Parameters
    ----------
    text
        The manifest's JSON.
    uri
        Where it lies; for messages.
    header
        Whether the files have a header line, which Redshift counts as a record.

    Raises
    ------
    ManifestError
        If it is no verbose UNLOAD manifest, or its sums disagree with its entries.
    """
    try:
        content = json.loads(text)
        entries = tuple(_entry(item, header) for item in content["entries"])
        columns = tuple(
            ManifestColumn(str(item["name"]), str(item["type"]["base"])) for item in content["schema"]["elements"]
        )
        total = int(content["meta"]["record_count"]), int(content["meta"]["content_length"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ManifestError(
            f"{uri} is not a manifest of UNLOAD with MANIFEST VERBOSE ({type(error).__name__}: {error})."
        ) from error
    manifest = Manifest(uri, entries, columns)
    counted = manifest.records + (len(entries) if header else 0)
    if total != (counted, manifest.bytes):
        raise ManifestError(
            f"{uri} says {total[0]:,} records in {total[1]:,} bytes; its files add up to {counted:,} in "
            f"{manifest.bytes:,}. Clear the unload task to unload again."
        )
    if not columns:
        raise ManifestError(f"{uri} names no columns.")
    return manifest


def _entry(item: Any, header: bool) -> ManifestEntry:
    records = int(item["meta"]["record_count"]) - (1 if header else 0)
    if records < 0:
        raise ValueError(f"{item['url']} has no header line")
    return ManifestEntry(str(item["url"]), int(item["meta"]["content_length"]), records)
