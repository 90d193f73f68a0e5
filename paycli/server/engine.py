"""The engine behind both contracts: asks the processor, keeps the answer in the store.

An instant answer is written at once. Any other payment takes a flight: the intent is recorded, the
processor is asked, the answer is written. One flight at a time per idempotency key; it goes on when
its caller gives up, and what a crash or a lost answer leaves open is taken up again (`upkeep`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from paycli.errors import OutcomeOpen, Overloaded, PaymentError, ProcessorUnavailable, Unavailable
from paycli.payments import commands
from paycli.payments.batch import Receipt
from paycli.payments.commands import Create
from paycli.payments.payment import CaptureMethod
from paycli.payments.processor import Processor
from paycli.payments.store import Store
from paycli.server.ids import new_payment_id

FLIGHTS_MAX: Final = 1000


def now_us() -> int:
    """The time in microseconds since 1970, UTC."""
    return time.time_ns() // 1000


class Engine:
    """Creates payments; belongs to one event loop."""

    def __init__(
        self,
        store: Store,
        processor: Processor,
        *,
        authorization_ttl_s: float,
        processor_timeout_s: float,
    ) -> None:
        self._store = store
        self._processor = processor
        self._authorization_ttl_us = round(authorization_ttl_s * 1e6)
        self._processor_timeout_s = processor_timeout_s
        self._flights: dict[str, asyncio.Task[Receipt]] = {}

    def creation(
        self,
        *,
        order_id: str,
        customer_id: str,
        currency: str,
        amount: int,
        request_id: str,
        capture_method: int = CaptureMethod.AUTOMATIC,
        customer_field: str = "customer_id",
        key_field: str = "request_id",
    ) -> Create:
        """A checked Create with a new id, as of now. Raises InvalidPayment."""
        now = now_us()
        manual = capture_method == CaptureMethod.MANUAL
        return commands.create(
            payment_id=new_payment_id(now),
            order_id=order_id,
            customer_id=customer_id,
            currency=currency,
            amount=amount,
            now_us=now,
            request_id=request_id,
            capture_method=capture_method,
            expires_us=now + self._authorization_ttl_us if manual else 0,
            customer_field=customer_field,
            key_field=key_field,
        )

    async def create(self, create: Create, timeout_s: float | None) -> Receipt:
        """Create one payment. Raises PaymentError."""
        answered = self._answered_at_once(create)
        if answered is not None:
            return await self._store.execute(answered, timeout_s)
        return await self._fly(create, timeout_s)

    async def create_all(
        self, creates: Sequence[Create], timeout_s: float | None
    ) -> Sequence[Receipt | PaymentError]:
        """Create many; result i is what came of payment i."""
        answered = [self._answer_or_refusal(create) for create in creates]
        ready = [create for create in answered if isinstance(create, Create)]
        if len(ready) == len(creates):
            return await self._written(ready, timeout_s)
        flights = (
            self._outcome(create, timeout_s)
            for create, at_once in zip(creates, answered, strict=True)
            if at_once is None
        )
        written, flown = await asyncio.gather(
            self._written(ready, timeout_s), asyncio.gather(*flights)
        )
        from_ready, from_flights = iter(written), iter(flown)
        return [
            each
            if isinstance(each, PaymentError)
            else next(from_flights if each is None else from_ready)
            for each in answered
        ]

    async def settle(self, intent: Create) -> None:
        """Ask the processor again about a payment that was left open. Raises PaymentError."""
        if intent.request_key not in self._flights:
            await self._fly(intent, None)

    async def close(self) -> None:
        """Give up the flights; their intents stay recorded for the next start."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _answered_at_once(self, create: Create) -> Create | None:
        answer = self._processor.instant(create)
        if answer is None:
            return None
        reason = answer.decline_reason
        return create._replace(decline_reason=reason) if reason else create

    def _answer_or_refusal(self, create: Create) -> Create | PaymentError | None:
        try:
            return self._answered_at_once(create)
        except PaymentError as refusal:
            return refusal

    async def _written(
        self, creates: Sequence[Create], timeout_s: float | None
    ) -> Sequence[Receipt | PaymentError]:
        try:
            return await self._store.execute_all(creates, timeout_s) if creates else []
        except PaymentError as failure:  # a batch that was not taken: each item gets it
            return [failure] * len(creates)

    async def _outcome(self, create: Create, timeout_s: float | None) -> Receipt | PaymentError:
        try:
            return await self._fly(create, timeout_s)
        except PaymentError as refusal:
            return refusal

    async def _fly(self, create: Create, timeout_s: float | None) -> Receipt:
        key = create.request_key
        while (before := self._flights.get(key)) is not None:
            await asyncio.wait((before,))
            failure = None if before.cancelled() else before.exception()
            if isinstance(failure, OutcomeOpen | Unavailable):
                raise failure  # the processor was asked a moment ago; asking again takes as long
        if len(self._flights) >= FLIGHTS_MAX:
            raise Overloaded("Too many payments wait for the processor; try again shortly.")
        flight = asyncio.create_task(self._authorize(create, timeout_s))
        self._flights[key] = flight
        flight.add_done_callback(lambda landed: self._landed(key, landed))
        return await asyncio.shield(flight)

    def _landed(self, key: str, flight: asyncio.Task[Receipt]) -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # its caller may be gone; then nobody else looks at it

    async def _authorize(self, create: Create, timeout_s: float | None) -> Receipt:
        begun = await self._store.intend(create, timeout_s)
        if isinstance(begun, Receipt):
            return begun
        intent = begun.create
        try:
            async with asyncio.timeout(self._processor_timeout_s):
                answer = await self._processor.authorize(intent)
        except TimeoutError as silence:
            raise OutcomeOpen(
                f"The processor did not answer within {self._processor_timeout_s:g} s; it may have "
                "been paid. Send it again with the same key to learn the outcome."
            ) from silence
        except ProcessorUnavailable:
            await self._store.withdraw(intent.request_key)
            raise
        return await self._store.execute(intent._replace(decline_reason=answer.decline_reason))
