"""Both contracts as a plain client sees them: calls in few words, errors down to their details."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from google.type.money_pb2 import Money

from paycli.generated import payment_pb2, payment_pb2_grpc
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.generated.paycli.payments.v1 import payments_pb2_grpc

TIMEOUT_S = 30.0
REPLAYED = ("idempotency-replayed", "true")
MANUAL = pb.CAPTURE_METHOD_MANUAL
_DETAILS = {
    kind.DESCRIPTOR.full_name: kind
    for kind in (
        error_details_pb2.ErrorInfo,
        error_details_pb2.BadRequest,
        error_details_pb2.PreconditionFailure,
        error_details_pb2.RetryInfo,
    )
}


class Refusal(NamedTuple):
    """An error with all that came with it, as plain data; `details` by their names."""

    code: str
    message: str
    details: dict[str, dict[str, Any]]

    @property
    def reason(self) -> str:
        return str(self.details["ErrorInfo"]["reason"])

    @property
    def metadata(self) -> dict[str, str]:
        return dict(self.details["ErrorInfo"].get("metadata", {}))


def refusal_in(status: status_pb2.Status) -> Refusal:
    """The parts of a google.rpc.Status; no detail comes twice, and one is an ErrorInfo of ours."""
    details = {}
    for packed in status.details:
        kind = _DETAILS[packed.type_url.rpartition("/")[2]]
        unpacked = kind.FromString(packed.value)
        assert kind.DESCRIPTOR.name not in details, "a detail twice"
        details[kind.DESCRIPTOR.name] = json_format.MessageToDict(unpacked)
    assert details["ErrorInfo"]["domain"] == "paycli.dev"
    code = next(each.name for each in grpc.StatusCode if each.value[0] == status.code)
    return Refusal(code, status.message, details)


def refusal_of(ended: grpc.RpcError) -> Refusal:
    """The parts of the error that a call ended with."""
    given: Any = ended.trailing_metadata() or ()  # pairs, of a kind of their own or not
    trailing: dict[str, Any] = dict(given)
    assert "grpc-status-details-bin" in trailing, f"{ended.code()}: {ended.details()}"
    refusal = refusal_in(status_pb2.Status.FromString(trailing["grpc-status-details-bin"]))
    assert (refusal.code, refusal.message) == (ended.code().name, ended.details())
    return refusal


@contextmanager
def refused(reason: str) -> Iterator[None]:
    """The block must end with this reason."""
    with pytest.raises(grpc.RpcError) as raised:
        yield
    assert refusal_of(raised.value).reason == reason


def money(amount: str, currency: str = "EUR") -> Money:
    """`money("-9.99")`."""
    whole, _, fraction = amount.lstrip("-").partition(".")
    sign = -1 if amount.startswith("-") else 1
    units, nanos = sign * int(whole), sign * int(fraction.ljust(9, "0") or 0)
    return Money(currency_code=currency, units=units, nanos=nanos)


def creation(
    amount: str = "10.00", currency: str = "EUR", **fields: Any
) -> pb.CreatePaymentRequest:
    """A request with a fresh request_id unless `fields` says otherwise."""
    fields = {"request_id": str(uuid.uuid4()), "customer_id": "ada"} | fields
    return pb.CreatePaymentRequest(amount=money(amount, currency), **fields)


class Client:
    """Calls both contracts on one channel; errors come as grpc.RpcError."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.payments = payments_pb2_grpc.PaymentsStub(channel)
        self.seed = payment_pb2_grpc.PaymentServiceStub(channel)

    def call(self, method: str, request: Message | Mapping[str, Any]) -> Any:
        """Any unary method of either contract by its name."""
        return self.with_trailer(method, request)[0]

    def with_trailer(
        self, method: str, request: Message | Mapping[str, Any], **options: Any
    ) -> tuple[Any, dict[str, str]]:
        """The answer and its trailing metadata."""
        if not isinstance(request, Message):
            kind = pb.DESCRIPTOR.services_by_name["Payments"].methods_by_name.get(method)
            name = kind.input_type.name if kind is not None else ""
            empty = getattr(pb, name)() if name else payment_pb2.PaymentRequest()
            request = json_format.ParseDict(dict(request), empty)
        stub = self.seed if method == "ProcessPayment" else self.payments
        answer, call = getattr(stub, method).with_call(
            request, timeout=options.pop("timeout", TIMEOUT_S), **options
        )
        return answer, {item.key: item.value for item in call.trailing_metadata()}

    def create(self, amount: str = "10.00", currency: str = "EUR", **fields: Any) -> pb.Payment:
        """A new payment."""
        request = creation(amount, currency, **fields)
        answer: pb.Payment = self.payments.CreatePayment(request, timeout=TIMEOUT_S)
        return answer

    def authorize(self, amount: str = "10.00", **fields: Any) -> pb.Payment:
        """A new payment that is not captured."""
        return self.create(amount, capture_method=MANUAL, **fields)

    def pay(
        self, order_id: str, amount: float = 10.0, currency: str = "EUR", user_id: str = "ada"
    ) -> payment_pb2.PaymentResponse:
        """Through the seed contract."""
        request = payment_pb2.PaymentRequest(
            order_id=order_id, amount=amount, currency=currency, user_id=user_id
        )
        answer: payment_pb2.PaymentResponse = self.seed.ProcessPayment(request, timeout=TIMEOUT_S)
        return answer

    def get(self, name: str) -> pb.Payment:
        """As it stands."""
        request = pb.GetPaymentRequest(name=name)
        answer: pb.Payment = self.payments.GetPayment(request, timeout=TIMEOUT_S)
        return answer

    def capture(self, name: str, amount: str = "", **fields: Any) -> pb.Payment:
        """Part, or without an amount all."""
        request = pb.CapturePaymentRequest(
            name=name, **({"request_id": str(uuid.uuid4())} | fields)
        )
        if amount:
            request.amount.CopyFrom(money(amount))
        answer: pb.Payment = self.payments.CapturePayment(request, timeout=TIMEOUT_S)
        return answer

    def void(self, name: str, **fields: Any) -> pb.Payment:
        """All that is left."""
        request = pb.VoidPaymentRequest(name=name, **({"request_id": str(uuid.uuid4())} | fields))
        answer: pb.Payment = self.payments.VoidPayment(request, timeout=TIMEOUT_S)
        return answer

    def refund(self, name: str, amount: str = "", **fields: Any) -> pb.Refund:
        """Part, or without an amount all."""
        request = pb.RefundPaymentRequest(name=name, **({"request_id": str(uuid.uuid4())} | fields))
        if amount:
            request.amount.CopyFrom(money(amount))
        answer: pb.Refund = self.payments.RefundPayment(request, timeout=TIMEOUT_S)
        return answer

    def batch(self, *requests: pb.CreatePaymentRequest) -> list[pb.BatchCreatePaymentsResult]:
        """The results of a batch."""
        request = pb.BatchCreatePaymentsRequest(requests=requests)
        return list(self.payments.BatchCreatePayments(request, timeout=TIMEOUT_S).results)


@contextmanager
def client_of(target: str) -> Iterator[Client]:
    """A client with a connection of its own."""
    # Without this option channels of one process share a connection.
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(target, options=options) as channel:
        yield Client(channel)
