"""The examples in docstrings."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "module", ["bins", "blocks", "expressions", "logarithm", "number_functions", "suggest", "tokens"]
)
def test_examples(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"nightcast.recipe.{module}"))
    assert result.attempted
    assert not result.failed
