"""The files that ``nightcast insights`` writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nightcast.datasource.data_alerts import DataAlert
    from nightcast.datasource.insights_format import Insights
    from nightcast.datasource.schema import Schema
    from nightcast.storage import Storage

JSON, HTML, REJECTED = "insights.json", "insights.html", "rejected/"


@dataclass(frozen=True)
class Written:
    """Where files are: `page` and `document`, and one file of `rejected` for each part with rejected records."""

    page: str
    document: str
    rejected: tuple[str, ...]

    @property
    def uris(self) -> tuple[str, ...]:
        """All of them."""
        return (self.document, self.page, *self.rejected)


def write_insights(
    storage: Storage, folder: str, insights: Insights, schema: Schema, alerts: Sequence[DataAlert], name: str
) -> Written:
    """Write ``insights.json``, ``insights.html`` and ``rejected/``; the document last, so that it vouches for the rest.

    Parameters
    ----------
    folder
        On disk or S3. Files of earlier insights are replaced, and those of earlier rejected records deleted.
    name
        What the page calls the datasource.
    """
    from nightcast import artifacts
    from nightcast.datasource.rejects import rejected_files
    from nightcast.report.insights_page import render_insights

    base = folder.rstrip("/") + "/"
    storage.delete(storage.names_below(base + REJECTED))
    rejected = []
    for file, content in rejected_files(insights.rejects).items():
        place = f"{base}{REJECTED}{file}"
        storage.write_bytes(place, content, "text/csv")
        rejected.append(place)
    page = render_insights(insights, schema, alerts, name).encode()
    storage.write_bytes(base + HTML, page, artifacts.HTML)
    storage.write_bytes(base + JSON, insights.to_json().encode(), artifacts.JSON, rows=insights.records)
    return Written(base + HTML, base + JSON, tuple(rejected))
