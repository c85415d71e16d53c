"""What commands print of a model and its evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nightcast.report.charts import number, percent
from nightcast.report.model_page import LOSSES, SIZES, compared_by, learner_text

if TYPE_CHECKING:
    from nightcast.cli.tables import Printer
    from nightcast.evaluation.evaluate import Evaluation
    from nightcast.mlmodel.model import MLModel


def metric_text(value: float | None) -> str:
    """A metric with six significant digits, or a dash.

    Examples
    --------
    >>> metric_text(0.123456789), metric_text(None)
    ('0.123457', '-')
    """
    return "-" if value is None else f"{value:.6g}"


def print_training(printer: Printer, model: MLModel) -> None:
    """Print what was trained, and the candidates of ``auto``."""
    training = model.training
    pairs = [
        ("Model type", model.model_type.value),
        ("Target", printer.cell(model.target.name)),
        ("Learner", learner_text(model)),
        ("Parameters", ", ".join(f"{name} {_value(value)}" for name, value in model.parameters.items()) or "none"),
        ("Training records", f"{training['records']:,}"),
        *((f"Validation {name}", metric_text(value)) for name, value in training.get("validation", {}).items()),
        ("Size", f"{model.predictor.size:,} {SIZES[model.predictor.kind].lower()}"),
    ]
    if training.get("invalidRecords"):
        pairs.append(("Records without a valid target", f"{training['invalidRecords']:,}"))
    if training.get("badRecords"):
        pairs.append(("Bad records of the datasource", f"{training['badRecords']:,}"))
    sampled = training.get("sampledRecords")
    if sampled and sampled < training["records"]:
        pairs.append(("Sampled records", f"{sampled:,}"))
    if model.model_type.value == "BINARY":
        pairs.append(("Score threshold", f"{model.score_threshold:g}"))
    printer.heading("Model")
    printer.pairs(pairs)
    _print_candidates(printer, training.get("auto", {}))


def _print_candidates(printer: Printer, auto: Mapping[str, Any]) -> None:
    candidates: list[Mapping[str, Any]] = auto.get("candidates", [])
    if not candidates:
        return
    compared = compared_by(auto)
    printer.heading("Candidates")
    rows = [
        [
            one["learner"],
            metric_text(one.get(compared)),
            ", ".join(f"{name} {metric_text(value)}" for name, value in one.get("validation", {}).items())
            or printer.cell(one.get("refused", "")),
        ]
        for one in candidates
    ]
    printer.table(["Learner", f">{LOSSES[compared]}", "Validation"], rows)


def print_evaluation(printer: Printer, evaluation: Evaluation) -> None:
    """Print the metric beside its baseline, the others, and the alerts."""
    printer.heading("Evaluation")
    printer.pairs(
        [
            (evaluation.metric_name, metric_text(evaluation.metric)),
            ("Baseline", metric_text(evaluation.baseline)),
            *((name, metric_text(value)) for name, value in evaluation.other.items()),
            ("Records seen", f"{evaluation.records_seen:,}"),
            ("Records failed", f"{evaluation.records_failed:,}"),
        ]
    )
    if evaluation.intervals:
        printer.heading("Prediction intervals")
        rows = [
            [percent(row["level"], 1), percent(row["coverage"], 1), metric_text(row["meanWidth"])]
            for row in evaluation.intervals
        ]
        printer.table([">Wanted", ">Enclosed", ">Mean width"], rows)
    confusion = evaluation.facts.get("confusion")
    if confusion is not None:
        _print_confusion(printer, confusion, evaluation.facts.get("f1ByClass", {}))
    printer.heading("Alerts")
    for alert in evaluation.alerts:
        printer.line(f"{alert['check']}: {printer.cell(alert['message'])}")
    if not evaluation.alerts:
        printer.line("none of Amazon ML's five alerts")


def _print_confusion(printer: Printer, confusion: Mapping[str, Any], f1: Mapping[str, float]) -> None:
    if "classes" not in confusion:
        printer.heading("Confusion matrix")
        true, false = confusion["truePositives"], confusion["falsePositives"]
        missed, rest = confusion["falseNegatives"], confusion["trueNegatives"]
        rows = [["0", *_counts(rest, false)], ["1", *_counts(missed, true)]]
        printer.table(["True", ">Predicted 0", ">Predicted 1"], rows)
        return
    printer.heading("Confusion matrix (a row a true class, a column a predicted one)")
    names = [printer.cell(name) for name in confusion["classes"]]
    rows = [
        [printer.cell(name), *_counts(*counts, sum(counts)), metric_text(f1.get(name))]
        for name, counts in zip(confusion["classes"], confusion["counts"], strict=True)
    ]
    rows.append(["Predicted", *_counts(*map(sum, zip(*confusion["counts"], strict=True))), "", ""])
    printer.table(["True", *(f">{name}" for name in names), ">Records", ">F1"], rows)


def _counts(*counts: int) -> list[str]:
    return [f"{count:,}" for count in counts]


def _value(value: Any) -> str:
    return number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
