"""Batch prediction: parts in, one gzipped CSV per part out, in Amazon ML's layout."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from isal import isal_zlib

from nightcast.datasource.parts import ByteSource, Datasource, Mapper, NumberedPart, read_batches
from nightcast.errors import PredictionError
from nightcast.mlmodel.model import MLModel
from nightcast.mlmodel.scoring import for_model
from nightcast.prediction.answers import Answers
from nightcast.prediction.lines import REJECTED_HEADER, result_lines

_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_GZIP_LEVEL = 1
_GZIP_CONTAINER = 31  # zlib's largest window, in gzip's frame
# Three times as fast as zlib's level 1, and smaller; the stubs of isal do not know what its functions take.
_compressobj: Any = isal_zlib.compressobj


@dataclass(frozen=True)
class PartResult:
    """The result of one input part.

    Parameters
    ----------
    uri
        The input part.
    path
        The result file.
    records, failed
        Records in it, and those of them that have an empty line.
    rejected
        File that says why records failed, if any did.
    """

    uri: str
    path: Path
    records: int
    failed: int
    rejected: Path | None = None


@dataclass(frozen=True)
class BatchPrediction:
    """A finished batch prediction; results in part order."""

    batch_prediction_id: str
    results: list[PartResult]

    @property
    def records_seen(self) -> int:
        """Amazon ML's TotalRecordCount."""
        return sum(result.records for result in self.results)

    @property
    def records_failed(self) -> int:
        """Amazon ML's InvalidRecordCount."""
        return sum(result.failed for result in self.results)

    @property
    def rejected(self) -> list[Path]:
        """Files that say which records failed, and why."""
        return [result.rejected for result in self.results if result.rejected is not None]


def predict(
    model: MLModel,
    datasource: Datasource,
    batch_prediction_id: str,
    directory: Path,
    source: ByteSource,
    mapper: Mapper = map,
    *,
    level: float | None = None,
) -> BatchPrediction:
    """Score all records of a datasource.

    Each part gives one file ``<id>-<input file name>.gz``: a header line, then one line per record in input order:
    ``[tag,][trueLabel,]score[,lower,upper]`` of a REGRESSION, ``[tag,][trueLabel,]bestAnswer,score`` of a BINARY and
    ``[tag,][trueLabel,]bestAnswer,`` and one score a class of a MULTICLASS model.
    ``tag`` is the row id of the schema, ``trueLabel`` the target where the data have it; numbers are written as
    :func:`nightcast.prediction.formatting.format_scores` says. A record fails, and has an empty line, when it was
    rejected, a cell that the model uses can not be read, its score is not a finite 32-bit number, or its tag or label
    holds a line end; a missing number is no failure. ``rejected/<id>-<input file name>.csv.gz`` tells the reasons.
    The same model and records give the same bytes. Files appear when all parts are done; after an error there are none.

    Parameters
    ----------
    datasource, source
        The records and where their bytes are. Attributes have the types that they had in training.
    batch_prediction_id
        1 to 64 letters, digits, ``_``, ``-``, ``.``.
    directory
        Where the files go; it is made if it is not there.
    mapper
        Applies the part function; workers write to `directory` themselves.
    level
        REGRESSION: write prediction intervals that are to enclose this share of the true values.

    Raises
    ------
    PredictionError
        If the id is malformed, there is no part, the directory can not be written, or the model has no intervals.
    SchemaError
        If the datasource lacks an attribute that the model reads.
    """
    if not _ID.fullmatch(batch_prediction_id):
        raise PredictionError(
            f"the batch prediction id {batch_prediction_id!r:.80} must have 1 to 64 letters, digits, '_', '-' or '.'."
        )
    answers = Answers(model, level)
    seen_as = for_model(model, datasource)
    if not seen_as.parts:
        raise PredictionError("the datasource has no parts, so there is nothing to predict: check the query's period.")
    names = result_names(batch_prediction_id, [part.uri for part in seen_as.parts])
    with _fresh(directory, names):
        score = partial(predict_part, answers=answers, directory=directory, source=source)
        counts = list(mapper(score, list(zip(seen_as.numbered(), names, strict=True))))
        results = [
            _published(directory, part.uri, name, *count)
            for part, name, count in zip(seen_as.parts, names, counts, strict=True)
        ]
    return BatchPrediction(batch_prediction_id, results)


def manifest(results: Mapping[str, str]) -> bytes:
    """The batch prediction's manifest: one JSON map from the URI of each input part to that of its result.

    Parameters
    ----------
    results
        In part order, which is kept.

    Examples
    --------
    >>> manifest({"s3://in/a.csv": "s3://out/batch-prediction/result/bp-1-a.csv.gz"})
    b'{"s3://in/a.csv": "s3://out/batch-prediction/result/bp-1-a.csv.gz"}\\n'
    """
    return (json.dumps(dict(results), ensure_ascii=False) + "\n").encode()


def result_names(batch_prediction_id: str, uris: list[str]) -> list[str]:
    """Names of the parts' files without ``.gz``, each once.

    Where several inputs have one file name, each of them gets the number of its part, from 1, before it.

    Examples
    --------
    >>> result_names("bp-1", ["s3://b/x/a.csv", "s3://b/y/a.csv", "s3://b/c.parquet"])
    ['bp-1-1-a.csv', 'bp-1-2-a.csv', 'bp-1-c.parquet']
    """
    files = [uri.rstrip("/").rsplit("/", 1)[-1] for uri in uris]
    often = Counter(files)
    names = [
        f"{batch_prediction_id}-{number}-{file}" if often[file] > 1 else f"{batch_prediction_id}-{file}"
        for number, file in enumerate(files, start=1)
    ]
    if len(set(names)) < len(names):
        names = [f"{batch_prediction_id}-{number}-{file}" for number, file in enumerate(files, start=1)]
    return names


def predict_part(
    task: tuple[NumberedPart, str], answers: Answers, directory: Path, source: ByteSource
) -> tuple[int, int]:
    """Write the unpublished files of one part; returns the numbers of records and of failed ones."""
    numbered, name = task
    schema, columns = numbered.schema, answers.model.columns
    wanted = tuple(dict.fromkeys(one for one in (schema.row_id, schema.target, *columns) if one is not None))
    records = failed = 0
    result, rejected = _Gzip(_unpublished(directory, name)), _Gzip(_unpublished(directory, _rejected_name(name)))
    with result, rejected:
        result.write((",".join(answers.header(schema)) + "\n").encode())
        for batch in read_batches(numbered, source, wanted):
            lines = result_lines(batch, answers, schema, columns)
            result.write(lines.text)
            if lines.rejected:
                rejected.write((b"" if failed else REJECTED_HEADER) + lines.rejected)
            records += len(batch)
            failed += lines.failed
    return records, failed


class _Gzip:
    """A gzip file without name and time stamp, so that the same content gives the same bytes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: BinaryIO | None = None
        self.compressor = _compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_CONTAINER)

    def write(self, content: bytes) -> None:
        """Add content; the file is made by the first of it."""
        if self.file is None:
            self.file = self.path.open("wb")
        self.file.write(self.compressor.compress(content))

    def __enter__(self) -> _Gzip:
        return self

    def __exit__(self, *_: object) -> None:
        if self.file is not None:
            self.file.write(self.compressor.flush())
            self.file.close()


def _rejected_name(name: str) -> str:
    return f"rejected/{name}"


def _unpublished(directory: Path, name: str) -> Path:
    folder, _, file = name.rpartition("/")
    return directory / folder / f".{file}.unpublished"


@contextmanager
def _fresh(directory: Path, names: list[str]) -> Iterator[None]:
    """Folders for the files; whatever happens, no unpublished file stays."""
    rejected = directory / "rejected"
    try:
        rejected.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise PredictionError(f"the predictions can not be written to {directory}: {fault}") from fault
    try:
        yield
    except OSError as fault:
        raise PredictionError(f"the predictions can not be written to {directory}: {fault}") from fault
    finally:
        for name in names:
            for unpublished in (name, _rejected_name(name)):
                _unpublished(directory, unpublished).unlink(missing_ok=True)
        with suppress(OSError):
            rejected.rmdir()  # only if it is empty


def _published(directory: Path, uri: str, name: str, records: int, failed: int) -> PartResult:
    path = directory / f"{name}.gz"
    os.replace(_unpublished(directory, name), path)
    reasons = directory / _rejected_name(name + ".csv.gz")
    reasons.unlink(missing_ok=True)
    if failed:
        os.replace(_unpublished(directory, _rejected_name(name)), reasons)
    return PartResult(uri, path, records, failed, reasons if failed else None)
