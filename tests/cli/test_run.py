from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nightcast.cli import main
from nightcast.datasource.insights_format import Insights
from nightcast.datasource.schema import Schema
from nightcast.mlmodel.files import load_model

METRICS = {"sold": "RegressionRMSE", "hit": "BinaryAUC", "band": "MulticlassAvgFScore"}
HEAVY = ("pandas", "sklearn", "scipy.linalg", "scipy.optimize", "boto3", "airflow")


@pytest.mark.parametrize("target", METRICS)
def test_everything_is_written_and_reads_back(labelled, target, tmp_path, capsys):
    folder = tmp_path / "out"
    command = ["run", labelled.csv, "--schema", labelled.schema(target), "--learner", "linear", "--json"]
    assert main([*command, "-o", str(folder)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert json.loads((folder / "run.json").read_text()) == document
    evaluation = json.loads((folder / "evaluation.json").read_text())
    assert document["evaluation"]["performanceMetrics"] == evaluation["performanceMetrics"]
    assert set(evaluation["performanceMetrics"]) == {METRICS[target]}
    assert (evaluation["recordsSeen"], evaluation["alerts"]) == (180, [])
    insights = Insights.from_json((folder / "insights.json").read_text())
    assert (insights.records, insights.rearrangement.percent_end) == (420, 70)
    assert Schema.from_json((folder / "schema.json").read_text()).target == target
    assert load_model(folder / "model").recipe == (folder / "recipe.json").read_text()
    assert document["batchPrediction"]["recordsSeen"] == 600
    for place in [*document["files"].values(), document["batchPrediction"]["manifest"]]:
        assert Path(place).exists()
    for uri in json.loads(Path(document["batchPrediction"]["manifest"]).read_text()).values():
        assert uri.startswith(folder.as_uri())
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_run_does_what_the_single_commands_do(labelled, tmp_path, capsys):
    command = ["run", labelled.parquet, "--schema", labelled.schema("sold"), "--learner", "linear"]
    assert main([*command, "-o", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    for heading in ("Model", "Evaluation", "Alerts", "Predictions", "Written"):
        assert heading in printed.splitlines()
    split = '{"splitting": {"percentBegin": 0, "percentEnd": 70, "complement": true}}'
    command = ["evaluate", labelled.model("sold"), labelled.parquet, "--schema", labelled.schema("sold")]
    assert main([*command, "--split", split, "--json"]) == 0
    alone = json.loads(capsys.readouterr().out)
    together = json.loads((tmp_path / "out/evaluation.json").read_text())
    assert alone["performanceMetrics"] == together["performanceMetrics"]


def test_a_second_run_leaves_one_prediction(labelled, tmp_path, capsys):
    folder = tmp_path / "out"
    command = ["run", labelled.csv, "--schema", labelled.schema("sold"), "--learner", "linear", "-o", str(folder)]
    assert main([*command, "--json"]) == 0
    first = json.loads(capsys.readouterr().out)["batchPrediction"]
    (folder / "batch-prediction/mine.txt").write_text("stays")
    assert main([*command, "--json", "--intervals", "0.9"]) == 0
    second = json.loads(capsys.readouterr().out)["batchPrediction"]
    assert first["batchPredictionId"] != second["batchPredictionId"]
    written = {path.as_posix() for path in (folder / "batch-prediction").rglob("*") if path.is_file()}
    assert written == {second["manifest"], *second["results"], str(folder / "batch-prediction/mine.txt")}
    (folder / "run.json").write_text("{")
    assert main([*command, "--json"]) == 0


def test_a_chronological_split_is_resolved_once(labelled, tmp_path, capsys):
    split = json.dumps(
        {"splitting": {"percentEnd": 60, "strategy": "chronological", "strategyParams": {"attribute": "day"}}}
    )
    command = ["run", labelled.csv, "--target", "sold", "--row-id", "saleid", "--learner", "linear", "--split", split]
    assert main([*command, "-o", str(tmp_path / "out")]) == 0
    trained = load_model(tmp_path / "out/model").training["rearrangement"]["splitting"]["strategyParams"]
    evaluation = json.loads((tmp_path / "out/evaluation.json").read_text())
    assert evaluation["rearrangement"]["splitting"]["strategyParams"] == trained
    assert evaluation["rearrangement"]["splitting"]["complement"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (["--target", "sold", "--split", "{}"], "takes all records"),
        (["--target", "nobody"], "'nobody'"),
        (["--target", "day"], "day"),
        ([], "--target"),
        (["--target", "band", "--intervals", "0.9"], "intervals"),
        (["--target", "sold", "--set", "linear.depth=1"], "linear.depth"),
    ],
)
def test_after_an_error_nothing_is_left(labelled, tmp_path, wrong, words, capsys):
    assert main(["run", labelled.csv, "--learner", "linear", *wrong, "-o", str(tmp_path / "out")]) == 1
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_linear_run_imports_nothing_heavy(labelled, tmp_path):
    code = (
        "import sys; from nightcast.cli import main; "
        f"code = main({['run', labelled.csv, '--schema', labelled.schema('sold'), '--learner', 'linear']!r} "
        f"+ ['-o', {str(tmp_path / 'out')!r}]); "
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stderr == "[]\n"
