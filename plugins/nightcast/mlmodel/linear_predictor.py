"""A linear model's predictor: a featurizer and one weight a feature and output."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightcast.datasource.arrow_arrays import Floats, fixed_values, float_array
from nightcast.datasource.parts import Batch
from nightcast.errors import ModelError
from nightcast.recipe.featurizer import Featurizer
from nightcast.recipe.pieces import linear_scores
from nightcast.recipe.tokens import text_array

_INTERCEPT = ""


@dataclass(frozen=True)
class LinearPredictor:
    """``intercept + features @ weights``.

    Parameters
    ----------
    featurizer
        Makes the features.
    weights
        float64 of shape (features, outputs).
    intercepts
        float64 of shape (outputs,): the score of a record without any feature.
    """

    kind: ClassVar[str] = "linear"
    featurizer: Featurizer = field(repr=False)
    weights: Floats = field(repr=False)
    intercepts: Floats

    @classmethod
    def about_centers(cls, featurizer: Featurizer, weights: Floats, constants: Floats) -> LinearPredictor:
        """From weights of shape (outputs, features), and the scores of a record whose numbers are at their centers."""
        shift = np.einsum("ij,j->i", weights, featurizer.centers)
        return cls(featurizer, np.ascontiguousarray(weights.T), constants - shift)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the attributes that are read."""
        return self.featurizer.columns

    @property
    def size(self) -> int:
        """Number of features."""
        return self.featurizer.n_features

    def raw_scores(self, batch: Batch) -> Floats:
        """See `nightcast.mlmodel.model.Predictor`."""
        pieces = self.featurizer.pieces(batch)
        scores = [
            linear_scores(pieces, self.weights[:, output], float(intercept), len(batch))
            for output, intercept in enumerate(self.intercepts)
        ]
        return scores[0] if len(scores) == 1 else np.column_stack(scores)

    def save(self, directory: Path) -> tuple[str, ...]:
        """Write ``featurizer.json`` and ``weights.parquet``: first the intercepts under no name, then each feature."""
        (directory / "featurizer.json").write_text(self.featurizer.to_json(), encoding="utf-8")
        names = text_array([_INTERCEPT, *self.featurizer.feature_names])
        columns = [
            float_array(np.append(intercept, self.weights[:, output]))
            for output, intercept in enumerate(self.intercepts)
        ]
        titles = ["weight"] if len(columns) == 1 else [f"weight_{output}" for output in range(len(columns))]
        pq.write_table(
            pa.Table.from_arrays([names, *columns], names=["feature", *titles]), directory / "weights.parquet"
        )
        return "featurizer.json", "weights.parquet"

    @classmethod
    def load(cls, directory: Path) -> LinearPredictor:
        """Read what `save` wrote; ModelError when the files are not of one model."""
        featurizer = Featurizer.from_json((directory / "featurizer.json").read_text(encoding="utf-8"))
        table = pq.ParquetFile(directory / "weights.parquet").read()
        if table.column("feature").to_pylist() != [_INTERCEPT, *featurizer.feature_names]:
            raise ModelError(f"weights and featurizer in {directory} are not of one model: copy the directory again.")
        values = np.column_stack(
            [fixed_values(table.column(place).combine_chunks(), np.float64) for place in range(1, table.num_columns)]
        )
        return cls(featurizer, np.ascontiguousarray(values[1:]), values[0].copy())
