from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightcast.datasource.chronology import find_cuts
from nightcast.datasource.folds import k_folds, rolling_folds
from nightcast.datasource.parts import Batch, Datasource, read_batches
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.datasource.selection import selected_batches
from nightcast.errors import RearrangementError

Write = Callable[..., Datasource]


def schema_of(**types: str) -> Schema:
    return Schema(tuple(Attribute(name, AttributeType(kind)) for name, kind in types.items()))


def chronological(begin: int, end: int, attribute: str = "day") -> Rearrangement:
    return Rearrangement(begin, end, strategy="chronological", attribute=attribute)


def taken(rearrangement: Rearrangement, datasource: Datasource, files: Any) -> list[int]:
    found = rearrangement.resolved(datasource, files)
    return [
        int(value)
        for part in datasource.numbered()
        for batch in selected_batches(part, found, ("n",), files)
        for value in batch.columns["n"].to_pylist()
    ]


def days(records: int, seed: int = 0) -> list[str | None]:
    random = np.random.default_rng(seed)
    first = datetime.date(2008, 1, 1)
    return [
        None if lost else (first + datetime.timedelta(days=int(day))).isoformat()
        for day, lost in zip(random.integers(0, 40, records), random.random(records) < 0.1, strict=True)
    ]


def test_earlier_days_come_before_the_cut_whatever_their_order(write_parts: Write, files: Any) -> None:
    found = days(500)
    table = pa.table({"n": np.arange(500.0), "day": found})
    datasource = write_parts(schema_of(n="NUMERIC", day="CATEGORICAL"), table, [100, 350])
    inside = chronological(0, 70).resolved(datasource, files)
    cut = inside.cuts[1]  # type: ignore[index]
    ordered = sorted(found, key=lambda day: day or "")

    assert inside.cuts == (None, ordered[350])
    assert taken(inside, datasource, files) == [n for n, day in enumerate(found) if (day or "") < cut]
    assert taken(inside.complemented(), datasource, files) == [n for n, day in enumerate(found) if (day or "") >= cut]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.none() | st.integers(0, 12), min_size=4, max_size=60).filter(
        lambda values: sum(value is not None for value in values) * 2 >= len(values)
    ),
    st.sets(st.integers(1, 99), max_size=4),
    st.booleans(),
)
def test_neighbouring_ranges_are_disjoint_and_exhaustive(
    write_parts: Write, files: Any, values: list[int | None], cuts: set[int], numeric: bool
) -> None:
    column = values if numeric else [None if v is None else f"2008-02-{v + 1:02} 10:00:00" for v in values]
    table = pa.table(
        {"n": np.arange(float(len(values))), "t": pa.array(column, pa.float64() if numeric else pa.string())}
    )
    datasource = write_parts(schema_of(n="NUMERIC", t="NUMERIC" if numeric else "TEXT"), table, [len(values) // 2])
    ends = [0, *sorted(cuts), 100]
    pieces = [chronological(a, b, "t") for a, b in pairwise(ends)]
    found = [taken(piece, datasource, files) for piece in pieces]

    assert sorted(n for piece in found for n in piece) == list(range(len(values)))
    for piece, side in zip(pieces, found, strict=True):
        if (piece.percent_begin, piece.percent_end) != (0, 100):
            rest = taken(piece.resolved(datasource, files).complemented(), datasource, files)
            assert sorted(side + rest) == list(range(len(values)))


def test_the_cut_is_the_same_in_every_part_layout(write_parts: Write, files: Any) -> None:
    table = pa.table({"n": np.arange(300.0), "day": days(300, seed=5)})
    schema = schema_of(n="NUMERIC", day="TEXT")
    cuts = {chronological(20, 80).resolved(write_parts(schema, table, at), files).cuts for at in ([], [1], [10, 200])}

    assert len(cuts) == 1


def test_the_rearrangement_travels_as_json_with_its_cuts(write_parts: Write, files: Any) -> None:
    datasource = write_parts(schema_of(n="NUMERIC", day="TEXT"), pa.table({"n": np.arange(90.0), "day": days(90)}))
    found = chronological(0, 50).resolved(datasource, files)

    assert Rearrangement.from_json(found.to_json()) == found
    assert Rearrangement.from_json(chronological(0, 50).to_json()) == chronological(0, 50)
    by_number = chronological(10, 100, "n").resolved(datasource, files)
    assert by_number.cuts == (9.0, None)
    assert Rearrangement.from_json(by_number.to_json()) == by_number


def test_before_it_is_resolved_it_has_no_mask() -> None:
    with pytest.raises(RearrangementError, match="resolved"):
        chronological(0, 70).mask(Batch(0, {"day": pa.array(["2008-01-01"])}), 1, None)


@pytest.mark.parametrize(
    ("column", "kind", "message"),
    [
        (["a", "b", None, "2008-01-01"], "TEXT", r"1 of 4 records have an ISO date in 'x' \('a' is none\)"),
        ([None, None, None, 1.0], "NUMERIC", "1 of 4 records have a number in 'x'"),
        ([True, False, True, True], "BINARY", "'x' is BINARY"),
    ],
)
def test_what_tells_no_time_is_refused(
    write_parts: Write, files: Any, column: list[Any], kind: str, message: str
) -> None:
    datasource = write_parts(schema_of(x=kind), pa.table({"x": column}))
    with pytest.raises(RearrangementError, match=message):
        find_cuts("x", (0, 70), datasource, files)


def test_an_unknown_attribute_is_refused(write_parts: Write, files: Any) -> None:
    datasource = write_parts(schema_of(x="NUMERIC"), pa.table({"x": [1.0]}))
    with pytest.raises(RearrangementError, match="'day' is no attribute; the schema has 'x'"):
        chronological(0, 70).resolved(datasource, files)


@pytest.mark.parametrize(
    "parameters",
    [
        {"strategy": "chronological"},
        {"strategy": "chronological", "attribute": ""},
        {"strategy": "sequential", "attribute": "day"},
        {"strategy": "random", "cuts": (None, 3.0)},
    ],
)
def test_attribute_and_strategy_belong_together(parameters: dict[str, Any]) -> None:
    with pytest.raises(RearrangementError, match="chronological"):
        Rearrangement(0, 70, **parameters)


@pytest.mark.parametrize("cuts", ['["2008-13-01", null]', "[1]", "[true, 2]", '"2008-01-01"', "[[], 2]"])
def test_damaged_cuts_are_refused(cuts: str) -> None:
    parameters = {"attribute": "day", "cuts": json.loads(cuts)}
    text = json.dumps({"splitting": {"strategy": "chronological", "strategyParams": parameters}})
    with pytest.raises(RearrangementError, match="cuts must be"):
        Rearrangement.from_json(text)


@pytest.mark.parametrize(
    ("percents", "cuts", "message"),
    [
        ((0, 70), ["20081231", None], "cuts must be"),
        ((0, 70), [None, None], "null stands for 0 and 100 percent"),
        ((30, 70), [None, "2008-12-31"], "null stands for 0 and 100 percent"),
        ((0, 70), [1, 2], "null stands for 0 and 100 percent"),
        ((30, 70), ["2008-12-31", "2008-12-30"], "do not ascend"),
        ((30, 70), ["2008-12-31", 7], "two days or two numbers"),
        ((0, 70), [None, float("inf")], "cuts must be"),
        ((0, 70), [None, 10**400], "cuts must be"),
    ],
)
def test_cuts_that_do_not_fit_the_range_are_refused(percents: tuple[int, int], cuts: Any, message: str) -> None:
    with pytest.raises(RearrangementError, match=message):
        Rearrangement(*percents, strategy="chronological", attribute="day", cuts=cuts)


def test_a_number_that_names_the_record_tells_no_time(write_parts: Write, files: Any) -> None:
    schema = Schema((Attribute("n", AttributeType.NUMERIC),), row_id="n")
    with pytest.raises(RearrangementError, match="'n' is the row id"):
        chronological(0, 70, "n").resolved(write_parts(schema, pa.table({"n": [1.0, 2.0]})), files)


def test_a_cut_of_many_numbers_is_within_the_error_of_the_sketch(write_parts: Write, files: Any) -> None:
    values = np.random.default_rng(8).lognormal(3, 1, 20_000)
    datasource = write_parts(schema_of(x="NUMERIC"), pa.table({"x": values}), [7_000])
    found = chronological(30, 70, "x").resolved(datasource, files).cuts
    assert found is not None
    exact = np.sort(values)[[6_000, 14_000]]

    assert found == pytest.approx(exact, rel=2**-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 100), st.sampled_from(["sequential", "random"]), st.integers(0, 300))
def test_folds_tile_the_records(k: int, strategy: str, total: int) -> None:
    batch = Batch(0, {}, {}, total)
    folds = k_folds(k, strategy, seed="s")
    masks = [fold.evaluate.mask(batch, total, None) for fold in folds]

    assert len(folds) == k
    assert (np.sum(masks, axis=0) == 1).all()
    for fold, mask in zip(folds, masks, strict=True):
        assert (fold.train.mask(batch, total, None) == ~mask).all()


def test_rolling_folds_never_train_on_what_comes_later(write_parts: Write, files: Any) -> None:
    found = days(400, seed=2)
    table = pa.table({"n": np.arange(400.0), "day": found})
    datasource = write_parts(schema_of(n="NUMERIC", day="TEXT"), table)
    folds = rolling_folds(3, "day")

    assert len(folds) == 3
    for fold in folds:
        train, evaluate = taken(fold.train, datasource, files), taken(fold.evaluate, datasource, files)
        assert max(found[n] or "" for n in train) < min(found[n] or "" for n in evaluate)


@pytest.mark.parametrize("k", [1, 101, 2.0, True])
def test_folds_out_of_range_are_refused(k: Any) -> None:
    with pytest.raises(RearrangementError, match="2 to 100"):
        k_folds(k)


def test_rejected_records_have_no_rank(write_csv: Write, files: Any) -> None:
    schema = schema_of(n="NUMERIC", day="TEXT")
    text = "0,2008-01-01\nbroken\n2,2008-01-03\n3,2008-01-04\n4,2008-01-05\n"
    datasource = write_csv(schema, text, records=[5])
    assert sum(len(batch.rejects) for part in datasource.numbered() for batch in read_batches(part, files)) == 1
    assert chronological(0, 50).resolved(datasource, files).cuts == (None, "2008-01-04")
    assert taken(chronological(0, 50), datasource, files) == [0, 2]
