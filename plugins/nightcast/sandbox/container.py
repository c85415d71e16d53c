"""The sandbox as services of docker-compose.yaml: ``python -m nightcast.sandbox.container serve|sample|healthy``.

``NIGHTCAST_SANDBOX`` is ``on``, or anything else for off: the compose file hands over what it was given as AWS
connection, so that there is no sandbox beside a real AWS. One that is off idles until it is stopped, for Docker would
start again what ends.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nightcast.errors import NightcastError
from nightcast.sandbox.account import load_sample_until
from nightcast.sandbox.stack import answers, say

PORT = 4566
SERVICE = "sandbox"
DIRECTORY = Path("/opt/sandbox")


def main(arguments: list[str] | None = None) -> int:
    """Do what one service does; the exit code.

    ``serve`` runs until SIGTERM. ``sample`` has sample sales up to yesterday, UTC, and ends. ``healthy`` is 0 where
    the sandbox answers, or is off.
    """
    parser = argparse.ArgumentParser(prog="python -m nightcast.sandbox.container", description=__doc__)
    parser.add_argument("command", choices=("serve", "sample", "healthy"))
    command = parser.parse_args(arguments).command
    if os.environ.get("NIGHTCAST_SANDBOX", "on") != "on":
        if command == "serve":
            _idle()
        return 0
    if command == "serve":
        from nightcast.sandbox.__main__ import main as serve

        # All addresses of the container; the compose file publishes the port on the host's loopback only.
        where = ["--host", "0.0.0.0", "--port", str(PORT), "--directory", str(DIRECTORY)]  # noqa: S104
        # Less than the container's limit, for the buckets are in memory, too.
        return serve([*where, "--memory-limit", "2GB"])
    if command == "healthy":
        return 0 if answers(f"http://127.0.0.1:{PORT}/health") else 1
    return _sample()


def _sample() -> int:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    try:
        loaded = load_sample_until(f"http://{SERVICE}:{PORT}", yesterday)
    except NightcastError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    say(f"sample sales up to {yesterday}: {'loaded' if loaded else 'there already'}")
    return 0


def _idle() -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    say("an AWS connection is given: no sandbox")
    stop.wait()


if __name__ == "__main__":
    sys.exit(main())
