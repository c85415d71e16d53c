from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize("module", ["schema", "csv_header", "name_hints", "rearrangement", "number_counts"])
def test_examples_of_docstrings_are_true(module: str) -> None:
    found = doctest.testmod(importlib.import_module(f"nightcast.datasource.{module}"))

    assert found.attempted > 0 and found.failed == 0
