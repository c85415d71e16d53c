from __future__ import annotations

import gzip
import json

import pytest

from nightcast.cli import main
from nightcast.report.summary import copy_run
from nightcast.storage import Storage


@pytest.fixture
def published(tmp_path):
    """A published run on disk."""
    base, storage = tmp_path / "period=2008-12-31" / "run=r1", Storage()

    def write(name: str, data: bytes, rows: int | None = None):
        return storage.write_bytes((base / name).as_uri(), data, "application/json", rows=rows)

    result = base / "predictions/batch-prediction/result/bp-1-scoring_000.parquet.gz"
    write(str(result.relative_to(base)), gzip.compress(b"tag,score\n1-20090101,2.5E0\n"))
    evaluation = {
        "performanceMetrics": {"RegressionRMSE": 3.0},
        "baseline": {"RegressionRMSE": 4.0},
        "recordsSeen": 9000,
    }
    run = {
        "pipeline": "sales_forecast",
        "run_id": "manual__1",
        "run_key": "r1",
        "period": {"label": "2008-12-31"},
        "batchPrediction": {"totalRecordCount": 1, "invalidRecordCount": 0},
        "artifacts": {
            "insights": write("insights.json", b"{}", rows=30_000),
            "evaluation": write("evaluation.json", json.dumps(evaluation).encode()),
            "predictions": write(
                "predictions/batch-prediction/bp-1.manifest", json.dumps({"s3://in/a": result.as_uri()}).encode()
            ),
            "report": write("report.html", b"<html>"),
        },
    }
    write("run.json", json.dumps(run).encode())
    return base


def test_show_prints_a_published_run(published, capsys):
    assert main(["show", str(published)]) == 0
    shown = capsys.readouterr().out
    for text in ("30,000 in the training datasource", "RMSE           3 on 9,000", "25.0 % better", "1-20090101,2.5E0"):
        assert text in shown


def test_show_gives_machines_the_run_itself(published, capsys):
    assert main(["show", str(published), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((published / "run.json").read_text())


def test_a_run_that_is_not_there_is_an_error_without_a_traceback(tmp_path, capsys):
    assert main(["show", str(tmp_path)]) == 1
    assert "does not exist: the run has not ended well" in capsys.readouterr().err


def test_a_run_is_copied_with_its_predictions(published, tmp_path):
    copied = copy_run(Storage(), published.as_uri() + "/run.json", tmp_path / "output")
    assert copied == tmp_path / "output/period=2008-12-31/run=r1"
    assert (copied / "report.html").read_text() == "<html>"
    names = sorted(path.name for path in (copied / "predictions").rglob("*") if path.is_file())
    assert names == ["bp-1-scoring_000.parquet.gz", "bp-1.manifest"]
