"""Trees whose values add up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.mlmodel.tree_nodes import Nodes, check_nodes, starts_of
from nightcast.mlmodel.tree_scores import ForestScores


@dataclass(frozen=True)
class Forest:
    """Trees whose values add up.

    Parameters
    ----------
    nodes
        Structured array of `nightcast.mlmodel.tree_nodes.NODE`, tree after tree; within a tree a node is followed by
        its left subtree, then by its right one.
    features
        Width of the matrix that is scored.
    outputs
        Number of scores that a record gets.
    """

    nodes: Nodes
    features: int
    outputs: int

    def __getstate__(self) -> dict[str, Any]:
        # The tables are quicker made than sent.
        return {"nodes": self.nodes, "features": self.features, "outputs": self.outputs}

    @property
    def leaves(self) -> int:
        """Number of leaves of all trees."""
        return int((self.nodes["feature"] < 0).sum())

    @property
    def trees(self) -> int:
        """Number of trees."""
        return len(starts_of(self.nodes))

    def scores(self, matrix: Floats) -> Floats:
        """Sums of leaves: see `nightcast.mlmodel.tree_scores.ForestScores.scores`."""
        return self._tables.scores(matrix)

    def gains(self) -> Floats:
        """Total gain of the splits on each feature: float64 of shape (features,)."""
        inner = self.nodes[self.nodes["feature"] >= 0]
        return np.bincount(inner["feature"], weights=inner["gain"], minlength=self.features).astype(np.float64)

    def check(self) -> None:
        """Refuse nodes that make no trees with a ModelError: see `nightcast.mlmodel.tree_nodes.check_nodes`."""
        check_nodes(self.nodes, self.features, self.outputs)

    @cached_property
    def _tables(self) -> ForestScores:
        return ForestScores(self.nodes, self.outputs)
