"""A SQLite file as paycli keeps it: locked for one server, durable, its schema checked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final
from zlib import crc32

import apsw

from paycli.errors import StoreError
from paycli.storage.schema import UNFINISHED, migrations, refuse_unfinished
from paycli.storage.sqlite.lock import take_lock
from paycli.storage.sqlite.watch import FileWatch

APPLICATION_ID: Final = 0x70617963  # "payc", so that another program's file is never touched
SCHEMA_VERSION: Final = len(migrations("sqlite"))
_BUSY_MS: Final = 4_000  # another program may write for a moment, such as somebody's SQL shell
_WAL_PAGES: Final = 32_768  # checkpoint at 128 MiB: a page that many payments touch is copied once
_CACHE_PAGES: Final = 16_384  # 64 MiB: random ids touch the pages of their indexes at random


class SqliteFile:
    """One database file held by this process, or one in memory (`path` None)."""

    def __init__(self, path: Path | None, lock: int | None = None) -> None:
        """`lock` is a descriptor of the lock if this process has it already: then the file is there.

        Raises StoreError when another process holds the file.
        """
        self.path = path
        self._flags = apsw.SQLITE_OPEN_READWRITE
        if lock is None:
            self._flags |= apsw.SQLITE_OPEN_CREATE
        self.lock = _lock(path) if path is not None and lock is None else lock
        self._connections: list[apsw.Connection] = []
        self.version_before = 0

    def connect(self, *, migrate: bool = False, unfinished: bool = False) -> apsw.Connection:
        """A durable read-write connection to a file with the current schema. Raises StoreError.

        An empty file becomes a store; an older schema is only changed with `migrate`, and a copy that
        has not ended only goes on with `unfinished`.
        """
        with explained(self.path):
            connection = self._open(self._flags)
            _check_ownership(connection, self.path, unfinished=unfinished)
            connection.pragma("journal_mode", "wal")
            connection.pragma("synchronous", "full")
            # The batch keeps foreign keys; a check would cost a look-up per row.
            connection.pragma("foreign_keys", False)
            connection.pragma("wal_autocheckpoint", _WAL_PAGES)
            connection.pragma("cache_size", _CACHE_PAGES)
            current = self.version_before = schema_version(connection)
            if current and not migrate:
                check_schema_version(current % UNFINISHED, self.path)
            _migrate(connection, current)
        return connection

    def watch(self) -> FileWatch | None:
        """Of the files as they are now that they are open; None in memory."""
        if self.path is None or self.lock is None:
            return None
        with explained(self.path):
            return FileWatch(self.path, self.lock)

    def connect_reader(self) -> apsw.Connection:
        """A connection that cannot write."""
        connection = self._open(apsw.SQLITE_OPEN_READWRITE)
        connection.pragma("query_only", True)
        return connection

    def close(self) -> None:
        """Close all connections and let another process have the file."""
        for connection in self._connections:
            with suppress(apsw.Error):  # a sick disk: what was committed is in the WAL all the same
                connection.close()
        if self.lock is not None:
            os.close(self.lock)

    def _open(self, flags: int) -> apsw.Connection:
        connection = apsw.Connection(str(self.path or ":memory:"), flags=flags)
        connection.set_busy_timeout(_BUSY_MS)
        self._connections.append(connection)
        return connection


def migrate(path: Path) -> tuple[int, int]:
    """Bring the schema up to date; returns the version before and after. Raises StoreError."""
    with explained(path):
        if not path.is_file():
            raise StoreError(f"There is no store {path}. 'paycli serve' makes one.")
    with closing(SqliteFile(path)) as file:
        connection = file.connect(migrate=True)
        before, after = file.version_before, schema_version(connection)
    return before, after


def open_existing(path: Path, *, unfinished: bool = False) -> apsw.Connection:
    """A connection that only reads a store that is there, whole or not. Raises StoreError."""
    with explained(path):
        if not path.is_file():
            raise StoreError(f"There is no store {path}. Name one with --store sqlite:///FILE.")
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        connection.set_busy_timeout(_BUSY_MS)
        connection.pragma("query_only", True)
        _check_ownership(connection, path, unfinished=unfinished)
        if not schema_version(connection):
            connection.close()
            raise StoreError(f"{path} is empty; there is no store in it.")
    return connection


def _lock(path: Path) -> int:
    try:
        if path.exists() and not path.is_file():
            raise StoreError(f"The store {path} is not a file. Name another with --store.")
        names = path.stat().st_nlink if path.exists() else 1
        if names > 1:
            raise StoreError(
                f"The store {path} has {names} hard links; a server on another of its names would "
                "write to it unseen. Remove all but one."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        return take_lock(path)
    except OSError as problem:
        raise _unreachable(path, problem) from problem


def _check_ownership(
    connection: apsw.Connection, path: Path | None, *, unfinished: bool = False
) -> None:
    """Refuse the database of another program, and one that a newer paycli wrote."""
    application_id = connection.pragma("application_id")
    if application_id == APPLICATION_ID:
        current = schema_version(connection)
        if unfinished:
            current %= UNFINISHED
        refuse_unfinished(current, path)
        if current > SCHEMA_VERSION:
            raise StoreError(
                f"The store {path} has schema version {current}; this paycli knows "
                f"{SCHEMA_VERSION}. Use the newer paycli that wrote it."
            )
        return
    if application_id or connection.execute("SELECT count(*) FROM sqlite_schema").get:
        raise StoreError(f"{path} is the database of another program. Name another file.")


def check_schema_version(current: int, path: Path | None) -> None:
    """Refuse an older schema."""
    if current < SCHEMA_VERSION:
        raise StoreError(
            f"The store {path} has schema version {current}; this paycli needs {SCHEMA_VERSION}. "
            "Back it up, then run 'paycli db migrate'."
        )


def schema_version(connection: apsw.Connection) -> int:
    """How many migrations the file has had; 0 for an empty one."""
    version: int = connection.pragma("user_version")
    return version


@contextmanager
def explained(path: Path | None) -> Iterator[None]:
    """SQLite's and the system's errors about a file as one sentence each."""
    try:
        yield
    except apsw.Error as problem:
        raise _unusable(path, problem) from problem
    except OSError as problem:
        raise _unreachable(path, problem) from problem


@contextmanager
def writing_to(target: Path) -> Iterator[None]:
    """What SQLite says of a file that it writes, as one sentence about that file."""
    try:
        yield
    except (apsw.CantOpenError, apsw.ReadOnlyError) as problem:
        raise StoreError(
            f"Cannot write {target}. Check the permissions of its folder."
        ) from problem
    except (apsw.FullError, apsw.IOError) as problem:
        raise StoreError(f"Cannot write {target}: {problem}.") from problem


def _migrate(connection: apsw.Connection, current: int) -> None:
    with connection:  # one transaction: a crash leaves the schema as it was
        connection.pragma("application_id", APPLICATION_ID)
        offer_crc32(connection)
        for step in migrations("sqlite")[current:]:
            connection.execute(step.sql)
            connection.pragma("user_version", step.version)


def offer_crc32(connection: apsw.Connection) -> None:
    """What migrations seal older rows with."""
    connection.create_scalar_function("crc32", _crc32, 1, deterministic=True)


def _crc32(*given: apsw.SQLiteValue) -> int:
    (text,) = given
    # An entry without payment has no text; `verify` names it.
    return crc32(text.encode()) if isinstance(text, str) else 0


def _unreachable(path: Path | None, problem: OSError) -> StoreError:
    return StoreError(
        f"The store {path} cannot be opened: {problem.strerror}. Name another with --store."
    )


def _unusable(path: Path | None, problem: apsw.Error) -> StoreError:
    if isinstance(problem, apsw.NotADBError):
        return StoreError(f"{path} is not a SQLite database. Name another file.")
    if isinstance(problem, apsw.CorruptError):
        return StoreError(f"The store {path} is damaged: {problem}. Restore a backup.")
    if isinstance(problem, apsw.ReadOnlyError | apsw.CantOpenError):
        return StoreError(
            f"The store {path} cannot be written. Check the permissions of its folder."
        )
    return StoreError(f"The store {path} cannot be opened: {problem}.")
