"""One HTML page a run: the same run gives the same bytes, and the page needs no other file."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from typing import Any

from nightcast.report.charts import bar, histogram, number
from nightcast.report.gate_section import accuracy_section, gate_section, unmeasured_section
from nightcast.report.headline import headline
from nightcast.report.templates import template

_TOP_VALUES = 3
_TITLES = {
    "MAE": "mean absolute error",
    "R2": "R²",
    "falsePositiveRate": "false positive rate",
    "f1": "F1",
    "logLoss": "log loss",
    "brierScore": "Brier score",
    "shareOfOnes": "share of ones",
    "sharePredictedOne": "share predicted one",
    "recordsOfUnknownClasses": "records of unknown classes",
}


def render_report(run: Mapping[str, Any], contents: Mapping[str, Mapping[str, Any]], predictions: Sequence[str]) -> str:
    """Render the page.

    Parameters
    ----------
    run
        What ``run.json`` says of run, period, settings and batch prediction.
    contents
        The read artifacts ``schema``, ``insights``, ``recipe``, ``model`` and ``evaluation``, none of which there is
        where the champion scored without a training; and ``gate`` and ``accuracy`` if there are any.
    predictions
        Header and first lines of the first result file.

    Returns
    -------
    str
        A whole HTML document.
    """
    header = next(csv.reader(predictions[:1])) if predictions else []
    return template("page.html.jinja").render(
        run=run,
        **_evaluated(contents.get("evaluation")),
        **_trained_on(contents.get("schema", {}), contents.get("insights")),
        gate=gate_section(contents["gate"]) if "gate" in contents else "",
        accuracy=_accuracy(run, contents),
        recipe=json.dumps(contents["recipe"], indent=2, ensure_ascii=False) if "recipe" in contents else "",
        header=header,
        predictions=[next(csv.reader([line])) if line else [] for line in predictions[1:]],
    )


def _accuracy(run: Mapping[str, Any], contents: Mapping[str, Mapping[str, Any]]) -> str:
    if "accuracy" in contents:
        return accuracy_section(contents["accuracy"])
    return unmeasured_section() if "accuracy" in run.get("failed", ()) else ""


def _evaluated(evaluation: Mapping[str, Any] | None) -> dict[str, Any]:
    if evaluation is None:
        return {"evaluation": None}
    residuals = evaluation.get("residuals", {}).get("histogram")
    return {
        "evaluation": evaluation,
        "headline": headline(evaluation),
        "others": _others(evaluation["otherMetrics"]),
        "confusion": _confusion(evaluation.get("confusion")),
        "coverage": evaluation.get("intervals", []),
        "residual_chart": _chart(residuals, "Residuals", mark=0.0),
        "outside": residuals["below"] + residuals["above"] if residuals else 0,
    }


def _trained_on(schema: Mapping[str, Any], insights: Mapping[str, Any] | None) -> dict[str, Any]:
    if insights is None:
        return {"insights": None}
    name = insights["target"]
    target = insights["attributes"][name]
    return {
        "insights": insights,
        "attributes": _attributes(schema, insights),
        "target_chart": _chart(target.get("histogram"), f"Distribution of {name}"),
        "target_summary": _SUMMARIES[_type_of(schema, name)](target, insights["records"]),
    }


def _others(metrics: Mapping[str, Any]) -> str:
    """Metrics in one line."""
    return ", ".join(f"{_TITLES.get(name, name)} {number(value)}" for name, value in metrics.items())


def _confusion(confusion: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Classes, and rows of counts by true class: of two classes in Amazon ML's terms, or of several."""
    if not confusion:
        return None
    if "classes" in confusion:
        return dict(confusion)
    rows = (("trueNegatives", "falsePositives"), ("falseNegatives", "truePositives"))
    return {"classes": ["0", "1"], "counts": [[confusion[name] for name in row] for row in rows]}


def _attributes(schema: Mapping[str, Any], insights: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the attributes' table, in column order."""
    rows = []
    for attribute in schema["attributes"]:
        name = attribute["attributeName"]
        facts = insights["attributes"].get(name, {})
        correlation = facts.get("correlation")
        rows.append(
            {
                "name": name,
                "type": attribute["attributeType"],
                "role": _role(schema, name),
                "missing": _share(facts.get("missing", 0), insights["records"]),
                "invalid": facts.get("invalid", 0),
                "distinct": _distinct(facts),
                "summary": _SUMMARIES[attribute["attributeType"]](facts, insights["records"]),
                "correlation": None if correlation is None else bar(abs(correlation), f"{correlation:.2f}"),
            }
        )
    return rows


def _type_of(schema: Mapping[str, Any], name: str) -> str:
    return next(str(one["attributeType"]) for one in schema["attributes"] if one["attributeName"] == name)


def _role(schema: Mapping[str, Any], name: str) -> str:
    roles = {schema.get("targetAttributeName"): "target", schema.get("rowId"): "row id"}
    return "excluded" if name in schema.get("excludedAttributeNames", ()) else roles.get(name, "")


def _share(count: int, records: int) -> str:
    return f"{100 * count / records:.1f} %" if count and records else "0"


def _distinct(facts: Mapping[str, Any]) -> str:
    if "distinct" not in facts:
        return "2" if facts.get("true") and facts.get("false") else "–"  # noqa: RUF001 -- the dash of a table
    return ("" if facts["distinct_exact"] else "about ") + number(facts["distinct"])


def _numeric(facts: Mapping[str, Any], _: int) -> str:
    if facts.get("min") is None:
        return "no values"
    low, high, mean, median = (number(facts[name]) for name in ("min", "max", "mean", "median"))
    return f"{low} to {high}, mean {mean}, median {median}"


def _binary(facts: Mapping[str, Any], records: int) -> str:
    return f"{_share(facts.get('true', 0), records)} true"


def _categorical(facts: Mapping[str, Any], records: int) -> str:
    values = facts.get("values", [])
    if len(values) > 1 and values[0][1] == 1:
        return "each value once"
    return ", ".join(f"{value or '(empty)'} {_share(count, records)}" for value, count in values[:_TOP_VALUES])


def _text(facts: Mapping[str, Any], _: int) -> str:
    low, high = facts.get("words_per_row") or (0, 0)
    return f"{number(facts.get('words', 0))} words, {low} to {high} a record"


_SUMMARIES = {"NUMERIC": _numeric, "BINARY": _binary, "CATEGORICAL": _categorical, "TEXT": _text}


def _chart(bins: Mapping[str, Any] | None, title: str, mark: float | None = None) -> str:
    return histogram(bins["edges"], bins["counts"], title, mark) if bins else ""
