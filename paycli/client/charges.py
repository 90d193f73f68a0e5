"""Charges: what `pay` sends, checked before it is sent, and what came back."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import grpc

from paycli.client.failures import failure_of
from paycli.errors import InvalidPayment, OutcomeUnknown
from paycli.generated import payment_pb2, payment_pb2_grpc
from paycli.payments import commands
from paycli.payments.money import decimal_from_minor, double_from_minor, minor_from_decimal
from paycli.wire_names import DECLINE_REASON, FAILED, IDEMPOTENCY_KEY, REPLAYED, SUCCESS, TRUE

PROCESS_PAYMENT: Final = "payment.PaymentService/ProcessPayment"
CREATE_PAYMENT: Final = "paycli.payments.v1.Payments/CreatePayment"
AUTHORIZED: Final = "AUTHORIZED"
# What the domain's fields are called in fixtures and options.
_FIELDS: Final = {"customer_id": "user_id", "request_id": "idempotency_key"}
_SHOWN_MAX: Final = 80


class Charge(NamedTuple):
    """One payment to send; `amount` is in minor units."""

    order_id: str
    amount: int
    currency: str
    user_id: str
    idempotency_key: str
    request_key: str  # what a service knows it by: two charges with the same one are one payment
    is_manual: bool = False  # authorize only; it is captured later

    @property
    def decimal_amount(self) -> str:
        """The amount in major units with all its digits."""
        return decimal_from_minor(self.amount, self.currency)

    @property
    def name(self) -> str:
        """What a person calls it: its order, its key, or both."""
        if not self.idempotency_key:
            return f"order {self.order_id}"
        key = f"key {self.idempotency_key}"
        return f"order {self.order_id}, {key}" if self.order_id else key

    def as_dict(self) -> dict[str, object]:
        """The JSON form."""
        return {
            "order_id": self.order_id,
            "idempotency_key": self.idempotency_key or None,
            "amount": self.decimal_amount,
            "currency": self.currency,
            "user_id": self.user_id,
        }


class Paid(NamedTuple):
    """The service's answer to a charge: SUCCESS or FAILED; AUTHORIZED if it is to be captured later."""

    charge: Charge
    payment_id: str
    status: str
    replayed: bool
    decline_reason: str

    @property
    def succeeded(self) -> bool:
        """Whether the money moved, or is held."""
        return self.status in (SUCCESS, AUTHORIZED)

    def as_dict(self) -> dict[str, object]:
        """The JSON form."""
        return {
            "payment_id": self.payment_id,
            "status": self.status,
            **self.charge.as_dict(),
            "replayed": self.replayed,
            "decline_reason": self.decline_reason or None,
        }


def charge(
    *,
    order_id: str,
    amount: str,
    currency: str,
    user_id: str,
    idempotency_key: str = "",
    is_manual: bool = False,
) -> Charge:
    """A checked charge from text as people write it. Raises InvalidPayment."""
    if not (idempotency_key.isascii() and idempotency_key.isprintable()):
        raise InvalidPayment(
            "idempotency_key",
            "idempotency_key must be printable ASCII, as all gRPC metadata; use a UUID for example.",
        )
    minor = minor_from_decimal(amount, currency)
    try:
        create = commands.create(
            order_id=order_id,
            customer_id=user_id,
            currency=currency,
            amount=minor,
            request_id=idempotency_key,
        )
    except InvalidPayment as refusal:
        refusal.rename(_FIELDS.get(refusal.field, refusal.field))
        raise
    key = create.request_key
    return Charge(order_id, minor, currency, user_id, idempotency_key, key, is_manual)


def send(channel: grpc.Channel, charge: Charge, timeout_s: float) -> Paid:
    """Send one charge. Raises Refused, InputError, OutcomeUnknown, NotTaken or RemoteError."""
    try:
        if charge.is_manual:
            from paycli.client.creations import authorize  # start-up time: few charges are

            return authorize(channel, charge, timeout_s)
        return _process(channel, charge, timeout_s)
    except grpc.RpcError as problem:
        failure = failure_of(problem, CREATE_PAYMENT if charge.is_manual else PROCESS_PAYMENT)
        if isinstance(failure, OutcomeUnknown):
            _name(failure, charge)
        raise failure from problem
    except OutcomeUnknown:
        raise
    except Exception as problem:
        raise unknown(charge, f"The call broke off ({type(problem).__name__})") from problem


def _process(channel: grpc.Channel, charge: Charge, timeout_s: float) -> Paid:
    stub = payment_pb2_grpc.PaymentServiceStub(channel)
    request = payment_pb2.PaymentRequest(
        order_id=charge.order_id,
        amount=double_from_minor(charge.amount, charge.currency),
        currency=charge.currency,
        user_id=charge.user_id,
    )
    metadata = ((IDEMPOTENCY_KEY, charge.idempotency_key),) if charge.idempotency_key else ()
    response, call = stub.ProcessPayment.with_call(request, timeout=timeout_s, metadata=metadata)
    return _answer(charge, response, dict(call.trailing_metadata() or ()))


def unknown(charge: Charge, why: str) -> OutcomeUnknown:
    """The error that a charge was sent and nothing proves what came of it."""
    error = OutcomeUnknown(f"{why}; it may have been paid.")
    _name(error, charge)
    return error


def untold(paid: Paid, why: str) -> OutcomeUnknown:
    """The error that an answer came and could not be given to whoever asked."""
    error = OutcomeUnknown(f"{why}; the answer was {paid.status}, {paid.payment_id or 'no id'}.")
    _name(error, paid.charge)
    error.metadata |= {"payment_id": paid.payment_id, "status": paid.status}
    return error


def _name(error: OutcomeUnknown, charge: Charge) -> None:
    """Say which charge it was: whoever sent it may have had no order id in mind."""
    error.message = f"{error.message} It was {charge.name}."
    error.metadata["order_id"] = charge.order_id
    if charge.idempotency_key:
        error.metadata["idempotency_key"] = charge.idempotency_key


def _answer(
    charge: Charge, response: payment_pb2.PaymentResponse, trailing: dict[str, Any]
) -> Paid:
    """The answer, if it is one: two status words are agreed, and what was paid has an id."""
    if response.status not in (SUCCESS, FAILED):
        word = " ".join(response.status.split())[:_SHOWN_MAX]
        raise unknown(charge, f"The service answered '{word}', which is not {SUCCESS} or {FAILED}")
    if response.status == SUCCESS and not response.payment_id.strip():
        raise unknown(charge, f"The service answered {SUCCESS} without a payment id")
    return Paid(
        charge,
        response.payment_id,
        response.status,
        trailing.get(REPLAYED) == TRUE,
        str(trailing.get(DECLINE_REASON, "")),
    )
