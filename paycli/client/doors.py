"""The two doors of a service for many payments: batches, or one call each with the seed contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any, Final, Protocol

import grpc

from paycli.client.charges import Paid, send
from paycli.client.creations import creation
from paycli.client.failures import failure_in, failure_of
from paycli.client.offers import BATCH
from paycli.client.orders import Order
from paycli.client.retries import RETRYABLE, Patience, retry_after_s, retry_delay_s
from paycli.client.runs import Outcome
from paycli.errors import NotTaken, OutcomeUnknown, PaycliError
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.generated.paycli.payments.v1 import payments_pb2_grpc

_BATCH_MAX: Final = 1000
_RETRYABLE_NUMBERS: Final = frozenset(code.value[0] for code in RETRYABLE)


@dataclass(frozen=True, slots=True)
class Sent:
    """An order and what came of it."""

    order: Order
    outcome: Outcome
    payment_id: str = ""
    decline_reason: str = ""
    problem: PaycliError | None = None


class Door(Protocol):
    """How orders are sent: up to `size` of them at a time, `at_once` times beside each other.

    Once `stop` is set nothing is sent any more, and nobody waits for another try.
    """

    size: int
    at_once: int
    stop: Event

    def pay(self, orders: Sequence[Order]) -> list[Sent]:
        """What came of each, in their order; nothing is raised."""


class BatchDoor:
    """BatchCreatePayments. Tries again as long as it may: every order has a key."""

    size = _BATCH_MAX
    at_once = 4

    def __init__(self, channel: grpc.Channel, timeout_s: float, retry_s: float) -> None:
        self.stop = Event()
        self._create: Any = payments_pb2_grpc.PaymentsStub(channel).BatchCreatePayments
        self._timeout_s = timeout_s
        self._retry_s = retry_s

    def pay(self, orders: Sequence[Order]) -> list[Sent]:
        """See `Door`."""
        patience = Patience(self._retry_s, self.stop)
        done: dict[int, Sent] = {}
        left = list(enumerate(orders))
        if self.stop.is_set():
            return [Sent(order, Outcome.NOT_SENT) for order in orders]
        while left:
            results, asked_s = self._try([order for _, order in left])
            open_numbers = set()
            for (number, _), (sent, is_open) in zip(left, results, strict=True):
                if is_open:
                    open_numbers.add(number)
                # What went wrong this time says nothing of the time before.
                was_unknown = number in done and done[number].outcome is Outcome.UNKNOWN
                if not (was_unknown and sent.problem is not None):
                    done[number] = sent
            left = [each for each in left if each[0] in open_numbers]
            if left and not patience.wait(asked_s):
                break
        return [done[number] for number in range(len(orders))]

    def _try(self, orders: list[Order]) -> tuple[list[tuple[Sent, bool]], float]:
        """What came of each and whether another try may tell more; how long to leave it alone."""
        request = pb.BatchCreatePaymentsRequest(requests=[creation(each.charge) for each in orders])
        try:
            answer = self._create(request, timeout=self._timeout_s)
        except grpc.RpcError as problem:
            failure = failure_of(problem, BATCH)
            is_open = problem.code() in RETRYABLE
            return [(_failed(each, failure), is_open) for each in orders], retry_after_s(problem)
        except ValueError as closed:  # the channel, by somebody who ends all this
            lost = OutcomeUnknown(f"{closed}; it may have been paid.")
            return [(_failed(each, lost), False) for each in orders], 0.0
        if len(answer.results) != len(orders):
            lost = OutcomeUnknown("The service answered for another number; it may have been paid.")
            return [(_failed(each, lost), True) for each in orders], 0.0
        results = [
            _result(each, result) for each, result in zip(orders, answer.results, strict=True)
        ]
        delays = [
            retry_delay_s(result.error)
            for result, (_, is_open) in zip(answer.results, results, strict=True)
            if is_open and result.HasField("error")
        ]
        return results, max(delays, default=0.0)


class SeedDoor:
    """ProcessPayment. Whether its server knows a payment that comes again is not ours to say.

    So nothing is sent twice in a run but what the server itself says it did not take.
    """

    size = 1

    def __init__(
        self, channel: grpc.Channel, timeout_s: float, retry_s: float, at_once: int
    ) -> None:
        self.stop = Event()
        self.at_once = at_once
        self._channel = channel
        self._timeout_s = timeout_s
        self._retry_s = retry_s

    def pay(self, orders: Sequence[Order]) -> list[Sent]:
        """See `Door`."""
        return [self._pay(each) for each in orders]

    def _pay(self, order: Order) -> Sent:
        if self.stop.is_set():
            return Sent(order, Outcome.NOT_SENT)
        patience = Patience(self._retry_s, self.stop)
        while True:
            try:
                return _paid(order, send(self._channel, order.charge, self._timeout_s))
            except NotTaken as problem:
                call = problem.__cause__
                asked_s = retry_after_s(call) if isinstance(call, grpc.RpcError) else 0.0
                if not patience.wait(asked_s):
                    return _failed(order, problem)
            except PaycliError as problem:
                return _failed(order, problem)


def _result(order: Order, result: pb.BatchCreatePaymentsResult) -> tuple[Sent, bool]:
    """What an item of the answer says, and whether another try may tell more."""
    if result.HasField("error"):
        failure = failure_in(result.error, BATCH)
        return _failed(order, failure), result.error.code in _RETRYABLE_NUMBERS
    payment = result.payment
    payment_id = payment.name.removeprefix("payments/")
    if payment.state == pb.PAYMENT_STATE_DECLINED:
        return Sent(order, Outcome.DECLINED, payment_id, payment.decline_reason), False
    if not payment_id or payment.state == pb.PAYMENT_STATE_UNSPECIFIED:
        lost = OutcomeUnknown("The service answered neither a payment nor an error for it.")
        return _failed(order, lost), True
    return Sent(order, Outcome.PAID_BEFORE if result.replayed else Outcome.PAID, payment_id), False


def _paid(order: Order, paid: Paid) -> Sent:
    if not paid.succeeded:
        return Sent(order, Outcome.DECLINED, paid.payment_id, paid.decline_reason)
    return Sent(order, Outcome.PAID_BEFORE if paid.replayed else Outcome.PAID, paid.payment_id)


def _failed(order: Order, problem: PaycliError) -> Sent:
    is_unknown = isinstance(problem, OutcomeUnknown)
    return Sent(order, Outcome.UNKNOWN if is_unknown else Outcome.FAILED, problem=problem)
