"""The seed contract: `payment.PaymentService`, the door that every plain client knows."""

from __future__ import annotations

from typing import Final

import grpc

from paycli.errors import PaymentError
from paycli.generated import payment_pb2, payment_pb2_grpc
from paycli.payments.money import minor_from_double
from paycli.server.engine import Engine
from paycli.server.status import REPLAYED, abort

IDEMPOTENCY_KEY: Final = "idempotency-key"
DECLINE_REASON: Final = "decline-reason"


class SeedServicer(payment_pb2_grpc.PaymentServiceServicer):
    """Charges through the engine; a retried order is answered with its first answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def ProcessPayment(
        self,
        request: payment_pb2.PaymentRequest,
        context: grpc.aio.ServicerContext[payment_pb2.PaymentRequest, payment_pb2.PaymentResponse],
    ) -> payment_pb2.PaymentResponse:
        """Charge one payment: SUCCESS, or FAILED when it was declined."""
        try:
            currency = request.currency
            create = self._engine.creation(
                order_id=request.order_id,
                customer_id=request.user_id,
                currency=currency,
                amount=minor_from_double(request.amount, currency),
                request_id=_idempotency_key(context),
                customer_field="user_id",
                key_field=IDEMPOTENCY_KEY,
            )
            receipt = await self._engine.create(create, context.time_remaining())
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


def _idempotency_key(
    context: grpc.aio.ServicerContext[payment_pb2.PaymentRequest, payment_pb2.PaymentResponse],
) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == IDEMPOTENCY_KEY:
            return value if isinstance(value, str) else value.decode("latin-1")
    return ""
