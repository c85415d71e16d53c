"""Which files a COPY reads: those below a prefix, or those that a manifest names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from nightcast.sandbox.copy_options import CopyOptions
from nightcast.sandbox.errors import RedshiftError
from nightcast.sandbox.options import read_s3_location
from nightcast.sandbox.s3_access import S3Access


@dataclass(frozen=True)
class SourceFile:
    """One object to load."""

    bucket: str
    key: str

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def source_files(options: CopyOptions, s3: S3Access) -> list[SourceFile]:
    """The files of a COPY, in the order in which they are loaded.

    Raises
    ------
    RedshiftError
        When there is none, when the manifest is unreadable, or lacks a file that it calls mandatory.
    """
    if options.manifest:
        return _from_manifest(options, s3)
    s3.check_region(options.bucket, options.region)
    files = [
        SourceFile(options.bucket, key)
        for key, size in s3.keys(options.bucket, options.prefix)
        if size or key[-1:] != "/"
    ]
    if not files:
        raise RedshiftError(f"The specified S3 prefix '{options.prefix}' does not exist")
    return files


def _from_manifest(options: CopyOptions, s3: S3Access) -> list[SourceFile]:
    where = f"s3://{options.bucket}/{options.prefix}"
    try:
        s3.check_region(options.bucket, options.region)
        manifest = json.loads(s3.read(options.bucket, options.prefix))
        entries = manifest["entries"]
        urls = [entry["url"] for entry in entries]
    except RedshiftError as error:
        raise RedshiftError(f"Problem reading manifest file - {error} ({where})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RedshiftError(f"Problem reading manifest file - invalid manifest: {error!r} ({where})") from error
    found = []
    for entry, url in zip(entries, urls, strict=True):
        bucket, key = read_s3_location(url)
        size = s3.size(bucket, key)
        _check_entry(options, entry, url, size)
        if size is not None:
            found.append(SourceFile(bucket, key))
    if not found:
        raise RedshiftError(f"No valid file found for COPY: no file of the manifest {where} exists on S3")
    return found


def _check_entry(options: CopyOptions, entry: dict[str, Any], url: str, size: int | None) -> None:
    if size is None:
        # Without "mandatory": true a missing file is skipped without a word: Redshift's default.
        if entry.get("mandatory", False):
            raise RedshiftError(f"Mandatory url is not present in manifest file or on S3: {url}; S3ServiceException:The"
                                f" specified key does not exist.,Status 404,Error NoSuchKey")  # fmt: skip
        return
    if options.format == "PARQUET":
        length = entry.get("meta", {}).get("content_length")
        if length is None:
            raise RedshiftError(
                f"File entry does not have 'meta' key. ({url}: COPY from PARQUET needs meta.content_length)"
            )
        if length != size:
            raise RedshiftError(f"HTTP response error code: 416 Message: InvalidRange; {url} has {size} bytes,"
                                f" the manifest says {length}")  # fmt: skip
