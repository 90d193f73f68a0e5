"""Charges: what `pay` sends, checked before it is sent, and what came back."""

from __future__ import annotations

from typing import Final, NamedTuple

import grpc

from paycli.client.failures import failure_of
from paycli.errors import InvalidPayment, OutcomeUnknown
from paycli.generated import payment_pb2, payment_pb2_grpc
from paycli.payments import commands
from paycli.payments.money import decimal_from_minor, double_from_minor, minor_from_decimal

PROCESS_PAYMENT: Final = "payment.PaymentService/ProcessPayment"
SUCCESS: Final = "SUCCESS"
# What the domain's fields are called in fixtures and options.
_FIELDS: Final = {"customer_id": "user_id", "request_id": "idempotency_key"}
_IDEMPOTENCY_KEY: Final = "idempotency-key"


class Charge(NamedTuple):
    """One payment to send; `amount` is in minor units."""

    order_id: str
    amount: int
    currency: str
    user_id: str
    idempotency_key: str = ""

    @property
    def decimal_amount(self) -> str:
        """The amount in major units with all its digits."""
        return decimal_from_minor(self.amount, self.currency)


class Paid(NamedTuple):
    """The service's answer to a charge."""

    charge: Charge
    payment_id: str
    status: str
    replayed: bool
    decline_reason: str

    @property
    def succeeded(self) -> bool:
        """Whether the money moved."""
        return self.status == SUCCESS

    def as_dict(self) -> dict[str, object]:
        """The JSON form."""
        return {
            "payment_id": self.payment_id,
            "status": self.status,
            "order_id": self.charge.order_id,
            "amount": self.charge.decimal_amount,
            "currency": self.charge.currency,
            "user_id": self.charge.user_id,
            "replayed": self.replayed,
            "decline_reason": self.decline_reason or None,
        }


def charge(
    *, order_id: str, amount: str, currency: str, user_id: str, idempotency_key: str = ""
) -> Charge:
    """A checked charge from text as people write it. Raises InvalidPayment."""
    if not (idempotency_key.isascii() and idempotency_key.isprintable()):
        raise InvalidPayment(
            "idempotency_key",
            "idempotency_key must be printable ASCII, as all gRPC metadata; use a UUID for example.",
        )
    minor = minor_from_decimal(amount, currency)
    try:
        commands.create(
            order_id=order_id,
            customer_id=user_id,
            currency=currency,
            amount=minor,
            request_id=idempotency_key,
        )
    except InvalidPayment as refusal:
        refusal.rename(_FIELDS.get(refusal.field, refusal.field))
        raise
    return Charge(order_id, minor, currency, user_id, idempotency_key)


def send(channel: grpc.Channel, charge: Charge, timeout_s: float) -> Paid:
    """Send one charge. Raises Refused, InputError, OutcomeUnknown, Unreachable or RemoteError."""
    stub = payment_pb2_grpc.PaymentServiceStub(channel)
    request = payment_pb2.PaymentRequest(
        order_id=charge.order_id,
        amount=double_from_minor(charge.amount, charge.currency),
        currency=charge.currency,
        user_id=charge.user_id,
    )
    metadata = ((_IDEMPOTENCY_KEY, charge.idempotency_key),) if charge.idempotency_key else ()
    try:
        response, call = stub.ProcessPayment.with_call(
            request, timeout=timeout_s, metadata=metadata
        )
    except grpc.RpcError as problem:
        failure = failure_of(problem, PROCESS_PAYMENT)
        if isinstance(failure, OutcomeUnknown):  # the caller may have had no order id in mind
            failure.args = (f"{failure} It was order {charge.order_id}.",)
            failure.metadata["order_id"] = charge.order_id
        raise failure from problem
    trailing = dict(call.trailing_metadata() or ())
    return Paid(
        charge,
        response.payment_id,
        response.status,
        trailing.get("idempotency-replayed") == "true",
        str(trailing.get("decline-reason", "")),
    )
