"""The engine behind both contracts: asks the processor, keeps the answer in the store.

An instant answer is written at once. Any other payment takes a flight: the intent is recorded, the
processor is asked, the answer is written. A flight belongs to a claim on its intent, and only who
holds the claim asks, resolves or withdraws; claims are given in the writer's transaction, never on
what was read before. A flight goes on when its caller gives up, and what a crash or a lost answer
leaves open is taken up again (`upkeep`).
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Sequence
from itertools import count
from typing import Final

from paycli.engine.ids import new_payment_id
from paycli.engine.places import Places
from paycli.errors import (
    OutcomeOpen,
    PaymentError,
    ProcessorDeclined,
    ProcessorUnavailable,
)
from paycli.payments.batch import Claimed, OnRecord, Outcome, Receipt, Withdrawn
from paycli.payments.commands import (
    Change,
    Command,
    Create,
    Declined,
    Intend,
    Operation,
    Release,
    Resolve,
    Resume,
    Withdraw,
)
from paycli.payments.payment import CaptureMethod
from paycli.payments.processor import Answer, Processor
from paycli.payments.store import Store

FLIGHTS_MAX: Final = 2000
_LEASE_BEYOND_S: Final = 30.0  # a claim outlives the processor's time-out by so much
_ASK_AGAIN_S: Final = 5.0
_LOOKS_MAX: Final = 3  # a flight may land between the writer's answer and our look at it

_First = Operation | Declined | Intend

_log = logging.getLogger(__name__)


def now_us() -> int:
    """The time in microseconds since 1970, UTC."""
    return time.time_ns() // 1000


class Engine:
    """Carries out operations; belongs to one event loop."""

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
        self._name = uuid.uuid4().hex  # claims of two servers never meet
        self._numbers = count()
        self._flights: dict[str, asyncio.Task[Receipt]] = {}
        self._asking: set[asyncio.Task[list[Receipt | PaymentError]]] = set()
        self._places = Places(FLIGHTS_MAX)

    async def create(self, create: Create, timeout_s: float | None) -> Receipt:
        """Create one payment. Raises PaymentError."""
        stamped = self._stamped(create, now_us())
        return await self._carry_out(stamped, create.customer_id, timeout_s)

    async def change(self, change: Change, timeout_s: float | None) -> Receipt:
        """Capture, void or refund. Raises PaymentError."""
        change = change._replace(now_us=now_us())
        payment = await self._store.payment(change.payment_id)
        if payment is None:  # which the rules refuse, but not before a key that is used again
            return await self._store.execute(change, timeout_s)
        return await self._carry_out(change, payment.customer_id, timeout_s)

    async def create_all(
        self, creates: Sequence[Create], timeout_s: float | None
    ) -> list[Receipt | PaymentError]:
        """Create many, each after those before it; result i is what came of payment i."""
        stamped = [self._stamped(each, now_us()) for each in creates]
        begun = [self._begin(each, each.customer_id) for each in stamped]
        commands = [each for each in begun if not isinstance(each, PaymentError)]
        try:
            outcomes = iter(await self._ask_all(commands, timeout_s) if commands else ())
        except PaymentError as failure:  # a batch that was not taken: each item gets it
            outcomes = iter([failure] * len(commands))
        return [each if isinstance(each, PaymentError) else next(outcomes) for each in begun]

    async def settle(self, request_key: str) -> None:
        """Ask the processor again about an intent that was left open, if it still is.

        Raises PaymentError.
        """
        claim, lease_us = self._new_claim(now := now_us())
        outcome = await self._write(Resume(request_key, claim, now, lease_us))
        if isinstance(outcome, Claimed):
            outcome = await _landed(self._take_off(claim, outcome))
        if isinstance(outcome, PaymentError):
            raise outcome

    async def close(self) -> None:
        """Give up the flights; their intents stay recorded for the next start."""
        under_way = [*self._flights.values(), *self._asking]
        for each in under_way:
            each.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    def _stamped(self, create: Create, now: int) -> Create:
        manual = create.capture_method == CaptureMethod.MANUAL
        return create._replace(
            payment_id=new_payment_id(now),
            now_us=now,
            expires_us=now + self._authorization_ttl_us if manual else 0,
        )

    async def _carry_out(
        self, operation: Operation, customer_id: str, timeout_s: float | None
    ) -> Receipt:
        begun = self._begin(operation, customer_id)
        if isinstance(begun, PaymentError):
            raise begun
        if not isinstance(begun, Intend):
            return await self._store.execute(begun, timeout_s)
        (outcome,) = await self._ask_all((begun,), timeout_s)
        if isinstance(outcome, PaymentError):
            raise outcome
        return outcome

    def _begin(self, operation: Operation, customer_id: str) -> _First | PaymentError:
        """What to write first; an Intend holds a place."""
        try:
            answer = self._processor.instant(operation, customer_id)
            if answer is None:
                intend = self._intend(operation)
                self._places.take(intend.claim, customer_id)
                return intend
        except PaymentError as refusal:
            return refusal
        reason = answer.decline_reason
        return Declined(operation, reason) if reason else operation

    def _intend(self, operation: Operation) -> Intend:
        return Intend(operation, *self._new_claim(operation.now_us))

    def _new_claim(self, now: int) -> tuple[str, int]:
        lease_s = self._processor_timeout_s + _LEASE_BEYOND_S
        return f"{self._name}/{next(self._numbers)}", now + round(lease_s * 1e6)

    async def _ask_all(
        self, commands: Sequence[_First], timeout_s: float | None
    ) -> list[Receipt | PaymentError]:
        """Goes on when its caller gives up: what is on record is asked about."""
        asking = asyncio.create_task(self._ask_all_to_the_end(commands, timeout_s))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            asking.add_done_callback(_unheard)
            raise

    async def _ask_all_to_the_end(
        self, commands: Sequence[_First], timeout_s: float | None
    ) -> list[Receipt | PaymentError]:
        try:
            outcomes = await self._store.execute_all(commands, timeout_s)
            for command, outcome in zip(commands, outcomes, strict=True):
                if isinstance(outcome, Claimed):
                    assert isinstance(command, Intend)
                    self._take_off(command.claim, outcome)
            return await self._all_final(commands, outcomes)
        finally:
            for command in commands:
                if isinstance(command, Intend):
                    self._places.leave(command.claim)

    async def _all_final(
        self, commands: Sequence[_First], outcomes: Sequence[Outcome]
    ) -> list[Receipt | PaymentError]:
        """What becomes of each. Most are known, and a task for each of those would cost more than all else."""
        still_open = [
            self._final(command, outcome)
            for command, outcome in zip(commands, outcomes, strict=True)
            if not isinstance(outcome, Receipt | PaymentError)
        ]
        landed = iter(await asyncio.gather(*still_open) if still_open else ())
        return [
            each if isinstance(each, Receipt | PaymentError) else next(landed) for each in outcomes
        ]

    async def _final(self, command: _First, outcome: Outcome) -> Receipt | PaymentError:
        """What becomes of a command; a flight that is under way already is waited for."""
        for _ in range(_LOOKS_MAX):
            if isinstance(outcome, Receipt | PaymentError):
                return outcome
            assert isinstance(command, Intend)
            if isinstance(outcome, Claimed):
                return await _landed(self._take_off(command.claim, outcome))
            assert isinstance(outcome, OnRecord)
            if (flight := self._flights.get(outcome.claim)) is not None:
                landed = await _landed(flight)
                return landed._replace(replayed=True) if isinstance(landed, Receipt) else landed
            if not outcome.claim.startswith(self._name):
                break
            command = self._intend(command.operation)
            outcome = await self._write(command)
        return OutcomeOpen(
            "Another server is asking the processor about this payment. Send it again with the "
            "same key to learn the outcome."
        )

    def _take_off(self, claim: str, claimed: Claimed) -> asyncio.Task[Receipt]:
        """The one flight of a claim."""
        flight = self._flights.get(claim)
        if flight is None:
            flight = self._flights[claim] = asyncio.create_task(self._fly(claim, claimed))
            flight.add_done_callback(lambda _: self._flights.pop(claim))
        return flight

    async def _fly(self, claim: str, claimed: Claimed) -> Receipt:
        operation, customer_id, resumed = claimed
        key = operation.request_key
        try:
            answer = await self._ask(operation, customer_id)
        except ProcessorUnavailable as nothing_done:
            if not resumed and isinstance(await self._write(Withdraw(key, claim)), Withdrawn):
                raise
            await self._release(key, claim)
            raise OutcomeOpen(
                f"{nothing_done} It was asked about this payment before, and may have paid then; "
                "the server goes on asking. Send it again with the same key to learn the outcome."
            ) from nothing_done
        except OutcomeOpen:
            await self._release(key, claim)
            raise
        outcome = await self._write(Resolve(key, claim, answer.decline_reason))
        if isinstance(outcome, Receipt):
            return outcome
        if isinstance(outcome, ProcessorDeclined):
            raise outcome
        raise OutcomeOpen(
            "The processor has answered, but its answer could not be written yet; it may have been "
            "paid. Send it again with the same key to learn the outcome."
        )

    async def _ask(self, operation: Operation, customer_id: str) -> Answer:
        try:
            async with asyncio.timeout(self._processor_timeout_s):
                return await self._processor.ask(operation, customer_id)
        except TimeoutError as silence:
            raise OutcomeOpen(
                f"The processor did not answer within {self._processor_timeout_s:g} s; it may have "
                "been paid. Send it again with the same key to learn the outcome."
            ) from silence

    async def _release(self, key: str, claim: str) -> None:
        await self._write(Release(key, claim, now_us() + round(_ASK_AGAIN_S * 1e6)))

    async def _write(self, command: Command) -> Outcome:
        try:
            (outcome,) = await self._store.execute_all((command,))
        except PaymentError as problem:
            return problem
        return outcome


def _unheard(asking: asyncio.Task[list[Receipt | PaymentError]]) -> None:
    """Its caller has gone: a refusal concerns nobody any more, a fault does."""
    failure = None if asking.cancelled() else asking.exception()
    if failure is not None and not isinstance(failure, PaymentError):
        _log.error("a payment whose caller gave up failed", exc_info=failure)


async def _landed(flight: asyncio.Task[Receipt]) -> Receipt | PaymentError:
    """What came of a flight, however many wait for it."""
    await asyncio.wait((flight,))
    if flight.cancelled():
        return OutcomeOpen(
            "The server stopped while the processor was asked; it may have been paid. Send it "
            "again with the same key to learn the outcome."
        )
    failure = flight.exception()
    if failure is None or isinstance(failure, PaymentError):
        return failure or flight.result()
    raise failure
