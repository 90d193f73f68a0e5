"""How many callers a commit is worth waiting for.

With a crowd of callers the processor is the limit, not the disk, and every commit saved is time for
them. Then a batch waits for half of the crowd: one half is written while the server works for the
other. With few callers a wait only costs, so it is tried now and then and kept only while it brings
a crowd. Measured at 64 in flight: 0.55 of the rate of an echo without the wait, 0.85 with it.
"""

from __future__ import annotations

import math
from typing import Final

_CROWD: Final = 24  # callers in two batches in a row that are worth a wait
_FORGET: Final = 0.95  # how slowly smaller batches make us forget a crowd
_PROBE_EVERY: Final = 16  # commits between two tries


class Crowd:
    """Remembers how many callers the last batches served."""

    def __init__(self) -> None:
        self._size = 0.0
        self._last = 0
        self._asked = 0

    def awaited(self, waiting: int) -> float:
        """How many callers the next batch should have, when so many are waiting: 0 for any number.

        Infinity is a try: all who come before it gets quiet.
        """
        self._asked += 1
        if self._size >= _CROWD:
            return self._size / 2
        return math.inf if waiting > 1 and self._asked % _PROBE_EVERY == 0 else 0

    def served(self, callers: int) -> None:
        """Note how many the batch then had."""
        self._size = max(self._last + callers, self._size * _FORGET)
        self._last = callers
