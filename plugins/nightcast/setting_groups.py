"""The groups of what a user may choose for a run; each is a section of Airflow's trigger form."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

if TYPE_CHECKING:
    from nightcast.evaluation.gate_settings import GateSettings

_TABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,126}\.)?[A-Za-z_][A-Za-z0-9_]{0,126}")


class Group(BaseModel):
    """A section of the form."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    section: ClassVar[str]


class PeriodSettings(Group):
    """Which sales period the run is for."""

    section: ClassVar[str] = "Sales period"
    period_start: date | None = Field(
        None,
        title="Period start",
        description="First day of the sales period, UTC, inclusive. Empty: the period follows from the schedule.",
    )
    period_end: date | None = Field(
        None,
        title="Period end",
        description="Day after the last day of the period, UTC, exclusive. Training sees no sale from this day on.",
    )
    period_length: Literal["daily", "weekly", "monthly"] = Field(
        "daily",
        title="Period length",
        description="What the DAG is scheduled for. A run by hand without dates is for the last complete day, ISO week "
        "(from Monday) or calendar month, UTC.",
    )
    allow_unfinished_period: bool = Field(
        False,
        title="Allow an unfinished period",
        description="Also run for a period that is not over yet, on the sales that are there so far.",
    )


class DatasourceSettings(Group):
    """Which sales are learnt from, and how they are unloaded."""

    section: ClassVar[str] = "Datasource"
    training_days: int = Field(
        56,
        title="Training days",
        ge=1,
        le=3660,
        description="Days of sales before the period's end that the training query reads.",
    )
    unload_format: Literal["PARQUET", "CSV"] = Field(
        "PARQUET",
        title="Unload format",
        description="PARQUET is typed, smaller and faster; CSV (gzip) is what Amazon ML read.",
    )
    unload_parallel: bool = Field(
        False,
        title="Unload in parallel",
        description="Every Redshift slice writes its own files: faster for large results, but without the order of "
        "the query, so a sequential split is no longer chronological.",
    )
    max_rejected_records: int = Field(
        10_000,
        title="Rejected records at most",
        ge=0,
        le=100_000_000,
        description="A training datasource of which more records can not be read is refused. Those that are rejected "
        "stand in `rejected/`, each with its reason.",
    )


class SplitSettings(Group):
    """The data rearrangement: which records train, which evaluate."""

    section: ClassVar[str] = "Data rearrangement"
    training_percent: int = Field(
        70,
        title="Training percent",
        ge=1,
        le=99,
        description="Share of the records that train; the others evaluate. Whole percents.",
    )
    split_strategy: Literal["sequential", "random", "chronological"] = Field(
        "sequential",
        title="Split strategy",
        description="sequential: the first records train (with the pipeline's queries: the earlier days). "
        "random: each record is drawn by seed and row id. chronological: the earlier values of the split attribute "
        "train, in whatever order the records come.",
    )
    # Optional, not "": the trigger form takes an empty text for a missing one and locks its button.
    random_seed: str | None = Field(
        None, title="Random seed", max_length=2048, description="Seed of the random split; any text."
    )
    split_attribute: str | None = Field(
        None,
        title="Split attribute",
        min_length=1,
        max_length=64,
        validate_default=True,
        description="The attribute that tells the time of a record, for the chronological split: ISO dates or numbers. "
        "Records of one day stay on one side.",
    )

    @field_validator("split_attribute")
    @classmethod
    def _named_where_needed(cls, name: str | None, info: ValidationInfo) -> str | None:
        if name is None and info.data.get("split_strategy") == "chronological":
            raise ValueError("the chronological split strategy needs the attribute that tells the time of a record")
        return name


class ModelSettings(Group):
    """How the ML model is made."""

    section: ClassVar[str] = "ML model"
    recipe: str | None = Field(
        None,
        title="Recipe",
        max_length=131_071,
        description="A recipe in Amazon ML's JSON. Empty: one is suggested from schema and insights.",
    )
    learner: Literal["auto", "linear", "boosting", "sgd"] = Field(
        "auto",
        title="Learner",
        description="auto: linear, boosting or the weighted mean of both, by their errors on training records "
        "that were held out. linear: exact linear models, in seconds. boosting: gradient-boosted trees, in up to "
        "minutes. sgd: Amazon ML's stochastic gradient descent.",
    )
    training_parameters: str | None = Field(
        None,
        title="Training parameters",
        max_length=10_000,
        description='Parameters of the learner as a JSON object, such as {"sgd.maxPasses": "20"} or {"linear.l2": 10}; '
        "docs/commands.md lists them.",
    )
    training_seed: str | None = Field(
        None, title="Training seed", max_length=2048, description="Seed of whatever a learner draws; any text."
    )
    retrain: Literal["every_run", "weekly", "monthly"] = Field(
        "every_run",
        title="Retrain",
        description="Which runs train. weekly, monthly: the run of the first period of an ISO week or calendar month, "
        "and any run without a champion; in the others the champion scores.",
    )

    @field_validator("training_parameters")
    @classmethod
    def _object(cls, text: str | None) -> str | None:
        if text and not isinstance(json.loads(text), dict):
            raise ValueError("the training parameters must be a JSON object")
        return text

    def parameters(self) -> dict[str, Any]:
        """The training parameters by name, such as ``sgd.maxPasses``."""
        return dict(json.loads(self.training_parameters)) if self.training_parameters else {}


class PredictionSettings(Group):
    """What the batch prediction scores."""

    section: ClassVar[str] = "Batch prediction"
    score: Literal["next_period", "training_datasource"] = Field(
        "next_period",
        title="Score",
        description="next_period: the records of the period after this one (`tag,score`). training_datasource: the "
        "training records themselves, labels beside scores (`tag,trueLabel,score`).",
    )
    intervals: float | None = Field(
        None,
        title="Prediction intervals",
        gt=0,
        lt=1,
        description="Share of the actual values that the columns `lower` and `upper` are to enclose, such as 0.9. "
        "Empty: no such columns.",
    )
    max_failed_records: int = Field(
        10_000,
        title="Failed records at most",
        ge=0,
        le=100_000_000,
        description="A batch prediction in which more records fail to process (or all do) is not published.",
    )


class GateParams(Group):
    """When a newly trained model replaces the champion; docs/gate.md has the rule."""

    section: ClassVar[str] = "Gate"
    min_improvement: float = Field(
        0.0,
        title="Improvement at least, %",
        ge=0,
        lt=100,
        description="By how many percent of the champion's loss the new model must be better.",
    )
    gate_confidence: float = Field(
        0.95,
        title="Confidence",
        gt=0.5,
        lt=1,
        description="With which the new model counts as better or as worse.",
    )
    undecided: Literal["promote", "keep"] = Field(
        "promote",
        title="Undecided",
        description="Which model is taken where chance may explain the difference: promote the new one, or keep the "
        "champion.",
    )
    max_worse: float = Field(
        1.0,
        title="Worse at most, %",
        ge=0,
        le=100,
        description="By how many percent of the champion's loss a new model may look worse where it is undecided. "
        "Counts only where the improvement at least is 0.",
    )
    must_beat: list[Literal["trainingMean", "lastPeriod", "seasonAgo"]] = Field(
        ["trainingMean"],
        title="Baselines to beat",
        description="Baselines whose loss the new model's must be below: trainingMean, lastPeriod, seasonAgo.",
    )
    gate_min_records: int = Field(
        30,
        title="Compared records at least",
        ge=2,
        le=100_000_000,
        description="With fewer evaluation records no model is promoted.",
    )
    max_unscored_percent: float = Field(
        1.0,
        title="Unscored records at most, %",
        ge=0,
        le=100,
        description="Percent of the records that the champion can score, and the new model can not.",
    )
    on_data_alerts: Literal["fail", "warn", "skip"] = Field(
        "warn",
        title="On data alerts",
        description="What data alerts of the severity warning do: fail the run, warn, or skip the training, so that "
        "the champion scores.",
    )
    on_drift: Literal["fail", "warn", "skip"] = Field(
        "warn",
        title="On drift",
        description="What major drift since the champion's training records does: fail, warn or skip.",
    )
    approval: bool = Field(
        False,
        title="Ask for approval",
        description="In runs by hand, a person approves the promotion under the task's required actions; no other "
        "run asks. Without an answer for four hours it is rejected.",
    )

    def gate(self) -> GateSettings:
        """The thresholds as the gate takes them."""
        from nightcast.evaluation.gate_settings import GateSettings, Policy, Undecided

        return GateSettings(
            min_improvement=self.min_improvement,
            confidence=self.gate_confidence,
            undecided=Undecided(self.undecided),
            tolerance=self.max_worse,
            must_beat=tuple(self.must_beat),
            min_records=self.gate_min_records,
            max_failed_percent=self.max_unscored_percent,
            data_alerts=Policy(self.on_data_alerts),
            drift=Policy(self.on_drift),
        )


class AccuracySettings(Group):
    """What becomes of the predictions that were made for the run's period."""

    section: ClassVar[str] = "Accuracy"
    measure_accuracy: bool = Field(
        True,
        title="Measure accuracy",
        description="Compare the predictions that were made for this period with what was sold in it.",
    )
    accuracy_table: str | None = Field(
        None,
        title="Accuracy table",
        max_length=255,
        description="Redshift table, as name or schema.name, that gets a row for each period; it is made if there is "
        "none. Empty: no table.",
    )

    @field_validator("accuracy_table")
    @classmethod
    def _name(cls, name: str | None) -> str | None:
        if name and not _TABLE.fullmatch(name):
            raise ValueError("a table is written name or schema.name, of letters, digits and underscores")
        return name or None
