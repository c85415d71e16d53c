from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from nightcast.cli import main
from nightcast.mlmodel.files import load_model

LAST_30 = '{"splitting": {"percentBegin": 70, "percentEnd": 100}}'
METRICS = {"sold": "RegressionRMSE", "hit": "BinaryAUC", "band": "MulticlassAvgFScore"}


def document_of(capsys, *arguments):
    assert main(["evaluate", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("target", METRICS)
def test_the_document_holds_metric_baseline_and_alerts(labelled, target, capsys):
    document = document_of(capsys, labelled.model(target), labelled.csv, "--split", LAST_30)
    assert document["modelType"] == {"sold": "REGRESSION", "hit": "BINARY", "band": "MULTICLASS"}[target]
    metric, baseline = (document[key][METRICS[target]] for key in ("performanceMetrics", "baseline"))
    assert metric < baseline if target == "sold" else metric > baseline
    assert (document["recordsSeen"], document["recordsFailed"], document["alerts"]) == (180, 0, [])


def test_parquet_gives_the_same_metric(labelled, capsys):
    documents = [document_of(capsys, labelled.model("sold"), data) for data in (labelled.csv, labelled.parquet)]
    assert documents[0]["performanceMetrics"] == documents[1]["performanceMetrics"]


def test_records_of_the_training_raise_an_alert(labelled, capsys):
    assert main(["evaluate", labelled.model("sold"), labelled.csv]) == 0
    assert "HELD_OUT_DATA" in capsys.readouterr().out


@pytest.mark.parametrize("target", METRICS)
def test_a_report_holds_segments_and_weeks(labelled, target, tmp_path, capsys):
    place = tmp_path / "report.html"
    command = ["evaluate", labelled.model(target), labelled.csv, "--split", LAST_30, "--report", str(place)]
    assert main([*command, "-o", str(tmp_path / "e.json")]) == 0
    document = json.loads((tmp_path / "e.json").read_text())
    assert {row["value"] for row in document["segments"]["venue"]} == {"Arena", "Hall <3>", "Theatre", "Park"}
    assert len(document["weeks"]) > 2
    page = place.read_text()
    assert "Hall &lt;3&gt;" in page
    assert "Hall <3>" not in page
    assert "Errors by week" in page
    printed = capsys.readouterr().out
    assert str(place) in printed
    assert METRICS[target] in printed


def test_a_threshold_is_tried_and_kept(labelled, tmp_path, capsys):
    shutil.copytree(labelled.model("hit"), tmp_path / "m")
    tried = document_of(capsys, tmp_path / "m", labelled.csv, "--threshold", "0.3")
    assert tried["scoreThreshold"] == 0.3
    assert load_model(tmp_path / "m").score_threshold == 0.5
    assert main(["evaluate", str(tmp_path / "m"), labelled.csv, "--threshold", "0.3", "--save-threshold"]) == 0
    assert load_model(tmp_path / "m").score_threshold == 0.3
    capsys.readouterr()
    assert document_of(capsys, tmp_path / "m", labelled.csv) == tried


def test_a_threshold_belongs_to_a_binary_model(labelled, capsys):
    assert main(["evaluate", labelled.model("sold"), labelled.csv, "--threshold", "0.3"]) == 1
    assert "BINARY" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", labelled.model("hit"), labelled.csv, "--save-threshold"])
    assert ended.value.code == 2


def test_data_without_the_target_can_not_be_evaluated_on(labelled, capsys):
    assert main(["evaluate", labelled.model("sold"), labelled.unlabelled]) == 1
    assert "'sold'" in capsys.readouterr().err


def test_a_missing_column_is_named(labelled, tmp_path, capsys):
    lines = [line.split(",") for line in Path(labelled.csv).read_text().splitlines()]
    (tmp_path / "few.csv").write_text("".join(",".join([*line[:2], *line[3:]]) + "\n" for line in lines))
    assert main(["evaluate", labelled.model("sold"), str(tmp_path / "few.csv")]) == 1
    assert "'venue'" in capsys.readouterr().err


def test_further_columns_do_no_harm_but_are_told(labelled, tmp_path, capsys):
    lines = Path(labelled.csv).read_text().splitlines()
    (tmp_path / "more.csv").write_text("".join(f"{n or 'extra'},{line}\n" for n, line in enumerate(lines)))
    found = document_of(capsys, labelled.model("sold"), tmp_path / "more.csv", "--split", LAST_30)
    known = document_of(capsys, labelled.model("sold"), labelled.csv, "--split", LAST_30)
    assert found["performanceMetrics"] == known["performanceMetrics"]
    assert [alert["check"] for alert in found["alerts"]] == ["SCHEMA_MATCH"]


@pytest.mark.parametrize("damage", ["cut", "gone", "none"])
def test_a_damaged_model_is_one_line(labelled, tmp_path, damage, capsys):
    if damage != "none":
        shutil.copytree(labelled.model("sold"), tmp_path / "m")
        weights = tmp_path / "m/weights.parquet"
        weights.write_bytes(weights.read_bytes()[:-9]) if damage == "cut" else weights.unlink()
    assert main(["evaluate", str(tmp_path / "m"), labelled.csv]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert str(tmp_path / "m") in error


def test_records_that_can_not_be_read_are_counted(labelled, tmp_path, capsys):
    lines = Path(labelled.csv).read_text().splitlines()
    broken = [line + ",more" if 500 <= number < 510 else line for number, line in enumerate(lines)]
    data = tmp_path / "broken.csv"
    data.write_text("\n".join(broken) + "\n")
    split = '{"splitting": {"percentBegin": 70, "percentEnd": 100}}'
    found = {}
    for file in (labelled.csv, str(data)):
        assert main(["evaluate", labelled.model("sold"), file, "--split", split, "--json"]) == 0
        found[file] = json.loads(capsys.readouterr().out)
    whole, bad = found.values()
    assert bad["recordsSeen"] == whole["recordsSeen"]
    assert bad["recordsFailed"] == whole["recordsFailed"] + 10
    assert bad["failures"]["rejected"] == 10
    assert "ALL_RECORDS_USED" in [alert["check"] for alert in bad["alerts"]]


def test_the_average_is_over_all_classes_of_the_records(tmp_path, capsys):
    rows = [(f"{number % 3 + number % 7 / 10:.1f}", "pqr"[number % 3]) for number in range(300)]
    training, others = tmp_path / "training.csv", tmp_path / "others.csv"
    training.write_text("a,y\n" + "".join(f"{a},{y}\n" for a, y in rows))
    others.write_text("a,y\n" + "".join(f"{a},{y}\n" for a, y in rows) + "0.5,new\n1.5,newer\n")
    model = tmp_path / "m"
    assert main(["train", str(training), "--target", "y", "--learner", "linear", "-o", str(model)]) == 0
    capsys.readouterr()
    found = document_of(capsys, model, others)
    assert found["otherMetrics"]["recordsOfUnknownClasses"] == 2
    assert found["performanceMetrics"]["MulticlassAvgFScore"] == pytest.approx(sum(found["f1ByClass"].values()) / 5)
