"""The columns of training.sql against an account by pandas, and what a linear model makes of them."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

LAST = date(2009, 1, 1)


@pytest.fixture(scope="module")
def frames(sample: dict[str, pa.Table]) -> dict[str, pd.DataFrame]:
    tables = {name: table.to_pandas() for name, table in sample.items()}
    tables["sales"]["day"] = tables["sales"]["saletime"].dt.normalize()
    tables["listing"]["day"] = tables["listing"]["listtime"].dt.normalize()
    tables["event"]["day"] = tables["event"]["starttime"].dt.normalize()
    return tables


@pytest.fixture(scope="module")
def on_sale(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Event, day and tickets of all event-days on sale: an account of its own, not by SQL."""
    event = frames["event"]
    many = event.loc[event.index.repeat(30), ["eventid", "catid", "venueid", "eventname", "day"]]
    many["left"] = np.tile(np.arange(30), len(event))
    many["day"] = many["day"] - pd.to_timedelta(many["left"], unit="D")
    sold = frames["sales"].groupby(["eventid", "day"])["qtysold"].sum().rename("sold").reset_index()
    merged = many.merge(sold, on=["eventid", "day"], how="left")
    merged["sold"] = merged["sold"].fillna(0).astype(int)
    return merged


class TestValues:
    def test_target(self, training: pa.Table, on_sale: pd.DataFrame) -> None:
        inside = on_sale[(on_sale["day"] >= "2008-11-06") & (on_sale["day"] < "2009-01-01")]
        inside = inside.sort_values(["day", "eventid"])
        expected = (inside["eventid"].astype(str) + "-" + inside["day"].dt.strftime("%Y%m%d")).tolist()
        assert training["recordid"].to_pylist() == expected
        assert training["totalsold"].to_pylist() == inside["sold"].tolist()
        assert training["daystoevent"].to_pylist() == inside["left"].tolist()

    def test_days_without_a_sale_are_records(self, training: pa.Table) -> None:
        zeros = pc.sum(pc.equal(training["totalsold"], 0)).as_py()
        assert 0.4 < zeros / training.num_rows < 0.8

    @pytest.mark.parametrize("lag", [0, 6], ids=["nightly", "weekly"])
    def test_features_of_the_event(
        self, warehouse: Any, training: pa.Table, frames: dict[str, pd.DataFrame], lag: int
    ) -> None:
        records = warehouse.query("training", LAST, lag + 1) if lag else training
        for row in records.take(list(range(100, records.num_rows, 1_777))).to_pylist():
            eventid, day = row["recordid"].split("-")
            as_of = pd.Timestamp(day) - pd.Timedelta(days=lag)
            sales = frames["sales"].query("eventid == @eventid", local_dict={"eventid": int(eventid)})
            listing = frames["listing"].query("eventid == @eventid", local_dict={"eventid": int(eventid)})
            sales, listing = sales[sales["day"] < as_of], listing[listing["day"] < as_of]
            for days in (1, 3, 7, 28):
                last = sales[sales["day"] >= as_of - pd.Timedelta(days=days)]
                assert row[f"sold{days}"] == last["qtysold"].sum()
            assert row["soldsofar"] == sales["qtysold"].sum()
            assert row["listedtickets"] == listing["numtickets"].sum()
            if len(listing):
                mean = listing["totalprice"].astype(float).sum() / listing["numtickets"].sum()
                assert float(row["listprice"]) == pytest.approx(mean, abs=0.006)
            else:
                assert row["listprice"] is None

    @pytest.mark.parametrize("lag", [0, 6], ids=["nightly", "weekly"])
    def test_paces(
        self, warehouse: Any, training: pa.Table, frames: dict[str, pd.DataFrame], on_sale: pd.DataFrame, lag: int
    ) -> None:
        records = warehouse.query("training", LAST, lag + 1) if lag else training
        event = frames["event"].set_index("eventid")
        paces = (
            ("actpace7", "eventname", 7), ("actpace28", "eventname", 28), ("categorypace1", "catid", 1),
            ("categorypace7", "catid", 7), ("venuepace28", "venueid", 28),
        )  # fmt: skip
        for row in records.take(list(range(55, records.num_rows, 2_999))).to_pylist():
            eventid, day = row["recordid"].split("-")
            as_of = pd.Timestamp(day) - pd.Timedelta(days=lag)
            for name, key, days in paces:
                same = on_sale[on_sale[key] == event.loc[int(eventid), key]]
                same = same[(same["day"] < as_of) & (same["day"] >= as_of - pd.Timedelta(days=days))]
                if len(same):
                    assert float(row[name]) == pytest.approx(same["sold"].mean(), abs=0.0001)
                else:
                    assert row[name] is None

    def test_calendar_and_place(self, training: pa.Table, frames: dict[str, pd.DataFrame]) -> None:
        found = training.to_pandas()
        found["eventid"] = found["recordid"].str.split("-").str[0].astype(int)
        found["day"] = pd.to_datetime(found["recordid"].str.split("-").str[1])
        known = found.merge(frames["event"], on="eventid", suffixes=("", "_known"))
        known = known.merge(frames["venue"], on="venueid", suffixes=("", "_known"))
        known = known.merge(frames["category"], on="catid", suffixes=("", "_known"))
        assert known["dayofweek"].tolist() == known["day"].dt.day_name().str[:2].str.upper().tolist()
        assert known["monthofyear"].tolist() == known["day"].dt.month_name().str[:3].str.upper().tolist()
        assert known["eventdayofweek"].tolist() == known["starttime"].dt.day_name().str[:2].str.upper().tolist()
        assert known["eventhour"].tolist() == known["starttime"].dt.hour.tolist()
        for column in ("eventname", "venuename", "venuecity", "venuestate", "catgroup", "catname"):
            assert known[column].tolist() == known[f"{column}_known"].tolist()
        assert set(known.loc[known["holiday"], "day"].dt.strftime("%m-%d")) == {"11-27", "11-28", "12-25", "12-26"}


class TestForecast:
    def test_a_linear_model_beats_the_mean_clearly(self, training: pa.Table) -> None:
        """Ridge on quantile bins, first 70 % against last 30 %: the structure is there to be learnt."""
        target = training["totalsold"].to_numpy().astype(float)
        cut = int(len(target) * 0.7)
        columns = [np.ones((len(target), 1))]
        for field in training.schema:
            if field.name in ("recordid", "totalsold", "eventname", "venuename"):
                continue
            if pa.types.is_string(field.type) or pa.types.is_boolean(field.type):
                text = np.array(training[field.name].cast(pa.string()).to_pylist())
                columns.append(text[:, None] == np.unique(text[:cut]))
                continue
            values = training[field.name].cast(pa.float64()).to_numpy()
            edges = np.unique(np.nanquantile(values[:cut], np.linspace(0, 1, 21)[1:-1]))
            bins = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="right"))
            columns.append(bins[:, None] == np.arange(len(edges) + 2))
        features = np.concatenate(columns, axis=1, dtype=float)
        known = features[:cut]
        penalty = np.eye(known.shape[1])
        penalty[0, 0] = 0
        weights = np.linalg.solve(known.T @ known + penalty, known.T @ target[:cut])
        error = np.sqrt(np.mean((target[cut:] - features[cut:] @ weights) ** 2))
        baseline = np.sqrt(np.mean((target[cut:] - target[:cut].mean()) ** 2))
        assert error < 0.8 * baseline
