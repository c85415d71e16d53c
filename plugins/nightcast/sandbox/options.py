"""Reading the text of UNLOAD and COPY: words, quoted strings, and the options behind them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sqlglot.tokenizer_core import Token, TokenType

from nightcast.sandbox import dialect
from nightcast.sandbox.errors import RedshiftError, UnsupportedError

_STRINGS = (TokenType.STRING, TokenType.HEREDOC_STRING, TokenType.RAW_STRING, TokenType.NATIONAL_STRING)
_ROLE = re.compile(r"arn:aws(?:-[a-z]+)*:iam::\d{12}:role/[\w+=,.@/-]+")
_KEYS = ("CREDENTIALS", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "TOKEN")


class Words:
    """The words of a statement, taken one after the other.

    >>> words = Words("MANIFEST VERBOSE DELIMITER AS '|'")
    >>> words.take("MANIFEST"), words.take("VERBOSE"), words.take("QUOTE")
    (True, True, False)
    """

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self._tokens = dialect.tokenize(sql)
        while self._tokens and self._tokens[-1].token_type == TokenType.SEMICOLON:
            self._tokens.pop()
        self._next = 0

    @property
    def ended(self) -> bool:
        return self._next >= len(self._tokens)

    def _peek(self) -> Token | None:
        return None if self.ended else self._tokens[self._next]

    def peek(self) -> str:
        """The next word in upper case; empty at the end, and for a quoted string."""
        token = self._peek()
        return "" if token is None or token.token_type in _STRINGS else token.text.upper()

    def take(self, *words: str) -> bool:
        """Pass the given words if they come next, all of them in order."""
        start = self._next
        for word in words:
            if self.peek() != word:
                self._next = start
                return False
            self._next += 1
        return True

    def expect(self, word: str) -> None:
        if not self.take(word):
            raise self.syntax_error()

    def one_of(self, *words: str) -> str | None:
        """The word among ``words`` that comes next, passed; None when none does."""
        return next((word for word in words if self.take(word)), None)

    def word(self) -> str:
        token = self._peek()
        if token is None or token.token_type in _STRINGS:
            raise self.syntax_error()
        self._next += 1
        return token.text

    def string(self) -> str:
        """A quoted string's text, quotes and escaped quotes resolved; $$ quotes too."""
        token = self._peek()
        if token is None or token.token_type not in _STRINGS:
            raise self.syntax_error()
        self._next += 1
        return token.text

    def number(self) -> float:
        token = self._peek()
        if token is None or token.token_type != TokenType.NUMBER:
            raise self.syntax_error()
        self._next += 1
        return float(token.text)

    def syntax_error(self) -> RedshiftError:
        token = self._peek()
        if token is None:
            return RedshiftError("syntax error at end of input")
        near = self.sql[token.start : token.end + 1]
        return RedshiftError(f'syntax error at or near "{near}" Position: {token.start + 1}')


def flag(field: str) -> Callable[[Words, Any], None]:
    """Reads an option without a value: sets the field of the options to True."""

    def read(words: Words, options: Any) -> None:
        setattr(options, field, True)

    return read


def text(field: str) -> Callable[[Words, Any], None]:
    """Reads an option with a quoted value, ``AS`` before it or not, into the field of the options."""

    def read(words: Words, options: Any) -> None:
        words.take("AS")
        setattr(options, field, words.string())

    return read


def read_character(text: str, option: str) -> str:
    """A delimiter or quote: one ASCII character, also as \\t or as an octal \\ddd."""
    if text == "\\t":
        return "\t"
    if re.fullmatch(r"\\[0-7]{3}", text):
        return chr(int(text[1:], 8))
    if len(text) != 1 or not text.isascii():
        raise RedshiftError(f"{option} must be a single ASCII character, not '{text}'")
    return text


def read_authorization(words: Words) -> str | None:
    """The IAM role, when an authorization clause comes next.

    Raises
    ------
    RedshiftError
        For a malformed ARN, and for keys in the SQL text: they end up in logs and query histories.
    """
    words.take("WITH")
    if words.peek() in _KEYS:
        raise UnsupportedError(f"{words.peek()} in SQL", "use IAM_ROLE, which keeps secrets out of statement texts")
    if words.take("AUTHORIZATION"):
        raise UnsupportedError("AUTHORIZATION", "use IAM_ROLE")
    if not words.take("IAM_ROLE"):
        return None
    words.take("AS")
    if words.take("DEFAULT"):
        return "default"
    role = words.string()
    if role.lower() == "default":
        raise RedshiftError("IAM_ROLE default is written without quotes")
    for arn in role.split(","):
        if not _ROLE.fullmatch(arn):
            raise RedshiftError(
                f'Invalid IAM role ARN "{arn}"; expected arn:aws:iam::<12-digit account>:role/<name>,'
                " chained roles separated by a comma without spaces"
            )
    return role


def read_s3_location(text: str) -> tuple[str, str]:
    """Bucket and key prefix of an ``s3://`` location.

    Raises
    ------
    RedshiftError
        For anything else.
    """
    match = re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(.*)", text, re.DOTALL)
    if match is None:
        raise RedshiftError(f'The S3 location "{text}" is not of the form s3://bucket/prefix')
    return match[1], match[2]
