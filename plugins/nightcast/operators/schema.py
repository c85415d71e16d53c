"""Make the training datasource's schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from nightcast.artifacts import JSON, ArtifactRef
from nightcast.errors import SchemaError
from nightcast.operators.base import Returned, Stage, StageOperator


class CreateSchemaOperator(StageOperator):
    """
    Write the schema: attribute types from the unloaded columns' Redshift types, then the user's word.

    Returns the reference of ``schema.json``, in the form of Amazon ML's ``.schema`` files.

    :param manifest: what the unload task returned.
    :param override: JSON, or the path of a ``.schema`` file in the DAG's ``template_searchpath``: the part of a
        schema that the column types can not tell (target, row id, types of single attributes).
    """

    template_fields: Sequence[str] = ("override",)
    template_ext = (".schema",)
    template_fields_renderers = {"override": "json"}  # noqa: RUF012 -- Airflow's own declaration

    def __init__(self, *, manifest: Returned, override: str = "{}", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.manifest = manifest
        self.override = override

    def run_stage(self, stage: Stage) -> ArtifactRef:
        """Write ``schema.json``."""
        from nightcast.datasource.schema import Schema
        from nightcast.operators.inputs import manifest_of

        try:
            override = json.loads(self.override)
        except ValueError as error:
            raise SchemaError(
                f"the schema override of task {self.task_id} is no JSON: {error}. Correct the .schema file."
            ) from error
        columns = [(column.name, column.base) for column in manifest_of(stage, self.manifest).columns]
        schema = Schema.from_columns(columns).with_overrides(override)
        if schema.target is None:
            raise SchemaError(
                "the training datasource has no target: name it as targetAttributeName in the schema override. "
                f"Its columns are {', '.join(schema.names)}."
            )
        for attribute in schema.attributes:
            self.log.info("attribute %s: %s", attribute.name, attribute.type)
        return stage.storage.write_bytes(stage.place("schema.json"), schema.to_json().encode(), JSON)
