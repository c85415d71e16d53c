"""From a recipe and the insights of a datasource to a function of record batches.

The function needs no pass over data to be fitted, and no state: insights hold the vocabularies, quantiles and means.
Only the tokens of n-grams, bigrams, products and altered text are counted in a pass of their own
(:mod:`nightcast.recipe.vocabulary`), for recipes that ask for them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.datasource.insights import CategoricalInsights, Insights, TextInsights
from nightcast.datasource.parts import Batch
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.datasource.strict_json import parse_object
from nightcast.errors import RecipeError
from nightcast.recipe.blocks import (
    BinaryBlock,
    BinBlock,
    Block,
    NumberBlock,
    VocabularyBlock,
    block_starts,
    missing_name,
)
from nightcast.recipe.expressions import Expression, ValueType, Variable, calls, is_binned, is_calendar, unscaled
from nightcast.recipe.grammar import Recipe, parse_recipe
from nightcast.recipe.number_statistics import distribution, known_dates, quantile_edges
from nightcast.recipe.pieces import Piece, to_csr
from nightcast.recipe.values import BatchValues, bin_count

if TYPE_CHECKING:
    from scipy.sparse import csr_array

FORMAT = "nightcast-featurizer"
VERSION = 1
Counts = Sequence[tuple[str, int]]


@dataclass(frozen=True)
class Featurizer:
    """A stateless, picklable function from record batches to feature matrices.

    Columns stand in the order of the recipe's outputs. A missing number sets the indicator ``<attribute>=missing``,
    which stands behind the first output that reads the attribute as a number or in bins; unknown categories and
    tokens add nothing.

    Parameters
    ----------
    blocks
        What each output adds.
    edges
        Inner bin edges by the text of the ``quantile_bin`` expression.
    trimmed
        Known values and tokens that were left out to stay within a limit, the rarest first.
    """

    blocks: tuple[Block, ...]
    edges: Mapping[str, tuple[float, ...]]
    trimmed: int = 0

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the attributes that are read."""
        return tuple(dict.fromkeys(variable.name for block in self.blocks for variable in block.expression.variables()))

    @cached_property
    def feature_names(self) -> list[str]:
        """Names of the columns: ``price``, ``genre=Opera``, ``quantile_bin(price,50)=7``, ``price=missing``."""
        return [name for block in self.blocks for name in block.names]

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return self._starts[-1]

    @property
    def centers(self) -> Floats:
        """A number near the mean of each column, 0 for indicators: sums of squares about it lose fewer digits."""
        found = np.zeros(self.n_features)
        for block, start in zip(self.blocks, self._starts, strict=False):
            if isinstance(block, NumberBlock):
                found[start] = block.center
        return found

    @cached_property
    def _starts(self) -> list[int]:
        return block_starts(self.blocks)

    def pieces(self, batch: Batch) -> list[Piece]:
        """The features of a batch, block by block.

        Parameters
        ----------
        batch
            Holds at least :attr:`columns`.
        """
        values = BatchValues(batch, self.edges)
        return [
            piece
            for block, start in zip(self.blocks, self._starts, strict=False)
            for piece in block.pieces(values, start)
        ]

    def transform(self, batch: Batch) -> csr_array:
        """The features of a batch: float64 of shape (len(batch), n_features), columns ascending in each row."""
        return to_csr(self.pieces(batch), len(batch), self.n_features)

    def to_json(self) -> str:
        """The featurizer as a document: types of attributes, outputs with vocabularies, bin edges; sorted keys."""
        types = {variable.name: variable.type for block in self.blocks for variable in block.expression.variables()}
        document = {
            "format": FORMAT,
            "version": VERSION,
            "attributes": types,
            "edges": {text: list(edges) for text, edges in self.edges.items()},
            "outputs": [_block_document(block) for block in self.blocks],
            "trimmed": self.trimmed,
        }
        return json.dumps(document, sort_keys=True, allow_nan=False, ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Featurizer:
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        RecipeError
            If it is damaged, or was written by a newer version of Nightcast.
        """
        document = parse_object(text, "the featurizer", RecipeError)
        if document.get("format") != FORMAT or document.get("version") != VERSION:
            raise RecipeError(
                f"the featurizer has the format {document.get('format')!r} version {document.get('version')!r}, and "
                f"{FORMAT} version {VERSION} can be read: train the model again, or update Nightcast."
            )
        try:
            attributes = tuple(Attribute(name, AttributeType(kind)) for name, kind in document["attributes"].items())
            edges = {text: tuple(map(float, found)) for text, found in document["edges"].items()}
            blocks = tuple(_block_of(output, attributes, edges) for output in document["outputs"])
            return cls(blocks, edges, int(document["trimmed"]))
        except (KeyError, TypeError, ValueError, AttributeError) as fault:
            raise RecipeError(f"the featurizer is damaged ({fault!r:.200}): train the model again.") from None


def build_featurizer(
    recipe: Recipe,
    schema: Schema,
    insights: Insights,
    vocabularies: Mapping[str, Counts] | None = None,
    max_features: int | None = None,
) -> Featurizer:
    """Make the featurizer of a recipe.

    Parameters
    ----------
    recipe
        What to learn from.
    schema
        The one that the recipe was checked against.
    insights
        Statistics of the training datasource.
    vocabularies
        Tokens with the number of records that hold them, most frequent first, by the text of the expression; needed for
        what :func:`nightcast.recipe.vocabulary.counted_expressions` names.
    max_features
        Beyond this many features, values and tokens are left out, the rarest first. None: no limit.

    Raises
    ------
    RecipeError
        If insights or vocabularies lack what the recipe needs.
    """
    builder = _Builder(insights, vocabularies or {})
    blocks = [builder.block(output) for output in recipe.outputs]
    kept = _within(blocks, builder.counts, max_features)
    trimmed = sum(len(block.names) for block in blocks) - sum(len(block.names) for block in kept)
    return Featurizer(tuple(kept), builder.edges, trimmed)


class _Builder:
    def __init__(self, insights: Insights, vocabularies: Mapping[str, Counts]) -> None:
        self.insights = insights
        self.vocabularies = vocabularies
        self.edges: dict[str, tuple[float, ...]] = {}
        self.counts: dict[Expression, Counts] = {}
        self.indicated: set[str] = set()

    def block(self, output: Expression) -> Block:
        for call in calls(output, "quantile_bin"):
            self.edges[str(call)] = quantile_edges(call, self.insights)
        if isinstance(output, Variable) and output.type is ValueType.BINARY:
            return BinaryBlock(output)
        if is_binned(output):
            if is_calendar(output):
                known_dates(output, self.insights)
            return BinBlock(output, bin_count(output, self.edges), self.indicator(output))
        if output.type is ValueType.NUMERIC:
            return self.number(output)
        self.counts[output] = self.vocabulary(output)
        return VocabularyBlock(output, tuple(value for value, _ in self.counts[output]))

    def number(self, output: Expression) -> NumberBlock:
        found = distribution(unscaled(output), self.insights)
        if unscaled(output) is output:
            return NumberBlock(output, 0.0, 1.0, found.mean, self.indicator(output))
        # A constant has no variance to divide by; normalized, it is 0.
        return NumberBlock(output, found.mean, found.std or 1.0, 0.0, self.indicator(output))

    def indicator(self, output: Expression) -> bool:
        """Whether this output is the first one to read a number that may be missing."""
        name = None if is_calendar(output) else missing_name(output)
        first = name is not None and name not in self.indicated
        if name is not None:
            self.indicated.add(name)
        return first

    def vocabulary(self, output: Expression) -> Counts:
        if str(output) in self.vocabularies:
            return self.vocabularies[str(output)]
        found = self.insights.attributes.get(output.name) if isinstance(output, Variable) else None
        if isinstance(found, CategoricalInsights):
            return found.values
        if isinstance(found, TextInsights):
            return found.tokens
        raise RecipeError(
            f"the values of {output} were not counted: compute insights with the schema of the recipe, "
            "and count the tokens of its transformations."
        )


def _within(blocks: Sequence[Block], counts: Mapping[Expression, Counts], limit: int | None) -> list[Block]:
    """Blocks of at most ``limit`` features together, by shorter vocabularies; more where other features need it."""
    features = sum(len(block.names) for block in blocks)
    if limit is None or features <= limit:
        return list(blocks)
    owners = [number for number, block in enumerate(blocks) for _ in counts.get(block.expression, ())]
    records = np.array([count for block in blocks for _, count in counts.get(block.expression, ())])
    room = max(limit - (features - len(owners)), 0)
    # Stable: within a vocabulary, which is ordered by frequency, what is kept is what stands first.
    kept = np.argsort(-records, kind="stable")[:room]
    sizes = np.bincount(np.array(owners, dtype=np.int64)[kept], minlength=len(blocks))
    return [
        replace(block, vocabulary=block.vocabulary[:size]) if isinstance(block, VocabularyBlock) else block
        for block, size in zip(blocks, sizes, strict=True)
    ]


def _block_document(block: Block) -> dict[str, Any]:
    document: dict[str, Any] = {"expression": str(block.expression)}
    if isinstance(block, NumberBlock):
        document |= {"mean": block.mean, "scale": block.scale, "center": block.center}
    if isinstance(block, NumberBlock | BinBlock):
        document["missing"] = block.indicator
    if isinstance(block, VocabularyBlock):
        document["vocabulary"] = list(block.vocabulary)
    return document


def _block_of(
    document: Mapping[str, Any], attributes: tuple[Attribute, ...], edges: Mapping[str, tuple[float, ...]]
) -> Block:
    recipe = parse_recipe(json.dumps({"outputs": [document["expression"]]}), Schema(attributes))
    [output] = recipe.outputs
    if isinstance(output, Variable) and output.type is ValueType.BINARY:
        return BinaryBlock(output)
    if "mean" in document:
        return NumberBlock(output, document["mean"], document["scale"], document["center"], document["missing"])
    if is_binned(output) and "missing" in document:
        return BinBlock(output, bin_count(output, edges), document["missing"])
    return VocabularyBlock(output, tuple(document["vocabulary"]))
