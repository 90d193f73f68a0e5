"""The anchor of a journal: its length and a digest over it, which later states must still contain.

The digest covers what never changes: entries, and what their payments were created with. So it holds
while the server goes on, and breaks when anything before it was changed, swapped or cut off.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple
from zlib import crc32

import apsw

from paycli.errors import CheckFailed, InputError
from paycli.payments.seals import END, ENDS
from paycli.storage.migrations import statement

_BYTES: Final = 32
_WRITTEN: Final = re.compile(rf"([0-9]{{1,18}}):([0-9a-f]{{{2 * _BYTES}}})")


class Anchor(NamedTuple):
    """The journal up to entry `seq`; `digest` is BLAKE2b in hexadecimal."""

    seq: int
    digest: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.digest}"


def anchor_of(text: str) -> Anchor:
    """An anchor as `verify` printed it. Raises InputError."""
    written = _WRITTEN.fullmatch(text.strip())
    if written is None:
        raise InputError(
            f"'{text[:40]}' is not an anchor; give the SEQ:DIGEST that 'paycli db verify' printed."
        )
    return Anchor(int(written[1]), written[2])


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
    expected: dict[int, set[str]] = {}
    for each in kept:
        expected.setdefault(each.seq, set()).add(each.digest)
    digest = hashlib.blake2b(digest_size=_BYTES)
    seq = 0
    _check(expected, 0, digest.hexdigest())
    for seq, seal, text in connection.execute(statement("sqlite", "sealed"), {"last": last}):
        data = text.encode()
        if crc32(data) != seal or text.count(END) != ENDS:
            raise CheckFailed(_changed(connection, seq))
        digest.update(data)
        if seq in expected:
            _check(expected, seq, digest.hexdigest())
    for beyond in expected:
        if not 0 <= beyond <= seq:
            raise CheckFailed(
                f"The journal breaks I7: it ends at entry {seq}, but once had {beyond}, as its "
                "anchor says; entries were cut off. Restore a backup."
            )
    return Anchor(seq, digest.hexdigest())


def _check(expected: Mapping[int, set[str]], seq: int, digest: str) -> None:
    if expected.get(seq, {digest}) != {digest}:
        raise CheckFailed(
            f"The journal breaks I3: up to entry {seq} it is not what it was when its anchor was "
            "taken. Restore a backup."
        )


def _changed(connection: apsw.Connection, seq: int) -> str:
    query = "SELECT payment_id FROM entry WHERE seq = ?"
    payment_id = connection.execute(query, (seq,)).get
    return (
        f"Entry {seq} of payment {payment_id} breaks I3: it, or what its payment was created with, "
        "was changed afterwards. Restore a backup."
    )
