"""What can be asked of the payments and their journal; an empty field means "any"."""

from __future__ import annotations

from typing import NamedTuple

from paycli.payments.payment import Entry, Payment, State
from paycli.payments.states import state_of


class PaymentFilter(NamedTuple):
    """Which payments to list. Times are microseconds; `created_before_us` 0 means no end.

    `request_key` is the key that a payment was created with, which no two have.
    """

    order_id: str = ""
    customer_id: str = ""
    state: State | None = None
    created_from_us: int = 0
    created_before_us: int = 0
    request_key: str = ""

    def matches(self, payment: Payment) -> bool:
        """Whether the payment is one of those asked for, but for its key, which its first entry has."""
        return (
            (not self.order_id or payment.order_id == self.order_id)
            and (not self.customer_id or payment.customer_id == self.customer_id)
            and (self.state is None or state_of(payment) is self.state)
            and payment.created_us >= self.created_from_us
            and (not self.created_before_us or payment.created_us < self.created_before_us)
        )


class EventFilter(NamedTuple):
    """Which entries of the journal to watch."""

    payment_id: str = ""
    order_id: str = ""
    customer_id: str = ""
    kinds: frozenset[int] = frozenset()

    def matches(self, payment: Payment, entry: Entry) -> bool:
        """Whether the entry is one of those asked for."""
        return (
            (not self.payment_id or payment.payment_id == self.payment_id)
            and (not self.order_id or payment.order_id == self.order_id)
            and (not self.customer_id or payment.customer_id == self.customer_id)
            and (not self.kinds or entry.kind in self.kinds)
        )


class EntryCursor(NamedTuple):
    """A place in the journal of payments, in the order of payment ids and then of versions."""

    payment_id: str = ""
    version: int = 0


class Due(NamedTuple):
    """An authorization and when it ran out; also a place in the order of both."""

    expires_us: int = 0
    payment_id: str = ""


class Found(NamedTuple):
    """An entry and its payment as it stands now."""

    payment: Payment
    entry: Entry
