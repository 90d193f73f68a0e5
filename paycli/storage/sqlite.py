"""The SQLite store: one file, one writer thread, every commit on disk before the answer.

WAL with synchronous=FULL keeps what was acknowledged through kill -9 and power loss. Readers have
connections of their own and never wait for the writer.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

import apsw

from paycli.errors import PaymentError, StateForbids, StoreUnavailable
from paycli.payments.batch import Batch, Intended, Outcome, Receipt, Stored, apply
from paycli.payments.commands import Change, Command, Create, Intend, Withdraw
from paycli.payments.payment import Entry, Payment
from paycli.payments.queries import EntryCursor, EventFilter, Found, PaymentFilter
from paycli.storage import sqlite_reads as reads
from paycli.storage.group_commit import CommitFailed, GroupCommit
from paycli.storage.sqlite_file import SqliteFile

_READERS: Final = 2

# S608 sees built SQL; it is built from our own column names only.
_INSERT_PAYMENT = f"INSERT INTO payment VALUES ({', '.join('?' * len(Payment._fields))})"  # noqa: S608
_INSERT_ENTRY = f"INSERT INTO entry VALUES ({', '.join('?' * len(Entry._fields))})"  # noqa: S608
_INSERT_INTENT = f"INSERT INTO intent VALUES ({', '.join('?' * len(Create._fields))})"  # noqa: S608
_DELETE_INTENT = "DELETE FROM intent WHERE request_key = ?"
_UPDATE_PAYMENT = (
    "UPDATE payment SET captured = ?, voided = ?, refunded = ?, expired = ?, version = ?, "
    "updated_us = ? WHERE payment_id = ?"
)
_ADD_TO_BALANCE = "INSERT INTO balance VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET amount = amount + excluded.amount"
_FIND_ANSWERS = (
    f"SELECT {reads.PAYMENT_COLUMNS}, {reads.ENTRY_COLUMNS} FROM json_each(?) AS asked "  # noqa: S608
    "JOIN entry ON entry.request_key = asked.value JOIN payment USING (payment_id)"
)
_FIND_PAYMENTS = (
    f"SELECT {reads.PAYMENT_COLUMNS} FROM json_each(?) AS asked "  # noqa: S608
    "JOIN payment ON payment.payment_id = asked.value"
)

_Given = ParamSpec("_Given")
_Read = TypeVar("_Read")


class SqliteStore:
    """A `payments.store.Store` in one SQLite file."""

    def __init__(self, path: Path | None, on_failure: Callable[[], None]) -> None:
        """`path` None keeps everything in memory. `on_failure` is called if the store breaks."""
        self._file = SqliteFile(path)
        self._writer = self._file.connect()
        self._last_seq: int = self._writer.execute("SELECT coalesce(max(seq), 0) FROM entry").get
        self._intents = {each.request_key: each for each in reads.intents(self._writer)}
        self._news = asyncio.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite writer")
        # A store in memory belongs to one connection, so its reads share the writer's.
        self._readers = (
            self._thread if path is None else ThreadPoolExecutor(_READERS, "sqlite read")
        )
        self._reader = threading.local()
        self._group = GroupCommit(self._commit, on_failure)

    async def execute(self, command: Create | Change, timeout_s: float | None = None) -> Receipt:
        """See `payments.store.Store.execute`."""
        (outcome,) = await self._group.submit((command,), timeout_s)
        if isinstance(outcome, PaymentError):
            raise outcome
        assert isinstance(outcome, Receipt)
        return outcome

    async def execute_all(
        self, commands: Sequence[Create | Change], timeout_s: float | None = None
    ) -> list[Receipt | PaymentError]:
        """See `payments.store.Store.execute_all`."""
        outcomes = await self._group.submit(commands, timeout_s)
        return [each for each in outcomes if isinstance(each, Receipt | PaymentError)]

    async def intend(self, create: Create, timeout_s: float | None = None) -> Receipt | Intended:
        """See `payments.store.Store.intend`."""
        (outcome,) = await self._group.submit((Intend(create),), timeout_s)
        if isinstance(outcome, PaymentError):
            raise outcome
        assert isinstance(outcome, Receipt | Intended)
        return outcome

    async def withdraw(self, request_key: str) -> None:
        """See `payments.store.Store.withdraw`."""
        await self._group.submit((Withdraw(request_key),), None)

    async def intents(self) -> list[Create]:
        """See `payments.store.Store.intents`."""
        return sorted(self._intents.values(), key=lambda intent: intent.now_us)

    async def payment(self, payment_id: str) -> Payment | None:
        """See `payments.store.Store.payment`."""
        return await self._read(reads.payment, payment_id)

    async def payments(
        self, wanted: PaymentFilter, before: str, limit: int
    ) -> tuple[list[Payment], str]:
        """See `payments.store.Store.payments`."""
        return await self._read(reads.payments, wanted, before, limit)

    async def journal(
        self, payment_id: str, customer_id: str | None, after: EntryCursor, limit: int
    ) -> list[Found]:
        """See `payments.store.Store.journal`."""
        return await self._read(reads.journal, payment_id, customer_id, after, limit)

    async def entry(self, payment_id: str, version: int) -> Entry | None:
        """See `payments.store.Store.entry`."""
        return await self._read(reads.entry, payment_id, version)

    async def refunds(self, payment_id: str, after_version: int, limit: int) -> list[Entry]:
        """See `payments.store.Store.refunds`."""
        return await self._read(reads.refunds, payment_id, after_version, limit)

    async def balances(self, account: str) -> list[tuple[str, int]]:
        """See `payments.store.Store.balances`."""
        return await self._read(reads.balances, account)

    async def events(
        self, after_seq: int, wanted: EventFilter, limit: int
    ) -> tuple[list[Found], int]:
        """See `payments.store.Store.events`."""
        return await self._read(reads.events, after_seq, wanted, limit)

    async def news(self, after_seq: int) -> None:
        """See `payments.store.Store.news`."""
        while self._last_seq <= after_seq:
            await self._news.wait()

    @property
    def last_seq(self) -> int:
        """See `payments.store.Store.last_seq`."""
        return self._last_seq

    async def due(self, now_us: int, limit: int) -> list[str]:
        """See `payments.store.Store.due`."""
        return await self._read(reads.due, now_us, limit)

    async def close(self) -> None:
        """Commit what is waiting, then close the file."""
        await self._group.close()
        self._readers.shutdown()
        self._thread.shutdown()
        self._file.close()

    async def _read(
        self,
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
            return await asyncio.get_running_loop().run_in_executor(self._readers, run)
        except apsw.Error as problem:
            raise StoreUnavailable(f"The store cannot be read: {problem}.") from problem

    def _connection(self) -> apsw.Connection:
        """The calling thread's own."""
        if self._readers is self._thread:
            return self._writer
        connection: apsw.Connection | None = getattr(self._reader, "connection", None)
        if connection is None:
            connection = self._reader.connection = self._file.connect_reader()
        return connection

    async def _commit(self, commands: Sequence[Command]) -> list[Outcome]:
        loop = asyncio.get_running_loop()
        outcomes, seq = await loop.run_in_executor(self._thread, self._write, commands)
        if seq > self._last_seq:
            self._last_seq = seq
            self._news.set()
            self._news = asyncio.Event()
        return outcomes

    def _write(self, commands: Sequence[Command]) -> tuple[list[Outcome], int]:
        """Commit a batch and say the seq after it; runs in the writer thread only.

        When the database itself refuses something, each command is tried alone, so that only the
        one to blame is refused.
        """
        seq = self._writer.execute("SELECT coalesce(max(seq), 0) FROM entry").get
        try:
            batch = self._transaction(commands, seq + 1)
        except apsw.ConstraintError as problem:
            if len(commands) == 1:
                return [_refused(problem)], seq
            outcomes: list[Outcome] = []
            for command in commands:
                one, seq = self._write([command])
                outcomes += one
            return outcomes, seq
        except apsw.BusyError:  # at BEGIN, so nothing was written
            busy = StoreUnavailable("Another program holds the store for writing; try again.")
            return [busy] * len(commands), seq
        except apsw.Error as problem:
            raise CommitFailed(f"The store failed: {problem}.") from problem
        for key, intent in batch.intents.items():
            if intent is None:
                self._intents.pop(key, None)
            else:
                self._intents[key] = intent
        return batch.outcomes, seq + len(batch.entries)

    def _transaction(self, commands: Sequence[Command], next_seq: int) -> Batch:
        writer = self._writer
        writer.execute("BEGIN IMMEDIATE")
        try:
            batch = apply(commands, self._stored(commands), next_seq)
            if batch.entries:
                writer.executemany(_INSERT_PAYMENT, batch.created.values())
                writer.executemany(_UPDATE_PAYMENT, map(_update, batch.changed.values()))
                writer.executemany(_INSERT_ENTRY, batch.entries)
                moved = sorted(batch.moved.items())  # neighbours in the table one after another
                writer.executemany(_ADD_TO_BALANCE, ((*where, by) for where, by in moved))
            if batch.intents:
                writer.executemany(_DELETE_INTENT, ((key,) for key in batch.intents))
                recorded = (intent for intent in batch.intents.values() if intent is not None)
                writer.executemany(_INSERT_INTENT, recorded)
            writer.execute("COMMIT")
        except apsw.ConstraintError:
            writer.execute("ROLLBACK")
            raise
        return batch

    def _stored(self, commands: Sequence[Command]) -> Stored:
        stored = Stored(intents=self._intents)
        keys = json.dumps([command.request_key for command in commands])
        width = len(Payment._fields)
        for row in self._writer.execute(_FIND_ANSWERS, (keys,)):
            entry = Entry(*row[width:])
            stored.answered[entry.request_key] = (Payment(*row[:width]), entry)
        wanted = [command.payment_id for command in commands if isinstance(command, Change)]
        if wanted:
            for row in self._writer.execute(_FIND_PAYMENTS, (json.dumps(wanted),)):
                stored.payments[row[0]] = Payment(*row)
        return stored


def _update(payment: Payment) -> tuple[int | str, ...]:
    return (
        payment.captured,
        payment.voided,
        payment.refunded,
        payment.expired,
        payment.version,
        payment.updated_us,
        payment.payment_id,
    )


def _refused(problem: apsw.ConstraintError) -> PaymentError:
    message, reason = f"The ledger cannot take this: {problem}.", "LEDGER_FORBIDS"
    if "REAL value in INTEGER column balance" in str(problem):  # what an overflow turns into
        message = "An account would pass the largest balance, 2^63 - 1 minor units."
        reason = "BALANCE_LIMIT"
    refused = StateForbids(message)
    refused.reason = reason
    return refused
