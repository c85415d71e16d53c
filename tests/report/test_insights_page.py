from __future__ import annotations

from dataclasses import dataclass, replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

import insights_fixtures as given
from nightcast.datasource.insights_format import Histogram, Insights
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.report.attribute_charts import attribute_chart, binned
from nightcast.report.charts import NARROW, Box, histogram, value_bars
from nightcast.report.insights_page import render_insights


@dataclass(frozen=True)
class Alert:
    code: str
    severity: str
    message: str
    attributes: tuple[str, ...] = ()


class Page(HTMLParser):
    """What a page holds; refuses tags that do not nest."""

    VOID = frozenset({"meta", "line"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def text(some_insights, some_schema):
    alerts = [Alert("HIGH_CARDINALITY", "warning", "<b>price</b> has many values")]
    return render_insights(some_insights, some_schema, alerts, "sales <1>")


def test_the_page_is_whole_and_needs_nothing_else(text):
    page = Page(text)
    assert len(page.all("svg")) == 6
    for outside in ("http:", "https:", "<script", "src=", "<link", "@import", "url("):
        assert outside not in text
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


def test_links_lead_to_attributes(text):
    page = Page(text)
    ids = [section["id"] for section in page.all("section")]
    assert ids == [f"attribute-{place}" for place in range(5)]
    assert {link["href"] for link in page.all("a")} == {f"#{one}" for one in ids}


def test_tables_have_headers_and_charts_have_words(text):
    page = Page(text)
    assert {header.get("scope") for header in page.all("th")} == {"row", "col"}
    assert len(page.all("desc")) == len(page.all("svg"))
    assert all(svg["role"] == "img" for svg in page.all("svg"))


def test_what_users_wrote_is_escaped(text):
    assert "sales &lt;1&gt;" in text
    assert "&lt;script&gt;: 600 (60.0 %)" in text
    assert "&lt;b&gt;price&lt;/b&gt; has many values" in text


def test_the_page_shows_the_figures(text):
    for shown in (
        "1,003", "attributes: 2 CATEGORICAL, 1 BINARY, 1 NUMERIC, 1 TEXT",
        "5 (0.5 %)", "0 to 1,000", "about 5,000", "about 10", "about 1 to 19", "3.25", "-0.750", "0.500 bits",
        "12.5 % true", "125 (12.5 %)", "0 to 6", "2 to 11", "0.0625", "2008-12-01 to 2008-12-31",
        "(empty)", "excluded",
    ):  # fmt: skip
        assert shown in text, shown


def test_correlations_are_ranked_by_strength(text):
    ranking = text[text.index("Correlation to target</h2>") : text.index("<h2>Attributes</h2>")]
    places = [ranking.index(f">{name}</a>") for name in ("price", "note", "venue")]
    assert places == sorted(places)
    assert ">promo</a>" not in ranking


def test_the_same_insights_give_the_same_bytes(text, some_insights, some_schema):
    alerts = [Alert("HIGH_CARDINALITY", "warning", "<b>price</b> has many values")]
    again = Insights.from_json(some_insights.to_json())
    assert render_insights(again, some_schema, alerts, "sales <1>") == text


def test_a_rearrangement_is_told(some_insights, some_schema):
    text = render_insights(replace(some_insights, records_seen=2000), some_schema, [], "sales")
    assert "taken by the data rearrangement" in text
    assert "percentBegin" in text
    assert "No alert was raised." in text


def test_a_page_without_target_has_no_ranking(some_insights, some_schema):
    attributes = {
        name: replace(found, correlation=None, mutual_information=None)
        for name, found in some_insights.attributes.items()
    }
    insights = replace(some_insights, target=None, attributes=attributes)
    text = render_insights(insights, replace(some_schema, target=None), [], "sales")
    assert "Correlation to target" not in text
    assert "by entropy in bits" in text


def test_a_thousand_attributes_stay_small():
    kinds = [given.price(), given.venue(), given.note(), given.promo()]
    attributes = {f"attribute {place}": kinds[place % 4] for place in range(1000)}
    schema = Schema(tuple(Attribute(name, AttributeType(found.type)) for name, found in attributes.items()))
    insights = Insights(1000, 0, None, attributes, records_seen=1000)
    text = render_insights(insights, schema, [], "wide")
    assert len(text.encode()) < 10_000_000


def test_a_crowded_histogram_shows_its_middle():
    chart = attribute_chart("price", given.price(), 1000)
    assert "Distribution of price, middle 98 %" in chart
    assert "<title>0.2 to 0.592: 20</title>" in chart
    assert "median 10, half of the values 5 to 15" in chart


def test_values_that_occur_once_are_not_drawn():
    assert "Each value occurs once" in attribute_chart("id", given.venue(("a", 1), ("b", 1)), 2)


def test_a_constant_number_is_one_bar():
    constant = replace(given.price(), min=7.0, max=7.0, histogram=Histogram([7.0, 7.0], [10]), quantiles=[7.0] * 1001)
    assert ">7</text>" in attribute_chart("x", constant, 10)


def test_a_number_without_values_says_so():
    empty = replace(given.price(), min=None, max=None, median=None, histogram=None, quantiles=[])
    assert "no values" in attribute_chart("x", empty, 10)


def test_a_single_day_is_one_bar():
    found = given.day()
    assert found.dates is not None
    once = replace(found, dates=replace(found.dates, last="2008-12-01", percentiles=["2008-12-01"] * 101))
    assert ">2008-12-01</text>" in attribute_chart("day", once, 1000)


def test_bars_over_the_whole_range_of_float64_stay_in_the_drawing():
    svg = histogram([-1.7e308, 0.0, 1.7e308], [1, 2], "wide", box=Box(-1e308, -1, 0, 1, 1e308), width=NARROW)
    drawing = ElementTree.fromstring(svg)
    for mark in drawing.iter("rect"):
        assert 0 <= float(mark.get("x", "nan")) <= NARROW


def test_value_bars_show_counts_shares_and_others():
    svg = value_bars([("a", 30), ("", 10)], 50, "values", other=10)
    assert [node.text for node in ElementTree.fromstring(svg).iter("text")] == [
        "a", "30 · 60.0 %", "(empty)", "10 · 20.0 %", "other", "10 · 20.0 %",
    ]  # fmt: skip
    assert "no values" in value_bars([], 0, "values")


def test_a_long_value_is_cut_and_a_control_character_replaced():
    svg = value_bars([("x" * 100, 1), ("a\x00\u202eb", 1)], 2, "values")
    assert "x" * 18 + "…<" in svg
    assert "a\ufffd\ufffdb" in svg
    ElementTree.fromstring(svg)


def test_binned_points_keep_their_number():
    edges, counts = binned([0.0, 0.5, 1.0, 9.0, 10.0], 4, 3)
    assert edges == [0.0, 2.5, 5.0, 7.5, 10.0]
    assert counts == [9, 0, 0, 6]
