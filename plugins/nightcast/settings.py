"""Everything that a user may choose for a run: one table for form, validation and documentation.

Each group is a section of Airflow's trigger form. The fields' constraints are checked by the form,
by the REST API and ``airflow backfill create`` (as JSON Schema), and once more when a task reads them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from nightcast.errors import SettingsError


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    section: ClassVar[str]


class PeriodSettings(_Group):
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


class DatasourceSettings(_Group):
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


class SplitSettings(_Group):
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


class ModelSettings(_Group):
    """How the ML model is made."""

    section: ClassVar[str] = "ML model"
    recipe: str | None = Field(
        None,
        title="Recipe",
        max_length=131_071,
        description="A recipe in Amazon ML's JSON. Empty: one is suggested from schema and insights.",
    )
    # Not auto: searching trees takes minutes, and a nightly run is to take one.
    learner: Literal["auto", "linear", "boosting", "sgd"] = Field(
        "auto",
        title="Learner",
        description="auto: linear or boosting, whichever errs less on training records that it was not fitted to. "
        "linear: exact linear models, in seconds. boosting: gradient-boosted trees, in up to minutes. sgd: Amazon ML's "
        "stochastic gradient descent.",
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

    @field_validator("training_parameters")
    @classmethod
    def _object(cls, text: str | None) -> str | None:
        if text and not isinstance(json.loads(text), dict):
            raise ValueError("the training parameters must be a JSON object")
        return text

    def parameters(self) -> dict[str, Any]:
        """The training parameters by name, such as ``sgd.maxPasses``."""
        return dict(json.loads(self.training_parameters)) if self.training_parameters else {}


class PredictionSettings(_Group):
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


GROUPS: tuple[type[_Group], ...] = (
    PeriodSettings,
    DatasourceSettings,
    SplitSettings,
    ModelSettings,
    PredictionSettings,
)


class Settings(BaseModel):
    """The settings of one run, by group."""

    model_config = ConfigDict(frozen=True)
    period: PeriodSettings = PeriodSettings()
    datasource: DatasourceSettings = DatasourceSettings()
    split: SplitSettings = SplitSettings()
    model: ModelSettings = ModelSettings()
    prediction: PredictionSettings = PredictionSettings()

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Settings:
        """Read a run's Params; Params that are no settings are left alone.

        Raises
        ------
        SettingsError
            If a value is of the wrong type or outside its range; names the Param.
        """
        groups = {}
        try:
            for name, field in cls.model_fields.items():
                group = field.annotation
                known = {key: params[key] for key in group.model_fields if key in params}  # type: ignore[union-attr]
                groups[name] = group.model_validate(known)  # type: ignore[union-attr]
        except ValidationError as error:
            first = error.errors()[0]
            param = ".".join(str(piece) for piece in first["loc"])
            raise SettingsError(f"Param {param} is {first['input']!r}: {first['msg']}.") from error
        return cls(**groups)

    def rearrangement_json(self) -> str:
        """The training records' data rearrangement as Amazon ML's JSON string."""
        splitting: dict[str, Any] = {
            "percentBegin": 0,
            "percentEnd": self.split.training_percent,
            "strategy": self.split.split_strategy,
        }
        if self.split.split_strategy == "random":
            splitting["strategyParams"] = {"randomSeed": self.split.random_seed or ""}
        if self.split.split_strategy == "chronological":
            splitting["strategyParams"] = {"attribute": self.split.split_attribute}
        return json.dumps({"splitting": splitting})


def dag_params(**defaults: Any) -> dict[str, Any]:
    """Typed Airflow Params of all groups, in sections; ``defaults`` replace defaults by name."""
    from airflow.sdk import Param

    params = {}
    for group in GROUPS:
        for name, schema in group.model_json_schema()["properties"].items():
            default = defaults.pop(name, schema.pop("default", None))
            params[name] = Param(default, section=group.section, **_flat(schema))
    if defaults:
        raise SettingsError(f"no such setting: {', '.join(sorted(defaults))}.")
    return params


def _flat(schema: dict[str, Any]) -> dict[str, Any]:
    """Write an optional field as ``type: [null, ...]``: the trigger form does not understand ``anyOf``."""
    choices = schema.pop("anyOf", None)
    if choices:
        first = next(choice for choice in choices if choice["type"] != "null")
        schema = {**schema, **first, "type": ["null", first["type"]]}
    return schema
