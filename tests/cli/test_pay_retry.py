"""`pay --retry`: sent again while that is safe, and never where it could be paid twice."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import pytest

from paycli.generated import payment_pb2
from paycli.generated.paycli.payments.v1 import payments_pb2_grpc
from tests.cli.test_pay_fixtures import write
from tests.cli.test_pay_from import listed
from tests.client.odd_service import OURS, end, service, serving
from tests.conftest import StartServer, run_paycli
from tests.host.test_metrics import free_port
from tests.wire import client_of

ONE = ("pay", "--amount", "5", "--order-id", "o")


def test_a_server_that_starts_again_costs_no_payment(
    start_server: StartServer, tmp_path: Path
) -> None:
    fixture = write(
        tmp_path,
        "payments:\n"
        "- {order_id: 'o${n}', amount: 5, currency: EUR, repeat: 800, then: [refund: 2]}\n",
    )
    port = free_port()
    server = start_server(port=port)
    words = ["pay", str(fixture), "--retry", "60", "--target", f"localhost:{port}"]
    with subprocess.Popen(
        [sys.executable, "-m", "paycli", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as paying:
        for _ in range(2):
            with client_of(server.target) as client:
                before = len(client.call("ListPayments", {"page_size": 1000}).payments)
                while len(client.call("ListPayments", {"page_size": 1000}).payments) == before:
                    time.sleep(0.02)
            server.process.kill()
            server.process.wait()
            server = start_server(port=port)
        _, said = paying.communicate(timeout=90)
    assert paying.returncode == 0, said
    assert listed(server.target) == {
        (f"o{n}", "5.00", "PARTIALLY_REFUNDED"): 1 for n in range(1, 801)
    }
    assert run_paycli("db", "verify", "--store", f"sqlite:///{server.store}").returncode == 0


@pytest.mark.parametrize(("retry", "calls", "code"), [("20", 3, 0), ("0", 1, 3), (None, 1, 3)])
def test_what_was_not_taken_is_sent_again(retry: str | None, calls: int, code: int) -> None:
    seen: list[str] = []

    def answer(request: payment_pb2.PaymentRequest, context: grpc.ServicerContext) -> Any:
        seen.append(request.order_id)
        if len(seen) < 3:
            end(context, grpc.StatusCode.UNAVAILABLE, "later", domain=OURS, reason="DRAINING")
        return payment_pb2.PaymentResponse(payment_id="p", status="SUCCESS")

    with service(answer) as target:
        paid = run_paycli(*ONE, "--target", target, *(["--retry", retry] if retry else []))
    assert (paid.returncode, len(seen)) == (code, calls)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL])
def test_a_service_that_may_not_know_keys_gets_nothing_twice(code: grpc.StatusCode) -> None:
    seen: list[str] = []

    def answer(request: payment_pb2.PaymentRequest, context: grpc.ServicerContext) -> Any:
        seen.append(request.order_id)
        end(context, code, "gone")

    with service(answer) as target:
        paid = run_paycli(*ONE, "--idempotency-key", "k", "--target", target, "--retry", "5")
    assert (paid.returncode, seen) == (5, ["o"])


def test_no_later_error_undoes_that_it_may_be_paid(tmp_path: Path) -> None:
    """Say, the token is revoked between two tries."""
    seen: list[str] = []

    class Revoked(payments_pb2_grpc.PaymentsServicer):
        def CreatePayment(self, request: Any, context: Any) -> Any:  # noqa: N802 - the contract's
            seen.append(request.order_id)
            if len(seen) == 1:
                end(context, grpc.StatusCode.INTERNAL, "lost", domain=OURS, reason="INTERNAL")
            end(context, grpc.StatusCode.UNAUTHENTICATED, "who?", domain=OURS, reason="NO_TOKEN")

        def BatchCreatePayments(self, request: Any, context: Any) -> Any:  # noqa: N802 - as above
            if not request.requests:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no batch is empty")
            return self.CreatePayment(request.requests[0], context)

    held = write(
        tmp_path, "payments: [{order_id: o, amount: 5, currency: EUR, capture_method: MANUAL}]"
    )
    rows = tmp_path / "rows.csv"
    rows.write_text("order_id,amount,currency\no,5,EUR\n")
    with serving(payments_pb2_grpc.add_PaymentsServicer_to_server, Revoked()) as target:
        for words in ((held,), ("--from", rows)):
            seen.clear()
            run = run_paycli("pay", *words, "--target", target, "--retry", "20")
            assert (run.returncode, seen) == (5, ["o", "o"])
    assert (tmp_path / "rows.csv.unknown.ndjson").read_text().count("\n") == 1
