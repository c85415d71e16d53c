"""UNLOAD statements from typed options.

The user's query is never rewritten: it stands between ``$$`` as it is. Options are typed, so that a
pair that Redshift refuses is refused here, before a cluster is asked.
Source of the rules: Amazon Redshift Database Developer Guide, UNLOAD.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from nightcast.errors import UnloadError

# A role, or a chain of roles that one another assumes, or the cluster's default role.
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")
_MAX_STATEMENT_BYTES = 100_000  # of the Redshift Data API
_TOKEN = re.compile(r"""--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$\$.*?\$\$|[()]|;|[A-Za-z_]\w*""", re.DOTALL)


class UnloadFormat(StrEnum):
    """File formats that Nightcast reads back."""

    PARQUET = "PARQUET"
    CSV = "CSV"


@dataclass(frozen=True)
class UnloadOptions:
    """Options of UNLOAD; the manifest is always written, with its column types.

    Parameters
    ----------
    format
        ``PARQUET`` (typed, smaller, faster) or ``CSV`` (what Amazon ML read).
    parallel
        False: one file after another, in the order of the query's ORDER BY. True: every slice writes
        files of its own, faster for large results, and no order over all files.
    max_file_size_mb
        Size of one file at most, 5 to 6200 MB.
    gzip, header, null_as
        For CSV only.
    region
        Region of the bucket, where it is not the cluster's.
    kms_key_id
        Encrypt with this key instead of the bucket's default.
    """

    format: UnloadFormat = UnloadFormat.PARQUET
    parallel: bool = False
    max_file_size_mb: int = 256
    gzip: bool = True
    header: bool = False
    null_as: str = r"\N"
    region: str | None = None
    kms_key_id: str | None = None

    def __post_init__(self) -> None:
        if not 5 <= self.max_file_size_mb <= 6200:
            raise UnloadError(f"max_file_size_mb is {self.max_file_size_mb}; Redshift accepts 5 to 6200 MB.")

    def clauses(self) -> list[str]:
        """The option clauses, one each."""
        clauses = [f"FORMAT AS {self.format}"]
        if self.format is UnloadFormat.CSV:
            clauses += ["GZIP"] if self.gzip else []
            clauses += ["HEADER"] if self.header else []
            clauses.append(f"NULL AS {quote_literal(self.null_as)}")
        clauses.append(f"PARALLEL {'ON' if self.parallel else 'OFF'}")
        clauses.append(f"MAXFILESIZE {self.max_file_size_mb} MB")
        clauses.append("MANIFEST VERBOSE")
        clauses += [f"REGION {quote_literal(self.region)}"] if self.region else []
        clauses += [f"KMS_KEY_ID {quote_literal(self.kms_key_id)} ENCRYPTED"] if self.kms_key_id else []
        return clauses


def unload_statement(query: str, destination: str, iam_role: str, options: UnloadOptions) -> str:
    """The UNLOAD statement that writes a query's rows below an S3 prefix.

    Parameters
    ----------
    query
        One SELECT. A final semicolon is dropped; a LIMIT at its outer level, which UNLOAD refuses,
        is put into a sub-select.
    destination
        ``s3://bucket/prefix``; the file names begin with it.
    iam_role
        ``default``, the ARN of a role, or ARNs joined by commas (each assumes the next).

    Raises
    ------
    UnloadError
        If the statement can not be written, or is longer than the Redshift Data API takes.
    """
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]+/\S+", destination):
        raise UnloadError(f"UNLOAD destination {destination!r} is not of the form s3://bucket/prefix.")
    if destination.rsplit("/", 1)[-1].startswith(("_", ".")):
        raise UnloadError(
            f"UNLOAD destination {destination!r}: Redshift Spectrum ignores files whose names begin with "
            "'_' or '.'; choose another prefix."
        )
    lines = [
        f"UNLOAD ({quote_query(_single_select(query))})",
        f"TO {quote_literal(destination)}",
        f"IAM_ROLE {_iam_role(iam_role)}",
        *options.clauses(),
    ]
    statement = "\n".join(lines)
    size = len(statement.encode())
    if size > _MAX_STATEMENT_BYTES:
        raise UnloadError(
            f"the UNLOAD statement has {size:,} bytes; the Redshift Data API takes {_MAX_STATEMENT_BYTES:,}. "
            "Move a part of the query into a view."
        )
    return statement


def quote_query(query: str) -> str:
    """A query as an UNLOAD argument: between ``$$``, or with doubled quotes where it holds ``$$`` itself."""
    # A line comment at the end must not swallow the closing quotes.
    body = f"\n{query}\n"
    return quote_literal(body) if "$$" in query else f"$${body}$$"


def quote_literal(text: str) -> str:
    """A string literal of Redshift; a backslash is an escape inside quotes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _single_select(query: str) -> str:
    tokens = [(match.group(), match.start()) for match in _TOKEN.finditer(query)]
    code = [(text, at) for text, at in tokens if not text.startswith(("--", "/*"))]
    if not code:
        raise UnloadError("the query to unload is empty; write one SELECT.")
    while code and code[-1][0] == ";":
        at = code.pop()[1]
        query = query[:at] + query[at + 1 :]
    if any(text == ";" for text, _ in code):
        raise UnloadError("UNLOAD takes one SELECT; the query holds several statements. Remove all but one.")
    if not code or code[0][0].lower() not in ("select", "with", "("):
        raise UnloadError(f"UNLOAD takes a SELECT; the query begins with {code[0][0] if code else ';'!r}.")
    query = query.strip()
    if _has_outer_limit([text for text, _ in code]):
        return f"select * from (\n{query}\n) as limited"  # noqa: S608 -- the query is the user's own
    return query


def _has_outer_limit(tokens: list[str]) -> bool:
    depth = 0
    for token in tokens:
        depth += (token == "(") - (token == ")")  # noqa: S105 -- a bracket is no password
        if depth == 0 and token.lower() == "limit":
            return True
    return False


def _iam_role(role: str) -> str:
    if role.strip().lower() == "default":
        return "default"
    chain = [piece.strip() for piece in role.split(",")]
    for piece in chain:
        if not _ROLE_ARN.fullmatch(piece):
            raise UnloadError(
                f"{piece!r} is no role that Redshift can assume; give `default`, "
                "arn:aws:iam::<account>:role/<name>, or such ARNs joined by commas."
            )
    return quote_literal(",".join(chain))
