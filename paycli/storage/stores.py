"""Store URLs: the only place that knows which backends there are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from paycli.errors import InputError
from paycli.storage.postgres.url import Url

# Backends are imported where they are used: a process that opens no store loads no driver.
if TYPE_CHECKING:
    from paycli.payments.store import CommitObserver, OnHealth, Store
    from paycli.storage.copying import End, Phases
    from paycli.storage.postgres.pool import Address
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
        address = _address_of(url)
        from paycli.storage.postgres.store import open_postgres

        async with open_postgres(address, on_health, observer) as shared:
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


def migrate_store(url: str, grant: str | None = None) -> tuple[int, int]:
    """Bring a store's schema up to date; returns the version before and after.

    `grant` is a role of a shared store that may serve from then on. Raises InputError, StoreError.
    """
    if is_shared(url):
        address = _address_of(url)
        from paycli.storage.postgres.migrate import migrate as migrate_shared

        return asyncio.run(migrate_shared(address, grant))
    if grant is not None:
        raise InputError("A SQLite file has no roles to grant anything to; leave --grant out.")
    from paycli.storage.sqlite.file import migrate

    return migrate(_file_of(url))


def verify_store(url: str, progress: Progress, since: str | None = None) -> Verified:
    """Check every invariant, and that the journal goes on from the anchor `since`, if there is one.

    Raises CheckFailed with the first violation, InputError, StoreError.
    """
    from paycli.storage.anchors import anchor_of

    anchor = anchor_of(since) if since is not None else None
    if is_shared(url):
        address = _address_of(url)
        from paycli.storage.postgres.verify import verify as verify_shared

        return asyncio.run(verify_shared(address, progress, anchor))
    from paycli.storage.sqlite.verify import verify

    return verify(_file_of(url), progress, anchor)


def backup_store(url: str, copy: Path, progress: Progress) -> int:
    """Copy a store, in use or not; returns the bytes. Raises StoreError."""
    if is_shared(url):
        address = _address_of(url)
        from paycli.storage.postgres.backup import backup as backup_shared

        return backup_shared(address, copy, progress)
    from paycli.storage.sqlite.backup import backup

    return backup(_file_of(url), copy, progress)


def restore_store(copy: Path, url: str, progress: Progress) -> int:
    """Make a store of a backup where there is none; returns the bytes. Raises StoreError."""
    if is_shared(url):
        address = _address_of(url)
        from paycli.storage.postgres.backup import restore as restore_shared

        return restore_shared(copy, address, progress)
    from paycli.storage.sqlite.backup import restore

    return restore(copy, _file_of(url), progress)


def copy_store(source: str, target: str, phases: Phases) -> Verified:
    """Copy a store that no server uses into another one; after an interruption it goes on.

    Returns what the copy was proven to hold. Raises InputError, CheckFailed, StoreError.
    """
    from paycli.storage.copying import copy

    return asyncio.run(copy(_end(source), _end(target), phases))


def inspect_store(url: str) -> Condition:
    """Whether a server could open it. Raises InputError."""
    from paycli.storage.records import Condition as Found

    if is_shared(url):
        if find_spec("asyncpg") is None:
            sentence = "A store in PostgreSQL needs the package asyncpg, which is not installed."
            return Found(False, sentence, "pip install 'paycli[postgres]'")
        address = _address_of(url)
        from paycli.storage.postgres.status import inspect as inspect_shared

        return asyncio.run(inspect_shared(address))
    from paycli.storage.sqlite.status import inspect

    return inspect(_file_of(url), url)


def store_status(url: str) -> Status:
    """What is in a store. Raises StoreError."""
    if is_shared(url):
        address = _address_of(url)
        from paycli.storage.postgres.status import status as status_shared

        return asyncio.run(status_shared(address))
    from paycli.storage.sqlite.status import status

    return status(_file_of(url))


def has_password(url: str) -> bool:
    """Whether somebody who sees the URL knows a password. Raises InputError."""
    return is_shared(url) and Url(url).password is not None


def shown(url: str) -> str:
    """The URL for people. Raises InputError."""
    return str(Url(url)) if is_shared(url) else url


def place_of(url: str) -> str:
    """Where a store keeps its payments, for people. Raises InputError."""
    if is_shared(url):
        return str(Url(url))
    path = _path_of(url)
    return "memory, gone at the stop" if path == Path(_MEMORY) else str(path.absolute())


def _end(url: str) -> End:
    if is_shared(url):
        address = _address_of(url)
        from paycli.storage.postgres.copying import PostgresEnd

        return PostgresEnd(address)
    path = _file_of(url)
    from paycli.storage.sqlite.copying import SqliteEnd

    return SqliteEnd(path)


def _address_of(url: str) -> Address:
    try:
        from paycli.storage.postgres.pool import Address as Found
    except ModuleNotFoundError as problem:
        raise InputError(
            "A store in PostgreSQL needs the package asyncpg; run pip install 'paycli[postgres]'."
        ) from problem
    return Found(url)


def _file_of(url: str) -> Path:
    path = _path_of(url)
    if path == Path(_MEMORY):
        raise InputError("A store in memory ends with its server; name a file: sqlite:///FILE.")
    return path


def _path_of(url: str) -> Path:
    path = url.removeprefix(_SQLITE)
    if not url.startswith(_SQLITE) or not path:
        raise InputError(
            f"'{url}' is not a store; write sqlite:///FILE, sqlite:///:memory: or "
            "postgresql://USER@HOST/DATABASE."
        )
    return Path(path)
