"""Every invariant over a whole PostgreSQL store, a slice at a time.

SQL passes over the payments that are plainly right; the rest goes before the auditor of the domain.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import asyncpg

from paycli.errors import CheckFailed
from paycli.payments.audit import violation
from paycli.payments.currencies import EXPONENTS
from paycli.storage.anchors import Anchor
from paycli.storage.postgres import reads
from paycli.storage.postgres.anchor import anchor_journal, kept_anchors
from paycli.storage.postgres.pool import Address, check_schema_version, schema_version
from paycli.storage.records import Progress, Verified
from paycli.storage.schema import UNFINISHED, statement

_SLICE: Final = 50_000
_CURRENCIES: Final = sorted(EXPONENTS)
_ALL: Final = 2**62
_CATALOG: Final = Path(__file__).parent / "sql" / "catalog.txt"


async def verify(
    address: Address, progress: Progress, since: Anchor | None = None, *, unfinished: bool = False
) -> Verified:
    """Check the store as it is at this moment, and that it goes on from where `since` was taken.

    `unfinished` is for a copy that has not ended. Raises CheckFailed with the first violation, StoreError.
    """
    async with address.checking() as connection:
        current = await schema_version(connection)
        check_schema_version(current % UNFINISHED if unfinished else current, address)
        # Before the snapshot: all entries up to it are in there, none comes later.
        last = await reads.newest_seq(connection)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return await _verify(connection, last, progress, since)


async def _verify(
    connection: asyncpg.Connection, last: int, progress: Progress, since: Anchor | None
) -> Verified:
    await _check_schema(connection)
    kept = await kept_anchors(connection) + ([] if since is None else [since])
    payments, versions = await _check_payments(connection, progress)
    entries = await _check_journal(connection, versions)
    await _check_keys(connection)
    await _check_balances(connection)
    intents = await _check_intents(connection)
    anchor = await anchor_journal(connection, last, kept)
    return Verified(payments, entries, intents, str(anchor))


async def catalog(connection: asyncpg.Connection) -> set[str]:
    """What holds the rules of the tables, a line each."""
    return {line for (line,) in await connection.fetch(statement("postgres", "catalog"))}


async def _check_schema(connection: asyncpg.Connection) -> None:
    """I3, I6: all that holds the rules (indexes, triggers) is in place."""
    changed = await catalog(connection) ^ _catalog_made()
    if changed:
        await _check_duplicates(connection)
        kind, name, _ = min(changed).split(" ", 2)
        raise CheckFailed(
            f"I3: the {kind} {name} is not as paycli made it; somebody changed the schema. "
            "Restore a backup."
        )


async def _check_duplicates(connection: asyncpg.Connection) -> None:
    """I6 where somebody took the unique index away."""
    query = "SELECT min(seq), max(seq) FROM entry GROUP BY request_key HAVING count(*) > 1 LIMIT 1"
    for first, second in await connection.fetch(query):
        raise CheckFailed(f"Entries {first} and {second} break I6: both have one idempotency key.")


async def _check_payments(connection: asyncpg.Connection, progress: Progress) -> tuple[int, int]:
    """I1, I2, I4, I5, I8 of every payment; returns how many there are and the sum of versions."""
    of_all: int = await connection.fetchval("SELECT count(*) FROM payment")
    done, versions, after = 0, 0, ""
    slice_ = (
        "SELECT count(*), sum(version), min(payment_id), max(payment_id) FROM (SELECT payment_id, "
        "version FROM payment WHERE payment_id > $1 ORDER BY payment_id LIMIT $2) AS next"
    )
    while True:
        count, total, first, last = await connection.fetchrow(slice_, after, _SLICE)
        if not count:
            return done, versions
        suspects = await connection.fetch(
            statement("postgres", "to_audit"), first, last, _CURRENCIES
        )
        for (payment_id,) in suspects:
            await _audit(connection, payment_id)
        done, versions, after = done + count, versions + total, last
        progress(done, of_all)


async def _audit(connection: asyncpg.Connection, payment_id: str) -> None:
    payment = await reads.payment(connection, payment_id)
    assert payment is not None
    found = await reads.journal_of_payment(connection, payment_id, 0, _ALL)
    broken = violation(payment, [each.entry for each in found])
    if broken is not None:
        raise CheckFailed(f"Payment {payment_id} breaks {broken}.")


async def _check_journal(connection: asyncpg.Connection, versions: int) -> int:
    """I5: as many entries as transitions; so no entry is without payment."""
    query = "SELECT count(*), coalesce(min(seq), 1) FROM entry"
    count, least = await connection.fetchrow(query)
    if count != versions:
        query = (
            "SELECT seq, entry.payment_id FROM entry LEFT JOIN payment USING (payment_id) "
            "WHERE payment.payment_id IS NULL OR entry.version > payment.version "
            "OR (entry.version = 1 AND entry.seq <> payment.created_seq) LIMIT 1"
        )
        for seq, payment_id in await connection.fetch(query):
            raise CheckFailed(
                f"Entry {seq} breaks I5: it is of no version of payment {payment_id}."
            )
        raise CheckFailed(f"The journal breaks I5: {count} entries for {versions} transitions.")
    if least < 1:
        raise CheckFailed(f"The journal breaks I5: its first entry has the number {least}.")
    return int(count)


async def _check_keys(connection: asyncpg.Connection) -> None:
    """I6: a key that its index does not lead to could be used again."""
    # So that each entry is looked up through the index of keys, and not by seq.
    for setting in ("enable_hashjoin", "enable_mergejoin"):
        await connection.execute(f"SET LOCAL {setting} = off")
    query = (
        "SELECT seq FROM entry AS one WHERE NOT EXISTS (SELECT 1 FROM entry AS found "
        "WHERE found.request_key = one.request_key AND found.seq + 0 = one.seq) LIMIT 1"
    )
    for (seq,) in await connection.fetch(query):
        raise CheckFailed(
            f"Entry {seq} breaks I6: the index does not lead to its idempotency key. Restore a "
            "backup."
        )
    for setting in ("enable_hashjoin", "enable_mergejoin"):
        await connection.execute(f"SET LOCAL {setting} = on")


async def _check_balances(connection: asyncpg.Connection) -> None:
    """I4: every balance is the sum of its postings. Then each currency sums to zero as well."""
    for account, currency, stored, owed in await connection.fetch(
        statement("postgres", "wrong_balances")
    ):
        raise CheckFailed(
            f"Account {account} breaks I4: its balance is {stored} minor units of {currency}, its "
            f"postings sum to {owed}."
        )


async def _check_intents(connection: asyncpg.Connection) -> int:
    """I6 of what the processor is being asked: recorded by paycli, and not answered yet."""
    intents = await reads.all_intents(connection)
    for row, whole in intents:
        asked = f"The open question to the processor about payment {row.payment_id} breaks I6"
        if not whole:
            raise CheckFailed(
                f"{asked}: it is not as paycli recorded it, and a server would not settle it. "
                "Restore a backup."
            )
        answered = "SELECT seq FROM entry WHERE request_key = $1"
        for (seq,) in await connection.fetch(answered, row.request_key):
            raise CheckFailed(f"{asked}: entry {seq} is its answer already. Restore a backup.")
    return len(intents)


@cache
def _catalog_made() -> set[str]:
    return set(_CATALOG.read_text(encoding="utf-8").splitlines())
