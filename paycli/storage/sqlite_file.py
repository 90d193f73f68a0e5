"""A SQLite file as paycli keeps it: locked for one server, durable, its schema checked."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

import apsw

from paycli.errors import StoreError
from paycli.storage.migrations import migrations

APPLICATION_ID: Final = 0x70617963  # "payc", so that another program's file is never touched
_WAL_PAGES: Final = 8192  # checkpoint at 32 MiB: fewer random writes into the file under load


class SqliteFile:
    """One database file held by this process, or one in memory (`path` None)."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = _lock(path) if path is not None else None

    def connect(self) -> apsw.Connection:
        """A durable read-write connection to a file with the current schema."""
        try:
            connection = apsw.Connection(str(self._path or ":memory:"))
            _check_ownership(connection, self._path)
            connection.pragma("journal_mode", "wal")
            connection.pragma("synchronous", "full")
            connection.pragma(
                "foreign_keys", False
            )  # the batch keeps them; a check costs a look-up
            connection.pragma("wal_autocheckpoint", _WAL_PAGES)
            _migrate(connection)
        except apsw.Error as problem:
            raise _unusable(self._path, problem) from problem
        return connection

    def close(self) -> None:
        """Let another process have the file."""
        if self._lock is not None:
            os.close(self._lock)


def _lock(path: Path) -> int:
    """Hold the file for this process; the system lets go when the process ends, however it ends.

    A file of its own: closing any other descriptor of the database would drop SQLite's own locks.
    It lies beside the real file, so that two links to one store are one store.
    """
    try:
        if path.exists() and not path.is_file():
            raise StoreError(f"The store {path} is not a file. Name another with --store.")
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(f"{path.resolve()}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as problem:
        raise StoreError(
            f"The store {path} cannot be opened: {problem.strerror}. Name another with --store."
        ) from problem
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as problem:
        os.close(lock)
        raise StoreError(
            f"Another paycli server is using the store {path}. Stop it, or name another with "
            "--store sqlite:///FILE."
        ) from problem
    return lock


def _check_ownership(connection: apsw.Connection, path: Path | None) -> None:
    application_id = connection.pragma("application_id")
    if application_id == APPLICATION_ID:
        return
    if application_id or connection.execute("SELECT count(*) FROM sqlite_schema").get:
        raise StoreError(
            f"{path} is the database of another program. Name another file with --store."
        )


def _migrate(connection: apsw.Connection) -> None:
    current = connection.pragma("user_version")
    steps = migrations("sqlite")
    if current > len(steps):
        raise StoreError(
            f"The store has schema version {current}; this paycli knows {len(steps)}. "
            "Use the newer paycli that wrote it."
        )
    with connection:  # one transaction: a crash leaves the schema as it was
        connection.pragma("application_id", APPLICATION_ID)
        for step in steps[current:]:
            connection.execute(step.sql)
            connection.pragma("user_version", step.version)


def _unusable(path: Path | None, problem: apsw.Error) -> StoreError:
    if isinstance(problem, apsw.NotADBError):
        return StoreError(f"{path} is not a SQLite database. Name another file with --store.")
    if isinstance(problem, apsw.ReadOnlyError | apsw.CantOpenError):
        return StoreError(
            f"The store {path} cannot be written. Check the permissions of its folder."
        )
    return StoreError(f"The store {path} cannot be opened: {problem}.")
