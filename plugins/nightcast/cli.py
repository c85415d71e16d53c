"""The ``nightcast`` command."""

from __future__ import annotations

import argparse
import sys

from nightcast import __version__
from nightcast.errors import NightcastError


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code: 0 done, 1 failed, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="nightcast", description="Nightly sales forecasts from Redshift.")
    parser.add_argument("--version", action="version", version=f"nightcast {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    show = commands.add_parser("show", help="a published run: records, RMSE, first predictions, where they lie")
    show.add_argument("run", help="run.json of a run, or its folder: s3://..., or on disk")
    show.add_argument("--endpoint-url", help="another S3 than Amazon's, such as the sandbox's")
    options = parser.parse_args(arguments)
    try:
        return _show(options.run, options.endpoint_url)
    except NightcastError as error:
        print(f"nightcast: {error}", file=sys.stderr)
        return 1


def _show(run: str, endpoint_url: str | None) -> int:
    from nightcast.report.summary import run_summary
    from nightcast.storage import Storage

    print(run_summary(Storage({"endpoint_url": endpoint_url} if endpoint_url else {}), run))
    return 0


if __name__ == "__main__":
    sys.exit(main())
