"""What the domain needs of a store, in its own words. Backends live in `paycli.storage`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from paycli.errors import PaymentError
from paycli.payments.batch import Intended, Receipt
from paycli.payments.commands import Change, Create
from paycli.payments.payment import Entry, Payment
from paycli.payments.queries import EntryCursor, EventFilter, Found, PaymentFilter


class Store(Protocol):
    """Keeps payments and their journal for ever.

    What a write answered survives kill -9 and power loss. Commands that arrive together are
    committed together; each caller gets its own answer. Writes raise a PaymentError: a rule of the
    domain, Overloaded, Draining, StoreUnavailable, DeadlinePassed (not begun), or OutcomeOpen when
    the disk failed under them. `timeout_s` is how long the caller still waits.

    Reads see every write that was answered before them; pages go on after a cursor and cost the
    same however much is stored.
    """

    async def execute(self, command: Create | Change, timeout_s: float | None = None) -> Receipt:
        """Carry out one command durably, or give the stored answer of its key."""

    async def execute_all(
        self, commands: Sequence[Create | Change], timeout_s: float | None = None
    ) -> list[Receipt | PaymentError]:
        """Carry out many at once; result i is what came of command i."""

    async def intend(self, create: Create, timeout_s: float | None = None) -> Receipt | Intended:
        """Record that the processor is about to be asked, unless its key has an answer."""

    async def withdraw(self, request_key: str) -> None:
        """Forget an intent that came to nothing."""

    async def intents(self) -> list[Create]:
        """What the processor was to be asked and has not been settled, oldest first."""

    async def payment(self, payment_id: str) -> Payment | None:
        """One payment."""

    async def payments(
        self, wanted: PaymentFilter, before: str, limit: int
    ) -> tuple[list[Payment], str]:
        """Payments, newest first, with ids below `before` ("": all), and where to go on.

        The second is "" at the end. A page may be short, even empty, with more to come.
        """

    async def journal(
        self, payment_id: str, customer_id: str | None, after: EntryCursor, limit: int
    ) -> list[Found]:
        """Entries of one payment, of a customer's payments, or ("", None) of all, after a cursor."""

    async def entry(self, payment_id: str, version: int) -> Entry | None:
        """One entry of a payment's journal."""

    async def refunds(self, payment_id: str, after_version: int, limit: int) -> list[Entry]:
        """The refunds of a payment, oldest first."""

    async def balances(self, account: str) -> list[tuple[str, int]]:
        """(currency, minor units) of the merchant's or a customer's account."""

    async def events(
        self, after_seq: int, wanted: EventFilter, limit: int
    ) -> tuple[list[Found], int]:
        """Entries after a seq in order, and the seq up to which all of them were looked at."""

    async def news(self, after_seq: int) -> None:
        """Return once there are entries after this seq."""

    @property
    def last_seq(self) -> int:
        """The seq of the newest durable entry; 0 when there is none."""

    async def due(self, now_us: int, limit: int) -> list[str]:
        """Ids of payments whose authorization has run out and is still open."""

    async def close(self) -> None:
        """Commit what is waiting, then let go of the files or connections."""
