"""`paycli pay` as a user runs it: output, exit codes, sentences."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from paycli.errors import OutcomeUnknown
from paycli.generated import payment_pb2
from tests.client.odd_service import end, never, service
from tests.conftest import Server, run_paycli


def test_one_payment_prints_the_seed_clients_three_lines(server: Server) -> None:
    paid = run_paycli("pay", "--amount", "99.99", "--order-id", "o1", "--target", server.target)
    lines = paid.stdout.splitlines()
    assert lines[0] == "Payment Service responded."
    assert lines[1].startswith("Response payment ID: pay_")
    assert lines[2] == "Response status: SUCCESS"
    assert (len(lines), paid.returncode, paid.stderr) == (3, 0, "")


def test_json_is_one_document_and_a_retry_says_so(server: Server) -> None:
    command = ("pay", "--amount", "0.10", "--order-id", "o1", "--target", server.target, "--json")
    first, second = (json.loads(run_paycli(*command).stdout) for _ in range(2))
    assert first["amount"] == "0.10"
    assert (first["replayed"], second["replayed"]) == (False, True)
    assert first["payment_id"] == second["payment_id"]


def test_a_decline_exits_1_with_its_reason(server: Server) -> None:
    declined = run_paycli(
        "pay", "--amount", "5", "--user-id", "sim_decline_expired_card", "--target", server.target
    )
    assert declined.returncode == 1
    assert declined.stdout.splitlines()[2] == "Response status: FAILED"
    assert declined.stderr.startswith("Declined: EXPIRED_CARD. Order ")
    assert declined.stderr.count("\n") == 1


def test_a_decline_that_is_asked_for_again_is_not_called_paid(server: Server) -> None:
    order = ("--order-id", "o", "--user-id", "sim_decline_expired_card")
    run_paycli("pay", "--amount", "5", *order, "--target", server.target)
    again = run_paycli("pay", "--amount", "5", *order, "--target", server.target)
    assert again.returncode == 1
    assert again.stderr == "Declined before: EXPIRED_CARD. Order o over 5.00 EUR was not paid.\n"


def test_a_payment_by_its_key_is_called_by_its_key(server: Server) -> None:
    command = ("pay", "--amount", "5", "--order-id", "", "--idempotency-key", "k")
    for said in ("", "Key k was paid before; nothing was paid again.\n"):
        paid = run_paycli(*command, "--target", server.target)
        assert (paid.returncode, paid.stderr) == (0, said)


def test_unreachable_exits_3_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    alone = run_paycli("pay", "--amount", "5", "--target", f"localhost:{port}", timeout_s=8)
    assert (alone.returncode, alone.stdout) == (3, "")
    assert alone.stderr.startswith("Error: No service answers at localhost:")
    assert alone.stderr.count("\n") == 1


def failed(*words: str) -> dict[str, Any]:
    """The error that a command prints as JSON."""
    error: dict[str, Any] = json.loads(run_paycli(*words, "--json").stderr)["error"]
    return error


def test_what_was_not_carried_out_may_be_sent_again_as_it_was(server: Server) -> None:
    server.stop()
    error = failed("pay", "--amount", "5", "--target", server.target)
    assert error["retry"] == "same-key"
    words = shlex.split(error["next"])
    assert words[:6] == ["paycli", "pay", "--amount", "5.00", "--currency", "EUR"]
    assert words[6] == "--order-id"
    assert words[7].startswith("order-")
    assert words[8:] == ["--target", server.target]


def test_a_conflict_names_the_payment_that_is_in_the_way(server: Server) -> None:
    pay = ("pay", "--order-id", "o", "--target", server.target, "--amount")
    run_paycli(*pay, "5")
    error = failed(*pay, "6")
    assert (error["reason"], error["retry"]) == ("IDEMPOTENCY_KEY_REUSED", "no")
    shown = run_paycli(*shlex.split(error["next"])[1:])
    assert json.loads(shown.stdout)["order_id"] == "o"


def test_of_most_mistakes_no_command_is_known(server: Server) -> None:
    error = failed("pay", "--amount", "0", "--target", server.target)
    assert (error["retry"], error["next"]) == ("no", None)


def test_after_an_unknown_outcome_an_order_that_was_made_up_can_be_sent_again(
    server: Server,
) -> None:
    command = ("pay", "--amount", "5", "--user-id", "sim_slow_700", "--target", server.target)
    unknown = run_paycli(*command, "--timeout", "0.3", "--json")
    assert unknown.returncode == 5
    error = json.loads(unknown.stderr)["error"]
    assert error["retry"] == "unknown"
    order = error["metadata"]["order_id"]
    assert error["message"].endswith(f"It was order {order}.")
    retried = json.loads(run_paycli(*shlex.split(error["again"])[1:], "--json").stdout)
    assert (retried["status"], retried["order_id"]) == ("SUCCESS", order)
    settled = run_paycli(*shlex.split(error["next"])[1:])
    assert (settled.returncode, settled.stderr) == (0, "")
    assert settled.stdout.startswith(f"paid          {retried['payment_id']} CAPTURED")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--amount", "nan"), "finite"),
        (("--amount", "inf"), "finite"),
        (("--amount", "-1"), "not positive"),
        (("--amount", "0"), "not positive"),
        (("--amount", "0.001"), "nearest is 0.01"),
        (("--amount", "1e300"), "digits with a point"),
        (("--amount", "12,50"), "such as 12.50"),
        (("--amount", "5", "--currency", "eur"), "write EUR"),
        (
            ("--amount", "5", "--currency", "from paycli.client.charges import chargeX"),
            "not an ISO 4217 currency",
        ),
        (("--amount", "5", "--currency", ""), "currency is missing"),
        (("--amount", "5", "--order-id", ""), "order_id is missing"),
        (("--amount", "5", "--user-id", "x" * 256), "256 characters"),
        (("--amount", "5", "--user-id", "ada "), "user_id begins or ends with a blank"),
        (("--amount", "5", "--order-id", "o\u200b"), "order_id holds U+200B, which nobody sees"),
        (("--amount", "5", "--order-id", "o\u202e"), "order_id holds U+202E, which nobody sees"),
        (("--amount", "5", "--idempotency-key", " k"), "idempotency_key begins or ends with a"),
        (("--amount", "5", "--target", "localhost"), "HOST:PORT"),
        *(
            (("--amount", "5", "--target", wrong), "HOST:PORT")
            for wrong in ("localhost:99999", "http://localhost:1", "::1:1", "a b:1", "localhost:٣")
        ),
        (("--amount", "1" * 100), "100 characters; the most is 64"),
        (("--amount",), "requires an argument"),
        (("--amount", "5", "--bogus"), "No such option"),
        (("--amount", "5", "no.yaml"), "Give one of --amount, fixtures and --from FILE"),
        (("no.yaml", "--currency", "EUR"), "--currency: write that into the fixture"),
        (("no.yaml", "--user-id", ""), "--user-id: write that into the fixture"),
        (
            ("no.yaml", "--order-id", "o", "--idempotency-key", "k"),
            "--order-id, --idempotency-key:",
        ),
        (("--amount", "5", "--keep-going"), "--keep-going: that is for fixtures"),
        ((), "Give one of --amount, fixtures and --from FILE"),
        (("no.yaml",), "no.yaml: no such file"),
    ],
)
def test_wrong_usage_exits_2_with_one_sentence(arguments: tuple[str, ...], said: str) -> None:
    refused = run_paycli("pay", *arguments)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert said in refused.stderr
    assert refused.stderr.startswith("Error: ")
    assert refused.stderr.count("\n") == 1


def test_an_unknown_outcome_says_everything_once(server: Server) -> None:
    order = ("--order-id", "o", "--user-id", "sim_lost_answer")
    unknown = run_paycli("pay", "--amount", "5", *order, "--target", server.target)
    assert unknown.returncode == 5
    assert unknown.stderr == (
        "Error: The processor's answer was lost; it may have been paid. It was order o. "
        f"To learn the outcome: paycli pay settle --target {server.target} o "
        "To send the same again: paycli pay --amount 5.00 --currency EUR --order-id o "
        f"--user-id sim_lost_answer --target {server.target}\n"
    )


@contextmanager
def paying_who_waits(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A payment that has reached its service, which does not answer; and the target."""
    arrived = threading.Event()

    def answer(request: payment_pb2.PaymentRequest, context: grpc.ServicerContext) -> None:
        arrived.set()
        never(request, context)

    with (
        service(answer) as target,
        subprocess.Popen(
            [sys.executable, "-m", "paycli", "pay", "--amount", "42", "--target", target, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as paying,
    ):
        try:
            assert arrived.wait(20)
            yield paying, target
        finally:
            paying.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_payment_names_the_order_that_was_made_up(number: int) -> None:
    with paying_who_waits("--idempotency-key", "it's", "--user-id", "ada") as (paying, target):
        paying.send_signal(number)
        shown, said = paying.communicate(timeout=20)
    assert (paying.returncode, shown) == (5, "")
    found = re.fullmatch(
        r"Error: Interrupted before an answer was shown; it may have been paid. "
        r"It was order (order-[0-9a-f-]{36}), key it's. To learn the outcome: (.*) "
        r"To send the same again: (.*)\n",
        said,
    )
    assert found
    assert shlex.split(found[2]) == ["paycli", "pay", "settle", "--target", target, "it's"]
    words = shlex.split(found[3])
    assert words[:4] == ["paycli", "pay", "--amount", "42.00"]
    assert words[6:] == [
        *("--order-id", found[1], "--user-id", "ada"),
        *("--idempotency-key", "it's", "--target", target),
    ]


def test_the_command_leads_where_the_payment_went() -> None:
    """Also when it was the default: PAYCLI_TARGET may lead elsewhere, where it would be paid anew."""
    from paycli.cli.options import DEFAULT_TARGET, DEFAULT_TIMEOUT_S
    from paycli.cli.pay_one import name_ways
    from paycli.cli.service import Service
    from paycli.client.access import Access
    from paycli.client.charges import charge

    order = charge(order_id="o", amount="5", currency="EUR", user_id="")
    service = Service(DEFAULT_TARGET, DEFAULT_TIMEOUT_S, Access(plaintext=False), 0.0)
    lost = OutcomeUnknown("lost")
    name_ways(lost, order, service)
    assert lost.again.endswith(f"--order-id o --target {DEFAULT_TARGET} --tls")


def test_an_interrupted_payment_as_json_has_the_command() -> None:
    with paying_who_waits("--json", "--order-id", "o") as (paying, target):
        paying.send_signal(signal.SIGINT)
        shown, said = paying.communicate(timeout=20)
    assert (paying.returncode, shown) == (5, "")
    error = json.loads(said)["error"]
    assert error["metadata"] == {"order_id": "o"}
    assert error["next"] == f"paycli pay settle --target {target} o"
    again = f"paycli pay --amount 42.00 --currency EUR --order-id o --target {target}"
    assert error["again"] == again


def test_somebody_in_a_hurry_is_told_too() -> None:
    with paying_who_waits("--order-id", "o") as (paying, _):
        for _ in range(20):
            paying.send_signal(signal.SIGINT)
            paying.send_signal(signal.SIGTERM)
        _, said = paying.communicate(timeout=20)
    assert paying.returncode == 5
    assert "It was order o." in said


def test_before_anything_is_sent_an_interrupt_is_just_that() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with subprocess.Popen(
            [sys.executable, "-m", "paycli", "pay", "--amount", "5", "--target", f"127.1:{port}"],
            stderr=subprocess.PIPE,
        ) as paying:
            connection, _ = silent.accept()
            paying.send_signal(signal.SIGTERM)
            _, said = paying.communicate(timeout=20)
            connection.close()
    assert (paying.returncode, said) == (130, b"")


@pytest.mark.parametrize(
    ("stdout", "why"),
    [
        ("full", "No space left on device"),
        ("closed", "nobody reads it any more"),
    ],
)
def test_an_answer_that_cannot_be_written_is_said(server: Server, stdout: str, why: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open("/dev/full" if stdout == "full" else writing, "w") as out:  # noqa: PTH123 - a device
        paid = subprocess.run(
            [sys.executable, "-m", "paycli", "pay", "--amount", "42", "--target", server.target],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert paid.returncode == 5
    found = re.fullmatch(
        rf"Error: Cannot write the result: {why}; the answer was SUCCESS, (pay_\w+). "
        r"It was order order-.*. To learn the outcome: .* "
        r"To send the same again: (.*)\n",
        paid.stderr,
    )
    assert found
    again = run_paycli(*shlex.split(found[2])[1:], "--json")
    assert json.loads(again.stdout)["payment_id"] == found[1]


def test_what_a_service_says_does_not_steer_the_terminal() -> None:
    nasty = "\x1b[2J\u202eevil\x9b\r\nResponse status: SUCCESS"

    def answer(request: payment_pb2.PaymentRequest, context: grpc.ServicerContext) -> Any:
        if request.order_id == "ends":
            end(context, grpc.StatusCode.ABORTED, nasty)
        context.set_trailing_metadata((("decline-reason", "A\x1b[31mB"),))
        return payment_pb2.PaymentResponse(payment_id=nasty, status="FAILED")

    with service(answer) as target:
        for order in ("ends", "declined"):
            for form in ((), ("--json",)):
                command = ("pay", "--amount", "5", "--order-id", order, "--target", target)
                run = run_paycli(*command, *form)
                shown = run.stdout + run.stderr
                assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown), shown
                assert "\nResponse status: SUCCESS" not in shown
                if form:
                    json.loads(run.stdout or run.stderr)


def test_a_key_that_metadata_cannot_carry_is_refused_before_it_is_sent(server: Server) -> None:
    for key in ("ü", "a\tb", "\x7f"):
        refused = run_paycli(
            "pay", "--amount", "5", "--idempotency-key", key, "--target", server.target
        )
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr.startswith("Error: idempotency_key must be printable ASCII")


def test_tls_is_asked_for_where_it_is_wanted(server: Server) -> None:
    refused = run_paycli("pay", "--amount", "5", "--target", server.target, "--tls")
    assert (refused.returncode, refused.stdout) == (3, "")
    remote = run_paycli("pay", "--amount", "5", "--target", f"0.0.0.0:{server.port}")
    assert remote.returncode == 3  # not loopback by its spelling: TLS


def test_a_rehearsal_needs_no_server_and_shows_what_would_be_sent(tmp_path: Path) -> None:
    words = (
        "pay",
        "--amount",
        "1234567890123.1",
        "--order-id",
        "it's",
        "--user-id",
        "ada",
        "--dry-run",
    )
    shown = json.loads(run_paycli(*words, "--json", "--idempotency-key", "k").stdout)
    assert shown["request"] == {
        "order_id": "it's", "amount": "1234567890123.10", "currency": "EUR", "user_id": "ada",
    }  # fmt: skip
    assert (shown["key"], shown["metadata"]) == ("k", {"idempotency-key": "k"})
    line = shlex.split(shown["grpcurl"])
    assert line[:5] == ["grpcurl", "-plaintext", "-H", "idempotency-key: k", "-d"]
    assert json.loads(line[5], parse_float=str) == shown["request"]
    assert line[6:] == ["localhost:50051", "payment.PaymentService/ProcessPayment"]
    secret = run_paycli(*words, "--target", "shop.example:443", "--token", "tell-nobody")
    assert secret.returncode == 0
    assert "tell-nobody" not in secret.stdout + secret.stderr
    assert "-plaintext" not in secret.stdout
    assert "and -H for authorization" in secret.stderr
    fixture = tmp_path / "f.yaml"
    fixture.write_text(
        "payments:\n"
        "- {order_id: 'o-${n}', amount: 5, currency: EUR, repeat: 2}\n"
        "- {order_id: wrong, amount: x, currency: EUR}\n"
    )
    run = run_paycli("pay", fixture, "--dry-run")
    assert run.returncode == 2
    assert [each for each in run.stdout.splitlines() if "key" in each] == [
        "5.00 EUR: key order o-1", "5.00 EUR: key order o-2",
    ]  # fmt: skip
    assert f"{fixture}:3:29: " in run.stderr
