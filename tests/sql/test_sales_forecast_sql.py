"""training.sql, scoring.sql and actuals.sql, executed: grain, target, features, and nothing from the future."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from nightcast.datasource.schema import AttributeType, Schema

SQL = Path(__file__).resolve().parents[2] / "include" / "sql" / "sales_forecast"
LAST = date(2009, 1, 1)
FILES = ("training", "scoring", "actuals")
COMMON_TEXT = "-- From here on the text is equal in training.sql and scoring.sql.\n"


def record_days(records: pa.Table) -> np.ndarray:
    """Day of sale by record."""
    text = [recordid.split("-")[1] for recordid in records["recordid"].to_pylist()]
    return np.array([f"{day[:4]}-{day[4:6]}-{day[6:]}" for day in text], "datetime64[D]")


def of_day(records: pa.Table, day: date) -> pa.Table:
    """The records of one day, without the target."""
    chosen = records.filter(pa.array(record_days(records) == np.datetime64(day)))
    return chosen.drop_columns(["totalsold"]) if "totalsold" in chosen.column_names else chosen


def sale_of(eventid: int, moment: str, quantity: int = 7) -> str:
    return (
        f"insert into sales values (9000000, 1, 1, 1, {eventid}, 1, {quantity}, 700.00, 105.00, timestamp '{moment}')"
    )


def listing_of(eventid: int, moment: str) -> str:
    return f"insert into listing values (9000000, 1, {eventid}, 1, 9, 999.00, 8991.00, timestamp '{moment}')"


class TestText:
    @pytest.mark.parametrize("name", FILES)
    def test_states_grain_columns_and_parameters(self, name: str) -> None:
        head = (SQL / f"{name}.sql").read_text().split("\nwith ")[0]
        for word in ("Grain", "Days", "Order", "Parameters"):
            assert f"-- {word} " in head

    @pytest.mark.parametrize("name", FILES)
    def test_can_stand_in_an_unload(self, name: str) -> None:
        """UNLOAD quotes the query with $$ and refuses an outer LIMIT."""
        text = (SQL / f"{name}.sql").read_text()
        assert "$$" not in text
        assert ";" not in text
        assert not re.search(r"\blimit\b", text, re.IGNORECASE)

    @pytest.mark.parametrize("name", FILES)
    def test_reads_only_the_period_and_says_so(self, name: str) -> None:
        text = (SQL / f"{name}.sql").read_text()
        used = jinja2.meta.find_undeclared_variables(jinja2.Environment(autoescape=False).parse(text))
        parameters = re.search(r"^-- Parameters(.*)$", text, re.MULTILINE)
        assert parameters is not None
        assert used == {word for word in re.findall(r"\w+", parameters[1]) if word.endswith(("_start", "_end"))}

    def test_training_and_scoring_compute_features_by_the_same_text(self) -> None:
        common = [(SQL / f"{name}.sql").read_text().split(COMMON_TEXT) for name in ("training", "scoring")]
        assert [len(parts) for parts in common] == [2, 2]
        assert common[0][1].replace(",\n    records.sold::integer as totalsold\n", "\n") == common[1][1]

    def test_override_fits_the_columns(self, training: pa.Table) -> None:
        override = json.loads((SQL / "training.schema").read_text())
        named = {attribute["attributeName"] for attribute in override["attributes"]}
        texts = {field.name for field in training.schema if pa.types.is_string(field.type)}
        assert texts <= named
        numbers = ("smallint", "integer", "numeric")
        columns = [
            (field.name, "character varying" if field.name in texts else numbers[position % 3])
            for position, field in enumerate(training.schema)
        ]
        schema = Schema.from_columns(columns).with_overrides(override)
        assert (schema.row_id, schema.target) == ("recordid", "totalsold")
        assert schema.type_of("eventname") is AttributeType.TEXT
        assert schema.type_of("holiday") is AttributeType.BINARY
        assert schema.type_of("venuename") is AttributeType.CATEGORICAL
        assert schema.type_of("totalsold") is AttributeType.NUMERIC


class TestGrain:
    def test_about_thirty_thousand_records(self, training: pa.Table) -> None:
        assert 27_000 <= training.num_rows <= 33_000

    def test_one_record_for_each_event_and_day_in_order(self, training: pa.Table) -> None:
        days = record_days(training)
        events = np.array([int(text.split("-")[0]) for text in training["recordid"].to_pylist()])
        key = days.astype(np.int64) * 100_000 + events
        assert np.all(np.diff(key) > 0)

    def test_every_day_of_the_window_and_no_other(self, training: pa.Table, scoring: pa.Table) -> None:
        days = np.unique(record_days(training))
        assert (days[0], days[-1]) == (np.datetime64("2008-11-06"), np.datetime64("2008-12-31"))
        assert len(days) == 56
        assert np.unique(record_days(scoring)).tolist() == [LAST]

    def test_as_many_records_a_day_behind_the_end_as_before(self, training: pa.Table, warehouse: Any) -> None:
        usual = training.num_rows / 56
        for days in (1, 14):
            found = warehouse.query("scoring", LAST, days).num_rows / days
            assert 0.8 * usual < found < 1.2 * usual

    def test_columns_of_scoring_are_those_of_training_without_the_target(
        self, training: pa.Table, scoring: pa.Table
    ) -> None:
        assert scoring.schema.equals(training.drop_columns(["totalsold"]).schema)
        assert training.column_names[0] == "recordid"
        assert training.column_names[-1] == "totalsold"

    def test_only_numbers_without_a_base_are_missing(self, training: pa.Table) -> None:
        missing = {name for name in training.column_names if training[name].null_count}
        assert "venueseats" in missing
        assert missing <= {
            "venueseats", "listprice", "actpace7", "actpace28", "categorypace1", "categorypace7", "venuepace28",
        }  # fmt: skip

    def test_actuals_are_the_target_of_the_period(self, training: pa.Table, warehouse: Any) -> None:
        actuals = warehouse.query("actuals", LAST, 7)
        chosen = pa.array(record_days(training) >= np.datetime64("2008-12-25"))
        assert actuals.equals(training.select(["recordid", "totalsold"]).filter(chosen))

    @pytest.mark.parametrize(("end", "days"), [(LAST, 1), (LAST, 7), (date(2008, 3, 15), 14)])
    def test_actuals_are_the_outcome_of_what_the_run_before_predicted(
        self, warehouse: Any, end: date, days: int
    ) -> None:
        """The same records in the same order, and the targets that this run trains with."""
        predicted = warehouse.query("scoring", end - timedelta(days=days), days)
        actuals = warehouse.query("actuals", end, days)
        assert actuals["recordid"].equals(predicted["recordid"])
        learnt = warehouse.query("training", end, days, training_days=days)
        assert actuals.equals(learnt.select(["recordid", "totalsold"]))
        assert pc.sum(actuals["totalsold"]).as_py() > 0

    def test_actuals_of_periods_in_a_row_have_each_sale_once(self, warehouse: Any) -> None:
        week = warehouse.query("actuals", LAST, 7)
        days = [warehouse.query("actuals", LAST - timedelta(days=back), 1) for back in reversed(range(7))]
        assert pa.concat_tables(days).equals(week)

    @pytest.mark.parametrize("name", FILES)
    def test_bounds_off_midnight_are_cut_to_their_day(self, warehouse: Any, name: str) -> None:
        cut = warehouse.query(name, LAST, training_days=7, hour=5)
        assert cut.equals(warehouse.query(name, LAST, training_days=7))


class TestPointInTime:
    @pytest.mark.parametrize("days", [1, 7])
    def test_what_happens_from_the_end_on_changes_nothing(self, warehouse: Any, scoring: pa.Table, days: int) -> None:
        events = [int(text.split("-")[0]) for text in scoring["recordid"].to_pylist()[::40]]
        before = {name: warehouse.query(name, LAST, days) for name in FILES}
        planted = [
            statement
            for eventid in events
            for moment in ("2009-01-01 00:00:00", "2009-01-01 12:00:00", "2009-01-05 12:00:00")
            for statement in (sale_of(eventid, moment), listing_of(eventid, moment))
        ]
        with warehouse.changed(*planted):
            for name, expected in before.items():
                assert warehouse.query(name, LAST, days).equals(expected), name

    @pytest.mark.parametrize(("days", "lag"), [(1, 0), (7, 6)])
    def test_sales_of_a_day_touch_only_features_of_later_days(
        self, warehouse: Any, training: pa.Table, days: int, lag: int
    ) -> None:
        """The first day that may see the sales of day d is d + 1 + lag."""
        day = date(2008, 12, 10)
        events = [int(text.split("-")[0]) for text in of_day(training, day)["recordid"].to_pylist()[200::50]]
        planted = [sale_of(eventid, f"{day} {clock}") for eventid in events for clock in ("00:00:00", "23:59:59")]
        planted += [listing_of(eventid, f"{day} 00:00:00") for eventid in events]
        before = warehouse.query("training", LAST, days)
        with warehouse.changed(*planted):
            after = warehouse.query("training", LAST, days)
        features = [name for name in before.column_names if name != "totalsold"]
        blind = pa.array(record_days(before) <= np.datetime64(day + timedelta(days=lag)))
        assert after.select(features).filter(blind).equals(before.select(features).filter(blind))
        seeing = day + timedelta(days=lag + 1)
        assert not of_day(after, seeing).equals(of_day(before, seeing))
        gained = pc.sum(after["totalsold"]).as_py() - pc.sum(before["totalsold"]).as_py()
        assert gained == 14 * len(events)

    @pytest.mark.parametrize("days", [1, 7])
    def test_training_sees_what_scoring_saw(self, warehouse: Any, days: int) -> None:
        """The records scored by one run are, feature by feature, those that the next run learns from."""
        scored = warehouse.query("scoring", LAST - timedelta(days=days), days)
        learnt = warehouse.query("training", LAST, days)
        same = learnt.filter(pc.is_in(learnt["recordid"], scored["recordid"]))
        assert same.drop_columns(["totalsold"]).equals(scored)

    def test_the_length_of_the_window_changes_no_feature(self, warehouse: Any, training: pa.Table) -> None:
        short = warehouse.query("training", LAST, training_days=3)
        assert short.equals(training.slice(training.num_rows - short.num_rows))

    @pytest.mark.parametrize(
        ("moment", "seen"),
        [("2008-12-03 23:59:59", ["soldsofar"]), ("2008-12-04 00:00:00", ["soldsofar", "sold28"])],
    )
    @pytest.mark.parametrize("name", ["scoring", "training"])
    def test_sales_long_before_the_event_count(self, warehouse: Any, name: str, moment: str, seen: list[str]) -> None:
        """Also those of days on which the event is not yet on sale: here 57 and 56 days before it."""
        end = LAST if name == "scoring" else LAST + timedelta(days=1)
        before = of_day(warehouse.query(name, end, training_days=1), LAST)
        place = before["daystoevent"].to_pylist().index(29)
        eventid = int(before["recordid"][place].as_py().split("-")[0])
        with warehouse.changed(sale_of(eventid, moment, 5), sale_of(eventid, "2008-02-01 10:00:00", 3)):
            after = of_day(warehouse.query(name, end, training_days=1), LAST)
        assert {column: after[column][place].as_py() - before[column][place].as_py() for column in seen} == {
            column: 8 if column == "soldsofar" else 5 for column in seen
        }
        assert after.drop_columns(seen).equals(before.drop_columns(seen))


TICKIT = Path(__file__).resolve().parents[3] / "shared" / "data" / "tickit"


@pytest.mark.skipif(not TICKIT.is_dir(), reason="needs TICKIT's dimension tables in ../shared/data/tickit")
class TestRealTickit:
    """On the dimensions of the real TICKIT: a calendar without 29 February, venues without seats."""

    @staticmethod
    def _tables(sample: dict[str, pa.Table]) -> dict[str, pa.Table]:
        from pyarrow import csv

        files = {
            "venue": "venue_pipe", "category": "category_pipe", "date": "date2008_pipe", "event": "allevents_pipe",
        }  # fmt: skip
        tables = {}
        for name, file in files.items():
            schema = sample[name].schema
            tables[name] = csv.read_csv(
                TICKIT / f"{file}.txt.gz",
                read_options=csv.ReadOptions(column_names=schema.names),
                parse_options=csv.ParseOptions(delimiter="|"),
                convert_options=csv.ConvertOptions(
                    column_types=dict(zip(schema.names, schema.types, strict=True)), null_values=["\\N"]
                ),
            )
        return tables | {name: sample[name].slice(0, 0) for name in ("listing", "sales")}

    def test_grain_and_columns(
        self,
        sample: dict[str, pa.Table],
        training: pa.Table,
        open_warehouse: Callable[[dict[str, pa.Table]], Any],
    ) -> None:
        tickit = open_warehouse(self._tables(sample))
        # The first sales that the Redshift documentation prints.
        with tickit.changed(sale_of(7872, "2008-02-18 02:36:48", 4), sale_of(4337, "2008-06-06 05:00:16", 2)):
            records = tickit.query("training", date(2008, 6, 18))
            early = tickit.query("actuals", date(2008, 3, 1), 14)
        assert records.schema.equals(training.schema)
        sold = {row["recordid"]: row for row in records.to_pylist()}
        assert len(sold) == records.num_rows
        assert sold["4337-20080606"]["totalsold"] == 2
        assert sold["4337-20080606"]["daystoevent"] == 11
        assert [sold[f"4337-200806{day}"]["sold3"] for day in ("06", "07", "09", "10")] == [0, 2, 2, 0]
        assert sold["4337-20080617"]["soldsofar"] == 2
        assert {"recordid": "7872-20080218", "totalsold": 4} in early.to_pylist()

    def test_last_period_has_about_thirty_thousand_records(
        self, sample: dict[str, pa.Table], open_warehouse: Callable[[dict[str, pa.Table]], Any]
    ) -> None:
        records = open_warehouse(self._tables(sample)).query("training", date(2009, 1, 1))
        assert 27_000 <= records.num_rows <= 33_000
