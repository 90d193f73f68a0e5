"""What the domain needs of a store, in its own words. Backends live in `paycli.storage`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Protocol

from paycli.payments.batch import Outcome, Receipt
from paycli.payments.commands import Change, Command, Create, Declined
from paycli.payments.payment import Entry, Payment
from paycli.payments.queries import Due, EntryCursor, EventFilter, Found, PaymentFilter


class Health(StrEnum):
    """Whether a store takes writes: now, not at the moment, or not until a restart."""

    SERVING = "serving"
    PAUSED = "paused"
    BROKEN = "broken"


OnHealth = Callable[[Health], None]


class CommitObserver(Protocol):
    """Who measures how a store commits; it is quick and raises nothing."""

    def opened(self, waiting: Callable[[], int]) -> None:
        """The store is open; `waiting` says how many commands wait for a commit at the moment."""

    def committed(self, commands: int, seconds: float) -> None:
        """So many are on disk, so long after their batch was sent there."""


class Store(Protocol):
    """Keeps payments and their journal for ever.

    What a write answered survives kill -9 and power loss. Commands that arrive together are
    committed together; each caller gets its own answer. Writes raise a PaymentError: a rule of the
    domain, Overloaded, Draining, StoreUnavailable, DeadlinePassed (not begun), or OutcomeOpen when
    the disk failed under them. `timeout_s` is how long the caller still waits.

    Reads see every write that was answered before them; pages go on after a cursor and cost the
    same however much is stored.
    """

    async def execute(
        self, command: Create | Change | Declined, timeout_s: float | None = None
    ) -> Receipt:
        """Carry out one command durably, or give the stored answer of its key."""

    async def execute_all(
        self, commands: Sequence[Command], timeout_s: float | None = None
    ) -> list[Outcome]:
        """Carry out many at once, in order; outcome i is what came of command i."""

    async def open_intents(self, now_us: int, limit: int) -> list[str]:
        """Keys of intents that may be resumed now, customers in turn, the longest open first."""

    async def payment(self, payment_id: str) -> Payment | None:
        """One payment."""

    async def payments(
        self, wanted: PaymentFilter, before: str, limit: int
    ) -> tuple[list[Payment], str]:
        """Payments, newest first, with ids below `before` ("": all), and where to go on.

        The second is "" at the end. A page may be short, even empty, with more to come.
        """

    async def journal(self, after: EntryCursor, limit: int) -> list[Found]:
        """Entries of all payments, payment by payment, after a cursor."""

    async def journal_of_customer(
        self, customer_id: str, after: EntryCursor, limit: int
    ) -> list[Found]:
        """The same of a customer's payments."""

    async def journal_of_payment(
        self, payment_id: str, after_version: int, limit: int
    ) -> list[Found]:
        """Entries of one payment, oldest first."""

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
        """Return once there are entries after this seq; it may return before."""

    async def newest_seq(self) -> int:
        """The seq up to which all entries can be read, whoever wrote them; 0 when there is none."""

    async def due(self, now_us: int, after: Due, limit: int) -> list[Due]:
        """Authorizations that have run out and are still open, the oldest first, after a place."""
