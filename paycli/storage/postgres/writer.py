"""The writer of a PostgreSQL store: each batch in one transaction, beside those of other servers."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import asyncpg

from paycli.errors import PaymentError, StateForbids, StoreUnavailable
from paycli.payments.batch import Batch, Outcome, Stored, apply, changes_of
from paycli.payments.commands import Change, Command, Create, Declined
from paycli.payments.payment import Entry, Payment
from paycli.storage.failures import CommitFailed, CommitLost, CommitRefused
from paycli.storage.intents import IntentRow, intent_of, sealed_row_of
from paycli.storage.postgres import reads
from paycli.storage.postgres.pool import AWAY, NOTE, Pool, said, wait_for_standby, warnings_of
from paycli.storage.rows import counters_of, sealed_entries
from paycli.storage.schema import statement

_TRIES: Final = 10
_COMMIT_S: Final = 10.0  # a standby may take longer, but callers must hear something
_NEVER_S: Final = 1e6

# The mode of key_lock for who writes keys into entry alone, into intent alone, and into both
# (sql/0001_payments.sql); then a lower bound of the numbers that this transaction will reserve.
_OPERATIONS: Final = "ROW EXCLUSIVE"
_INTENTS: Final = "SHARE"
_BOTH: Final = "SHARE ROW EXCLUSIVE"
_BEGIN: Final = (
    "BEGIN; LOCK TABLE key_lock IN {mode} MODE; "
    "SELECT pg_advisory_xact_lock_shared(28771::bigint << 48 | last_value) FROM entry_seq"
)
_RESERVE: Final = "SELECT nextval('entry_seq') FROM generate_series(1, $1)"
_FIND_ANSWERS: Final = (
    f"SELECT {reads.PAYMENT_COLUMNS}, {reads.ENTRY_COLUMNS} "  # noqa: S608
    "FROM entry JOIN payment USING (payment_id) WHERE entry.request_key = ANY($1)"
)
_FIND_INTENTS: Final = (
    f"SELECT {reads.INTENT_COLUMNS} FROM intent "  # noqa: S608
    "WHERE request_key = ANY($1) ORDER BY request_key FOR UPDATE"
)
_FIND_PAYMENTS: Final = (
    f"SELECT {reads.PAYMENT_COLUMNS} FROM payment "  # noqa: S608
    "WHERE payment_id = ANY($1) ORDER BY payment_id FOR UPDATE"
)
_FIND_BUSY: Final = (
    "SELECT payment_id, request_key FROM intent WHERE payment_id = ANY($1) AND action <> 'create'"
)
_FIND_KEYS: Final = "SELECT request_key FROM entry WHERE request_key = ANY($1) LIMIT 1"
_DELETE_INTENTS: Final = "DELETE FROM intent WHERE request_key = ANY($1)"

# Try again: nothing was written, and whoever was in the way has ended.
_COLLISIONS: Final = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.InvalidCachedStatementError,  # somebody has migrated
)
# Of one of the commands; the others can be written without it.
_REFUSED: Final = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.DataError,
    ValueError,  # what asyncpg itself cannot send
)
_BROKEN: Final = (
    asyncpg.DataCorruptedError,
    asyncpg.IndexCorruptedError,
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
    asyncpg.InvalidSchemaNameError,
)


class _Unwritable(Exception):
    """The database refuses one of the commands."""

    def __init__(self, refusal: PaymentError) -> None:
        super().__init__(refusal)
        self.refusal = refusal


class PostgresWriter:
    """Writes batches, each through a connection that it has to itself meanwhile."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def write(self, commands: Sequence[Command]) -> list[Outcome]:
        """Commit a batch.

        Raises CommitRefused while the database takes no writes; CommitLost when the connection went
        in the moment of the commit; CommitFailed when the tables are not as they should be.
        """
        try:
            return await (self._write(commands) if commands else self._write_nothing())
        except _BROKEN as problem:
            raise CommitFailed(f"The store failed: {said(problem)}.") from problem
        except AWAY as problem:
            raise CommitRefused(f"The database is away: {said(problem)}.") from problem
        except asyncpg.PostgresError as problem:
            raise CommitRefused(f"The database refused: {said(problem)}.") from problem

    async def _write_nothing(self) -> list[Outcome]:
        async with self._pool.connection() as connection:
            await wait_for_standby(connection)
        return []

    async def _write(self, commands: Sequence[Command]) -> list[Outcome]:
        """When the database itself refuses something, each command is tried alone.

        So only the one to blame is refused.
        """
        try:
            return await self._in_the_end(commands)
        except _Unwritable as unwritable:
            if len(commands) == 1:
                return [unwritable.refusal]
        return await self._write_each(commands)

    async def _write_each(self, commands: Sequence[Command]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for command in commands:
            try:
                outcomes += await self.write([command])
            except CommitRefused as refused:  # between two of them; those before are written
                outcomes.append(StoreUnavailable(str(refused)))
        return outcomes

    async def _in_the_end(self, commands: Sequence[Command]) -> list[Outcome]:
        """Once nobody else writes the same keys in the same moment."""
        for _ in range(_TRIES):
            async with self._pool.connection() as connection:
                try:
                    batch = await self._begun(connection, commands)
                except (*_COLLISIONS, *_REFUSED) as problem:
                    await connection.execute("ROLLBACK")
                    if isinstance(problem, _REFUSED):
                        raise _Unwritable(_refused(problem)) from problem
                    continue
                if batch is None:
                    await connection.execute("ROLLBACK")
                    continue
                await _commit(connection)
                return batch.outcomes
        raise CommitRefused("Other servers are writing the same payments.")

    async def _begun(
        self, connection: asyncpg.Connection, commands: Sequence[Command]
    ) -> Batch | None:
        """Load, apply, save; what was loaded is locked. None if another server wrote a key first."""
        # By key, as all writers do: who waits for a row never holds one that another waits for.
        await connection.execute(_BEGIN.format(mode=_mode(commands)))
        seqs = [seq for (seq,) in await connection.fetch(_RESERVE, len(commands))]
        stored = await self._load(connection, commands)
        held = set(stored.intents)
        batch = apply(commands, stored, seqs)
        if not await self._save(connection, batch, held):
            return None
        if not batch.entries and not batch.intents:
            await connection.execute(NOTE)  # an answer that is only read is as durable as the first
        return batch

    async def _load(self, connection: asyncpg.Connection, commands: Sequence[Command]) -> Stored:
        stored = Stored()
        keys = [command.request_key for command in commands]
        width = len(Payment._fields)
        for row in await connection.fetch(_FIND_INTENTS, keys):
            intent = intent_of(IntentRow(*row))
            stored.intents[intent.operation.request_key] = intent
        # An id that no text of the database can be is an id of no payment.
        asked = {each.payment_id for each in changes_of(commands, stored)}
        changed = sorted(each for each in asked if "\0" not in each)
        if changed:
            for row in await connection.fetch(_FIND_PAYMENTS, changed):
                stored.payments[row[0]] = Payment(*row)
            stored.busy.update(await connection.fetch(_FIND_BUSY, changed))
        for row in await connection.fetch(_FIND_ANSWERS, keys):
            entry = Entry(*row[width:])
            stored.answered[entry.request_key] = (Payment(*row[:width]), entry)
        return stored

    async def _save(
        self, connection: asyncpg.Connection, batch: Batch, held: Collection[str]
    ) -> bool:
        if batch.entries:
            written = await connection.fetchval(
                statement("postgres", "write"), *written_columns(batch)
            )
            if written < len(batch.entries):
                return False
            if batch.changed:
                changes = map(counters_of, batch.changed.values())
                await connection.execute(statement("postgres", "change"), *columns_of(changes, 7))
        if batch.intents:
            # Of the others, one that is there by now is another server's.
            await connection.execute(_DELETE_INTENTS, sorted(batch.intents.keys() & held))
            recorded = sorted(
                sealed_row_of(intent) for intent in batch.intents.values() if intent is not None
            )
            if recorded:
                columns = columns_of(recorded, len(IntentRow._fields) + 1)
                written = await connection.fetchval(statement("postgres", "intend"), *columns)
                # Another server may have asked and been answered since we loaded: then its intent is
                # gone again, and only its entry tells.
                keys = [row[0] for row in recorded]
                return written == len(recorded) and not await connection.fetch(_FIND_KEYS, keys)
        return True


_ENTRY_WIDTH: Final = len(Entry._fields) + 1


def written_columns(batch: Batch) -> list[Sequence[Any]]:
    """What sql/write.sql takes: entries, payments and what moved, in the order of their locks."""
    entries = sorted(sealed_entries(batch), key=_request_key)
    moved = sorted((*where, by) for where, by in batch.moved.items())
    return [
        *columns_of(entries, _ENTRY_WIDTH),
        *columns_of(batch.created.values(), len(Payment._fields)),
        *columns_of(moved, 3),
    ]


def _request_key(row: Sequence[Any]) -> Any:
    return row[Entry._fields.index("request_key")]


def columns_of(rows: Iterable[Sequence[Any]], width: int) -> Sequence[Sequence[Any]]:
    """As unnest takes them."""
    return list(zip(*rows, strict=True)) or [()] * width


def _mode(commands: Sequence[Command]) -> str:
    operations = any(isinstance(each, Create | Change | Declined) for each in commands)
    if not operations:
        return _INTENTS
    alone = all(isinstance(each, Create | Change | Declined) for each in commands)
    return _OPERATIONS if alone else _BOTH


async def _commit(connection: asyncpg.Connection) -> None:
    """Raises CommitLost when nobody can say what became of it.

    It is never cancelled: that would show others a commit that no standby has yet.
    """
    with warnings_of(connection) as warnings:
        committing = asyncio.ensure_future(connection.execute("COMMIT", timeout=_NEVER_S))
        committing.add_done_callback(_seen)
        await asyncio.wait((committing,), timeout=_COMMIT_S)
    if not committing.done():
        connection.terminate()
        raise CommitLost(f"The database did not confirm a commit within {_COMMIT_S:g} s.")
    if (problem := committing.exception()) is not None:
        raise CommitLost(f"The connection went while it committed: {said(problem)}.")
    if warnings:  # "canceling the wait for synchronous replication"
        raise CommitLost(f"The database confirmed a commit, but warned: {warnings[0]}.")


def _seen(task: asyncio.Future[Any]) -> None:
    """So that a failure which nobody waits for any more is not told as forgotten."""
    if not task.cancelled():
        task.exception()


def _refused(problem: Exception) -> PaymentError:
    if isinstance(problem, asyncpg.NumericValueOutOfRangeError):
        return StateForbids(
            "An account would pass the largest balance, 2^63 - 1 minor units.",
            reason="BALANCE_LIMIT",
        )
    return StateForbids(f"The ledger cannot take this: {said(problem)}.", reason="LEDGER_FORBIDS")
