"""The sample warehouse: deterministic, consistent, and shaped like real ticket sales."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from nightcast.sandbox.sample import generate
from nightcast.sandbox.sample_calendar import SalesYear, holidays
from nightcast.sandbox.sample_load import TABLES, csv_gz

TICKIT_ROWS = {"venue": 202, "category": 11, "event": 8_800}
YEAR_ENDS = (date(2008, 12, 31), date(2026, 11, 22), date(2024, 2, 29))


def digest(tables: dict[str, pa.Table]) -> str:
    return hashlib.sha256(b"".join(csv_gz(tables[name]) for name in sorted(tables))).hexdigest()


@pytest.fixture(scope="module", params=YEAR_ENDS, ids=str)
def year(request: pytest.FixtureRequest) -> SalesYear:
    return SalesYear(request.param)


@pytest.fixture(scope="module")
def tables(year: SalesYear) -> dict[str, pa.Table]:
    return generate(year.end)


@pytest.fixture(scope="module")
def frames(tables: dict[str, pa.Table]) -> dict[str, pd.DataFrame]:
    return {name: table.to_pandas() for name, table in tables.items()}


@pytest.fixture(scope="module")
def classic() -> dict[str, pd.DataFrame]:
    """The year that tests and `make run` use."""
    return {name: table.to_pandas() for name, table in generate().items()}


class TestSalesYear:
    @pytest.mark.parametrize(
        ("end", "start", "days"),
        [
            (date(2008, 12, 31), date(2008, 1, 1), 366),
            (date(2007, 12, 31), date(2007, 1, 1), 365),
            (date(2026, 11, 22), date(2025, 11, 23), 365),
            (date(2024, 2, 28), date(2023, 3, 1), 365),
            (date(2024, 2, 29), date(2023, 3, 1), 366),
            (date(2024, 3, 1), date(2023, 3, 2), 366),
        ],
    )
    def test_first_day(self, end: date, start: date, days: int) -> None:
        assert (SalesYear(end).start, SalesYear(end).days) == (start, days)

    def test_ids_continue_those_of_tickit(self) -> None:
        assert SalesYear(date(2008, 12, 31)).first_dateid == 1827
        assert SalesYear(date(2009, 12, 31)).first_dateid == 1827 + 366


def test_holidays_of_2008() -> None:
    assert sorted(day.isoformat()[5:] for day in holidays(2008)) == [
        "01-01", "01-21", "02-18", "05-26", "07-04", "09-01", "11-27", "11-28", "12-25", "12-26",
    ]  # fmt: skip


class TestDeterminism:
    def test_equal_arguments_give_equal_bytes_in_another_process(self) -> None:
        code = (
            "from nightcast.sandbox.sample import generate\n"
            "from nightcast.sandbox.sample_load import csv_gz\n"
            "import hashlib\n"
            "tables = generate()\n"
            "text = b''.join(csv_gz(tables[name]) for name in sorted(tables))\n"
            "print(hashlib.sha256(text).hexdigest())\n"
        )
        finished = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"}
        )
        assert finished.stdout.strip() == digest(generate())

    def test_another_seed_gives_other_sales(self) -> None:
        assert not generate(seed=1)["sales"].equals(generate(seed=2)["sales"])

    def test_is_quick(self) -> None:
        started = time.perf_counter()
        generate()
        assert time.perf_counter() - started < 5


class TestTables:
    def test_columns_are_those_of_the_definitions(self, tables: dict[str, pa.Table]) -> None:
        assert list(tables) == list(TABLES)
        for name, table in tables.items():
            defined = [line.split()[0] for line in TABLES[name].strip().splitlines()]
            assert table.column_names == defined

    def test_counts(self, tables: dict[str, pa.Table], year: SalesYear) -> None:
        for name, rows in TICKIT_ROWS.items():
            assert tables[name].num_rows == rows
        assert tables["date"].num_rows == year.days + 90
        assert abs(tables["sales"].num_rows - 170_000) < 5_000
        assert 170_000 < tables["listing"].num_rows < 210_000

    def test_only_seats_may_be_missing(self, tables: dict[str, pa.Table]) -> None:
        missing = {(n, c) for n, table in tables.items() for c in table.column_names if table[c].null_count}
        assert missing == {("venue", "venueseats")}
        assert (tables["venue"]["venueseats"].to_pandas() == 0).sum() == 12

    def test_text_fits_its_columns(self, frames: dict[str, pd.DataFrame]) -> None:
        widths = {"venuename": 100, "venuecity": 30, "venuestate": 2, "catgroup": 10, "catname": 10, "catdesc": 50}
        for frame in (frames["venue"], frames["category"]):
            for column in frame.columns.intersection(list(widths)):
                assert frame[column].str.len().max() <= widths[column]
        assert frames["event"]["eventname"].str.len().max() <= 200

    def test_names_are_unique_where_they_should_be(self, frames: dict[str, pd.DataFrame]) -> None:
        assert frames["venue"]["venuename"].is_unique
        assert 400 < frames["event"]["eventname"].nunique() < 700


class TestKeys:
    def test_numbered_without_gaps(self, frames: dict[str, pd.DataFrame]) -> None:
        for name, key in (("venue", "venueid"), ("event", "eventid"), ("listing", "listid"), ("sales", "salesid")):
            assert frames[name][key].tolist() == list(range(1, len(frames[name]) + 1))

    @pytest.mark.parametrize(
        ("table", "key", "parent"),
        [
            ("event", "venueid", "venue"),
            ("event", "catid", "category"),
            ("event", "dateid", "date"),
            ("listing", "eventid", "event"),
            ("listing", "dateid", "date"),
            ("sales", "eventid", "event"),
            ("sales", "dateid", "date"),
            ("sales", "listid", "listing"),
        ],
    )
    def test_refer_to_rows_that_exist(self, frames: dict[str, pd.DataFrame], table: str, key: str, parent: str) -> None:
        assert frames[table][key].isin(frames[parent][key]).all()

    def test_dates_agree_with_times(self, frames: dict[str, pd.DataFrame]) -> None:
        days = frames["date"].set_index("dateid")["caldate"]
        for name, moment in (("event", "starttime"), ("listing", "listtime"), ("sales", "saletime")):
            assert (frames[name]["dateid"].map(days) == frames[name][moment].dt.date).all()

    def test_a_sale_is_of_a_listing_of_its_event_and_seller(self, frames: dict[str, pd.DataFrame]) -> None:
        joined = frames["sales"].merge(frames["listing"], on="listid", suffixes=("", "_listed"))
        assert (joined["eventid"] == joined["eventid_listed"]).all()
        assert (joined["sellerid"] == joined["sellerid_listed"]).all()
        assert (joined["listtime"] < joined["saletime"]).all()

    def test_no_listing_is_oversold(self, frames: dict[str, pd.DataFrame]) -> None:
        sold = frames["sales"].groupby("listid")["qtysold"].sum()
        offered = frames["listing"].set_index("listid")["numtickets"]
        assert (sold <= offered.loc[sold.index]).all()

    def test_nobody_sells_more_than_the_house_holds(self, frames: dict[str, pd.DataFrame]) -> None:
        seats = frames["event"].merge(frames["venue"], on="venueid").set_index("eventid")["venueseats"]
        known = seats[seats > 0]
        sold = frames["sales"].groupby("eventid")["qtysold"].sum().reindex(known.index).fillna(0)
        offered = frames["listing"].groupby("eventid")["numtickets"].sum().reindex(known.index).fillna(0)
        assert (sold <= known).all()
        assert (offered > known).mean() < 0.005

    def test_nothing_moves_after_the_event_began(self, frames: dict[str, pd.DataFrame]) -> None:
        starts = frames["event"].set_index("eventid")["starttime"]
        assert (frames["sales"]["saletime"] < frames["sales"]["eventid"].map(starts)).all()
        assert (frames["listing"]["listtime"] < frames["listing"]["eventid"].map(starts)).all()

    def test_money(self, frames: dict[str, pd.DataFrame]) -> None:
        listing, sales = frames["listing"], frames["sales"]
        assert (listing["priceperticket"] * listing["numtickets"] == listing["totalprice"]).all()
        asked = sales["listid"].map(listing.set_index("listid")["priceperticket"])
        assert (asked * sales["qtysold"] == sales["pricepaid"]).all()
        assert (sales["commission"].astype(float) - 0.15 * sales["pricepaid"].astype(float)).abs().max() < 0.006
        assert sales["qtysold"].between(1, 8).all() and sales["qtysold"].nunique() == 8


class TestDates:
    def test_sales_fill_the_year_and_end_with_it(self, frames: dict[str, pd.DataFrame], year: SalesYear) -> None:
        days = frames["sales"]["saletime"].dt.date
        assert (days.min(), days.max()) == (year.start, year.end)
        assert days.nunique() == year.days
        assert frames["listing"]["listtime"].dt.date.max() == year.end

    def test_events_and_calendar_go_on_behind_the_end(self, frames: dict[str, pd.DataFrame], year: SalesYear) -> None:
        last = frames["event"]["starttime"].dt.date.max()
        assert timedelta(60) <= last - year.end <= timedelta(75)
        calendar = frames["date"]["caldate"]
        assert calendar.tolist() == [year.start + timedelta(day) for day in range(year.days + 90)]

    def test_calendar_tells_the_real_week_days(self, frames: dict[str, pd.DataFrame]) -> None:
        calendar = frames["date"]
        days = pd.to_datetime(calendar["caldate"])
        assert (calendar["day"] == days.dt.day_name().str[:2].str.upper()).all()
        assert (calendar["month"] == days.dt.month_name().str[:3].str.upper()).all()
        assert (calendar["qtr"].astype(int) == days.dt.quarter).all()
        assert calendar["week"].between(1, 54).all()
        turns = calendar.loc[calendar["week"].diff() > 0, "day"]
        assert set(turns) == {"SU"}

    def test_as_many_events_on_sale_at_the_end_as_before(
        self, frames: dict[str, pd.DataFrame], year: SalesYear
    ) -> None:
        starts = frames["event"]["starttime"].dt.date
        counts = [
            ((starts >= day) & (starts < day + timedelta(30))).sum()
            for day in (year.start + timedelta(number) for number in range(0, year.days + 30, 15))
        ]
        assert min(counts) > 0.7 * np.mean(counts)


class TestStructure:
    """What a sales analyst would find, and a model should learn."""

    def test_week_days(self, classic: dict[str, pd.DataFrame]) -> None:
        by_day = classic["sales"]["saletime"].dt.day_of_week.value_counts()
        assert by_day[4] > 1.25 * by_day[0]
        assert by_day[5] > 1.2 * by_day[6]

    def test_hours(self, classic: dict[str, pd.DataFrame]) -> None:
        by_hour = classic["sales"]["saletime"].dt.hour.value_counts()
        assert by_hour.get(0, 0) == 0
        assert by_hour[19] > 3 * by_hour[4]

    def test_holidays_are_quiet(self, classic: dict[str, pd.DataFrame]) -> None:
        a_day = classic["sales"].groupby("dateid").size()
        holiday = classic["date"].set_index("dateid")["holiday"].loc[a_day.index]
        assert a_day[holiday].mean() < 0.8 * a_day[~holiday].mean()

    def test_seasons_of_sports(self, classic: dict[str, pd.DataFrame]) -> None:
        events = classic["event"].merge(classic["category"], on="catid")
        months = events.groupby("catname")["starttime"].agg(lambda moments: frozenset(moments.dt.month))
        assert months["MLB"].isdisjoint({1, 2, 12})
        assert months["NFL"].isdisjoint({4, 5, 6})
        assert len(months["Pop"]) == 12

    def test_sales_rise_towards_the_event(self, classic: dict[str, pd.DataFrame]) -> None:
        sales = classic["sales"].merge(classic["event"][["eventid", "starttime"]], on="eventid")
        left = (sales["starttime"].dt.normalize() - sales["saletime"].dt.normalize()).dt.days
        by_left = left.value_counts()
        assert by_left[1] > 1.8 * by_left[14]
        assert by_left[0] < by_left[1], "the event's own day ends when it starts"
        assert (left < 30).mean() > 0.9, "nearly all sales fall into the days that the SQL calls on sale"

    def test_acts_differ_and_repeat(self, classic: dict[str, pd.DataFrame]) -> None:
        """Two halves of an act's events agree: popularity is there before the event is."""
        sold = classic["sales"].groupby("eventid")["qtysold"].sum()
        events = classic["event"].query("catid == 9").copy()
        events["sold"] = np.log1p(events["eventid"].map(sold).fillna(0))
        events["half"] = events.groupby("eventname").cumcount() % 2
        halves = events.pivot_table(index="eventname", columns="half", values="sold")
        assert halves[0].corr(halves[1]) > 0.7

    def test_few_events_sell_much(self, classic: dict[str, pd.DataFrame]) -> None:
        sold = classic["sales"].groupby("eventid")["qtysold"].sum().sort_values(ascending=False)
        share = sold.iloc[: len(sold) // 10].sum() / sold.sum()
        assert 0.3 < share < 0.65

    def test_dear_events_of_a_kind_sell_less(self, classic: dict[str, pd.DataFrame]) -> None:
        """Within an act, where popularity is much the same, price works against sales."""
        price = classic["listing"].groupby("eventid")["priceperticket"].agg(lambda prices: prices.astype(float).mean())
        sold = classic["sales"].groupby("eventid")["qtysold"].sum()
        events = classic["event"].query("catid == 9 and '2008-03-01' <= starttime < '2009-01-01'").copy()
        events["price"] = np.log(events["eventid"].map(price))
        events["sold"] = np.log1p(events["eventid"].map(sold).fillna(0))
        within = events.dropna()
        within = within[["price", "sold"]] - within.groupby("eventname")[["price", "sold"]].transform("mean")
        assert within["price"].corr(within["sold"]) < -0.1

    def test_more_noise_than_a_poisson_count(self, classic: dict[str, pd.DataFrame]) -> None:
        sales = classic["sales"]
        counts = sales.groupby(["eventid", "dateid"]).size()
        big = counts.groupby("eventid").agg(["mean", "var", "size"]).query("mean > 5 and size > 14")
        assert (big["var"] / big["mean"]).median() > 1.3
