"""From references in XCom to what stage functions take."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nightcast.warehouse.manifest import Manifest, read_manifest
from nightcast.warehouse.statements import UnloadFormat, UnloadOptions

if TYPE_CHECKING:
    from nightcast.datasource.parts import Datasource, Part
    from nightcast.datasource.schema import Schema
    from nightcast.mlmodel.model import MLModel
    from nightcast.operators.base import Returned, Stage


def manifest_of(stage: Stage, manifest: Returned) -> Manifest:
    """The UNLOAD manifest that an unload task returned."""
    reference = stage.pull(manifest)
    return read_manifest(stage.storage.read_artifact(reference), reference["uri"])


def datasource_of(stage: Stage, manifest: Returned, schema: Returned) -> Datasource:
    """The unloaded parts as a datasource with the schema that the schema task wrote.

    Raises
    ------
    SchemaError
        If the unloaded columns are not the schema's; the target may be absent.
    """
    from nightcast.datasource.parts import Datasource
    from nightcast.datasource.schema import Schema
    from nightcast.datasource.schema_fit import fitted

    known = Schema.from_json(stage.storage.read_artifact(stage.pull(schema)).decode())
    unloaded = manifest_of(stage, manifest)
    columns = [column.name for column in unloaded.columns]
    return Datasource(fitted(known, columns, unloaded.uri), parts_of(unloaded, stage.pull(manifest)["format"]))


def datasource_as_known(known: Schema, unloaded: Manifest, unload_format: str) -> Datasource:
    """The unloaded parts with a schema from elsewhere, such as that of a model of an earlier run.

    Columns that the schema does not know are excluded attributes, of the types that their Redshift types tell.
    Attributes that were not unloaded are left out.
    """
    from nightcast.datasource.parts import Datasource
    from nightcast.datasource.schema import Schema

    types = {attribute.name: attribute for attribute in known.attributes}
    found = Schema.from_columns([(column.name, column.base) for column in unloaded.columns])
    names = set(found.names)
    schema = replace(
        found,
        attributes=tuple(types.get(attribute.name, attribute) for attribute in found.attributes),
        target=known.target if known.target in names else None,
        row_id=known.row_id if known.row_id in names else None,
        excluded=tuple(name for name in found.names if name in known.excluded or name not in types),
    )
    return Datasource(schema, parts_of(unloaded, unload_format))


def parts_of(unloaded: Manifest, unload_format: str) -> tuple[Part, ...]:
    """The files of a manifest."""
    from nightcast.datasource.parts import Part

    options = UnloadOptions(format=UnloadFormat(unload_format))
    return tuple(
        Part(
            uri=entry.uri,
            records=entry.records,
            bytes=entry.bytes,
            format=options.format,
            header=options.header,
            null_as=options.null_as,
        )
        for entry in unloaded.entries
    )


def model_of(stage: Stage, model: Returned) -> MLModel:
    """The trained ML model."""
    from nightcast.registry.model_folder import loaded_beside

    reference = stage.pull(model)
    folder = reference["uri"].rsplit("/", 1)[0]
    return loaded_beside(stage.storage, folder, stage.storage.read_artifact(reference))
