"""Bytes in and out of ``s3://`` and ``file://``: the only module that knows S3.

A reader never sees half an object: on S3 a put is atomic, on disk a file is written beside
its place and renamed. Everything that goes wrong is a :class:`StorageError` that names the object.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from nightcast import local_files
from nightcast.artifacts import BYTES
from nightcast.errors import ChangedObjectError, MissingObjectError, StorageError
from nightcast.storage_errors import explained as _explained

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightcast.artifacts import ArtifactRef

_CHUNK_BYTES = 1 << 20
_CONFLICTS = 5
_MOST_DELETED_AT_ONCE = 1000  # what S3's DeleteObjects takes


@dataclass(frozen=True)
class StoredObject:
    """What a listing tells of an object; ``modified`` in UTC."""

    uri: str
    bytes: int
    modified: datetime


def split_s3_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of ``s3://bucket/key``.

    Raises
    ------
    StorageError
        If it is no S3 URI, or has no bucket.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise StorageError(f"{uri!r} is not an S3 location; write s3://bucket/key.")
    return bucket, key


def local_path(uri: str) -> Path:
    """Path of a ``file://`` URI, or of a plain path."""
    if "://" not in uri:
        return Path(uri)
    parts = urlsplit(uri)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise StorageError(f"{uri!r} can not be reached; use s3://bucket/key, file:///path or a plain path.")
    return Path(unquote(parts.path))


def is_s3(uri: str) -> bool:
    """Whether the URI lies on S3."""
    return uri.startswith("s3://")


@dataclass
class Storage:
    """Reads and writes objects; picklable, so that worker processes can open parts themselves.

    Parameters
    ----------
    client_options
        Keyword arguments of ``boto3.session.Session.client("s3", ...)``: region, endpoint, explicit
        credentials. Empty: boto3's own search for them.
    """

    client_options: dict[str, Any] = field(default_factory=dict, repr=False)
    _client: Any = field(default=None, init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the client behind: it holds sockets and locks."""
        return {"client_options": self.client_options, "_client": None}

    @property
    def client(self) -> Any:
        """The S3 client of this process, made on first use."""
        if self._client is None:
            import boto3

            try:
                self._client = boto3.session.Session().client("s3", **self.client_options)
            except ValueError as error:
                # An endpoint that is no URL.
                raise StorageError(f"can not reach S3: {error}. Write the endpoint as http://host:port.") from error
        return self._client

    def with_client(self, client: Any) -> Storage:
        """This storage, using a client of the caller's in this process."""
        self._client = client
        return self

    def read_artifact(self, reference: ArtifactRef) -> bytes:
        """All bytes of a small artifact, checked against its reference.

        Raises
        ------
        StorageError
            If it can not be read, or is no longer what the reference was made for.
        """
        data = self.read_bytes(reference["uri"])
        if hashlib.sha256(data).hexdigest() != reference["sha256"]:
            raise ChangedObjectError(
                f"{reference['uri']} is not the object that the task before wrote: another run or hand has "
                "overwritten it. Clear that task to write it again."
            )
        return data

    @contextmanager
    def local_copy(self, uri: str) -> Iterator[Path]:
        """Give a local file with the object's bytes; a download is deleted at the end.

        Raises
        ------
        StorageError
            If the object does not exist or can not be read.
        """
        if not is_s3(uri):
            path = local_path(uri)
            if not path.is_file():
                raise MissingObjectError(f"{uri} does not exist, or is not a file.")
            yield path
            return
        bucket, key = split_s3_uri(uri)
        with tempfile.TemporaryDirectory(prefix="nightcast-") as folder:
            path = Path(folder) / (key.rsplit("/", 1)[-1] or "object")
            with _explained("read", uri):
                self.client.download_file(bucket, key, str(path))
            yield path

    def read_bytes(self, uri: str, most: int | None = None) -> bytes:
        """All bytes of a small object, or the first `most` of one that is not empty.

        Raises
        ------
        StorageError
            If the object does not exist or can not be read.
        """
        if not is_s3(uri):
            with local_files.explained("read", uri), local_path(uri).open("rb") as stream:
                return stream.read(-1 if most is None else most)
        bucket, key = split_s3_uri(uri)
        span = {} if most is None else {"Range": f"bytes=0-{most - 1}"}
        with _explained("read", uri):
            body: bytes = self.client.get_object(Bucket=bucket, Key=key, **span)["Body"].read()
        return body

    def write_bytes(self, uri: str, data: bytes, media_type: str, *, rows: int | None = None) -> ArtifactRef:
        """Write a small object at once and return its reference."""
        if is_s3(uri):
            bucket, key = split_s3_uri(uri)
            with _explained("write", uri):
                self.client.put_object(Bucket=bucket, Key=key, Body=data, ContentType=media_type)
        else:
            local_files.replace(local_path(uri), lambda path: path.write_bytes(data))
        return _reference(uri, hashlib.sha256(data).hexdigest(), rows, len(data), media_type)

    def write_if_absent(self, uri: str, data: bytes, media_type: str) -> ArtifactRef | None:
        """Write a small object unless there is one, and return its reference; None where there is one.

        Of writers at the same time one creates the object, whole: S3 and the file system decide which.

        Raises
        ------
        StorageError
            If it can not be written.
        """
        created = (
            self._put_if_absent(uri, data, media_type) if is_s3(uri) else local_files.create(local_path(uri), data)
        )
        return _reference(uri, hashlib.sha256(data).hexdigest(), None, len(data), media_type) if created else None

    def _put_if_absent(self, uri: str, data: bytes, media_type: str) -> bool:
        from botocore.exceptions import ClientError

        bucket, key = split_s3_uri(uri)
        for _ in range(_CONFLICTS):
            with _explained("write", uri):
                try:
                    self.client.put_object(Bucket=bucket, Key=key, Body=data, ContentType=media_type, IfNoneMatch="*")
                    return True
                except ClientError as error:
                    code = error.response["Error"]["Code"]
                    if code in ("PreconditionFailed", "412"):
                        return False
                    if code != "ConditionalRequestConflict":
                        raise
        raise StorageError(f"can not write {uri}: S3 met another writer of it each time. Try again.")

    def upload(self, path: Path, uri: str, media_type: str, *, rows: int | None = None) -> ArtifactRef:
        """Copy a local file of any size to ``uri`` and return its reference."""
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
        if is_s3(uri):
            bucket, key = split_s3_uri(uri)
            with _explained("write", uri):
                self.client.upload_file(str(path), bucket, key, ExtraArgs={"ContentType": media_type})
        else:
            local_files.replace(local_path(uri), lambda temporary: shutil.copyfile(path, temporary))
        return _reference(uri, digest.hexdigest(), rows, path.stat().st_size, media_type)

    def copy(self, source: str, target: str) -> None:
        """Copy an object within S3 (on the server's side) or within the disk."""
        if is_s3(source) != is_s3(target):
            raise StorageError(f"can not copy {source} to {target}: both must lie on S3, or both on disk.")
        if is_s3(source):
            bucket, key = split_s3_uri(source)
            target_bucket, target_key = split_s3_uri(target)
            with _explained("copy", source):
                self.client.copy({"Bucket": bucket, "Key": key}, target_bucket, target_key)
        else:
            self.upload(local_path(source), target, BYTES)

    def size(self, uri: str) -> int | None:
        """Bytes of an object, or None if it does not exist."""
        if not is_s3(uri):
            with local_files.explained("look at", uri):
                facts = local_files.facts_of(local_path(uri))
                return None if facts is None else facts.st_size
        from botocore.exceptions import ClientError

        bucket, key = split_s3_uri(uri)
        with _explained("look at", uri):
            try:
                return int(self.client.head_object(Bucket=bucket, Key=key)["ContentLength"])
            except ClientError as error:
                if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
                    return None
                raise

    def objects_below(self, prefix: str) -> list[StoredObject]:
        """All objects below a prefix that ends in ``/``, sorted by URI.

        Raises
        ------
        StorageError
            If they can not be listed.
        """
        if not is_s3(prefix):
            with local_files.explained("list", prefix):
                files = local_files.files_below(local_path(prefix)).items()
                return [_stored_file(path, facts) for path, facts in files]
        bucket, key = split_s3_uri(prefix)
        with _explained("list", prefix):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
            items = sorted((item for page in pages for item in page.get("Contents", [])), key=lambda item: item["Key"])
        return [StoredObject(f"s3://{bucket}/{i['Key']}", int(i["Size"]), i["LastModified"]) for i in items]

    def sizes_below(self, prefix: str) -> dict[str, int]:
        """URI and bytes of all objects below a prefix that ends in ``/``, sorted by URI."""
        return {item.uri: item.bytes for item in self.objects_below(prefix)}

    def names_below(self, prefix: str) -> list[str]:
        """URIs of all objects below a prefix that ends in ``/``, sorted."""
        return list(self.sizes_below(prefix))

    def delete(self, uris: list[str]) -> None:
        """Delete objects, on S3 a thousand at once and in no order; one that does not exist is no error.

        Raises
        ------
        StorageError
            If one of them can not be deleted; others may be gone then.
        """
        keys: dict[str, list[str]] = {}
        for uri in uris:
            if is_s3(uri):
                bucket, key = split_s3_uri(uri)
                keys.setdefault(bucket, []).append(key)
            else:
                with local_files.explained("delete", uri):
                    local_path(uri).unlink(missing_ok=True)
        for bucket, names in keys.items():
            for first in range(0, len(names), _MOST_DELETED_AT_ONCE):
                self._delete_from_s3(bucket, names[first : first + _MOST_DELETED_AT_ONCE])

    def _delete_from_s3(self, bucket: str, keys: list[str]) -> None:
        asked = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
        with _explained("delete", f"s3://{bucket}/{keys[0]}"):
            refused = self.client.delete_objects(Bucket=bucket, Delete=asked).get("Errors", [])
        if refused:
            first = refused[0]
            raise StorageError(
                f"can not delete s3://{bucket}/{first['Key']}: {first.get('Code')}: {first.get('Message')} "
                f"({len(refused)} of {len(keys)} objects). Grant the role of the AWS connection s3:DeleteObject here."
            )


def _stored_file(path: Path, facts: os.stat_result) -> StoredObject:
    return StoredObject(path.as_uri(), facts.st_size, datetime.fromtimestamp(facts.st_mtime, UTC))


def _reference(uri: str, sha256: str, rows: int | None, size: int, media_type: str) -> ArtifactRef:
    return {"uri": uri, "sha256": sha256, "rows": rows, "bytes": size, "media_type": media_type}
