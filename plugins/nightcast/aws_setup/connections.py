"""Airflow's connections to what a stack has made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

AWS, REDSHIFT = "aws_default", "redshift_default"


def connections(outputs: Mapping[str, str], region: str) -> dict[str, dict[str, Any]]:
    """Both connections by id, in the JSON form that Airflow imports.

    Parameters
    ----------
    outputs
        Of the stack.
    region
        Of the stack, which is that of bucket and Redshift.

    Examples
    --------
    >>> made = connections({"Bucket": "b", "Prefix": "p", "RedshiftRoleArn": "r", "Database": "dev",
    ...                     "WorkgroupName": "sales"}, "eu-central-1")
    >>> made["redshift_default"]["extra"]["workgroup_name"], made["aws_default"]["extra"]["bucket"]
    ('sales', 'b')
    """
    target = {
        "workgroup_name": outputs.get("WorkgroupName"),
        "cluster_identifier": outputs.get("ClusterIdentifier"),
        "db_user": outputs.get("DbUser"),
        "secret_arn": outputs.get("SecretArn"),
        "database": outputs["Database"],
        "iam_role": outputs["RedshiftRoleArn"],
    }
    given = {name: value for name, value in target.items() if value}
    place = {"bucket": outputs["Bucket"], "prefix": outputs["Prefix"]}
    return {
        AWS: {"conn_type": "aws", "extra": {"region_name": region, **place}},
        REDSHIFT: {"conn_type": "aws", "extra": {"region_name": region, **given}},
    }
