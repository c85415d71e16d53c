"""S3 as a connection gives access to it."""

from __future__ import annotations

from airflow.providers.amazon.aws.hooks.s3 import S3Hook

from nightcast.hooks.caller import CheapCaller


class S3ConnectionHook(CheapCaller, S3Hook):
    """The stock hook, which is quicker to make a client."""
