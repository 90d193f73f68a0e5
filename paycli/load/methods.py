"""What is sent when nobody says more, and which methods are known to move money."""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor import MethodDescriptor

from paycli.generated import payment_pb2
from paycli.generated.paycli.payments.v1 import payments_pb2
from paycli.placeholders import UUID

PROCESS: Final = "payment.PaymentService/ProcessPayment"
BATCH: Final = "paycli.payments.v1.Payments/BatchCreatePayments"
_CUSTOMER: Final = "bench"
_V1: Final = "paycli.payments.v1.Payments"
_MOVES_MONEY: Final = {
    PROCESS,
    BATCH,
    *(f"{_V1}/{each}Payment" for each in ("Create", "Capture", "Refund", "Void")),
}

ONE: Final[object] = {
    "order_id": UUID,
    "amount": 12.34,
    "currency": "EUR",
    "user_id": _CUSTOMER,
}


def moves_money(path: str) -> bool:
    """Whether calls of a method (`package.Service/Method`) are payments, or undo some."""
    return path in _MOVES_MONEY


def batch_of(payments: int) -> object:
    """A request of BatchCreatePayments with so many new payments."""
    one = {
        "request_id": UUID,
        "order_id": UUID,
        "customer_id": _CUSTOMER,
        "amount": {"currency_code": "EUR", "units": 12, "nanos": 340_000_000},
    }
    return {"requests": [one] * payments}


def payment_method() -> MethodDescriptor:
    """ProcessPayment of the seed contract."""
    service = payment_pb2.DESCRIPTOR.services_by_name["PaymentService"]
    return service.methods_by_name["ProcessPayment"]


def batch_method() -> MethodDescriptor:
    """BatchCreatePayments."""
    service = payments_pb2.DESCRIPTOR.services_by_name["Payments"]
    return service.methods_by_name["BatchCreatePayments"]
