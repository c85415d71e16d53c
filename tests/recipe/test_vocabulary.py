from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from nightcast.datasource.insights import compute_insights
from nightcast.datasource.parts import ByteSource, Datasource
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Schema
from nightcast.recipe import vocabulary
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
