"""Payments as their service keeps them (`paycli.payments.v1`): looked at, and changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

import grpc
from google.type.money_pb2 import Money

from paycli.client.failures import failure_of
from paycli.client.records import (
    Record,
    balance_records,
    payment_name,
    payment_record,
    posting_record,
    refund_record,
)
from paycli.errors import OutcomeUnknown, RemoteError
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.generated.paycli.payments.v1 import payments_pb2_grpc
from paycli.payments.commands import spelling
from paycli.payments.money import minor_from_decimal, units_nanos_from_minor
from paycli.wire_names import REPLAYED, TRUE

SERVICE: Final = "paycli.payments.v1.Payments"
_PAGE: Final = 500  # a page is shown whole, so that the first one is soon there
_MAY: Final = "it may have been carried out"

_Request = TypeVar(
    "_Request", pb.ListPaymentsRequest, pb.ListRefundsRequest, pb.ListPostingsRequest
)


class Wanted(NamedTuple):
    """Which payments: all, but for what is said. `state` is a word such as CAPTURED.

    `since` belongs to the span of time, `until` does not. `request_id` is the key that a payment was
    created with; `without_request_id` are those of an order and a customer, "" too, that had none.
    """

    order_id: str = ""
    customer_id: str = ""
    state: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    request_id: str = ""
    without_request_id: bool = False


class Changed(NamedTuple):
    """What came of a change, and whether it had been made before."""

    record: Record
    replayed: bool


class Payments:
    """The calls of the service. Each raises Refused, RemoteError, InputError, Unreachable or NotTaken.

    A change raises OutcomeUnknown too; the same key, sent again, tells what came of it.
    """

    def __init__(self, channel: grpc.Channel, timeout_s: float) -> None:
        self._stub: Any = payments_pb2_grpc.PaymentsStub(channel)
        self._timeout_s = timeout_s

    def get(self, payment: str) -> Record:
        """A payment as it stands."""
        return payment_record(
            self._read("GetPayment", pb.GetPaymentRequest(name=payment_name(payment)))
        )

    def find(self, wanted: Wanted) -> Iterator[Record]:
        """Those that are wanted, newest first, page by page."""
        order_id = spelling(wanted.order_id)
        for page in self._pages("ListPayments", _list_request(wanted)):
            for found in map(payment_record, page.payments):
                # A service that passes over the field lists those of other orders.
                if found["order_id"] == order_id or not order_id:
                    yield found

    def refunds(self, payment: str) -> Iterator[Record]:
        """The refunds of a payment, oldest first."""
        for page in self._pages("ListRefunds", pb.ListRefundsRequest(parent=payment_name(payment))):
            yield from map(refund_record, page.refunds)

    def postings(self, *, payment: str = "", account: str = "") -> Iterator[Record]:
        """The postings of a payment or of an account, in the order of their payments."""
        name = payment_name(payment) if payment else ""
        request = pb.ListPostingsRequest(payment=name, account=account)
        for page in self._pages("ListPostings", request):
            yield from map(posting_record, page.postings)

    def balance(self, account: str) -> list[Record]:
        """What an account holds, one record a currency."""
        return balance_records(self._read("GetBalance", pb.GetBalanceRequest(account=account)))

    def capture(
        self, payment: str, amount: str | None, key: str, *, final: bool, currency: str = ""
    ) -> Changed:
        """Take part or, without an amount, all of what is held; with `final` the rest is given back.

        `currency` is the payment's, where it is known.
        """
        request = pb.CapturePaymentRequest(
            request_id=key,
            name=payment_name(payment),
            amount=self._money(payment, amount, currency),
            final=final,
        )
        return self._change("CapturePayment", request, payment_record)

    def void(self, payment: str, key: str) -> Changed:
        """Give back all that is held and not captured."""
        request = pb.VoidPaymentRequest(request_id=key, name=payment_name(payment))
        return self._change("VoidPayment", request, payment_record)

    def refund(
        self, payment: str, amount: str | None, reason: str, key: str, *, currency: str = ""
    ) -> Changed:
        """Give back part or, without an amount, all of what was captured; see `capture`."""
        request = pb.RefundPaymentRequest(
            request_id=key,
            name=payment_name(payment),
            amount=self._money(payment, amount, currency),
            reason=reason,
        )
        return self._change("RefundPayment", request, refund_record)

    def _money(self, payment: str, amount: str | None, currency: str) -> Money | None:
        """The amount in the payment's currency, which never changes; it may have to be asked for."""
        if amount is None:
            return None
        currency = currency or self.get(payment)["currency"]
        units, nanos = units_nanos_from_minor(minor_from_decimal(amount, currency), currency)
        return Money(currency_code=currency, units=units, nanos=nanos)

    def _pages(self, method: str, request: _Request) -> Iterator[Any]:
        request.page_size = _PAGE
        while True:
            page = self._read(method, request)
            yield page
            if not page.next_page_token:
                return
            if page.next_page_token == request.page_token:
                raise RemoteError(
                    f"The service's {method} has no end: a page names itself as the next one.",
                    status="INTERNAL",
                )
            request.page_token = page.next_page_token

    def _read(self, method: str, request: Any) -> Any:
        try:
            return getattr(self._stub, method)(request, timeout=self._timeout_s)
        except grpc.RpcError as problem:
            raise failure_of(problem, f"{SERVICE}/{method}", sent=False) from problem

    def _change(self, method: str, request: Any, record_of: Callable[[Any], Record]) -> Changed:
        try:
            answer, call = getattr(self._stub, method).with_call(request, timeout=self._timeout_s)
        except grpc.RpcError as problem:
            failure = failure_of(problem, f"{SERVICE}/{method}", may=_MAY)
            raise failure from problem
        if not answer.name:
            raise unknown(f"The service answered {method} with nothing that has a name")
        trailing = dict(call.trailing_metadata() or ())
        return Changed(record_of(answer), trailing.get(REPLAYED) == TRUE)


def _list_request(wanted: Wanted) -> pb.ListPaymentsRequest:
    request = pb.ListPaymentsRequest(
        order_id=wanted.order_id,
        customer_id=wanted.customer_id,
        request_id=wanted.request_id,
        without_request_id=wanted.without_request_id,
    )
    if wanted.state is not None:
        request.state = pb.PaymentState.Value(f"PAYMENT_STATE_{wanted.state}")
    if wanted.since is not None:
        request.created_from.FromDatetime(wanted.since)
    if wanted.until is not None:
        request.created_before.FromDatetime(wanted.until)
    return request


def unknown(why: str) -> OutcomeUnknown:
    """The error that a change was sent and nobody heard what came of it."""
    return OutcomeUnknown(f"{why}; {_MAY}.")
