"""The stack of docker-compose.yaml as its users meet it: Compose's commands, the REST API, the bucket."""

from __future__ import annotations

import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docker_engine import run
from nightcast.sandbox.account import client
from nightcast.sandbox.processes import free_port

DAG = "sales_forecast"
SERVICES = ("postgres", "sandbox", "api-server", "scheduler", "dag-processor", "triggerer")


class ComposeStack:
    """One project of Compose on free ports.

    Parameters
    ----------
    project
        The folder with docker-compose.yaml.
    commands
        Compose's command by its major version.
    folder
        For an empty file of settings: what a developer has set must not be tested.
    """

    def __init__(self, project: Path, commands: dict[int, list[str]], folder: Path) -> None:
        self.project = project
        self.commands = commands
        self.version = min(commands)
        self.name = f"nightcast-test-{os.getpid()}"
        self._settings = folder / "settings.env"
        self._token = ""
        self.url = f"http://127.0.0.1:{free_port()}"
        self.aws_url = f"http://127.0.0.1:{free_port()}"
        self.set()

    def set(self, **settings: str) -> None:
        """Write .env anew."""
        ports = {"NIGHTCAST_PORT": self.url, "NIGHTCAST_SANDBOX_PORT": self.aws_url}
        lines = {name: url.rpartition(":")[2] for name, url in ports.items()} | settings
        self._settings.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))

    def compose(self, *arguments: str, seconds: float = 600, check: bool = True) -> str:
        """A command of Compose."""
        command = self.commands[self.version]
        options = ["--project-name", self.name, "--env-file", str(self._settings)]
        options += ["--project-directory", str(self.project), "--file", str(self.project / "docker-compose.yaml")]
        return run(*command, *options, *arguments, seconds=seconds, check=check)

    def airflow(self, *arguments: str) -> str:
        """An Airflow command in the scheduler's container."""
        return self.compose("exec", "-T", "scheduler", "airflow", *arguments)

    def containers(self, service: str) -> list[dict[str, Any]]:
        """What Docker tells of a service's containers."""
        labels = [
            f"--filter=label=com.docker.compose.{name}" for name in (f"project={self.name}", f"service={service}")
        ]
        ids = run("docker", "ps", "--all", "--quiet", *labels).split()
        return list(json.loads(run("docker", "inspect", *ids))) if ids else []

    def wait_healthy(self, *services: str, seconds: float = 180) -> None:
        """Wait until each container of the services is up and healthy."""

        def healthy() -> bool:
            return all(
                container["State"].get("Health", {}).get("Status") == "healthy" and container["State"]["Running"]
                for service in services
                for container in self.containers(service) or [{"State": {"Running": False}}]
            )

        until(f"{services} to be healthy", healthy, seconds, self._states)

    def _states(self) -> str:
        return self.compose("ps", check=False) + self.compose("logs", "--tail=40", "--no-color", check=False)[-12000:]

    def kill(self, service: str) -> None:
        """Kill a service's first container as the kernel would, and wait until Docker has started it again."""
        [first, *_] = self.containers(service)
        before, pid = first["RestartCount"], first["State"]["Pid"]
        run("docker", "run", "--rm", "--pid=host", "--user=root", "--entrypoint=bash",
            "postgres:17-trixie", "-c", f"kill -9 {pid}")  # fmt: skip

        def restarted() -> bool:
            found = next(one for one in self.containers(service) if one["Id"] == first["Id"])
            return bool(found["RestartCount"] > before and found["State"]["Running"])

        until(f"{service} to be started again", restarted, 60, self._states)

    def api(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Call the REST API; waits for an API server that is not there yet."""
        return dict(until(f"{method} {path}", lambda: self._called(method, path, body), 120, self._states))

    def _called(self, method: str, path: str, body: Any) -> dict[str, Any] | None:
        try:
            if not self._token:
                login = {"username": "admin", "password": self.password()}
                self._token = self._sent("POST", "/auth/token", login)["access_token"]
            return self._sent(method, f"/api/v2{path}", body)
        except urllib.error.HTTPError as error:
            if error.code < 500:
                raise
        except OSError:
            pass
        return None

    def _sent(self, method: str, path: str, body: Any) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return json.loads(answer.read() or b"{}") or {"empty": True}

    def password(self) -> str:
        """The administrator's, found as the documents tell."""
        return str(json.loads(self.compose("exec", "-T", "api-server", "cat", "/opt/airflow/passwords.json"))["admin"])

    def trigger(self, **conf: Any) -> str:
        """Start a run; returns its id."""
        return str(self.api("POST", f"/dags/{DAG}/dagRuns", {"logical_date": None, "conf": conf})["dag_run_id"])

    def runs(self) -> dict[str, str]:
        """State of each run by its id."""
        return {
            run["dag_run_id"]: run["state"] for run in self.api("GET", f"/dags/{DAG}/dagRuns?limit=100")["dag_runs"]
        }

    def tasks(self, run_id: str) -> dict[str, dict[str, Any]]:
        """Task instances of a run by their id."""
        found = self.api("GET", f"/dags/{DAG}/dagRuns/{run_id}/taskInstances?limit=100")["task_instances"]
        return {task["task_id"]: task for task in found}

    def wait_success(self, *run_ids: str, seconds: float = 600) -> None:
        """Wait until the runs have succeeded; a failed one fails the test, with its tasks and logs."""

        def succeeded() -> bool:
            states = {run_id: state for run_id, state in self.runs().items() if run_id in run_ids}
            failed = [run_id for run_id, state in states.items() if state == "failed"]
            assert not failed, "\n".join(self._told(run_id) for run_id in failed)
            return len(states) == len(run_ids) and set(states.values()) == {"success"}

        until(f"{run_ids} to succeed", succeeded, seconds, lambda: "\n".join(map(self._told, run_ids)))

    def wait_task(self, run_id: str, task_id: str, *states: str, seconds: float = 300) -> None:
        """Wait until a task of a run is in one of the states; a failed run fails the test."""

        def there() -> bool:
            assert self.runs()[run_id] != "failed", self._told(run_id)
            return self.tasks(run_id)[task_id]["state"] in states

        until(f"{task_id} to be {states}", there, seconds, lambda: self._told(run_id))

    def _told(self, run_id: str) -> str:
        tasks = {name: (task["state"], task["try_number"]) for name, task in self.tasks(run_id).items()}
        return f"{run_id}: {tasks}\n{self._states()}"

    def published(self) -> list[str]:
        """Keys of the finished runs' run.json."""
        pages = client(self.aws_url, "s3").get_paginator("list_objects_v2").paginate(Bucket="nightcast")
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return [key for key in keys if re.fullmatch(rf"forecasts/{DAG}/period=[^/]+/run=[^/]+/run\.json", key)]


def until(what: str, ready: Callable[[], Any], seconds: float, told: Callable[[], str]) -> Any:
    """Wait for something true; after so many seconds fail, and tell how things are."""
    deadline = time.monotonic() + seconds
    while not (found := ready()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} seconds for {what}\n{told()}")
        time.sleep(1)
    return found
