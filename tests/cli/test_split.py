from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from nightcast.cli import main
from nightcast.datasource.rearrangement import Rearrangement


def document_of(capsys, *arguments):
    assert main(["split", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_numbers_of_both_sides(sales_csv, capsys):
    assert main(["split", str(sales_csv)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split()[:4] == ["training", "280", "70.0", "%"]
    assert lines[3].split()[:4] == ["evaluation", "120", "30.0", "%"]


def test_bad_records_go_to_no_side(sales_folder, capsys):
    document = document_of(capsys, sales_folder, "--percent", 50)
    assert document["recordsSeen"] == 401
    assert document["badRecords"] == 1
    assert document["training"]["records"] + document["evaluation"]["records"] == 400


def test_options_make_the_rearrangement(sales_csv, capsys):
    document = document_of(capsys, sales_csv, "--strategy", "random", "--seed", "7", "--percent", 40, "--complement")
    training = Rearrangement(0, 40, complement=True, strategy="random", seed="7")
    assert document["training"]["dataRearrangement"] == training.to_json()
    assert document["evaluation"]["dataRearrangement"] == training.complemented().to_json()
    whole = document_of(capsys, sales_csv, "--split", training.to_json())
    assert whole == document


@pytest.mark.parametrize(("more", "words"), [([], "has day before 2008-"), (["--complement"], "has day from 2008-")])
def test_a_chronological_split_tells_its_dates(sales_csv, capsys, more, words):
    command = ["split", str(sales_csv), "--strategy", "chronological", "--attribute", "day", *more]
    assert main(command) == 0
    assert words in capsys.readouterr().out


@pytest.mark.parametrize("strategy", ["sequential", "random"])
def test_written_sides_are_datasources(sales_folder, tmp_path, capsys, strategy, monkeypatch):
    monkeypatch.chdir(tmp_path)
    schema = ["--target", "totalsold", "--row-id", "saleid"]
    document = document_of(capsys, sales_folder, "--strategy", strategy, "--output", tmp_path / "out", *schema)
    seen = []
    for side in ("training", "evaluation"):
        assert document[side]["folder"] == f"{tmp_path}/out/{side}/"
        assert main(["insights", document[side]["folder"], "--json"]) == 0
        insights = json.loads(capsys.readouterr().out)["insights"]
        assert insights["records"] == document[side]["records"]
        assert insights["badRecords"] == 0
        assert insights["target"] == "totalsold"
        assert insights["attributes"]["saleid"]["distinct"] == insights["records"]
        for part in sorted(Path(document[side]["folder"]).glob("part-*")):
            lines = gzip.decompress(part.read_bytes()).decode().splitlines()
            seen += [int(line.split(",")[0]) for line in lines[1:]]
    assert sorted(seen) == list(range(400))


def test_existing_sides_are_not_overwritten(sales_csv, tmp_path, capsys):
    assert main(["split", str(sales_csv), "--output", str(tmp_path / "out")]) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert main(["split", str(sales_csv), "--percent", "50", "--output", str(tmp_path / "out")]) == 1
    assert "holds files already" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


def test_after_an_error_nothing_is_left(sales_folder, tmp_path, capsys):
    with (sales_folder / "1.csv").open("a") as lines:
        lines.write('9,2008-01-01,"a\nb",1,no,,1\n')
    before = sorted(tmp_path.iterdir())
    assert main(["split", str(sales_folder), "--output", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.startswith("nightcast: ")
    assert sorted(tmp_path.iterdir()) == before


def test_a_side_without_records_is_an_error(tmp_path, capsys):
    path = tmp_path / "one.csv"
    path.write_text("a,b\n1,2\n")
    assert main(["split", str(path), "--header", "yes"]) == 1
    assert "leaves no record for training" in capsys.readouterr().err


def test_folds_are_pairs_of_rearrangements(sales_csv, capsys):
    assert main(["split", str(sales_csv), "--folds", "4", "--strategy", "random", "--json"]) == 0
    pairs = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(pairs) == 4
    for pair in pairs:
        train, evaluate = (Rearrangement.from_json(pair[side]) for side in ("train", "evaluate"))
        assert train == evaluate.complemented()


def test_chronological_folds_roll_forward(sales_csv, capsys):
    command = ["split", str(sales_csv), "--folds", "3", "--strategy", "chronological", "--attribute", "day"]
    assert main([*command, "--json"]) == 0
    pairs = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for pair in pairs:
        train, evaluate = (Rearrangement.from_json(pair[side]) for side in ("train", "evaluate"))
        assert train.percent_end == evaluate.percent_begin
        assert not train.complement
    assert main(command) == 0
    assert capsys.readouterr().out.count("Fold ") == 3


@pytest.mark.parametrize(
    "wrong",
    [
        ["--percent", "0"],
        ["--percent", "100"],
        ["--seed", "7"],
        ["--strategy", "chronological"],
        ["--attribute", "day"],
        ["--split", "{}", "--percent", "50"],
        ["--folds", "1"],
        ["--folds", "3", "--output", "x"],
        ["--strategy", "shuffled"],
    ],
)
def test_contradictions_are_wrong_usage(sales_csv, capsys, wrong):
    with pytest.raises(SystemExit) as ended:
        main(["split", str(sales_csv), *wrong])
    assert ended.value.code == 2
    assert "usage: nightcast split" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--split", "{}"], "takes all records"),
        (["--strategy", "chronological", "--attribute", "when"], "'when'"),
        (["--folds", "3", "--strategy", "chronological", "--attribute", "when"], "'when'"),
        (["--folds", "500"], "500"),
    ],
)
def test_what_does_not_fit_the_data_is_an_error(sales_csv, capsys, arguments, fault):
    assert main(["split", str(sales_csv), *arguments]) == 1
    assert fault in capsys.readouterr().err


def test_a_split_of_s3_is_written_to_s3(sales_csv, sandbox, s3, monkeypatch, capsys):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    s3.put_object(Bucket="nightcast", Key="cli/split/sales.csv", Body=sales_csv.read_bytes())
    more = ["--endpoint-url", sandbox.endpoint_url]
    document_of(capsys, "s3://nightcast/cli/split/sales.csv", "--output", "s3://nightcast/cli/sides/", *more)
    listed = s3.list_objects_v2(Bucket="nightcast", Prefix="cli/sides/")["Contents"]
    assert [Path(one["Key"]).relative_to("cli/sides").as_posix() for one in listed] == [
        "evaluation/.schema",
        "evaluation/part-00001.csv.gz",
        "training/.schema",
        "training/part-00001.csv.gz",
    ]
    assert main(["insights", "s3://nightcast/cli/sides/training/", "--json", *more]) == 0
    assert json.loads(capsys.readouterr().out)["insights"]["records"] == 280


def test_too_many_bad_records_publish_nothing(sales_folder, tmp_path, capsys):
    command = ["split", str(sales_folder), "--output", str(tmp_path / "out"), "--max-rejected"]
    assert main([*command, "0"]) == 1
    told = capsys.readouterr().err
    assert "1 of 401 records can not be read, and 0 are allowed, the first ones: record 205 in " in told
    assert not (tmp_path / "out").exists()
    assert main([*command, "1"]) == 0


def test_data_without_a_good_record_are_not_split(tmp_path, capsys):
    path = tmp_path / "bad.csv"
    path.write_text("a,b\n1\n2\n3\n")
    schema = tmp_path / "bad.csv.schema"
    pairs = [{"attributeName": name, "attributeType": "NUMERIC"} for name in "ab"]
    document = {"version": "1.0", "dataFormat": "CSV", "dataFileContainsHeader": True, "attributes": pairs}
    schema.write_text(json.dumps(document))
    assert main(["split", str(path)]) == 1
    assert "none of the 3 records can be read, the first ones: record 0 in " in capsys.readouterr().err


def test_sides_know_the_sentinel_of_null(tmp_path, capsys):
    data, out = tmp_path / "data", tmp_path / "the sides"
    data.mkdir()
    lines = [f"{number},{chr(92) + 'N' if number % 3 == 2 and number > 200 else number}" for number in range(400)]
    (data / "0.csv").write_text("\n".join(["id,price", *lines]) + "\n")
    (data / "manifest").write_text(json.dumps({"entries": [{"url": (data / "0.csv").as_uri()}]}))
    assert main(["split", str(data / "manifest"), "--strategy", "random", "--output", str(out)]) == 0
    capsys.readouterr()
    missing = []
    for place in (data / "manifest", out / "training", out / "evaluation"):
        assert main(["insights", f"{place}", "--json"]) == 0
        price = json.loads(capsys.readouterr().out)["insights"]["attributes"]["price"]
        assert price["invalid"] == 0
        missing.append(price["missing"])
    assert missing[0] == missing[1] + missing[2] == 66


def test_another_sentinel_of_null_is_not_written(sales_csv, tmp_path, capsys):
    assert main(["split", str(sales_csv), "--null-as", "NULL", "--output", str(tmp_path / "out")]) == 1
    assert "convert the data" in capsys.readouterr().err
    assert main(["split", str(sales_csv), "--null-as", "NULL"]) == 0


@pytest.mark.parametrize("below", ["", "/sides"])
def test_sides_are_not_written_into_the_data(sales_folder, capsys, below):
    assert main(["split", str(sales_folder), "--output", f"{sales_folder}{below}"]) == 1
    assert "lies in the data" in capsys.readouterr().err
    assert sorted(path.name for path in sales_folder.iterdir()) == ["0.csv", "1.csv"]


def test_rolling_folds_are_counted_by_themselves(sales_csv, capsys):
    command = ["split", str(sales_csv), "--strategy", "chronological", "--attribute", "day", "--folds"]
    assert main([*command, "100"]) == 1
    assert "1 to 99 rolling folds, not 100" in capsys.readouterr().err
    assert main([*command, "99"]) == 0
