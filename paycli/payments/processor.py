"""What the domain needs of a processor: the outside party that says yes or no to an operation.

It is never asked inside a database transaction. Unless its answer is instant, what is about to be
asked is recorded first; after a crash, or a lost answer, it is asked again about the same operation.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from paycli.payments.commands import Operation


class Answer(NamedTuple):
    """Approved when `decline_reason` is empty."""

    decline_reason: str = ""


class Processor(Protocol):
    """Says yes or no: the same answer for one payment and key, however often it is asked."""

    def instant(self, operation: Operation, customer_id: str) -> Answer | None:
        """The answer, when nobody outside needs to be asked; None: `ask`. Raises PaymentError."""

    async def ask(self, operation: Operation, customer_id: str) -> Answer:
        """Ask. Asked again about a payment and key, it moves no second money.

        Raises ProcessorUnavailable when nothing happened, OutcomeOpen when nobody knows.
        """
