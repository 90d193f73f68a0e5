"""The states of a payment and the one table of what may happen in each.

              authorize            capture (part)
    (new) ─────────────▶ AUTHORIZED ─────────────▶ PARTIALLY_CAPTURED ⟲ capture, refund
      │                     │   │ capture (all, or final)     │
      │ charge              │   └───────────────┐             │ capture rest / void / expire
      ├─────────────────────┼───────────────────▼─────────────▼
      │                     │ void / expire    CAPTURED ──refund──▶ PARTIALLY_REFUNDED ⟲ refund
      │ decline             ▼                     │                      │
      └──▶ DECLINED   VOIDED / EXPIRED            └──────refund all──────┴──▶ REFUNDED

A state is a pure function of the counters, so it cannot drift from the money. While part of an
authorization is still open the payment is AUTHORIZED or PARTIALLY_CAPTURED, refunds or not.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from paycli.payments.payment import Payment, State


class Action(StrEnum):
    """What can be done to an existing payment."""

    CAPTURE = "capture"
    VOID = "void"
    EXPIRE = "expire"
    REFUND = "refund"


ALLOWED: Final[dict[State, frozenset[Action]]] = {
    State.AUTHORIZED: frozenset({Action.CAPTURE, Action.VOID, Action.EXPIRE}),
    State.PARTIALLY_CAPTURED: frozenset(Action),
    State.CAPTURED: frozenset({Action.REFUND}),
    State.PARTIALLY_REFUNDED: frozenset({Action.REFUND}),
    State.REFUNDED: frozenset(),
    State.VOIDED: frozenset(),
    State.EXPIRED: frozenset(),
    State.DECLINED: frozenset(),
}


def state_of(payment: Payment) -> State:
    """The state that the counters say."""
    if payment.authorized == 0:
        return State.DECLINED
    if payment.captured + payment.voided < payment.authorized:
        return State.PARTIALLY_CAPTURED if payment.captured else State.AUTHORIZED
    if payment.captured == 0:
        return State.EXPIRED if payment.expired else State.VOIDED
    if payment.refunded == 0:
        return State.CAPTURED
    return State.REFUNDED if payment.refunded == payment.captured else State.PARTIALLY_REFUNDED
