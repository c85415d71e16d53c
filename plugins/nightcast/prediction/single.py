"""Predictions for single records, as Amazon ML's ``Predict`` took and gave them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from nightcast.datasource.arrow_arrays import Array, Floats
from nightcast.datasource.cells import Cells, binary_cells, numeric_cells
from nightcast.datasource.parts import Batch
from nightcast.datasource.schema import AttributeType
from nightcast.errors import PredictionError
from nightcast.mlmodel.model import MLModel
from nightcast.mlmodel.targets import ModelType
from nightcast.prediction.answers import Answers
from nightcast.recipe.tokens import text_array

_KINDS = {AttributeType.NUMERIC: "number", AttributeType.BINARY: "0, 1 or another form of two values"}


class RecordPredictor:
    """Predicts records one by one, the same numbers that a batch prediction writes.

    Parameters
    ----------
    model
        Gives the scores.
    level
        REGRESSION: share of true values that ``Lower`` and ``Upper`` of the details are to enclose; None: none.

    Raises
    ------
    PredictionError
        If intervals are wanted of a model that has none.
    """

    def __init__(self, model: MLModel, level: float | None = None) -> None:
        self.model = model
        self._answers = Answers(model, level)
        self._types = {attribute.name: attribute.type for attribute in model.schema.attributes}

    def predict(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The prediction for a record, in Amazon ML's form.

        Parameters
        ----------
        record
            Values by attribute, as text; numbers of JSON are taken as they are written, booleans as ``t`` and ``f``.
            What is None, empty, or not there at all is missing, as an empty cell of a CSV file is. Attributes that
            the model does not read are passed over, the target among them.

        Returns
        -------
        dict
            ``predictedValue`` of a REGRESSION; ``predictedLabel`` and ``predictedScores`` of the others: of a BINARY
            model one entry, under the label, which holds the probability of 1; and ``details``. Scores are 32-bit
            floats, printed as 64-bit ones.

        Raises
        ------
        PredictionError
            If an attribute is not in the model's schema, a value that the model reads can not be read, or the score is
            not a finite 32-bit number. The message names the attribute.
        """
        batch = self._batch(record)
        with np.errstate(over="ignore"):
            scores = self.model.predict(batch)
            if not np.isfinite(scores.astype(np.float32)).all():
                raise PredictionError("the record's score is not a finite 32-bit number: its numbers are too large.")
        return {**self._answer(scores), "details": self._details(scores)}

    def _answer(self, scores: Floats) -> dict[str, Any]:
        if self.model.model_type is ModelType.REGRESSION:
            return {"predictedValue": _single(scores[0])}
        if self.model.model_type is ModelType.BINARY:
            label = "1" if scores[0] >= self.model.score_threshold else "0"
            return {"predictedLabel": label, "predictedScores": {label: _single(scores[0])}}
        classes = self.model.target.classes
        by_class = {name: _single(score) for name, score in zip(classes, scores[0], strict=True)}
        return {"predictedLabel": classes[int(scores[0].argmax())], "predictedScores": by_class}

    def _details(self, scores: Floats) -> dict[str, str]:
        found = {"PredictiveModelType": self.model.model_type.value, "Algorithm": self.model.learner.upper()}
        if self._answers.level is not None:
            lower, upper = self._answers.intervals.bounds(scores, self._answers.level)
            found |= {"Lower": repr(_single(lower[0])), "Upper": repr(_single(upper[0]))}
        return found

    def _batch(self, record: Mapping[str, Any]) -> Batch:
        unknown = [name for name in record if name not in self._types]
        if unknown:
            told = ", ".join(f"{name!r:.80}" for name in unknown[:5])
            raise PredictionError(
                f"the record has {told}, and the model's schema does not: it has {', '.join(map(repr, self._types))}."
            )
        columns: dict[str, Array] = {}
        for name in self.model.columns:
            text = _text(name, record.get(name))
            columns[name], invalid = _cell(text, self._types[name])
            if invalid is not None:
                raise PredictionError(
                    f"the attribute {name!r} is {self._types[name]}, and its value {text!r:.80} is no "
                    f"{_KINDS[self._types[name]]}."
                )
        return Batch(0, columns, size=1)


def _single(score: float) -> float:
    return float(np.float32(score))


def _text(name: str, value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str) and _is_unicode(value):
        return value
    raise PredictionError(f"the attribute {name!r} must be a text in Unicode, not {value!r:.80}.")


def _is_unicode(text: str) -> bool:
    """Whether no half of a surrogate pair is in it, which JSON can write and UTF-8 can not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _cell(text: str | None, kind: AttributeType) -> Cells:
    strings: Array = pa.nulls(1, pa.string()) if text is None else text_array([text])
    if kind is AttributeType.NUMERIC:
        return numeric_cells(strings)
    if kind is AttributeType.BINARY:
        return binary_cells(strings)
    return strings, None
