"""A registry on S3, and one on disk."""

from __future__ import annotations

from typing import Any

import pytest

from nightcast.registry.model_registry import ModelRegistry
from nightcast.storage import Storage


class CountingStorage(Storage):
    """Notes what is listed and read."""

    def __init__(self, client_options: dict[str, Any]) -> None:
        super().__init__(client_options)
        self.listed: list[str] = []
        self.read: list[str] = []

    def names_below(self, prefix: str) -> list[str]:
        self.listed.append(prefix)
        return super().names_below(prefix)

    def read_bytes(self, uri: str, most: int | None = None) -> bytes:
        self.read.append(uri)
        return super().read_bytes(uri, most)


@pytest.fixture(scope="session")
def s3_options(sandbox):
    """What reaches the sandbox's S3."""
    return {
        "endpoint_url": sandbox.endpoint_url,
        "region_name": "us-east-1",
        "aws_access_key_id": "sandbox",
        "aws_secret_access_key": "sandbox",
    }


@pytest.fixture(params=["s3", "file"])
def root(request, tmp_path):
    """A registry's root on each kind of storage, with a blank in its path."""
    return f"s3://nightcast/{tmp_path.name} 1/registry" if request.param == "s3" else str(tmp_path / "a b" / "registry")


@pytest.fixture
def storage(s3_options):
    return CountingStorage(s3_options)


@pytest.fixture
def registry(storage, root):
    return ModelRegistry(storage, root)
