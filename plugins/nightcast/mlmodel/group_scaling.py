"""A guess of the inverse second derivatives of a penalised squared error, group of features by group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nightcast.datasource.arrow_arrays import Bools, Floats, Ints
from nightcast.mlmodel.shapes import Group, Shapes


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
        # Of its own square, not of the greatest: a number of large units is no reason to leave a value alone.
        squares = np.asarray(self.shapes.transposed.power(2) @ self.counts) + self.penalties
        flat = raw <= 1e-12 * np.maximum(squares, 1e-300)
        scale = np.where(flat, 0.0, 1.0 / np.where(flat, 1.0, raw))
        parts = [self._of_values(flat), *(self._of_bins(groups) for groups in self._alike())]

        def scaled(vector: Floats) -> Floats:
            found: Floats = scale * vector
            for places, function in parts:
                found[places] = function(vector[places])
            return found

        return scaled

    def _alike(self) -> list[list[Group]]:
        """The groups with a basis of their own, those of one shape together: they are computed at once."""
        found: dict[tuple[int, ...], list[Group]] = {}
        for group in self.shapes.groups:
            if group.columns is not None:
                found.setdefault(group.columns.shape, []).append(group)
        return list(found.values())

    def _of_bins(self, groups: Sequence[Group]) -> tuple[Ints, Callable[[Floats], Floats]]:
        """Places of coefficients, shape (groups, coefficients), and the guess for them."""
        places = np.stack([np.arange(group.coefficients.start, group.coefficients.stop) for group in groups])
        columns = np.stack([group.columns for group in groups if group.columns is not None])
        counts = np.stack([self.counts[group.features] for group in groups])
        penalties = self.penalties[places]
        halved = columns / penalties[:, None, :]
        about = counts[:, :, None] * np.eye(counts.shape[1]) - counts[:, :, None] * (counts[:, None, :] / self.records)
        # Woodbury's formula: a matrix of bins, which are fewer than coefficients.
        inner = np.linalg.solve(np.eye(counts.shape[1]) + about @ (halved @ columns.transpose(0, 2, 1)), about)
        inner = 0.5 * (inner + inner.transpose(0, 2, 1))

        def scaled(vectors: Floats) -> Floats:
            of_bins = inner @ (halved @ vectors[:, :, None])
            found: Floats = vectors / penalties - (halved.transpose(0, 2, 1) @ of_bins)[:, :, 0]
            return found

        return places, scaled

    def _of_values(self, flat: Bools) -> tuple[Ints, Callable[[Floats], Floats]]:
        """Places of the coefficients of all groups of values, shape (n,), and the guess for them."""
        groups = [group for group in self.shapes.groups if group.columns is None]
        none: list[Ints] = [np.zeros(0, dtype=np.int64)]
        places = np.concatenate(none + [np.arange(one.coefficients.start, one.coefficients.stop) for one in groups])
        features = np.concatenate(none + [np.arange(one.features.start, one.features.stop) for one in groups])
        owners = np.repeat(np.arange(len(groups)), [one.features.stop - one.features.start for one in groups])
        counts = self.counts[features]
        whole = counts + self.penalties[places]
        inverse = np.where(flat[places], 0.0, 1.0 / np.where(flat[places], 1.0, whole))
        shares = inverse * counts
        # Sherman and Morrison's formula; nothing is left where the values of a group make up all records unpenalised.
        left = self.records - np.bincount(owners, counts * shares, len(groups))
        factors = np.where(left > 1e-9 * self.records, 1.0 / np.where(left > 0, left, 1.0), 0.0)

        def scaled(vector: Floats) -> Floats:
            sums = factors * np.bincount(owners, shares * vector, len(groups))
            found: Floats = inverse * vector + shares * sums[owners]
            return found

        return places, scaled
