"""``nightcast deploy-aws``: bucket, roles and rights by CloudFormation, and the connections that fit them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightcast.cli.arguments import Subparsers
from nightcast.errors import DeploymentError

if TYPE_CHECKING:
    from nightcast.aws_setup.deployment import Deployment, Plan

_TEMPLATE = Path("include/iam/nightcast.yaml")
_FLAGS = {
    "workgroup": ("WorkgroupName", "NAME", "Redshift Serverless workgroup"),
    "workgroup_id": ("WorkgroupId", "ID", "its id (default: is looked up)"),
    "cluster": ("ClusterIdentifier", "NAME", "provisioned Redshift cluster"),
    "db_user": ("DbUser", "NAME", "database user, on a cluster or of the secret (default: nightcast)"),
    "database": ("Database", "NAME", "database with the sales (default: dev)"),
    "airflow_role": ("AirflowRoleName", "NAME", "IAM role of Airflow's workers, which gets the rights"),
    "airflow_user": ("AirflowUserName", "NAME", "or its IAM user"),
    "bucket": ("BucketName", "NAME", "name of the bucket that is made (default: AWS makes one up)"),
    "prefix": ("Prefix", "PREFIX", "where in the bucket everything lies (default: nightcast)"),
}


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "deploy-aws",
        help="make what Nightcast needs on AWS, or change or remove it",
        description="Plan the stack as a change set, show it, carry it out once it is agreed to, and print the two "
        "Airflow connections that fit. Parameters that are not named keep the values of the last deployment.",
    )
    parser.add_argument("--stack", default="nightcast", metavar="NAME", help="name of the stack (default: nightcast)")
    for flag, (_, form, text) in _FLAGS.items():
        parser.add_argument(f"--{flag.replace('_', '-')}", metavar=form, help=text)
    parser.add_argument("--secret", action="store_true", help="log in by a secret that is made (CreateSecret)")
    parser.add_argument("--kms-key", action="store_true", help="encrypt with a key that is made (CreateKmsKey)")
    parser.add_argument(
        "--parameter", action="append", default=[], metavar="NAME=VALUE", help="any other one of the template"
    )
    parser.add_argument("--template", type=Path, default=_TEMPLATE, metavar="FILE", help=f"(default: {_TEMPLATE})")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--plan", action="store_true", help="only show what would change")
    what.add_argument("--delete", action="store_true", help="remove the stack; bucket and key stay")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--region", metavar="NAME", help="(default: that of the environment or profile)")
    parser.add_argument("--endpoint-url", metavar="URL", help="another AWS than Amazon's, for tests")
    parser.add_argument("--json", action="store_true", help="the connections as JSON, and no hints")
    parser.set_defaults(run_command=_run)


def _run(options: argparse.Namespace) -> None:
    from nightcast.aws_setup.connections import connections
    from nightcast.aws_setup.deployment import Deployment

    client = _client("cloudformation", options)
    deployment = Deployment(client, options.stack, poll_seconds=0.1 if options.endpoint_url else 2.0)
    if options.delete:
        _agreed(options, f"Remove the stack {options.stack}? Its bucket and key stay.")
        deployment.delete()
        print(f"removed {options.stack}; its bucket and KMS key, if it had one, are left", file=sys.stderr)
        return
    plan = deployment.plan(_template(options.template), _parameters(options))
    _show(plan)
    if options.plan:
        deployment.drop(plan)
        return
    if plan.change_set is not None:
        _agreed_or_dropped(options, deployment, plan)
    outputs = deployment.carry_out(plan)
    made = connections(outputs, client.meta.region_name)
    _print(made, outputs, options)


def _parameters(options: argparse.Namespace) -> dict[str, str]:
    given = {}
    for pair in options.parameter:
        name, equals, value = pair.partition("=")
        if not equals:
            raise DeploymentError(f"--parameter {pair} has no value: write NAME=VALUE.")
        given[name] = value
    for flag, (name, _, _) in _FLAGS.items():
        if getattr(options, flag) is not None:
            given[name] = getattr(options, flag)
    given |= {"CreateSecret": "true"} if options.secret else {}
    given |= {"CreateKmsKey": "true"} if options.kms_key else {}
    if given.get("WorkgroupName") and not given.get("WorkgroupId"):
        given["WorkgroupId"] = _workgroup_id(options, given["WorkgroupName"])
    return given


def _workgroup_id(options: argparse.Namespace, name: str) -> str:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        found = _client("redshift-serverless", options).get_workgroup(workgroupName=name)
    except (BotoCoreError, ClientError) as error:
        raise DeploymentError(
            f"the workgroup {name} can not be looked up ({error}): check name and region, or give --workgroup-id."
        ) from error
    return str(found["workgroup"]["workgroupId"])


def _template(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise DeploymentError(f"{path} can not be read ({error}): name the template by --template.") from error


def _client(service: str, options: argparse.Namespace) -> Any:
    import boto3
    from botocore.exceptions import NoRegionError

    try:
        return boto3.client(service, region_name=options.region, endpoint_url=options.endpoint_url)
    except NoRegionError as error:
        raise DeploymentError("no region is set: give --region, or set AWS_DEFAULT_REGION.") from error


def _show(plan: Plan) -> None:
    from nightcast.cli.tables import Printer

    # Standard output is for the connections.
    printer = Printer(sys.stderr)
    if plan.change_set is None:
        printer.line(f"{plan.stack} is as it should be; nothing to change")
        return
    printer.heading(f"{'Make' if plan.creates else 'Change'} the stack {plan.stack}")
    rows = [[one.action, one.name, one.kind, "yes" if one.replaced else ""] for one in plan.changes]
    printer.table(["action", "resource", "type", "made anew"], rows)


def _agreed_or_dropped(options: argparse.Namespace, deployment: Deployment, plan: Plan) -> None:
    try:
        _agreed(options, "Carry that out?")
    except DeploymentError:
        deployment.drop(plan)
        raise


def _agreed(options: argparse.Namespace, question: str) -> None:
    """Ask, unless it was agreed to beforehand; DeploymentError where the answer is no, or nobody can be asked."""
    if options.yes:
        return
    if not sys.stdin.isatty():
        raise DeploymentError("nobody can be asked here, so nothing was changed: add --yes to agree beforehand.")
    from rich.console import Console
    from rich.prompt import Confirm

    if not Confirm.ask(question, console=Console(stderr=True), default=False):
        raise DeploymentError("nothing was changed.")


def _print(made: dict[str, Any], outputs: dict[str, str], options: argparse.Namespace) -> None:
    text = json.dumps(made, indent=2)
    print(text)
    if options.json:
        return
    role, target = outputs["RedshiftRoleArn"], outputs.get("ClusterIdentifier")
    if target:
        make_known = f"aws redshift modify-cluster-iam-roles --cluster-identifier {target} --add-iam-roles {role}"
    else:
        make_known = f"add {role} to the IAM roles of the namespace of {outputs['WorkgroupName']}"
    print(
        f"\nNext: make the role known to Redshift ({make_known}), write the JSON above to connections.json, and run\n"
        "  airflow connections import connections.json\n"
        '  airflow pools set redshift 4 "Statements on Redshift at once"',
        file=sys.stderr,
    )
