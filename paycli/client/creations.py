"""Charges in the words of the rich contract, which can authorize now and capture later."""

from __future__ import annotations

from typing import Any, Final

import grpc

from paycli.client.charges import AUTHORIZED, Charge, Paid, unknown
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.generated.paycli.payments.v1 import payments_pb2_grpc
from paycli.payments.money import units_nanos_from_minor
from paycli.wire_names import FAILED, REPLAYED, TRUE

_STATUSES: Final = {pb.PAYMENT_STATE_AUTHORIZED: AUTHORIZED, pb.PAYMENT_STATE_DECLINED: FAILED}


def creation(charge: Charge) -> pb.CreatePaymentRequest:
    """What CreatePayment and BatchCreatePayments take."""
    units, nanos = units_nanos_from_minor(charge.amount, charge.currency)
    method = pb.CAPTURE_METHOD_MANUAL if charge.is_manual else pb.CAPTURE_METHOD_UNSPECIFIED
    return pb.CreatePaymentRequest(
        request_id=charge.idempotency_key,
        order_id=charge.order_id,
        customer_id=charge.user_id,
        amount={"currency_code": charge.currency, "units": units, "nanos": nanos},
        capture_method=method,
    )


def authorize(channel: grpc.Channel, charge: Charge, timeout_s: float) -> Paid:
    """Hold the money of a charge. Raises grpc.RpcError, and OutcomeUnknown for an odd answer."""
    create: Any = payments_pb2_grpc.PaymentsStub(channel).CreatePayment
    payment, call = create.with_call(creation(charge), timeout=timeout_s)
    payment_id = payment.name.removeprefix("payments/")
    status = _STATUSES.get(payment.state)
    if status is None or not payment_id:
        raise unknown(charge, "The service answered neither an authorization nor a decline")
    replayed = dict(call.trailing_metadata() or ()).get(REPLAYED) == TRUE
    return Paid(charge, payment_id, status, replayed, payment.decline_reason)
