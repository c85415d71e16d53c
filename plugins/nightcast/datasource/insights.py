"""Insights: the statistics of a datasource's attributes, in one streaming pass over its parts.

Estimators, and where they come from, are told in the classes that hold them: `nightcast.datasource.sketches`,
`number_counts`, `string_counts`, `information` and the states of the attribute types; the document in
`insights_format`, and all together in ``docs/insights.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from nightcast.datasource.arrow_arrays import Hashes
from nightcast.datasource.categorical_state import CategoricalState, RowIdState
from nightcast.datasource.column_state import BinaryState, ColumnState
from nightcast.datasource.insights_format import (
    AttributeInsights,
    BinaryInsights,
    CategoricalInsights,
    DateInsights,
    Histogram,
    Insights,
    NumericInsights,
    TextInsights,
)
from nightcast.datasource.numeric_state import NumericState
from nightcast.datasource.parts import Batch, ByteSource, Datasource, Mapper, NumberedPart, Reject, read_batches
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.rejects import NAMED_REJECTS, check_rejected
from nightcast.datasource.schema import AttributeType, Schema
from nightcast.datasource.selection import filtered
from nightcast.datasource.string_counts import TableLimits
from nightcast.datasource.target_cells import Beside
from nightcast.datasource.target_classes import TargetClasses, target_classes
from nightcast.datasource.text_state import TextState
from nightcast.datasource.value_keys import record_weights
from nightcast.errors import DatasourceError

__all__ = [
    "AttributeInsights",
    "BinaryInsights",
    "CategoricalInsights",
    "DateInsights",
    "Histogram",
    "Insights",
    "InsightsPlan",
    "InsightsState",
    "NumericInsights",
    "TextInsights",
    "compute_insights",
    "merge_insights",
    "part_insights",
]

_PIECE_RECORDS = 65_536


@dataclass(frozen=True)
class InsightsPlan:
    """What all parts are treated alike by.

    Parameters
    ----------
    rearrangement
        Which records are taken.
    target
        What the target is sorted into; None without a target.
    max_rejected
        How many rejected records are allowed, and kept.
    """

    rearrangement: Rearrangement = field(default_factory=Rearrangement)
    target: TargetClasses | None = None
    max_rejected: int = 10_000

    @property
    def kept_rejects(self) -> int:
        """How many rejected records are kept: all that are allowed, and those that an error names."""
        return max(self.max_rejected, NAMED_REJECTS)


@dataclass
class InsightsState:
    """What is known of some records: picklable, and of a size that does not grow with their number."""

    columns: dict[str, ColumnState]
    records: int = 0
    seen: int = 0
    rejected: int = 0
    rejects: list[Reject] = field(default_factory=list)


def compute_insights(
    datasource: Datasource,
    source: ByteSource,
    mapper: Mapper = map,
    *,
    rearrangement: Rearrangement | None = None,
    max_rejected: int = 10_000,
) -> Insights:
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
    rearrangement
        Which records are summed up; all by default. Of parts that give none, Parquet files are counted
        and their columns checked; CSV files are read nevertheless, for their rejected records.
    max_rejected
        How many records of the whole datasource may be rejected.

    Returns
    -------
    Insights
        See `nightcast.datasource.insights_format` for each field, its estimator and its error bound.

    Raises
    ------
    DatasourceError
        When there are no records, none is taken, too many are rejected, or they can not be read: see `read_batches`.

    Notes
    -----
    Memory is bounded by batch size and the states of two parts, not by the number of records.
    """
    if datasource.records == 0:
        raise DatasourceError(
            f"the datasource has no records in {len(datasource.parts)} parts, so there is nothing to learn from; "
            "check the query and the sales period"
        )
    taken = Rearrangement() if rearrangement is None else rearrangement.resolved(datasource, source, mapper)
    plan = InsightsPlan(taken, target_classes(datasource, source, mapper), max_rejected)
    total: InsightsState | None = None
    for state in mapper(partial(part_insights, source=source, plan=plan), datasource.numbered()):
        total = state if total is None else merge_insights(total, state, plan)
        # Not kept while the next part is summed up.
        del state
    if total is None:
        raise AssertionError("a datasource with records has parts")
    _check_records(total, plan)
    with np.errstate(over="ignore", invalid="ignore"):
        attributes = {name: column.insights() for name, column in total.columns.items()}
    return Insights(
        records=total.records,
        bad_records=total.rejected,
        target=datasource.schema.target,
        attributes=attributes,
        records_seen=total.seen,
        rearrangement=taken,
        rejects=tuple(total.rejects),
    )


def part_insights(numbered: NumberedPart, source: ByteSource, plan: InsightsPlan) -> InsightsState:
    """What one part adds to the insights; a pure function of the part."""
    schema = numbered.schema
    state = InsightsState(_empty_columns(schema))
    # Values near the ends of float64 overflow in sums of squares; the statistic is then None.
    with np.errstate(over="ignore", invalid="ignore"):
        for batch, weights in _pieces(_taken(numbered, source, plan, state)):
            state.records += len(batch)
            target = None if plan.target is None else plan.target.cells(batch.columns[plan.target.name])
            beside, alone = Beside(weights, target), Beside(weights, None)
            for name, column in state.columns.items():
                # To correlate the target with itself, or with names of records, would say nothing.
                by_itself = name in (schema.target, schema.row_id)
                column.add(batch.columns[name], batch.invalid.get(name), alone if by_itself else beside)
        for column in state.columns.values():
            column.finish()
    return state


def merge_insights(left: InsightsState, right: InsightsState, plan: InsightsPlan) -> InsightsState:
    """What two neighbouring runs of records, `left` before `right`, are together; `left` is used up."""
    left.records += right.records
    left.seen += right.seen
    left.rejected += right.rejected
    left.rejects = (left.rejects + right.rejects)[: plan.kept_rejects]
    with np.errstate(over="ignore", invalid="ignore"):
        for name, column in left.columns.items():
            column.merge(right.columns[name])
    return left


def _taken(
    numbered: NumberedPart, source: ByteSource, plan: InsightsPlan, state: InsightsState
) -> Iterator[tuple[Batch, Hashes]]:
    """Batches of the records that are taken, with the weights of those; what is rejected goes to the state."""
    everything = plan.rearrangement == Rearrangement()
    # Where no record is taken, what can be rejected is looked for nevertheless.
    unread = plan.rearrangement.leaves_out(numbered) and not numbered.part.may_reject
    for batch in read_batches(numbered, source, () if unread else None):
        weights = record_weights(batch.first_record, len(batch))
        state.seen += len(batch)
        state.rejected += len(batch.rejects)
        state.rejects += batch.rejects[: plan.kept_rejects - len(state.rejects)]
        rejected = batch.rejected
        if everything and rejected is None:
            yield batch, weights
            continue
        taken = plan.rearrangement.mask(batch, numbered.total, numbered.schema.row_id)
        if rejected is not None:
            taken &= ~rejected
        if taken.all():
            yield batch, weights
        elif taken.any():
            yield filtered(batch, taken), weights[taken]


def _pieces(batches: Iterable[tuple[Batch, Hashes]]) -> Iterator[tuple[Batch, Hashes]]:
    """Batches cut so short that what is computed of them stays in the cache, and in memory that is used again.

    A fresh array of a million bytes costs ten times as much as what is written to it.
    """
    for batch, weights in batches:
        for begin in range(0, len(batch), _PIECE_RECORDS):
            end = begin + _PIECE_RECORDS
            columns = {name: array.slice(begin, _PIECE_RECORDS) for name, array in batch.columns.items()}
            invalid = {name: mask[begin:end] for name, mask in batch.invalid.items()}
            yield Batch(batch.first_record + begin, columns, invalid, len(weights[begin:end])), weights[begin:end]


def _check_records(total: InsightsState, plan: InsightsPlan) -> None:
    check_rejected(total.rejected, total.seen, plan.max_rejected, total.rejects)
    if total.records == 0:
        raise DatasourceError(
            f"the data rearrangement {plan.rearrangement.to_json()} takes none of the {total.seen:,} records; "
            "widen its range"
        )


def _empty_columns(schema: Schema) -> dict[str, ColumnState]:
    strings = (AttributeType.CATEGORICAL, AttributeType.TEXT)
    tables = sum(attribute.type in strings for attribute in schema.attributes if attribute.name != schema.row_id)
    limits = TableLimits.shared_by(tables)
    numeric = schema.target is not None and schema.type_of(schema.target) is AttributeType.NUMERIC
    return {
        attribute.name: RowIdState()
        if attribute.name == schema.row_id
        else _empty_column(attribute.type, limits, numeric=numeric)
        for attribute in schema.attributes
    }


def _empty_column(kind: AttributeType, limits: TableLimits, *, numeric: bool) -> ColumnState:
    if kind is AttributeType.NUMERIC:
        return NumericState()
    if kind is AttributeType.BINARY:
        return BinaryState()
    return CategoricalState.of(limits, numeric=numeric) if kind is AttributeType.CATEGORICAL else TextState.of(limits)
