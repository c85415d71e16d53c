"""``nightcast serve``: real-time predictions."""

from __future__ import annotations

import argparse
import json
import logging
from typing import TYPE_CHECKING

from nightcast.cli.arguments import Subparsers, add_common_arguments, positive, share, storage_of

if TYPE_CHECKING:
    from nightcast.serving.amazon_ml import Api, Source

_HOST, _PORT, _REFRESH = "127.0.0.1", 8765, 60


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "serve",
        help="real-time predictions by Amazon ML's API",
        description="Keep an HTTP endpoint that answers Predict and GetMLModel as Amazon ML did, so that boto3's "
        "client of it works; until interrupted. It asks nobody who they are: put a proxy before it that does.",
    )
    parser.add_argument(
        "model", metavar="MODEL", help="a model directory, or with --champion a registry; on disk or s3://"
    )
    parser.add_argument("--champion", metavar="NAME", help="serve whichever model of this name is champion")
    parser.add_argument("--id", metavar="ID", help="the MLModelId (default: NAME, or ml- and digits of the model)")
    parser.add_argument("--host", default=_HOST, help=f"address to listen on (default: {_HOST})")
    parser.add_argument("--port", type=port, default=_PORT, help=f"0 takes a free one (default: {_PORT})")
    parser.add_argument(
        "--intervals", type=share, metavar="P", help="REGRESSION: details tell Lower and Upper, such as for 0.9"
    )
    parser.add_argument(
        "--refresh",
        type=positive,
        metavar="S",
        help=f"look who is champion every S seconds (default: {_REFRESH})",
    )
    add_common_arguments(parser)
    parser.set_defaults(run_command=run, usage_error=parser.error)


def run(options: argparse.Namespace) -> None:
    """Load the model, tell the address, and answer until interrupted."""
    from nightcast.serving.amazon_ml import Api
    from nightcast.serving.server import bound, serve

    if options.refresh is not None and not options.champion:
        options.usage_error("--refresh needs --champion: a model directory stays as it is")
    logging.basicConfig(format="nightcast: %(message)s")
    logging.getLogger("nightcast").setLevel(logging.INFO)
    listening = bound(options.host, options.port)
    with listening:
        source = _source(options)
        host = f"[{options.host}]" if ":" in options.host else options.host
        url = f"http://{host}:{listening.getsockname()[1]}"
        api = Api(source, options.id or source.name)
        _tell(options, api, url)
        serve(api, listening, options.refresh or _REFRESH)


def _source(options: argparse.Namespace) -> Source:
    from nightcast.serving.served_model import ChampionOf, ModelFolder

    storage = storage_of(options)
    if options.champion:
        return ChampionOf(storage, options.model, options.champion, options.intervals)
    return ModelFolder(storage, options.model, options.intervals)


def _tell(options: argparse.Namespace, api: Api, url: str) -> None:
    folder = api.source.current.folder
    if options.json:
        said = json.dumps({"mlModelId": api.model_id, "endpointUrl": url, "model": folder})
    else:
        said = f"serving {api.model_id} ({folder}) at {url}, until interrupted"
    print(said, flush=True)


def port(text: str) -> int:
    """A port, for argparse."""
    number = int(text)
    if not 0 <= number <= 65_535:
        raise argparse.ArgumentTypeError(f"{text} is not one of 0 to 65535")
    return number
