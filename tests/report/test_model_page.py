from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from nightcast.datasource.parts import Datasource, Part
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Schema
from nightcast.evaluation.evaluate import evaluate
from nightcast.mlmodel.model import MLModel
from nightcast.report.model_charts import calibration_chart, lines_chart, score_chart
from nightcast.report.model_page import render_model
from nightcast.storage import Storage
from trained_models import trained

KINDS = {"sold": "NUMERIC", "hit": "BINARY", "band": "CATEGORICAL"}
FIRST, REST = Rearrangement(0, 70), Rearrangement(0, 70, complement=True)


class Nesting(HTMLParser):
    """Refuses tags that do not nest."""

    VOID = frozenset({"meta", "line", "rect", "circle"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def _datasource(folder, target: str) -> Datasource:
    path = folder / "sales.csv"
    venues = ("Arena", "<b>Hall</b>", "Park")
    lines = []
    for number in range(300):
        sold = 20 - (number * 37) % 101 / 10 + 4 * (number % 3) + (number * 7919) % 5
        day = f"2008-{1 + number // 30:02d}-{1 + number % 28:02d}"
        band = ("few", "<i>many</i>")[sold > 20] if number % 7 else "none"
        lines.append(f"{day},{venues[number % 3]},{(number * 37) % 101},{sold},{int(sold > 20)},{band}\n")
    path.write_text("".join(lines))
    kinds = {"day": "TEXT", "venue": "CATEGORICAL", "price": "NUMERIC", **KINDS}
    document = {
        "version": "1.0",
        "targetAttributeName": target,
        "dataFormat": "CSV",
        "attributes": [{"attributeName": name, "attributeType": kind} for name, kind in kinds.items()],
        "excludedAttributeNames": [name for name in KINDS if name != target],
    }
    return Datasource(Schema.from_json(json.dumps(document)), (Part(str(path), 300, path.stat().st_size, "CSV"),))


@pytest.fixture(scope="module", params=list(KINDS))
def page(request, tmp_path_factory) -> tuple[MLModel, dict, str]:
    """A model, its evaluation, and the page."""
    datasource = _datasource(tmp_path_factory.mktemp("sales"), request.param)
    model = trained(datasource, Storage(), rearrangement=FIRST)
    evaluation = evaluate(model, datasource, REST, Storage(), segments=("venue",), dates="day")
    document = json.loads(evaluation.to_json())
    return model, document, render_model(model, document, "sales <1>")


def test_the_page_nests_and_needs_nothing_else(page):
    _, _, text = page
    Nesting(text)
    for outside in ("http:", "https:", "<script", "src=", "<link", "@import", "url("):
        assert outside not in text
    assert "default-src 'none'" in text


def test_texts_of_users_are_escaped(page):
    _, _, text = page
    assert "sales &lt;1&gt;" in text
    assert "&lt;b&gt;Hall&lt;/b&gt;" in text
    for raw in ("sales <1>", "<b>Hall", "<i>many"):
        assert raw not in text


def test_the_metric_stands_beside_its_baseline(page):
    _, document, text = page
    (metric,) = document["performanceMetrics"].values()
    (baseline,) = document["baseline"].values()
    figures = re.findall(r"<div><b[^>]*>([^<]*)</b><span>([^<]*)</span></div>", text)
    assert float(figures[0][0]) == pytest.approx(metric, rel=1e-3)
    assert float(figures[1][0]) == pytest.approx(baseline, rel=1e-3)
    assert figures[1][1].startswith("baseline: ")


def test_each_type_of_model_has_its_charts(page):
    model, _, text = page
    headings = re.findall(r"<h[23]>([^<]*)</h[23]>", text)
    common = {"Alerts", "Metrics", "Errors by week", "Errors by segment", "Model", "Coefficients", "Recipe"}
    own = {
        "REGRESSION": {"Residuals"},
        "BINARY": {"Scores", "Confusion matrix", "Calibration"},
        "MULTICLASS": {"Confusion matrix", "F1 by class"},
    }
    assert set(headings) == common | own[model.model_type.value]


def test_drawings_are_xml_with_words(page):
    _, _, text = page
    drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert drawings
    for drawing in drawings:
        assert ElementTree.fromstring(drawing).find("desc").text


def test_the_same_evaluation_gives_the_same_bytes(page):
    model, document, text = page
    assert render_model(model, document, "sales <1>") == text


def test_candidates_importance_intervals_and_alerts_are_shown(page):
    model, document, _ = page
    candidates = [{"learner": model.learner, "validation": {"logLoss": 0.5}, "validationLoss": 0.5}]
    candidates.append({"learner": "boosting", "refused": "<u>no</u>"})
    training = {**model.training, "auto": {"candidates": candidates}, "importance": {"a<": 0.25, "b": 0.75}}
    more = {
        **document,
        "alerts": [{"check": "ENOUGH_DATA", "message": "<s>few</s>"}],
        "intervals": [{"level": 0.9, "coverage": 0.893, "meanWidth": 12.5}],
    }
    text = render_model(replace(model, training=training), more, "sales")
    Nesting(text)
    assert "kept</span>" in text
    assert "&lt;u&gt;no" in text
    assert "&lt;s&gt;few" in text
    assert text.index('<th scope="row">b</th>') < text.index('<th scope="row">a&lt;</th>')
    assert "89.3 %" in text


def test_an_undefined_metric_is_a_dash(page):
    model, document, _ = page
    (name,) = document["performanceMetrics"]
    text = render_model(model, {**document, "performanceMetrics": {name: None}}, "sales")
    assert "<div><b>\N{EN DASH}</b>" in text


def test_scores_of_both_classes_stand_on_one_axis():
    drawing = ElementTree.fromstring(score_chart([4, 0, 1], [0, 2, 8], 0.5))
    bars = {kind: drawing.findall(f"rect[@class='{kind}']") for kind in ("one", "zero")}
    assert [len(bars["one"]), len(bars["zero"])] == [2, 2]
    heights = [float(bar.get("height")) for bar in bars["one"] + bars["zero"]]
    assert heights == [20, 80, 40, 10]


def test_a_calibrated_model_s_points_lie_on_the_diagonal():
    drawing = ElementTree.fromstring(calibration_chart([(0.1, 0.1, 5), (0.5, 0.5, 9), (0.9, 0.9, 1)]))
    places = [(float(point.get("cx")), float(point.get("cy"))) for point in drawing.findall("circle")]
    assert {round(x + y, 3) for x, y in places} == {344.0}


def test_lines_have_a_point_a_label():
    drawing = ElementTree.fromstring(lines_chart(["2008-01-07", "2008-01-14"], {"<rmse>": [1.0, 2.0]}, "Errors"))
    titles = [title.text for title in drawing.findall("circle/title")]
    assert titles == ["2008-01-07: <rmse> 1", "2008-01-14: <rmse> 2"]
