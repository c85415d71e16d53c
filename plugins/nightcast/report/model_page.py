"""A model and its evaluation as one HTML page: the same evaluation gives the same bytes, and it needs no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nightcast.report.charts import bar, histogram, number, percent, plain
from nightcast.report.explanation import explanation
from nightcast.report.model_charts import calibration_chart, lines_chart, score_chart
from nightcast.report.templates import template

if TYPE_CHECKING:
    from nightcast.mlmodel.model import MLModel

Document = Mapping[str, Any]

_WEIGHTS, _IMPORTANCE, _SEGMENT_VALUES = 25, 25, 15
LOSSES = {
    "validationLoss": "Validation loss",
    "heldOutLoss": "Loss on records held out",
    # Of models that earlier versions stored.
    "crossValidatedLoss": "Cross-validated loss",
}
_THRESHOLDS = tuple(place / 10 for place in range(1, 10))
SIZES = {"linear": "Features", "boosting": "Leaves", "blend": "Features and leaves"}
_TITLES = {
    "RegressionRMSE": "RMSE",
    "BinaryAUC": "AUC",
    "MulticlassAvgFScore": "average F1",
}
_BASELINES = {
    "RegressionRMSE": "baseline: always the training mean",
    "BinaryAUC": "baseline: a coin",
    "MulticlassAvgFScore": "baseline: always the most frequent class",
}


def render_model(model: MLModel, evaluation: Document, name: str) -> str:
    """Render the page.

    Parameters
    ----------
    model
        Says what was trained.
    evaluation
        The document of `Evaluation.to_json`; of segments, weeks and intervals what it holds is shown.
    name
        What the datasource is called.

    Returns
    -------
    str
        A whole HTML document, whose own content security policy lets it load nothing and run nothing.
    """
    told = explanation(model)
    (metric,) = evaluation["performanceMetrics"]
    return template("model_page.html.jinja").render(
        name=name,
        model=model,
        kind=model.model_type.value,
        evaluation=evaluation,
        title=_TITLES[metric],
        metric=evaluation["performanceMetrics"][metric],
        baseline=evaluation["baseline"][metric],
        baseline_words=_BASELINES[metric],
        better=_better(evaluation, metric),
        others=list(evaluation["otherMetrics"].items()),
        failures=[(reason, count) for reason, count in evaluation["failures"].items() if count],
        residuals=_residuals(evaluation),
        outside=_outside(evaluation),
        scores=_scores(evaluation),
        thresholds=_thresholds(evaluation),
        confusion=_confusion(evaluation),
        f1=_bars(evaluation.get("f1ByClass", {}), 1.0),
        calibration=_calibration(evaluation),
        intervals=_intervals(evaluation),
        segments=[_segment(attribute, rows) for attribute, rows in sorted(evaluation["segments"].items()) if rows],
        weeks=_weeks(evaluation["weeks"]),
        candidates=_candidates(model),
        loss=LOSSES[compared_by(model.training.get("auto", {}))],
        facts=_facts(model),
        coefficients=_coefficients(told["coefficients"]),
        all_coefficients=len(told["coefficients"]),
        importance=_importance(told["importance"]),
    )


def _better(evaluation: Document, metric: str) -> bool | None:
    """Whether the model is better than its baseline; None where that can not be told."""
    found, baseline = evaluation["performanceMetrics"][metric], evaluation["baseline"][metric]
    if found is None or found == baseline:
        return None
    return bool((found < baseline) == (metric == "RegressionRMSE"))


def _residuals(evaluation: Document) -> str:
    if "residuals" not in evaluation:
        return ""
    bars = evaluation["residuals"]["histogram"]
    return histogram(bars["edges"], bars["counts"], "Residuals", mark=0.0)


def _outside(evaluation: Document) -> int:
    bars = evaluation.get("residuals", {}).get("histogram", {})
    return int(bars.get("below", 0) + bars.get("above", 0))


def _scores(evaluation: Document) -> str:
    if "scoreHistogram" not in evaluation:
        return ""
    bars = evaluation["scoreHistogram"]
    return score_chart(bars["zeros"], bars["ones"], float(evaluation["scoreThreshold"]))


def _thresholds(evaluation: Document) -> list[dict[str, Any]]:
    """Rows at every tenth, and at the model's own threshold."""
    own = evaluation.get("scoreThreshold")
    chosen = []
    for row in evaluation.get("thresholds", []):
        is_own = own is not None and abs(row["threshold"] - own) < 0.005
        if is_own or any(abs(row["threshold"] - one) < 1e-9 for one in _THRESHOLDS):
            shares = {key: _share(row[key]) for key in ("accuracy", "precision", "recall", "falsePositiveRate")}
            chosen.append({"threshold": f"{row['threshold']:.2f}", "own": is_own, **shares})
    return chosen


def _confusion(evaluation: Document) -> dict[str, Any] | None:
    found = evaluation.get("confusion")
    if found is None:
        return None
    if "classes" in found:
        names, counts = [plain(name, 40) for name in found["classes"]], found["counts"]
    else:
        names = ["0", "1"]
        counts = [
            [found["trueNegatives"], found["falsePositives"]],
            [found["falseNegatives"], found["truePositives"]],
        ]
    rows = []
    for place, (name, row) in enumerate(zip(names, counts, strict=True)):
        total = sum(row)
        cells = [
            {"text": f"{count:,}", "share": f"{count / total if total else 0:.3f}", "hit": place == column}
            for column, count in enumerate(row)
        ]
        rows.append({"name": name, "cells": cells, "records": f"{total:,}", "recall": percent(row[place], total)})
    predicted = [f"{sum(column):,}" for column in zip(*counts, strict=True)]
    return {"names": names, "rows": rows, "predicted": predicted}


def _calibration(evaluation: Document) -> str:
    points = [
        (row["meanScore"], row["shareOfOnes"], row["records"])
        for row in evaluation.get("calibration", [])
        if isinstance(row, Mapping) and "meanScore" in row
    ]
    return calibration_chart(points) if points else ""


def _intervals(evaluation: Document) -> list[tuple[str, str, str]]:
    """Rows of level, share of the true values that were enclosed, and mean width."""
    return [
        (percent(row["level"], 1), percent(row["coverage"], 1), number(row["meanWidth"]))
        for row in evaluation["intervals"]
    ]


def _segment(attribute: str, rows: Sequence[Document]) -> dict[str, Any]:
    top = max(row["rootMeanSquaredError"] for row in rows) or 1.0
    shown = [
        {
            "value": plain(row["value"], 60) or "(missing)",
            "records": f"{row['records']:,}",
            "bias": number(-row["meanResidual"]),
            "mae": number(row["meanAbsoluteError"]),
            "rmse": bar(row["rootMeanSquaredError"] / top, number(row["rootMeanSquaredError"])),
        }
        for row in rows[:_SEGMENT_VALUES]
    ]
    return {"attribute": plain(attribute, 80), "rows": shown, "more": len(rows) - len(shown)}


def _weeks(rows: Sequence[Document]) -> str:
    dated = [row for row in rows if row["value"]]
    if len(dated) < 2:
        return ""
    labels = [row["value"] for row in dated]
    series = {
        "root mean squared error": [row["rootMeanSquaredError"] for row in dated],
        "mean error (predicted less true)": [-row["meanResidual"] for row in dated],
    }
    return lines_chart(labels, series, "Errors by week")


def compared_by(auto: Document) -> str:
    """The key of the loss by which the learner ``auto`` chose among its candidates."""
    found: str = auto.get("comparedBy", "validationLoss")
    return found


def learner_text(model: MLModel) -> str:
    """The learner, and of a mean of models the share of each."""
    shares = model.training.get("shares", {})
    return ": ".join(filter(None, (model.learner, ", ".join(f"{part:.2f} {name}" for name, part in shares.items()))))


def _candidates(model: MLModel) -> list[dict[str, Any]]:
    auto = model.training.get("auto", {})
    rows = []
    for one in auto.get("candidates", []):
        metrics = ", ".join(f"{name} {number(value)}" for name, value in one.get("validation", {}).items())
        rows.append(
            {
                "learner": one["learner"],
                "kept": one["learner"] == model.learner,
                "loss": number(one.get(compared_by(auto))),
                "metrics": metrics or plain(one.get("refused", "")),
            }
        )
    return rows


def _facts(model: MLModel) -> list[tuple[str, str]]:
    training = model.training
    facts = [
        ("Learner", learner_text(model)),
        *((f"Parameter {name}", _text(value)) for name, value in model.parameters.items()),
        ("Training records", f"{training['records']:,}"),
        *((f"Validation {name}", number(value)) for name, value in training.get("validation", {}).items()),
        (SIZES[model.predictor.kind], f"{model.predictor.size:,}"),
    ]
    if training.get("recordsWithoutTarget"):
        facts.append(("Records without target", f"{training['recordsWithoutTarget']:,}"))
    if training.get("recordsWithInvalidTarget"):
        facts.append(("Records with an invalid target", f"{training['recordsWithInvalidTarget']:,}"))
    return facts


def _coefficients(found: Sequence[Document]) -> list[dict[str, Any]]:
    top = max((abs(one["weight"]) for one in found), default=0.0) or 1.0
    return [
        {
            "feature": plain(one["feature"], 80),
            "class": plain(one.get("class", ""), 40),
            "weight": bar(abs(one["weight"]) / top, number(one["weight"])),
        }
        for one in found[:_WEIGHTS]
    ]


def _importance(found: Document) -> list[tuple[str, str]]:
    return _bars(dict(list(found.items())[:_IMPORTANCE]), max(found.values(), default=1.0) or 1.0)


def _bars(found: Document, top: float) -> list[tuple[str, str]]:
    return [(plain(name, 80), bar(value / top, f"{value:.3f}")) for name, value in found.items()]


def _share(value: float | None) -> str:
    return number(None) if value is None else f"{value:.3f}"


def _text(value: Any) -> str:
    return number(value) if isinstance(value, int | float) and not isinstance(value, bool) else plain(str(value), 80)
