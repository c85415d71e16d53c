"""What the Data API checks about a request before it takes it, and how it refuses."""

from __future__ import annotations

from typing import Any

from nightcast.sandbox import dialect
from nightcast.sandbox.errors import RedshiftError
from nightcast.sandbox.results import read_page_token

STATEMENT_BYTES = 100 * 1024


class ApiError(Exception):
    """An error of the API itself, answered with HTTP 400; statements that fail are none."""

    def __init__(self, code: str, message: str, **members: Any) -> None:
        super().__init__(message)
        self.code = code
        self.members = {"Message": message, **members}


def invalid(message: str) -> ApiError:
    """A request that is malformed, or asks for what can not be."""
    return ApiError("ValidationException", message)


def not_found(message: str, identity: str) -> ApiError:
    """A statement, or a result, that is not there."""
    return ApiError("ResourceNotFoundException", message, ResourceId=identity)


def count_statements(sql: str) -> int:
    """How many statements one text holds."""
    try:
        return dialect.count_statements(sql)
    except RedshiftError:
        # A broken text is the statement's own failure, told by DescribeStatement.
        return 1


def check_texts(sqls: list[str]) -> None:
    """Refuse empty and oversized statement texts."""
    for sql in sqls:
        if len(sql.encode()) > STATEMENT_BYTES:
            raise invalid("Cannot process query string larger than 100kB")
        if not sql.strip():
            raise invalid("Sql must not be empty")


def check_target(request: dict[str, Any]) -> None:
    """Refuse what names no warehouse, or more than one, or two ways to log in."""
    given = [name for name in ("ClusterIdentifier", "WorkgroupName", "SessionId") if request.get(name)]
    if len(given) != 1:
        raise invalid("Exactly one of ClusterIdentifier, WorkgroupName and SessionId must be given")
    if given != ["SessionId"] and not request.get("Database"):
        raise invalid("Database must be given")
    if given == ["WorkgroupName"] and request.get("DbUser"):
        raise invalid("DbUser must not be given with WorkgroupName")
    if request.get("DbUser") and request.get("SecretArn"):
        raise invalid("DbUser and SecretArn must not be given both")


def bind_all(sqls: list[str], parameters: list[dict[str, str]]) -> list[str]:
    """Put the parameters' values into the texts.

    Raises
    ------
    ApiError
        For a parameter that no text uses, one that is used but not given, one given twice.
    """
    values = {parameter["name"]: parameter["value"] for parameter in parameters}
    if len(values) != len(parameters):
        raise invalid("Parameters list contains a name twice")
    if not values:
        return sqls
    bound, used = [], set()
    for sql in sqls:
        try:
            text, names = dialect.bind_parameters(sql, values)
        except KeyError as error:
            raise invalid(
                f"Undefined parameters in the SQL statement. Undefined parameters: [{error.args[0]}]"
            ) from error
        except RedshiftError as error:
            raise invalid(str(error)) from error
        bound.append(text)
        used |= names
    unused = [name for name in values if name not in used]
    if unused:
        raise invalid(f"Parameters list contains unused parameters. Unused parameters: [{', '.join(unused)}]")
    return bound


def target_of(request: dict[str, Any]) -> dict[str, Any]:
    """The members of a request that answers repeat."""
    names = ("ClusterIdentifier", "WorkgroupName", "Database", "DbUser", "SecretArn")
    return {name: request[name] for name in names if request.get(name)}


def first_of(request: dict[str, Any]) -> int:
    """Where the page that a request asks for begins."""
    token = request.get("NextToken")
    try:
        return read_page_token(token) if token else 0
    except ValueError as error:
        raise invalid("Invalid NextToken") from error
