"""The stack under test. `make test-compose` runs these tests; no other command collects them, for they start Docker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose_stack import ComposeStack
from docker_engine import compose_commands, engine, have_base_images

if "NIGHTCAST_TEST_COMPOSE" not in os.environ:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def stack(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeStack]:
    """Engine, base images and Compose, and the project's images built; taken down with its volumes at the end."""
    folder = tmp_path_factory.mktemp("compose")
    with engine(folder):
        have_base_images(project)
        stack = ComposeStack(project, compose_commands(folder), folder)
        try:
            stack.compose("build", seconds=900)
            yield stack
        finally:
            stack.set(COMPOSE_PROFILES="celery,dask")
            stack.compose("down", "--volumes", "--timeout", "5", check=False)
