"""A PostgreSQL store as one end of a copy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from paycli.errors import StoreError, StoreInUse
from paycli.payments.payment import Entry, Payment
from paycli.storage.anchors import Anchor
from paycli.storage.copying import AT_ONCE, Copied, Row
from paycli.storage.intents import IntentRow
from paycli.storage.postgres import reads
from paycli.storage.postgres.anchor import anchor_journal
from paycli.storage.postgres.migrate import bring_up_to_date
from paycli.storage.postgres.pool import (
    SCHEMA,
    SCHEMA_VERSION,
    Address,
    check_schema_version,
    explained,
    said,
    schema_version,
)
from paycli.storage.postgres.status import is_served
from paycli.storage.postgres.verify import verify
from paycli.storage.postgres.writer import columns_of
from paycli.storage.records import Progress, Verified
from paycli.storage.rows import counters_of
from paycli.storage.schema import UNFINISHED, statement

_LOCK: Final = 0x7061_7963_6370  # an advisory lock, so that two copies into one store take turns
_WIDTH: Final = len(Payment._fields)
_JOURNAL: Final = (
    f"SELECT {reads.PAYMENT_COLUMNS}, {reads.ENTRY_COLUMNS}, entry.seal FROM entry "  # noqa: S608
    "JOIN payment USING (payment_id) WHERE seq > $1 ORDER BY seq LIMIT $2"
)
_REST: Final = {
    "balance": (
        "SELECT account, currency, sum(amount)::bigint FROM balance GROUP BY account, currency"
    ),
    "intent": f"SELECT {', '.join(IntentRow._fields)}, seal FROM intent",  # noqa: S608
    "anchor": "SELECT seq, digest FROM anchor",
}
_COLUMNS: Final = {
    "balance": ("account", "currency", "amount", "slot"),
    "intent": (*IntentRow._fields, "seal"),
    "anchor": ("seq", "digest"),
}
_SLOT: Final = 0  # of a balance that comes over in one row
# The database of a server, whatever it is called on the way there.
_PLACE: Final = (
    "SELECT system_identifier || '/' || (SELECT oid FROM pg_database "
    "WHERE datname = current_database()) FROM pg_control_system()"
)


class PostgresEnd:
    """A `copying.End` that is a database."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def __str__(self) -> str:
        return str(self._address)

    async def place(self) -> str:
        """See `copying.End.place`."""
        async with self._address.checking() as connection:
            place: str = await connection.fetchval(_PLACE)
        return place

    async def verify(self, progress: Progress, *, unfinished: bool = False) -> Verified:
        """See `copying.End.verify`."""
        return await verify(self._address, progress, unfinished=unfinished)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[PostgresSource]:
        """See `copying.End.reading`."""
        async with self._address.checking() as connection:
            check_schema_version(await schema_version(connection), self._address)
            await _refuse_served(connection, self._address)
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                # Each writer takes it in another mode (sql/0001_payments.sql): none gets it now.
                await _lock(
                    connection, self._address, "LOCK TABLE key_lock IN EXCLUSIVE MODE", "reading"
                )
                yield PostgresSource(self._address, connection)

    @asynccontextmanager
    async def filling(self) -> AsyncIterator[PostgresTarget]:
        """See `copying.End.filling`."""
        async with self._address.checking() as connection:
            turns = f"SELECT pg_advisory_lock({_LOCK})"
            await _lock(connection, self._address, turns, "filling")
            current = await schema_version(connection)
            if current:
                check_schema_version(current % UNFINISHED, self._address)
            target = PostgresTarget(self._address, connection)
            try:
                if not current:
                    await bring_up_to_date(connection, self._address)
                await _refuse_served(connection, self._address)
                await target.begin(is_marked=current > UNFINISHED)
            except asyncpg.InsufficientPrivilegeError as problem:
                raise StoreError(
                    f"Only its owner can copy into {self}: {said(problem)}."
                ) from problem
            yield target


class PostgresSource:
    """A `copying.Source`."""

    def __init__(self, address: Address, connection: asyncpg.Connection) -> None:
        self._address = address
        self._connection = connection

    async def anchor(self, seq: int) -> Anchor:
        """See `copying.Source.anchor`."""
        with explained(self._address):
            return await anchor_journal(self._connection, seq, [])

    async def journal(self, after_seq: int) -> AsyncIterator[list[Copied]]:
        """See `copying.Source.journal`."""
        with explained(self._address):
            while rows := await self._connection.fetch(_JOURNAL, after_seq, AT_ONCE):
                page = [Copied(Payment(*row[:_WIDTH]), row[_WIDTH:]) for row in rows]
                yield page
                after_seq = int(page[-1].sealed_entry[0])

    async def rest(self) -> AsyncIterator[tuple[str, list[Row]]]:
        """See `copying.Source.rest`."""
        with explained(self._address):
            for table, query in _REST.items():
                cursor = await self._connection.cursor(query)
                while rows := await cursor.fetch(AT_ONCE):
                    yield table, [tuple(row) for row in rows]


class PostgresTarget:
    """A `copying.Target`; its mark keeps servers out."""

    def __init__(self, address: Address, connection: asyncpg.Connection) -> None:
        self._address = address
        self._connection = connection
        self.is_whole = False
        self.last_seq = self.payments = 0

    async def begin(self, *, is_marked: bool) -> None:
        """Look at what is there; mark it if that is nothing."""
        query = (
            "SELECT (SELECT coalesce(max(seq), 0) FROM entry), (SELECT count(*) FROM payment), "
            "(SELECT count(*) FROM intent)"
        )
        row = await self._connection.fetchrow(query)
        self.last_seq, self.payments, intents = row
        self.is_whole = not is_marked and bool(self.last_seq or intents)
        if not self.is_whole and not is_marked:
            mark = UNFINISHED + SCHEMA_VERSION
            await self._connection.execute("INSERT INTO migration VALUES ($1, 'copying')", mark)

    async def anchor(self) -> Anchor:
        """See `copying.Target.anchor`."""
        with explained(self._address):
            return await anchor_journal(self._connection, self.last_seq, [])

    async def add(self, page: Sequence[Copied], changed: Sequence[Payment]) -> None:
        """See `copying.Target.add`."""
        created = [each.payment for each in page if each.is_first]
        entries = [each.sealed_entry for each in page]
        with explained(self._address):
            async with self._connection.transaction():
                await self._insert("payment", Payment._fields, created)
                if changed:
                    counters = columns_of(map(counters_of, changed), 7)
                    await self._connection.execute(statement("postgres", "change"), *counters)
                await self._insert("entry", (*Entry._fields, "seal"), entries)

    async def replace_rest(self, rest: AsyncIterator[tuple[str, list[Row]]]) -> None:
        """See `copying.Target.replace_rest`."""
        with explained(self._address):
            async with self._connection.transaction():
                for table in _REST:
                    await self._connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
                async for table, rows in rest:
                    slotted = [(*row, _SLOT) for row in rows] if table == "balance" else rows
                    await self._insert(table, _COLUMNS[table], slotted)
                await self._connection.execute(
                    "SELECT setval('entry_seq', coalesce(max(seq), 0)) FROM entry"
                )
            # So that the first plans of a server know how much there is.
            await self._connection.execute("ANALYZE payment, entry, intent, balance")

    async def finish(self) -> None:
        """See `copying.Target.finish`."""
        with explained(self._address):
            await self._connection.execute("DELETE FROM migration WHERE version > $1", UNFINISHED)

    async def _insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        await self._connection.copy_records_to_table(
            table, records=rows, columns=columns, schema_name=SCHEMA
        )


async def _lock(connection: asyncpg.Connection, address: Address, query: str, doing: str) -> None:
    try:
        await connection.execute(query)
    except asyncpg.LockNotAvailableError as problem:
        raise StoreInUse(
            f"Another 'paycli db copy' is {doing} {address}; wait for it, or end it."
        ) from problem


async def _refuse_served(connection: asyncpg.Connection, address: Address) -> None:
    if await is_served(connection):
        raise StoreInUse(f"A paycli server is using the store {address}. Stop all of them first.")
