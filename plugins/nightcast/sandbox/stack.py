"""The whole system on one machine: the sandbox AWS and Airflow's processes, on free loopback ports."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import sqlite3
import sys
import urllib.request
from contextlib import ExitStack, closing
from datetime import date
from pathlib import Path
from typing import Any

from nightcast.sandbox.account import BUCKET, DATABASE, IAM_ROLE, REGION, WORKGROUP, client, load_sample_until
from nightcast.sandbox.airflow_api import AirflowApi
from nightcast.sandbox.metadata_database import end_jobs
from nightcast.sandbox.processes import Processes, StackError, free_port

_USER = "admin"
_POOL = {
    "name": "redshift",
    "slots": 4,
    "description": "Statements that run on Redshift at once",
    "include_deferred": True,
}
# Of the last: without compiled modules each process compiles Airflow anew, for seconds.
_NOT_INHERITED = ("AIRFLOW_", "AIRFLOW__", "AWS_", "PYTHONDONTWRITEBYTECODE")
# Airflow imports it from <AIRFLOW_HOME>/config.
_LOCAL_SETTINGS = "from nightcast.preload import preload\n\npreload()\n"


class Stack:
    """Sandbox and Airflow, started together and stopped together.

    Parameters
    ----------
    project
        Folder that holds ``dags/`` and ``plugins/``.
    home
        Folder of this stack's state: metadata database, warehouse, buckets, logs.
    year_end
        Last day of the sample sales.
    scheduled
        Whether the nightly schedule runs; without it only triggered and backfilled runs do.
    keep
        Keep database, warehouse and buckets of an earlier, stopped stack.
    idle_seconds
        How long a scheduler that has found nothing to do sleeps. Each look costs a tenth of a second where four runs
        are under way.
    dag
        The pipeline that is to be run.
    """

    def __init__(
        self,
        project: Path,
        home: Path,
        *,
        year_end: date,
        scheduled: bool,
        keep: bool,
        idle_seconds: float = 0.2,
        dag: str = "sales_forecast",
    ) -> None:
        self.project = project
        self.home = home
        self.dag = dag
        self._year_end = year_end
        self._scheduled = scheduled
        self._keep = keep
        self._idle_seconds = idle_seconds
        self._exit = ExitStack()
        self.processes = Processes(home / "logs")
        self.endpoint_url = ""
        self.environment: dict[str, str] = {}
        self.password = ""
        self.api: AirflowApi

    def __enter__(self) -> Stack:
        try:
            self._lock()
            self.processes.end_leftovers()
            self._exit.callback(self.processes.stop)
            self._clean()
            self._start()
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def client(self, service: str) -> Any:
        """A boto3 client of the sandbox."""
        return client(self.endpoint_url, service)

    def airflow(self, *arguments: str) -> list[str]:
        """The command line of an Airflow command."""
        return [sys.executable, "-m", "airflow", *arguments]

    def log_tail(self, dag_id: str, run_id: str, task_id: str, lines: int = 8) -> str:
        """Last lines of a task's newest log."""
        folder = self.home / "airflow" / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
        logs = sorted(folder.glob("*.log"))
        return "\n".join(logs[-1].read_text(errors="replace").splitlines()[-lines:]) if logs else "(no log)"

    def _lock(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        handle = self._exit.enter_context((self.home / "lock").open("w"))
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StackError(f"another command is using {self.home}; wait for it, or stop it.") from error

    def _clean(self) -> None:
        for name in ("airflow", "sandbox", "output"):
            if not self._keep:
                shutil.rmtree(self.home / name, ignore_errors=True)
            (self.home / name).mkdir(exist_ok=True)

    def _start(self) -> None:
        port, sandbox_port = free_port(), free_port()
        self.endpoint_url = f"http://127.0.0.1:{sandbox_port}"
        self.environment = self._environment(port)
        say("starting the sandbox AWS and Airflow's metadata database")
        self.processes.start(
            "sandbox",
            [
                sys.executable,
                "-m",
                "nightcast.sandbox",
                "--port",
                str(sandbox_port),
                "--directory",
                str(self.home / "sandbox"),
            ],
            self.environment,
        )
        self._create_database()
        self.processes.start("migrate", self.airflow("db", "migrate"), self.environment)
        self.processes.until("the sandbox", lambda: answers(f"{self.endpoint_url}/health"), 60)
        say(f"sandbox AWS at {self.endpoint_url}; loading a year of sample sales up to {self._year_end}")
        load_sample_until(self.endpoint_url, self._year_end)
        self._load_own_tables()
        self.processes.wait("migrate")
        say(f"starting Airflow at http://127.0.0.1:{port}")
        self._start_airflow(port)

    def _create_database(self) -> None:
        """An empty metadata database that several processes can write to.

        With SQLite's default journal every reader holds up the writer; the write-ahead log, once chosen, stays with
        the file.
        """
        with closing(sqlite3.connect(self._database)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            end_jobs(connection)

    @property
    def _database(self) -> Path:
        return self.home / "airflow" / "airflow.db"

    def _start_airflow(self, port: int) -> None:
        serve = ("--host", "127.0.0.1", "--port", str(port), "--workers", "1")
        commands = {
            "api-server": self.airflow("api-server", *serve),
            # Without --skip-serve-logs these would open ports on all interfaces.
            "scheduler": self.airflow("scheduler", "--skip-serve-logs"),
            "dag-processor": self.airflow("dag-processor"),
        }
        components: tuple[str, ...] = ("scheduler", "dag_processor")
        if self._scheduled:
            commands["triggerer"] = self.airflow("triggerer", "--skip-serve-logs")
            components += ("triggerer",)
        for name, command in commands.items():
            self.processes.start(name, command, self.environment)
        self.api = AirflowApi(f"http://127.0.0.1:{port}", _USER, self.password)
        self.processes.until("Airflow", lambda: self.api.healthy(components), 180, pause=0.5)
        if not self.api.exists(f"/pools/{_POOL['name']}"):
            self.api.post("/pools", _POOL)
        self.processes.until(f"the DAG {self.dag}", self._dag_is_known, 120, pause=0.5)

    def _dag_is_known(self) -> bool:
        errors = self.api.get("/importErrors")["import_errors"]
        if errors:
            raise StackError(f"Airflow can not import {errors[0]['filename']}:\n{errors[0]['stack_trace']}")
        return self.api.exists(f"/dags/{self.dag}")

    def _load_own_tables(self) -> None:
        from nightcast.sandbox.own_tables import load_kept, tables_of

        names = load_kept(
            tables_of(self.project),
            self.client("redshift-data"),
            self.client("s3"),
            bucket=BUCKET,
            database=DATABASE,
            workgroup_name=WORKGROUP,
            iam_role=IAM_ROLE,
        )
        if names:
            say(f"loaded your tables: {', '.join(names)}")

    def _environment(self, port: int) -> dict[str, str]:
        keys = self._secrets()
        self.password = keys["password"]
        home = self.home / "airflow"
        (home / "passwords.json").write_text(json.dumps({_USER: self.password}))
        (home / "config").mkdir(exist_ok=True)
        (home / "config" / "airflow_local_settings.py").write_text(_LOCAL_SETTINGS)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
        settings = {
            "CORE__DAGS_FOLDER": str(self.project / "dags"),
            "CORE__PLUGINS_FOLDER": str(self.project / "plugins"),
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            # SQLite stands no burst of writers. More than there are processors, for some tasks only wait.
            "CORE__PARALLELISM": "8",
            "CORE__FERNET_KEY": keys["fernet"],
            "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
            "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{_USER}:admin",
            "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
            "API__BASE_URL": f"http://127.0.0.1:{port}",
            "API__SECRET_KEY": keys["api"],
            "API_AUTH__JWT_SECRET": keys["jwt"],
            "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self._database}",
            "DATABASE__SQL_ALCHEMY_CONNECT_ARGS": "nightcast.sandbox.metadata_database.CONNECT_ARGS",
            "SCHEDULER__USE_JOB_SCHEDULE": str(self._scheduled),
            "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": str(self._idle_seconds),
            "DAG_PROCESSOR__DAG_VERSION_INFLATION_CHECK_LEVEL": "error",
            # A supervisor that looks while its task's process is just ending looks again so many seconds later.
            "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "USAGE_DATA_COLLECTION__ENABLED": "False",
        }
        extra = {"endpoint_url": self.endpoint_url, "region_name": REGION}
        login = {"conn_type": "aws", "login": "sandbox", "password": "sandbox"}
        connections = {
            "AWS_DEFAULT": {**login, "extra": {**extra, "bucket": BUCKET, "prefix": "forecasts"}},
            "REDSHIFT_DEFAULT": {
                **login,
                "extra": {**extra, "workgroup_name": WORKGROUP, "database": DATABASE, "iam_role": IAM_ROLE},
            },
        }
        return {
            # Tasks run side by side: threads of theirs that wait for one another would only spin.
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
            **inherited,
            "AIRFLOW_HOME": str(home),
            # Behind a proxy the loopback addresses must be reached directly.
            **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost"),
            "PYTHONPATH": str(self.project / "plugins"),
            **{f"AIRFLOW__{name}": value for name, value in settings.items()},
            **{f"AIRFLOW_CONN_{name}": json.dumps(value) for name, value in connections.items()},
        }

    def _secrets(self) -> dict[str, str]:
        """Keys of this stack, made at its first start."""
        from cryptography.fernet import Fernet

        path = self.home / "airflow" / "secrets.json"
        if not path.is_file():
            keys = {name: secrets.token_urlsafe(32) for name in ("api", "jwt")}
            keys |= {"fernet": Fernet.generate_key().decode(), "password": secrets.token_urlsafe(9)}
            path.touch(mode=0o600)
            path.write_text(json.dumps(keys))
        return dict(json.loads(path.read_text()))


def answers(url: str) -> bool:
    """Whether a loopback URL answers."""
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def say(text: str) -> None:
    """Tell the person at the terminal what happens."""
    print(text, flush=True)
