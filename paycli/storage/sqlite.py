"""The SQLite store: one file, one writer thread, every commit on disk before the answer.

WAL with synchronous=FULL keeps what was acknowledged through kill -9 and power loss.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw

from paycli.errors import StoreUnavailable
from paycli.payments.batch import Outcome, Receipt, Stored, apply
from paycli.payments.commands import Change, Command
from paycli.payments.payment import Entry, Payment
from paycli.storage.group_commit import GroupCommit
from paycli.storage.sqlite_file import SqliteFile

# S608 sees built SQL; it is built from our own column names only.
_PAYMENT_COLUMNS = ", ".join(f"payment.{name}" for name in Payment._fields)
_ENTRY_COLUMNS = ", ".join(f"entry.{name}" for name in Entry._fields)
_INSERT_PAYMENT = f"INSERT INTO payment VALUES ({', '.join('?' * len(Payment._fields))})"  # noqa: S608
_INSERT_ENTRY = f"INSERT INTO entry VALUES ({', '.join('?' * len(Entry._fields))})"  # noqa: S608
_UPDATE_PAYMENT = (
    "UPDATE payment SET captured = ?, voided = ?, refunded = ?, expired = ?, version = ?, "
    "updated_us = ? WHERE payment_id = ?"
)
_FIND_ANSWERS = (
    f"SELECT {_PAYMENT_COLUMNS}, {_ENTRY_COLUMNS} FROM json_each(?) AS asked "  # noqa: S608
    "JOIN entry ON entry.request_key = asked.value JOIN payment USING (payment_id)"
)
_FIND_PAYMENTS = (
    f"SELECT {_PAYMENT_COLUMNS} FROM json_each(?) AS asked "  # noqa: S608
    "JOIN payment ON payment.payment_id = asked.value"
)


class SqliteStore:
    """A `payments.store.Store` in one SQLite file."""

    def __init__(self, path: Path | None, on_failure: Callable[[], None]) -> None:
        """`path` None keeps everything in memory. `on_failure` is called if the store breaks."""
        self._file = SqliteFile(path)
        self._writer = self._file.connect()
        self._next_seq = self._writer.execute("SELECT coalesce(max(seq), 0) + 1 FROM entry").get
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite writer")
        self._group = GroupCommit(self._commit, on_failure)

    def execute(self, command: Command) -> Awaitable[Receipt]:
        """See `payments.store.Store.execute`."""
        return self._group.submit(command)

    async def close(self) -> None:
        """Commit what is waiting, then close the file."""
        await self._group.close()
        self._thread.shutdown()
        self._writer.close()
        self._file.close()

    async def _commit(self, commands: Sequence[Command]) -> list[Outcome]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._write, commands)

    def _write(self, commands: Sequence[Command]) -> list[Outcome]:
        """One transaction for the whole batch; runs in the writer thread only."""
        writer = self._writer
        try:
            writer.execute("BEGIN IMMEDIATE")
            batch = apply(commands, self._stored(commands), self._next_seq)
            if batch.entries:
                writer.executemany(_INSERT_PAYMENT, batch.created.values())
                writer.executemany(_UPDATE_PAYMENT, map(_update, batch.changed.values()))
                writer.executemany(_INSERT_ENTRY, batch.entries)
            writer.execute("COMMIT")
        except apsw.Error as problem:
            raise StoreUnavailable(f"The store failed: {problem}.") from problem
        self._next_seq += len(batch.entries)
        return batch.outcomes

    def _stored(self, commands: Sequence[Command]) -> Stored:
        stored = Stored()
        keys = json.dumps([command.request_key for command in commands])
        width = len(Payment._fields)
        for row in self._writer.execute(_FIND_ANSWERS, (keys,)):
            entry = Entry(*row[width:])
            assert entry.request_key is not None
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
