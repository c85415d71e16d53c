"""A predictor of boosted trees: an encoder of records, and trees whose values add up."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightcast.datasource.arrow_arrays import (
    Array,
    Bools,
    Floats,
    bool_array,
    bool_values,
    fixed_values,
    float_array,
    int_array,
)
from nightcast.datasource.parts import Batch
from nightcast.errors import ModelError
from nightcast.mlmodel.forest import Forest
from nightcast.mlmodel.tree_encoder import TreeEncoder
from nightcast.mlmodel.tree_nodes import MAX_CATEGORIES, NODE, Nodes

_ENCODER = "encoder.json"
_TREES = "trees.parquet"
_FIELDS = [name for name in NODE.names or () if name != "categories"]
_OUTPUTS = b"nightcast.outputs"
_RECORDS_AT_ONCE = 16_384


@dataclass(frozen=True)
class BoostedTrees:
    """The sum of the leaves that a record falls into.

    Parameters
    ----------
    encoder
        Makes the matrix that the trees split.
    forest
        The trees; the first ones, of one leaf each, hold the scores that boosting began with.
    """

    kind: ClassVar[str] = "boosting"
    encoder: TreeEncoder = field(repr=False)
    forest: Forest = field(repr=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the attributes that are read."""
        return self.encoder.attributes

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self.forest.leaves

    def raw_scores(self, batch: Batch) -> Floats:
        """See `nightcast.mlmodel.model.Predictor`."""
        raw = np.empty((len(batch), self.forest.outputs))
        for first in range(0, len(batch), _RECORDS_AT_ONCE):
            columns = {name: batch.columns[name].slice(first, _RECORDS_AT_ONCE) for name in self.columns}
            size = min(_RECORDS_AT_ONCE, len(batch) - first)
            some = Batch(batch.first_record + first, columns, {}, size)
            raw[first : first + size] = self.forest.scores(self.encoder.encode(some))
        return raw[:, 0] if self.forest.outputs == 1 else raw

    def importance(self) -> dict[str, float]:
        """Share of each attribute in the total gain of all splits, greatest first; 0 for all without a split."""
        gains = dict.fromkeys(self.columns, 0.0)
        for owner, gain in zip(self.encoder.owners, self.forest.gains().tolist(), strict=True):
            gains[owner] += gain
        total = sum(gains.values()) or 1.0
        return {name: gain / total for name, gain in sorted(gains.items(), key=lambda item: (-item[1], item[0]))}

    def save(self, directory: Path) -> tuple[str, ...]:
        """Write ``encoder.json`` and ``trees.parquet``: one row a node, its fields as of `tree_nodes.NODE`.

        ``categories`` lists the categories that go left.
        """
        (directory / _ENCODER).write_text(self.encoder.to_json(), encoding="utf-8")
        nodes = self.forest.nodes
        table = pa.Table.from_arrays(
            [*(_arrow(nodes[name]) for name in _FIELDS), _category_lists(nodes)], names=[*_FIELDS, "categories"]
        )
        pq.write_table(table.replace_schema_metadata({_OUTPUTS: str(self.forest.outputs).encode()}), directory / _TREES)
        return _ENCODER, _TREES

    @classmethod
    def load(cls, directory: Path) -> BoostedTrees:
        """Read what `save` wrote; no code is run.

        Raises
        ------
        ModelError
            When the nodes make no trees, or encoder and trees are not of one model.
        """
        encoder = TreeEncoder.from_json((directory / _ENCODER).read_text(encoding="utf-8"))
        try:
            table = pq.ParquetFile(directory / _TREES).read()
            forest = Forest(_nodes(table), len(encoder.titles), int((table.schema.metadata or {})[_OUTPUTS]))
        except (KeyError, ValueError, IndexError, pa.ArrowException) as fault:
            raise ModelError(f"the trees in {directory} are damaged ({fault!r:.200}): train again.") from None
        forest.check()
        inner = forest.nodes[forest.nodes["feature"] >= 0]
        if not (inner["categorical"] == (inner["feature"] < encoder.categorical)).all():
            raise ModelError(f"encoder and trees in {directory} are not of one model: copy the directory again.")
        return cls(encoder, forest)


def _arrow(values: Any) -> Array:
    if values.dtype == np.bool_:
        return bool_array(np.ascontiguousarray(values))
    return int_array(values) if values.dtype == np.int64 else float_array(values)


def _category_lists(nodes: Nodes) -> Array:
    left: Bools = np.unpackbits(nodes["categories"], axis=1, bitorder="little").view(np.bool_)
    ends = np.append(0, np.cumsum(left.sum(axis=1))).astype(np.int32)
    offsets: Any = pa.Array.from_buffers(pa.int32(), len(ends), [None, pa.py_buffer(ends.tobytes())])
    lists: Any = pa.ListArray
    return lists.from_arrays(offsets, int_array(np.nonzero(left)[1]))


def _nodes(table: Any) -> Nodes:
    nodes = np.zeros(table.num_rows, dtype=NODE)
    if table.schema.names != [*_FIELDS, "categories"]:
        raise ValueError(f"columns {table.schema.names}")
    for name in _FIELDS:
        kind = NODE[name]
        column = table.column(name).combine_chunks()
        if column.null_count or not column.type.equals(_TYPES[kind]):
            raise ValueError(f"{name} is {column.type}, with {column.null_count} nulls")
        nodes[name] = bool_values(column) if kind == np.bool_ else fixed_values(column, kind)
    lists = table.column("categories").combine_chunks()
    of_numbers = pa.types.is_list(lists.type) and lists.type.value_type.equals(pa.int64())
    if not of_numbers or lists.null_count or lists.values.null_count:
        raise ValueError(f"categories is {lists.type}")
    offsets = fixed_values(lists.offsets, np.int32)
    codes = fixed_values(lists.values, np.int64)
    if len(codes) and not 0 <= codes.min() <= codes.max() < MAX_CATEGORIES:
        raise ValueError("a category is out of range")
    left = np.zeros((len(nodes), MAX_CATEGORIES), dtype=np.uint8)
    left[np.repeat(np.arange(len(nodes)), np.diff(offsets)), codes[offsets[0] : offsets[-1]]] = 1
    nodes["categories"] = np.packbits(left, axis=1, bitorder="little")
    return nodes


_TYPES: dict[Any, Any] = {
    np.dtype(np.int64): pa.int64(),
    np.dtype(np.float64): pa.float64(),
    np.dtype(np.bool_): pa.bool_(),
}
