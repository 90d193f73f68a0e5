"""The seed contract: `payment.PaymentService`, the door that every plain client knows."""

from __future__ import annotations

import time
from typing import Final

import grpc

from paycli.errors import PaymentError
from paycli.generated import payment_pb2, payment_pb2_grpc
from paycli.payments import commands, simulator
from paycli.payments.money import minor_from_double
from paycli.payments.store import Store
from paycli.server.ids import new_payment_id
from paycli.server.status import abort

IDEMPOTENCY_KEY: Final = "idempotency-key"
REPLAYED: Final = ("idempotency-replayed", "true")
DECLINE_REASON: Final = "decline-reason"


class SeedServicer(payment_pb2_grpc.PaymentServiceServicer):
    """Charges through the store; a retried order is answered with its first answer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def ProcessPayment(  # noqa: N802 - the contract's name
        self,
        request: payment_pb2.PaymentRequest,
        context: grpc.aio.ServicerContext[payment_pb2.PaymentRequest, payment_pb2.PaymentResponse],
    ) -> payment_pb2.PaymentResponse:
        """Charge one payment: SUCCESS, or FAILED when it was declined."""
        try:
            receipt = await self._store.execute(_command(request, context))
        except PaymentError as error:
            await abort(context, error)
        payment = receipt.payment
        declined = payment.decline_reason
        trailing = [REPLAYED] if receipt.replayed else []
        if declined:
            trailing.append((DECLINE_REASON, declined))
        if trailing:
            context.set_trailing_metadata(tuple(trailing))
        return payment_pb2.PaymentResponse(
            payment_id=payment.payment_id, status="FAILED" if declined else "SUCCESS"
        )


def _command(
    request: payment_pb2.PaymentRequest,
    context: grpc.aio.ServicerContext[payment_pb2.PaymentRequest, payment_pb2.PaymentResponse],
) -> commands.Create:
    customer_id = request.user_id
    return commands.create(
        payment_id=new_payment_id(),
        order_id=request.order_id,
        customer_id=customer_id,
        currency=request.currency,
        amount=minor_from_double(request.amount, request.currency),
        now_us=time.time_ns() // 1000,
        request_id=_idempotency_key(context),
        decline_reason=simulator.decline_reason(customer_id),
        customer_field="user_id",
    )


def _idempotency_key(
    context: grpc.aio.ServicerContext[payment_pb2.PaymentRequest, payment_pb2.PaymentResponse],
) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == IDEMPOTENCY_KEY:
            return value if isinstance(value, str) else value.decode("latin-1")
    return ""
