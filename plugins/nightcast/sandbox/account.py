"""The account in the sandbox that Nightcast uses: names, clients, and the sample sales in it."""

from __future__ import annotations

from datetime import date
from typing import Any

BUCKET = "nightcast"
DATABASE = "dev"
WORKGROUP = "nightcast"
IAM_ROLE = "arn:aws:iam::123456789012:role/NightcastRedshift"
REGION = "us-east-1"


def client(endpoint_url: str, service: str) -> Any:
    """A boto3 client of a sandbox."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        service,
        config=Config(proxies={}, s3={"addressing_style": "path"}),
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id="sandbox",
        aws_secret_access_key="sandbox",  # noqa: S106 -- the sandbox checks no signature
    )


def load_sample_until(endpoint_url: str, year_end: date) -> bool:
    """Have a year of sample sales up to ``year_end``, inclusive; False where they are there already."""
    from nightcast.sandbox.sample import load

    # The mark lies in the bucket: a sandbox that has lost its buckets has lost the mark, too.
    s3, mark = client(endpoint_url, "s3"), {"Bucket": BUCKET, "Key": "sample/year_end"}
    wanted = year_end.isoformat().encode()
    s3.create_bucket(Bucket=BUCKET)
    kept = s3.list_objects_v2(Bucket=BUCKET, Prefix=mark["Key"]).get("KeyCount", 0)
    if kept and s3.get_object(**mark)["Body"].read() == wanted:
        return False
    load(
        client(endpoint_url, "redshift-data"),
        s3,
        bucket=BUCKET,
        database=DATABASE,
        workgroup_name=WORKGROUP,
        iam_role=IAM_ROLE,
        year_end=year_end,
    )
    s3.put_object(**mark, Body=wanted)
    return True
