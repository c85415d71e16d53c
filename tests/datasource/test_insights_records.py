"""Which records insights are of: taken, left out and rejected ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from nightcast.datasource import insights as module
from nightcast.datasource.insights import Insights, NumericInsights, compute_insights
from nightcast.datasource.parts import Batch, Datasource, NumberedPart, Reject, read_batches
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.errors import DatasourceError

Write = Callable[..., Datasource]
SCHEMA = Schema(tuple(Attribute(name, AttributeType.NUMERIC) for name in ("n", "y")), target="y")
RECORDS = 1000


@pytest.fixture
def datasource(write_parts: Write) -> Datasource:
    numbers = np.arange(float(RECORDS))
    return write_parts(SCHEMA, pa.table({"n": numbers, "y": numbers % 7}), [300, 650])


@pytest.fixture
def rejecting(monkeypatch: pytest.MonkeyPatch) -> Callable[[set[int]], None]:
    """Lets the reader reject records by their number."""

    def reject(numbers: set[int]) -> None:
        def read(numbered: NumberedPart, *arguments: Any) -> Iterator[Batch]:
            for batch in read_batches(numbered, *arguments):
                inside = range(batch.first_record, batch.first_record + len(batch))
                found = [Reject(n, numbered.part.uri, "too long", f"line {n}") for n in inside if n in numbers]
                yield replace(batch, rejects=tuple(found))

        monkeypatch.setattr(module, "read_batches", read)

    return reject


@pytest.mark.parametrize(
    "rearrangement",
    [Rearrangement(0, 70), Rearrangement(70, 100), Rearrangement(20, 40, complement=True),
     Rearrangement(0, 50, strategy="random", seed="s")],
)  # fmt: skip
def test_only_the_records_that_are_taken_are_summed_up(
    rearrangement: Rearrangement, datasource: Datasource, files: Any
) -> None:
    numbers = np.arange(float(RECORDS))
    taken = numbers[rearrangement.mask(Batch(0, {}, size=RECORDS), RECORDS, None)]
    found = compute_insights(datasource, files, rearrangement=rearrangement)
    n = found.attributes["n"]
    assert isinstance(n, NumericInsights)

    assert (found.records, found.records_seen, found.bad_records) == (len(taken), RECORDS, 0)
    assert (n.min, n.max, n.distinct) == (taken.min(), taken.max(), len(taken))
    assert n.mean == pytest.approx(taken.mean(), rel=1e-12)
    assert found.rearrangement == rearrangement
    assert Insights.from_json(found.to_json()) == found


def test_rejected_records_are_counted_everywhere_and_summed_up_nowhere(
    rejecting: Callable[[set[int]], None], datasource: Datasource, files: Any
) -> None:
    rejecting({5, 299, 300, 999})
    found = compute_insights(datasource, files, rearrangement=Rearrangement(0, 70))
    n = found.attributes["n"]
    assert isinstance(n, NumericInsights)

    assert (found.records, found.records_seen, found.bad_records) == (697, RECORDS, 4)
    assert [reject.record for reject in found.rejects] == [5, 299, 300, 999]
    assert n.mean == pytest.approx(np.delete(np.arange(700.0), [5, 299, 300]).mean())
    assert (n.missing, n.distinct) == (0, 697)
    assert Insights.from_json(found.to_json()) == found and "too long" not in found.to_json()


def test_of_parquet_that_gives_no_record_only_the_number_of_records_is_read(
    monkeypatch: pytest.MonkeyPatch, datasource: Datasource, files: Any
) -> None:
    wanted: dict[str, Any] = {}

    def read(numbered: NumberedPart, source: Any, columns: Any) -> Iterator[Batch]:
        wanted[numbered.part.uri] = columns
        return read_batches(numbered, source, columns)

    monkeypatch.setattr(module, "read_batches", read)
    for rearrangement, expected in [
        (Rearrangement(0, 30), [None, (), ()]),
        (Rearrangement(0, 65), [None, None, ()]),
        (Rearrangement(0, 65, complement=True), [(), (), None]),
        (Rearrangement(0, 30, strategy="random"), [None, None, None]),
    ]:
        wanted.clear()
        assert compute_insights(datasource, files, rearrangement=rearrangement).records_seen == RECORDS
        assert list(wanted.values()) == expected
    parts = tuple(replace(part, records=part.records + (place == 2)) for place, part in enumerate(datasource.parts))
    with pytest.raises(DatasourceError, match="its manifest says 351"):
        compute_insights(replace(datasource, parts=parts), files, rearrangement=Rearrangement(0, 30))
    lacking = replace(datasource.schema, attributes=(*SCHEMA.attributes, Attribute("other", AttributeType.NUMERIC)))
    with pytest.raises(DatasourceError, match=r"0002_part_00.parquet .* has no column 'other'"):
        list(read_batches(replace(datasource, schema=lacking).numbered()[2], files, ()))
    assert not parts[0].may_reject and replace(parts[0], format="CSV").may_reject


def test_too_many_rejected_records_are_an_error_that_names_the_first(
    rejecting: Callable[[set[int]], None], datasource: Datasource, files: Any
) -> None:
    rejecting(set(range(100, 120)))
    assert compute_insights(datasource, files, max_rejected=20).bad_records == 20

    with pytest.raises(DatasourceError, match=r"20 of 1,000 records can not be read, and 19 are allowed") as caught:
        compute_insights(datasource, files, max_rejected=19)
    assert "record 100 in" in str(caught.value) and "too long" in str(caught.value)
    with pytest.raises(DatasourceError, match="and 0 are allowed, the first ones: record 100 in "):
        compute_insights(datasource, files, max_rejected=0)


def test_a_datasource_of_nothing_but_rejected_records_is_an_error(
    rejecting: Callable[[set[int]], None], datasource: Datasource, files: Any
) -> None:
    rejecting(set(range(RECORDS)))

    with pytest.raises(DatasourceError, match="none of the 1,000 records can be read"):
        compute_insights(datasource, files)


def test_a_rearrangement_that_takes_nothing_is_an_error(write_parts: Write, files: Any) -> None:
    few = write_parts(SCHEMA, pa.table({"n": [1.0], "y": [2.0]}))

    with pytest.raises(DatasourceError, match="takes none of the 1 records"):
        compute_insights(few, files, rearrangement=Rearrangement(0, 50))
