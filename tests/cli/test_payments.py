"""`paycli payments`: what is shown is what is there, and a change is made once."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import grpc
import pytest

from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.generated.paycli.payments.v1 import payments_pb2_grpc
from tests.conftest import Server, StartServer, run_paycli
from tests.wire import MANUAL, Client, client_of, creation


@pytest.fixture
def payment_id(server: Server) -> Iterator[str]:
    """An authorized payment over 10.00 EUR of ada's order A-1."""
    with grpc.insecure_channel(server.target) as channel:
        request = creation(order_id="A-1", capture_method=MANUAL)
        yield str(Client(channel).call("CreatePayment", request).name).removeprefix("payments/")


def ran(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    return run_paycli("payments", *words, "--target", server.target)


def told(server: Server, *words: str) -> list[dict[str, Any]]:
    """The documents that a command prints into a pipe."""
    run = ran(server, *words)
    assert (run.returncode, run.stderr) == (0, "")
    return [json.loads(line) for line in run.stdout.splitlines()]


def on_terminal(columns: int, *words: str) -> str:
    """What a command prints on a terminal that is so wide."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    line = [sys.executable, "-m", "paycli", "payments", *words]
    with subprocess.Popen(
        line, stdout=theirs, stderr=theirs, env={**environment, "TZ": "Asia/Kolkata"}
    ):
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 65_536):
                shown += chunk
        except OSError:  # how Linux says that the other end is closed
            pass
        finally:
            os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def test_a_payment_is_shown_as_it_stands(server: Server, payment_id: str) -> None:
    (shown,) = told(server, "get", payment_id)
    assert shown["create_time"] == shown["update_time"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", shown.pop("create_time"))
    assert shown.pop("update_time") < shown.pop("expire_time")
    assert shown == {
        "payment_id": payment_id,
        "state": "AUTHORIZED",
        "amount": "10.00",
        "currency": "EUR",
        "order_id": "A-1",
        "customer_id": "ada",
        "capture_method": "MANUAL",
        "authorized_amount": "10.00",
        "captured_amount": "0.00",
        "voided_amount": "0.00",
        "refunded_amount": "0.00",
        "decline_reason": None,
        "version": 1,
    }
    assert told(server, "get", f"payments/{payment_id}")[0]["payment_id"] == payment_id


def test_it_is_captured_refunded_and_booked(server: Server, payment_id: str) -> None:
    (captured,) = told(server, "capture", payment_id, "--amount", "6.5", "--final")
    assert (captured["state"], captured["captured_amount"]) == ("CAPTURED", "6.50")
    assert (captured["voided_amount"], captured["replayed"]) == ("3.50", False)
    words = ("refund", payment_id, "--amount", "1.25", "--reason", "cold", "--idempotency-key", "k")
    (refunded,) = told(server, *words)
    assert (refunded["amount"], refunded["reason"], refunded["replayed"]) == ("1.25", "cold", False)
    assert told(server, *words) == [{**refunded, "replayed": True}]
    assert refunded["refund_id"].startswith(f"{payment_id}/refunds/")
    (listed,) = told(server, "refunds", payment_id)
    assert {**listed, "replayed": False} == refunded
    assert told(server, "balance") == [{"account": "merchant", "amount": "5.25", "currency": "EUR"}]
    booked = told(server, "postings", "--account", "merchant")
    assert [each["amount"] for each in booked] == ["6.50", "-1.25"]
    legs = told(server, "postings", payment_id)
    assert sum(float(each["amount"]) for each in legs) == 0
    assert {each["payment_id"] for each in legs} == {payment_id}


def test_a_payment_is_found_by_its_key(server: Server) -> None:
    for key in ("k1", "k2"):
        words = ("--amount", "1", "--idempotency-key", key, "--target", server.target)
        assert run_paycli("pay", *words).returncode == 0
    (first,) = told(server, "list", "--request-id", "k1")
    (second,) = told(server, "list", "--idempotency-key", "k2")
    assert [second, first] == told(server, "list")
    assert told(server, "list", "--request-id", "k3") == []


def test_all_is_given_back(server: Server, payment_id: str) -> None:
    (voided,) = told(server, "void", payment_id)
    assert (voided["state"], voided["voided_amount"]) == ("VOIDED", "10.00")
    again = ran(server, "void", payment_id)
    assert (again.returncode, again.stdout) == (1, "")
    assert "is VOIDED; it cannot void" in again.stderr
    error = json.loads(ran(server, "void", payment_id, "--json").stderr)["error"]
    assert error["retry"] == "no"
    assert shlex.split(error["next"]) == [
        *("paycli", "payments", "get", payment_id, "--target", server.target)
    ]


def test_lists_are_whole_however_many_pages_they_have(server: Server, tmp_path: Any) -> None:
    fixture = tmp_path / "many.yaml"
    fixture.write_text(
        "payments:\n"
        '- {order_id: "o-${n}", amount: 1, currency: EUR, user_id: bob, repeat: 1100}\n'
        "- {order_id: d, amount: 2, currency: EUR, user_id: sim_decline_expired_card, expect: FAILED}\n"
    )
    assert run_paycli("pay", fixture, "--target", server.target).returncode == 0
    shown = told(server, "list")
    assert [each["order_id"] for each in shown] == ["d", *(f"o-{n}" for n in range(1100, 0, -1))]
    assert told(server, "list", "--limit", "2") == shown[:2]
    assert told(server, "list", "--state", "declined") == shown[:1]
    assert shown[0]["decline_reason"] == "EXPIRED_CARD"
    assert told(server, "list", "--user-id", "bob", "--order-id", "o-7")[0]["order_id"] == "o-7"
    assert told(server, "list", "--since", shown[5]["create_time"]) == shown[:6]
    assert told(server, "list", "--until", shown[1098]["create_time"]) == shown[1099:]
    assert told(server, "list", "--since", "1h", "--until", "30m") == []
    with subprocess.Popen(
        [sys.executable, "-m", "paycli", "payments", "list", "--target", server.target],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as listing:
        assert listing.stdout is not None
        listing.stdout.readline()
        listing.stdout.close()
        assert listing.stderr is not None
        assert listing.stderr.read() == b""


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("get", "nope"), 1, "No payment has the id 'nope'."),
        (("get", ""), 2, "PAYMENT is empty; give it a value."),
        (("list", "--since", "yesterday"), 2, "'yesterday' is no time; write one such as"),
        (("list", "--since", "9999999d"), 2, "is no time"),
        (("list", "--since", "999999w"), 2, "is no time"),
        (
            ("list", "--since", "1h", "--until", "2h"),
            2,
            "No time lies between --since 1h and --until",
        ),
        (("list", "--until", "0001-01-01T00:00:00Z"), 0, ""),
        (("list", "--state", "lost"), 2, "'lost' is not one of"),
        (("balance", "x"), 2, "'x' is not an account"),
        (("postings",), 2, "either a payment or an --account"),
        (("refund", "nope", "--amount", "1"), 1, "No payment has the id 'nope'."),
    ],
)
def test_a_mistake_is_told(server: Server, words: tuple[str, ...], code: int, said: str) -> None:
    run = ran(server, *words)
    assert (run.returncode, run.stdout) == (code, "")
    assert said in run.stderr


def test_an_amount_that_is_not_the_currencys_is_refused(server: Server, payment_id: str) -> None:
    run = ran(server, "capture", payment_id, "--amount", "1.005")
    assert (run.returncode, run.stdout) == (2, "")
    assert "the nearest is 1.00" in run.stderr
    assert told(server, "get", payment_id)[0]["state"] == "AUTHORIZED"


def test_a_terminal_gets_a_table_that_fits_with_times_of_here(
    server: Server, payment_id: str
) -> None:
    (record,) = told(server, "get", payment_id)
    wide = on_terminal(120, "list", "--target", server.target).splitlines()
    assert wide[0].split() == [
        *("PAYMENT", "STATE", "AMOUNT", "CUR", "CREATED", "ORDER", "CUSTOMER")
    ]
    assert wide[1].split()[:4] == [payment_id, "AUTHORIZED", "10.00", "EUR"]
    assert wide[1].split()[-2:] == ["A-1", "ada"]
    minute = int(record["create_time"][14:16])
    assert int(wide[1].split()[5][3:5]) == (minute + 30) % 60  # UTC+05:30
    assert wide[2:] == []
    narrow = on_terminal(60, "list", "--target", server.target).splitlines()
    assert narrow[0].split() == ["PAYMENT", "STATE", "AMOUNT"]
    assert narrow[2] == (
        "This terminal is too narrow for CUR, CREATED, ORDER, CUSTOMER; --json has all."
    )
    none = on_terminal(80, "list", "--order-id", "x", "--target", server.target)
    assert none == "No payments.\n"
    captured = on_terminal(80, "capture", payment_id, "--target", server.target)
    assert captured == f"{payment_id} is CAPTURED: 10.00 EUR captured, 0.00 given back.\n"


class _Silent(payments_pb2_grpc.PaymentsServicer):
    """Answers no change, and says that one came."""

    def __init__(self) -> None:
        self.arrived = Event()
        self.over = Event()

    def RefundPayment(self, request: pb.RefundPaymentRequest, context: Any) -> pb.Refund:  # noqa: N802 - the contract's name
        self.arrived.set()
        self.over.wait(30)
        context.abort(grpc.StatusCode.ABORTED, "over")
        raise AssertionError


@contextmanager
def refunding(*options: str) -> Iterator[tuple[subprocess.Popen[str], str, _Silent]]:
    """A refund that has reached a service which does not answer."""
    servicer = _Silent()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    payments_pb2_grpc.add_PaymentsServicer_to_server(servicer, server)
    target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    line = [sys.executable, "-m", "paycli", "payments", "refund", "p", "--target", target]
    with subprocess.Popen(
        [*line, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert servicer.arrived.wait(20)
            yield process, target, servicer
        finally:
            servicer.over.set()
            server.stop(None)


@pytest.mark.parametrize("how", ["a signal", "a deadline", "an error"])
def test_what_nobody_heard_of_is_unknown_and_named(how: str) -> None:
    options = ("--timeout", "1") if how == "a deadline" else ()
    with refunding("--reason", "it's cold", *options) as (process, target, servicer):
        if how == "a signal":
            process.send_signal(signal.SIGINT)
        elif how == "an error":
            servicer.over.set()
        shown, said = process.communicate(timeout=20)
    assert (process.returncode, shown) == (5, "")
    assert "may have been carried out" in said
    words = shlex.split(said.partition("To learn the outcome: ")[2])
    key = words[words.index("--idempotency-key") + 1]
    assert words == [
        *("paycli", "payments", "refund", "p", "--reason", "it's cold"),
        *("--idempotency-key", key, "--target", target),
    ]


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (("capture", "--amount", "4"), "captured_amount"),
        (("void",), "voided_amount"),
        (("refund", "--amount", "4"), "refunded_amount"),
    ],
)
def test_a_change_is_sent_again_until_it_is_answered_and_made_once(
    start_server: StartServer, tmp_path: Path, change: tuple[str, ...], shown: str
) -> None:
    """Its first answer is lost on the way, the second try is not taken, the third tells of the first."""
    what, *amount = change
    method = f"{what.title()}Payment"
    faults = tmp_path / "chaos.yaml"
    faults.write_text(
        "faults:\n"
        f"- {{do: drop, method: {method}, times: 1}}\n"
        f"- {{do: resource_exhausted, method: {method}, times: 1, for: 10ms}}\n"
    )
    server = start_server("--chaos", str(faults))
    with client_of(server.target) as client:
        held = client.authorize("10.00", customer_id="ada", order_id="A-1").name
        if what == "refund":
            client.capture(held, "10.00")
    (made,) = told(server, what, held, *amount, "--retry", "30")
    assert made["replayed"]
    (payment,) = told(server, "get", held)
    assert payment[shown] == ("10.00" if what == "void" else "4.00")


def test_a_change_that_is_sent_again_in_vain_is_unknown(
    start_server: StartServer, tmp_path: Path
) -> None:
    """Refused at last, it may have been made at first."""
    faults = tmp_path / "chaos.yaml"
    faults.write_text(
        "faults:\n"
        "- {do: drop, method: VoidPayment, times: 1}\n"
        "- {do: resource_exhausted, method: VoidPayment, for: 2s}\n"
    )
    server = start_server("--chaos", str(faults))
    with client_of(server.target) as client:
        held = client.authorize("10.00", customer_id="ada", order_id="A-1").name
    run = ran(server, "void", held, "--retry", "1", "--idempotency-key", "k-1")
    assert (run.returncode, run.stdout) == (5, "")
    assert "--idempotency-key k-1" in run.stderr
