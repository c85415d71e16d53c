"""The files that tell which records were rejected, and why."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence

from nightcast.datasource.parts import Reject
from nightcast.errors import DatasourceError

NAMED_REJECTS = 3
"""How many rejected records a message names."""


def rejected_files(rejects: Sequence[Reject]) -> dict[str, bytes]:
    """One CSV file a part with rejected records.

    Parameters
    ----------
    rejects
        In record order.

    Returns
    -------
    dict
        The part's file name, with a number before it where parts share one, and ``.csv`` -> UTF-8 text with the header
        ``record,reason,line`` and lines ended by ``\\n``; records are numbered over all parts from 0.

    Examples
    --------
    >>> rejected_files([Reject(7, "s3://b/sales/0000_part_00.gz", "has 2 cells, not 3", "1,x")])
    {'0000_part_00.gz.csv': b'record,reason,line\\n7,"has 2 cells, not 3","1,x"\\n'}
    """
    parts: dict[str, list[Reject]] = {}
    for reject in rejects:
        parts.setdefault(reject.uri, []).append(reject)
    names = [uri.rstrip("/").rsplit("/", 1)[-1] for uri in parts]
    often = Counter(names)
    unique = all(count == 1 for count in often.values())
    return {
        f"{name}.csv" if unique else f"{number:05d}-{name}.csv": _lines(found)
        for number, (name, found) in enumerate(zip(names, parts.values(), strict=True), start=1)
    }


def check_rejected(rejected: int, seen: int, allowed: int, first: Sequence[Reject]) -> None:
    """Refuse a datasource with more rejected records than allowed, or with no other.

    Parameters
    ----------
    rejected, seen
        Numbers of records: of those that can not be read, and of all.
    allowed
        How many may be rejected.
    first
        Rejected records in record order; the first `NAMED_REJECTS` are told.

    Raises
    ------
    DatasourceError
        With the reasons of the first rejected records.
    """
    told = "; ".join(f"record {one.record:,} in {one.uri}: {one.reason}" for one in first[:NAMED_REJECTS])
    if rejected > allowed:
        raise DatasourceError(
            f"{rejected:,} of {seen:,} records can not be read, and {allowed:,} are allowed, the first ones: {told}; "
            "mend the data or how they are unloaded, or allow more"
        )
    if rejected == seen:
        raise DatasourceError(
            f"none of the {seen:,} records can be read, the first ones: {told}; "
            "check that delimiter, quoting and schema fit the files"
        )


def _lines(rejects: Sequence[Reject]) -> bytes:
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["record", "reason", "line"])
    lines.writerows((reject.record, reject.reason, reject.line) for reject in rejects)
    return text.getvalue().encode()
