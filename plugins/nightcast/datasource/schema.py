"""The schema of a datasource: Amazon ML's ``.schema`` document.

The document has the keys ``version``, ``rowId``, ``rowWeight``, ``targetAttributeName``, ``dataFormat``,
``dataFileContainsHeader``, ``attributes`` (in column order) and ``excludedAttributeNames``. An unknown key is an
error and not a warning: a misspelt ``targetAttributeName`` would otherwise leave a schema without target.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

from nightcast.datasource.schema_document import (
    DATA_FORMAT,
    VERSION,
    attribute_pairs,
    check_document,
    flag_in,
    load_document,
    names_in,
    optional_name,
)
from nightcast.errors import SchemaError

MAX_ATTRIBUTES = 1000
MAX_NAME_CHARACTERS = 64


class AttributeType(StrEnum):
    """What the values of an attribute mean."""

    BINARY = "BINARY"
    CATEGORICAL = "CATEGORICAL"
    NUMERIC = "NUMERIC"
    TEXT = "TEXT"


@dataclass(frozen=True)
class Attribute:
    """One column: its name and what its values mean."""

    name: str
    type: AttributeType


_SEQUENCE_TYPES = ("WEIGHTED_INT_SEQUENCE", "WEIGHTED_STRING_SEQUENCE")
# Developer guide of Amazon ML, "Required parameters for the Create Datasource wizard": column types of Redshift.
_REDSHIFT_TYPES: dict[str, AttributeType] = {
    **dict.fromkeys(
        (
            "smallint", "int2", "integer", "int", "int4", "bigint", "int8", "decimal", "numeric",
            "real", "float4", "double precision", "float8", "float",
        ),
        AttributeType.NUMERIC,
    ),
    **dict.fromkeys(("boolean", "bool"), AttributeType.BINARY),
    **dict.fromkeys(("char", "character", "nchar", "bpchar"), AttributeType.CATEGORICAL),
}  # fmt: skip


@dataclass(frozen=True)
class Schema:
    """Names, meaning and roles of the columns of a datasource.

    Parameters
    ----------
    attributes
        All columns, in column order; 1 to 1,000, names of at most 64 characters, each name once.
    target
        The attribute that is predicted, or None for data that are only scored.
    row_id
        The attribute that names a record: never learnt from, copied to predictions as ``tag``.
    excluded
        Attributes that are in the data and not learnt from.
    header
        Whether each CSV file begins with a line of names.
    data_format
        Always ``"CSV"``: Amazon ML knew no other, and the document keeps its form for Parquet parts too.
    row_weight
        Always None: Amazon ML wrote the key and documented no meaning.

    Raises
    ------
    SchemaError
        When a limit is passed, or a role names an attribute that is not there.
    """

    attributes: tuple[Attribute, ...]
    target: str | None = None
    row_id: str | None = None
    excluded: tuple[str, ...] = ()
    header: bool = False
    data_format: str = DATA_FORMAT
    row_weight: None = None

    def __post_init__(self) -> None:
        _check_attributes(self.attributes)
        _check_roles(self)

    @cached_property
    def _types(self) -> dict[str, AttributeType]:
        return {attribute.name: attribute.type for attribute in self.attributes}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all attributes, in column order."""
        return tuple(attribute.name for attribute in self.attributes)

    @property
    def inputs(self) -> tuple[Attribute, ...]:
        """What is learnt from: the attributes without target, row id and excluded ones, in column order."""
        left_out = {self.target, self.row_id, *self.excluded}
        return tuple(attribute for attribute in self.attributes if attribute.name not in left_out)

    def type_of(self, name: str) -> AttributeType:
        """Type of the attribute `name`; SchemaError when there is no such attribute."""
        try:
            return self._types[name]
        except KeyError:
            raise SchemaError(f"the schema has no attribute {name!r}; it has {_listed(self.names)}") from None

    def require_target(self) -> Attribute:
        """The target of a schema to train or evaluate with; SchemaError when none is named or it is TEXT."""
        if self.target is None:
            raise SchemaError(
                "the schema names no target, so nothing can be trained or evaluated with it; "
                "set targetAttributeName to one of " + _listed(self.names)
            )
        kind = self.type_of(self.target)
        if kind is AttributeType.TEXT:
            raise SchemaError(
                f"the target {self.target!r} is TEXT, which can not be predicted; declare it NUMERIC (regression), "
                "BINARY or CATEGORICAL (classification) in the schema, or name another target"
            )
        return Attribute(self.target, kind)

    @classmethod
    def from_json(cls, text: str) -> Schema:
        """Read a ``.schema`` document.

        Raises
        ------
        SchemaError
            When the text is no JSON object of Amazon ML's form, or the schema passes a limit.
        """
        return cls.from_document(load_document(text))

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Schema:
        """Read a document that `load_document` has checked."""
        return cls(
            attributes=_attributes(document["attributes"]),
            target=optional_name(document, "targetAttributeName"),
            row_id=optional_name(document, "rowId"),
            excluded=names_in(document, "excludedAttributeNames"),
            header=flag_in(document, "dataFileContainsHeader"),
        )

    def to_json(self) -> str:
        """The ``.schema`` document, with Amazon ML's keys, ended by a line end."""
        document = {
            "version": VERSION,
            "rowId": self.row_id,
            "rowWeight": self.row_weight,
            "targetAttributeName": self.target,
            "dataFormat": self.data_format,
            "dataFileContainsHeader": self.header,
            "attributes": [
                {"attributeName": attribute.name, "attributeType": attribute.type.value}
                for attribute in self.attributes
            ],
            "excludedAttributeNames": list(self.excluded),
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_columns(cls, columns: Sequence[tuple[str, str]]) -> Schema:
        """Schema of the columns that an UNLOAD wrote.

        Parameters
        ----------
        columns
            (name, Redshift type) in column order; a length or precision in parentheses and case do not matter.

        Returns
        -------
        Schema
            Whole and fractional numbers are NUMERIC, booleans BINARY, CHAR is CATEGORICAL and everything else,
            VARCHAR, dates and timestamps among them, TEXT: Amazon ML's map. It has no target and no row id.

        Examples
        --------
        >>> schema = Schema.from_columns([("venue", "character varying(100)"), ("price", "numeric(8,2)")])
        >>> [str(attribute.type) for attribute in schema.attributes]
        ['TEXT', 'NUMERIC']
        """
        return cls(tuple(Attribute(name, _from_redshift(kind)) for name, kind in columns))

    def with_overrides(self, override: Mapping[str, Any]) -> Schema:
        """This schema with what a part of a ``.schema`` document says otherwise.

        Parameters
        ----------
        override
            Any of the document's keys. ``attributes`` lists only those attributes whose type changes: the order of
            the columns stays. An attribute that this schema lacks is an error.
        """
        if not isinstance(override, Mapping):
            raise SchemaError("a schema override must be an object with keys of a .schema document")
        override = check_document(override, "the schema override")
        types = dict(self._types)
        for attribute in _attributes(override.get("attributes", [])):
            self.type_of(attribute.name)
            types[attribute.name] = attribute.type
        changes: dict[str, Any] = {"attributes": tuple(Attribute(name, types[name]) for name in self.names)}
        if "targetAttributeName" in override:
            changes["target"] = optional_name(override, "targetAttributeName")
        if "rowId" in override:
            changes["row_id"] = optional_name(override, "rowId")
        if "excludedAttributeNames" in override:
            changes["excluded"] = names_in(override, "excludedAttributeNames")
        if "dataFileContainsHeader" in override:
            changes["header"] = flag_in(override, "dataFileContainsHeader")
        return replace(self, **changes)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:20])
    return shown if len(names) <= 20 else f"{shown} and {len(names) - 20} more"


def _attributes(value: Any) -> tuple[Attribute, ...]:
    return tuple(Attribute(name, _type_named(kind, name)) for name, kind in attribute_pairs(value))


def _type_named(kind: str, name: str) -> AttributeType:
    try:
        return AttributeType(kind)
    except ValueError:
        if kind in _SEQUENCE_TYPES:
            raise SchemaError(
                f"attribute {name!r:.80} has the type {kind}, which Amazon ML never defined; write CATEGORICAL or TEXT"
            ) from None
        raise SchemaError(
            f"attribute {name!r:.80} has the type {kind!r:.80}; write one of {', '.join(AttributeType)}"
        ) from None


def _from_redshift(kind: str) -> AttributeType:
    base = " ".join(kind.partition("(")[0].lower().split())
    return _REDSHIFT_TYPES.get(base, AttributeType.TEXT)


def _check_attributes(attributes: tuple[Attribute, ...]) -> None:
    if not 1 <= len(attributes) <= MAX_ATTRIBUTES:
        raise SchemaError(
            f"the schema has {len(attributes):,} attributes; 1 to {MAX_ATTRIBUTES:,} are allowed: select fewer columns"
        )
    seen: set[str] = set()
    for attribute in attributes:
        name = attribute.name
        if not 1 <= len(name) <= MAX_NAME_CHARACTERS:
            raise SchemaError(
                f"attribute name {name[:80]!r} has {len(name)} characters; 1 to {MAX_NAME_CHARACTERS} are allowed: "
                "rename the column (in SQL by AS)"
            )
        if not _is_text(name):
            raise SchemaError(f"attribute name {name!r} holds half a surrogate pair, which no file can hold; rename it")
        if name in seen:
            raise SchemaError(f"attribute {name!r} is named twice; give each column its own name")
        seen.add(name)


def _is_text(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _check_roles(schema: Schema) -> None:
    names = set(schema.names)
    roles = [("targetAttributeName", schema.target), ("rowId", schema.row_id)]
    roles += [("excludedAttributeNames", name) for name in schema.excluded]
    for role, name in roles:
        if name is not None and name not in names:
            raise SchemaError(f"{role} names {name!r}, which is no attribute; the schema has {_listed(schema.names)}")
    if len(set(schema.excluded)) < len(schema.excluded):
        raise SchemaError(f"excludedAttributeNames names an attribute twice: {_listed(schema.excluded)}")
    if schema.target is not None and schema.target in schema.excluded:
        raise SchemaError(
            f"the target {schema.target!r} is excluded too; "
            "take it out of excludedAttributeNames, or name another target"
        )
    if schema.target is not None and schema.target == schema.row_id:
        raise SchemaError(f"{schema.target!r} is both target and row id; a record's name can not be predicted")
