"""What is in a SQLite store, at a glance."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple

from paycli.storage.sqlite.file import (
    SCHEMA_VERSION,
    explained,
    open_existing,
    schema_version,
)
from paycli.storage.sqlite.lock import is_held


class Status(NamedTuple):
    """Counts of rows and bytes; `last_seq` is the newest event, 0 for none."""

    path: str
    schema_version: int
    needs_migration: bool
    served: bool
    payments: int
    last_seq: int
    open_authorizations: int
    open_intents: int
    bytes: int


class Condition(NamedTuple):
    """Whether a server could open the store, or has it open."""

    path: Path
    exists: bool
    served: bool
    needs_migration: bool


def inspect(path: Path) -> Condition:
    """Look at the file alone, however much is in it. Raises StoreError."""
    if not path.exists():
        return Condition(path, False, False, False)
    if path.is_file() and path.stat().st_size == 0:  # an empty file becomes a store
        return Condition(path, True, is_held(path), False)
    with explained(path), contextlib.closing(open_existing(path)) as connection:
        old = schema_version(connection) < SCHEMA_VERSION
    return Condition(path, True, is_held(path), old)


def status(path: Path) -> Status:
    """Look at a store, served or not. Raises StoreError."""
    with explained(path), contextlib.closing(open_existing(path)) as connection, connection:
        version = schema_version(connection)
        counts = (
            "SELECT (SELECT count(*) FROM payment), (SELECT coalesce(max(seq), 0) FROM entry), "
            "(SELECT count(*) FROM payment WHERE state IN ('AUTHORIZED', 'PARTIALLY_CAPTURED') "
            "AND state <> 'CAPTURED'), (SELECT count(*) FROM intent)"
        )
        payments, last_seq, authorizations, intents = connection.execute(counts).get
    files = (path, Path(f"{path}-wal"))
    return Status(
        str(path),
        version,
        version < SCHEMA_VERSION,
        is_held(path),
        payments,
        last_seq,
        authorizations,
        intents,
        sum(each.stat().st_size for each in files if each.exists()),
    )
