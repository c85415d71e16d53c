"""The result files of a batch prediction, read again."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightcast.datasource.arrow_arrays import Array, Bools, Floats, Hashes, coded, fixed_values, numbers, valid_mask
from nightcast.datasource.hashing import string_hashes
from nightcast.datasource.parts import ByteSource, Datasource, NumberedPart, Part, local_part, read_batches
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.errors import EvaluationError
from nightcast.mlmodel.targets import ModelType
from nightcast.recipe.tokens import text_array

TAG, TRUE_LABEL, BEST_ANSWER, SCORE, LOWER, UPPER = "tag", "trueLabel", "bestAnswer", "score", "lower", "upper"
_HEADER_BYTES = 1_000_000


@dataclass(frozen=True)
class Predictions:
    """Result files as a datasource; a record that failed has an empty line in them, and so is a rejected one.

    Parameters
    ----------
    model_type
        Of the model that made them, which the columns tell.
    classes
        MULTICLASS: the model's classes, in the order of its scores.
    intervals
        Whether there are prediction intervals.
    """

    datasource: Datasource
    model_type: ModelType
    classes: tuple[str, ...] = ()
    intervals: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read beside the tag."""
        if self.model_type is ModelType.MULTICLASS:
            return (BEST_ANSWER,)
        return (SCORE, LOWER, UPPER) if self.intervals else (SCORE,)


@dataclass(frozen=True)
class PredictedPart:
    """The predictions of one file, those of other hashes left out.

    Parameters
    ----------
    records, failed
        Lines of the file, and the empty ones among them, of all hashes.
    unnamed
        Predictions without tag.
    hashes, values
        Of the tags, shape (n,); and score (and ends of the interval), or number of the class: shape (n, columns).
    """

    records: int
    failed: int
    unnamed: int
    hashes: Hashes
    values: Floats


@dataclass(frozen=True)
class HashShare:
    """Hashes whose remainder by `parts` is `part`: a share of the tags that fits in memory."""

    part: int = 0
    parts: int = 1

    def mask(self, hashes: Hashes) -> Bools:
        """Which hashes belong to it."""
        found: Bools = hashes % np.uint64(self.parts) == np.uint64(self.part)
        return found


def open_predictions(files: Sequence[tuple[str, int]], source: ByteSource) -> Predictions:
    """The predictions in result files.

    Parameters
    ----------
    files
        URI and number of records, failed ones among them, of each file.

    Raises
    ------
    EvaluationError
        If there is no file, it has no tags, or its columns are not those of a batch prediction.
    """
    if not files:
        raise EvaluationError("there are no predictions to compare with what was sold: name their result files.")
    header = _header(files[0][0], source)
    kind, classes, intervals = _layout(header, files[0][0])
    texts = (TAG, TRUE_LABEL, BEST_ANSWER)
    attributes = tuple(
        Attribute(name, AttributeType.CATEGORICAL if name in texts else AttributeType.NUMERIC) for name in header
    )
    parts = tuple(Part(uri, records, 0, "CSV", header=True) for uri, records in files)
    return Predictions(Datasource(Schema(attributes, row_id=TAG), parts, manifest=False), kind, classes, intervals)


def part_predictions(
    numbered: NumberedPart, predictions: Predictions, share: HashShare, source: ByteSource
) -> PredictedPart:
    """Read one file."""
    records = failed = unnamed = 0
    hashes, values = [np.zeros(0, dtype=np.uint64)], [np.zeros((0, len(predictions.columns)))]
    for batch in read_batches(numbered, source, (TAG, *predictions.columns)):
        records += len(batch)
        rejected = batch.rejected
        failed += len(batch.rejects)
        columns = [_values(batch.columns[name], predictions.classes) for name in predictions.columns]
        whole = np.stack(columns, axis=1)
        good = np.isfinite(whole).all(axis=1) if rejected is None else np.isfinite(whole).all(axis=1) & ~rejected
        if int(good.sum()) + len(batch.rejects) < len(batch):
            raise EvaluationError(
                f"{numbered.where} has a prediction that can not be read, or an answer that is none of its classes: "
                "it is no result file of a batch prediction, or was changed."
            )
        found, named = tag_hashes(batch.columns[TAG])
        unnamed += int((good & ~named).sum())
        chosen = good & named & share.mask(found)
        hashes.append(found[chosen])
        values.append(whole[chosen])
    return PredictedPart(records, failed, unnamed, np.concatenate(hashes), np.concatenate(values))


def tag_hashes(array: Array) -> tuple[Hashes, Bools]:
    """64-bit hashes of tags or row ids, and which records have one.

    That two of five million share a hash has a chance of 7e-7.
    """
    if pa.types.is_dictionary(array.type):
        codes, distinct = coded(array)
        return np.append(string_hashes(distinct), np.uint64(0))[codes], codes < len(distinct)
    valid = valid_mask(array)
    return string_hashes(array), np.ones(len(array), dtype=np.bool_) if valid is None else valid


def _values(array: Array, classes: tuple[str, ...]) -> Floats:
    if not classes:
        values, valid = numbers(array)
        return values if valid is None else np.where(valid, values, np.nan)
    codes, distinct = coded(array)
    found: Array = pc.index_in(distinct, value_set=text_array(classes))
    places, valid = fixed_values(found, np.int32).astype(np.float64), valid_mask(found)
    return np.append(places if valid is None else np.where(valid, places, np.nan), np.nan)[codes]


def _header(uri: str, source: ByteSource) -> list[str]:
    with local_part(uri, f"result file {uri}", source) as path:
        try:
            with gzip.open(path, "rb") as file:
                line = file.readline(_HEADER_BYTES).decode("utf-8")
        except (OSError, EOFError, UnicodeDecodeError) as fault:
            raise EvaluationError(f"the result file {uri} can not be read: {fault}; predict again.") from fault
    return next(csv.reader([line]), [])


def _layout(header: Sequence[str], uri: str) -> tuple[ModelType, tuple[str, ...], bool]:
    if TAG not in header[:1]:
        raise EvaluationError(
            f"the predictions in {uri} have no tags, so nobody knows what they predict: give the schema of the scored "
            "records a rowId."
        )
    answers = list(header[2:] if header[1:2] == [TRUE_LABEL] else header[1:])
    if answers[:1] == [BEST_ANSWER]:
        if answers[1:] == [SCORE]:
            return ModelType.BINARY, (), False
        if len(answers) > 2:
            return ModelType.MULTICLASS, tuple(answers[1:]), False
    if answers in ([SCORE], [SCORE, LOWER, UPPER]):
        return ModelType.REGRESSION, (), len(answers) > 1
    raise EvaluationError(f"{uri} has the columns {', '.join(header)[:200]}, which are none of a batch prediction's.")
