"""What S3 raises, as errors that name the object and a remedy."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from nightcast.errors import MissingObjectError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def explained(verb: str, uri: str) -> Iterator[None]:
    """Turn what boto3 raises into a StorageError that names the object and a remedy."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        remedy = _REMEDIES.get(code, "Check the bucket, the credentials of the AWS connection and its region")
        kind = MissingObjectError if code in _MISSING else StorageError
        raise kind(f"can not {verb} {uri}: {error}. {remedy}.") from error
    except (BotoCoreError, Boto3Error) as error:
        raise StorageError(f"can not {verb} {uri}: {error}.") from error


_MISSING = ("404", "NoSuchKey")
_REMEDIES = {
    "404": "The object does not exist: it was deleted, or never written",
    "NoSuchKey": "The object does not exist: it was deleted, or never written",
    "NoSuchBucket": "Create the bucket, or correct its name in the AWS connection's `bucket`",
    "403": "Grant the role of the AWS connection s3:GetObject, s3:PutObject and s3:ListBucket here",
    "AccessDenied": "Grant the role of the AWS connection s3:GetObject, s3:PutObject and s3:ListBucket here",
}
