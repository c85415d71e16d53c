"""What the target's values are sorted into, so that information on it can be counted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from nightcast.datasource.arrow_arrays import (
    Array,
    coded,
    each_once,
    int_array,
    numbers,
    run_starts,
    valid_mask,
)
from nightcast.datasource.parts import ByteSource, Datasource, Mapper, NumberedPart, read_batches
from nightcast.datasource.schema import AttributeType
from nightcast.datasource.sketches import Deviations
from nightcast.datasource.string_counts import StringCounts
from nightcast.datasource.tally import tally_of
from nightcast.datasource.target_cells import Classes, TargetCells
from nightcast.datasource.value_keys import string_keys

_PEEKED_PARTS = 16
_PEEKED_RECORDS = 16_384
_NUMERIC_CLASSES = 10
_NAMED_CLASSES = 100


@dataclass(frozen=True)
class TargetClasses:
    """What the target's values are sorted into, fixed before the pass so that all parts count alike.

    Parameters
    ----------
    name, type
        The target.
    edges
        NUMERIC: the least values of all classes but the first, ascending.
    values
        CATEGORICAL: the values that are a class of their own; all others are one more.
    """

    name: str
    type: AttributeType
    edges: tuple[float, ...] = ()
    values: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of classes, records without a target not counted."""
        if self.type is AttributeType.BINARY:
            return 2
        return len(self.edges) + 1 if self.type is AttributeType.NUMERIC else len(self.values) + 1

    def cells(self, array: Array) -> TargetCells:
        """The target of one batch."""
        if self.type is AttributeType.CATEGORICAL:
            return TargetCells(self._named(array), self.count, None, valid_mask(array), None)
        values, valid = numbers(array)
        if self.type is AttributeType.BINARY:
            classes = values.astype(np.int32)
        else:
            # Comparisons of whole columns: a binary search for each value takes ten times as long.
            places = np.zeros(len(values), dtype=np.uint8)
            for edge in self.edges:
                places += values >= edge
            classes = places.astype(np.int32)
        if valid is not None:
            classes[~valid] = self.count
        found = Deviations.of(values if valid is None else values[valid])
        return TargetCells(classes, self.count, values, valid, found)

    def _named(self, array: Array) -> Classes:
        codes, distinct = coded(array)
        places = {value: place for place, value in enumerate(self.values)}
        known = [places.get(value, len(self.values)) for value in distinct.to_pylist()]
        return np.array([*known, self.count], dtype=np.int32)[codes]


def target_classes(datasource: Datasource, source: ByteSource, mapper: Mapper) -> TargetClasses | None:
    """Choose the classes of a datasource's target; None when it has none, or one of TEXT.

    The values of a BINARY target; about ten classes of equal size for a NUMERIC one, or its values if they are no more;
    the 100 most frequent values of a CATEGORICAL one. They are taken from the first batch of up to 16 parts that
    lie evenly over the datasource.
    """
    schema = datasource.schema
    if schema.target is None or schema.type_of(schema.target) is AttributeType.TEXT:
        return None
    kind = schema.type_of(schema.target)
    if kind is AttributeType.BINARY:
        return TargetClasses(schema.target, kind)
    filled = [numbered for numbered in datasource.numbered() if numbered.part.records]
    count = min(len(filled), _PEEKED_PARTS)
    peeked = [filled[place * len(filled) // count] for place in range(count)]
    look = partial(_peek, name=schema.target, records=_PEEKED_RECORDS // max(count, 1), source=source)
    arrays = list(mapper(look, peeked))
    if kind is AttributeType.NUMERIC:
        return TargetClasses(schema.target, kind, edges=_edges(arrays))
    counts = StringCounts()
    for array in arrays:
        codes, distinct = coded(array)
        counts.add(tally_of(codes, distinct, string_keys(distinct), None)[0])
    return TargetClasses(schema.target, kind, values=tuple(value for value, _ in counts.listed()[:_NAMED_CLASSES]))


def _peek(numbered: NumberedPart, name: str, records: int, source: ByteSource) -> Array:
    """Target of so many evenly spread records of the first batch."""
    for batch in read_batches(numbered, source, [name]):
        array = batch.columns[name]
        return array.take(int_array(np.arange(0, len(array), max(1, -(-len(array) // records)))))
    return pa.nulls(0, pa.string() if numbered.schema.type_of(name) is AttributeType.CATEGORICAL else pa.float64())


def _edges(arrays: list[Array]) -> tuple[float, ...]:
    cells = [numbers(array) for array in arrays]
    found = np.sort(np.concatenate([values if valid is None else values[valid] for values, valid in cells]))
    if len(found) == 0:
        return ()
    edges = found[run_starts(found)]
    if len(edges) > _NUMERIC_CLASSES:
        ranks = np.arange(1, _NUMERIC_CLASSES) * len(found) // _NUMERIC_CLASSES
        edges = each_once(found[ranks])
        return tuple(edges[edges > found[0]].tolist())
    return tuple(edges[1:].tolist())
