"""The seed contract: `payment.PaymentService`, the door that every plain client knows."""

from __future__ import annotations

from typing import Final

import grpc

from paycli.engine.engine import Engine
from paycli.errors import InvalidPayment
from paycli.generated import payment_pb2, payment_pb2_grpc
from paycli.payments import commands
from paycli.payments.money import minor_from_double
from paycli.wire_names import DECLINE_REASON, FAILED, IDEMPOTENCY_KEY, REPLAYED, SUCCESS, TRUE

# What the domain's fields are called here.
_FIELDS: Final = {"customer_id": "user_id", "request_id": IDEMPOTENCY_KEY}


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
            create = commands.create(
                order_id=request.order_id,
                customer_id=request.user_id,
                currency=request.currency,
                amount=minor_from_double(request.amount, request.currency),
                request_id=_idempotency_key(context),
            )
            receipt = await self._engine.create(create, context.time_remaining())
        except InvalidPayment as refusal:
            refusal.rename(_FIELDS.get(refusal.field, refusal.field))
            raise
        payment = receipt.payment
        declined = payment.decline_reason
        trailing = [(REPLAYED, TRUE)] if receipt.replayed else []
        if declined:
            trailing.append((DECLINE_REASON, declined))
        if trailing:
            context.set_trailing_metadata(tuple(trailing))
        return payment_pb2.PaymentResponse(
            payment_id=payment.payment_id, status=FAILED if declined else SUCCESS
        )


def _idempotency_key(
    context: grpc.aio.ServicerContext[payment_pb2.PaymentRequest, payment_pb2.PaymentResponse],
) -> str:
    keys = [value for key, value in context.invocation_metadata() or () if key == IDEMPOTENCY_KEY]
    if not keys:
        return ""
    if len(keys) > 1:  # whichever were taken, a retry that sends them otherwise would pay twice
        raise InvalidPayment(
            IDEMPOTENCY_KEY, f"{IDEMPOTENCY_KEY} was sent {len(keys)} times; send it once."
        )
    return keys[0] if isinstance(keys[0], str) else keys[0].decode("latin-1")
