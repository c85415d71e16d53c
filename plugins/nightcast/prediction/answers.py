"""The columns of a result file, by type of model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nightcast.datasource.arrow_arrays import Array, Bools, Floats, int_array, numbers, valid_mask
from nightcast.datasource.parts import Batch
from nightcast.datasource.schema import Schema
from nightcast.errors import PredictionError
from nightcast.mlmodel.intervals import Intervals, check_level
from nightcast.mlmodel.model import MLModel
from nightcast.mlmodel.targets import ModelType
from nightcast.prediction.csv_fields import filled, line_fields, quoted_field
from nightcast.prediction.formatting import format_scores
from nightcast.recipe.tokens import text_array

TAG, TRUE_LABEL, BEST_ANSWER, SCORE = "tag", "trueLabel", "bestAnswer", "score"
LOWER, UPPER = "lower", "upper"


@dataclass(frozen=True)
class Answers:
    """What is written of a model's predictions.

    Parameters
    ----------
    model
        Gives scores; a BINARY one compares them with its score threshold, a MULTICLASS one takes the class of the
        highest, the first of equal ones.
    level
        REGRESSION: share of true values that the columns ``lower`` and ``upper`` are to enclose; None for no intervals.

    Raises
    ------
    PredictionError
        If intervals are wanted of a model that has none.
    """

    model: MLModel
    level: float | None = None

    def __post_init__(self) -> None:
        if self.level is None:
            return
        check_level(self.level)
        if self.model.intervals is None:
            why = (
                "its learner held no 40 records back"
                if self.model.model_type is ModelType.REGRESSION
                else f"intervals belong to numbers, and it is {self.model.model_type}"
            )
            raise PredictionError(f"the model has no prediction intervals: {why}. Predict without them.")

    def header(self, schema: Schema) -> list[str]:
        """Titles of the columns: ``tag`` if the schema has a row id, ``trueLabel`` if the data have the target."""
        titles = [TAG] if schema.row_id else []
        titles += [TRUE_LABEL] if schema.target else []
        if self.model.model_type is ModelType.MULTICLASS:
            return [*titles, BEST_ANSWER, *map(quoted_field, self.model.target.classes)]
        titles += [BEST_ANSWER] if self.model.model_type is ModelType.BINARY else []
        return [*titles, SCORE, *([LOWER, UPPER] if self.level is not None else [])]

    def fields(self, scores: Floats) -> tuple[list[Array], Bools | None]:
        """The cells of the columns from ``bestAnswer`` or ``score`` on.

        Parameters
        ----------
        scores
            Of `MLModel.predict`.

        Returns
        -------
        fields
            String arrays, the last of them with line ends.
        finite
            Which records have scores (and ends of intervals) that are finite 32-bit numbers: bool of shape (records,);
            None for all.
        """
        if self.model.model_type is ModelType.MULTICLASS:
            return self._classes(scores)
        written = format_scores(scores, line_end=self.level is None)
        finite = valid_mask(written)
        if self.model.model_type is ModelType.BINARY:
            ones = (np.nan_to_num(scores) >= self.model.score_threshold).astype(np.int64)
            return [text_array(["0", "1"]).take(int_array(ones)), written], finite
        if self.level is None:
            return [written], finite
        lower, upper = self.intervals.bounds(scores, self.level)
        columns = [written, format_scores(lower), format_scores(upper, line_end=True)]
        return columns, _all_valid(columns)

    def labels(self, batch: Batch) -> tuple[Array, Bools | None]:
        """The true labels of a batch as cells, empty where there is none, and a mask of those with a line end."""
        array = batch.columns[self.model.target.name]
        if self.model.model_type is ModelType.MULTICLASS:
            return line_fields(array)
        values, valid = numbers(array)
        if self.model.model_type is ModelType.BINARY:
            codes = values.astype(np.int64) if valid is None else np.where(valid, values, 2).astype(np.int64)
            return text_array(["0", "1", ""]).take(int_array(codes)), None
        return filled(format_scores(values if valid is None else np.where(valid, values, np.nan))), None

    def _classes(self, scores: Floats) -> tuple[list[Array], Bools | None]:
        names = text_array(map(quoted_field, self.model.target.classes))
        best = names.take(int_array(np.nan_to_num(scores, nan=-np.inf).argmax(axis=1)))
        last = scores.shape[1] - 1
        columns = [
            format_scores(np.ascontiguousarray(scores[:, place]), line_end=place == last) for place in range(last + 1)
        ]
        return [best, *columns], _all_valid(columns)

    @cached_property
    def intervals(self) -> Intervals:
        """What the ends of intervals are made of; only where there is a level."""
        return Intervals.from_document(self.model.intervals or {})


def _all_valid(columns: Sequence[Array]) -> Bools | None:
    masks = [mask for mask in map(valid_mask, columns) if mask is not None]
    return np.logical_and.reduce(masks) if masks else None
