"""A pipeline of one's own, made by the generator, on tables of one's own: from training to accuracy."""

from __future__ import annotations

import csv
import gzip
import json
import runpy
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from dag_runs import DagRuns
from nightcast.cli import main
from nightcast.operators.base import storage_of
from nightcast.sandbox.account import BUCKET, DATABASE, IAM_ROLE, WORKGROUP
from nightcast.sandbox.own_tables import keep, load_kept

pytestmark = pytest.mark.timeout(300)
WHERE = {"bucket": BUCKET, "database": DATABASE, "workgroup_name": WORKGROUP, "iam_role": IAM_ROLE}
GROCERIES = Path(__file__).resolve().parents[3] / "shared" / "data" / "completejourney"
JOINED = """\
select
    transactions.transaction_timestamp,
    transactions.sales_value,
    products.department,
    products.product_category
from transactions
inner join products on transactions.product_id = products.product_id
"""


def shops(folder: Path) -> dict[str, Path]:
    """Two years of 12 shops' daily sales: each has its size, its best days and a slow wave."""
    rng = np.random.default_rng(7)
    file = folder / "sales.csv"
    with file.open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(["sold_at", "town", "shop", "kind", "price", "amount"])
        for number in range(2 * 364):
            day = date(2022, 1, 3) + timedelta(days=number)
            for shop in range(12):
                wave = 1 + 0.5 * np.sin(2 * np.pi * number / 364 + shop)
                amount = (shop + 1) * wave * (1.5 if day.weekday() == 5 else 1) * rng.uniform(0.7, 1.3)
                kind = ("grocer", "baker", "butcher")[shop % 3]
                writer.writerow(
                    [f"{day} 09:30:00", f"town {shop % 4}", f"shop {shop}", kind, 5 + shop % 5, f"{amount:.2f}"]
                )
    return {"shop_sales": file}


class Pipeline:
    """A generated pipeline with its runs."""

    def __init__(self, folder: Path, name: str, flags: list[str], training_days: int) -> None:
        (folder / "dags").mkdir()
        (folder / "include" / "sql").mkdir(parents=True)
        days = ["--training-days", str(training_days)]
        assert main(["new-pipeline", name, "--project", str(folder), *flags, *days, "--json"]) == 0
        dag = runpy.run_path(str(folder / "dags" / f"{name}.py"))["dag"]
        self.runs = DagRuns(dag, name, learner="linear", training_parameters='{"linear.l2": 1}')

    def week(self, monday: str, **params):
        """run.json of the run of a week."""
        run = self.runs.day(monday, days=7, **params)
        assert not run.errors, run.errors
        return read(run.returned["batch_prediction.publish"]["return_value"])


def read(reference):
    return json.loads(storage_of("aws_default").read_artifact(reference))


def predictions(document) -> dict[str, float]:
    storage = storage_of("aws_default")
    found = {}
    for uri in read(document["artifacts"]["predictions"]).values():
        lines = csv.reader(gzip.decompress(storage.read_bytes(uri)).decode().splitlines()[1:])
        found |= {tag: float(score) for tag, score in lines}
    return found


@pytest.fixture(scope="module")
def own(tmp_path_factory, s3, redshift_data):
    """Loads files as tables of the sandbox, and makes a pipeline for them."""

    def made(name: str, tables: dict[str, Path], flags: list[str], training_days: int) -> Pipeline:
        folder = tmp_path_factory.mktemp(name)
        for table, file in tables.items():
            keep(folder / "tables", table, file)
        load_kept(folder / "tables", redshift_data, s3, **WHERE)
        return Pipeline(folder, name, flags, training_days)

    return made


@pytest.fixture(scope="module")
def shop_weeks(own, tmp_path_factory):
    flags = ["--period", "week", "--table", "shop_sales", "--date-column", "sold_at", "--key", "town", "shop"]
    flags += ["--sum", "amount", "--features", "kind", "--number-features", "price", "--target", "revenue"]
    return own("shop_weeks", shops(tmp_path_factory.mktemp("shops")), flags, 40 * 7)


@pytest.fixture(scope="module")
def documents(shop_weeks):
    """run.json of two weeks in a row."""
    return [shop_weeks.week(monday) for monday in ("2023-11-27", "2023-12-04")]


def test_it_predicts_each_series_next_week(documents):
    for document, monday in zip(documents, ("20231204", "20231211"), strict=True):
        expected = {f"town {shop % 4}|shop {shop}-{monday}" for shop in range(12)}
        assert set(predictions(document)) == expected


def test_the_model_beats_the_mean_and_the_last_week(documents):
    evaluation = read(documents[0]["artifacts"]["evaluation"])
    rmse, baseline = (evaluation[kind]["RegressionRMSE"] for kind in ("performanceMetrics", "baseline"))
    assert rmse < 0.4 * baseline
    comparison = read(documents[0]["artifacts"]["gate"])["comparison"]
    last = next(one for one in comparison["baselines"] if one["name"] == "lastPeriod")
    # The baseline finds its series in the row ids.
    assert last["recordsKnown"] == evaluation["recordsSeen"]
    assert comparison["challenger"]["loss"] < last["loss"]


def test_the_accuracy_of_the_week_before_is_measured_against_the_files_own_sales(documents, tmp_path):
    with shops(tmp_path)["shop_sales"].open() as lines:
        rows = list(csv.DictReader(lines))
    assert "accuracy" not in documents[0]["artifacts"]
    for document, former in zip(documents[1:], documents, strict=False):
        start, end = (document["period"][name] for name in ("start", "end"))
        sold: dict[str, float] = {}
        for row in rows:
            if start <= row["sold_at"][:10] < end:
                tag = f"{row['town']}|{row['shop']}-{start.replace('-', '')}"
                sold[tag] = sold.get(tag, 0.0) + float(row["amount"])
        errors = [score - sold[tag] for tag, score in predictions(former).items()]
        measured = read(document["artifacts"]["accuracy"])["rows"][-1]
        assert (measured["records_matched"], measured["missing_actual"], measured["without_prediction"]) == (12, 0, 0)
        assert measured["rmse"] == pytest.approx((sum(e * e for e in errors) / 12) ** 0.5, rel=1e-6)


def test_a_month_by_hand_is_predicted_week_by_week_with_what_was_known_at_its_end(shop_weeks):
    run = shop_weeks.runs.day("2023-10-30", "manual", days=28)
    assert not run.errors, run.errors
    document = read(run.returned["batch_prediction.publish"]["return_value"])
    assert {tag.rpartition("-")[2] for tag in predictions(document)} == {"20231127", "20231204", "20231211", "20231218"}
    assert len(predictions(document)) == 48


@pytest.mark.skipif(not GROCERIES.is_dir(), reason="needs ../shared/data/completejourney")
def test_weekly_sales_of_real_grocery_categories(own, tmp_path):
    (tmp_path / "facts.sql").write_text(JOINED)
    tables = {name: GROCERIES / f"{name}_pipe.txt.gz" for name in ("transactions", "products")}
    flags = ["--period", "week", "--facts-sql", str(tmp_path / "facts.sql"), "--sum", "sales_value", "--no-season-ago"]
    flags += ["--date-column", "transaction_timestamp", "--key", "product_category", "--features", "department"]
    pipeline = own("grocery_weeks", tables, flags, 364)
    first, second = (pipeline.week(monday) for monday in ("2017-12-04", "2017-12-11"))
    evaluation = read(first["artifacts"]["evaluation"])
    rmse, baseline = (evaluation[kind]["RegressionRMSE"] for kind in ("performanceMetrics", "baseline"))
    assert rmse < 0.5 * baseline
    assert 250 < len(predictions(first)) < 290
    measured = read(second["artifacts"]["accuracy"])["rows"][-1]
    assert measured["records_matched"] == len(predictions(first))
    assert measured["rmse"] < 0.6 * measured["baseline_rmse"]
