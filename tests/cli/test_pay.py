"""`paycli pay` as a user runs it: output, exit codes, sentences."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from paycli.generated import payment_pb2, payment_pb2_grpc
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


def test_unreachable_exits_3_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    alone = run_paycli("pay", "--amount", "5", "--target", f"localhost:{port}", timeout_s=8)
    assert (alone.returncode, alone.stdout) == (3, "")
    assert alone.stderr.startswith("Error: No service answers at localhost:")
    assert alone.stderr.count("\n") == 1


class Moody(payment_pb2_grpc.PaymentServiceServicer):
    """A service that ends each call as its order says."""

    def ProcessPayment(  # noqa: N802 - the contract's name
        self, request: payment_pb2.PaymentRequest, context: grpc.ServicerContext
    ) -> payment_pb2.PaymentResponse:
        if request.order_id == "slow":
            threading.Event().wait(3)
        context.abort(grpc.StatusCode[request.order_id], "because of the order")
        raise AssertionError("abort returned")


@pytest.fixture(scope="module")
def moody() -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(max_workers=4))
    payment_pb2_grpc.add_PaymentServiceServicer_to_server(Moody(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


@pytest.mark.parametrize(
    ("order", "exit_code", "said"),
    [
        ("PERMISSION_DENIED", 4, "refused the call: because of the order"),
        ("UNAUTHENTICATED", 4, "refused the call: because of the order"),
        ("INVALID_ARGUMENT", 2, "because of the order"),
        ("UNAVAILABLE", 5, "same key"),
        ("INTERNAL", 1, "answered INTERNAL: because of the order"),
    ],
)
def test_each_kind_of_failure_has_its_exit_code(
    moody: str, order: str, exit_code: int, said: str
) -> None:
    command = ("pay", "--amount", "5", "--order-id", order, "--target", moody)
    failed = run_paycli(*command)
    assert (failed.returncode, failed.stdout) == (exit_code, "")
    assert said in failed.stderr
    assert failed.stderr.count("\n") == 1
    error = json.loads(run_paycli(*command, "--json").stderr)["error"]
    assert (error["status"], error["exit_code"]) == (order, exit_code)


def test_no_answer_in_time_is_an_unknown_outcome(moody: str) -> None:
    unknown = run_paycli(
        "pay", "--amount", "5", "--order-id", "slow", "--target", moody, "--timeout", "0.5"
    )
    assert unknown.returncode == 5
    assert "It may have been carried out" in unknown.stderr


def test_after_an_unknown_outcome_an_order_that_was_made_up_can_be_sent_again(
    server: Server,
) -> None:
    command = ("pay", "--amount", "5", "--user-id", "sim_slow_700", "--target", server.target)
    unknown = run_paycli(*command, "--timeout", "0.3", "--json")
    assert unknown.returncode == 5
    error = json.loads(unknown.stderr)["error"]
    order = error["metadata"]["order_id"]
    assert error["message"].endswith(f"It was order {order}.")
    retried = json.loads(run_paycli(*command, "--order-id", order, "--json").stdout)
    assert (retried["status"], retried["order_id"]) == ("SUCCESS", order)


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
        (("--amount", "5", "--currency", "XXX"), "not an ISO 4217 currency"),
        (("--amount", "5", "--currency", ""), "currency is missing"),
        (("--amount", "5", "--order-id", ""), "order_id is missing"),
        (("--amount", "5", "--user-id", "x" * 256), "256 characters"),
        (("--amount", "5", "--target", "localhost"), "HOST:PORT"),
        *(
            (("--amount", "5", "--target", wrong), "HOST:PORT")
            for wrong in ("localhost:99999", "http://localhost:1", "::1:1", "a b:1", "localhost:٣")
        ),
        (("--amount", "1" * 100), "100 characters; the most is 64"),
        (("--amount",), "requires an argument"),
        (("--amount", "5", "--bogus"), "No such option"),
        (("--amount", "5", "no.yaml"), "either --amount or fixture files"),
        ((), "either --amount or fixture files"),
        (("no.yaml",), "no.yaml: no such file"),
    ],
)
def test_wrong_usage_exits_2_with_one_sentence(arguments: tuple[str, ...], said: str) -> None:
    refused = run_paycli("pay", *arguments)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert said in refused.stderr
    assert refused.stderr.startswith("Error: ")
    assert refused.stderr.count("\n") == 1


def test_a_fixture_is_sent_in_order_and_its_wrong_entries_are_left_out(
    server: Server, tmp_path: Path
) -> None:
    fixture = tmp_path / "f.yaml"
    fixture.write_text(
        "defaults: {currency: EUR, user_id: ada}\n"
        "payments:\n"
        "  - {order_id: a, amount: 0.10}\n"
        "  - {order_id: b, amount: 0.001}\n"
        "  - {order_id: c, amount: 9999999999999.99}\n"
        "  - {order_id: a, amount: 0.11}\n"
        "  - {order_id: d, amount: 1, user_id: sim_decline_lost_card, expect: FAILED}\n",
        encoding="utf-8",
    )
    sent = run_paycli("pay", fixture, "--target", server.target, "--json")
    assert [json.loads(line)["order_id"] for line in sent.stdout.splitlines()] == ["a", "c", "d"]
    errors = [json.loads(line)["error"] for line in sent.stderr.splitlines()[:2]]
    assert "f.yaml:4: amount 0.001" in errors[0]["message"]
    assert "f.yaml:6: " in errors[1]["message"]
    assert errors[1]["reason"] == "IDEMPOTENCY_KEY_REUSED"
    assert sent.returncode == 2
    with contextlib.closing(sqlite3.connect(server.store)) as connection:
        rows = connection.execute("SELECT order_id, amount FROM payment ORDER BY created_us")
        assert list(rows) == [("a", 10), ("c", 999999999999999), ("d", 100)]


def test_the_shipped_fixtures_are_all_paid(server: Server) -> None:
    fixtures = sorted((Path(__file__).parents[2] / "configs/fixtures").glob("*.yaml"))
    paid = run_paycli("pay", *fixtures, "--target", server.target)
    assert paid.returncode == 0, paid.stderr
    assert "27 payments: 6 FAILED, 21 SUCCESS." in paid.stderr
    again = run_paycli("pay", *fixtures, "--target", server.target)
    assert again.stdout.count("(paid before)") == 27
    with contextlib.closing(sqlite3.connect(server.store)) as connection:
        assert connection.execute("SELECT count(*) FROM payment").fetchone() == (27,)


def test_a_key_that_metadata_cannot_carry_is_refused_before_it_is_sent(server: Server) -> None:
    for key in ("ü", "a\tb", "\x7f"):
        refused = run_paycli(
            "pay", "--amount", "5", "--idempotency-key", key, "--target", server.target
        )
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr.startswith("Error: idempotency_key must be printable ASCII")


def test_a_status_that_was_not_expected_exits_1(server: Server, tmp_path: Path) -> None:
    fixture = tmp_path / "f.yaml"
    for n, fields in enumerate(("user_id: sim_decline_lost_card", "expect: FAILED")):
        fixture.write_text(f"payments: [{{order_id: o{n}, amount: 5, currency: EUR, {fields}}}]")
        assert run_paycli("pay", fixture, "--target", server.target).returncode == 1


def test_tls_is_asked_for_where_it_is_wanted(server: Server) -> None:
    refused = run_paycli("pay", "--amount", "5", "--target", server.target, "--tls")
    assert (refused.returncode, refused.stdout) == (3, "")
    remote = run_paycli("pay", "--amount", "5", "--target", f"[::ffff:127.0.0.1]:{server.port}")
    assert remote.returncode == 3  # not loopback by its spelling: TLS
