"""What a new pipeline is told of its sales, checked."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nightcast.errors import PipelineError
from nightcast.scaffold.reserved_words import RESERVED
from nightcast.scaffold.steps import Step, StepCalendar

SERIES = "^(?P<key>.+)-[0-9]{8}$"
DAYS = "-(?P<key>[0-9]{8})$"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_COLUMN = re.compile(r"[a-z_][a-z0-9_]{0,126}")
_TABLE = re.compile(r"(?:[a-z_][a-z0-9_]{0,126}\.){0,2}[a-z_][a-z0-9_]{0,126}")
_OWN = frozenset({"period_day", "as_of", "sold", "has_sales"})
# What the queries name before they read the table.
_PARTS = frozenset({"cuts", "lags", "bounds", "own_facts", "facts", "period_sales", "series"})


@dataclass(frozen=True)
class Facts:
    """Where sales lie: one row a sale, or any finer or coarser grain.

    Parameters
    ----------
    date_column
        When a row was sold: DATE or TIMESTAMP, UTC.
    keys
        Columns whose values together name a series. Rows in which one is NULL are left out.
    table
        Table or view, ``name``, ``schema.name`` or ``database.schema.name``; None: `query` says it.
    query
        A SELECT that gives the columns, without a semicolon at its end.
    value
        Numeric column that is summed up to the target; None: the rows are counted.
    categories, numbers
        Further columns: of a category a series' last known value is an attribute, of a number its trailing mean.
    """

    date_column: str
    keys: tuple[str, ...]
    table: str | None = None
    query: str | None = None
    value: str | None = None
    categories: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.table is None) == (self.query is None):
            raise PipelineError("the sales come from a table or from a query: give one of --table and --facts-sql.")
        if self.table is not None:
            checked_table(self.table)
        if not self.keys:
            raise PipelineError("no series: name the columns that tell one series from another, by --key.")
        for name in self.columns:
            checked_column(name)

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are read, each once."""
        value = () if self.value is None else (self.value,)
        return tuple(dict.fromkeys((self.date_column, *self.keys, *value, *self.categories, *self.numbers)))

    @property
    def attributes(self) -> tuple[str, ...]:
        """Columns whose values become attributes."""
        return (*self.keys, *self.categories, *self.numbers)


@dataclass(frozen=True)
class PipelineSpec:
    """A pipeline to be generated.

    Parameters
    ----------
    name
        Of the DAG, its file, and the folder of its SQL.
    step
        What one record is for; the DAG is scheduled by it.
    target, row_id
        Names of these attributes.
    facts
        Where sales lie; None: the queries are the user's own.
    season_ago
        Whether the same step a year ago is an attribute. It needs a year of sales before the training days.
    training_days
        Days of sales that the training query reads; None: what is usual for the step.
    """

    name: str
    step: Step
    target: str
    row_id: str
    facts: Facts | None
    season_ago: bool = True
    training_days: int | None = None

    def __post_init__(self) -> None:
        checked_name(self.name)
        if self.training_days is not None and not 1 <= self.training_days <= 3660:
            raise PipelineError(f"--training-days is {self.training_days}: give 1 to 3660.")
        for name in (self.target, self.row_id):
            checked_column(name)
        _refuse_twice((self.row_id, *self.columns, self.target))

    @property
    def calendar(self) -> StepCalendar:
        """The step in SQL and words."""
        return self.step.calendar

    @property
    def days(self) -> int:
        """The Param `training_days`."""
        return self.training_days or self.calendar.training_days

    @property
    def columns(self) -> tuple[str, ...]:
        """Attributes between row id and target, in their order; none where the queries are the user's own."""
        if self.facts is None:
            return ()
        return (*self.facts.attributes, *self.calendar_columns, *self.history_columns)

    @property
    def calendar_columns(self) -> tuple[str, ...]:
        """Attributes of the record's own step."""
        return tuple(self.calendar.parts)

    @property
    def history_columns(self) -> tuple[str, ...]:
        """Attributes of what was sold before."""
        short, long = self.calendar.short, self.calendar.long
        season = ("seasonago",) if self.season_ago else ()
        return ("last1", f"mean{short}", f"mean{long}", f"active{long}", *season)

    @property
    def order(self) -> tuple[str, ...]:
        """Columns that the records are ordered by."""
        keys = () if self.facts is None else self.facts.keys
        return ("records.period_day", *(f"records.{key}" for key in keys))

    @property
    def categorical(self) -> tuple[str, ...]:
        """Attributes that column types would not tell to be CATEGORICAL."""
        if self.facts is None:
            return (self.row_id,)
        calendar = tuple(name for name in self.calendar_columns if name != "weekofyear")
        return (self.row_id, *self.facts.keys, *self.facts.categories, *calendar)


def checked_name(name: str) -> str:
    """The name of a pipeline, if DAG, module and folder can have it; PipelineError if not."""
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise PipelineError(
            f"{name!r} is no name of a pipeline: it must begin with a small letter and hold small letters, digits and "
            "underscores only, 40 at most, and be no word of Python."
        )
    return name


def own_query(path: str) -> str:
    """The text of a file with one SELECT, as a part of a larger one.

    Raises
    ------
    PipelineError
        If it can not be read, or is no single SELECT.
    """
    try:
        text = Path(path).read_text(encoding="utf-8").strip().removesuffix(";").rstrip()
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(f"{path} can not be read ({error}): name a file with one SELECT.") from error
    bare = re.sub(r"--[^\n]*", "", text).strip()
    if not re.match(r"select\b", bare, re.IGNORECASE) or ";" in bare:
        raise PipelineError(
            f"{path} is not one SELECT: it becomes a part of the pipeline's queries, so that WITH and several "
            "statements are not possible. Put them into a view, and give --table."
        )
    return text


def checked_table(name: str) -> str:
    """The name of a table, if it can stand in SQL without quotes; PipelineError if not."""
    if not _TABLE.fullmatch(name) or not RESERVED.isdisjoint(name.split(".")):
        raise PipelineError(
            f"{name!r} is no table: write name or schema.name, in small letters, digits and underscores, and no word "
            "that Redshift reserves."
        )
    if name in _PARTS:
        raise PipelineError(f"{name!r} is the name of a part of the queries: give the table with its schema, too.")
    return name


def checked_column(name: str) -> str:
    """The name of a column, if it can stand in SQL without quotes; PipelineError if not."""
    if not _COLUMN.fullmatch(name):
        raise PipelineError(
            f"{name!r} can not be the name of a column here: write small letters, digits and underscores. Redshift "
            "folds names that are not quoted; rename others in a view, or by --facts-sql."
        )
    if name in RESERVED:
        raise PipelineError(f"{name!r} is a reserved word of Redshift: rename the column in a view, or by --facts-sql.")
    if name in _OWN:
        raise PipelineError(f"{name!r} is a name that the queries use themselves: rename it in a view, or another way.")
    return name


def _refuse_twice(names: Iterable[str]) -> None:
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise PipelineError(
            f"two attributes would have the name {', '.join(twice)}: choose another --target or --row-id, name each "
            "column once, or rename columns in a view."
        )
