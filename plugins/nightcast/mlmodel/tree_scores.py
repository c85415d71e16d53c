"""Scores of trees for many records at once.

This is done as QuickScorer does it: each leaf of a tree is a bit, each node knows which leaves are out of reach for a
record that goes right at it, and the lowest bit left when all nodes have been asked is the leaf. What the nodes of a
feature say together is looked up by the interval that its value lies in, so that a record costs one look-up for each
feature, or for several of few intervals, and not a walk through each tree. Source: Lucchese and others, QuickScorer: a
fast algorithm to rank documents with additive ensembles of regression trees, SIGIR 2015.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nightcast.datasource.arrow_arrays import Floats, Ints
from nightcast.mlmodel.tree_nodes import MAX_CATEGORIES, Nodes, spans_of

_TREES_AT_ONCE = 128
_RECORDS_AT_ONCE = 2048
# Rows of a table at most, unless one feature needs more: what the processor keeps near.
_TABLE_ROWS = 256
Words = npt.NDArray[Any]


class ForestScores:
    """Tables made of trees, to be asked for many matrices.

    Parameters
    ----------
    nodes
        See `nightcast.mlmodel.tree_nodes.NODE`; checked.
    outputs
        Number of scores that a record gets.
    """

    def __init__(self, nodes: Nodes, outputs: int) -> None:
        self.outputs = outputs
        inner = nodes[nodes["feature"] >= 0]
        intervals = {
            int(feature): _Intervals.of(inner[inner["feature"] == feature]) for feature in np.unique(inner["feature"])
        }
        self._groups = _grouped(intervals)
        spans = spans_of(nodes)
        self._chunks = [
            _chunk(nodes, spans[first : first + _TREES_AT_ONCE], self._groups)
            for first in range(0, len(spans), _TREES_AT_ONCE)
        ]

    def scores(self, matrix: Floats) -> Floats:
        """Sums of the values of the leaves that each record falls into, tree after tree.

        Parameters
        ----------
        matrix
            float64 of shape (n, features): numbers, numbers of categories from 0, NaN where there is none.

        Returns
        -------
        numpy.ndarray
            float64 of shape (n, outputs).
        """
        raw = np.zeros((self.outputs, len(matrix)))
        for first in range(0, len(matrix), _RECORDS_AT_ONCE):
            block = np.ascontiguousarray(matrix[first : first + _RECORDS_AT_ONCE].T)
            codes = [group.codes(block) for group in self._groups]
            for chunk in self._chunks:
                chunk.add_to(raw[:, first : first + _RECORDS_AT_ONCE], codes)
        return np.ascontiguousarray(raw.T)


@dataclass(frozen=True)
class _Intervals:
    """What the nodes of one feature tell apart.

    A number has the code of the first threshold that it does not exceed; the last threshold is infinite. Categories are
    their own codes. NaN has the last code, `size - 1`.
    """

    thresholds: Floats | None
    size: int

    @classmethod
    def of(cls, nodes: Nodes) -> _Intervals:
        if nodes["categorical"].any():
            return cls(None, MAX_CATEGORIES + 1)
        thresholds = np.unique(np.append(nodes["threshold"], np.inf))
        return cls(thresholds, len(thresholds) + 1)

    def codes(self, values: Floats) -> Ints:
        if self.thresholds is None:
            return np.where(np.isnan(values), MAX_CATEGORIES, values).astype(np.intp)
        # NaN is sorted behind infinity.
        return np.searchsorted(self.thresholds, values, side="left")

    def table(self, nodes: Nodes, columns: Ints, masks: Words, width: int) -> Words:
        """Leaves within reach by code: shape (size, width); mask i, of node i, belongs to column i."""
        table = np.full((self.size, width), np.iinfo(masks.dtype).max, dtype=masks.dtype)
        if self.thresholds is None:
            bits = np.unpackbits(nodes["categories"], axis=1, bitorder="little")
            which, codes = np.nonzero(bits == 0)
            np.bitwise_and.at(table, (codes, columns[which]), masks[which])
        else:
            above = np.searchsorted(self.thresholds, nodes["threshold"]) + 1
            some = above < self.size - 1
            np.bitwise_and.at(table, (above[some], columns[some]), masks[some])
            np.bitwise_and.accumulate(table[:-1], axis=0, out=table[:-1])
        right = ~nodes["missing_left"]
        np.bitwise_and.at(table, (self.size - 1, columns[right]), masks[right])
        return table


@dataclass(frozen=True)
class _Group:
    """Features that are looked up together: the code of a record is a number with one digit a feature."""

    features: dict[int, _Intervals]

    @property
    def size(self) -> int:
        return int(np.prod([intervals.size for intervals in self.features.values()]))

    def codes(self, block: Floats) -> Ints:
        """Codes of the records; `block` has the shape (features, records)."""
        found: Ints | None = None
        for feature, intervals in self.features.items():
            own = intervals.codes(block[feature])
            found = own if found is None else found * intervals.size + own
        if found is None:
            raise AssertionError("a group has features")
        return found

    def table(self, tables: dict[int, Words]) -> Words | None:
        """Leaves within reach by code, of the tables of single features; None without any of them."""
        if not tables.keys() & self.features.keys():
            return None
        width, kind = next((table.shape[1], table.dtype) for table in tables.values())
        found = np.full((1, width), np.iinfo(kind).max, dtype=kind)
        for feature, intervals in self.features.items():
            own = tables.get(feature)
            if own is None:
                found = np.repeat(found, intervals.size, axis=0)
            else:
                found = (found[:, None] & own[None]).reshape(-1, width)
        return found


def _grouped(intervals: dict[int, _Intervals]) -> list[_Group]:
    """Features of few intervals together, as long as their table stays small."""
    found: list[_Group] = []
    for feature, own in sorted(intervals.items(), key=lambda item: (item[1].size, item[0])):
        if found and found[-1].size * own.size <= _TABLE_ROWS:
            found[-1] = _Group(found[-1].features | {feature: own})
        else:
            found.append(_Group({feature: own}))
    return found


@dataclass(frozen=True)
class _Chunk:
    """Trees that are scored together.

    Parameters
    ----------
    tables
        By number of the group: which leaves are within reach, shape (codes, trees * words).
    words
        Words of 32 or 64 bits that a tree's leaves take.
    values, offsets
        Values of all leaves, and where those of each tree begin.
    outputs
        Score that each tree adds to.
    """

    tables: dict[int, Words]
    words: int
    values: Floats
    offsets: Ints
    outputs: Sequence[int]

    def add_to(self, raw: Floats, codes: Sequence[Ints]) -> None:
        """Add the values of some records; `raw` has the shape (outputs, records)."""
        if not self.tables:
            for tree, output in enumerate(self.outputs):
                raw[output] += self.values[self.offsets[tree]]
            return
        reached: Words | None = None
        for group, table in self.tables.items():
            found = table.take(codes[group], axis=0)
            reached = found if reached is None else np.bitwise_and(reached, found, out=reached)
        # Trees of one leaf are in the tables of other trees' features as well.
        leaves = _lowest_bit(reached, self.words)
        values = self.values.take(leaves + self.offsets)
        for tree, output in enumerate(self.outputs):
            raw[output] += values[:, tree]


def _lowest_bit(reached: Any, words: int) -> Ints:
    """Number of the lowest bit of each tree: shape (records, trees)."""
    # What lies below the lowest bit is counted: ~x & (x - 1).
    below: Ints = np.bitwise_count(~reached & (reached - reached.dtype.type(1))).astype(np.intp)
    if words == 1:
        return below
    bits = reached.dtype.itemsize * 8
    parts = below.reshape(len(below), -1, words)
    first = (reached.reshape(parts.shape) != 0).argmax(axis=2)
    chosen: Ints = np.take_along_axis(parts, first[:, :, None], axis=2)[:, :, 0]
    return np.asarray(chosen + first * bits)


def _chunk(nodes: Nodes, spans: Sequence[tuple[int, int]], groups: Sequence[_Group]) -> _Chunk:
    part = nodes[spans[0][0] : spans[-1][1]]
    leaf = part["feature"] < 0
    starts = np.array([first - spans[0][0] for first, _ in spans])
    before = np.append(0, np.cumsum(leaf))
    offsets = before[starts]
    inner = np.flatnonzero(~leaf)
    split = part[inner]
    tree = split["tree"] - part["tree"][0]
    # The left subtree is what stands between a node and its right child.
    first = before[inner] - offsets[tree]
    last = before[split["right"] + starts[tree]] - offsets[tree]
    masks = _masks(first, last, int(np.diff(np.append(offsets, before[-1])).max()))
    words = masks.shape[1]
    columns = tree[:, None] * words + np.arange(words)
    tables: dict[int, Words] = {}
    for feature, intervals in ((feature, own) for group in groups for feature, own in group.features.items()):
        own = np.flatnonzero(split["feature"] == feature)
        if len(own):
            repeated = np.repeat(split[own], words)
            tables[feature] = intervals.table(repeated, columns[own].ravel(), masks[own].ravel(), len(spans) * words)
    joined = {number: group.table(tables) for number, group in enumerate(groups)}
    kept = {number: table for number, table in joined.items() if table is not None}
    return _Chunk(kept, words, part["value"][leaf], offsets, part["output"][starts].tolist())


def _masks(first: Ints, last: Ints, leaves: int) -> Words:
    """All bits but those from `first` to before `last`: words of 32 or 64 bits, shape (n, words)."""
    bits, word = (32, np.uint32) if leaves <= 32 else (64, np.uint64)
    low = np.array([(1 << size) - 1 for size in range(bits + 1)], dtype=word)
    begins = np.arange(-(-leaves // bits)) * bits
    upper, lower = (np.clip(ends[:, None] - begins, 0, bits) for ends in (last, first))
    return np.asarray(~(low[upper] & ~low[lower]))
