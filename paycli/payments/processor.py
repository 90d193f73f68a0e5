"""What the domain needs of a processor: the outside party that says yes or no to a payment.

It is never asked inside a database transaction. Unless its answer is instant, what is about to be
asked is recorded first; after a crash, or a lost answer, it is asked again about the same payment.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from paycli.payments.commands import Create


class Answer(NamedTuple):
    """Approved when `decline_reason` is empty."""

    decline_reason: str = ""


class Processor(Protocol):
    """Says yes or no; the same answer for one `payment_id`, however often it is asked."""

    def instant(self, payment: Create) -> Answer | None:
        """The answer, when nobody outside needs to be asked; None: call `authorize`."""

    async def authorize(self, payment: Create) -> Answer:
        """Ask. Asked again about a `payment_id`, it moves no second money.

        Raises ProcessorUnavailable when nothing happened, OutcomeOpen when nobody knows.
        """
