"""How UNLOAD and COPY reach S3: through its API only, at whatever endpoint the sandbox was given."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from nightcast.sandbox.errors import RedshiftError

_TRANSFER = TransferConfig(multipart_threshold=16 << 20, multipart_chunksize=16 << 20, use_threads=False)


class S3Access:
    """One S3 server, as the cluster of ``region`` sees it."""

    def __init__(self, endpoint_url: str, region: str) -> None:
        self.region = region
        # A profile or instance role of this machine must never be used by accident: the environment or nothing.
        self._client: Any = boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint_url,
            region_name=region,
            aws_access_key_id=os.environ.get("AWS_ACCESS_KEY_ID", "sandbox"),
            aws_secret_access_key=os.environ.get("AWS_SECRET_ACCESS_KEY", "sandbox"),
            aws_session_token=os.environ.get("AWS_SESSION_TOKEN"),
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 3}),
        )

    def check_region(self, bucket: str, region: str | None) -> None:
        """Refuse a bucket of another region than the statement's REGION, or the cluster's without one."""
        with s3_errors():
            found = self._client.get_bucket_location(Bucket=bucket).get("LocationConstraint") or "us-east-1"
        if found != (region or self.region):
            raise RedshiftError(
                "S3ServiceException:The bucket you are attempting to access must be addressed using the specified"
                f" endpoint. Please send all future requests to this endpoint.,Status 301,Error PermanentRedirect:"
                f" bucket {bucket} is in {found}, give REGION '{found}'"
            )

    def keys(self, bucket: str, prefix: str) -> Iterator[tuple[str, int]]:
        """(key, bytes) of every object below a prefix, in key order."""
        with s3_errors():
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for item in page.get("Contents", []):
                    yield item["Key"], item["Size"]

    def delete(self, bucket: str, keys: list[str]) -> None:
        with s3_errors():
            for first in range(0, len(keys), 1000):
                objects = [{"Key": key} for key in keys[first : first + 1000]]
                self._client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})

    def upload(self, path: Path, bucket: str, key: str, encryption: dict[str, str]) -> None:
        with s3_errors():
            self._client.upload_file(str(path), bucket, key, ExtraArgs=encryption, Config=_TRANSFER)

    def put(self, body: bytes, bucket: str, key: str, encryption: dict[str, str]) -> None:
        with s3_errors():
            self._client.put_object(Bucket=bucket, Key=key, Body=body, **encryption)

    def read(self, bucket: str, key: str) -> bytes:
        with s3_errors():
            return bytes(self._client.get_object(Bucket=bucket, Key=key)["Body"].read())

    def size(self, bucket: str, key: str) -> int | None:
        """Bytes of an object; None when there is none."""
        try:
            return int(self._client.head_object(Bucket=bucket, Key=key)["ContentLength"])
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise RedshiftError(_message(error)) from error

    def download(self, bucket: str, key: str, file: IO[bytes]) -> None:
        with s3_errors():
            self._client.download_fileobj(bucket, key, file, Config=_TRANSFER)

    def close(self) -> None:
        self._client.close()


@contextmanager
def s3_errors() -> Iterator[None]:
    """Turn what boto3 raises into what Redshift says about S3."""
    try:
        yield
    except ClientError as error:
        raise RedshiftError(_message(error)) from error
    except BotoCoreError as error:
        raise RedshiftError(f"S3ServiceException:{error}") from error


def _message(error: ClientError) -> str:
    details = error.response["Error"]
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    code = {"404": "NoSuchKey", "403": "AccessDenied"}.get(details.get("Code", ""), details.get("Code", "Unknown"))
    text = details.get("Message", "").rstrip(".")
    return f"S3ServiceException:{text},Status {status},Error {code}"
