"""What the domain needs of a store, in its own words. Backends live in `paycli.storage`."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from paycli.payments.batch import Receipt
from paycli.payments.commands import Command


class Store(Protocol):
    """Keeps payments and their journal for ever.

    What `execute` answered survives kill -9 and power loss. Commands that arrive together are
    committed together; each caller gets its own answer.
    """

    def execute(self, command: Command) -> Awaitable[Receipt]:
        """Carry out one command durably, or give the stored answer of its key.

        Raises a PaymentError: a rule of the domain, Overloaded, Draining or StoreUnavailable.
        """

    async def close(self) -> None:
        """Commit what is waiting, then let go of the files or connections."""
