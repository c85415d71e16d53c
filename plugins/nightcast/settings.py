"""Everything that a user may choose for a run: one table for form, validation and documentation.

Each group is a section of Airflow's trigger form. The fields' constraints are checked by the form,
by the REST API and ``airflow backfill create`` (as JSON Schema), and once more when a task reads them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from nightcast.errors import SettingsError
from nightcast.setting_groups import (
    AccuracySettings,
    DatasourceSettings,
    GateParams,
    Group,
    ModelSettings,
    PeriodSettings,
    PredictionSettings,
    SplitSettings,
)

GROUPS: tuple[type[Group], ...] = (
    PeriodSettings,
    DatasourceSettings,
    SplitSettings,
    ModelSettings,
    PredictionSettings,
    GateParams,
    AccuracySettings,
)


class Settings(BaseModel):
    """The settings of one run, by group."""

    model_config = ConfigDict(frozen=True)
    period: PeriodSettings = PeriodSettings()
    datasource: DatasourceSettings = DatasourceSettings()
    split: SplitSettings = SplitSettings()
    model: ModelSettings = ModelSettings()
    prediction: PredictionSettings = PredictionSettings()
    gate: GateParams = GateParams()
    accuracy: AccuracySettings = AccuracySettings()

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
