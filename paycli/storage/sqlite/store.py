"""The SQLite store: one file, one writer process, every commit on disk before the answer.

WAL with synchronous=FULL keeps what was acknowledged through kill -9 and power loss. Readers have
connections of their own and never wait for the writer.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

import apsw

from paycli.errors import PaymentError, StoreInUse, StoreUnavailable
from paycli.payments.batch import Outcome, Receipt
from paycli.payments.commands import Change, Command, Create, Declined
from paycli.payments.payment import Entry, Payment
from paycli.payments.queries import Due, EntryCursor, EventFilter, Found, PaymentFilter
from paycli.payments.store import CommitObserver, OnHealth
from paycli.storage.failures import CommitFailed, CommitLost
from paycli.storage.group_commit import GroupCommit
from paycli.storage.sqlite import reads
from paycli.storage.sqlite.file import SqliteFile
from paycli.storage.sqlite.writer import SqliteWriter, free_claims
from paycli.storage.sqlite.writer_process import WriterProcess

_PAGE_READERS: Final = 2
_LAST_BATCHES_S: Final = 10.0

_Given = ParamSpec("_Given")
_Read = TypeVar("_Read")


@asynccontextmanager
async def open_sqlite(
    path: Path | None,
    on_health: OnHealth,
    observer: CommitObserver | None = None,
    patience_s: float = 0.0,
) -> AsyncIterator[SqliteStore]:
    """The store of a file, until the block ends; None keeps everything in memory. Raises StoreError.

    The file is opened on the loop, a long WAL too: before there is a store, nobody is served.
    """
    with closing(await _free(path, patience_s)) as file:
        store = SqliteStore(file, on_health, observer)
        try:
            yield store
        finally:
            await store.close()


async def _free(path: Path | None, patience_s: float) -> SqliteFile:
    """The file, once no other process holds it. Raises StoreError."""
    loop = asyncio.get_running_loop()
    until = loop.time() + patience_s
    while True:
        try:
            return SqliteFile(path)
        except StoreInUse:
            if loop.time() > until:
                raise
        await asyncio.sleep(0)  # each try takes a second itself


class SqliteStore:
    """A `payments.store.Store` in one SQLite file."""

    def __init__(
        self, file: SqliteFile, on_health: OnHealth, observer: CommitObserver | None = None
    ) -> None:
        """The file is its maker's to close. Raises StoreError."""
        self._file = file
        connection = file.connect()
        free_claims(connection)
        self._newest_seq = reads.last_seq(connection)
        self._watch = file.watch()
        self._news = asyncio.Event()
        self._reader = threading.local()
        if file.path is None:
            self._pages = self._look_ups = ThreadPoolExecutor(
                1, "sqlite", self._share, (connection,)
            )
            self._writer: WriterProcess | _WriterThread = _WriterThread(connection, self._pages)
        else:
            assert file.lock is not None
            # A line of its own for single things: no page, however many want one, holds them up.
            self._pages = ThreadPoolExecutor(_PAGE_READERS, "sqlite pages")
            self._look_ups = ThreadPoolExecutor(1, "sqlite look-ups")
            self._writer = WriterProcess(file.path, file.lock)
        self._group = GroupCommit(self._commit, on_health, observer)

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
        while self._newest_seq <= after_seq:
            await self._news.wait()

    async def newest_seq(self) -> int:
        """See `payments.store.Store.newest_seq`."""
        return self._newest_seq

    async def due(self, now_us: int, after: Due, limit: int) -> list[Due]:
        """See `payments.store.Store.due`."""
        return await self._read(self._pages, reads.due, now_us, after, limit)

    async def close(self) -> None:
        """Commit what is waiting, then let go of the file. A writer that hangs is ended."""
        try:
            async with asyncio.timeout(_LAST_BATCHES_S):
                await self._group.close()
        except TimeoutError:
            self._writer.kill()
            await self._group.close()
        await self._writer.close()
        for readers in (self._pages, self._look_ups):
            readers.shutdown()

    async def _read(
        self,
        readers: ThreadPoolExecutor,
        query: Callable[Concatenate[apsw.Connection, _Given], _Read],
        *given: _Given.args,
        **named: _Given.kwargs,
    ) -> _Read:
        def run() -> _Read:
            connection = self._connection()
            with connection:  # one transaction: all statements of a query see the same moment
                found = query(connection, *given, **named)
            return found  # noqa: RET504 - for the type checker, `with` might swallow an exception

        try:
            return await asyncio.get_running_loop().run_in_executor(readers, run)
        except apsw.Error as problem:
            raise StoreUnavailable(f"The store cannot be read: {problem}.") from problem

    def _connection(self) -> apsw.Connection:
        """The calling thread's own."""
        connection: apsw.Connection | None = getattr(self._reader, "connection", None)
        if connection is None:
            connection = self._reader.connection = self._file.connect_reader()
        return connection

    def _share(self, connection: apsw.Connection) -> None:
        self._reader.connection = connection

    async def _commit(self, commands: Sequence[Command]) -> list[Outcome]:
        try:
            outcomes, seq = await self._writer.write(commands)
        except CommitLost as lost:
            self._check_files(lost)
            raise
        self._check_files()
        if seq > self._newest_seq:
            self._newest_seq = seq
            self._news.set()
            self._news = asyncio.Event()
        return outcomes

    def _check_files(self, before: CommitLost | None = None) -> None:
        """Raises CommitFailed when what was written is not where anybody will look for it."""
        moved = self._watch.problem() if self._watch is not None else None
        if moved is not None:
            raise CommitFailed(moved) from before


class _WriterThread:
    """The writer of a store in memory: that belongs to one connection, which reads use as well."""

    def __init__(self, connection: apsw.Connection, thread: ThreadPoolExecutor) -> None:
        self._writer = SqliteWriter(connection)
        self._thread = thread

    async def write(self, commands: Sequence[Command]) -> tuple[list[Outcome], int]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._writer.write, commands)

    def kill(self) -> None:
        """A thread cannot be ended; memory does not hang."""

    async def close(self) -> None:
        """Nothing is kept."""
