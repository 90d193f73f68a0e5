"""The PostgreSQL store: any number of servers, every commit on the primary's disk before the answer.

With synchronous replication it is on a standby's as well. Writers and readers have connections of
their own, so that no page, however many want one, holds a payment up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Concatenate, Final, ParamSpec, TypeVar

import asyncpg

from paycli.errors import PaymentError, StoreUnavailable
from paycli.payments.batch import Outcome, Receipt
from paycli.payments.commands import Change, Command, Create, Declined
from paycli.payments.payment import Entry, Payment
from paycli.payments.queries import Due, EntryCursor, EventFilter, Found, PaymentFilter
from paycli.payments.store import CommitObserver, OnHealth
from paycli.storage.failures import CommitLost, CommitRefused
from paycli.storage.group_commit import GroupCommit
from paycli.storage.postgres import reads
from paycli.storage.postgres.migrate import bring_up_to_date
from paycli.storage.postgres.news import News
from paycli.storage.postgres.pool import (
    AWAY,
    Address,
    Pool,
    check_schema_version,
    check_server,
    said,
    schema_version,
)
from paycli.storage.postgres.writer import PostgresWriter

_PAGE_READERS: Final = 2
_LOOK_UPS: Final = 2
_UNDER_WAY: Final = 2
_FULL: Final = 256  # commands; what is beyond goes beside the batch that is under way
_LAST_BATCHES_S: Final = 10.0

_Given = ParamSpec("_Given")
_Read = TypeVar("_Read")


@asynccontextmanager
async def open_postgres(
    address: Address, on_health: OnHealth, observer: CommitObserver | None = None
) -> AsyncIterator[PostgresStore]:
    """The store of a database, until the block ends. An empty database becomes one.

    Raises StoreError.
    """
    newest_seq = await _checked(address)
    store = PostgresStore(address, newest_seq, on_health, observer)
    try:
        yield store
    finally:
        await store.close()


async def _checked(address: Address) -> int:
    """The newest seq of a store that can be served from. Raises StoreError."""
    async with address.checking() as connection:
        check_server(connection, address)
        current = await schema_version(connection)
        if current:
            check_schema_version(current, address)
        else:
            await bring_up_to_date(connection, address)
        return await reads.newest_seq(connection)


class PostgresStore:
    """A `payments.store.Store` in a PostgreSQL database."""

    def __init__(
        self,
        address: Address,
        newest_seq: int,
        on_health: OnHealth,
        observer: CommitObserver | None = None,
    ) -> None:
        # A line of its own for single things: no page, however many want one, holds them up.
        self._pages = Pool(address, _PAGE_READERS)
        self._look_ups = Pool(address, _LOOK_UPS)
        self._writers = Pool(address, _UNDER_WAY)
        self._writer = PostgresWriter(self._writers)
        self._news = News(address, newest_seq)
        self._group = GroupCommit(self._commit, on_health, observer, full=_FULL)

    async def execute(
        self, command: Create | Change | Declined, timeout_s: float | None = None
    ) -> Receipt:
        """See `payments.store.Store.execute`."""
        (outcome,) = await self._group.submit((command,), timeout_s)
        if isinstance(outcome, PaymentError):
            raise outcome
        assert isinstance(outcome, Receipt)
        return outcome

    async def execute_all(
        self, commands: Sequence[Command], timeout_s: float | None = None
    ) -> list[Outcome]:
        """See `payments.store.Store.execute_all`."""
        return await self._group.submit(commands, timeout_s)

    async def open_intents(self, now_us: int, limit: int) -> list[str]:
        """See `payments.store.Store.open_intents`."""
        return await self._read(self._pages, reads.open_intents, now_us, limit)

    async def payment(self, payment_id: str) -> Payment | None:
        """See `payments.store.Store.payment`."""
        return await self._read(self._look_ups, reads.payment, payment_id)

    async def payments(
        self, wanted: PaymentFilter, before: str, limit: int
    ) -> tuple[list[Payment], str]:
        """See `payments.store.Store.payments`."""
        return await self._read(self._pages, reads.payments, wanted, before, limit)

    async def journal(self, after: EntryCursor, limit: int) -> list[Found]:
        """See `payments.store.Store.journal`."""
        return await self._read(self._pages, reads.journal, after, limit)

    async def journal_of_customer(
        self, customer_id: str, after: EntryCursor, limit: int
    ) -> list[Found]:
        """See `payments.store.Store.journal_of_customer`."""
        return await self._read(self._pages, reads.journal_of_customer, customer_id, after, limit)

    async def journal_of_payment(
        self, payment_id: str, after_version: int, limit: int
    ) -> list[Found]:
        """See `payments.store.Store.journal_of_payment`."""
        return await self._read(
            self._pages, reads.journal_of_payment, payment_id, after_version, limit
        )

    async def entry(self, payment_id: str, version: int) -> Entry | None:
        """See `payments.store.Store.entry`."""
        return await self._read(self._look_ups, reads.entry, payment_id, version)

    async def refunds(self, payment_id: str, after_version: int, limit: int) -> list[Entry]:
        """See `payments.store.Store.refunds`."""
        return await self._read(self._pages, reads.refunds, payment_id, after_version, limit)

    async def balances(self, account: str) -> list[tuple[str, int]]:
        """See `payments.store.Store.balances`."""
        return await self._read(self._look_ups, reads.balances, account)

    async def events(
        self, after_seq: int, wanted: EventFilter, limit: int
    ) -> tuple[list[Found], int]:
        """See `payments.store.Store.events`."""
        return await self._read(self._pages, reads.events, after_seq, wanted, limit)

    async def news(self, after_seq: int) -> None:
        """See `payments.store.Store.news`."""
        await self._news.after(after_seq)

    async def newest_seq(self) -> int:
        """See `payments.store.Store.newest_seq`."""
        return await self._read(self._look_ups, reads.newest_seq)

    async def due(self, now_us: int, after: Due, limit: int) -> list[Due]:
        """See `payments.store.Store.due`."""
        return await self._read(self._pages, reads.due, now_us, after, limit)

    async def close(self) -> None:
        """Commit what is waiting, then let go of the database. A commit that hangs is ended."""
        try:
            async with asyncio.timeout(_LAST_BATCHES_S):
                await self._group.close()
        except TimeoutError:
            self._writers.kill()
            await self._group.close()
        await self._news.close()
        for pool in (self._writers, self._pages, self._look_ups):
            pool.kill()

    async def _read(
        self,
        readers: Pool,
        query: Callable[Concatenate[asyncpg.Connection, _Given], Awaitable[_Read]],
        *given: _Given.args,
        **named: _Given.kwargs,
    ) -> _Read:
        try:
            async with readers.connection() as connection:
                return await query(connection, *given, **named)
        except (*AWAY, asyncpg.PostgresError) as problem:
            raise StoreUnavailable(f"The store cannot be read: {said(problem)}.") from problem

    async def _commit(self, commands: Sequence[Command]) -> list[Outcome]:
        try:
            outcomes = await self._writer.write(commands)
        except (CommitRefused, CommitLost):
            # What they would show may be on the primary alone; a new connection waits for the standby.
            for pool in (self._pages, self._look_ups):
                pool.drop()
            raise
        if any(isinstance(each, Receipt) and not each.replayed for each in outcomes):
            self._news.committed()
        else:
            self._news.look()
        return outcomes
