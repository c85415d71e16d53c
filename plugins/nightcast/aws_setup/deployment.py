"""A CloudFormation stack: planned as a change set, carried out, removed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from nightcast.errors import DeploymentError

_POLL_SECONDS, _TIMEOUT_SECONDS = 2.0, 1800.0
_NO_CHANGE = ("didn't contain changes", "no updates are to be performed")


@dataclass(frozen=True)
class Change:
    """What becomes of one resource: ``Add``, ``Modify`` or ``Remove``; ``replaced`` if it is made anew."""

    action: str
    name: str
    kind: str
    replaced: bool = False


@dataclass(frozen=True)
class Plan:
    """A change set that waits to be carried out; without changes there is none."""

    stack: str
    change_set: str | None
    changes: list[Change] = field(default_factory=list)
    creates: bool = False


class Deployment:
    """One stack of one account and region.

    Parameters
    ----------
    client
        A boto3 client of CloudFormation.
    stack
        Name of the stack.
    poll_seconds
        Pause between two looks at what AWS does.
    """

    def __init__(self, client: Any, stack: str, *, poll_seconds: float = _POLL_SECONDS) -> None:
        self._client, self.stack, self._pause = client, stack, poll_seconds

    def plan(self, template: str, parameters: Mapping[str, str]) -> Plan:
        """Make a change set.

        Parameters
        ----------
        parameters
            By name. Those of a former deployment that are not named keep their values.

        Raises
        ------
        DeploymentError
            With what CloudFormation says.
        """
        status = self._status()
        creates = status in (None, "REVIEW_IN_PROGRESS")
        if status is not None and not creates and not status.endswith("_COMPLETE"):
            raise DeploymentError(
                f"the stack {self.stack} is {status}: wait until that has ended, or look at its events."
            )
        if status == "ROLLBACK_COMPLETE":
            raise DeploymentError(
                f"the stack {self.stack} could not be made ({self._reason()}) and can only be removed: do so by "
                "--delete, mend the cause, and deploy again."
            )
        name = f"nightcast-{int(time.time() * 1000)}"
        with self._explained(f"the template can not be deployed as {self.stack}"):
            self._client.create_change_set(
                StackName=self.stack,
                ChangeSetName=name,
                ChangeSetType="CREATE" if creates else "UPDATE",
                TemplateBody=template,
                Parameters=self._parameters(template, parameters, known=not creates),
                Capabilities=["CAPABILITY_IAM"],
            )
        return self._planned(name, creates)

    def carry_out(self, plan: Plan) -> dict[str, str]:
        """Execute a change set, wait for its end, and give the stack's outputs.

        Raises
        ------
        DeploymentError
            With the first reason of the failure; CloudFormation has taken back what it had done.
        """
        if plan.change_set is not None:
            with self._explained(f"the changes of {self.stack} can not be carried out"):
                self._client.execute_change_set(StackName=self.stack, ChangeSetName=plan.change_set)
            status = self._ended(lambda: self._status() or "")
            if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
                raise self._failed(status, "deploy again")
        return self.outputs()

    def drop(self, plan: Plan) -> None:
        """Forget a change set, and the empty stack that came with it."""
        if plan.change_set is None:
            return
        self._client.delete_change_set(StackName=self.stack, ChangeSetName=plan.change_set)
        if plan.creates:
            self._client.delete_stack(StackName=self.stack)

    def outputs(self) -> dict[str, str]:
        """What the stack tells of its resources."""
        found = self._described() or {}
        return {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])}

    def delete(self) -> None:
        """Remove the stack and wait; bucket and key stay.

        Raises
        ------
        DeploymentError
            If there is none, or a resource can not be removed.
        """
        found = self._described()
        if found is None:
            raise DeploymentError(f"there is no stack {self.stack} in this account and region: nothing is removed.")
        self.stack = found["StackId"]  # a removed stack is known by its id only
        with self._explained(f"the stack {self.stack} can not be removed"):
            self._client.delete_stack(StackName=self.stack)
        status = self._ended(lambda: self._status() or "DELETE_COMPLETE")
        if status != "DELETE_COMPLETE":
            raise self._failed(status, "remove it again")

    def _planned(self, name: str, creates: bool) -> Plan:
        def described(**more: str) -> dict[str, Any]:
            return dict(self._client.describe_change_set(StackName=self.stack, ChangeSetName=name, **more))

        self._ended(lambda: str(described()["Status"]))
        found = described()
        changes, page = [*found.get("Changes", [])], found
        while page.get("NextToken"):
            page = described(NextToken=page["NextToken"])
            changes += page.get("Changes", [])
        if found["Status"] == "FAILED":
            reason = str(found.get("StatusReason", "no reason given"))
            self._client.delete_change_set(StackName=self.stack, ChangeSetName=name)
            if any(words in reason.lower() for words in _NO_CHANGE):
                return Plan(self.stack, None)
            raise DeploymentError(
                f"the changes of {self.stack} can not be planned: {reason}. Mend that, then deploy again."
            )
        return Plan(self.stack, name, [_change(one["ResourceChange"]) for one in changes], creates)

    def _parameters(self, template: str, given: Mapping[str, str], *, known: bool) -> list[dict[str, Any]]:
        told = self._client.get_template_summary(TemplateBody=template)["Parameters"]
        names = {one["ParameterKey"] for one in told}
        unknown = sorted(set(given) - names)
        if unknown:
            raise DeploymentError(
                f"the template has no parameter {', '.join(unknown)}; it has {', '.join(sorted(names))}."
            )
        former = {one["ParameterKey"] for one in (self._described() or {}).get("Parameters", [])} if known else set()
        kept = [{"ParameterKey": name, "UsePreviousValue": True} for name in sorted(names & former - set(given))]
        return [{"ParameterKey": name, "ParameterValue": value} for name, value in sorted(given.items())] + kept

    def _described(self) -> dict[str, Any] | None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return dict(self._client.describe_stacks(StackName=self.stack)["Stacks"][0])
        except (BotoCoreError, ClientError) as error:
            if "does not exist" in str(error):
                return None
            raise DeploymentError(
                f"the stack {self.stack} can not be looked at ({error}): check credentials, region and rights."
            ) from error

    def _status(self) -> str | None:
        found = self._described()
        return None if found is None else str(found["StackStatus"])

    def _ended(self, status: Any) -> str:
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while (found := str(status())).endswith(("IN_PROGRESS", "PENDING")):
            if time.monotonic() > deadline:
                raise DeploymentError(f"{self.stack} is still {found} after half an hour: look at the stack's events.")
            time.sleep(self._pause)
        return found

    def _failed(self, status: str, then: str) -> DeploymentError:
        return DeploymentError(f"the stack {self.stack} is {status}: {self._reason()}. Mend that, then {then}.")

    def _reason(self) -> str:
        """Why the last operation failed: its first event that says so."""
        events = self._client.describe_stack_events(StackName=self.stack)["StackEvents"]
        failed = [one for one in events if str(one.get("ResourceStatus", "")).endswith("_FAILED")]
        if not failed:
            return "no event names a reason"
        return f"{failed[-1]['LogicalResourceId']}: {failed[-1].get('ResourceStatusReason', 'no reason given')}"

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        from botocore.exceptions import ClientError

        try:
            yield
        except ClientError as error:
            said = error.response.get("Error", {}).get("Message", str(error))
            raise DeploymentError(f"{what}: {said} Correct that, then try again.") from error


def _change(told: Mapping[str, Any]) -> Change:
    return Change(
        told["Action"],
        told["LogicalResourceId"],
        told["ResourceType"],
        str(told.get("Replacement", "False")) in ("True", "Conditional"),
    )
