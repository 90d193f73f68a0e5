"""The anchor of a PostgreSQL store's journal, and those that came with backups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import asyncpg

from paycli.errors import CheckFailed
from paycli.storage.anchors import Anchor, JournalDigest, changed, is_sealed
from paycli.storage.postgres import reads
from paycli.storage.schema import statement

_AT_ONCE: Final = 1000  # entries


async def kept_anchors(connection: asyncpg.Connection) -> list[Anchor]:
    """Those that came with the backups this store was restored from."""
    return [Anchor(*row) for row in await connection.fetch("SELECT seq, digest FROM anchor")]


async def keep_anchor(connection: asyncpg.Connection) -> None:
    """Take the anchor of a backup that is made next. Raises CheckFailed when the journal is wrong."""
    last = await reads.newest_seq(connection)
    anchor = await anchor_journal(connection, last, await kept_anchors(connection))
    await connection.execute("INSERT INTO anchor VALUES ($1, $2) ON CONFLICT DO NOTHING", *anchor)


async def anchor_journal(
    connection: asyncpg.Connection, last: int, kept: Iterable[Anchor]
) -> Anchor:
    """The anchor of the entries up to `last`, each compared with its seal.

    The anchors of `kept` must be met on the way. Raises CheckFailed.
    """
    journal = JournalDigest(last, kept)
    after, anchor = 0, Anchor(0, "")
    for mark in journal.marks:
        await _digest(connection, journal, after, mark)
        anchor, after = journal.reach(mark), mark
    return anchor


async def _digest(
    connection: asyncpg.Connection, journal: JournalDigest, after: int, last: int
) -> None:
    """Add the entries in between, many at a time. Raises CheckFailed."""
    query = statement("postgres", "sealed")
    while True:
        count, reached, sealed, seals = await connection.fetchrow(query, after, last, _AT_ONCE)
        if not count:
            return
        if not journal.add(sealed, seals):
            raise await _changed(connection, after)
        after = reached


async def _changed(connection: asyncpg.Connection, after: int) -> CheckFailed:
    """The first entry after that one that is not as it was sealed."""
    query = statement("postgres", "sealed")
    while True:
        _, seq, sealed, (seal,) = await connection.fetchrow(query, after, 2**62, 1)
        if not is_sealed(sealed, seal):
            break
        after = seq
    payment_id = await connection.fetchval("SELECT payment_id FROM entry WHERE seq = $1", seq)
    return changed(seq, payment_id)
