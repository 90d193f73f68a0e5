"""The anchor of a journal: its length and a digest over it, which later states must still contain.

The digest covers what never changes: entries, and what their payments were created with. So it holds
while the server goes on, and breaks when anything before it was changed, swapped or cut off. It is the
same of the same journal, whatever keeps it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple
from zlib import crc32

from paycli.errors import CheckFailed, InputError
from paycli.payments.seals import END, ENDS

_BYTES: Final = 32
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


class JournalDigest:
    """Grows with the entries, each compared with its seal; meets older anchors on the way.

    `marks` are the seqs to stop at, in order; the last is the journal's end.
    """

    def __init__(self, last: int, kept: Iterable[Anchor]) -> None:
        """Raises CheckFailed when an older anchor lies beyond the end."""
        self._expected: dict[int, set[str]] = {}
        for each in kept:
            self._expected.setdefault(each.seq, set()).add(each.digest)
        for beyond in self._expected:
            if not 0 <= beyond <= last:
                raise CheckFailed(
                    f"The journal breaks I7: it ends at entry {last}, but once had {beyond}, as its "
                    "anchor says; entries were cut off. Restore a backup."
                )
        self.marks = sorted({*self._expected, last})
        self._digest = hashlib.blake2b(digest_size=_BYTES)

    def add(self, sealed: str, seals: Sequence[int]) -> bool:
        """The next entries' texts, a line each; False if one is not as it was sealed."""
        lines = sealed.encode().split(b"\n")
        if len(lines) != len(seals) or list(map(crc32, lines)) != list(seals):
            return False
        text = b"".join(lines)
        if text.count(_END) != ENDS * len(seals):
            return False
        self._digest.update(text)
        return True

    def reach(self, mark: int) -> Anchor:
        """The anchor there. Raises CheckFailed when an older one says something else."""
        digest = self._digest.hexdigest()
        if self._expected.get(mark, {digest}) != {digest}:
            raise CheckFailed(
                f"The journal breaks I3: up to entry {mark} it is not what it was when its anchor "
                "was taken. Restore a backup."
            )
        return Anchor(mark, digest)


def is_sealed(sealed: str, seal: int) -> bool:
    """Whether the text of one entry is what was sealed."""
    whole = sealed.count(END) == ENDS and "\n" not in sealed
    return whole and seal == crc32(sealed.encode())


def changed(seq: int, payment_id: str) -> CheckFailed:
    """What to raise for an entry that is not as it was sealed."""
    return CheckFailed(
        f"Entry {seq} of payment {payment_id} breaks I3: it, or what its payment was created with, "
        "was changed afterwards. Restore a backup."
    )
