"""What the model registry refers to, and so protects."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nightcast.errors import RetentionError, StorageError
from nightcast.storage import is_s3, local_path

if TYPE_CHECKING:
    from nightcast.storage import Storage

_RUN = re.compile(r"([^/]+)/(period=[^/]+/run=[^/]+)(?=/|$)")


@dataclass(frozen=True)
class References:
    """What the registry's documents name, each with the documents that do.

    Parameters
    ----------
    runs
        By pipeline and ``period=X/run=Y``, wherever it lies: a bucket that has moved protects what it did.
    places
        By the place of a single object.
    """

    runs: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def references_in(documents: Mapping[str, Any]) -> References:
    """All that the registry's documents name: any string in them counts, whatever key it stands under.

    >>> found = references_in({"r.json": {"model": {"uri": "s3://b/sales/period=2008-12-31/run=a/model/model.json"}}})
    >>> found.runs
    {('sales', 'period=2008-12-31/run=a'): ('r.json',)}
    """
    runs, places = defaultdict[tuple[str, str], set[str]](set), defaultdict[str, set[str]](set)
    for name, document in documents.items():
        for text in _strings(document):
            place = place_of(text)
            places[place].add(name)
            for pipeline, run in _RUN.findall(place):
                runs[pipeline, run].add(name)
    return References(
        {key: tuple(sorted(names)) for key, names in runs.items()},
        {key: tuple(sorted(names)) for key, names in places.items()},
    )


def read_references(storage: Storage, registry: str) -> References:
    """What the JSON documents below the registry's prefix name.

    Raises
    ------
    StorageError, RetentionError
        If one of them can not be read, or is no JSON: what it protects can not be told then.
    """
    documents = {}
    for uri in storage.names_below(registry):
        # A console's "folders", and files that are being written beside their place.
        if uri.endswith("/") or uri.rsplit("/", 1)[-1].startswith("."):
            continue
        try:
            documents[uri] = json.loads(storage.read_bytes(uri))
        except StorageError as error:
            raise StorageError(f"nothing is removed, for the registry can not be read: {error}") from error
        except ValueError as error:
            raise RetentionError(
                f"nothing is removed, for the registry's {uri} is no JSON document: {error}. Restore it, or move it "
                "away if it does not belong there."
            ) from error
    return references_in(documents)


def place_of(uri: str) -> str:
    """One spelling of a URI, so that texts can be compared; ``file://`` URIs and plain paths become paths."""
    if is_s3(uri) or "/" not in uri:
        return uri
    try:
        return local_path(uri).absolute().as_posix()
    except (StorageError, ValueError):
        return uri


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from (str(key), *_strings(inner))
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
