"""The keys of Amazon ML's ``.schema`` document, read and checked one by one."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from nightcast.datasource.strict_json import parse_object
from nightcast.errors import SchemaError, SchemaWarning

VERSION = "1.0"
DATA_FORMAT = "CSV"
MAX_SCHEMA_CHARACTERS = 131_071
_KEYS = (
    "version", "rowId", "rowWeight", "targetAttributeName", "dataFormat", "dataFileContainsHeader",
    "attributes", "excludedAttributeNames",
)  # fmt: skip
_ATTRIBUTE_KEYS = ("attributeName", "attributeType")

# What the first texts of the API called these keys.
_OLD_SPELLINGS = {
    "variables": "attributes",
    "targetFieldName": "targetAttributeName",
    "targetVariableName": "targetAttributeName",
    "excludedVariableNames": "excludedAttributeNames",
    "recordAnnotationFieldName": "rowId",
    "recordWeightFieldName": "rowWeight",
    "fieldName": "attributeName",
    "fieldType": "attributeType",
    "variableName": "attributeName",
    "variableType": "attributeType",
}


def load_document(text: str, what: str = "the schema", *, whole: bool = True) -> dict[str, Any]:
    """The checked keys and values of a document, in today's spelling; SchemaError for every fault of form.

    Parameters
    ----------
    what
        How to call the document in a message.
    whole
        Whether it must list the attributes; a part of a document that overrides another need not.
    """
    if len(text) > MAX_SCHEMA_CHARACTERS:
        raise SchemaError(
            f"{what} has {len(text):,} characters and at most {MAX_SCHEMA_CHARACTERS:,} are allowed; "
            "select fewer columns"
        )
    document = check_document(parse_object(text, what, SchemaError), what)
    if whole and "attributes" not in document:
        raise SchemaError(f'{what} has no key "attributes"; list each column there, in column order')
    return document


def check_document(document: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The document in today's spelling.

    Unknown keys are refused, and values other than the only one that a key may have; older spellings are understood,
    with a `SchemaWarning`.
    """
    keys, document = list(document), _modern(document, _KEYS, what)
    _warn_of_old_spellings(keys, _KEYS, what)
    if document.get("version", VERSION) != VERSION:
        raise SchemaError(f'{what} is of version {document["version"]!r}; only "{VERSION}" is known')
    if document.get("dataFormat", DATA_FORMAT) != DATA_FORMAT:
        raise SchemaError(
            f'{what} has the dataFormat {document["dataFormat"]!r}; it must be "{DATA_FORMAT}", also for Parquet parts'
        )
    if document.get("rowWeight") is not None:
        raise SchemaError(f"{what} sets rowWeight, which Amazon ML never defined; set it to null")
    return document


def attribute_pairs(value: Any) -> list[tuple[str, str]]:
    """(name, type) of each entry of ``attributes``; the type is not yet looked at."""
    if not isinstance(value, list):
        raise SchemaError('"attributes" must be a list of {"attributeName", "attributeType"}')
    pairs = [_attribute_pair(entry, place) for place, entry in enumerate(value, start=1)]
    _warn_of_old_spellings([key for entry in value for key in entry], _ATTRIBUTE_KEYS, "attributes")
    return pairs


def optional_name(document: Mapping[str, Any], key: str) -> str | None:
    """The attribute name under `key`; None when it is null or absent."""
    value = document.get(key)
    if value is not None and not isinstance(value, str):
        raise SchemaError(f'"{key}" must be an attribute name or null, not {value!r:.80}')
    return value


def names_in(document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """The list of attribute names under `key`; empty when it is null or absent."""
    value = document.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise SchemaError(f'"{key}" must be a list of attribute names, not {value!r:.80}')
    return tuple(value)


def flag_in(document: Mapping[str, Any], key: str) -> bool:
    """The boolean under `key`; false when it is absent."""
    value = document.get(key, False)
    if not isinstance(value, bool):
        raise SchemaError(f'"{key}" must be true or false, not {value!r:.80}')
    return value


def _attribute_pair(entry: Any, place: int) -> tuple[str, str]:
    what = f"entry {place} of attributes"
    if not isinstance(entry, dict):
        raise SchemaError(f'{what} must be {{"attributeName", "attributeType"}}, not {entry!r:.80}')
    entry = _modern(entry, _ATTRIBUTE_KEYS, what)
    for key in _ATTRIBUTE_KEYS:
        if not isinstance(entry.get(key), str):
            raise SchemaError(f'{what} needs "{key}" with a string, not {entry.get(key)!r:.80}')
    return entry["attributeName"], entry["attributeType"]


def _modern(document: Mapping[str, Any], known: tuple[str, ...], what: str) -> dict[str, Any]:
    """The document with today's keys; SchemaError for an unknown key, and for one in both spellings."""
    found: dict[str, Any] = {}
    for key, value in document.items():
        modern = key if key in known else _OLD_SPELLINGS.get(key, "")
        if modern not in known:
            raise SchemaError(f"{what} has the unknown key {key!r:.80}; known keys are {', '.join(known)}")
        if modern in found:
            raise SchemaError(f"{what} has {modern!r} in two spellings, old and new; leave the old one out")
        found[modern] = value
    return found


def _warn_of_old_spellings(keys: Iterable[str], known: tuple[str, ...], what: str) -> None:
    """Warn once of each key that `_modern` has found another name for."""
    for key in dict.fromkeys(keys):
        if key not in known:
            warnings.warn(
                f"{what} has the key {key!r}, an old spelling of {_OLD_SPELLINGS[key]!r}; write the new one",
                SchemaWarning,
                stacklevel=3,
            )
