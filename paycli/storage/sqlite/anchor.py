"""The anchor of a journal: its length and a digest over it, which later states must still contain.

The digest covers what never changes: entries, and what their payments were created with. So it holds
while the server goes on, and breaks when anything before it was changed, swapped or cut off.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple
from zlib import crc32

import apsw

from paycli.errors import CheckFailed, InputError
from paycli.payments.seals import END, ENDS
from paycli.storage.schema import statement

_BYTES: Final = 32
_AT_ONCE: Final = 1000  # entries
_END: Final = END.encode()
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
    for beyond in expected:
        if not 0 <= beyond <= last:
            raise CheckFailed(
                f"The journal breaks I7: it ends at entry {last}, but once had {beyond}, as its "
                "anchor says; entries were cut off. Restore a backup."
            )
    digest = hashlib.blake2b(digest_size=_BYTES)
    after = 0
    for until in sorted({*expected, last}):
        for text in _checked_texts(connection, after, until):
            digest.update(text)
        _check(expected, until, digest.hexdigest())
        after = until
    return Anchor(last, digest.hexdigest())


def _checked_texts(connection: apsw.Connection, after: int, last: int) -> Iterator[bytes]:
    """What the seals of the entries in between cover, many at a time. Raises CheckFailed."""
    query = statement("sqlite", "sealed")
    while True:
        given = {"after": after, "last": last, "limit": _AT_ONCE}
        count, reached, sealed, seals = connection.execute(query, given).get
        if not count:
            return
        lines = sealed.encode().split(b"\n")
        if len(lines) != count or list(map(crc32, lines)) != list(map(int, seals.split())):
            raise CheckFailed(_changed(connection, after, reached))
        text = b"".join(lines)
        if text.count(_END) != ENDS * count:
            raise CheckFailed(_changed(connection, after, reached))
        yield text
        after = reached


def _check(expected: Mapping[int, set[str]], seq: int, digest: str) -> None:
    if expected.get(seq, {digest}) != {digest}:
        raise CheckFailed(
            f"The journal breaks I3: up to entry {seq} it is not what it was when its anchor was "
            "taken. Restore a backup."
        )


def _changed(connection: apsw.Connection, after: int, last: int) -> str:
    """The first entry in between that is not as it was sealed."""
    query = statement("sqlite", "sealed")
    while True:
        given = {"after": after, "last": last, "limit": 1}
        _, seq, sealed, seal = connection.execute(query, given).get
        whole = sealed.count(END) == ENDS and "\n" not in sealed
        if not whole or str(crc32(sealed.encode())) != seal:
            break
        after = seq
    payment_id = connection.execute("SELECT payment_id FROM entry WHERE seq = ?", (seq,)).get
    return (
        f"Entry {seq} of payment {payment_id} breaks I3: it, or what its payment was created with, "
        "was changed afterwards. Restore a backup."
    )
