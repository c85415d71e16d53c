"""Airflow's REST API, as far as the local stack needs it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any

from nightcast.sandbox.processes import StackError

_ATTEMPTS, _PAUSE_SECONDS = 20, 0.3


class AirflowApi:
    """A client of the REST API v2 with SimpleAuthManager's tokens.

    Parameters
    ----------
    url
        Such as ``http://127.0.0.1:8080``.
    user, password
        A user of the SimpleAuthManager.
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url
        self._login = {"username": user, "password": password}
        self._token = ""

    def healthy(self, components: tuple[str, ...]) -> bool:
        """Whether metadata database and these components report health; False while nothing answers."""
        try:
            answer = self._send("GET", "/api/v2/monitor/health", None, {})
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return all(answer.get(name, {}).get("status") == "healthy" for name in ("metadatabase", *components))

    def get(self, path: str) -> dict[str, Any]:
        """GET below ``/api/v2``."""
        return self.call("GET", path)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST below ``/api/v2``."""
        return self.call("POST", path, body)

    def exists(self, path: str) -> bool:
        """Whether GET finds the object."""
        try:
            self.get(path)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return False
            raise
        return True

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call the API; a refusal is a StackError with Airflow's explanation, 404 stays an HTTPError.

        A call that found the database locked (500, 503) has written nothing, and is repeated.
        """
        if not self._token:
            self._token = str(self._send("POST", "/auth/token", self._login, {})["access_token"])
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._send(method, f"/api/v2{path}", body, {"Authorization": f"Bearer {self._token}"})
            except urllib.error.HTTPError as error:
                if error.code == 404:
                    raise
                answer = error.read().decode(errors="replace")
                if error.code not in (500, 503) or attempt >= _ATTEMPTS:
                    raise StackError(f"{method} {path}: {error.code} {answer}") from error
            time.sleep(_PAUSE_SECONDS)

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 -- the stack's own loopback address
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **headers},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            return dict(json.loads(answer.read() or b"{}"))
