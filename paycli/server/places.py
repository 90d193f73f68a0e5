"""Room for what waits at the processor, shared fairly among customers."""

from __future__ import annotations

from collections import Counter

from paycli.errors import Overloaded


class Places:
    """At most `limit` at once, and nobody may have more than is still free.

    So a customer whose payments hang gets half of the places, and there is always room for others
    (dynamic thresholds, after Choudhury and Hahne).
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: Counter[str] = Counter()
        self._total = 0

    def take(self, customer_id: str) -> None:
        """Raises Overloaded."""
        if self._taken[customer_id] >= self._limit - self._total:
            raise Overloaded("Too many payments wait for the processor; try again shortly.")
        self._taken[customer_id] += 1
        self._total += 1

    def leave(self, customer_id: str) -> None:
        """Give a place back."""
        self._total -= 1
        self._taken[customer_id] -= 1
        if not self._taken[customer_id]:
            del self._taken[customer_id]
