"""An S3 on 127.0.0.1 that has a bucket."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer


@pytest.fixture(scope="module")
def s3_options() -> Iterator[dict[str, str]]:
    """Options of its client; the bucket is called ``bucket``."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {
        "endpoint_url": f"http://{host}:{port}",
        "region_name": "us-east-1",
        "aws_access_key_id": "a-key",
        "aws_secret_access_key": "a-secret",
    }
    boto3.client("s3", **options).create_bucket(Bucket="bucket")
    yield options
    server.stop()
