"""Attribute types from values: what ``nightcast schema`` proposes, with its reasons.

The rules are Nightcast's own, in the order of ``docs/datasource.md``. Amazon ML's console took every column of numbers
for a quantity, ids and codes among them; these rules ask the name and the form of the numbers as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from nightcast.datasource.name_hints import says_calendar, says_code, says_group, says_id, says_quantity
from nightcast.datasource.parts import ByteSource, Part
from nightcast.datasource.samples import SampledColumn, sample_columns
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.datasource.value_forms import ValueForms

BINARY, CATEGORICAL = AttributeType.BINARY, AttributeType.CATEGORICAL
NUMERIC, TEXT = AttributeType.NUMERIC, AttributeType.TEXT
NEARLY_ALL = 0.99
"""Share of the records that must have a form for the column to have it; the others become invalid cells."""

MOST_GROUPS = 100
_EXAMPLES = 5
_CODE_DIGITS = 5
_LEAST_CODES = 20
_LEAST_LEADING_DIGITS = 5
_MOST_ROUND = 0.25
_SENTENCE_WORDS = 3.0
_LONG_TEXT_WORDS = 8.0
_POSITIVE = frozenset(("1", "y", "yes", "t", "true"))
_NEGATIVE = frozenset(("0", "n", "no", "f", "false"))
_WHOLE_WORDS = frozenset(("yes", "no", "true", "false"))

Verdict = tuple[AttributeType, str]


@dataclass(frozen=True)
class InferredAttribute:
    """What a column looks like.

    Parameters
    ----------
    name, type
        As of `Attribute`.
    reason
        Why it has this type, as a person would say it.
    examples
        Up to five different values, in the order in which they occur, the first 60 characters of each.
    distinct
        Number of different values in the sample, NULL and blank not counted.
    missing
        Number of NULL and blank cells in the sample.
    sampled
        Number of records looked at.
    """

    name: str
    type: AttributeType
    reason: str
    examples: tuple[str, ...]
    distinct: int
    missing: int
    sampled: int

    @property
    def unique(self) -> bool:
        """Whether each record of the sample has a value of its own."""
        return self.distinct == self.sampled > 1


def infer_attributes(
    parts: Sequence[Part], source: ByteSource, names: Sequence[str], *, target: str | None = None
) -> tuple[InferredAttribute, ...]:
    """Guess the type of each column from a sample of the records.

    Parameters
    ----------
    parts
        All of one format; ``records`` does not matter. Of up to 8 parts, spread evenly, the first records are looked
        at: 50,000 together, and at most 8 MiB of CSV of each part. The same parts give the same answer.
    names
        Names of the columns of CSV parts, in column order. Parquet parts have their own.
    target
        The attribute that will be predicted: a number is NUMERIC there whatever its name, unless it is 0 and 1.

    Returns
    -------
    tuple
        One entry for each column, in column order; Parquet columns that no attribute can hold, such as lists, are
        left out with a `SchemaWarning`.

    Raises
    ------
    DatasourceError
        When a part can not be read.
    """
    return tuple(
        _inferred(column, first=place == 0, is_target=column.name == target)
        for place, column in enumerate(sample_columns(parts, source, names))
    )


def inferred_schema(
    attributes: Sequence[InferredAttribute], target: str | None = None, row_id: str | None = None, header: bool = False
) -> Schema:
    """The schema that the guesses make.

    Raises
    ------
    SchemaError
        When a limit is passed, or a role names an attribute that is not there.
    """
    return Schema(tuple(Attribute(one.name, one.type) for one in attributes), target, row_id, header=header)


def row_id_candidate(attributes: Sequence[InferredAttribute]) -> str | None:
    """The attribute that may name a record, or None.

    Every record of the sample has a value of its own, and the name says id or the column is the first; no fraction and
    no text is one.
    """
    fit = [one for one in attributes if one.unique and one.type is CATEGORICAL]
    named = [one.name for one in fit if says_id(one.name)]
    first = [one.name for one in fit if one.name == attributes[0].name]
    return next(iter(named + first), None)


def _inferred(column: SampledColumn, *, first: bool, is_target: bool) -> InferredAttribute:
    forms = ValueForms.of(column.strings)
    kind, reason = _of_arrow_type(column, forms) or _of_values(column, forms, first=first, is_target=is_target)
    return InferredAttribute(
        column.name, kind, reason, forms.examples(_EXAMPLES), forms.distinct, forms.missing, len(column.strings)
    )


def _of_arrow_type(column: SampledColumn, forms: ValueForms) -> Verdict | None:
    """What a Parquet column's own type settles."""
    kind, types = column.type, pa.types
    if kind is None:
        return None
    if types.is_boolean(kind):
        return BINARY, "the Parquet column is boolean"
    if types.is_floating(kind) or (types.is_decimal(kind) and kind.scale > 0):
        return NUMERIC, f"the Parquet column holds {_plain(kind)}"
    if types.is_date(kind) or types.is_timestamp(kind):
        return TEXT, _dated(forms) if forms.iso_date.any() else f"the Parquet column holds {_plain(kind)}"
    if types.is_time(kind):
        return CATEGORICAL, "the Parquet column holds times of the day"
    return None


def _plain(kind: pa.DataType) -> str:
    for test, name in (
        (pa.types.is_floating, "floating point numbers"),
        (pa.types.is_decimal, "decimals"),
        (pa.types.is_date, "dates"),
    ):
        if test(kind):
            return name
    return "timestamps"


def _of_values(column: SampledColumn, forms: ValueForms, *, first: bool, is_target: bool) -> Verdict:
    if not forms.present:
        return CATEGORICAL, "no record of the sample has a value"
    two = _two_valued(forms)
    if two is not None:
        return BINARY, two
    if _are_numbers(forms):
        if column.holds_strings:
            return CATEGORICAL, "numbers in a Parquet column of strings; cast the column to make it NUMERIC"
        code = None if is_target or not forms.whole else _as_code(column.name, forms, first=first)
        return (CATEGORICAL, code) if code else (NUMERIC, _numbers(forms))
    return _of_strings(forms)


def _are_numbers(forms: ValueForms) -> bool:
    share = forms.share(forms.number)
    # A letter among a handful of numbers is one of the codes, and no slip of the pen.
    return share == 1 or (share >= NEARLY_ALL and int(forms.number.sum()) > MOST_GROUPS)


def _two_valued(forms: ValueForms) -> str | None:
    if forms.distinct > len(_POSITIVE | _NEGATIVE) * 3:
        return None
    found = {value.lower() for value in forms.values.to_pylist()}
    if not found <= _POSITIVE | _NEGATIVE:
        return None
    if found & _POSITIVE and found & _NEGATIVE:
        return "two values: " + " and ".join(forms.examples(4))
    return f"only {forms.examples(1)[0]} in the sample, a form of two values" if found <= _WHOLE_WORDS else None


def _as_code(name: str, forms: ValueForms, *, first: bool) -> str | None:
    """Why whole numbers are names rather than quantities, or None."""
    low = forms.numbers.min()
    if forms.zero_padded:
        return "digits with leading zeros: a code"
    if low < 0:
        return None
    if says_code(name):
        each = "; each record has its own" if forms.unique else f"; {forms.distinct:,} different ones"
        return f"whole numbers, and the name says {'id' if says_id(name) else 'code'}{each}"
    if forms.distinct <= MOST_GROUPS and says_group(name):
        return f"{forms.distinct:,} different whole numbers, and the name says a group"
    if says_calendar(name) and forms.numbers.max() <= 12:
        return "whole numbers, and the name says a part of the calendar that repeats"
    if says_quantity(name):
        return None
    if first and forms.unique and forms.distinct >= _LEAST_CODES and forms.numbers.max() - low < forms.distinct:
        return "the first column, and its whole numbers count the records"
    return _of_fixed_width(forms)


def _of_fixed_width(forms: ValueForms) -> str | None:
    """Postcodes and the like: of one width, spread over it, and no rounder than chance makes them."""
    fewest, most = forms.digits
    if fewest != most or most < _CODE_DIGITS or forms.distinct < _LEAST_CODES or forms.share(forms.compact_date) == 1:
        return None
    leading = len(np.unique(forms.numbers // 10.0 ** (most - 1)))
    if leading < _LEAST_LEADING_DIGITS or float((forms.numbers % 10 == 0).mean()) > _MOST_ROUND:
        return None
    return f"whole numbers of {most} digits each: a code"


def _numbers(forms: ValueForms) -> str:
    low, high = forms.numbers.min(), forms.numbers.max()
    if forms.whole and forms.share(forms.compact_date) == 1:
        return f"days written as numbers ({low:.0f}); write them as 2008-12-31 to have dates"
    shape = "whole numbers" if forms.whole else "numbers"
    reason = f"{shape} from {low:.10g} to {high:.10g}"
    others = int(forms.counts[~forms.number].sum())
    if others:
        example = forms.chosen(~forms.number)[0].as_py()
        reason += f"; {others:,} cells such as {example:.20} are none and become invalid"
    return reason


def _dated(forms: ValueForms) -> str:
    first, last = forms.days
    return f"dates from {first} to {last}"


def _of_strings(forms: ValueForms) -> Verdict:
    if forms.share(forms.iso_date) >= NEARLY_ALL:
        return TEXT, _dated(forms)
    example = forms.examples(1)[0]
    if forms.share(forms.slashed_date) >= NEARLY_ALL:
        return TEXT, f"dates such as {example}, of which nothing says what is day and what is month; write 2008-12-31"
    if forms.dressed.any() and forms.share(forms.dressed | forms.number) >= NEARLY_ALL:
        example = forms.chosen(forms.dressed)[0].as_py()
        return (
            CATEGORICAL,
            f"numbers such as {example:.20}, which no reader takes; write them as 1234.5 to have NUMERIC",
        )
    if forms.words >= _LONG_TEXT_WORDS and forms.distinct > MOST_GROUPS:
        return TEXT, f"sentences: {forms.words:.0f} words on average"
    if forms.words >= _SENTENCE_WORDS and 2 * forms.distinct >= forms.present > 1:
        return TEXT, f"sentences: {forms.words:.1f} words on average, and they hardly repeat"
    if forms.unique:
        return CATEGORICAL, "strings, and each record has its own"
    return CATEGORICAL, "1 value" if forms.distinct == 1 else f"{forms.distinct:,} different strings"
