"""`then:` of fixtures: capture, void and refund of what was just paid, each done once."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.generated.paycli.payments.v1 import payments_pb2_grpc
from tests.cli.test_pay_fixtures import lines, write
from tests.client.odd_service import never, service, serving
from tests.conftest import Server, run_paycli

SHOP = """
defaults: {currency: EUR, user_id: ada}
payments:
  - name: dinner
    order_id: dinner
    amount: 80
    capture_method: MANUAL
    then: [capture: 60, {capture: {amount: 5, final: true}}, {void: {expect_error: STATE_FORBIDS}}]
  - name: tip
    order_id: tip-${payments.dinner.payment_id}
    amount: 3
    then: [{refund: {amount: 1.5, reason: cold}}, refund]
  - {order_id: gone, amount: 7, capture_method: MANUAL, then: [void]}
"""


def payment(server: Server, payment_id: str) -> dict[str, Any]:
    shown = run_paycli("payments", "get", payment_id, "--target", server.target, "--json")
    return dict(json.loads(shown.stdout))


def test_what_follows_is_done_once_and_later_payments_know_of_it(
    server: Server, tmp_path: Path
) -> None:
    fixture = write(tmp_path, SHOP)
    paid = run_paycli("pay", fixture, "--target", server.target, "--json")
    assert (paid.returncode, paid.stderr) == (
        0,
        "3 payments: 3 paid. 6 follow-ups: 6 done.\n",
    )
    dinner, tip, gone = lines(paid)
    assert (dinner["status"], tip["status"]) == ("AUTHORIZED", "SUCCESS")
    assert tip["order_id"] == f"tip-{dinner['payment_id']}"
    before = [payment(server, each["payment_id"]) for each in (dinner, tip, gone)]
    assert [(each["captured_amount"], each["refunded_amount"]) for each in before] == [
        ("65.00", "0.00"), ("3.00", "3.00"), ("0.00", "0.00"),
    ]  # fmt: skip
    again = run_paycli("pay", fixture, "--target", server.target)
    assert again.returncode == 0
    assert again.stderr == (
        "3 payments: 3 paid before. 6 follow-ups: 5 done before, 1 not asked again.\n"
    )
    assert [each for each in again.stdout.splitlines() if "then" in each][:3] == [
        "  then capture 60.00: done before",
        "  then capture 5.00 and give the rest back: done before",
        "  then void: not asked again",
    ]
    after = [payment(server, each["payment_id"]) for each in (dinner, tip, gone)]
    assert after == before


@pytest.mark.parametrize(
    ("then", "said", "ended"),
    [
        ("[capture: 60, capture: 60]", "5: capture: The service answered", "1 done, 1 failed"),
        (
            "[{void: {expect_error: OTHER}}, capture]",
            "5: void: expected the error OTHER, got none: it was done",
            "1 done, 1 not done",
        ),
        (
            "[{refund: {expect_error: OTHER}}]",
            "5: refund: expected the error OTHER, got STATE_FORBIDS: ",
            "1 failed",
        ),
    ],
)
def test_nothing_follows_what_went_wrong(
    server: Server, tmp_path: Path, then: str, said: str, ended: str
) -> None:
    text = f"payments:\n  - order_id: o\n    amount: 80\n    currency: EUR\n    then: {then}\n"
    fixture = write(tmp_path, f"{text}    capture_method: MANUAL\n")
    failed = run_paycli("pay", fixture, "--target", server.target)
    assert failed.returncode == 1
    error, summary = failed.stderr.splitlines()
    assert error.startswith(f"Error: {fixture}:{said}")
    assert summary.endswith(f": {ended}.")


def test_what_must_be_refused_moves_nothing_when_paid_again(server: Server, tmp_path: Path) -> None:
    """By then all that follows it has been done, and it would not be refused any more."""
    fixture = write(
        tmp_path,
        "payments: [{order_id: o, amount: 80, currency: EUR, capture_method: MANUAL,"
        " then: [refund: {amount: 5, expect_error: STATE_FORBIDS}, capture]}]",
    )
    for _ in range(3):
        paid = run_paycli("pay", fixture, "--target", server.target, "--json")
        assert paid.returncode == 0, paid.stderr
    (line,) = lines(paid)
    assert payment(server, line["payment_id"])["refunded_amount"] == "0.00"


@pytest.mark.parametrize(
    ("then", "code"),
    [
        ("[refund: 2]", 0),  # the capture is gone from the list
        ("[void: {expect_error: STATE_FORBIDS}, capture: 9, refund: 2]", 0),
        ("[capture: 9, refund: {amount: 1, expect_error: X}, refund: 2]", 0),
        ("[capture: 9, refund: 3]", 1),  # a conflict, not another refund
    ],
)
def test_what_was_done_is_known_in_a_list_that_was_edited(
    server: Server, tmp_path: Path, then: str, code: int
) -> None:
    text = "payments: [{order_id: o, amount: 9, currency: EUR, capture_method: MANUAL, then: %s}]"
    words = ("--target", server.target, "--json")
    assert (
        run_paycli("pay", write(tmp_path, text % "[capture: 9, refund: 2]"), *words).returncode == 0
    )
    again = run_paycli("pay", write(tmp_path, text % then), *words)
    assert again.returncode == code, again.stdout
    (line,) = lines(again)
    assert payment(server, line["payment_id"])["refunded_amount"] == "2.00"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("then: [capture]", "capture: it is taken at once"),
        ("then: [void]", "void: it is taken at once"),
        ("then: [refund: 5.01]", "refund: that is more than the payment's 5.00"),
        ("capture_method: MANUAL, then: [capture: 6]", "capture: that is more than"),
    ],
)
def test_what_can_only_fail_is_told_before_money_moves(
    server: Server, tmp_path: Path, entry: str, said: str
) -> None:
    fixture = write(tmp_path, f"payments: [{{order_id: o, amount: 5, currency: EUR, {entry}}}]")
    refused = run_paycli("pay", fixture, "--target", server.target)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert said in refused.stderr


def test_a_hold_that_may_be_there_is_sent_again_as_a_hold(server: Server, tmp_path: Path) -> None:
    fixture = write(
        tmp_path,
        "payments: [{name: h, order_id: o, amount: 5, currency: EUR, capture_method: MANUAL,"
        " user_id: sim_lost_answer, then: [void]}]",
    )
    words = ("--target", server.target)
    lost = run_paycli("pay", fixture, *words, "--set", "payments.h.amount=7", "--json")
    assert lost.returncode == 5
    error = lines(lost)[0]["error"]
    assert error["again"] == (
        f"paycli pay {fixture} --set payments.h.amount=7 --only h --target {server.target}"
    )
    again = run_paycli(*shlex.split(error["again"])[1:])
    assert again.returncode == 0, again.stderr
    settled = run_paycli(*shlex.split(error["next"])[1:])
    assert settled.stdout.startswith("given back")


def test_nothing_follows_a_decline(server: Server, tmp_path: Path) -> None:
    fixture = write(
        tmp_path,
        "payments: [{order_id: o, amount: 5, currency: EUR, then: [refund],"
        " user_id: sim_decline_lost_card}]",
    )
    declined = run_paycli("pay", fixture, "--target", server.target)
    assert declined.returncode == 1
    assert declined.stderr.splitlines()[-1] == ("1 payment: 1 declined. 1 follow-up: 1 not done.")


def test_a_service_that_knows_the_seed_contract_alone_says_so(tmp_path: Path) -> None:
    def answer(request: Any, _context: Any) -> Any:
        from paycli.generated import payment_pb2

        return payment_pb2.PaymentResponse(payment_id=request.order_id, status="SUCCESS")

    fixture = write(
        tmp_path,
        "payments:\n"
        "  - {order_id: a, amount: 5, currency: EUR, then: [refund]}\n"
        "  - {order_id: b, amount: 5, currency: EUR}\n",
    )
    with service(answer) as target:
        paid = run_paycli("pay", fixture, "--target", target)
    assert paid.returncode in (1, 5)
    assert f"{fixture}:2: refund: " in paid.stderr
    assert "RefundPayment" in paid.stderr
    assert "2 payments: 2 paid. 1 follow-up: 1 " in paid.stderr


class _Holding(payments_pb2_grpc.PaymentsServicer):
    """Authorizes at once, and never answers a capture."""

    def __init__(self) -> None:
        self.arrived = threading.Event()

    def CreatePayment(self, request: Any, context: Any) -> Any:  # noqa: N802 - the contract's
        return pb.Payment(name="payments/p1", state=pb.PAYMENT_STATE_AUTHORIZED)

    def CapturePayment(self, request: Any, context: Any) -> Any:  # noqa: N802 - the contract's
        self.arrived.set()
        never(request, context)


def test_an_interrupted_capture_is_named_with_the_command_that_tells(tmp_path: Path) -> None:
    fixture = write(
        tmp_path,
        "payments: [{order_id: o, amount: 5, currency: EUR, capture_method: MANUAL,"
        " then: [capture: 3, void]}]",
    )
    holding = _Holding()
    with (
        serving(payments_pb2_grpc.add_PaymentsServicer_to_server, holding) as target,
        subprocess.Popen(
            [sys.executable, "-m", "paycli", "pay", fixture, "--target", target],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as paying,
    ):  # fmt: skip
        assert holding.arrived.wait(20)
        paying.send_signal(signal.SIGINT)
        shown, said = paying.communicate(timeout=20)
    assert paying.returncode == 5
    assert shown.splitlines()[1] == "  then capture 3.00: unknown"
    error, summary = said.splitlines()
    assert "capture: Interrupted before an answer to the capture came; it may have" in error
    assert "To learn the outcome: paycli payments get p1 --target " in error
    again = "To send the same again: paycli payments capture p1 --amount 3.00 --idempotency-key"
    assert again in error
    assert summary.endswith("1 paid. 2 follow-ups: 1 unknown, 1 not done.")


def test_only_what_is_chosen_is_sent_with_what_is_set(server: Server, tmp_path: Path) -> None:
    fixture = write(tmp_path, SHOP)
    words = ("pay", fixture, "--target", server.target, "--json")
    chosen = run_paycli(
        *words, "--only", "gone", "--only", "dinner",
        "--set", "payments.dinner.amount=66", "--set", "defaults.user_id=#bob",
        "--set", "payments.3.then=[capture: 2.5]",
    )  # fmt: skip
    assert chosen.returncode == 0, chosen.stderr
    assert [(each["order_id"], each["amount"], each["user_id"]) for each in lines(chosen)] == [
        ("dinner", "66.00", "#bob"), ("gone", "7.00", "#bob"),
    ]  # fmt: skip
    assert lines(chosen)[1]["follow_ups"][0]["amount"] == "2.50"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "payments.diner.amount=3"), "called 'diner'; did you mean 'dinner'?"),
        (("--set", "payments.9.amount=3"), "there is no payment number 9."),
        (("--set", "payments.dinner.amont=3"), "no field 'amont'; did you mean 'amount'?"),
        (("--set", "amount=3"), "write payments.NAME.FIELD=VALUE"),
        (("--set", "payments.amount=3"), "write payments.NAME.FIELD=VALUE"),
        (("--set", "defaults.currency"), "write payments.NAME.FIELD=VALUE"),
        (("--set", "payments.dinner.name=x"), "no field 'name'"),
        (("--set", "payments.dinner.amount=x"), "--set payments.dinner.amount:1:1: 'x' is not"),
        (("--set", "payments.dinner.then="), "--set payments.dinner.then: one value is wanted"),
        (("--set", "payments.dinner.then=[x"), "--set payments.dinner.then:2:1: not YAML"),
        (("--set", "payments.*.repeat=2"), "is many; it has no name"),
        (("--only", "2"), "no payment is called '2'"),
        (("--only", "tip-payment_id-of-dinner"), "no payment is called 'tip-payment_id"),
        (("--only", "diner"), "no payment is called 'diner'; did you mean 'dinner'?"),
        (("--only", "tip"), ":9:5: it refers to payment 'dinner', which --only leaves out"),
        (("--only", ""), "no payment is called ''"),
    ],
)
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_choice_that_fits_nothing_is_refused(
    tmp_path: Path, words: tuple[str, ...], said: str, more: tuple[str, ...]
) -> None:
    refused = run_paycli("pay", write(tmp_path, SHOP), *words, *more, "--target", "localhost:1")
    assert refused.returncode == 2
    assert said in refused.stderr
