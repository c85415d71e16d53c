from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightcast.cli import main
from nightcast.cli.predict import manifest_name
from nightcast.storage import Storage


def lines_of(path):
    return gzip.decompress(Path(path).read_bytes()).decode().splitlines()


@pytest.mark.parametrize(
    ("target", "header"),
    [
        ("sold", "tag,trueLabel,score"),
        ("hit", "tag,trueLabel,bestAnswer,score"),
        ("band", "tag,trueLabel,bestAnswer,high,low,mid <1>"),
    ],
)
def test_results_lie_in_amazon_ml_s_layout(labelled, target, header, tmp_path, capsys):
    assert main(["predict", labelled.model(target), labelled.csv, "--id", "bp-7", "-o", str(tmp_path / "p")]) == 0
    result = tmp_path / "p/batch-prediction/result/bp-7-sales.csv.gz"
    lines = lines_of(result)
    assert lines[0] == header
    assert len(lines) == 601
    assert lines[1].startswith("s0,")
    manifest = json.loads((tmp_path / "p" / manifest_name("bp-7")).read_text())
    assert manifest == {labelled.csv: result.as_uri()}
    assert Storage().read_bytes(manifest[labelled.csv]) == result.read_bytes()
    assert not (tmp_path / "p/rejected").exists()
    printed = capsys.readouterr().out.splitlines()
    assert ["Records", "seen", "600"] in [line.split() for line in printed]
    assert "Records failed to process  0" in printed


def test_data_may_lack_the_target_and_the_header(labelled, tmp_path):
    assert main(["predict", labelled.model("sold"), labelled.unlabelled, "--id", "a", "-o", str(tmp_path)]) == 0
    lines = lines_of(tmp_path / "batch-prediction/result/a-scoring.csv.gz")
    assert lines[0] == "tag,score"
    bare = tmp_path / "bare.csv"
    rows = [line.split(",") for line in Path(labelled.csv).read_text().splitlines()[1:]]
    bare.write_text("".join(",".join([*row[:4], *row[5:]]) + "\n" for row in rows))
    assert main(["predict", labelled.model("sold"), str(bare), "--id", "a", "-o", str(tmp_path)]) == 0
    assert lines_of(tmp_path / "batch-prediction/result/a-bare.csv.gz") == lines


def test_the_same_prediction_has_the_same_id_and_bytes(labelled, tmp_path, capsys):
    found = []
    for name in ("one", "two"):
        command = ["predict", labelled.model("hit"), labelled.parquet, "-o", str(tmp_path / name), "--json"]
        assert main(command) == 0
        document = json.loads(capsys.readouterr().out)
        found.append((document["batchPredictionId"], Path(document["results"][0]).read_bytes()))
        assert (document["recordsSeen"], document["recordsFailed"], document["rejected"]) == (600, 0, [])
    assert found[0] == found[1]
    assert main(["predict", labelled.model("band"), labelled.parquet, "-o", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["batchPredictionId"] != found[0][0]


def test_failed_records_are_told_and_go_when_they_are_well_again(labelled, tmp_path, capsys):
    data = tmp_path / "sales.csv"
    good = Path(labelled.csv).read_text()
    data.write_text(good.replace("s3,2008-01-01,Park,2.5", "s3,2008-01-01,Park,dear"))
    assert data.read_text() != good
    command = ["predict", labelled.model("sold"), str(data), "--id", "b", "-o", str(tmp_path / "p"), "--json"]
    assert main(command) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["recordsFailed"] == 1
    assert lines_of(document["rejected"][0])[1].startswith("3,price,")
    assert lines_of(document["results"][0])[4] == ""
    data.write_text(good)
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["rejected"] == []
    assert not list((tmp_path / "p/rejected").iterdir())


def test_intervals_need_a_number_between_0_and_1(labelled, tmp_path, capsys):
    command = ["predict", labelled.model("hit"), labelled.csv, "-o", str(tmp_path / "p"), "--intervals"]
    assert main([*command, "0.9"]) == 1
    assert "intervals" in capsys.readouterr().err
    assert not (tmp_path / "p").exists()
    with pytest.raises(SystemExit) as ended:
        main([*command, "90"])
    assert ended.value.code == 2


def test_intervals_of_boosted_trees_enclose_the_score(labelled, tmp_path):
    command = ["train", labelled.csv, "--schema", labelled.schema("sold"), "--learner", "boosting"]
    assert main([*command, "--set", "boosting.maxIterations=10", "-o", str(tmp_path / "m")]) == 0
    command = ["predict", str(tmp_path / "m"), labelled.csv, "--id", "a", "--intervals", "0.9"]
    assert main([*command, "-o", str(tmp_path)]) == 0
    header, *lines = lines_of(tmp_path / "batch-prediction/result/a-sales.csv.gz")
    assert header == "tag,trueLabel,score,lower,upper"
    rows = [[float(cell) for cell in line.split(",")[1:]] for line in lines]
    assert all(lower <= score <= upper for _, score, lower, upper in rows)
    assert sum(lower <= true <= upper for true, _, lower, upper in rows) > 0.85 * len(rows)


def test_after_an_error_nothing_is_left(labelled, tmp_path, capsys):
    shutil.copy(labelled.unlabelled, tmp_path / "few.csv")
    (tmp_path / "few.csv").write_text("saleid,price\ns1,3\n")
    assert main(["predict", labelled.model("sold"), str(tmp_path / "few.csv"), "-o", str(tmp_path / "p")]) == 1
    assert "'venue'" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["few.csv"]
    assert main(["predict", labelled.model("sold"), labelled.csv, "--id", "a/b", "-o", str(tmp_path / "p")]) == 1
    assert "id" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["few.csv"]


def test_other_data_are_refused_with_what_they_lack(labelled, tmp_path, capsys):
    other = tmp_path / "other.csv"
    for text, words in (
        ("shop,weight\na,1.5\nb,2.5\n", "none of the attributes of the model's schema, such as"),
        ("a,1.5\nb,2.5\n", "2 column(s) without names, and the model's schema has"),
    ):
        other.write_text(text)
        assert main(["predict", labelled.model("sold"), str(other), "-o", str(tmp_path / "p")]) == 1
        assert words in capsys.readouterr().err
    assert not (tmp_path / "p").exists()


def test_a_row_id_may_be_new_in_parquet(labelled, tmp_path, capsys):
    table = pq.read_table(labelled.parquet)
    data = tmp_path / "named.parquet"
    pq.write_table(table.append_column("ticket", pa.array([f"t{n}" for n in range(len(table))])), data)
    command = ["predict", labelled.model("sold"), str(data), "--row-id", "ticket", "-o", str(tmp_path / "p"), "--json"]
    assert main(command) == 0
    result = json.loads(capsys.readouterr().out)["results"][0]
    assert gzip.decompress(Path(result).read_bytes()).splitlines()[1].startswith(b"t0,")
