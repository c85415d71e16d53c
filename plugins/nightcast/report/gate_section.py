"""Sections of a page: the decision of the gate, and how accurate former predictions were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nightcast.report.charts import number, plain
from nightcast.report.model_charts import lines_chart
from nightcast.report.templates import template

Document = Mapping[str, Any]

_TONES = {"promote": "good", "keep": "", "skip": "bad", "fail": "bad"}
_WORDS = {"promote": "Promoted", "keep": "Not promoted", "skip": "Skipped", "fail": "Failed"}
_METRICS = {"RMSE": "RMSE", "logLoss": "Log loss"}
_BASELINES = {
    "trainingMean": "Baseline: the training mean",
    "lastPeriod": "Baseline: the last period",
    "seasonAgo": "Baseline: a season ago",
}
_FAILURES = {
    "withoutTarget": "without target",
    "invalidTarget": "with a target that can not be read",
    "challengerFailed": "that the challenger alone could not score",
    "championFailed": "that the champion alone could not score",
    "bothFailed": "that no model could score",
    "unknownClass": "of a class that no model knows",
}
_PERIODS = 60
_CHARTS = {
    "REGRESSION": ("rmse", "baseline_rmse", "RMSE", "that of the training mean"),
    "BINARY": ("log_loss", "baseline_log_loss", "log loss", "that of the training share of ones"),
    "MULTICLASS": ("f1", "baseline_f1", "average F1", "that of the most frequent class"),
}
_COLUMNS: dict[str, tuple[tuple[str, str, float], ...]] = {
    "REGRESSION": (
        ("RMSE", "rmse", 1), ("Baseline RMSE", "baseline_rmse", 1), ("WAPE, %", "wape", 100), ("Bias", "bias", 1),
        ("Bias, %", "bias_percent", 1), ("In interval, %", "interval_coverage", 100), ("Width", "interval_width", 1),
    ),
    "BINARY": (("AUC", "auc", 1), ("Log loss", "log_loss", 1), ("Baseline log loss", "baseline_log_loss", 1)),
    "MULTICLASS": (("Average F1", "f1", 1), ("Baseline F1", "baseline_f1", 1)),
}  # fmt: skip


def gate_section(gate: Document) -> str:
    """The decision, its reason, and the figures that it rests on.

    Parameters
    ----------
    gate
        The document of `GateDecision.to_json`.

    Returns
    -------
    str
        An HTML section for a page with the style of ``page.css``.
    """
    comparison = gate["comparison"]
    found: Document = comparison or {}
    others = sorted((found.get("challenger") or {}).keys() - {"loss"})
    return template("gate_section.html.jinja").render(
        gate=gate,
        decision=_WORDS[gate["decision"]],
        tone=_TONES[gate["decision"]],
        comparison=comparison,
        metric=_METRICS.get(found.get("metric", ""), ""),
        others=others,
        rows=_rows(found, others) if found.get("challenger") else [],
        interval=_interval(found),
        notes=_notes(gate, found),
        alerts=[{"code": one["code"], "message": plain(one["message"], 400)} for one in gate["alerts"]],
    )


def accuracy_section(history: Document) -> str:
    """The accuracy of the predictions of former periods: a line and a table.

    Parameters
    ----------
    history
        The document of `history_json`. The type of the newest row decides the columns; rows of another are left out.

    Returns
    -------
    str
        An HTML section for a page with the style of ``page.css``.
    """
    every: Sequence[Document] = history["rows"]
    kind = every[-1]["model_type"] if every else "REGRESSION"
    alike = [row for row in every if row["model_type"] == kind]
    columns, (_, _, metric, baseline) = _COLUMNS[kind], _CHARTS[kind]
    # A column that no period has, such as intervals that were not asked for, says nothing.
    columns = tuple(column for column in columns if any(row[column[1]] is not None for row in alike))
    rows = [
        {
            "period": plain(row["period"], 40),
            "model": plain(row["model_run"], 60),
            "age": number(row["model_age_days"]),
            "matched": number(row["records_matched"]),
            "missing": number(row["missing_actual"]),
            "figures": [number(None if row[key] is None else factor * row[key]) for _, key, factor in columns],
        }
        for row in reversed(alike[-_PERIODS:])
    ]
    return template("accuracy_section.html.jinja").render(
        rows=rows,
        more=max(len(alike) - _PERIODS, 0),
        titles=[title for title, _, _ in columns],
        chart=_chart(alike, kind),
        metric=metric,
        baseline=baseline,
    )


def unmeasured_section() -> str:
    """What stands in the place of the accuracy where it could not be measured."""
    return template("unmeasured_section.html.jinja").render()


def _rows(found: Document, others: Sequence[str]) -> list[dict[str, Any]]:
    def row(name: str, figures: Document, better: float | None) -> dict[str, Any]:
        return {
            "name": plain(name, 80),
            "loss": number(figures["loss"]),
            "others": [number(figures.get(other)) for other in others],
            "better": _signed(better),
        }

    rows = [row("Challenger", found["challenger"], None)]
    if found["champion"]:
        percent = found["difference"]["improvementPercent"]["value"] if found["difference"] else None
        rows.append(row("Champion", found["champion"], percent))
    for one in found["baselines"]:
        rows.append(row(_BASELINES.get(one["name"], f"Baseline: {one['name']}"), one, one["improvementPercent"]))
    return rows


def _interval(found: Document) -> str:
    difference = found.get("difference")
    if not difference:
        return ""
    bounds = difference["improvementPercent"]
    if bounds["lower"] is None or bounds["upper"] is None:
        return "How far the difference from the champion may be due to chance can not be told from these records."
    sure = f"{100 * found['bootstrap']['confidence']:g} %"
    return (
        f"Better than the champion by {_signed(bounds['value'])}; {sure} confident of at least "
        f"{_signed(bounds['lower'])}, and of at most {_signed(bounds['upper'])} (paired bootstrap of "
        f"{difference['units']:,} {found['bootstrap']['resampled']})."
    )


def _notes(gate: Document, found: Document) -> list[str]:
    notes = []
    if gate.get("championSawRecords"):
        notes.append(
            "The champion may have been trained on some of the compared records, which flatters it: too few come after "
            "its training to compare on those alone."
        )
    if found.get("championUnfit"):
        notes.append(f"The champion was not compared: {plain(found['championUnfit'], 300)}.")
    for one in found.get("baselines", []):
        name = _BASELINES.get(one["name"], f"Baseline: {one['name']}")
        if one["unavailable"]:
            notes.append(f"{plain(name, 80)}: not available, {plain(one['unavailable'], 300)}.")
        elif one["recordsKnown"] < found["recordsCompared"]:
            notes.append(
                f"{plain(name, 80)}: known for {one['recordsKnown']:,} of {found['recordsCompared']:,} records; for "
                "the others it is the training mean."
            )
    failed = [f"{count:,} {_FAILURES.get(name, name)}" for name, count in found.get("failures", {}).items() if count]
    if failed:
        notes.append(f"Records left out: {', '.join(failed)}.")
    if gate["drift"]:
        notes.append(f"Drift since the champion's training records: {gate['drift']['level']}.")
    return notes


def _signed(percent: float | None) -> str:
    return number(None) if percent is None else f"{percent:+.2f} %"


def _chart(rows: Sequence[Document], kind: str) -> str:
    key, other, metric, baseline = _CHARTS[kind]
    known = [row for row in rows if row[key] is not None and row[other] is not None]
    if len(known) < 2:
        return ""
    series = {metric: [row[key] for row in known], baseline: [row[other] for row in known]}
    return lines_chart([plain(row["period"], 40) for row in known], series, f"{metric} by period")
