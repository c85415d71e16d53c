"""How accurate the predictions of each period were: rows that grow by one a run."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from nightcast.artifacts import finite
from nightcast.datasource.strict_json import parse_object
from nightcast.errors import EvaluationError

FORMAT = "nightcast-accuracy"
VERSION = 1

REDSHIFT_COLUMNS = {
    "period": "varchar(32)",
    "run": "varchar(256)",
    "model_run": "varchar(256)",
    "training_cutoff": "varchar(32)",
    "model_age_days": "integer",
    "model_type": "varchar(16)",
    "records_predicted": "bigint",
    "records_failed": "bigint",
    "records_matched": "bigint",
    "missing_actual": "bigint",
    "without_prediction": "bigint",
    "duplicates": "bigint",
    "rmse": "double precision",
    "baseline_rmse": "double precision",
    "wape": "double precision",
    "bias": "double precision",
    "bias_percent": "double precision",
    "interval_coverage": "double precision",
    "interval_width": "double precision",
    "auc": "double precision",
    "log_loss": "double precision",
    "baseline_log_loss": "double precision",
    "f1": "double precision",
    "baseline_f1": "double precision",
}
"""Columns of the warehouse table and their types, in the order of `history_csv`."""


@dataclass(frozen=True)
class Origin:
    """Which run predicted what, and by which model.

    Parameters
    ----------
    period, period_start
        Label of the period that was predicted, and its first instant in ISO form; UTC where it has no zone.
    run, model_run
        Keys of the run that predicted and of the one that trained the model.
    training_cutoff
        Instant in ISO form before which the model's training records lie.
    training
        What the model says of its training records: ``targetMean``, or ``classCounts``.

    Raises
    ------
    EvaluationError
        If an instant can not be read, or the model was trained on records of the period: then it knew the outcome.
    """

    period: str
    period_start: str
    run: str
    model_run: str
    training_cutoff: str
    training: Mapping[str, Any] = field(repr=False)

    def __post_init__(self) -> None:
        if _instant(self.training_cutoff) > _instant(self.period_start):
            raise EvaluationError(
                f"the model of the run {self.model_run} was trained on records up to {self.training_cutoff}, after the "
                f"start of the period {self.period} that it predicted: it may have known the outcome, and its accuracy "
                "says nothing. Take the champion as of the period."
            )

    @property
    def age_days(self) -> int:
        """Whole days from the training cut-off to the start of the period."""
        return (_instant(self.period_start) - _instant(self.training_cutoff)).days


@dataclass(frozen=True)
class AccuracyRow:
    """The accuracy of the predictions that one run made for one period.

    Parameters
    ----------
    period, run
        The period that was predicted, by its label, and the key of the run that predicted. Together they name the row.
    model_run, training_cutoff, model_age_days
        The run that trained the model, the instant before which its training records lie, and whole days from there to
        the period's start.
    model_type
        REGRESSION, BINARY or MULTICLASS.
    records_predicted, records_failed
        Predictions, and records for which there is none because they failed.
    records_matched, missing_actual
        Predictions whose outcome is known, and those for which there is none. All metrics are of the former.
    without_prediction
        Outcomes of records that were not predicted.
    duplicates
        Predictions and outcomes left out because their tag had come before.
    rmse, baseline_rmse
        Of the predictions, and of always predicting the mean of the model's training records.
    wape
        Sum of the absolute errors over that of the absolute true values, a ratio.
    bias, bias_percent
        Mean of predicted less true, and its sum in percent of the sum of the true values.
    interval_coverage, interval_width
        Share of the true values within their prediction intervals, ends included, and the mean width.
    auc, log_loss, baseline_log_loss
        BINARY; the log loss in nats, and that of always predicting the share of ones of the training records.
    f1, baseline_f1
        MULTICLASS: macro average, and that of always answering the class that training had most of.
    """

    period: str
    run: str
    model_run: str
    training_cutoff: str
    model_age_days: int
    model_type: str
    records_predicted: int
    records_failed: int
    records_matched: int
    missing_actual: int
    without_prediction: int
    duplicates: int
    rmse: float | None = None
    baseline_rmse: float | None = None
    wape: float | None = None
    bias: float | None = None
    bias_percent: float | None = None
    interval_coverage: float | None = None
    interval_width: float | None = None
    auc: float | None = None
    log_loss: float | None = None
    baseline_log_loss: float | None = None
    f1: float | None = None
    baseline_f1: float | None = None

    def __post_init__(self) -> None:
        for name, kind in REDSHIFT_COLUMNS.items():
            if kind == "double precision":
                object.__setattr__(self, name, finite(getattr(self, name)))

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> AccuracyRow:
        """A row of `history_json`; EvaluationError when it is malformed."""
        required = {one.name for one in fields(cls)}
        if set(document) != required:
            wrong = sorted(required.symmetric_difference(document))
            raise EvaluationError(f"a row of the accuracy history lacks or adds {', '.join(wrong)}: restore the file.")
        for name, kind in REDSHIFT_COLUMNS.items():
            if not _fits(document[name], kind):
                raise EvaluationError(f"a row of the accuracy history has {name} {document[name]!r:.80}: restore it.")
        return cls(**document)


def read_history(text: str) -> list[AccuracyRow]:
    """Rows of a document of `history_json`.

    Raises
    ------
    EvaluationError
        If it is none, or of another version.
    """
    document = parse_object(text, "the accuracy history", EvaluationError)
    if (document.get("format"), document.get("version")) != (FORMAT, VERSION):
        raise EvaluationError(
            f"the accuracy history has format {document.get('format')!r:.80} and version "
            f"{document.get('version')!r:.20}, and {FORMAT} {VERSION} can be read: restore the file, or begin anew."
        )
    rows = document.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise EvaluationError("the accuracy history has no list of rows: restore the file, or begin anew.")
    return [AccuracyRow.from_document(row) for row in rows]


def merged_history(*histories: Iterable[AccuracyRow]) -> list[AccuracyRow]:
    """Rows of several histories, ordered by period and run; of two for one period and run the last one counts."""
    rows = {(row.period, row.run): row for history in histories for row in history}
    return [rows[key] for key in sorted(rows)]


def history_json(rows: Iterable[AccuracyRow]) -> str:
    """The document ``accuracy.json``: sorted keys, no NaN, ended by a line end."""
    document = {"format": FORMAT, "version": VERSION, "rows": [asdict(row) for row in rows]}
    return json.dumps(document, sort_keys=True, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def history_csv(rows: Iterable[AccuracyRow]) -> str:
    """The rows as CSV with a header, for COPY ... CSV IGNOREHEADER 1; what is not known is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(REDSHIFT_COLUMNS)
    for row in rows:
        found = asdict(row)
        writer.writerow(["" if found[name] is None else found[name] for name in REDSHIFT_COLUMNS])
    return text.getvalue()


def _fits(value: object, kind: str) -> bool:
    if kind == "double precision":
        return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
    if kind.startswith("varchar"):
        return isinstance(value, str)
    return isinstance(value, int) and not isinstance(value, bool)


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise EvaluationError(f"{text!r:.80} is no instant in ISO form, such as 2008-12-31T00:00:00Z.") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
