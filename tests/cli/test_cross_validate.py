from __future__ import annotations

import json
import statistics

import pytest

from nightcast.cli import main
from nightcast.datasource.rearrangement import Rearrangement

METRICS = {"sold": "RegressionRMSE", "hit": "BinaryAUC", "band": "MulticlassAvgFScore"}


def document_of(labelled, capsys, target, *more):
    command = ["cross-validate", labelled.csv, "--schema", labelled.schema(target), "--learner", "linear", *more]
    assert main([*command, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("target", METRICS)
def test_mean_and_deviation_are_those_of_the_folds(labelled, target, capsys):
    document = document_of(labelled, capsys, target, "--folds", "3", "--strategy", "random", "--seed", "7")
    name = METRICS[target]
    metrics = [fold["performanceMetrics"][name] for fold in document["folds"]]
    assert len(set(metrics)) == 3
    assert document["mean"] == {name: pytest.approx(statistics.mean(metrics))}
    assert document["standardDeviation"] == {name: pytest.approx(statistics.stdev(metrics))}
    assert set(document["baseline"]) == {name}
    assert sum(fold["recordsSeen"] for fold in document["folds"]) == 600
    assert {Rearrangement.from_json(json.dumps(fold["evaluate"])).seed for fold in document["folds"]} == {"7"}


def test_chronological_folds_roll_forward(labelled, capsys):
    document = document_of(
        labelled, capsys, "sold", "--folds", "2", "--strategy", "chronological", "--attribute", "day"
    )
    cuts = [fold["evaluate"]["splitting"]["strategyParams"]["cuts"] for fold in document["folds"]]
    assert cuts[0][1] == cuts[1][0]
    assert cuts[1][1] is None


def test_the_table_has_a_row_a_fold(labelled, capsys):
    command = ["cross-validate", labelled.csv, "--target", "sold", "--row-id", "saleid", "--folds", "2"]
    assert main([*command, "--learner", "linear"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["Fold", "RegressionRMSE"]
    assert [line.split()[0] for line in lines[2:4]] == ["1", "2"]
    assert lines[5].startswith("Mean ")


@pytest.mark.parametrize(
    "wrong", [["--folds", "1"], ["--strategy", "chronological"], ["--attribute", "day"], ["--strategy", "other"]]
)
def test_wrong_usage_exits_with_2(labelled, wrong, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["cross-validate", labelled.csv, "--target", "sold", *wrong])
    assert ended.value.code == 2
