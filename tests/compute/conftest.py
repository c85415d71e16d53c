"""A real Dask cluster of two worker processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dask_processes import Cluster, running_cluster


@pytest.fixture(scope="session")
def _shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def cluster(_shared_cluster: Cluster) -> Cluster:
    """A cluster of two workers, shared by all tests."""
    _shared_cluster.hold(2)
    return _shared_cluster


@pytest.fixture
def empty_cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler of the test's own, without workers."""
    with running_cluster(tmp_path) as cluster:
        yield cluster
