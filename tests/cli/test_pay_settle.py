"""`paycli pay settle`: it tells what is on record, and never more than came back."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import grpc
import pytest

from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.generated.paycli.payments.v1 import payments_pb2_grpc
from tests.client import odd_service
from tests.conftest import Server, StartServer, run_paycli
from tests.wire import MANUAL, client_of

HEADER = "order_id,amount,currency,user_id,idempotency_key\n"
DECLINED = "sim_decline_expired_card"


def ran(
    target: str, *words: str | Path, command: str = "settle", **options: Any
) -> subprocess.CompletedProcess[str]:
    return run_paycli("pay", *command.split(), *words, "--target", target, **options)


def told(
    target: str, *words: str | Path, code: int, **options: Any
) -> list[tuple[str | None, str, int]]:
    """What was asked for, what became of it, and how many payments were shown."""
    run = ran(target, *words, "--json", **options)
    assert run.returncode == code, run.stderr
    documents = map(json.loads, run.stdout.splitlines())
    return [(each["asked"], each["outcome"], len(each["payments"])) for each in documents]


@pytest.fixture
def order(server: Server) -> str:
    """The target of a service with one order of four payments, each with a key of another kind."""
    with client_of(server.target) as client:
        client.create("5.00", order_id="o", request_id="k", customer_id="")
        client.create("6.00", order_id="o", request_id="", customer_id="ada")
        client.create("7.00", order_id="o", request_id="no", customer_id=DECLINED)
        held = client.create(order_id="o", request_id="held", capture_method=MANUAL)
        client.void(held.name)
    return server.target


def test_a_key_is_one_payment_and_an_order_all_of_its(order: str) -> None:
    assert told(order, "k", code=0) == [("k", "paid", 1)]
    assert told(order, "no", code=1) == [("no", "declined", 1)]
    assert told(order, "held", code=1) == [("held", "given back", 1)]
    assert told(order, "o", code=0) == [("o", "paid", 4)]
    run = ran(order, "o")
    assert [line.split()[0] for line in run.stdout.splitlines()] == [
        *("given", "declined", "paid", "paid")
    ]
    assert "7.00 EUR order o (EXPIRED_CARD)" in run.stdout
    run = ran(order, "k", "no", "nobody")
    assert run.returncode == 5
    assert "3 payments: 1 paid, 1 declined, 1 not on record.\n" in run.stderr
    assert "nobody is not on record now; that does not prove" in run.stderr
    assert "Sent again as it was, with the same key, it is paid once." in run.stderr


def test_a_word_that_is_a_key_and_an_order_is_told_as_both(order: str) -> None:
    with client_of(order) as client:
        client.create(order_id="both", request_id="both")
        client.create(order_id="k", request_id="x", customer_id=DECLINED)
    assert told(order, "both", code=0) == [("both", "paid", 1)]
    assert "order both, key both\n" in ran(order, "both").stdout
    run = ran(order, "k")
    assert run.returncode == 1
    assert [line.split()[-2:] for line in run.stdout.splitlines()] == [
        ["k", "(EXPIRED_CARD)"],
        ["key", "k"],
    ]


def test_a_row_is_its_own_payment_and_no_other_of_its_order(order: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(
        HEADER + f"o,5,EUR,,k\no,6.00,EUR,ada,\no,7,EUR,{DECLINED},no\n"
        "o,5,EUR,,\n"  # of this order and nobody, but with a key of its own
        "o,5,USD,,k\no,5.01,EUR,,k\no,5,EUR,eve,k\nx,5,EUR,,k\no,x,EUR,,\n"
    )
    outcomes = [outcome for _, outcome, _ in told(order, path, code=5)]
    assert outcomes == [
        *("paid", "paid", "declined", "not on record"),
        *["different"] * 4,
        "rejected",
    ]
    run = ran(order, path)
    assert (
        f"Error: {path}:6: order o, key k is another payment: its amount is '5.00 EUR'"
        in run.stderr
    )
    assert "its amount is '5.00 EUR' and not '5.01 EUR'." in run.stderr
    assert "its user is '' and not 'eve'." in run.stderr
    assert "its order is 'o' and not 'x'." in run.stderr
    summary = "9 payments: 2 paid, 1 declined, 4 different, 1 rejected, 1 not on record."
    assert summary in run.stderr.splitlines()


def test_what_stays_unknown_is_kept_paid_and_settled(server: Server, tmp_path: Path) -> None:
    rows = [{"order_id": f"ö{n}", "amount": n + 1, "currency": "JPY"} for n in range(500)]
    path, unknown = tmp_path / "rows.ndjson.gz", tmp_path / "unknown.csv"
    path.write_bytes(gzip.compress("".join(f"{json.dumps(each)}\n" for each in rows).encode()))
    some = tmp_path / "some.ndjson"
    some.write_text("".join(f"{json.dumps(each)}\n" for each in rows[::5]))
    assert ran(server.target, some, command="--from").returncode == 0
    found = told(server.target, path, "--unknown", unknown, code=5)
    assert [(name, outcome) for name, outcome, _ in found] == [
        (f"order ö{n}", "not on record" if n % 5 else "paid") for n in range(500)
    ]
    run = ran(server.target, unknown)
    assert f"{unknown}: 400 rows not on record now" in run.stderr
    assert f"paycli pay --from {unknown} --target {server.target}\n" in run.stderr
    assert ran(server.target, unknown, command="--from").returncode == 0
    assert ran(server.target, path).returncode == 0
    refused = ran(server.target, unknown, "--unknown", unknown)
    assert (refused.returncode, refused.stdout) == (2, "")


def test_columns_of_other_names_are_read_as_pay_reads_them(order: str, tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    path.write_text("order_id;betrag;user_id\no;6,00;ada\no;6,00;eve\n")
    words = ("--map", "amount=betrag", "--decimal", ",", "--currency", "EUR")
    assert [found[1] for found in told(order, path, *words, code=5)] == ["paid", "not on record"]
    again = "--map amount=betrag --currency EUR --decimal , --target"
    assert f"paycli pay --from {path} {again}" in ran(order, path, *words).stderr
    without = ran(order, path)
    assert (without.returncode, without.stdout) == (2, "")
    assert "no column is called amount" in without.stderr


class _Records(payments_pb2_grpc.PaymentsServicer):
    def __init__(self, answer: Callable[[Any], pb.ListPaymentsResponse]) -> None:
        self._answer = answer

    def ListPayments(  # noqa: N802 - the contract's name
        self, request: pb.ListPaymentsRequest, context: grpc.ServicerContext
    ) -> pb.ListPaymentsResponse:
        return self._answer(context)


def records(answer: Callable[[Any], pb.ListPaymentsResponse]) -> AbstractContextManager[str]:
    """A service that answers every ListPayments so; its address."""
    add = payments_pb2_grpc.add_PaymentsServicer_to_server
    return odd_service.serving(add, _Records(answer))


def captured(count: int) -> pb.ListPaymentsResponse:
    payments = [
        pb.Payment(name=f"payments/p{n}", order_id="o", state="PAYMENT_STATE_CAPTURED")
        for n in range(count)
    ]
    return pb.ListPaymentsResponse(payments=payments)


@pytest.mark.parametrize("count", [1, 2])
def test_a_service_that_ignores_keys_is_not_believed(tmp_path: Path, count: int) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(HEADER + "o,5,EUR,,\n")
    with records(lambda _: captured(count)) as target:  # as one from before there were such filters
        for what in ("k", path):
            run = ran(target, what)
            assert (run.returncode, run.stdout) == (5, "")
            assert "The service finds no payments by their keys" in run.stderr
            assert "0 payments: none.\n" in run.stderr


def test_a_service_of_the_seed_contract_cannot_tell(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(HEADER + "o,5,EUR,,\n")
    with odd_service.service(odd_service.never) as target:
        for what in ("k", path):
            run = ran(target, what)
            assert (run.returncode, run.stdout) == (5, "")
            assert "the seed contract has no way to ask; what became of" in run.stderr


def test_a_state_that_is_not_known_proves_nothing() -> None:
    newer: Any = 99
    strange = pb.ListPaymentsResponse(payments=[pb.Payment(order_id="o", state=newer)])
    answers = iter([strange, pb.ListPaymentsResponse()])
    with records(lambda _: next(answers)) as target:
        assert told(target, "o", code=5) == [("o", "unknown", 1)]


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        ("UNAVAILABLE", 3, "who knows"),
        ("INTERNAL", 5, "INTERNAL: who knows; what became of the payments stays unknown."),
        ("NOT_FOUND", 5, "NOT_FOUND: who knows; what became of the payments stays unknown."),
        ("PERMISSION_DENIED", 4, "refused"),
    ],
)
def test_a_look_that_fails_is_not_a_payment_that_failed(status: str, code: int, said: str) -> None:
    with records(lambda call: call.abort(grpc.StatusCode[status], "who knows")) as target:
        run = ran(target, "o", "--retry", "0.2")
    assert (run.returncode, run.stdout) == (code, "")
    assert said in run.stderr


def test_who_does_not_answer_is_asked_again(start_server: StartServer, tmp_path: Path) -> None:
    faults = tmp_path / "chaos.yaml"
    faults.write_text("faults: [{do: unavailable, method: ListPayments, times: 3}]")
    server = start_server("--chaos", str(faults))
    assert ran(server.target, "--amount", "1", "--order-id", "o", command="").returncode == 0
    assert told(server.target, "o", code=0) == [("o", "paid", 1)]


def test_rows_of_a_slow_pipe_are_told_as_they_come(order: str, tmp_path: Path) -> None:
    line = [sys.executable, "-m", "paycli", "pay", "settle", "-", "--target", order]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as settling:
        assert settling.stdin is not None
        assert settling.stdout is not None
        for row in (f"{HEADER}o,5,EUR,,k\n", "o,6,EUR,ada,\n"):
            settling.stdin.write(row.encode())
            settling.stdin.flush()
            assert settling.stdout.readline().startswith(b"paid ")
        settling.stdin.close()
        assert settling.wait(20) == 0


def test_what_cannot_be_shown_is_not_told_by_the_exit_code(order: str) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        run = subprocess.run(
            [sys.executable, "-m", "paycli", "pay", "settle", "k", "--target", order],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert run.returncode == 5
    assert "What was found cannot be written" in run.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Missing argument 'WHAT...'. See 'paycli pay settle --help'."),
        (("",), "WHAT is empty"),
        ((" x",), "request_id begins or ends with a blank"),
        (("x", "--unknown", "no/where.csv"), "there is no folder no"),
        (("x", "--decimal", ";"), "--decimal is . or ,"),
    ],
)
def test_a_mistake_is_told(server: Server, words: tuple[str, ...], said: str) -> None:
    run = ran(server.target, *words)
    assert (run.returncode, run.stdout) == (2, "")
    assert said in run.stderr


def test_a_fixture_is_settled_whatever_follows_its_payments(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(
        "defaults: {currency: EUR}\npayments:\n"
        "- {order_id: a, amount: 5, then: [refund: 1]}\n"
        "- {order_id: h, amount: 5, capture_method: MANUAL, then: [void]}\n"
        "- {order_id: 'n-${uuid}', amount: 5}\n"
    )
    before = [(f"order {each}", "not on record", 0) for each in "ah"]
    assert told(server.target, path, code=5) == [*before, (None, "unknown", 0)]
    # Sent again it would be another payment.
    assert "paid once" not in ran(server.target, path).stderr
    assert run_paycli("pay", path, "--target", server.target).returncode == 0
    assert told(server.target, path, code=5) == [
        ("order a", "paid", 1),
        ("order h", "given back", 1),
        (None, "unknown", 0),
    ]
    kept = ran(server.target, path, "--unknown", tmp_path / "u.ndjson")
    assert (kept.returncode, (tmp_path / "u.ndjson").exists()) == (2, False)
    path.write_text("payments: [{order_id: b, amount: 5, currency: EUR, then: [refund]}]\n")
    assert f"each is paid once: paycli pay {path} --target" in ran(server.target, path).stderr
