from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from nightcast.datasource.insights import CategoricalInsights, compute_insights
from nightcast.datasource.parts import ByteSource, Datasource
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Schema
from nightcast.datasource.string_counts import LISTED_VALUES
from nightcast.recipe import vocabulary
from nightcast.recipe.featurizer import build_featurizer
from nightcast.recipe.grammar import parse_recipe
from nightcast.recipe.vocabulary import count_vocabularies, counted_expressions, merge_tokens


@pytest.fixture
def many(table: pa.Table) -> pa.Table:
    rng = np.random.default_rng(3)
    titles = [" ".join(rng.choice(["a", "b", "c", "B"], rng.integers(0, 5))) for _ in range(500)]
    return table.take(rng.integers(0, 6, 500)).set_column(4, "title", pa.array(titles))


def test_only_what_insights_lack_is_counted(schema: Schema) -> None:
    text = json.dumps({"outputs": ["ALL_INPUTS", "quantile_bin(price,5)", "ngram(title,2)", "lowercase(title)"]})
    counted = counted_expressions(parse_recipe(text, schema))
    assert [str(one) for one in counted] == ["ngram(title,2)", "lowercase(title)"]


def test_no_pass_without_need(schema: Schema, files: ByteSource, datasource: Datasource) -> None:
    def never(function: object, items: object) -> None:
        raise AssertionError("data were read")

    insights = compute_insights(datasource, files)
    recipe = parse_recipe('{"outputs": ["ALL_INPUTS"]}', schema)
    assert count_vocabularies(datasource, Rearrangement(), recipe, insights, files, never) == {}  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [500, 123, 1])
@pytest.mark.parametrize(
    "rearrangement", [Rearrangement(), Rearrangement(20, 70), Rearrangement(0, 50, True, "random")]
)
def test_counts_are_those_of_a_plain_loop(
    schema: Schema,
    write: Callable[..., Datasource],
    files: ByteSource,
    many: pa.Table,
    size: int,
    rearrangement: Rearrangement,
) -> None:
    if size == 1:
        many = many.slice(0, 40)
    datasource = write(many, size)
    recipe = parse_recipe('{"outputs": ["lowercase(title)", "ngram(title,2)", "cartesian(title,genre)"]}', schema)
    found = count_vocabularies(datasource, rearrangement, recipe, compute_insights(datasource, files), files)

    taken = np.concatenate(
        [
            rearrangement.mask(batch, datasource.records, "id")
            for part in datasource.numbered()
            for batch in vocabulary.selected_batches(part, Rearrangement(), schema.names, files)
        ]
    )
    expected: list[Counter[str]] = [Counter(), Counter(), Counter()]
    for record in many.filter(pa.array(taken)).to_pylist():
        tokens = record["title"].split()
        pairs = [f"{a} {b}" for a, b in itertools.pairwise(tokens)]
        expected[0].update({token.lower() for token in tokens})
        expected[1].update({*tokens, *pairs})
        expected[2].update({f"{token}_{record['genre']}" for token in tokens if record["genre"] is not None})
    assert [dict(pairs) for pairs in found.values()] == [dict(counts) for counts in expected]
    for pairs in found.values():
        assert pairs == sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "_KEPT_WHILE_COUNTING", 10)
    total = Counter({"often": 100})
    for number in range(20):
        merge_tokens([total], [Counter({f"rare{number}": 1, "often": 1})])
        assert len(total) <= 10
    assert total["often"] == 120


def test_values_that_insights_could_not_list_are_counted_where_more_are_wanted(
    schema: Schema,
    write: Callable[..., Datasource],
    files: ByteSource,
    table: pa.Table,
) -> None:
    size = 12_500
    genres = [f"g{number % 12_000:05d}" for number in range(size)]
    many = table.take(np.arange(size) % 6).set_column(3, "genre", pa.array(genres))
    datasource = write(many, 5_000)
    insights = compute_insights(datasource, files)
    found = insights.attributes["genre"]
    assert isinstance(found, CategoricalInsights)
    assert len(found.values) == LISTED_VALUES == vocabulary.MAX_TOKENS
    recipe = parse_recipe('{"outputs": ["genre", "title", "price"]}', schema)

    def counted(limit: int) -> dict[str, list[tuple[str, int]]]:
        return count_vocabularies(datasource, Rearrangement(), recipe, insights, files, limit=limit)

    # As many as insights list are known from them.
    assert counted(LISTED_VALUES) == {}
    for limit in (11_000, 100_000):
        # Of titles the insights know all words.
        assert list(counted(limit)) == ["genre"]
        pairs = counted(limit)["genre"]
        expected = sorted(Counter(genres).items(), key=lambda pair: (-pair[1], pair[0]))
        assert pairs == expected[:limit]
    featurizer = build_featurizer(recipe, schema, insights, counted(100_000))
    assert featurizer.n_features > 12_000
    assert build_featurizer(recipe, schema, insights, counted(100_000), 50).n_features == 50


def test_words_that_insights_could_not_list_are_counted_too(
    schema: Schema, write: Callable[..., Datasource], files: ByteSource, table: pa.Table
) -> None:
    titles = [f"w{2 * number} w{2 * number + 1} always" for number in range(5_200)]
    many = table.take(np.arange(len(titles)) % 6).set_column(4, "title", pa.array(titles))
    datasource = write(many)
    insights = compute_insights(datasource, files)
    recipe = parse_recipe('{"outputs": ["title"]}', schema)
    pairs = count_vocabularies(datasource, Rearrangement(), recipe, insights, files, limit=10_300)["title"]
    assert pairs[0] == ("always", 5_200)
    assert len(pairs) == len(dict(pairs)) == 10_300
    assert {count for _, count in pairs[1:]} == {1}
