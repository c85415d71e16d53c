"""The Redshift Data API at the cluster or workgroup that a connection names."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.providers.amazon.aws.hooks.redshift_data import QueryExecutionOutput, RedshiftDataHook

from nightcast.hooks.caller import CheapCaller

_TARGET = ("cluster_identifier", "workgroup_name", "database", "db_user", "secret_arn")


class RedshiftConnectionHook(CheapCaller, RedshiftDataHook):
    """
    Run statements where the connection's extra says.

    The extra of an ``aws`` connection may hold ``workgroup_name``, or ``cluster_identifier`` with
    ``db_user`` or ``secret_arn``; ``database``; and ``iam_role``, the role that Redshift itself
    assumes for UNLOAD and COPY (``default``, an ARN, or ARNs joined by commas). Arguments of a call
    go before the connection.
    """

    @cached_property
    def extras(self) -> dict[str, Any]:
        """The connection's extra; empty without a connection."""
        return dict(self.conn_config.extra_config)

    @property
    def iam_role(self) -> str:
        """Role for UNLOAD and COPY; the cluster's default role where the connection names none."""
        return str(self.extras.get("iam_role") or "default")

    def execute_query(self, sql: str | list[str], *args: Any, **kwargs: Any) -> QueryExecutionOutput:
        """Run a statement; see :meth:`RedshiftDataHook.execute_query`."""
        for name in _TARGET:
            if kwargs.get(name) is None and not self._excluded(name, kwargs):
                kwargs[name] = self.extras.get(name)
        return super().execute_query(sql, *args, **kwargs)

    @staticmethod
    def _excluded(name: str, kwargs: dict[str, Any]) -> bool:
        """A cluster, a workgroup and a session exclude one another, so a given one wins over the connection's."""
        rivals = {"cluster_identifier", "workgroup_name", "session_id"}
        return name in rivals and any(kwargs.get(rival) for rival in rivals)
