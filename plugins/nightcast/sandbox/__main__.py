"""``python -m nightcast.sandbox``: start the sandbox, print its address, run until a signal stops it."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path

from nightcast.errors import NightcastError
from nightcast.sandbox.server import Sandbox


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT, then stop in order; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m nightcast.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--directory", type=Path, help="keeps warehouse and buckets there; default: in memory")
    parser.add_argument("--slices", type=int, default=2, help="files that a parallel UNLOAD writes (default: 2)")
    parser.add_argument("--database", default="dev", help="name of the database (default: dev)")
    parser.add_argument("--s3-endpoint", help="S3 server for UNLOAD and COPY; default: the sandbox's own")
    parser.add_argument("--threads", type=int, default=1, help="of one query (default: 1, results repeat to the byte)")
    parser.add_argument("--memory-limit", help="of the warehouse, such as 2GB")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        sandbox = Sandbox(
            options.directory,
            port=options.port,
            host=options.host,
            slices=options.slices,
            database=options.database,
            s3_endpoint=options.s3_endpoint,
            threads=options.threads,
            memory_limit=options.memory_limit,
        )
        with sandbox:
            print(sandbox.endpoint_url, flush=True)
            stop.wait()
    except (NightcastError, OSError) as error:
        print(f"nightcast sandbox: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
