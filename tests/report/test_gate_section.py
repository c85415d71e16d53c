from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from nightcast.datasource.data_alerts import DataAlert
from nightcast.datasource.drift import Drift
from nightcast.evaluation.accuracy_history import REDSHIFT_COLUMNS, AccuracyRow, history_json
from nightcast.evaluation.comparison_figures import BaselineFigures, Comparison, Figures
from nightcast.evaluation.data_check import Decision
from nightcast.evaluation.gate import GateDecision, decide, refuse_data
from nightcast.evaluation.gate_settings import GateSettings
from nightcast.evaluation.poisson_bootstrap import Difference
from nightcast.mlmodel.targets import ModelType
from nightcast.report.gate_section import accuracy_section, gate_section, unmeasured_section

ALERT = DataAlert("LEAK_LIKE", ("x",), "warning", "<u>x</u> tells the target nearly alone")
DASH = "\N{EN DASH}"


class Nesting(HTMLParser):
    """Refuses tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag not in {"line", "rect", "circle", "polyline"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if tag not in {"line", "rect", "circle", "polyline"}:
            assert self.open.pop() == tag


def document_of(decision: GateDecision) -> dict:
    return json.loads(decision.to_json())


def compared(**changes) -> Comparison:
    facts = {
        "model_type": ModelType.BINARY,
        "seen": 1010,
        "records": 1000,
        "failures": {"withoutTarget": 10, "championFailed": 0},
        "challenger": Figures(0.4, {"AUC": 0.8, "F1": None}),
        "champion": Figures(0.5, {"AUC": 0.75, "F1": 0.5}),
        "unfit": None,
        "baselines": (
            BaselineFigures("trainingMean", 0.69, 1000),
            BaselineFigures("lastPeriod", 0.6, 900),
            BaselineFigures("seasonAgo", None, 0, "the warehouse begins <later>"),
        ),
        "difference": Difference(-0.1, 0.02, -0.133, -0.067, 40),
        "resampled": "days",
        "sampled": 1000,
    }
    return Comparison(**{**facts, **changes})


def cells_of(text: str) -> list[list[str]]:
    rows = re.findall(r"<tr>(.*?)</tr>", text, re.DOTALL)
    return [re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", row) for row in rows]


def test_a_decision_with_its_figures():
    drift = Drift((), (), (), ())
    text = gate_section(document_of(decide(compared(), GateSettings(), alerts=[ALERT], drift=drift)))
    Nesting(text)
    assert '<b class="good">Promoted</b>' in text
    assert cells_of(text) == [
        ["Model", "Log loss", "AUC", "F1", "Challenger is better by"],
        ["Challenger", "0.4", "0.8", DASH, DASH],
        ["Champion", "0.5", "0.75", "0.5", "+20.00 %"],
        ["Baseline: the training mean", "0.69", DASH, DASH, "+42.03 %"],
        ["Baseline: the last period", "0.6", DASH, DASH, "+33.33 %"],
        ["Baseline: a season ago", DASH, DASH, DASH, DASH],
    ]
    assert "95 % confident of at least +13.40 %, and of at most +26.60 % (paired bootstrap of 40 days)" in text
    assert "a season ago: not available, the warehouse begins &lt;later&gt;." in text
    assert "the last period: known for 900 of 1,000 records" in text
    assert "Records left out: 10 without target." in text
    assert "training records: stable." in text
    assert "&lt;u&gt;x&lt;/u&gt; tells" in text


def test_a_champion_that_knew_the_records_is_told_of():
    document = document_of(decide(compared(), GateSettings()))
    assert "may have been trained on some" not in gate_section({**document, "championSawRecords": False})
    text = gate_section({**document, "championSawRecords": True})
    Nesting(text)
    assert "The champion may have been trained on some of the compared records" in text


def test_an_accuracy_that_could_not_be_measured_is_told_of():
    text = unmeasured_section()
    Nesting(text)
    assert '<b class="bad">Not measured</b>' in text


def test_a_refusal_before_training_has_no_figures():
    decision = refuse_data(GateSettings(data_alerts="fail"), [ALERT])
    text = gate_section(document_of(decision))
    Nesting(text)
    assert '<b class="bad">Failed</b> The run fails: 1 data alert' in text
    assert "<table" not in text
    assert "<u>" not in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"champion": None, "difference": None, "unfit": "lacks <x>"}, "was not compared: lacks &lt;x&gt;"),
        ({"difference": Difference(-0.1, None, None, None, 1)}, "can not be told from these records"),
        ({"records": 3}, "Not promoted"),
    ],
)  # fmt: skip
def test_what_could_not_be_compared_is_said(changes, words):
    text = gate_section(document_of(decide(compared(**changes), GateSettings())))
    Nesting(text)
    assert words in text


def test_every_decision_has_its_word():
    words = [gate_section(document_of(GateDecision(one, "why", GateSettings()))) for one in Decision]
    assert [re.search(r"<b [^>]*>([^<]*)</b>", text)[1] for text in words] == [
        "Promoted", "Not promoted", "Skipped", "Failed",
    ]  # fmt: skip


def history_of(*figures: dict, kind: str = "REGRESSION") -> dict:
    counts = dict.fromkeys([name for name, one in REDSHIFT_COLUMNS.items() if one in ("integer", "bigint")], 7)
    rows = [
        AccuracyRow(
            period=f"2008-{1 + day // 28:02d}-{1 + day % 28:02d}", run="r", model_run="<m>",
            training_cutoff="2008-01-01", model_type=kind, **counts, **one,
        )
        for day, one in enumerate(figures)
    ]  # fmt: skip
    return json.loads(history_json(rows))


def test_the_history_of_a_regression():
    text = accuracy_section(
        history_of(
            {"rmse": 2.0, "baseline_rmse": 3.0, "wape": 0.25, "bias": -0.5, "bias_percent": -4.0},
            {"rmse": None},
            {"rmse": 1.5, "baseline_rmse": 3.5, "wape": 0.2, "bias": 0.0, "bias_percent": 0.0},
        )
    )
    Nesting(text)
    assert cells_of(text)[0] == [
        "Period", "Model of", "Age, days", "Matched", "No actual",
        "RMSE", "Baseline RMSE", "WAPE, %", "Bias", "Bias, %",
    ]  # fmt: skip
    assert cells_of(text)[1] == ["2008-01-03", "&lt;m&gt;", "7", "7", "7", "1.5", "3.5", "20", "0", "0"]
    assert cells_of(text)[2][5:] == [DASH] * 5
    assert cells_of(text)[3][5:] == ["2", "3", "25", "-0.5", "-4"]
    drawing = ElementTree.fromstring(re.search(r"<svg.*?</svg>", text, re.DOTALL)[0])
    titles = [title.text for title in drawing.findall("circle/title")]
    assert titles[:2] == ["2008-01-01: RMSE 2", "2008-01-03: RMSE 1.5"]
    assert len(titles) == 4


@pytest.mark.parametrize(
    ("kind", "figures", "titles"),
    [
        ("BINARY", {"auc": 0.8, "log_loss": 0.4, "baseline_log_loss": 0.6}, ["AUC", "Log loss", "Baseline log loss"]),
        ("MULTICLASS", {"f1": 0.8, "baseline_f1": 0.4}, ["Average F1", "Baseline F1"]),
    ],
)
def test_the_history_of_classes(kind, figures, titles):
    text = accuracy_section(history_of(figures, figures, kind=kind))
    Nesting(text)
    assert cells_of(text)[0][5:] == titles
    assert "<svg" in text


def test_of_many_periods_the_last_are_listed_and_all_are_drawn():
    text = accuracy_section(history_of(*[{"rmse": 1.0 + day, "baseline_rmse": 9.0} for day in range(70)]))
    assert "The last 60 of 70 periods" in text
    assert len(cells_of(text)) == 61
    assert len(re.findall("<circle", text)) == 140


def test_one_period_is_no_line_and_none_is_said():
    one = accuracy_section(history_of({"rmse": 1.0, "baseline_rmse": 2.0}))
    assert "<svg" not in one
    assert "1 period(s)" in one
    none = accuracy_section(history_of())
    Nesting(none)
    assert "No predictions were made" in none
