"""From features to what `sgd` takes its steps in, and back: numbers in units of their spread, what bins share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nightcast.datasource.arrow_arrays import Bools, Floats, Ints
from nightcast.datasource.insights import NumericInsights
from nightcast.datasource.parts import NumberedPart
from nightcast.mlmodel.learners import TrainingTask
from nightcast.mlmodel.marked_batches import training_batches
from nightcast.mlmodel.sgd_records import Records
from nightcast.mlmodel.shapes import shared_shapes
from nightcast.recipe.blocks import NumberBlock, block_starts, missing_name
from nightcast.recipe.featurizer import Featurizer
from nightcast.recipe.pieces import Dense, OneHot, Piece, to_csr

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Eigenvalues of correlations below this, times numbers / records, are rather noise.
_NOISE, _RECORDS_A_NUMBER = 10.0, 100
# Numbers of which the eigenvectors are found in a second or two.
_MOST_MIXED = 1_000
# Beyond, the penalty is nothing beside what the records say.
_MOST_VARIANCE = 1e12


@dataclass(frozen=True)
class Coordinates:
    """How features become columns that steps can be taken in, and weights of these become weights of features.

    A number is taken about its mean in units of its deviation; of one that is mostly 0, in units of the spread of what
    is not 0, as an indicator is. One that is missing is taken for the mean, so that its indicator says by how much such
    records differ from those at the mean.

    Parameters
    ----------
    featurizer
        Makes the features.
    columns
        Which of them are numbers, those that bins share among them; shape (numbers,).
    missing
        Column of the indicator that belongs to each that is a feature, or -1.
    target_center, target_scale
        Mean and deviation of the target of a regression; 0 and 1 otherwise.
    centers, scales
        Means and units of the numbers; shape (numbers,).
    lines, levels
        What bins share, see `nightcast.mlmodel.shapes.shared_shapes`: indicators behind those of the featurizer, and
        numbers behind these.
    paces
        What the first step of each parameter is multiplied with; shape (width,). Of the bins of a number, and of parts
        of these, it is the root of their share: a step is divided by the root of the squared gradients, of which a bin
        has that share, so that fine bins would run ahead of what they share and learn noise.
    mixing
        What the numbers, about their means, are multiplied with; shape (numbers, numbers). None: not yet measured, and
        numbers are as they come, missing ones NaN.
    spans
        Within what the weight of each number is believed to lie, in its own units: the inverse root of its penalty of a
        mean loss; shape (numbers,). None: not known.
    mixed_l2
        The penalties of the numbers as they are mixed, where spans are known; shape (numbers,).
    """

    featurizer: Featurizer
    columns: Ints
    missing: Ints
    lines: csr_array
    levels: csr_array
    paces: Floats
    target_center: float = 0.0
    target_scale: float = 1.0
    centers: Floats = field(default_factory=lambda: np.zeros(0))
    scales: Floats = field(default_factory=lambda: np.zeros(0))
    mixing: Floats | None = field(default=None, repr=False)
    spans: Floats | None = None
    mixed_l2: Floats | None = None

    @property
    def width(self) -> int:
        """Number of parameters of one output: features, what bins share, and the intercept, which is the last."""
        return self.featurizer.n_features + self.levels.shape[1] + self.lines.shape[1] + 1

    @property
    def own_numbers(self) -> Ints:
        """Columns of the numbers that are features."""
        return self.columns[: len(self.columns) - self.lines.shape[1]]

    @cached_property
    def dense(self) -> Ints:
        """Parameters that belong to the columns of `Records.numbers`."""
        return np.append(self.columns, self.width - 1)

    def records(self, pieces: Sequence[Piece], targets: Floats, validation: Bools) -> Records:
        """The records of a batch."""
        numbers = np.ones((len(targets), len(self.dense)))
        sparse: list[Piece] = []
        for piece in pieces:
            if isinstance(piece, Dense):
                numbers[:, np.searchsorted(self.columns, piece.start)] = piece.values
            else:
                sparse.append(piece)
        for place, column in enumerate(self.missing):
            for piece in sparse:
                if isinstance(piece, OneHot) and piece.start <= column < piece.start + piece.size:
                    numbers[piece.codes == column - piece.start + 1, place] = np.nan
        matrix = self._with_shared(to_csr(sparse, len(targets), self.featurizer.n_features), numbers)
        found = Records(
            matrix.indptr.astype(np.int64),
            matrix.indices.astype(np.int32, copy=False),
            numbers,
            (targets - self.target_center) / self.target_scale,
            validation,
        )
        return self.turned(found)

    def _with_shared(self, matrix: csr_array, numbers: Floats) -> csr_array:
        """The indicators, with those that bins share behind them; numbers that bins share are set."""
        from scipy.sparse import hstack

        if self.lines.shape[1]:
            first = len(self.own_numbers)
            values = (matrix @ self.lines).toarray()
            binned = (matrix @ abs(self.lines).sign()).toarray()
            numbers[:, first : first + self.lines.shape[1]] = np.where(binned, values, np.nan)
        return hstack([matrix, matrix @ self.levels], format="csr") if self.levels.shape[1] else matrix

    def measured(self, records: Records, *, mix: bool) -> Coordinates:
        """Coordinates whose means and units are those of the numbers of such records.

        Parameters
        ----------
        mix
            Whether numbers may be mixed so that they depend less on each other, which steps find their way faster
            through. Correlations are taken for what they are as far as the records tell: with less than 100 records a
            number, nothing is mixed. Where spans are known, they are mixed into what depends neither in the records nor
            in the penalty on each other.
        """
        numbers = records.numbers[:, :-1]
        known = ~np.isnan(numbers)
        counts = np.maximum(known.sum(axis=0), 1)
        centers = np.where(known, numbers, 0.0).sum(axis=0) / counts
        about = np.where(known, numbers - centers, 0.0)
        # Within 1, so that no square is too large.
        farthest = np.abs(about).max(axis=0, initial=0.0)
        about /= np.where(farthest > 0, farthest, 1.0)
        squares = (about * about).sum(axis=0) / np.maximum((known & (numbers != 0.0)).sum(axis=0), 1)
        units = np.where(squares > 0, np.sqrt(squares), 1.0)
        about /= units
        scales = np.where(farthest > 0, farthest, 1.0) * units
        mixing = np.diag(1.0 / scales)
        size = len(scales)
        if mix and self.spans is not None:
            mixing, mixed_l2 = _ridge_mixing(about, scales * self.spans)
            mixing /= scales[:, None]
            return replace(self, centers=centers, scales=scales, mixing=mixing, mixed_l2=mixed_l2)
        if mix and size > 1 and len(about) >= _RECORDS_A_NUMBER * size and np.isfinite(about).all():
            variances, directions = np.linalg.eigh(about.T @ about / len(about))
            roots = np.sqrt(np.maximum(variances, 0.0) + _NOISE * size / len(about))
            mixing = mixing @ ((directions / roots) @ directions.T)
        return replace(self, centers=centers, scales=scales, mixing=mixing)

    def turned(self, records: Records) -> Records:
        """Records whose numbers are as they come, in these coordinates."""
        if self.mixing is None:
            return records
        numbers = records.numbers.copy()
        about = numbers[:, :-1] - self.centers
        about[np.isnan(about)] = 0.0
        numbers[:, :-1] = about @ self.mixing
        return replace(records, numbers=numbers)

    def slopes(self, parameters: Floats) -> Floats:
        """Slopes of shape (features + 1, outputs), for numbers about their means, but in their own units and not mixed.

        Parameters
        ----------
        parameters
            Of shape (width, outputs). What bins share is added to each bin's own.
        """
        found = parameters.copy()
        if self.mixing is not None:
            found[self.columns] = self.mixing @ found[self.columns]
        own, shared = found[: self.featurizer.n_features], found[self.featurizer.n_features : -1]
        own = own + self.levels @ shared[: self.levels.shape[1]]
        if self.lines.shape[1]:
            about = self.lines.copy()
            if self.mixing is not None:
                about.data = about.data - self.centers[len(self.own_numbers) :][about.indices]
            own = own + about @ shared[self.levels.shape[1] :]
        return np.vstack([own, found[-1:]])

    def unscaled(self, slopes: Floats) -> tuple[Floats, Floats]:
        """Weights of shape (features, outputs) and intercepts of shape (outputs,) for the features themselves."""
        weights, intercepts = slopes[:-1].copy(), slopes[-1].copy()
        if self.mixing is not None:
            shifts = weights[self.own_numbers] * self.centers[: len(self.own_numbers), None]
            # The featurizer gives 0 for a number that is missing.
            np.add.at(weights, self.missing[self.missing >= 0], shifts[self.missing >= 0])
            intercepts -= shifts.sum(axis=0)
        return weights * self.target_scale, intercepts * self.target_scale + self.target_center

    def moments(self, shares: Floats) -> tuple[Floats, Floats]:
        """Means and mean squares of the features, numbers about their means; shape (features,).

        Parameters
        ----------
        shares
            Share of the records that set each indicator, those that bins share among them.
        """
        means, squares = (shares[: self.featurizer.n_features].copy() for _ in range(2))
        means[self.own_numbers] = 0.0
        if self.mixing is not None:
            squares[self.own_numbers] = self.scales[: len(self.own_numbers)] ** 2
        return means, squares


def _ridge_mixing(about: Floats, spans: Floats) -> tuple[Floats, Floats]:
    """What to multiply numbers with so that both their products and the penalties are diagonal, and these penalties.

    Of very many numbers the products are taken to be diagonal as they are.

    Parameters
    ----------
    about
        Numbers about their means in any units; shape (records, numbers).
    spans
        As of `Coordinates`, in those units; shape (numbers,).
    """
    size = len(spans)
    if size <= _MOST_MIXED and np.isfinite(about).all():
        variances, directions = np.linalg.eigh((spans[:, None] * (about.T @ about / len(about))) * spans)
    else:
        variances, directions = spans**2 * np.einsum("ij,ij->j", about, about) / len(about), np.eye(size)
    penalties = 1.0 / (1.0 + np.clip(variances, 0.0, _MOST_VARIANCE))
    return spans[:, None] * directions * np.sqrt(penalties), penalties


def coordinates(task: TrainingTask, featurizer: Featurizer, *, ranks: bool = False) -> Coordinates:
    """Coordinates of which the numbers are not yet measured; bins share ranks too if they are to."""
    numbers = [
        (start, missing_name(block.expression))
        for block, start in zip(featurizer.blocks, block_starts(featurizer.blocks), strict=False)
        if isinstance(block, NumberBlock)
    ]
    places: dict[str | None, int] = {name: place for place, name in enumerate(featurizer.feature_names)}
    target = task.insights.attributes[task.target.name]
    center, scale = (target.mean, target.std) if isinstance(target, NumericInsights) else (None, None)
    shared = shared_shapes(featurizer, task.insights, ranks=ranks)
    lines, levels = shared.lines, shared.levels
    behind = featurizer.n_features + levels.shape[1]
    return Coordinates(
        featurizer,
        np.array([*(start for start, _ in numbers), *range(behind, behind + lines.shape[1])], dtype=np.int64),
        np.array([places.get(name, -1) for _, name in numbers], dtype=np.int64),
        lines,
        levels,
        np.concatenate([np.sqrt(shared.shares), np.ones(lines.shape[1] + 1)]),
        center or 0.0,
        scale or 1.0,
    )


def part_records(numbered: NumberedPart, task: TrainingTask, coordinates: Coordinates) -> Iterator[Records]:
    """Stream the training records of one part."""
    featurizer = coordinates.featurizer
    for batch, folds in training_batches(numbered, task, featurizer.columns):
        validation: Bools = folds == 0
        yield coordinates.records(featurizer.pieces(batch), task.target.labels(batch).values, validation)
