from __future__ import annotations

import doctest

import pytest

from nightcast.cli import arguments, model_tables, tables
from nightcast.report import attribute_charts, charts


@pytest.mark.parametrize(
    "module", [arguments, model_tables, tables, attribute_charts, charts], ids=lambda module: module.__name__
)
def test_examples_in_docstrings_are_true(module):
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0
