"""What commands are told: data, schema, S3 and workers."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from nightcast.cli import progress
from nightcast.errors import RecipeError, SchemaError

if TYPE_CHECKING:
    from nightcast.datasource.opening import OpenedDatasource
    from nightcast.datasource.parts import Datasource, Mapper
    from nightcast.storage import Storage

S = TypeVar("S")
T = TypeVar("T")
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""Where commands are added; argparse has no public name for it."""

_BYTES_A_RECORD = 100


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what every command knows."""
    parser.add_argument("--endpoint-url", metavar="URL", help="another S3 than Amazon's, such as the sandbox's")
    parser.add_argument("--json", action="store_true", help="the machine form on standard output, and nothing else")


def add_data_arguments(parser: argparse.ArgumentParser, *, target: bool = True, optional: bool = False) -> None:
    """Declare what every command knows that reads records.

    Parameters
    ----------
    target
        Whether the target can be chosen; it can not where a model has it already.
    optional
        Whether the command does something without data, too.
    """
    parser.add_argument(
        "data",
        type=_place,
        nargs="?" if optional else None,
        help="a file, a folder, an UNLOAD manifest; on disk or s3://",
    )
    parser.add_argument("--schema", metavar="FILE", help="a .schema document, or a part of one that overrides")
    if target:
        parser.add_argument("--target", metavar="NAME", help="the attribute to predict")
    else:
        parser.set_defaults(target=None)
    parser.add_argument("--row-id", metavar="NAME", help="the attribute that names a record")
    parser.add_argument("--header", choices=("yes", "no"), help="whether CSV files begin with a line of names")
    parser.add_argument(
        "--null-as", metavar="TEXT", help="what an unquoted CSV cell holds that is NULL (default: nothing)"
    )
    parser.add_argument("--workers", type=positive, metavar="N", help="processes at most (default: one a processor)")
    add_common_arguments(parser)


def add_max_rejected(parser: argparse.ArgumentParser) -> None:
    """Declare how many records may be rejected."""
    parser.add_argument(
        "--max-rejected", type=_count, default=10_000, metavar="N", help="bad records at most (default: 10,000)"
    )


def positive(text: str) -> int:
    """A whole number from 1, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is not 0 or more")
    return number


def _place(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("it is empty; name a file, a folder or an UNLOAD manifest")
    return text


def share(text: str) -> float:
    """A number between 0 and 1, both excluded, for argparse."""
    number = float(text)
    if not 0.0 < number < 1.0:
        raise argparse.ArgumentTypeError(f"{text} does not lie between 0 and 1")
    return number


def storage_of(options: argparse.Namespace) -> Storage:
    """Where the bytes come from."""
    from nightcast.storage import Storage

    return Storage({"endpoint_url": options.endpoint_url} if options.endpoint_url else {})


def name_of(data: str) -> str:
    """What the data are called: the last name of their place, without suffixes.

    Examples
    --------
    >>> name_of("s3://bucket/sales/"), name_of("in/sales.csv.gz"), name_of("unload/manifest"), name_of("/")
    ('sales', 'sales', 'unload', 'data')
    """
    last = data.rstrip("/").removesuffix("/manifest").rsplit("/", 1)[-1]
    return last.split(".", 1)[0] or last.strip(".") or "data"


def opened(options: argparse.Namespace, storage: Storage, schema_text: str | None = None) -> OpenedDatasource:
    """The datasource that the arguments name, with its schema.

    Parameters
    ----------
    schema_text
        The schema to use where the arguments name none.

    Raises
    ------
    NightcastError
        When the data or the schema can not be read, or do not fit each other.
    """
    from nightcast.datasource.opening import open_datasource

    with progress.shown(_counting_mapper(options), "reading") as mapper:
        return open_datasource(
            options.data,
            storage,
            schema_text=text_of(options.schema, storage, "schema") if options.schema else schema_text,
            target=options.target,
            row_id=options.row_id,
            header=None if options.header is None else options.header == "yes",
            null_as=options.null_as,
            mapper=mapper,
        )


@contextmanager
def working(
    options: argparse.Namespace,
    datasource: Datasource,
    doing: str,
    compute: Callable[[str | None], str | None] = lambda setting: setting,
) -> Iterator[Mapper]:
    """The mapper for a pass over all records: as many processes as the arguments allow, with a progress bar.

    Parameters
    ----------
    doing
        What the bar says.
    compute
        Makes something else of what the environment asks for.
    """
    with pooled(options, datasource, compute) as mapper, progress.shown(mapper, doing) as counted:
        yield counted


@contextmanager
def pooled(
    options: argparse.Namespace,
    datasource: Datasource,
    compute: Callable[[str | None], str | None] = lambda setting: setting,
    result_bytes: int = 0,
) -> Iterator[Mapper]:
    """The mapper for several passes over all records, without a bar: each pass has its own, see `progress.shown`.

    Parameters
    ----------
    compute
        As of `working`.
    result_bytes
        Size of one part's result at most.
    """
    from nightcast.compute import compute_setting, mapper_for

    size = len(datasource.parts), datasource.records
    chosen = compute(compute_setting())
    with mapper_for(*size, options.workers, result_bytes=result_bytes, compute=chosen) as mapper:
        yield mapper


def _counting_mapper(options: argparse.Namespace) -> Mapper:
    """A mapper that chooses its workers by the bytes of what it is given: numbers of records are not known yet."""

    def mapper(function: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
        from nightcast.compute import compute_setting, mapper_for

        listed = list(items)
        # Of Parquet files only the metadata are read.
        size = sum(getattr(item, "bytes", 0) for item in listed if getattr(item, "format", "") == "CSV")
        with mapper_for(len(listed), size // _BYTES_A_RECORD, options.workers, compute=compute_setting()) as chosen:
            yield from chosen(function, listed)

    return mapper


def text_of(uri: str, storage: Storage, kind: str) -> str:
    """The text of a small document that an argument names.

    Parameters
    ----------
    kind
        What it is to be, for the message: ``schema``.
    """
    try:
        return storage.read_bytes(uri).decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        error = SchemaError if kind == "schema" else RecipeError
        raise error(f"{uri} is no text in UTF-8 ({fault}), so it is no {kind}; write it as UTF-8") from fault
