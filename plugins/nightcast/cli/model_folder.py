"""The model that a command is given, and the data that it is applied to."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nightcast.cli.arguments import opened

if TYPE_CHECKING:
    from nightcast.datasource.locate import Located
    from nightcast.datasource.opening import OpenedDatasource
    from nightcast.datasource.schema import Schema
    from nightcast.mlmodel.model import MLModel
    from nightcast.storage import Storage


def add_model_argument(parser: argparse.ArgumentParser) -> None:
    """Declare the model directory."""
    parser.add_argument("model", metavar="MODEL_DIR", help="what nightcast train wrote; on disk or s3://")


def opened_for(options: argparse.Namespace, storage: Storage, model: MLModel) -> OpenedDatasource:
    """The datasource that the arguments name, for a model: with the model's schema where there is no other.

    The data may then lack the target, and have columns that the model does not know: these are excluded.
    """
    from nightcast.datasource.locate import find_schema

    if options.schema or find_schema(options.data, storage) is not None:
        return opened(options, storage)
    return opened(
        options, storage, _schema_for(_located(options, storage, model.schema), model, options.row_id).to_json()
    )


def _located(options: argparse.Namespace, storage: Storage, schema: Schema) -> Located:
    from nightcast.datasource.locate import locate

    header = None if options.header is None else options.header == "yes"
    found = locate(options.data, storage, names=schema.names, header=header, null_as=options.null_as)
    if found.named or len(found.names) != len(schema.names) - 1:
        return found
    # Scoring data lack the target more often than not; their names, if any, are then all others.
    names = [name for name in schema.names if name != schema.target]
    return locate(options.data, storage, names=names, header=header, null_as=options.null_as)


def _schema_for(found: Located, model: MLModel, row_id: str | None) -> Schema:
    from nightcast.datasource.data_files import CSV
    from nightcast.datasource.schema import Attribute, AttributeType
    from nightcast.errors import SchemaError

    schema = model.schema
    known = {attribute.name: attribute for attribute in schema.attributes}
    # Parquet columns are read by name, so that unknown ones need not be listed, but for a row id that is asked for.
    names = [name for name in found.names if name in known or name == row_id or found.format == CSV]
    others = tuple(name for name in names if name not in known)
    if len(others) == len(names):
        seen = (
            f"none of the attributes of the model's schema, such as {schema.attributes[0].name!r}"
            if found.named
            else f"{len(names):,} column(s) without names, and the model's schema has {len(schema.names):,} attributes"
        )
        raise SchemaError(
            f"{found.uri} has {seen}: select the columns of the training query, or give a schema with --schema"
        )
    return replace(
        schema,
        attributes=tuple(known.get(name, Attribute(name, AttributeType.CATEGORICAL)) for name in names),
        target=schema.target if schema.target in names else None,
        row_id=schema.row_id if schema.row_id in names else None,
        excluded=tuple(name for name in schema.excluded if name in names) + others,
        header=found.header,
    )


def training_document(model: MLModel) -> Mapping[str, Any]:
    """What is told of a model for machines."""
    return {
        "modelType": model.model_type.value,
        "target": model.target.name,
        "learner": model.learner,
        "parameters": dict(model.parameters),
        "size": model.predictor.size,
        "scoreThreshold": model.score_threshold,
        "training": dict(model.training),
    }
