"""The URL of a PostgreSQL database, and what of it may be shown."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

from paycli.errors import InputError

_FILES: Final = ("sslcert", "sslcrl", "sslkey", "sslrootcert")


class Url:
    """Where a database is. What the URL leaves open comes from the environment.

    That is libpq's: PGHOST, PGUSER, PGPASSWORD, a pgpass file, PGSSLMODE and so on.
    """

    def __init__(self, url: str) -> None:
        """Raises InputError."""
        self._parts = _split(url)
        for name, value in parse_qsl(self._parts.query):
            if name in _FILES and not Path(value).is_file():
                raise InputError(f"{name} in the URL of the store names {value}, which is no file.")

    @property
    def each(self) -> list[str]:
        """The URL of each host alone."""
        who, at, hosts = self._parts.netloc.rpartition("@")
        rest = f"{self._parts.path}?{self._parts.query}"
        return [f"postgresql://{who}{at}{host}{rest}" for host in hosts.split(",")]

    def __str__(self) -> str:
        """Without the password and without options, for people."""
        return f"postgresql://{self._hosts}{self._parts.path}"

    @property
    def without_password(self) -> str:
        """The URL for other programs, where everybody sees it."""
        options = [each for each in parse_qsl(self._parts.query) if each[0] != "password"]
        return f"{self}?{urlencode(options)}" if options else str(self)

    @property
    def password(self) -> str | None:
        """The one that stands in the URL."""
        _, colon, written = self._parts.netloc.rpartition("@")[0].partition(":")
        return unquote(written) if colon else dict(parse_qsl(self._parts.query)).get("password")

    @property
    def _hosts(self) -> str:
        who, at, hosts = self._parts.netloc.rpartition("@")
        return who.partition(":")[0] + at + hosts


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError as problem:
        raise InputError(f"The URL of the store is not one: {problem}.") from problem
    if len(parts.path) < 2:
        raise InputError(
            "The URL of the store names no database; write postgresql://USER@HOST/DATABASE."
        )
    return parts
