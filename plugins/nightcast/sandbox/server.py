"""The sandbox's one process: an HTTP server for S3, STS, IAM and the Redshift Data API."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from nightcast.errors import StorageError
from nightcast.sandbox.api_requests import ApiError
from nightcast.sandbox.data_api import DataApi
from nightcast.sandbox.journal import BucketJournal
from nightcast.sandbox.metadata_api import MetadataApi
from nightcast.sandbox.persistence import load_buckets, s3_backend, save_buckets
from nightcast.sandbox.runner import Runner
from nightcast.sandbox.s3_access import S3Access
from nightcast.sandbox.statements import StatementStore
from nightcast.sandbox.warehouse import Warehouse, WarehouseSettings

log = logging.getLogger(__name__)

_TARGET = "RedshiftData."
_SCOPE = re.compile(r"Credential=[^/]*/\d+/([a-z0-9-]+)/")
# moto keeps its buckets in module variables, so a process has room for one sandbox at a time.
_in_use = threading.Lock()

StartResponse = Callable[..., Any]


class _QuietHandler(MotoRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Requests are no news."""


class Sandbox:
    """A local AWS, started in this process.

    >>> with Sandbox() as aws:  # doctest: +SKIP
    ...     boto3.client("s3", endpoint_url=aws.endpoint_url, region_name="us-east-1", ...)

    Parameters
    ----------
    directory
        Where warehouse and buckets are kept between runs; created when needed. What a request has written is
        there before the request is answered, so that a kill loses no key and no row. None: all in memory.
    port
        0 takes a free one.
    host
        The address that it listens on. It checks no signature, so others than 127.0.0.1 are for containers only.
    slices
        How many files a parallel UNLOAD writes at least.
    database
        The name of the only database.
    s3_endpoint
        The S3 server that UNLOAD and COPY use; None: the sandbox's own.
    page_rows
        Records in a page of GetStatementResult.
    threads, memory_limit
        DuckDB's; with one thread a query equal statements give equal bytes.
    """

    def __init__(
        self,
        directory: Path | str | None = None,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        slices: int = 2,
        database: str = "dev",
        s3_endpoint: str | None = None,
        page_rows: int = 1000,
        threads: int = 1,
        memory_limit: str | None = None,
    ) -> None:
        self._directory = Path(directory) if directory is not None else None
        self._port = port
        self._host = host
        self._settings = WarehouseSettings(database, slices, threads, memory_limit)
        self._s3_endpoint = s3_endpoint
        self._page_rows = page_rows
        self._server: BaseWSGIServer | None = None
        self._warehouse: Warehouse | None = None
        self._journal: BucketJournal | None = None
        self._runner: Runner | None = None
        self._clients: dict[str, S3Access] = {}
        self._clients_lock = threading.Lock()

    @property
    def endpoint_url(self) -> str:
        """The address of all services on this machine, such as ``http://127.0.0.1:40123``."""
        if self._server is None:
            raise RuntimeError("the sandbox is not started")
        return f"http://127.0.0.1:{self._server.port}"

    def start(self) -> Sandbox:
        """Open warehouse and buckets, and serve; returns when requests are answered.

        Raises
        ------
        StorageError
            When the folder is in use by another sandbox, or can not be read.
        RuntimeError
            When this process runs a sandbox already.
        """
        if not _in_use.acquire(blocking=False):
            raise RuntimeError("this process runs a sandbox already; stop it first, or start the other by python -m")
        try:
            self._open()
        except BaseException:
            self._close()
            raise
        return self

    def _open(self) -> None:
        s3_backend().reset()
        self._warehouse = Warehouse(self._warehouse_path(), self._settings)
        if self._directory is not None:
            load_buckets(self._directory / "buckets")
            self._journal = BucketJournal(self._directory / "buckets")
        store = StatementStore()
        self._runner = Runner(self._warehouse, store, self._s3)
        self._api = DataApi(self._runner, store, self._page_rows)
        MetadataApi(self._warehouse, self._api)
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(self._host, self._port, self._answer, threaded=True, request_handler=_QuietHandler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="sandbox", daemon=True)
        self._thread.start()

    def _warehouse_path(self) -> Path | None:
        if self._directory is None:
            return None
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / "warehouse.duckdb"
        try:
            duckdb.connect(str(path)).close()
        except duckdb.Error as error:
            raise StorageError(
                f"the sandbox's warehouse {path} can not be opened ({str(error).splitlines()[0]});"
                " another sandbox may be using the folder: stop it, or choose another folder"
            ) from error
        return path

    def stop(self) -> None:
        """Cancel running statements, stop serving, and write warehouse and buckets to the folder."""
        if self._server is None:
            return
        try:
            # Statements first: those that run need S3 until they have ended.
            if self._runner is not None:
                self._runner.stop()
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            if self._directory is not None:
                save_buckets(self._directory / "buckets")  # with tags and settings, and without a journal
        finally:
            self._close()

    def _close(self) -> None:
        """Let go of everything that start took, whether or not it got to its end."""
        self._server = None
        self._runner = None
        self._journal = None
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        if self._warehouse is not None:
            self._warehouse.close()
            self._warehouse = None
        s3_backend().reset()
        _in_use.release()

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _s3(self, region: str) -> S3Access:
        with self._clients_lock:
            if region not in self._clients:
                self._clients[region] = S3Access(self._s3_endpoint or self.endpoint_url, region)
            return self._clients[region]

    def _answer(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """The WSGI application: the Data API and /health here, everything else is moto's."""
        if environ.get("HTTP_X_AMZ_TARGET", "").startswith(_TARGET):
            return self._answer_data_api(environ, start_response)
        if environ["PATH_INFO"] == "/health" and "HTTP_AUTHORIZATION" not in environ:
            health = {"status": "ok", "endpoint": self.endpoint_url, "database": self._settings.database}
            return _json(start_response, 200, health)
        answer: Iterable[bytes] = self._moto(environ, start_response)
        if self._journal is not None and environ["REQUEST_METHOD"] in ("PUT", "POST", "DELETE"):
            self._journal.record()
        return answer

    def _answer_data_api(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        operation = environ["HTTP_X_AMZ_TARGET"].removeprefix(_TARGET)
        scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
        try:
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            request = json.loads(body or b"{}")
            if not isinstance(request, dict):
                raise ValueError("no JSON object")
            answer = self._api.call(operation, request, scope[1] if scope else "us-east-1")
            return _json(start_response, 200, answer)
        except ApiError as error:
            return _json(start_response, 400, {"__type": error.code, **error.members})
        except ValueError as error:
            return _json(start_response, 400, {"__type": "SerializationException", "Message": str(error)})
        except Exception as error:
            log.exception("%s failed in the sandbox itself", operation)
            return _json(start_response, 500, {"__type": "InternalServerException", "Message": repr(error)})


def _json(start_response: StartResponse, status: int, body: dict[str, Any]) -> list[bytes]:
    data = json.dumps(body).encode()
    reasons = {200: "OK", 400: "Bad Request", 500: "Internal Server Error"}
    headers = [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(data)))]
    if "__type" in body:
        headers.append(("x-amzn-ErrorType", body["__type"]))
    start_response(f"{status} {reasons[status]}", headers)
    return [data]
