"""Insights: the statistics of a datasource's attributes, in one streaming pass over its parts.

Estimators, and where they come from, are told in the classes that hold them: `nightcast.datasource.sketches`,
`number_counts`, `string_counts` and `column_state`; the document in `insights_format`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from nightcast.datasource.column_state import (
    BinaryState,
    CategoricalState,
    ColumnState,
    NumericState,
    TargetCells,
)
from nightcast.datasource.insights_format import (
    AttributeInsights,
    BinaryInsights,
    CategoricalInsights,
    Histogram,
    Insights,
    NumericInsights,
    TextInsights,
)
from nightcast.datasource.parts import Batch, ByteSource, Datasource, Mapper, NumberedPart, read_batches
from nightcast.datasource.schema import AttributeType, Schema
from nightcast.datasource.string_counts import TableLimits
from nightcast.datasource.text_state import TextState
from nightcast.errors import DatasourceError

__all__ = [
    "AttributeInsights",
    "BinaryInsights",
    "CategoricalInsights",
    "Histogram",
    "Insights",
    "InsightsState",
    "NumericInsights",
    "TextInsights",
    "compute_insights",
    "merge_insights",
    "part_insights",
]


@dataclass
class InsightsState:
    """What is known of some records: picklable, and of a size that does not grow with their number."""

    records: int
    columns: dict[str, ColumnState]


def compute_insights(datasource: Datasource, source: ByteSource, mapper: Mapper = map) -> Insights:
    """Statistics of all attributes of a datasource, excluded ones, target and row id among them.

    Parameters
    ----------
    datasource
        What to read.
    source
        Gives the files.
    mapper
        Applies the part function, perhaps in other processes. Partial results are merged in the order of the parts, so
        the outcome is the same to the bit whoever computes them.

    Returns
    -------
    Insights
        See `nightcast.datasource.insights_format` for each field, its estimator and its error bound.

    Raises
    ------
    DatasourceError
        When there are no records, or they can not be read: see `read_batches`.

    Notes
    -----
    Memory is bounded by batch size and the states of two parts, not by the number of records.
    """
    if datasource.records == 0:
        raise DatasourceError(
            f"the datasource has no records in {len(datasource.parts)} parts, so there is nothing to learn from; "
            "check the query and the sales period"
        )
    total: InsightsState | None = None
    for state in mapper(partial(part_insights, source=source), datasource.numbered()):
        total = state if total is None else merge_insights(total, state)
    if total is None:
        raise AssertionError("a datasource with records has parts")
    with np.errstate(over="ignore", invalid="ignore"):
        attributes = {name: column.insights() for name, column in total.columns.items()}
    return Insights(records=total.records, bad_records=0, target=datasource.schema.target, attributes=attributes)


def part_insights(numbered: NumberedPart, source: ByteSource) -> InsightsState:
    """What one part adds to the insights; a pure function of the part."""
    schema = numbered.schema
    state = InsightsState(0, _empty_columns(schema))
    # Values near the ends of float64 overflow in sums of squares; the statistic is then None.
    with np.errstate(over="ignore", invalid="ignore"):
        for batch in read_batches(numbered, source):
            target = _target_cells(schema, batch)
            for name, column in state.columns.items():
                # To correlate the target with itself, or with names of records, would say nothing.
                alone = name in (schema.target, schema.row_id)
                column.add(batch.columns[name], batch.invalid.get(name), None if alone else target)
            state.records += len(batch)
    return state


def merge_insights(left: InsightsState, right: InsightsState) -> InsightsState:
    """What two neighbouring runs of records, `left` before `right`, are together; `left` is used up."""
    left.records += right.records
    with np.errstate(over="ignore", invalid="ignore"):
        for name, column in left.columns.items():
            column.merge(right.columns[name])
    return left


def _empty_columns(schema: Schema) -> dict[str, ColumnState]:
    kinds = {
        attribute.name: AttributeType.CATEGORICAL if attribute.name == schema.row_id else attribute.type
        for attribute in schema.attributes
    }
    strings = (AttributeType.CATEGORICAL, AttributeType.TEXT)
    limits = TableLimits.shared_by(sum(kind in strings for kind in kinds.values()))
    return {name: _empty_column(kind, limits) for name, kind in kinds.items()}


def _empty_column(kind: AttributeType, limits: TableLimits) -> ColumnState:
    if kind is AttributeType.NUMERIC:
        return NumericState()
    if kind is AttributeType.BINARY:
        return BinaryState()
    return CategoricalState.of(limits) if kind is AttributeType.CATEGORICAL else TextState.of(limits)


def _target_cells(schema: Schema, batch: Batch) -> TargetCells | None:
    if schema.target is None or schema.type_of(schema.target) not in (AttributeType.NUMERIC, AttributeType.BINARY):
        return None
    return TargetCells.of(batch.columns[schema.target])
