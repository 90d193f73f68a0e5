"""Payments of services that answer what theirs never does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from paycli.client.payments import Payments, Wanted
from paycli.errors import OutcomeUnknown, RemoteError
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.generated.paycli.payments.v1 import payments_pb2_grpc
from paycli.mcp.cashier import Cashier
from tests.client.odd_service import serving

NEWER: Any = 99


class _Odd(payments_pb2_grpc.PaymentsServicer):
    """Lists the same whatever is asked for, and changes nothing."""

    def ListPayments(  # noqa: N802 - the contract's name
        self, request: pb.ListPaymentsRequest, context: grpc.ServicerContext
    ) -> pb.ListPaymentsResponse:
        captured = pb.Payment(name="payments/p", order_id="other", state="PAYMENT_STATE_CAPTURED")
        newer = pb.Payment(name="payments/q", order_id="newer", state=NEWER)
        token = "again" if request.order_id == "endless" else ""
        return pb.ListPaymentsResponse(payments=[captured, newer], next_page_token=token)

    def RefundPayment(  # noqa: N802 - the contract's name
        self, request: pb.RefundPaymentRequest, context: grpc.ServicerContext
    ) -> pb.Refund:
        return pb.Refund()


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    with serving(payments_pb2_grpc.add_PaymentsServicer_to_server, _Odd()) as address:
        yield address


@contextmanager
def calls(target: str) -> Iterator[Payments]:
    with grpc.insecure_channel(target) as channel:
        yield Payments(channel, 10)


def test_payments_of_other_orders_say_nothing_of_this_one(target: str) -> None:
    with calls(target) as payments:
        assert [each["payment_id"] for each in payments.find(Wanted("other"))] == ["p"]
        assert len(list(payments.find(Wanted()))) == 2


def test_a_list_without_an_end_is_an_error(target: str) -> None:
    with calls(target) as payments, pytest.raises(RemoteError, match="has no end"):
        list(payments.find(Wanted("endless")))


def test_an_empty_answer_proves_no_refund(target: str) -> None:
    with calls(target) as payments, pytest.raises(OutcomeUnknown, match="may have been carried"):
        payments.refund("p", None, "", "k")


def test_an_agent_settles_by_no_state_that_is_not_known(target: str) -> None:
    cashier = Cashier(lambda: grpc.insecure_channel(target), 10)
    outcomes = {order: cashier.settle(order)["outcome"] for order in ("mine", "other", "newer")}
    assert outcomes == {"mine": "unknown", "other": "paid", "newer": "unknown"}
