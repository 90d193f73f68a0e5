"""Connections to a PostgreSQL database as paycli needs them: to the primary, durable, never endless."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final

import asyncpg

from paycli.errors import StoreError
from paycli.storage.postgres.url import Url
from paycli.storage.schema import migrations, refuse_unfinished

SCHEMA: Final = "paycli"
SCHEMA_VERSION: Final = len(migrations("postgres"))

_CONNECT_S: Final = 3.0  # to one host; a node that is gone answers nothing at all
_ASK_AGAIN_S: Final = 0.2
_ANSWER_S: Final = 10.0
_OLDEST: Final = 14

_SETTINGS: Final = {
    "application_name": "paycli",
    "search_path": SCHEMA,
    "default_transaction_isolation": "read committed",
    "statement_timeout": "8s",
    "lock_timeout": "4s",
    "idle_in_transaction_session_timeout": "10s",
    # Every query has an index that it begins in. Plans are made once, maybe while a table was small;
    # they must be the ones that stay right when it is large.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_sort": "off",
    "jit": "off",
}
_FOR_CHECKS: Final = {
    "application_name": "paycli db",
    "search_path": SCHEMA,
    "default_transaction_isolation": "read committed",
    "idle_in_transaction_session_timeout": "0",
    "statement_timeout": "0",
    "lock_timeout": "4s",
}
# A primary that lets commits wait for nothing would lose what was acknowledged.
_WAIT_FOR_DISKS: Final = (
    "SELECT set_config('synchronous_commit', 'on', false) "
    "WHERE current_setting('synchronous_commit') IN ('off', 'local')"
)
# Under synchronous replication a row can be seen that no standby has: the wait of its commit was cut
# off, or the primary crashed while it waited. The commit of this note waits for the standby, and so for
# all that stands before it.
NOTE: Final = (
    "SELECT pg_logical_emit_message(true, 'paycli', '') "
    "WHERE current_setting('synchronous_standby_names') <> ''"
)

# What says that the database is away, not that something is wrong with what it was asked.
AWAY: Final = (
    OSError,
    EOFError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InterfaceError,
    asyncpg.TargetServerAttributeNotMatched,
)


class Address(Url):
    """A database that can be connected to."""

    async def connect(self, settings: dict[str, str] = _SETTINGS) -> asyncpg.Connection:
        """A connection to the host that takes writes. Raises one of AWAY, or PostgresError."""
        return await _Search(self.each, settings).result()

    @asynccontextmanager
    async def checking(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection for a look at the whole store. Raises StoreError."""
        with explained(self):
            connection = await self.connect(_FOR_CHECKS)
        try:
            with explained(self):
                yield connection
        finally:
            connection.terminate()


class _Search:
    """For the host that takes writes. All are asked at once: one that is gone does not answer at all.

    Those that take none are asked again meanwhile, for one of them may be promoted.
    """

    def __init__(self, urls: Sequence[str], settings: dict[str, str]) -> None:
        self._settings = settings
        self._silent = set(urls)
        self._found: list[asyncpg.Connection] = []
        self._asked = [asyncio.create_task(self._ask(url)) for url in urls]

    async def result(self) -> asyncpg.Connection:
        """The first that is found. Raises what tells most of why there is none."""
        try:
            problems = await asyncio.gather(*self._asked, return_exceptions=True)
        except asyncio.CancelledError:
            for connection in self._found:
                connection.terminate()
            raise
        for connection in self._found[1:]:
            connection.terminate()
        if self._found:
            return self._found[0]
        raise max(filter(None, problems), key=_says)

    async def _ask(self, url: str) -> None:
        while True:
            try:
                self._found.append(await _connect(url, self._settings))
                break
            except AWAY:
                if self._silent <= {url}:
                    raise
            finally:
                self._silent.discard(url)
            await asyncio.sleep(_ASK_AGAIN_S)
        for each in self._asked:
            if each is not asyncio.current_task():
                each.cancel()


async def _connect(url: str, settings: dict[str, str]) -> asyncpg.Connection:
    connection = await asyncpg.connect(
        url,
        timeout=_CONNECT_S,
        command_timeout=_ANSWER_S if settings is _SETTINGS else None,
        server_settings=settings,
        target_session_attrs="read-write",
    )
    try:
        await connection.execute(_WAIT_FOR_DISKS, timeout=_ANSWER_S)
        await wait_for_standby(connection)
    except BaseException:
        connection.terminate()
        raise
    return connection


def _says(problem: BaseException) -> bool:
    """Whether it is more than that there is nobody."""
    return not isinstance(problem, OSError)


class Pool:
    """As many connections as may be open at a time; the one used last is used next."""

    def __init__(self, address: Address, size: int) -> None:
        self._address = address
        self._places = asyncio.Semaphore(size)
        self._free: list[asyncpg.Connection] = []
        self._used: set[asyncpg.Connection] = set()
        self._generation = 0

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """One that nobody else has. What fails while it is in a transaction ends it."""
        async with self._places:
            connection = await self._open()
            self._used.add(connection)
            generation = self._generation
            try:
                yield connection
            except AWAY:
                self.drop()
                raise
            finally:
                self._used.discard(connection)
                if (
                    generation != self._generation
                    or connection.is_closed()
                    or connection.is_in_transaction()
                ):
                    connection.terminate()
                else:
                    self._free.append(connection)

    def drop(self) -> None:
        """Use none of them again: they may lead to a host that is gone, or that lost its standby."""
        self._generation += 1
        while self._free:
            self._free.pop().terminate()

    def kill(self) -> None:
        """End all."""
        self.drop()
        for connection in self._used:
            connection.terminate()

    async def _open(self) -> asyncpg.Connection:
        while self._free:
            connection = self._free.pop()
            if not connection.is_closed():
                return connection
        return await self._address.connect()


async def wait_for_standby(connection: asyncpg.Connection) -> None:
    """Return once the standby, if commits wait for one, has all that can be seen here.

    Raises one of AWAY when it does not get it.
    """
    with warnings_of(connection) as warnings:
        try:
            await connection.execute(NOTE, timeout=_ANSWER_S)
        except TimeoutError:
            # A session that waits does not notice that nobody is there any more; one by one they would
            # take all places. To cancel a note is no harm, and only who closes waits until it is.
            with suppress(*AWAY):
                await connection.close(timeout=_CONNECT_S)
            raise
    if warnings:
        raise ConnectionError(f"it warned: {warnings[0]}")


@contextmanager
def warnings_of(connection: asyncpg.Connection) -> Iterator[list[str]]:
    """What the database warns of; a commit that did not wait for its standby is confirmed with one."""
    warnings: list[str] = []

    def warned(_: object, message: asyncpg.PostgresLogMessage) -> None:
        warnings.append(said(message))

    connection.add_log_listener(warned)
    try:
        yield warnings
    finally:
        connection.remove_log_listener(warned)


@contextmanager
def explained(address: Address) -> Iterator[None]:
    """What asyncpg and the database say, as one sentence. Raises StoreError."""
    try:
        yield
    except (*AWAY, asyncpg.PostgresError, ValueError) as problem:
        raise StoreError(_sentence(address, problem)) from problem


def _sentence(address: Address, problem: Exception) -> str:
    if isinstance(problem, asyncpg.InvalidCatalogNameError):
        return f"There is no database {address}. Create it, or name another with --store."
    if isinstance(problem, asyncpg.InvalidAuthorizationSpecificationError):
        return (
            f"{address} lets nobody in: {said(problem)}. Give the password in PGPASSWORD or a "
            "pgpass file."
        )
    if isinstance(problem, asyncpg.TargetServerAttributeNotMatched):
        return f"{address} takes no writes: it is a standby. Name the primary, or all hosts."
    if isinstance(problem, asyncpg.InsufficientPrivilegeError):
        return (
            f"{address} does not let this role do that: {said(problem)}. Run 'paycli db migrate "
            "--grant ROLE' as the owner."
        )
    if isinstance(problem, ssl.SSLError | ssl.CertificateError):
        return (
            f"{address} cannot be reached over TLS: {said(problem)}. Check sslmode and sslrootcert."
        )
    return f"{address} cannot be used: {said(problem)}."


def said(problem: BaseException) -> str:
    """What a driver's error says, in one line that ends in no full stop."""
    if isinstance(problem, TimeoutError):
        return "it does not answer"
    if isinstance(problem, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(problem, asyncpg.TargetServerAttributeNotMatched):
        return "no host takes writes"
    if isinstance(problem, asyncpg.InterfaceError) and "connection is closed" in str(problem):
        return "the connection went"
    words = (problem.strerror or problem) if isinstance(problem, OSError) else problem
    text = " ".join(str(words).split()) or type(problem).__name__
    return text.rstrip(".")


async def schema_version(connection: asyncpg.Connection) -> int:
    """How many migrations the database has had; 0 where there is no store."""
    there: Any = await connection.fetchval("SELECT to_regclass($1)::text", f"{SCHEMA}.migration")
    if there is None:
        return 0
    version: int = await connection.fetchval("SELECT coalesce(max(version), 0) FROM migration")
    return version


def check_schema_version(current: int, address: Address) -> None:
    """Refuse an older and a newer schema, and a copy that has not ended."""
    refuse_unfinished(current, address)
    if current > SCHEMA_VERSION:
        raise StoreError(
            f"The store {address} has schema version {current}; this paycli knows "
            f"{SCHEMA_VERSION}. Use the newer paycli that wrote it."
        )
    if current < SCHEMA_VERSION:
        raise StoreError(
            f"The store {address} has schema version {current}; this paycli needs "
            f"{SCHEMA_VERSION}. Run 'paycli db migrate' as its owner."
        )


def check_server(connection: asyncpg.Connection, address: Address) -> None:
    """Refuse a server that is too old for the schema."""
    major = connection.get_server_version().major
    if major < _OLDEST:
        raise StoreError(f"{address} is PostgreSQL {major}; paycli needs {_OLDEST} or newer.")
