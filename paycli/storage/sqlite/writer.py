"""The writer of a SQLite store: takes batches one after another, each in one transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

import apsw

from paycli.errors import PaymentError, StateForbids, StoreUnavailable
from paycli.payments.batch import Batch, Outcome, Stored, apply, changes_of
from paycli.payments.commands import Command
from paycli.payments.payment import Entry, Payment
from paycli.storage.failures import CommitFailed, CommitRefused
from paycli.storage.intents import IntentRow, intent_of, seal_of, sealed_row_of
from paycli.storage.rows import counters_of, sealed_entries
from paycli.storage.sqlite import reads

# S608 sees built SQL; it is built from our own column names only.
INSERT_PAYMENT: Final = f"INSERT INTO payment VALUES ({', '.join('?' * len(Payment._fields))})"  # noqa: S608
INSERT_ENTRY: Final = f"INSERT INTO entry VALUES ({', '.join('?' * (len(Entry._fields) + 1))})"  # noqa: S608
INSERT_INTENT: Final = (
    f"INSERT INTO intent VALUES ({', '.join('?' * (len(IntentRow._fields) + 1))})"  # noqa: S608
)
_DELETE_INTENT: Final = "DELETE FROM intent WHERE request_key = ?"
UPDATE_PAYMENT: Final = (
    "UPDATE payment SET captured = ?, voided = ?, refunded = ?, expired = ?, version = ?, "
    "updated_us = ? WHERE payment_id = ?"
)
_ADD_TO_BALANCE: Final = (
    "INSERT INTO balance VALUES (?, ?, ?) "
    "ON CONFLICT DO UPDATE SET amount = amount + excluded.amount"
)
_FIND_ANSWERS: Final = (
    f"SELECT {reads.PAYMENT_COLUMNS}, {reads.ENTRY_COLUMNS} FROM json_each(?) AS asked "  # noqa: S608
    "JOIN entry ON entry.request_key = asked.value JOIN payment USING (payment_id)"
)
_FIND_INTENTS: Final = (
    "SELECT intent.* FROM json_each(?) AS asked JOIN intent ON intent.request_key = asked.value"
)
_FIND_BUSY: Final = (
    "SELECT payment_id, request_key FROM json_each(?) AS asked "
    "JOIN intent ON intent.payment_id = asked.value WHERE action <> 'create'"
)
_FREE_CLAIM: Final = (
    "UPDATE intent SET claim = '', lease_us = :lease_us, seal = :seal WHERE request_key = :key"
)
_NEVER_US: Final = 2**62
_BROKEN: Final = -1  # no crc32 is
_FIND_PAYMENTS: Final = (
    f"SELECT {reads.PAYMENT_COLUMNS} FROM json_each(?) AS asked "  # noqa: S608
    "JOIN payment ON payment.payment_id = asked.value"
)


class SqliteWriter:
    """Writes through one connection, which nobody else may write through."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._failure: CommitFailed | None = None

    def write(self, commands: Sequence[Command]) -> tuple[list[Outcome], int]:
        """Commit a batch; returns the outcomes and the last seq after it.

        Raises CommitRefused while another program writes. Raises CommitFailed when the database
        broke, and from then on always: what SQLite sees may not be what is on disk.
        """
        if self._failure is not None:
            raise self._failure
        try:
            return self._write(commands)
        except apsw.BusyError as problem:  # at BEGIN, so nothing was written
            raise CommitRefused("Another program holds the store for writing.") from problem
        except apsw.Error as problem:
            self._failure = CommitFailed(f"The store failed: {problem}.")
            raise self._failure from problem

    def _write(self, commands: Sequence[Command]) -> tuple[list[Outcome], int]:
        """When the database itself refuses something, each command is tried alone.

        So only the one to blame is refused.
        """
        try:
            return self._transaction(commands)
        except apsw.ConstraintError as problem:
            if len(commands) == 1:
                return [_refused(problem)], reads.last_seq(self._connection)
        return self._write_each(commands)

    def _write_each(self, commands: Sequence[Command]) -> tuple[list[Outcome], int]:
        outcomes: list[Outcome] = []
        for command in commands:
            try:
                outcomes += self._write([command])[0]
            except apsw.BusyError:  # between two of them; those before are written
                outcomes.append(StoreUnavailable("Another program holds the store for writing."))
        return outcomes, reads.last_seq(self._connection)

    def _transaction(self, commands: Sequence[Command]) -> tuple[list[Outcome], int]:
        """Load, apply, save, commit. Nobody else writes from the load to the commit."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            seq = reads.last_seq(connection)
            batch = apply(commands, self._load(commands), range(seq + 1, seq + 1 + len(commands)))
            self._save(batch)
            connection.execute("COMMIT")
        except apsw.ConstraintError:
            connection.execute("ROLLBACK")
            raise
        return batch.outcomes, seq + len(batch.entries)

    def _load(self, commands: Sequence[Command]) -> Stored:
        stored = Stored()
        keys = json.dumps([command.request_key for command in commands])
        width = len(Payment._fields)
        for row in self._connection.execute(_FIND_ANSWERS, (keys,)):
            entry = Entry(*row[width:])
            stored.answered[entry.request_key] = (Payment(*row[:width]), entry)
        for *row, _ in self._connection.execute(_FIND_INTENTS, (keys,)):
            intent = intent_of(IntentRow(*row))
            stored.intents[intent.operation.request_key] = intent
        if changes := [each.payment_id for each in changes_of(commands, stored)]:
            changed = json.dumps(changes)
            for row in self._connection.execute(_FIND_PAYMENTS, (changed,)):
                stored.payments[row[0]] = Payment(*row)
            stored.busy.update(self._connection.execute(_FIND_BUSY, (changed,)))
        return stored

    def _save(self, batch: Batch) -> None:
        connection = self._connection
        if batch.entries:
            connection.executemany(INSERT_PAYMENT, batch.created.values())
            connection.executemany(UPDATE_PAYMENT, map(counters_of, batch.changed.values()))
            connection.executemany(INSERT_ENTRY, sealed_entries(batch))
            moved = sorted(batch.moved.items())  # neighbours in the table one after another
            connection.executemany(_ADD_TO_BALANCE, ((*where, by) for where, by in moved))
        if batch.intents:
            connection.executemany(_DELETE_INTENT, ((key,) for key in batch.intents))
            recorded = (intent for intent in batch.intents.values() if intent is not None)
            connection.executemany(INSERT_INTENT, map(sealed_row_of, recorded))


def free_claims(connection: apsw.Connection) -> None:
    """Let go of every intent, since whoever holds the file's lock knows that no holder lives.

    One with a broken seal was not recorded by us: nobody asked for it, so it is never taken up by
    itself. Its seal stays broken for `verify` to find.
    """
    with connection:
        for row, whole in reads.all_intents(connection):
            freed = row._replace(claim="", lease_us=0 if whole else _NEVER_US)
            given = {
                "lease_us": freed.lease_us,
                "seal": seal_of(freed) if whole else _BROKEN,
                "key": freed.request_key,
            }
            connection.execute(_FREE_CLAIM, given)


def _refused(problem: apsw.ConstraintError) -> PaymentError:
    if "REAL value in INTEGER column balance" in str(problem):  # what an overflow turns into
        return StateForbids(
            "An account would pass the largest balance, 2^63 - 1 minor units.",
            reason="BALANCE_LIMIT",
        )
    return StateForbids(f"The ledger cannot take this: {problem}.", reason="LEDGER_FORBIDS")
