"""Double entry: which accounts an entry of the journal moves money between.

    CHARGED    customer ─▶ merchant
    AUTHORIZED customer ─▶ hold          DECLINED  nothing
    CAPTURED   hold     ─▶ merchant      (a final capture also: hold ─▶ customer)
    VOIDED     hold     ─▶ customer
    EXPIRED    hold     ─▶ customer
    REFUNDED   merchant ─▶ customer

Every transfer is two postings of one amount with opposite signs, so an entry always sums to zero.
The hold account belongs to one payment; its balance is what is authorized and still open.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from paycli.payments.payment import Entry, Kind, Payment

MERCHANT: Final = "merchant"
CUSTOMER: Final = "customer/"
HOLD: Final = "hold/"

_TRANSFER: Final[dict[int, tuple[str, str]]] = {
    Kind.CHARGED: ("customer", "merchant"),
    Kind.AUTHORIZED: ("customer", "hold"),
    Kind.CAPTURED: ("hold", "merchant"),
    Kind.VOIDED: ("hold", "customer"),
    Kind.EXPIRED: ("hold", "customer"),
    Kind.REFUNDED: ("merchant", "customer"),
}


class Posting(NamedTuple):
    """One leg: `amount` minor units into the account, negative out of it."""

    account: str
    amount: int
    currency: str


def postings_of(payment: Payment, entry: Entry) -> list[Posting]:
    """The postings of one entry: none for a decline, else two or four."""
    transfer = _TRANSFER.get(entry.kind)
    if transfer is None:
        return []
    names = {
        "customer": CUSTOMER + payment.customer_id,
        "hold": HOLD + payment.payment_id,
        "merchant": MERCHANT,
    }
    debit, credit = transfer
    currency = payment.currency
    postings: list[Posting] = []
    if entry.amount:
        postings.append(Posting(names[debit], -entry.amount, currency))
        postings.append(Posting(names[credit], entry.amount, currency))
    if entry.released:
        postings.append(Posting(names["hold"], -entry.released, currency))
        postings.append(Posting(names["customer"], entry.released, currency))
    return postings
