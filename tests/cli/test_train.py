from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from nightcast.cli import main
from nightcast.cli.model_tables import print_training
from nightcast.cli.tables import Printer
from nightcast.mlmodel.files import load_model

FIRST_70 = '{"splitting": {"percentBegin": 0, "percentEnd": 70}}'
TYPES = {"sold": "REGRESSION", "hit": "BINARY", "band": "MULTICLASS"}


@pytest.mark.parametrize("target", TYPES)
def test_a_model_directory_reads_back(labelled, target):
    model = load_model(Path(labelled.model(target)))
    assert model.model_type == TYPES[target]
    assert model.target.name == target
    assert model.training["records"] == 420
    assert model.training["rearrangement"] == json.loads(FIRST_70) | {
        "splitting": {"percentBegin": 0, "percentEnd": 70, "complement": False, "strategy": "sequential"}
    }


def test_csv_and_parquet_give_the_same_weights(labelled, tmp_path):
    for data in (labelled.csv, labelled.parquet):
        command = ["train", data, "--schema", labelled.schema("sold"), "--learner", "linear"]
        assert main([*command, "-o", str(tmp_path / Path(data).suffix[1:])]) == 0
    assert (tmp_path / "csv/weights.parquet").read_bytes() == (tmp_path / "parquet/weights.parquet").read_bytes()


def test_the_same_training_gives_the_same_bytes(labelled, tmp_path):
    command = ["train", labelled.csv, "--schema", labelled.schema("sold"), "--split", FIRST_70, "--learner", "linear"]
    assert main([*command, "-o", str(tmp_path / "again")]) == 0
    for path in Path(labelled.model("sold")).iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_without_split_and_schema_all_records_train(labelled, tmp_path, capsys):
    command = ["train", labelled.csv, "--target", "sold", "--row-id", "saleid", "--learner", "linear", "--json"]
    assert main([*command, "--set", "linear.l2=10", "-o", str(tmp_path / "m")]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["training"]["records"] == 600
    assert document["parameters"]["l2"] == 10
    assert document["learner"] == "linear"
    assert document["modelType"] == "REGRESSION"
    assert document["model"] == str(tmp_path / "m")


def test_boosting_takes_its_parameters(labelled, tmp_path, capsys):
    command = ["train", labelled.csv, "--schema", labelled.schema("sold"), "-o", str(tmp_path / "m")]
    assert main([*command, "--learner", "boosting", "--set", "boosting.maxIterations=10", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["parameters"]["maxIterations"] == 10
    assert set(document["training"]["importance"]) == {"day", "venue", "price"}


def test_the_candidates_of_auto_are_told(labelled):
    candidates = [
        {"learner": "linear", "validation": {"RegressionRMSE": 4.25}, "validationLoss": 4.25, "parameters": {}},
        {"learner": "boosting", "refused": "too few records"},
    ]
    model = load_model(Path(labelled.model("sold")))
    told = io.StringIO()
    print_training(Printer(told), replace(model, training={**model.training, "auto": {"candidates": candidates}}))
    rows = told.getvalue().split("Candidates\n")[1].splitlines()
    assert rows[2].split() == ["linear", "4.25", "RegressionRMSE", "4.25"]
    assert rows[3].split(maxsplit=2) == ["boosting", "-", "too few records"]


def test_candidates_stand_beside_the_loss_that_they_were_compared_by(labelled):
    candidates = [{"learner": "linear", "validation": {}, "validationLoss": 4.25, "heldOutLoss": 3.5}]
    auto = {"candidates": candidates, "comparedBy": "heldOutLoss"}
    model = load_model(Path(labelled.model("sold")))
    told = io.StringIO()
    print_training(Printer(told), replace(model, training={**model.training, "auto": auto}))
    header, _, row = told.getvalue().split("Candidates\n")[1].splitlines()
    assert "Loss on records held out" in header
    assert row.split() == ["linear", "3.5"]


def test_a_given_recipe_is_used(labelled, tmp_path, capsys):
    recipe = tmp_path / "r.json"
    recipe.write_text('{"groups": {}, "assignments": {}, "outputs": ["price"]}')
    command = ["train", labelled.csv, "--schema", labelled.schema("sold"), "--learner", "linear"]
    assert main([*command, "--recipe", str(recipe), "-o", str(tmp_path / "m")]) == 0
    assert load_model(tmp_path / "m").columns == ("price",)
    recipe.write_text('{"groups": {}, "assignments": {}, "outputs": ["cost"]}')
    assert main([*command, "--recipe", str(recipe), "-o", str(tmp_path / "other")]) == 1
    assert "cost" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_the_score_threshold_is_stored(labelled, tmp_path, capsys):
    command = ["train", labelled.csv, "--learner", "linear", "--score-threshold", "0.3", "-o", str(tmp_path / "m")]
    assert main([*command, "--schema", labelled.schema("hit")]) == 0
    assert load_model(tmp_path / "m").score_threshold == 0.3
    assert main([*command, "--schema", labelled.schema("sold")]) == 1
    assert "BINARY" in capsys.readouterr().err


def test_an_earlier_model_is_replaced_and_after_an_error_kept(labelled, tmp_path, capsys):
    shutil.copytree(labelled.model("hit"), tmp_path / "m")
    few = tmp_path / "few.csv"
    few.write_text("".join(Path(labelled.csv).read_text().splitlines(keepends=True)[:2]))
    options = ["--schema", labelled.schema("sold"), "--learner", "linear", "-o", str(tmp_path / "m")]
    assert main(["train", str(few), *options]) == 1
    assert "training record" in capsys.readouterr().err
    assert load_model(tmp_path / "m").target.name == "hit"
    assert main(["train", labelled.csv, *options]) == 0
    assert load_model(tmp_path / "m").target.name == "sold"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["few.csv", "m"]


@pytest.mark.parametrize(
    "wrong", [["--learner", "forest"], ["--set", "linear.l2"], ["--set", "=3"], ["--score-threshold", "1"]]
)
def test_wrong_usage_exits_with_2(labelled, tmp_path, wrong, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["train", labelled.csv, "--target", "sold", "-o", str(tmp_path / "m"), *wrong])
    assert ended.value.code == 2
    assert wrong[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (["--learner", "linear", "--set", "linear.depth=3"], "no parameter 'linear.depth'"),
        (["--learner", "linear", "--set", "linear.l2=many"], "linear.l2 must be a number"),
        (["--learner", "linear", "--set", "boosting.maxLeaves=3"], "no parameter 'boosting.maxLeaves'"),
        (["--split", "{"], "data rearrangement"),
        (["--recipe", "nowhere.json"], "nowhere.json does not exist"),
    ],
)
def test_bad_choices_are_one_line(labelled, tmp_path, wrong, words, capsys):
    command = ["train", labelled.csv, "--target", "sold", "-o", str(tmp_path / "m"), *wrong]
    assert main(command) == 1
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


def test_without_a_target_the_error_says_how_to_name_it(labelled, tmp_path, capsys):
    assert main(["train", labelled.csv, "-o", str(tmp_path / "m")]) == 1
    assert "--target" in capsys.readouterr().err


def test_a_model_does_not_go_where_a_file_is(labelled, tmp_path, capsys):
    (tmp_path / "m").write_text("mine")
    command = ["train", labelled.csv, "--target", "sold", "--learner", "linear", "-o", str(tmp_path / "m")]
    assert main(command) == 1
    assert "is a file" in capsys.readouterr().err
    assert (tmp_path / "m").read_text() == "mine"
