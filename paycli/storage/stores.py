"""Store URLs: the only place that knows which backends there are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from paycli.errors import InputError
from paycli.payments.store import CommitObserver, OnHealth, Store

# Backends are imported where they are used: a process that opens no store loads no driver.
if TYPE_CHECKING:
    from paycli.storage.records import Condition, Progress, Status, Verified

_SQLITE: Final = "sqlite:///"
_POSTGRES: Final = ("postgresql://", "postgres://")
_MEMORY: Final = ":memory:"


@asynccontextmanager
async def open_store(
    url: str,
    on_health: OnHealth,
    observer: CommitObserver | None = None,
    patience_s: float = 0.0,
) -> AsyncIterator[Store]:
    """The store of a URL: `sqlite:///path` (relative), `sqlite:////path`, `sqlite:///:memory:`, or
    `postgresql://…`.

    It is open until the block ends; what waits then is committed. `on_health` hears of each change,
    `observer` of each commit. A store that takes one server is waited for as long as `patience_s`.
    Raises InputError and StoreError when it cannot be opened.
    """
    if is_shared(url):
        from paycli.storage.postgres.store import open_postgres

        async with open_postgres(url, on_health, observer) as shared:
            yield shared
        return
    path = _path_of(url)
    from paycli.storage.sqlite.store import open_sqlite

    where = None if path == Path(_MEMORY) else path
    async with open_sqlite(where, on_health, observer, patience_s) as store:
        yield store


def is_shared(url: str) -> bool:
    """Whether many servers may have the store at a time."""
    return url.startswith(_POSTGRES)


def migrate_store(url: str) -> tuple[int, int]:
    """Bring a store's schema up to date; returns the version before and after. Raises StoreError."""
    from paycli.storage.sqlite.file import migrate

    return migrate(_file_of(url))


def verify_store(url: str, progress: Progress, since: str | None = None) -> Verified:
    """Check every invariant, and that the journal goes on from the anchor `since`, if there is one.

    Raises CheckFailed with the first violation, InputError, StoreError.
    """
    from paycli.storage.sqlite.anchor import anchor_of
    from paycli.storage.sqlite.verify import verify

    return verify(_file_of(url), progress, anchor_of(since) if since is not None else None)


def backup_store(url: str, copy: Path, progress: Progress) -> int:
    """Copy a store, in use or not; returns the bytes. Raises StoreError."""
    from paycli.storage.sqlite.backup import backup

    return backup(_file_of(url), copy, progress)


def restore_store(copy: Path, url: str, progress: Progress) -> int:
    """Make a store of a backup where there is none; returns the bytes. Raises StoreError."""
    from paycli.storage.sqlite.backup import restore

    return restore(copy, _file_of(url), progress)


def inspect_store(url: str) -> Condition:
    """Whether a server could open it. Raises InputError."""
    from paycli.storage.sqlite.status import inspect

    return inspect(_file_of(url), url)


def store_status(url: str) -> Status:
    """What is in a store. Raises StoreError."""
    from paycli.storage.sqlite.status import status

    return status(_file_of(url))


def place_of(url: str) -> str:
    """Where a store keeps its payments, for people. Raises InputError."""
    path = _path_of(url)
    return "memory, gone at the stop" if path == Path(_MEMORY) else str(path.absolute())


def _file_of(url: str) -> Path:
    path = _path_of(url)
    if path == Path(_MEMORY):
        raise InputError("A store in memory ends with its server; name a file: sqlite:///FILE.")
    return path


def _path_of(url: str) -> Path:
    path = url.removeprefix(_SQLITE)
    if not url.startswith(_SQLITE) or not path:
        raise InputError(f"'{url}' is not a store; write sqlite:///FILE or sqlite:///:memory:.")
    return Path(path)
