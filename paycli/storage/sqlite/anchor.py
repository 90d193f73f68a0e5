"""The anchor of a SQLite store's journal, and those that came with backups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import apsw

from paycli.errors import CheckFailed
from paycli.storage.anchors import Anchor, JournalDigest, changed, is_sealed
from paycli.storage.schema import statement

_AT_ONCE: Final = 1000  # entries


def kept_anchors(connection: apsw.Connection) -> list[Anchor]:
    """Those that came with the backups this store was restored from."""
    return [Anchor(*row) for row in connection.execute("SELECT seq, digest FROM anchor")]


def keep_anchor(connection: apsw.Connection) -> None:
    """Put the anchor of a backup into it. Raises CheckFailed when its journal is wrong."""
    last: int = connection.execute("SELECT coalesce(max(seq), 0) FROM entry").get
    anchor = anchor_journal(connection, last, kept_anchors(connection))
    connection.execute("INSERT OR IGNORE INTO anchor VALUES (?, ?)", anchor)


def anchor_journal(connection: apsw.Connection, last: int, kept: Iterable[Anchor]) -> Anchor:
    """The anchor of the entries up to `last`, each compared with its seal.

    The anchors of `kept` must be met on the way. Raises CheckFailed.
    """
    journal = JournalDigest(last, kept)
    after, anchor = 0, Anchor(0, "")
    for mark in journal.marks:
        _digest(connection, journal, after, mark)
        anchor, after = journal.reach(mark), mark
    return anchor


def _digest(connection: apsw.Connection, journal: JournalDigest, after: int, last: int) -> None:
    """Add the entries in between, many at a time. Raises CheckFailed."""
    query = statement("sqlite", "sealed")
    while True:
        given = {"after": after, "last": last, "limit": _AT_ONCE}
        count, reached, sealed, seals = connection.execute(query, given).get
        if not count:
            return
        if not journal.add(sealed, list(map(int, seals.split()))):
            raise _changed(connection, after, reached)
        after = reached


def _changed(connection: apsw.Connection, after: int, last: int) -> CheckFailed:
    """The first entry in between that is not as it was sealed."""
    query = statement("sqlite", "sealed")
    while True:
        given = {"after": after, "last": last, "limit": 1}
        _, seq, sealed, seal = connection.execute(query, given).get
        if not is_sealed(sealed, int(seal)):
            break
        after = seq
    payment_id = connection.execute("SELECT payment_id FROM entry WHERE seq = ?", (seq,)).get
    return changed(seq, payment_id)
