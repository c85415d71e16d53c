from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.errors import RecipeError
from nightcast.recipe.expressions import FUNCTIONS, Call, Expression, ValueType, Variable, quoted
from nightcast.recipe.grammar import Recipe, parse_recipe


def outputs(
    schema: Schema, *expressions: str, groups: dict | None = None, assignments: dict | None = None
) -> list[str]:
    text = json.dumps({"groups": groups or {}, "assignments": assignments or {}, "outputs": expressions})
    return [str(output) for output in parse_recipe(text, schema).outputs]


@pytest.mark.parametrize(
    ("expressions", "expected"),
    [
        (["ALL_INPUTS"], ["price", "seats", "genre", "title", "promo"]),
        (["ALL_TEXT", "ALL_NUMERIC", "ALL_CATEGORICAL", "ALL_BINARY"], ["title", "price", "seats", "genre", "promo"]),
        (["quantile_bin(ALL_NUMERIC,50)"], ["quantile_bin(price,50)", "quantile_bin(seats,50)"]),
        ([" quantile_bin ( price , 50 ) "], ["quantile_bin(price,50)"]),
        (["ngram(lowercase(no_punct(title)),3)"], ["ngram(lowercase(no_punct(title)),3)"]),
        (["osb(title,10)", "normalize(price)"], ["osb(title,10)", "normalize(price)"]),
        (
            ["cartesian(genre, quantile_bin(ALL_NUMERIC, 10))"],
            ["cartesian(genre,quantile_bin(price,10))", "cartesian(genre,quantile_bin(seats,10))"],
        ),
        (["price // the raw number", "ALL_BINARY//and more"], ["price", "promo"]),
        (["'price'", '"genre"'], ["price", "genre"]),
        (["price", "ALL_NUMERIC", "price"], ["price", "seats"]),
    ],
)
def test_outputs_are_resolved(schema: Schema, expressions: list[str], expected: list[str]) -> None:
    assert outputs(schema, *expressions) == expected


def test_groups_and_assignments(schema: Schema) -> None:
    groups = {
        "SHOWN": "group_remove(ALL_INPUTS, title, NUMBERS)",
        "NUMBERS": "group(price, seats)",
        "BOTH": "group(NUMBERS, genre, price)",
        "my-group.1": "group('price')",
    }
    assignments = {"binned": "quantile_bin(NUMBERS, 10)", "crossed": "cartesian(genre, binned)", "same": "binned"}
    assert outputs(schema, "SHOWN", "BOTH", groups=groups) == ["genre", "promo", "price", "seats"]
    assert outputs(schema, "normalize(my-group.1)", groups=groups) == ["normalize(price)"]
    assert outputs(schema, "crossed", "same", groups=groups, assignments=assignments) == [
        "cartesian(genre,quantile_bin(price,10))",
        "cartesian(genre,quantile_bin(seats,10))",
        "quantile_bin(price,10)",
        "quantile_bin(seats,10)",
    ]


def test_names_of_any_kind_can_be_quoted() -> None:
    names = [
        "1stFlrSF",
        "YearRemod/Add",
        "a.b-c",
        "it's",
        'say "x"',
        "tab\there",
        "(x)",
        "back\\slash",
        "50",
        "a//b",
        "ü ö",
    ]
    schema = Schema(tuple(Attribute(name, AttributeType.NUMERIC) for name in names))
    groups = {"G": f"group({','.join(quoted(name, always=True) for name in names)})"}
    recipe = parse_recipe(json.dumps({"groups": groups, "outputs": ["G"]}), schema)
    assert [output.name for output in recipe.outputs if isinstance(output, Variable)] == names
    assert outputs(schema, "YearRemod/Add", "a.b-c", "ü ö") == ["YearRemod/Add", "a.b-c", "ü ö"]


def test_an_empty_predefined_group_is_no_fault() -> None:
    schema = Schema((Attribute("x", AttributeType.NUMERIC),))
    assert outputs(schema, "ALL_TEXT", "ALL_NUMERIC") == ["x"]
    with pytest.raises(RecipeError, match="have no members"):
        outputs(schema, "ALL_TEXT")


def test_columns_are_what_is_read(schema: Schema) -> None:
    recipe = parse_recipe('{"outputs": ["cartesian(genre,quantile_bin(seats,5))", "genre", "price"]}', schema)
    assert recipe.columns == ("genre", "seats", "price")


@pytest.mark.parametrize(
    ("output", "column", "words"),
    [
        ("prise", 15, "did you mean 'price'"),
        ("nothing like it", 15, "is no attribute, group or assignment"),
        ("sold", 15, "the target"),
        ("id", 15, "the row id"),
        ("secret", 15, "excluded by the schema"),
        ("quantile_bin(title,10)", 28, "quantile_bin takes NUMERIC, and title is TEXT"),
        ("lowercase(genre)", 25, "lowercase takes TEXT, and genre is CATEGORICAL"),
        ("lowercase(ngram(title,2))", 25, "takes TEXT"),
        ("cartesian(price,genre)", 25, "cartesian takes CATEGORICAL or TEXT or TOKENS"),
        ("cartesian(genre)", 15, "takes 2 to 10 argument"),
        ("normalize(price,seats)", 15, "takes 1 argument"),
        ("quantile_bin(price)", 28, "whole number from 2 to 1000"),
        ("quantile_bin(price,1)", 34, "whole number from 2 to 1000"),
        ("quantile_bin(price,1001)", 34, "whole number from 2 to 1000"),
        ("quantile_bin(price,9999999999)", 34, "whole number from 2 to 1000"),
        ("quantile_bin(price,5.0)", 34, "whole number from 2 to 1000"),
        ("quantile_bin(price,1e999)", 34, "too large"),
        ("ngram(title,11)", 27, "whole number from 2 to 10"),
        ("osb(title,1)", 25, "whole number from 2 to 10"),
        ("normalize(10)", 25, "in single quotes"),
        ("lowercas(title)", 15, "did you mean 'lowercase'"),
        ("group(price)", 15, 'move it to "groups"'),
        ("1st", 15, "does not start with a letter"),
        ("normalize(price", 30, "',' or '\\)'"),
        ("normalize(price))", 31, "should end here"),
        ("normalize()", 25, "is expected here"),
        ("'price", 15, "not closed"),
        ("''", 15, "at least one character"),
        ("", 15, "is expected here"),
        ("// only a comment", 15, "is expected here"),
        ("lowercase(" * 60 + "title" + ")" * 60, 525, "more than 50 deep"),
    ],
)
def test_faults_are_placed(schema: Schema, output: str, column: int, words: str) -> None:
    with pytest.raises(RecipeError, match=words) as caught:
        parse_recipe(json.dumps({"outputs": [output]}), schema)
    assert f"line 1, column {column}:" in str(caught.value)


def test_the_place_is_shown(schema: Schema) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe('{"outputs": [\n  "price",\n  "quantile_bin(prise, 50)"]}', schema)
    assert str(caught.value) == (
        "recipe, line 3, column 17: 'prise' is no attribute, group or assignment; did you mean 'price'?\n"
        '    "quantile_bin(prise, 50)"]}\n'
        "                  ^"
    )


@pytest.mark.parametrize(
    ("groups", "assignments", "words"),
    [
        ({"A": "group(B)", "B": "group(A)"}, {}, "defined by itself: A -> B -> A"),
        ({}, {"a": "lowercase(a)"}, "defined by itself: a -> a"),
        ({"A": "group(nothing)"}, {}, "no attribute"),
        ({"A": "group(ALL_INPUTS)"}, {}, "not inside group"),
        ({"A": "group(normalize(price))"}, {}, "takes names"),
        ({"A": "price"}, {}, "a group is defined by"),
        ({"A": "group(b)"}, {"b": "normalize(price)"}, "is an assignment"),
        ({"ALL_TEXT": "group(price)"}, {}, "predefined"),
        ({"price": "group(price)"}, {}, "name of an attribute"),
        ({"A": "group(price)"}, {"A": "price"}, "defined twice"),
        ({"1A": "group(price)"}, {}, "does not start with a letter"),
        ({"A" * 65: "group(price)"}, {}, "65 characters"),
        ({"A(x)": "group(price)"}, {}, "a name is expected"),
        ({"A": "group(price) // no"}, {}, "in outputs only"),
    ],
)
def test_faulty_definitions(schema: Schema, groups: dict, assignments: dict, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        outputs(schema, "price", groups=groups, assignments=assignments)


def test_outputs_are_limited() -> None:
    schema = Schema(tuple(Attribute(f"c{number}", AttributeType.CATEGORICAL) for number in range(101)))
    with pytest.raises(RecipeError, match="more than 10,000 output variables"):
        outputs(schema, "cartesian(ALL_INPUTS,ALL_INPUTS)")
    few = {"HALF": f"group({','.join(f'c{number}' for number in range(99))})"}
    assert len(outputs(schema, "cartesian(HALF,HALF)", groups=few)) == 9801
    with pytest.raises(RecipeError, match="10,098 output variables"):
        outputs(
            schema,
            "cartesian(HALF,HALF)",
            "cartesian(HALF,c99)",
            "cartesian(HALF,c100)",
            "cartesian(c99,HALF)",
            groups=few,
        )
    with pytest.raises(RecipeError, match="10,001 output variables"):
        outputs(schema, *["c1"] * 10_001)


def test_assignments_do_not_grow_without_end(schema: Schema) -> None:
    assignments = {"a0": "cartesian(genre,genre)"} | {f"a{n}": f"cartesian(a{n - 1},a{n - 1})" for n in range(1, 40)}
    with pytest.raises(RecipeError, match="more than 100 pieces"):
        outputs(schema, "a39", assignments=assignments)
    chain = {"a0": "price"} | {f"a{n}": f"a{n - 1}" for n in range(1, 2000)}
    with pytest.raises(RecipeError, match="more than 50 deep"):
        outputs(schema, "a1999", assignments=chain)


def expressions_over(schema: Schema) -> st.SearchStrategy[Expression]:
    """Well-typed expressions over the inputs of a schema."""
    of_type: dict[ValueType, st.SearchStrategy[Expression]] = {}
    inputs = [Variable(item.name, ValueType(item.type.value)) for item in schema.inputs]
    for kind in (ValueType.NUMERIC, ValueType.TEXT, ValueType.CATEGORICAL, ValueType.BINARY):
        of_type[kind] = st.sampled_from([variable for variable in inputs if variable.type is kind])
    text = st.recursive(
        of_type[ValueType.TEXT],
        lambda inner: st.builds(lambda f, x: Call(f, (x,)), st.sampled_from(["lowercase", "no_punct"]), inner),
        max_leaves=4,
    )
    number = st.one_of(
        of_type[ValueType.NUMERIC], st.builds(lambda x: Call("normalize", (x,)), of_type[ValueType.NUMERIC])
    )
    binned = st.builds(lambda x, n: Call("quantile_bin", (x,), (n,)), number, st.integers(2, 1000))
    sized = st.builds(lambda f, x, n: Call(f, (x,), (n,)), st.sampled_from(["ngram", "osb"]), text, st.integers(2, 10))
    factor = st.one_of(of_type[ValueType.CATEGORICAL], binned, text, sized)
    product = st.builds(lambda x: Call("cartesian", tuple(x)), st.lists(factor, min_size=2, max_size=3))
    return st.one_of(number, of_type[ValueType.BINARY], factor, product)


ANY_NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@settings(max_examples=100, deadline=None)
@given(st.data(), st.lists(ANY_NAME, min_size=4, max_size=4, unique=True))
def test_what_is_written_is_read_again(data: st.DataObject, names: list[str]) -> None:
    kinds = (AttributeType.NUMERIC, AttributeType.TEXT, AttributeType.CATEGORICAL, AttributeType.BINARY)
    schema = Schema(tuple(Attribute(name, kind) for name, kind in zip(names, kinds, strict=True)))
    wanted = data.draw(st.lists(expressions_over(schema), min_size=1, max_size=4, unique=True))
    recipe: Recipe = parse_recipe(json.dumps({"outputs": [str(one) for one in wanted]}), schema)
    assert list(recipe.outputs) == wanted


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from(" '\"\\(),/\tabc01"), max_size=30), st.sampled_from([*FUNCTIONS, "group"]))
def test_nothing_but_recipe_errors(text: str, function: str) -> None:
    schema = Schema((Attribute("a", AttributeType.NUMERIC), Attribute("b", AttributeType.TEXT)))
    for output in (text, f"{function}({text})"):
        try:
            recipe = parse_recipe(json.dumps({"outputs": [output]}), schema)
        except RecipeError:
            continue
        assert recipe.outputs
