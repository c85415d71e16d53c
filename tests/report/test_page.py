from __future__ import annotations

from html.parser import HTMLParser

import pytest

from nightcast.report.charts import bar, histogram, number
from nightcast.report.page import render_report

RUN = {
    "nightcast": "0.1.0",
    "pipeline": "sales_forecast",
    "run_id": "manual__<1>",
    "run_type": "manual",
    "period": {
        "label": "2008-12-31",
        "start": "2008-12-31",
        "end": "2009-01-01",
        "source": "params",
        "reason": "named by the Params",
    },
    "settings": {"split": {"training_percent": 70}},
    "batchPrediction": {"batchPredictionId": "bp-a", "totalRecordCount": 1234, "invalidRecordCount": 1},
}
SCHEMA = {
    "targetAttributeName": "totalsold",
    "rowId": "recordid",
    "excludedAttributeNames": ["secret"],
    "attributes": [
        {"attributeName": "recordid", "attributeType": "CATEGORICAL"},
        {"attributeName": "category", "attributeType": "CATEGORICAL"},
        {"attributeName": "holiday", "attributeType": "BINARY"},
        {"attributeName": "note", "attributeType": "TEXT"},
        {"attributeName": "secret", "attributeType": "NUMERIC"},
        {"attributeName": "totalsold", "attributeType": "NUMERIC"},
    ],
}
NUMERIC = {
    "type": "NUMERIC", "missing": 5, "invalid": 2, "min": 0.0, "max": 1500.5, "mean": 3.25, "median": 2.0,
    "distinct": 900, "distinct_exact": False, "correlation": -0.5,
    "histogram": {"edges": [0, 750.25, 1500.5], "counts": [9, 1]},
}  # fmt: skip
INSIGHTS = {
    "records": 10,
    "target": "totalsold",
    "attributes": {
        "category": {
            "missing": 0, "distinct": 3, "distinct_exact": True, "correlation": 0.9,
            "values": [["<script>", 6], ["", 3], ["x", 1]],
        },
        "holiday": {"missing": 0, "invalid": 0, "true": 1, "false": 9, "correlation": None},
        "note": {"missing": 0, "words": 20, "words_per_row": [0, 6], "distinct_exact": True, "correlation": None},
        "secret": {"missing": 10, "invalid": 0, "min": None, "distinct": 0,
            "distinct_exact": True, "correlation": None},
        "totalsold": NUMERIC,
    },
}  # fmt: skip
EVALUATION = {
    "performanceMetrics": {"RegressionRMSE": 2.0},
    "baseline": {"RegressionRMSE": 2.5},
    "recordsSeen": 3,
    "recordsFailed": 0,
    "otherMetrics": {"MAE": 1.25, "R2": None},
    "alerts": [{"check": "ENOUGH_DATA", "message": "3 records are fewer than 10 %"}],
    "residuals": {"histogram": {"edges": [-2.0, -1.0, 0.0, 3.0], "counts": [1, 0, 2], "below": 1, "above": 4}},
}


class Tags(HTMLParser):
    """Refuses a page whose tags do not nest."""

    VOID = frozenset({"meta", "line"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def page():
    contents = {"schema": SCHEMA, "insights": INSIGHTS, "evaluation": EVALUATION, "recipe": {"outputs": ["ALL_BINARY"]}}
    return render_report(RUN, contents, ["tag,trueLabel,score", "1-20090101,1E0,2.5E0", "", "3-20090101,0E0,1E-1"])


def test_the_page_is_whole_and_needs_nothing_else(page):
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.seen.count("svg") == 2
    for outside in ("http:", "https:", "<script", "src=", "<link", "@import"):
        assert outside not in page


def test_what_users_wrote_is_escaped(page):
    assert "&lt;script&gt; 60.0 %" in page
    assert "manual__&lt;1&gt;" in page


def test_the_page_shows_the_figures(page):
    for text in (
        "Why this period: named by the Params.",
        "20.0 %",
        "(empty) 30.0 %",
        "1,234",
        "about 900",
        "0 to 1,500.5, mean 3.25, median 2",
        "-0.50",
        "50.0 %",
    ):
        assert text in page, text
    assert page.count("(failed to process)") == 1
    assert '<td class="n">1E-1</td>' in page
    assert 'secret <span class="tag">excluded' in page
    assert "10.0 % true" in page
    assert "5 lie beyond the ends" in page
    assert "<b>ENOUGH_DATA</b> 3 records are fewer" in page
    assert "mean absolute error 1.25, R² –" in page  # noqa: RUF001


def test_the_same_run_gives_the_same_bytes(page):
    contents = {"schema": SCHEMA, "insights": INSIGHTS, "evaluation": EVALUATION, "recipe": {"outputs": ["ALL_BINARY"]}}
    lines = ["tag,trueLabel,score", "1-20090101,1E0,2.5E0", "", "3-20090101,0E0,1E-1"]
    assert render_report(RUN, contents, lines) == page


def test_histogram_bars_have_the_width_of_their_bins():
    svg = histogram([0.0, 1.0, 4.0], [2, 1], "two bins", mark=0.5)
    assert svg.count("<rect") == 2
    assert "0 to 1: 2" in svg
    assert 'class="mark"' in svg
    assert 'class="mark"' not in histogram([0.0, 1.0], [2], "", mark=5)


@pytest.mark.parametrize(("edges", "counts"), [([0.0, 1.0], [0]), ([1.0, 1.0], [5]), ([], [])])
def test_a_histogram_of_nothing_says_so(edges, counts):
    assert "no values" in histogram(edges, counts, "empty")


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0, "0"), (1234567, "1,234,567"), (0.123456, "0.1235"), (1234.56, "1,234.6"), (-2.5, "-2.5")],  # noqa: RUF001
)
def test_numbers_are_written_for_people(value, text):
    assert number(value) == text


def test_a_bar_stays_in_its_cell():
    assert "--share:100.0%" in bar(1.7, "x")
    assert "&lt;" in bar(0.5, "<")


CLASSIFIED = {
    "BINARY": {
        "performanceMetrics": {"BinaryAUC": 0.8},
        "baseline": {"BinaryAUC": 0.5},
        "otherMetrics": {"accuracy": 0.75, "f1": None},
        "confusion": {"truePositives": 41, "trueNegatives": 43, "falsePositives": 47, "falseNegatives": 53},
    },
    "CATEGORICAL": {
        "performanceMetrics": {"MulticlassAvgFScore": 0.7},
        "baseline": {"MulticlassAvgFScore": 0.25},
        "otherMetrics": {"accuracy": 0.75, "recordsOfUnknownClasses": 2},
        "confusion": {"classes": ["<a>", "b"], "counts": [[41, 43], [47, 53]]},
    },
}
LABELS = {
    "BINARY": {"missing": 0, "invalid": 0, "true": 4, "false": 6, "correlation": None},
    "CATEGORICAL": {
        "missing": 0, "distinct": 2, "distinct_exact": True, "correlation": None, "values": [["<a>", 6], ["b", 4]],
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("BINARY", ["AUC on 3 held-out", "0.8", "scores by chance", "60.0 %", "accuracy 0.75, F1 –", "predicted 0"]),  # noqa: RUF001
        ("CATEGORICAL", ["Average F1 on", "0.7", "the most frequent class", "60.0 %", "predicted &lt;a&gt;"]),
    ],
)
def test_the_page_of_a_model_of_classes(kind, shown):
    schema = {**SCHEMA, "attributes": [*SCHEMA["attributes"][:-1],
              {"attributeName": "totalsold", "attributeType": kind}]}  # fmt: skip
    insights = {**INSIGHTS, "attributes": {**INSIGHTS["attributes"], "totalsold": LABELS[kind]}}
    evaluation = {"recordsSeen": 3, "recordsFailed": 0, "alerts": [], "intervals": [], **CLASSIFIED[kind]}
    contents = {"schema": schema, "insights": insights, "evaluation": evaluation, "recipe": {"outputs": []}}
    page = render_report(RUN, contents, ['tag,bestAnswer,"a, b",c', '1,"a, b",5E-1,5E-1', "", "3,c,1E-1,9E-1"])
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    for text in (*shown, '<th class="n">a, b</th>', '<td class="n">9E-1</td>'):
        assert text in page, text
    places = [page.index(f">{count}<") for count in ((43, 47, 53, 41) if kind == "BINARY" else (41, 43, 47, 53))]
    assert places == sorted(places)
    assert "residual" not in page
    assert ("40.0 % true" if kind == "BINARY" else "&lt;a&gt; 60.0 %") in page


def test_the_page_tells_how_intervals_cover():
    intervals = [
        {"level": 0.5, "coverage": 0.49, "meanWidth": 2.0},
        {"level": 0.9, "coverage": 0.913, "meanWidth": 5.0},
    ]
    contents = {"schema": SCHEMA, "insights": INSIGHTS, "evaluation": {**EVALUATION, "intervals": intervals},
                "recipe": {}}  # fmt: skip
    page = render_report(RUN, contents, [])
    assert "49.0 % of the true values lie in those of 50 %, 91.3 % of the true values lie in those of 90 %." in page


def test_a_run_that_trained_nothing_says_who_scored():
    scored = {"trainedByThisRun": False, "runKey": "backfill__<1>", "trainingCutOff": "2008-12-23"}
    page = render_report({**RUN, "model": scored}, {}, ["tag,score", "1,2E0"])
    assert "the champion, trained by run backfill__&lt;1&gt; on sales before 2008-12-23" in page
    for heading in ("Evaluation", "Target", "Attributes", "Recipe"):
        assert f"<h2>{heading}</h2>" not in page
    assert "<h2>Predictions</h2>" in page
    Tags().feed(page)
