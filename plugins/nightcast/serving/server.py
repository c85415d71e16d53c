"""The HTTP server of an endpoint."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nightcast.errors import PredictionError
from nightcast.serving.amazon_ml import MEDIA_TYPE, Api, Source, refusal

log = logging.getLogger(__name__)
# Amazon ML took records of up to 100 KB; JSON may write a character as six.
_MOST_BYTES = 1 << 20
_BACKLOG = 1_024


def application(api: Api, refresh_seconds: float) -> Starlette:
    """The endpoint: ``POST /`` is Amazon ML's API, ``GET /health`` says which model it has.

    Parameters
    ----------
    refresh_seconds
        Pause between two looks for another model.
    """

    async def call(request: Request) -> Response:
        body = bytearray()
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > _MOST_BYTES:
                    said = refusal("InvalidInputException", f"the request is longer than {_MOST_BYTES:,} bytes.")
                    return Response(said, 413, media_type=MEDIA_TYPE)
        except ClientDisconnect:
            # Nobody is there to read it.
            return Response(status_code=400)
        target, url = request.headers.get("x-amz-target"), str(request.base_url).rstrip("/")
        status, content = await run_in_threadpool(api.answer, target, bytes(body), url)
        return Response(content, status, media_type=MEDIA_TYPE)

    async def health(_: Request) -> Response:
        served, trouble = api.source.current, api.source.trouble
        found = {"status": "READY", "mlModelId": api.model_id, "model": served.folder, "since": str(served.since)}
        return JSONResponse({**found, "trouble": trouble} if trouble else found)

    @contextlib.asynccontextmanager
    async def refreshing(_: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(refresh_for_ever(api.source, refresh_seconds))
        yield
        task.cancel()

    routes = [Route("/", call, methods=["POST"]), Route("/health", health)]
    return Starlette(routes=routes, lifespan=refreshing)


async def refresh_for_ever(source: Source, seconds: float) -> None:
    """Look for another model every so many seconds, whatever comes of it."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await run_in_threadpool(source.refresh)
        except Exception:
            log.exception("it could not be looked for another model; the last one goes on")


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens; PredictionError where it can not be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        # From now on clients wait instead of being refused.
        found.listen(_BACKLOG)
    except OSError as fault:
        found.close()
        raise PredictionError(
            f"the endpoint can not listen on {host}, port {port}: {fault.strerror}. Choose others by --host and --port."
        ) from fault
    return found


def serve(api: Api, listening: socket.socket, refresh_seconds: float) -> None:
    """Answer requests until a signal comes."""
    settings: dict[str, Any] = {"log_level": "warning", "server_header": False, "timeout_graceful_shutdown": 5}
    server = uvicorn.Server(uvicorn.Config(application(api, refresh_seconds), **settings))
    server.run(sockets=[listening])
