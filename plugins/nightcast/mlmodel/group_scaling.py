"""A guess of the inverse second derivatives of a penalised squared error, group of features by group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nightcast.datasource.arrow_arrays import Bools, Floats
from nightcast.mlmodel.shapes import Group, Shapes
from nightcast.mlmodel.square_sums import dot


@dataclass(frozen=True)
class GroupScaling:
    """``(G + diag(penalties))**-1`` for the blocks G of B'X'X B, about means, that lie within a group.

    Within a group features exclude each other, so that X'X is diagonal: ``N = diag(c) - c c' / n`` about means, for
    counts c of n records. Between groups G is taken to be 0, and outside of groups all but its diagonal.

    Parameters
    ----------
    shapes
        Basis B and groups.
    counts
        Diagonal of X'X; shape (features,).
    diagonal
        That of B'X'X B about means; shape (coefficients,).
    records
        n, or the sum of their weights.
    penalties
        > 0, or 0 where the diagonal is above 0; shape (coefficients,).
    """

    shapes: Shapes
    counts: Floats
    diagonal: Floats
    records: float
    penalties: Floats

    def prepared(self) -> Callable[[Floats], Floats]:
        """The guess as a function of a vector of shape (coefficients,)."""
        raw = self.diagonal + self.penalties
        flat = raw <= 1e-12 * max(float(raw.max(initial=0.0)), 1e-300)
        scale = np.where(flat, 0.0, 1.0 / np.where(flat, 1.0, raw))
        parts = [(group, self._of_group(group, flat)) for group in self.shapes.groups]

        def scaled(vector: Floats) -> Floats:
            found: Floats = scale * vector
            for group, function in parts:
                found[group.coefficients] = function(vector[group.coefficients])
            return found

        return scaled

    def _of_group(self, group: Group, flat: Bools) -> Callable[[Floats], Floats]:
        counts, penalties = self.counts[group.features], self.penalties[group.coefficients]
        if group.columns is None:
            return self._of_values(counts, penalties, flat[group.coefficients])
        columns, halved = group.columns, group.columns / penalties
        about = np.diag(counts) - np.outer(counts, counts / self.records)
        # Woodbury's formula: a matrix of bins, which are fewer than coefficients.
        inner = np.linalg.solve(np.eye(len(counts)) + about @ (halved @ columns.T), about)
        inner = 0.5 * (inner + inner.T)

        def scaled(vector: Floats) -> Floats:
            return vector / penalties - halved.T @ (inner @ (halved @ vector))

        return scaled

    def _of_values(self, counts: Floats, penalties: Floats, flat: Bools) -> Callable[[Floats], Floats]:
        whole = counts + penalties
        inverse = np.where(flat, 0.0, 1.0 / np.where(flat, 1.0, whole))
        shares = inverse * counts
        # Sherman and Morrison's formula; nothing is left where the values of a group make up all records unpenalised.
        left = self.records - dot(counts, shares)
        factor = 1.0 / left if left > 1e-9 * self.records else 0.0

        def scaled(vector: Floats) -> Floats:
            found: Floats = inverse * vector + shares * (factor * dot(shares, vector))
            return found

        return scaled
