from __future__ import annotations

import pytest

from nightcast.errors import PipelineError
from nightcast.scaffold.spec import Facts, PipelineSpec, own_query
from nightcast.scaffold.steps import Step

FACTS = Facts("sold_on", ("store",), table="sales", value="amount")


def spec(**given) -> PipelineSpec:
    return PipelineSpec(
        **{"name": "shops", "step": Step.WEEK, "target": "totalsold", "row_id": "recordid", "facts": FACTS, **given}
    )


def test_the_columns_are_keys_calendar_and_history():
    assert spec().columns == ("store", "weekofyear", "monthofyear", "last1", "mean4", "mean13", "active13", "seasonago")
    assert "seasonago" not in spec(season_ago=False).columns
    assert spec(facts=None).columns == ()


def test_texts_and_parts_of_the_calendar_are_categorical_and_the_week_is_a_number():
    facts = Facts("sold_on", ("store",), table="sales", categories=("town",), numbers=("price",))
    assert spec(facts=facts).categorical == ("recordid", "store", "town", "monthofyear")


@pytest.mark.parametrize(("step", "days"), [(Step.DAY, 182), (Step.WEEK, 728), (Step.MONTH, 1096)])
def test_the_history_is_that_of_the_step_unless_it_is_given(step, days):
    assert spec(step=step).days == days
    assert spec(step=step, training_days=99).days == 99


@pytest.mark.parametrize("name", ["9shops", "Shops", "shop-s", "", "class", "s" * 41, "../shops", "shops;"])
def test_names_that_no_dag_module_or_folder_can_have_are_refused(name):
    with pytest.raises(PipelineError, match="is no name of a pipeline"):
        spec(name=name)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"target": "Sold"}, "can not be the name of a column"),
        ({"target": "order"}, "reserved word"),
        ({"row_id": "period_day"}, "the queries use themselves"),
        ({"target": "store"}, "two attributes would have the name store"),
        ({"target": "last1"}, "two attributes would have the name last1"),
        ({"training_days": 0}, "give 1 to 3660"),
    ],
)
def test_attributes_that_can_not_be_are_refused(given, message):
    with pytest.raises(PipelineError, match=message):
        spec(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"table": "sales", "query": "select 1"}, "give one of --table and --facts-sql"),
        ({}, "give one of --table and --facts-sql"),
        ({"table": "Sales"}, "is no table"),
        ({"table": "a.b.c.d"}, "is no table"),
        ({"table": "sales; drop table sales"}, "is no table"),
        ({"table": "user"}, "is no table"),
        ({"table": "facts"}, "give the table with its schema"),
        ({"table": "sales", "keys": ()}, "name the columns"),
        ({"table": "sales", "keys": ("a b",)}, "can not be the name of a column"),
    ],
)
def test_facts_that_can_not_be_are_refused(given, message):
    with pytest.raises(PipelineError, match=message):
        Facts(**{"date_column": "sold_on", "keys": ("store",), **given})


def test_a_query_of_ones_own_is_one_select(tmp_path):
    file = tmp_path / "facts.sql"
    file.write_text("-- sales; with a comment\nselect a from b where c = 1 ;\n")
    assert own_query(str(file)).endswith("where c = 1")
    for text in ("with x as (select 1) select * from x", "select 1; select 2", "delete from sales"):
        file.write_text(text)
        with pytest.raises(PipelineError, match="is not one SELECT"):
            own_query(str(file))
    with pytest.raises(PipelineError, match="can not be read"):
        own_query(str(tmp_path / "nowhere.sql"))
