"""A payment and its journal: the records that the domain computes and the stores keep.

Records are tuples in the column order of their tables, so a store binds and reads them as they are.
Amounts are minor units; times are microseconds since 1970, UTC; 0 means "never" or "none".
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import NamedTuple


class State(StrEnum):
    """Where a payment stands; computed by `states.state_of`, never stored."""

    AUTHORIZED = "AUTHORIZED"
    PARTIALLY_CAPTURED = "PARTIALLY_CAPTURED"
    CAPTURED = "CAPTURED"
    VOIDED = "VOIDED"
    EXPIRED = "EXPIRED"
    DECLINED = "DECLINED"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    REFUNDED = "REFUNDED"


class CaptureMethod(IntEnum):
    """Whether a created payment is captured at once or only authorized."""

    AUTOMATIC = 1
    MANUAL = 2


class Kind(IntEnum):
    """What an entry of the journal did to its payment. Stored: numbers never change meaning."""

    CHARGED = 1
    AUTHORIZED = 2
    DECLINED = 3
    CAPTURED = 4
    VOIDED = 5
    EXPIRED = 6
    REFUNDED = 7


class Payment(NamedTuple):
    """A payment as it stands: four counters and what never changes.

    `created_seq` is the seq of its first entry. `expired` is the terminal flag: what was never
    captured was given back because time ran out, not because somebody voided it.
    """

    payment_id: str
    created_seq: int
    order_id: str
    customer_id: str
    currency: str
    amount: int
    capture_method: int
    decline_reason: str
    authorized: int
    captured: int
    voided: int
    refunded: int
    expired: int
    version: int
    expires_us: int
    created_us: int
    updated_us: int


class Entry(NamedTuple):
    """One journal entry: one command carried out on one payment, for ever.

    `amount` is what moved (see `postings.postings_of`), `released` what a final capture gave back.
    `captured`, `voided` and `refunded` are the payment's counters after it, so that the answer to
    its idempotency key can be given again exactly. `requested` and `final` are as the caller said.
    """

    seq: int
    payment_id: str
    version: int
    kind: int
    amount: int
    released: int
    captured: int
    voided: int
    refunded: int
    requested: int
    final: int
    request_key: str
    reason: str
    created_us: int
