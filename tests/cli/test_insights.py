from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nightcast.cli import main
from nightcast.datasource.insights_format import Insights


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Commands write to the current folder."""
    monkeypatch.chdir(tmp_path)


def test_tables_are_printed_and_files_written(sales_folder, capsys):
    assert main(["insights", str(sales_folder), "--target", "totalsold"]) == 0
    shown = capsys.readouterr().out
    for text in (
        "Records seen  401", "Bad records   1", "Distribution of the target totalsold", "NUMERIC attributes",
        "BINARY attributes (1)", "CATEGORICAL attributes", "TEXT attributes (1)", "Correlation to target",
        "Data alerts", "BAD_RECORDS", "20.0 %", "Page      nightcast-insights/sales/insights.html",
    ):  # fmt: skip
        assert text in shown, text
    folder = Path("nightcast-insights/sales")
    insights = Insights.from_json((folder / "insights.json").read_text())
    assert (insights.records, insights.bad_records, insights.records_seen) == (400, 1, 401)
    assert "Hall &lt;3&gt;" in (folder / "insights.html").read_text()
    with (folder / "rejected/1.csv.csv").open(newline="") as lines:
        (rejected,) = csv.DictReader(lines)
    assert rejected["record"] == "205"
    assert rejected["line"] == "a line of two,cells"
    assert rejected["reason"]


def test_files_of_earlier_rejected_records_go(sales_folder, sales_csv, tmp_path):
    command = ["insights", "--output", "out"]
    assert main([*command, str(sales_folder)]) == 0
    assert list(Path("out/rejected").iterdir())
    assert main([*command, str(sales_csv)]) == 0
    assert not list(Path("out/rejected").iterdir())


def test_json_is_one_document_and_writes_nothing(sales_folder, tmp_path, capsys):
    assert main(["insights", str(sales_folder), "--target", "totalsold", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert sorted(document) == ["dataAlerts", "drift", "files", "insights"]
    assert document["insights"]["records"] == 400
    assert "BAD_RECORDS" in [alert["code"] for alert in document["dataAlerts"]]
    assert document["drift"] is None
    assert document["files"] == []
    assert not Path("nightcast-insights").exists()


def test_json_with_a_folder_names_its_files(sales_csv, capsys):
    assert main(["insights", str(sales_csv), "--json", "--output", "out"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert files == ["out/insights.json", "out/insights.html"]
    assert all(Path(file).is_file() for file in files)


def test_a_split_takes_some_records(sales_csv, capsys):
    half = json.dumps({"splitting": {"percentBegin": 0, "percentEnd": 50}})
    assert main(["insights", str(sales_csv), "--split", half]) == 0
    shown = capsys.readouterr().out
    assert "Records seen   400" in shown
    assert 'Records taken  200 by {"splitting"' in shown


def test_drift_against_earlier_insights(sales_csv, tmp_path, capsys):
    later = tmp_path / "later.csv"
    later.write_text(sales_csv.read_text().replace("Arena", "Stadium"))
    assert main(["insights", str(sales_csv), "--output", "before"]) == 0
    capsys.readouterr()
    assert main(["insights", str(later), "--against", "before"]) == 0
    shown = capsys.readouterr().out
    assert "Drift since before: major" in shown
    venue = next(line for line in shown[shown.index("Drift since") :].splitlines() if line.startswith("venue"))
    assert "Stadium" in venue
    assert main(["insights", str(later), "--against", "before/insights.json", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["drift"]["level"] == "major"


def test_other_files_are_no_earlier_insights(sales_csv, tmp_path, capsys):
    Path("x.json").write_text("{}")
    assert main(["insights", str(sales_csv), "--against", "x.json"]) == 1
    assert capsys.readouterr().err.startswith("nightcast: x.json: the insights are of format None")


def test_too_many_bad_records_reject_the_datasource(sales_folder, capsys):
    with (sales_folder / "1.csv").open("a") as lines:
        lines.write("one cell\n")
    assert main(["insights", str(sales_folder), "--max-rejected", "1"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("nightcast: ")
    assert not Path("nightcast-insights").exists()


@pytest.mark.parametrize(
    ("split", "fault"),
    [("{", "rearrangement"), ('{"splitting": {"percentBegin": 50, "percentEnd": 50}}', "percentBegin 50")],
)
def test_a_bad_rearrangement_is_an_error(sales_csv, capsys, split, fault):
    assert main(["insights", str(sales_csv), "--split", split]) == 1
    assert fault in capsys.readouterr().err


def test_data_and_folder_on_s3(sales_csv, sandbox, s3, monkeypatch, capsys):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    s3.put_object(Bucket="nightcast", Key="cli/insights/sales.csv", Body=sales_csv.read_bytes())
    command = ["insights", "s3://nightcast/cli/insights/sales.csv", "--output", "s3://nightcast/cli/out/"]
    assert main([*command, "--endpoint-url", sandbox.endpoint_url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["insights"]["records"] == 400
    page = s3.get_object(Bucket="nightcast", Key="cli/out/insights.html")["Body"].read()
    assert page.startswith(b"<!doctype html>")


def test_a_real_command_needs_neither_pandas_nor_boto3_nor_airflow(sales_csv, project):
    code = (
        "import sys; from nightcast.cli import main; code = main(sys.argv[1:]);"
        "print([name for name in ('pandas', 'boto3', 'airflow') if name in sys.modules], file=sys.stderr);"
        "sys.exit(code)"
    )
    environment = {**os.environ, "PYTHONPATH": str(project / "plugins")}
    done = subprocess.run(
        [sys.executable, "-c", code, "insights", str(sales_csv), "--target", "totalsold"],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == "[]\n"
    assert "Data summary" in done.stdout


def test_insights_of_the_folder_one_is_in_lie_beside_it(sales_folder, monkeypatch, capsys):
    monkeypatch.chdir(sales_folder)
    for _ in range(2):
        assert main(["insights", "."]) == 0
    assert sorted(path.name for path in sales_folder.iterdir()) == ["0.csv", "1.csv"]
    assert (sales_folder.parent / "nightcast-insights/sales/insights.json").is_file()
    assert main(["insights", ".", "--output", "mine"]) == 1
    assert "lies in the data" in capsys.readouterr().err


def test_no_bad_record_may_be_allowed(sales_folder, sales_csv, capsys):
    assert main(["insights", str(sales_csv), "--max-rejected", "0", "--json"]) == 0
    assert main(["insights", str(sales_folder), "--max-rejected", "0", "--json"]) == 1
    assert "1 of 401 records can not be read, and 0 are allowed, the first ones: record 205" in capsys.readouterr().err
