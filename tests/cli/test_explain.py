from __future__ import annotations

import json

import pytest

from nightcast.cli import main

LAST_30 = '{"splitting": {"percentBegin": 70, "percentEnd": 100}}'


def document_of(capsys, *arguments):
    assert main(["explain", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_coefficients_come_largest_first(labelled, capsys):
    document = document_of(capsys, labelled.model("sold"))
    weights = [abs(one["weight"]) for one in document["coefficients"]]
    assert weights == sorted(weights, reverse=True)
    assert {"venue=Arena", "venue=Park"} < {one["feature"] for one in document["coefficients"]}
    assert list(document["intercepts"]) == [""]
    assert document["importance"] == {}


def test_a_multiclass_model_has_coefficients_by_class(labelled, capsys):
    document = document_of(capsys, labelled.model("band"))
    assert {one["class"] for one in document["coefficients"]} == {"low", "mid <1>", "high"}
    assert set(document["intercepts"]) == {"low", "mid <1>", "high"}
    assert main(["explain", labelled.model("band"), "--most", "3"]) == 0
    printed = capsys.readouterr().out
    assert f"the 3 largest of {len(document['coefficients'])}" in printed
    assert "mid <1>" in printed


@pytest.mark.parametrize("target", ["sold", "hit", "band"])
def test_data_tell_what_each_attribute_is_worth(labelled, target, capsys):
    document = document_of(capsys, labelled.model(target), labelled.csv, "--split", LAST_30)
    found = document["permutationImportance"]
    assert set(list(found)[:2]) == {"price", "venue"}
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert document_of(capsys, labelled.model(target), labelled.csv, "--split", LAST_30) == document


def test_boosted_trees_tell_their_gains(labelled, tmp_path, capsys):
    command = ["train", labelled.csv, "--schema", labelled.schema("sold"), "--learner", "boosting"]
    assert main([*command, "--set", "boosting.maxIterations=10", "-o", str(tmp_path / "m")]) == 0
    capsys.readouterr()
    document = document_of(capsys, str(tmp_path / "m"))
    assert sum(document["importance"].values()) == pytest.approx(1)
    assert set(list(document["importance"])[:2]) == {"price", "venue"}
    assert main(["explain", str(tmp_path / "m")]) == 0
    assert "Importance" in capsys.readouterr().out


def test_a_mean_of_models_tells_its_shares_and_both_sides(labelled, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("nightcast.mlmodel.auto.best_share", lambda kind, records: 0.35)
    command = ["train", labelled.csv, "--schema", labelled.schema("hit"), "--set", "auto.timeLimit=60"]
    assert main([*command, "-o", str(tmp_path / "m")]) == 0
    printed = capsys.readouterr().out
    assert "blend: 0.35 linear, 0.65 boosting" in printed
    assert "features and leaves" in printed
    document = document_of(capsys, str(tmp_path / "m"), labelled.csv)
    assert document["shares"] == {"linear": 0.35, "boosting": 0.65}
    assert {"venue=Arena", "venue=Park"} < {one["feature"] for one in document["coefficients"]}
    assert sum(document["importance"].values()) == pytest.approx(1)
    assert set(list(document["permutationImportance"])[:2]) == {"price", "venue"}
    assert main(["explain", str(tmp_path / "m")]) == 0
    assert "Share of boosting" in capsys.readouterr().out


def test_a_split_needs_data(labelled, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["explain", labelled.model("sold"), "--split", LAST_30])
    assert ended.value.code == 2


def test_a_folder_without_model_is_an_error(tmp_path, capsys):
    assert main(["explain", str(tmp_path)]) == 1
    assert "model.json" in capsys.readouterr().err
