"""The simulated processor: decides by the customer's id, so that every branch can be exercised.

customer id (user_id)               outcome
sim_decline_insufficient_funds      declined: INSUFFICIENT_FUNDS
sim_decline_expired_card            declined: EXPIRED_CARD
sim_decline_lost_card               declined: LOST_CARD
sim_decline_fraud_suspected         declined: FRAUD_SUSPECTED
sim_decline_limit_exceeded          declined: LIMIT_EXCEEDED
sim_decline_do_not_honor            declined: DO_NOT_HONOR
sim_slow_<milliseconds>             approved after so long, at most 60000
sim_unavailable_once                UNAVAILABLE at first, nothing was done; approved when retried
sim_unavailable                     UNAVAILABLE, always
sim_lost_answer                     DEADLINE_EXCEEDED: approved, but the answer was lost; the server
                                    asks again by itself, and a retry gets SUCCESS
sim_hang                            never answers: DEADLINE_EXCEEDED after --processor-timeout
any other sim_...                   INVALID_ARGUMENT: a misspelt one would test nothing
anything else                       approved
"""

from __future__ import annotations

import asyncio
import re
from typing import Final

from paycli.errors import InvalidPayment, OutcomeOpen, ProcessorUnavailable
from paycli.payments.commands import Create
from paycli.payments.processor import Answer

DECLINE_REASONS: Final = frozenset(
    {
        "INSUFFICIENT_FUNDS",
        "EXPIRED_CARD",
        "LOST_CARD",
        "FRAUD_SUSPECTED",
        "LIMIT_EXCEEDED",
        "DO_NOT_HONOR",
    }
)

_APPROVED: Final = Answer()
_MAGIC: Final = "sim_"
_DECLINES: Final = {f"sim_decline_{reason.lower()}": Answer(reason) for reason in DECLINE_REASONS}
_SLOW: Final = re.compile(r"sim_slow_([0-9]{1,5})")
_SLOW_MS_MAX: Final = 60_000
_MOODS: Final = ("sim_unavailable_once", "sim_unavailable", "sim_lost_answer", "sim_hang")
_ALL: Final = (*sorted(_DECLINES), *_MOODS, "sim_slow_<milliseconds>")
_SHOWN_MAX: Final = 80
_REMEMBERED_MAX: Final = 10_000


class Simulator:
    """A `payments.processor.Processor` that needs nobody outside."""

    def __init__(self) -> None:
        self._asked: dict[str, None] = {}  # keys of payments that had their one failure, in order

    def instant(self, payment: Create) -> Answer | None:
        """The answer for all but the customers who take time or fail.

        Raises InvalidPayment for a magic customer that is none.
        """
        customer = payment.customer_id
        if customer[: len(_MAGIC)].lower() != _MAGIC:
            return _APPROVED
        if customer in _DECLINES:
            return _DECLINES[customer]
        if customer in _MOODS:
            return None
        slow = _SLOW.fullmatch(customer)
        if slow is None or int(slow[1]) > _SLOW_MS_MAX:
            raise _unknown(customer)
        return None if int(slow[1]) else _APPROVED

    async def authorize(self, payment: Create) -> Answer:
        """Take time or fail, as the customer's id says."""
        match payment.customer_id:
            case "sim_hang":
                await asyncio.Event().wait()
            case "sim_unavailable":
                raise ProcessorUnavailable("The processor is down; nothing was paid.")
            case "sim_unavailable_once" if self._first_time(payment.request_key):
                raise ProcessorUnavailable("The processor is down; nothing was paid. Try again.")
            case "sim_lost_answer" if self._first_time(payment.payment_id):
                raise OutcomeOpen(
                    "The processor's answer was lost; it may have been paid. "
                    "Send it again with the same key to learn the outcome."
                )
            case customer:
                await asyncio.sleep(_delay_s(customer))
        return _APPROVED

    def _first_time(self, key: str) -> bool:
        first = key not in self._asked
        self._asked[key] = None
        if len(self._asked) > _REMEMBERED_MAX:
            del self._asked[next(iter(self._asked))]
        return first


def _delay_s(customer_id: str) -> float:
    slow = _SLOW.fullmatch(customer_id)
    return int(slow[1]) / 1000 if slow else 0.0


def _unknown(customer: str) -> InvalidPayment:
    shown = customer[:_SHOWN_MAX]
    if _SLOW.fullmatch(customer):
        message = f"'{shown}' is too slow; sim_slow_ takes at most {_SLOW_MS_MAX} milliseconds."
    else:
        nearest = max(_ALL, key=lambda known: _alike(known, customer.lower()))
        message = f"'{shown}' is no customer of the simulator; did you mean {nearest}?"
    return InvalidPayment("customer_id", message)


def _alike(one: str, other: str) -> int:
    """How many characters they share from the front and from the back."""
    return _alike_from_front(one, other) + _alike_from_front(one[::-1], other[::-1])


def _alike_from_front(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))
