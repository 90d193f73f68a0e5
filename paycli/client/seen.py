"""Which keys stood where: millions of them in a few bytes each."""

from __future__ import annotations

from array import array
from hashlib import blake2b
from typing import Final

_SLOTS_FIRST: Final = 1024
_FULL: Final = 0.7


class Seen:
    """The line that each key stood on first. A key is kept as 64 bits of its hash.

    So one in a million files of ten million keys has two that are held for one; they are then refused,
    and nothing is paid.
    """

    def __init__(self) -> None:
        self._hashes = array("Q", bytes(8 * _SLOTS_FIRST))  # open addressing; 0 is a free slot
        self._lines = array("Q", bytes(8 * _SLOTS_FIRST))
        self._count = 0

    def add(self, key: str, line: int) -> int | None:
        """The line of the key's first time; None if this is it."""
        hashed = int.from_bytes(blake2b(key.encode(), digest_size=8).digest()) or 1
        slot = self._slot(hashed)
        if self._hashes[slot] == hashed:
            return self._lines[slot]
        self._hashes[slot], self._lines[slot] = hashed, line
        self._count += 1
        if self._count > _FULL * len(self._hashes):
            self._grow()
        return None

    def _slot(self, hashed: int) -> int:
        hashes, mask = self._hashes, len(self._hashes) - 1
        slot = hashed & mask
        while hashes[slot] not in (0, hashed):
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        hashes, lines = self._hashes, self._lines
        self._hashes = array("Q", bytes(16 * len(hashes)))
        self._lines = array("Q", bytes(16 * len(hashes)))
        for hashed, line in zip(hashes, lines, strict=True):
            if hashed:
                slot = self._slot(hashed)
                self._hashes[slot], self._lines[slot] = hashed, line
