"""What the sandbox's tests share: a warehouse without a server, and the Data API of the running sandbox."""

from __future__ import annotations

import itertools
import os
import re
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

ROLE = "iam_role 'arn:aws:iam::123456789012:role/redshift'"
_numbers = itertools.count()


class LocalWarehouse:
    """A warehouse in memory whose statements run in this thread."""

    def __init__(self, directory: Path) -> None:
        from nightcast.sandbox.session import Session
        from nightcast.sandbox.warehouse import Warehouse, WarehouseSettings

        self.warehouse = Warehouse(None, WarehouseSettings())
        self.session = Session(self.warehouse, lambda: pytest.fail("S3 is not for this test"), directory)

    def run(self, sql: str) -> Any:
        with self.session.transaction():
            return self.session.run(sql)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.run(sql).result.page(0, 1000)

    def value(self, sql: str) -> Any:
        [[value]] = self.rows(sql)
        return value

    def types(self, sql: str) -> dict[str, str]:
        return {name: str(kind) for name, kind in self.run(sql).result.columns}

    def error(self, sql: str) -> str:
        from nightcast.sandbox.errors import RedshiftError

        with pytest.raises(RedshiftError) as caught:
            self.run(sql)
        return str(caught.value)

    def close(self) -> None:
        self.session.close()
        self.warehouse.close()


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWarehouse]:
    local = LocalWarehouse(tmp_path_factory.mktemp("results"))
    yield local
    local.close()


class DataApi:
    """The sandbox's Redshift, spoken to by boto3 as a user would."""

    target: ClassVar[dict[str, str]] = {"WorkgroupName": "nightcast", "Database": "dev"}

    def __init__(self, client: Any) -> None:
        self.client = client

    def run(self, sql: str | list[str], **arguments: Any) -> dict[str, Any]:
        """Run to the end; what DescribeStatement says then."""
        asked = {**self.target, "WaitTimeSeconds": 30, **arguments}
        if isinstance(sql, list):
            identity = self.client.batch_execute_statement(Sqls=sql, **asked)["Id"]
        else:
            identity = self.client.execute_statement(Sql=sql, **asked)["Id"]
        return self.client.describe_statement(Id=identity, WaitTimeSeconds=30)

    def ok(self, sql: str | list[str], **arguments: Any) -> dict[str, Any]:
        described = self.run(sql, **arguments)
        assert described["Status"] == "FINISHED", described.get("Error")
        return described

    def error(self, sql: str | list[str], **arguments: Any) -> str:
        described = self.run(sql, **arguments)
        assert described["Status"] == "FAILED", described["Status"]
        return described["Error"]

    def rows(self, sql: str, **arguments: Any) -> list[tuple[Any, ...]]:
        identity = self.ok(sql, **arguments)["Id"]
        pages = self.client.get_paginator("get_statement_result").paginate(Id=identity)
        return [tuple(_value(field) for field in record) for page in pages for record in page["Records"]]


def _value(field: dict[str, Any]) -> Any:
    [(member, value)] = field.items()
    return None if member == "isNull" else value


@pytest.fixture(scope="session")
def api(redshift_data: Any) -> DataApi:
    return DataApi(redshift_data)


@pytest.fixture
def table() -> str:
    """A table name that no other test uses."""
    return f"table_{next(_numbers)}"


@pytest.fixture
def bucket(s3: Any) -> str:
    """An empty bucket of the test's own."""
    name = f"bucket-{next(_numbers)}-{os.getpid()}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def keys(s3: Any, bucket: str) -> Callable[[], list[str]]:
    return lambda: [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


@pytest.fixture
def read(s3: Any, bucket: str) -> Callable[[str], bytes]:
    return lambda key: s3.get_object(Bucket=bucket, Key=key)["Body"].read()


@pytest.fixture
def put(s3: Any, bucket: str) -> Callable[[str, bytes], None]:
    def store(key: str, body: bytes) -> None:
        s3.put_object(Bucket=bucket, Key=key, Body=body)

    return store


@contextmanager
def sandbox_process(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A sandbox in a process of its own: its address, and the process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nightcast.sandbox", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        ready, _, _ = select.select([process.stdout], [], [], 60)
        line = process.stdout.readline() if ready else ""
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+\n", line), (
            f"{line!r} {process.stderr.read() if line == '' else ''}"
        )
        yield line.strip(), process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="session")
def start_process() -> Callable[..., Any]:
    return sandbox_process


@pytest.fixture(scope="session")
def role() -> str:
    return ROLE


@pytest.fixture(scope="session")
def api_at() -> Callable[[Any], DataApi]:
    return DataApi
