from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightcast.recipe import bin_table as module
from nightcast.recipe.bin_table import bin_table

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def neighbours(edges: np.ndarray) -> np.ndarray:
    """The edges, the numbers next to them, and the ends of the range."""
    with np.errstate(over="ignore"):
        near = [edges, np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf)]
    return np.concatenate([*near, [-np.inf, -1e308, 0.0, -0.0, 5e-324, 1e308, np.inf]])


@settings(max_examples=300, deadline=None)
@given(st.lists(NUMBERS, max_size=30, unique=True), st.lists(NUMBERS, max_size=30))
def test_bins_are_those_of_a_search(edges: list[float], values: list[float]) -> None:
    ordered = np.array(sorted({edge + 0.0 for edge in edges}))
    tried = np.concatenate([neighbours(ordered), values])
    expected = np.searchsorted(ordered, tried, side="right")
    assert bin_table(tuple(ordered.tolist()))(tried).tolist() == expected.tolist()


@pytest.mark.parametrize(
    "edges",
    [
        np.arange(1.0, 500.0),
        np.arange(500) / 7 - 30,
        np.geomspace(1e-3, 1e9, 499),
        -np.geomspace(1e-3, 1e9, 499)[::-1],
        1e15 + np.arange(100.0),
        np.concatenate([np.arange(400.0), 1e6 * np.arange(1.0, 100.0)]),
        np.array([-1e308, 1e308]),
        np.array([0.0, 5e-324]),
        np.cumsum(np.random.default_rng(0).pareto(0.3, 999)),
    ],
    ids=["whole", "even", "growing", "falling", "far", "mixed", "wide", "narrow", "heavy"],
)
def test_distributions_of_edges(edges: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    near = edges[rng.integers(0, len(edges), 5000)] * rng.normal(1, 1e-3, 5000)
    tried = np.concatenate([neighbours(edges), near[np.isfinite(near)]])
    found = bin_table(tuple(edges.tolist()))(tried)
    assert (found == np.searchsorted(edges, tried, side="right")).all()


def test_usual_edges_need_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("searched")

    tables = [bin_table(tuple(edges.tolist())) for edges in (np.arange(7.0, 99.5, 0.25), np.geomspace(0.5, 1e6, 499))]
    monkeypatch.setattr(module.np, "searchsorted", refuse)
    assert [table(np.array([7.25, np.nan])).tolist()[0] for table in tables] == [2, 92]
