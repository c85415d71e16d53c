from __future__ import annotations

import csv
import dataclasses
import doctest
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from nightcast.datasource.parts import ByteSource, Datasource, Part, read_batches
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.errors import DatasourceError, PredictionError, SchemaError
from nightcast.mlmodel.intervals import Intervals
from nightcast.mlmodel.model import MLModel
from nightcast.prediction import batch as batch_module
from nightcast.prediction.batch import manifest, predict, result_names
from nightcast.prediction.formatting import format_scores
from trained_models import trained

Write = Callable[..., Datasource]
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def model(datasource: Datasource, files: ByteSource) -> MLModel:
    return trained(datasource, files)


@pytest.fixture
def exact_model(write: Callable[..., Datasource], files: ByteSource) -> MLModel:
    """sold = 2 price + 1, learnt from three records without penalty."""
    kinds = {"event": AttributeType.CATEGORICAL, "price": AttributeType.NUMERIC, "promo": AttributeType.BINARY}
    attributes = tuple(Attribute(name, kind) for name, kind in kinds.items())
    schema = Schema((*attributes, Attribute("sold", AttributeType.NUMERIC)), target="sold", row_id="event")
    table = pa.table({"event": ["a", "b", "c"], "price": [1.0, 2.0, 3.0], "promo": [True] * 3, "sold": [3.0, 5.0, 7.0]})
    datasource = write(table, schema=schema)
    return trained(datasource, files, '{"outputs": ["price", "promo"]}', l2=0.0)


def text_of(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode()


def test_one_line_per_record_in_input_order(
    model: MLModel, datasource: Datasource, files: ByteSource, sales: pa.Table, tmp_path: Path
) -> None:
    found = predict(model, datasource, "bp-1", tmp_path / "out", files)
    assert (found.records_seen, found.records_failed, found.rejected) == (3000, 0, [])
    assert [result.uri for result in found.results] == [part.uri for part in datasource.parts]
    assert [result.path.name for result in found.results] == [
        f"bp-1-sales_{number:04d}_part_00.parquet.gz" for number in range(3)
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [result.path.name for result in found.results]

    rows = []
    for result in found.results:
        header, *lines = csv.reader(text_of(result.path).splitlines())
        assert header == ["tag", "trueLabel", "score"]
        assert len(lines) == result.records
        rows += lines
    scores = np.concatenate([model.predict(b) for part in datasource.numbered() for b in read_batches(part, files)])
    labels = np.array(sales["sold"].to_pylist(), dtype=float)
    assert [row[0] for row in rows] == [str(number) for number in range(3000)]
    assert [row[1] for row in rows] == [label or "" for label in format_scores(labels).to_pylist()]
    assert [row[2] for row in rows] == format_scores(scores).to_pylist()


def test_golden_file(exact_model: MLModel, write: Write, files: ByteSource, tmp_path: Path) -> None:
    table = pa.table(
        {
            "event": ["e-1", 'say "x", y', None, "e-4", "two\nlines", "e-6", "e-7"],
            "price": [1.5, 100.25, -0.125, None, 1.0, float("nan"), 1e300],
            "promo": ["1", "yes", None, "f", "t", "true", "y"],
            "sold": [4.0, 201.5, None, 7.0, 2.0, 1.0, float("nan")],
        }
    )
    found = predict(exact_model, write(table, schema=exact_model.schema), "bp-golden", tmp_path / "out", files)
    [result] = found.results
    assert (found.records_seen, found.records_failed, result.failed) == (7, 3, 3)
    assert text_of(result.path) == (GOLDEN / "result.csv").read_text()
    [rejected] = found.rejected
    assert rejected == tmp_path / "out" / "rejected" / "bp-golden-sales_0000_part_00.parquet.csv.gz"
    assert text_of(rejected) == (GOLDEN / "rejected.csv").read_text()


@pytest.fixture
def weather(write: Callable[..., Datasource]) -> Datasource:
    """Ten records of each of four temperatures, whose weather has names that CSV must quote."""
    kinds = {"event": AttributeType.CATEGORICAL, "degrees": AttributeType.NUMERIC, "weather": AttributeType.CATEGORICAL}
    schema = Schema(tuple(Attribute(*kind) for kind in kinds.items()), target="weather", row_id="event")
    names = ["cold", "cold, wet", 'so-called "fine"', "warm"]
    table = pa.table(
        {
            "event": [f"e{number}" for number in range(40)],
            "degrees": [float(number % 4) for number in range(40)],
            "weather": [names[number % 4] for number in range(40)],
        }
    )
    return write(table, schema=schema)


def even(model: MLModel) -> MLModel:
    """The model with weights in eighths, so that its scores have the same digits on every machine."""
    linear = model.predictor
    rounded = dataclasses.replace(
        linear, weights=np.round(linear.weights * 8) / 8, intercepts=np.round(linear.intercepts * 8) / 8
    )
    return dataclasses.replace(model, predictor=rounded)


def test_golden_file_of_a_multiclass_model(
    weather: Datasource, write: Write, files: ByteSource, tmp_path: Path
) -> None:
    model = even(trained(weather, files, '{"outputs": ["degrees"]}', l2=0.1))
    table = pa.table(
        {
            "event": ["a", "b, c", None, "d", "e"],
            "degrees": [0.0, 3.0, None, float("nan"), 1.0],
            "weather": ["cold", None, "cold, wet", "warm", 'never "seen"'],
        }
    )
    found = predict(model, write(table, schema=weather.schema), "bp-golden", tmp_path / "out", files)
    assert (found.records_seen, found.records_failed) == (5, 1)
    assert text_of(found.results[0].path) == (GOLDEN / "multiclass.csv").read_text()
    assert text_of(found.rejected[0]) == "record,attribute,reason\n3,degrees,not a finite number\n"
    for line in csv.reader(text_of(found.results[0].path).splitlines()[1:]):
        assert not line or sum(map(float, line[3:])) == pytest.approx(1, abs=1e-6)


def test_golden_file_of_a_binary_model(weather: Datasource, write: Write, files: ByteSource, tmp_path: Path) -> None:
    attributes = (*weather.schema.attributes[:2], Attribute("warm", AttributeType.BINARY))
    schema = Schema(attributes, target="warm", row_id="event")
    table = pa.table(
        {
            "event": [f"e{number}" for number in range(40)],
            "degrees": [float(number % 4) for number in range(40)],
            "warm": [number % 4 > 1 for number in range(40)],
        }
    )
    model = even(trained(write(table, schema=schema), files, '{"outputs": ["degrees"]}', l2=1.0))
    model = dataclasses.replace(model, score_threshold=0.75)
    scored = pa.table(
        {
            "event": ["a", "b", None, "d", "e"],
            "degrees": [0.0, 3.0, None, float("inf"), 2.0],
            "warm": ["0", "yes", None, "1", "perhaps"],
        }
    )
    found = predict(model, write(scored, schema=schema), "bp-golden", tmp_path / "out", files)
    # A label that can not be read is no reason to fail.
    assert (found.records_seen, found.records_failed) == (5, 1)
    assert text_of(found.results[0].path) == (GOLDEN / "binary.csv").read_text()


def test_golden_file_with_intervals(exact_model: MLModel, write: Write, files: ByteSource, tmp_path: Path) -> None:
    steps = tuple(number / 64 for number in range(-500, 501))
    model = dataclasses.replace(
        exact_model,
        intervals=Intervals((50.0,), (steps, tuple(2 * one for one in steps)), (1999, 1999), 0.0).to_document(),
    )
    table = pa.table(
        {
            "event": ["a", "b", "c", "d"],
            "price": [1.5, 100.25, -5.0, float("nan")],
            "promo": ["1", "1", "1", "1"],
            "sold": [4.0, 201.5, None, 7.0],
        }
    )
    datasource = write(table, schema=exact_model.schema)
    found = predict(model, datasource, "bp-golden", tmp_path / "out", files, level=0.8)
    assert text_of(found.results[0].path) == (GOLDEN / "intervals.csv").read_text()
    with pytest.raises(PredictionError, match="no prediction intervals"):
        predict(exact_model, datasource, "bp-2", tmp_path / "other", files, level=0.8)


def test_rejected_records_have_an_empty_line_and_a_reason(
    exact_model: MLModel, files: ByteSource, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text('e-1,1.5,1,4\n\ne-3,"2",f,5\ne-4\ne-5,x,1,6\n')
    part = Part(str(tmp_path / "a.csv"), 5, 1, "CSV")
    found = predict(exact_model, Datasource(exact_model.schema, (part,)), "bp-1", tmp_path / "out", files)
    assert (found.records_seen, found.records_failed) == (5, 3)
    lines = text_of(found.results[0].path).split("\n")
    assert [line.split(",")[:2] for line in lines] == [
        ["tag", "trueLabel"], ["e-1", "4E0"], [""], ["e-3", "5E0"], [""], [""], [""],
    ]  # fmt: skip
    assert text_of(found.rejected[0]).splitlines() == [
        "record,attribute,reason",
        "1,,an empty line",
        '3,,"the number of cells is 1, not 4"',
        "4,price,not a finite number",
    ]


def test_gzip_has_no_name_and_no_time(
    exact_model: MLModel, write: Callable[..., Datasource], files: ByteSource, tmp_path: Path
) -> None:
    table = pa.table({"event": ["a", "b"], "price": [1.0, float("inf")], "promo": [True, False]})
    schema = Schema(exact_model.schema.attributes[:3], row_id="event")
    datasource = write(table, schema=schema)
    contents = []
    for name in ("one", "other"):
        found = predict(exact_model, datasource, "bp-1", tmp_path / name, files)
        contents.append([path.read_bytes() for path in (found.results[0].path, *found.rejected)])
    assert contents[0] == contents[1]
    for content in contents[0]:
        assert content[:3] == b"\x1f\x8b\x08"
        assert content[3:8] == bytes(5)
    assert gzip.decompress(contents[0][0]) == b"tag,score\na,3E0\n\n"


def test_without_row_id_and_target(
    exact_model: MLModel, write: Callable[..., Datasource], files: ByteSource, tmp_path: Path
) -> None:
    schema = Schema(exact_model.schema.attributes[1:3])
    datasource = write(pa.table({"price": [4.0], "promo": [True]}), schema=schema)
    [result] = predict(exact_model, datasource, "bp-1", tmp_path / "out", files).results
    assert text_of(result.path) == "score\n9E0\n"


def test_a_part_without_records_has_a_header(
    exact_model: MLModel, write: Callable[..., Datasource], files: ByteSource, tmp_path: Path
) -> None:
    types = {"event": pa.string(), "price": pa.float64(), "promo": pa.bool_(), "sold": pa.float64()}
    empty = pa.table({name: pa.array([], kind) for name, kind in types.items()})
    found = predict(exact_model, write(empty, schema=exact_model.schema), "bp-1", tmp_path / "out", files)
    assert found.records_seen == 0
    assert text_of(found.results[0].path) == "tag,trueLabel,score\n"


def test_a_second_run_replaces_the_first(
    exact_model: MLModel, write: Callable[..., Datasource], files: ByteSource, tmp_path: Path
) -> None:
    def run(price: float) -> list[Path]:
        table = pa.table({"event": ["a"], "price": [price], "promo": [True], "sold": [1.0]})
        (tmp_path / str(price)).mkdir()
        path = tmp_path / str(price) / "in.parquet"
        pa.parquet.write_table(table, path)
        part = Part(str(path), 1, path.stat().st_size, "PARQUET")
        found = predict(exact_model, Datasource(exact_model.schema, (part,)), "bp-1", tmp_path / "out", files)
        assert text_of(found.results[0].path).count("\n") == 2
        return found.rejected

    assert len(run(float("nan"))) == 1
    assert run(1.0) == []
    assert [path.name for path in (tmp_path / "out").rglob("*")] == ["bp-1-in.parquet.gz"]


def test_after_an_error_nothing_is_there(
    model: MLModel, datasource: Datasource, files: ByteSource, tmp_path: Path
) -> None:
    last = datasource.parts[-1]
    wrong = Datasource(datasource.schema, (*datasource.parts[:-1], Part(last.uri, 801, last.bytes, "PARQUET")))
    with pytest.raises(DatasourceError, match="manifest"):
        predict(model, wrong, "bp-1", tmp_path / "out", files)
    assert list((tmp_path / "out").rglob("*")) == []


@pytest.mark.parametrize("bad", ["", "a/b", "../x", "a b", "x" * 65])
def test_ids_are_checked(model: MLModel, datasource: Datasource, files: ByteSource, tmp_path: Path, bad: str) -> None:
    with pytest.raises(PredictionError, match="batch prediction id"):
        predict(model, datasource, bad, tmp_path, files)


def test_what_can_not_be_predicted(model: MLModel, datasource: Datasource, files: ByteSource, tmp_path: Path) -> None:
    with pytest.raises(PredictionError, match="no parts"):
        predict(model, Datasource(datasource.schema, ()), "bp-1", tmp_path, files)
    small = Schema((Attribute("price", AttributeType.NUMERIC),))
    with pytest.raises(SchemaError, match="lacks"):
        predict(model, Datasource(small, datasource.parts), "bp-1", tmp_path, files)
    (tmp_path / "file").write_text("")
    with pytest.raises(PredictionError, match="can not be written"):
        predict(model, datasource, "bp-1", tmp_path / "file", files)


def test_inputs_of_one_name_are_told_apart() -> None:
    assert result_names("bp", ["s3://b/1/x.csv", "s3://b/2/x.csv", "s3://b/2-x.csv"]) == [
        "bp-1-x.csv",
        "bp-2-x.csv",
        "bp-3-2-x.csv",
    ]
    assert result_names("bp", ["/d/x.csv", "s3://b/y.csv"]) == ["bp-x.csv", "bp-y.csv"]


def test_manifest_keeps_the_order_of_parts() -> None:
    pairs = {"s3://in/b.csv": "s3://out/result/bp-b.csv.gz", "s3://in/ä.csv": "s3://out/result/bp-ä.csv.gz"}
    content = manifest(pairs)
    assert list(json.loads(content).items()) == list(pairs.items())
    assert content == manifest(dict(pairs))


def test_examples() -> None:
    result = doctest.testmod(batch_module)
    assert result.attempted
    assert not result.failed
