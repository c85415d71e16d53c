"""From a data argument to a datasource: its files, its schema, its numbers of records."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from nightcast.datasource.counting import counted_parts
from nightcast.datasource.data_files import CSV, PARQUET, Lister
from nightcast.datasource.inference import InferredAttribute, infer_attributes, inferred_schema
from nightcast.datasource.locate import Located, find_schema, locate
from nightcast.datasource.parts import Datasource, Mapper, Part
from nightcast.datasource.samples import first_rows
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.datasource.schema_document import attribute_pairs, flag_in, load_document
from nightcast.datasource.schema_fit import fitted
from nightcast.errors import DatasourceError, SchemaError

_SEPARATORS = {"\t": "tabs", "|": "'|'", ";": "';'"}


@dataclass(frozen=True)
class OpenedDatasource:
    """A datasource, and where its schema is from.

    Parameters
    ----------
    datasource
        With counted parts.
    inferred
        What the values look like and why, in column order; None where a whole schema was given or found, or a manifest
        tells the types.
    schema_uri
        The schema file or the manifest that tells the types; None where they were given or are inferred.
    """

    datasource: Datasource
    inferred: tuple[InferredAttribute, ...] | None
    schema_uri: str | None


def open_datasource(
    data: str,
    source: Lister,
    *,
    schema_text: str | None = None,
    target: str | None = None,
    row_id: str | None = None,
    header: bool | None = None,
    null_as: str | None = None,
    mapper: Mapper = map,
) -> OpenedDatasource:
    """Find the files that a data argument names, their schema, and the numbers of their records.

    Parameters
    ----------
    data
        As of `find_files`.
    schema_text
        A ``.schema`` document, or a part of one: then what it says wins over the schema that would be used without it.
        It is a whole one when it has ``version``, or as many attributes as the data have columns. Without it, the
        schema is that of `find_schema`, else the manifest's column types, else what the values look like.
    target, row_id
        Override the schema's roles.
    header, null_as
        As of `locate`; `header` wins over what the schema says.
    mapper
        Counts records where no manifest tells them, and always compares the types of Parquet parts. For that a part on
        S3 is copied, which the operators do not do: they trust what their own unload wrote.

    Raises
    ------
    DatasourceError, ManifestError
        When the data can not be found or read.
    SchemaError
        When the schema is malformed, or does not fit the data.
    """
    given = None if schema_text is None else load_document(schema_text, whole=False)
    uri = find_schema(data, source)
    found = None if uri is None else load_document(_text_of(uri, source), uri)
    told = {**(found or {}), **(given or {})}
    located = locate(
        data, source, names=_names_in(told), header=_flag(told) if header is None else header, null_as=null_as
    )
    inferred = None
    if given is not None and _is_whole(given, located):
        schema, given, uri = Schema.from_document(given), None, None
    elif found is not None:
        schema = Schema.from_document(found)
    elif located.columns:
        schema, uri = Schema.from_columns(located.columns), located.manifest
    else:
        inferred = _inferred(located, source, target or told.get("targetAttributeName"))
        schema = inferred_schema(inferred)
    schema = _fitting(schema if given is None else schema.with_overrides(given), located)
    roles = {key: name for key, name in (("targetAttributeName", target), ("rowId", row_id)) if name is not None}
    schema = replace(schema.with_overrides(roles), header=located.header)
    parts = _counted(located.parts, source, mapper)
    return OpenedDatasource(Datasource(schema, parts, located.manifest is not None), inferred, uri)


def _inferred(located: Located, source: Lister, target: str | None) -> tuple[InferredAttribute, ...]:
    if located.format == CSV:
        # Names are checked before columns are looked up by them.
        Schema(tuple(Attribute(name, AttributeType.TEXT) for name in located.names))
        if len(located.names) == 1:
            _refuse_other_separators(located, source)
    return infer_attributes(located.parts, source, located.names, target=target)


def _refuse_other_separators(located: Located, source: Lister) -> None:
    filled = next(part for part in located.parts if part.bytes)
    rows = [row[0] for row in first_rows(filled, source).rows]
    for separator, name in _SEPARATORS.items():
        counts = {row.count(separator) for row in rows}
        if len(counts) == 1 and counts != {0} and len(rows) > 1:
            raise DatasourceError(f"{filled.uri} is separated by {name}; write it as CSV, separated by commas")


def _fitting(schema: Schema, located: Located) -> Schema:
    if located.named:
        return fitted(schema, located.names, located.uri, others=located.format == PARQUET)
    if len(schema.names) != len(located.names):
        raise SchemaError(
            f"the schema has {len(schema.names):,} attributes, and the records of {located.uri} have "
            f"{len(located.names):,} cells; list every column in the schema, in column order"
        )
    return schema


def _counted(parts: tuple[Part, ...], source: Lister, mapper: Mapper) -> tuple[Part, ...]:
    # Nothing but their footers tells whether Parquet parts hold the same types.
    unknown = any(part.records < 0 or part.format == PARQUET for part in parts)
    return counted_parts(parts, source, mapper) if unknown else parts


def _text_of(uri: str, source: Lister) -> str:
    try:
        return source.read_bytes(uri).decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise SchemaError(f"{uri} is no text in UTF-8 ({fault}), so it is no schema; write it as UTF-8") from fault


def _is_whole(given: dict[str, Any], located: Located) -> bool:
    if "attributes" not in given:
        return False
    return "version" in given or len(attribute_pairs(given["attributes"])) >= len(located.names)


def _names_in(document: dict[str, Any]) -> list[str] | None:
    return [name for name, _ in attribute_pairs(document["attributes"])] if "attributes" in document else None


def _flag(document: dict[str, Any]) -> bool | None:
    return flag_in(document, "dataFileContainsHeader") if "dataFileContainsHeader" in document else None
