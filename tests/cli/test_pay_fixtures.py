"""`paycli pay FIXTURE...`: checked whole, sent in order, every entry accounted for."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import grpc
import pytest

from paycli.generated import payment_pb2
from tests.client.odd_service import OURS, end, never, service
from tests.conftest import Server, run_paycli

MIXED = (
    "defaults: {currency: EUR, user_id: ada}\n"
    "payments:\n"
    "  - {order_id: a, amount: 0.10}\n"
    "  - {order_id: b, amount: 0.001}\n"
    "  - {order_id: c, amount: 9999999999999.99}\n"
    "  - {order_id: a, amount: 0.11}\n"
    "  - {order_id: d, amount: 1, user_id: sim_decline_lost_card, expect: FAILED}\n"
)


def write(folder: Path, text: str) -> Path:
    path = folder / "f.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def payments(folder: Path, *orders: str, more: str = "") -> Path:
    lines = (f"  - {{order_id: {each}, amount: 5, currency: EUR{more}}}\n" for each in orders)
    return write(folder, "payments:\n" + "".join(lines))


def stored(server: Server) -> list[tuple[str, int]]:
    with contextlib.closing(sqlite3.connect(server.store)) as connection:
        return list(connection.execute("SELECT order_id, amount FROM payment ORDER BY created_us"))


def lines(run: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_nothing_is_sent_while_an_entry_is_wrong(server: Server, tmp_path: Path) -> None:
    fixture = write(tmp_path, MIXED)
    refused = run_paycli("pay", fixture, "--target", server.target)
    assert (refused.returncode, refused.stdout) == (2, "")
    first, line, mark, second, *_, summary = refused.stderr.splitlines()
    assert first.startswith(f"Error: {fixture}:4:27: amount 0.001")
    assert line == "    4 |   - {order_id: b, amount: 0.001}"
    assert mark.index("^") == line.index("0.001")
    assert second.startswith(f"Error: {fixture}:6:5: order a stands in line 3 already")
    assert summary == "5 payments: 5 not sent (--keep-going sends those that are right)."
    assert stored(server) == []


def test_keep_going_leaves_out_what_is_wrong(server: Server, tmp_path: Path) -> None:
    sent = run_paycli(
        "pay", write(tmp_path, MIXED), "--keep-going", "--target", server.target, "--json"
    )
    assert sent.returncode == 2
    assert [(each["line"], each["outcome"]) for each in lines(sent)] == [
        (3, "paid"),
        (4, "not sent"),
        (5, "paid"),
        (6, "not sent"),
        (7, "declined"),
    ]
    assert lines(sent)[1]["error"]["reason"] == "INVALID_INPUT"
    assert sent.stderr == "5 payments: 2 paid, 1 declined, 2 not sent.\n"
    assert stored(server) == [("a", 10), ("c", 999999999999999), ("d", 100)]


def test_one_mistake_in_the_defaults_is_one_line(server: Server, tmp_path: Path) -> None:
    text = "defaults: {currency: XXX}\npayments:\n" + "".join(
        f"  - {{order_id: o{n}, amount: 5}}\n" for n in range(100)
    )
    refused = run_paycli("pay", write(tmp_path, text), "--target", server.target)
    assert refused.returncode == 2
    mistake, _line, _mark, summary = refused.stderr.splitlines()
    assert "f.yaml:1:22: 'XXX' is not an ISO 4217 currency" in mistake
    assert summary.startswith("100 payments: 100 not sent")


def test_the_shipped_fixtures_are_all_paid(server: Server) -> None:
    fixtures = sorted((Path(__file__).parents[2] / "configs/fixtures").glob("*.yaml"))
    paid = run_paycli("pay", *fixtures, "--target", server.target)
    assert (paid.returncode, paid.stderr) == (0, "27 payments: 21 paid, 6 declined.\n")
    again = run_paycli("pay", *fixtures, "--target", server.target)
    assert again.stderr == "27 payments: 21 paid before, 6 declined.\n"
    assert again.stdout.count("(paid before)") == 21
    assert len(stored(server)) == 27


@pytest.mark.parametrize(
    ("fields", "expected", "got"),
    [
        ("user_id: sim_decline_lost_card", "SUCCESS", "FAILED (LOST_CARD)"),
        ("expect: FAILED", "FAILED", "SUCCESS"),
    ],
)
def test_a_status_that_was_not_expected_is_named(
    server: Server, tmp_path: Path, fields: str, expected: str, got: str
) -> None:
    fixture = payments(tmp_path, "a", more=f", {fields}")
    unmet = run_paycli("pay", fixture, "--target", server.target)
    assert unmet.returncode == 1
    assert unmet.stderr.splitlines()[0] == f"Error: {fixture}:2: expected {expected}, got {got}."
    (line,) = lines(run_paycli("pay", fixture, "--target", server.target, "--json"))
    told = line["error"]["metadata"]
    assert (told["expected"], told["got"]) == (expected, got.split()[0])
    assert (line["file"], line["line"], line["status"]) == (str(fixture), 2, got.split()[0])


def test_one_payment_is_not_called_payments(server: Server, tmp_path: Path) -> None:
    paid = run_paycli("pay", payments(tmp_path, "a"), "--target", server.target)
    assert paid.stderr == "1 payment: 1 paid.\n"


def _as_ordered(request: payment_pb2.PaymentRequest, context: grpc.ServicerContext) -> Any:
    """An answer to a payment whose order says how it ends: status, reason of ours."""
    if request.order_id == "hang":
        never(request, context)
    code, _, reason = request.order_id.partition("-")
    if code != "ok":
        end(context, grpc.StatusCode[code], "because", domain=reason and OURS, reason=reason)
    return payment_pb2.PaymentResponse(payment_id=request.order_id, status="SUCCESS")


@pytest.mark.parametrize(
    ("orders", "exit_code", "summary"),
    [
        # What is said of this payment is not said of the next.
        (("UNAVAILABLE-PROCESSOR_UNAVAILABLE", "ok-1"), 1, "2 payments: 1 paid, 1 failed."),
        (("RESOURCE_EXHAUSTED-OVERLOADED", "ok-1"), 1, "2 payments: 1 paid, 1 failed."),
        (("INTERNAL-INTERNAL", "ok-1"), 5, "2 payments: 1 paid, 1 unknown."),
        (("ok-1", "ALREADY_EXISTS-IDEMPOTENCY_KEY_REUSED"), 1, "2 payments: 1 paid, 1 failed."),
        # What is said of the service is.
        (
            ("UNAVAILABLE-STORE_UNAVAILABLE", "ok-1", "ok-2"),
            3,
            "3 payments: 1 failed, 2 not sent (the service takes no payments now).",
        ),
        (
            ("ok-1", "UNAVAILABLE-DRAINING", "ok-2"),
            1,
            "3 payments: 1 paid, 1 failed, 1 not sent (the service takes no payments now).",
        ),
        (
            ("DEADLINE_EXCEEDED-STORE_OUTCOME_UNKNOWN", "ok-1"),
            5,
            "2 payments: 1 unknown, 1 not sent (the service lost its store).",
        ),
        (
            ("UNAUTHENTICATED-NO_TOKEN", "ok-1"),
            4,
            "2 payments: 1 failed, 1 not sent (the service refuses the caller).",
        ),
        (
            ("UNIMPLEMENTED-", "ok-1"),
            5,
            "2 payments: 1 unknown, 1 not sent (the service does not offer payments).",
        ),
    ],
)
def test_the_exit_code_is_the_worst_that_is_true(
    tmp_path: Path, orders: tuple[str, ...], exit_code: int, summary: str
) -> None:
    with service(_as_ordered) as target:
        sent = run_paycli("pay", payments(tmp_path, *orders), "--target", target)
        again = run_paycli("pay", payments(tmp_path, *orders), "--target", target, "--json")
    assert (sent.returncode, sent.stderr.splitlines()[-1]) == (exit_code, summary)
    assert sent.stderr.count("\n") == 2  # one error, however many were not sent
    assert [each["order_id"] for each in lines(again)] == list(orders)
    assert (again.returncode, again.stderr) == (exit_code, f"{summary}\n")


def test_a_store_that_is_gone_ends_the_run(server: Server, tmp_path: Path) -> None:
    for each in tmp_path.glob("store.db*"):
        each.unlink()
    fixture = write(
        tmp_path, "payments: [{order_id: 'o${n}', amount: 5, currency: EUR, repeat: 20000}]"
    )
    ended = run_paycli("pay", fixture, "--target", server.target)
    assert ended.returncode in (3, 5)
    assert ended.stderr.count("\n") == 2
    assert "20,000 payments: 1 " in ended.stderr
    assert " 19,999 not sent (the service " in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("as_json", [False, True])
def test_an_interrupted_run_names_what_was_in_flight(
    tmp_path: Path, number: int, as_json: bool
) -> None:
    fixture = payments(tmp_path, "ok-1", "hang", "ok-2", "ok-3")
    wanted = ("--json",) if as_json else ()
    arrived = threading.Event()

    def answer(request: payment_pb2.PaymentRequest, context: grpc.ServicerContext) -> Any:
        if request.order_id == "hang":
            arrived.set()
        return _as_ordered(request, context)

    with (
        service(answer) as target,
        subprocess.Popen(
            [sys.executable, "-m", "paycli", "pay", fixture, "--target", target, *wanted],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as paying,
    ):
        assert paying.stdout is not None
        first = paying.stdout.readline()
        assert "ok-1" in first
        assert arrived.wait(20)
        paying.send_signal(number)
        rest, said = paying.communicate(timeout=20)
    assert paying.returncode == 5
    summary = "4 payments: 1 paid, 1 unknown, 2 not sent (interrupted before an answer was shown)."
    assert said.splitlines()[-1] == summary
    where = f"{fixture}:3: Interrupted before an answer came; it may have been paid."
    if as_json:
        outcomes = [json.loads(line) for line in rest.splitlines()]
        assert [each["outcome"] for each in outcomes] == ["unknown", "not sent", "not sent"]
        assert outcomes[0]["error"]["message"] == f"{where} It was order hang."
        return
    again = f"paycli pay --amount 5.00 --currency EUR --order-id hang --target {target}"
    settle = f"paycli pay settle --target {target} hang"
    assert said.splitlines()[0] == (
        f"Error: {where} It was order hang. To learn the outcome: {settle} "
        f"To send the same again: {again}"
    )


def test_a_result_that_cannot_be_written_is_named(server: Server, tmp_path: Path) -> None:
    fixture = payments(tmp_path, "a", "b", "c")
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        paid = subprocess.run(
            [sys.executable, "-m", "paycli", "pay", fixture, "--target", server.target],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert paid.returncode == 5
    first, summary = paid.stderr.splitlines()
    assert first.startswith(
        f"Error: {fixture}:2: Cannot write the result: No space left on device; "
        "the answer was SUCCESS, pay_"
    )
    assert "It was order a. To learn the outcome: paycli pay settle --target " in first
    assert summary == (
        "3 payments: 1 paid, 2 not sent (cannot write the result: No space left on device)."
    )
    assert stored(server) == [("a", 500)]


def test_a_reader_that_has_enough_ends_it(server: Server, tmp_path: Path) -> None:
    fixture = write(
        tmp_path, "payments: [{order_id: '${n}', amount: 5, currency: EUR, repeat: 5000}]"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "paycli", "pay", str(fixture), "--target", server.target],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as paying:
        assert paying.stdout is not None
        assert paying.stderr is not None
        assert paying.stdout.readline().startswith("SUCCESS")
        paying.stdout.close()
        assert paying.wait(20) == 5
        named, summary = paying.stderr.read().splitlines()
    assert ": Cannot write the result: nobody reads it any more; the answer was SUCCESS" in named
    assert summary.startswith("5,000 payments: ")
    assert len(stored(server)) < 5000
