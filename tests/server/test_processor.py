"""The processor's moods over the wire: slow, down, silent; and what a crash leaves open."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from paycli.generated import payment_pb2
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.server import simulator
from tests.conftest import Server, StartServer, run_paycli, servers_in
from tests.server.wire import (
    REPLAYED,
    Client,
    client_of,
    creation,
    refusal_in,
    refusal_of,
    refused,
)

PROCESSOR_TIMEOUT_S = 1.0
LOST = "PROCESSOR_OUTCOME_UNKNOWN"
DOWN = "PROCESSOR_UNAVAILABLE"
MISSPELT = "FIELD_INVALID"
APPROVED = "SUCCESS"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with servers_in(tmp_path_factory.mktemp("processor")) as start:
        yield start("--processor-timeout", f"{PROCESSOR_TIMEOUT_S:g}")


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with client_of(server.target) as opened:
        yield opened


def intents(store: Path) -> int:
    with contextlib.closing(sqlite3.connect(store)) as connection:
        return int(connection.execute("SELECT count(*) FROM intent").fetchone()[0])


def soon(true: Callable[[], bool], within_s: float = 20) -> None:
    """Wait until it is true."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# What comes of a magic customer at first, and of a retry after it.
MAGIC = [
    *((f"sim_decline_{reason.lower()}", reason, reason) for reason in simulator.DECLINE_REASONS),
    ("sim_slow_120", APPROVED, APPROVED),
    ("sim_slow_0", APPROVED, APPROVED),
    ("sim_unavailable_once", DOWN, APPROVED),
    ("sim_unavailable", DOWN, DOWN),
    ("sim_lost_answer", LOST, APPROVED),
    ("sim_hang", LOST, LOST),
    ("anything else", APPROVED, APPROVED),
    *((unknown, MISSPELT, MISSPELT) for unknown in ("sim_unknown", "sim_slow_x", "sim_decline_")),
    ("sim_slow_60001", MISSPELT, MISSPELT),
]


def test_the_table_of_the_simulator_is_the_one_tested_here() -> None:
    documented = {
        line.split()[0]
        for line in (simulator.__doc__ or "").splitlines()
        if line.startswith("sim_")
    }
    tested = {customer for customer, _, _ in MAGIC} | {"sim_slow_<milliseconds>", "sim_..."}
    assert documented <= tested


def through_seed(client: Client, order: str, customer: str) -> str:
    request = payment_pb2.PaymentRequest(order_id=order, amount=5, currency="EUR", user_id=customer)
    answer, trailer = client.with_trailer("ProcessPayment", request)
    return trailer.get("decline-reason") or str(answer.status)


def through_rich(client: Client, order: str, customer: str) -> str:
    paid = client.create("5.00", request_id="", order_id=order, customer_id=customer)
    declined = paid.state == pb.PAYMENT_STATE_DECLINED
    assert declined == bool(paid.decline_reason)
    return paid.decline_reason or APPROVED


def through_batch(client: Client, order: str, customer: str) -> str:
    request = creation("5.00", request_id="", order_id=order, customer_id=customer)
    (result,) = client.batch(request)
    if result.HasField("error"):
        return refusal_in(result.error).reason
    return result.payment.decline_reason or APPROVED


@pytest.mark.parametrize(("customer", "first", "then"), MAGIC, ids=[each[0] for each in MAGIC])
def test_each_magic_customer_through_every_door(
    client: Client, customer: str, first: str, then: str
) -> None:
    def outcome(door: Callable[[Client, str, str], str], order: str) -> str:
        try:
            return door(client, order, customer)
        except grpc.RpcError as error:
            return refusal_of(error).reason

    def come_through(door: Callable[[Client, str, str], str]) -> None:
        order, began = str(uuid.uuid4()), time.monotonic()
        assert outcome(door, order) == first
        if customer == "sim_slow_120":
            assert time.monotonic() - began >= 0.12
        assert outcome(door, order) == then
        found = client.call("ListPayments", {"order_id": order}).payments
        assert len(found) == (0 if then in (DOWN, LOST, MISSPELT) else 1)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(come_through, (through_seed, through_rich, through_batch)))


def test_a_slow_authorization_is_one_too(client: Client) -> None:
    held = client.authorize("5.00", customer_id="sim_slow_50")
    assert held.state == pb.PAYMENT_STATE_AUTHORIZED
    assert client.capture(held.name).state == pb.PAYMENT_STATE_CAPTURED


def test_a_lost_answer_is_found_by_the_server_itself(server: Server, client: Client) -> None:
    order = str(uuid.uuid4())
    with refused(LOST):
        client.create(order_id=order, customer_id="sim_lost_answer")

    def found() -> bool:
        return len(client.call("ListPayments", {"order_id": order}).payments) == 1

    soon(found)
    with contextlib.closing(sqlite3.connect(server.store)) as connection:
        assert connection.execute(
            "SELECT count(*) FROM intent WHERE order_id = ?", (order,)
        ).fetchone() == (0,)


def test_callers_of_one_hanging_payment_share_its_failure(start_server: StartServer) -> None:
    target = start_server("--processor-timeout", "0.5").target
    began = time.monotonic()
    with client_of(target) as client, ThreadPoolExecutor(20) as pool:
        request = creation(customer_id="sim_hang")
        calls = [pool.submit(client.call, "CreatePayment", request) for _ in range(20)]
        for call in calls:
            with refused("PROCESSOR_OUTCOME_UNKNOWN"):
                call.result()
    assert time.monotonic() - began < 20 * 0.5  # one after another they would take that long


def test_a_processor_that_hangs_blocks_no_other_payment(server: Server) -> None:
    with client_of(server.target) as client:
        request = pb.BatchCreatePaymentsRequest(
            requests=[creation(customer_id="sim_hang") for _ in range(600)]
        )
        hanging = client.payments.BatchCreatePayments.future(request, timeout=30)
        soon(lambda: intents(server.store) >= 600)
        before = hanging.done()
        for n in range(20):
            assert client.create().state == pb.PAYMENT_STATE_CAPTURED
            assert client.pay(str(uuid.uuid4())).status == "SUCCESS"
            if n % 10 == 0:
                slow = client.create(customer_id="sim_slow_20")
                assert slow.state == pb.PAYMENT_STATE_CAPTURED
        reasons = {refusal_in(each.error).reason for each in hanging.result().results}
        assert (before, reasons) == (False, {LOST})


def test_retries_during_a_flight_give_one_payment_and_other_fields_are_refused(
    client: Client,
) -> None:
    key = str(uuid.uuid4())
    request = creation("5.00", request_id=key, customer_id="sim_slow_700")
    other = creation("6.00", request_id=key, customer_id="sim_slow_700")
    instant = creation("5.00", request_id=key, customer_id="ada")
    with ThreadPoolExecutor(30) as pool:
        first = pool.submit(client.with_trailer, "CreatePayment", request)
        time.sleep(0.2)  # it is with the processor now
        again = [pool.submit(client.with_trailer, "CreatePayment", request) for _ in range(20)]
        batch = pool.submit(client.batch, request, other, instant)
        for wrong in (other, instant):
            with refused("IDEMPOTENCY_KEY_REUSED"):
                client.call("CreatePayment", wrong)
        with refused("IDEMPOTENCY_KEY_REUSED"):
            client.void("payments/pay_x", request_id=key)
        paid, trailer = first.result()
        assert REPLAYED[0] not in trailer
        for each in again:
            answer, trailer = each.result()
            assert answer == paid
            assert trailer.items() >= {REPLAYED}
        right, *wrongs = batch.result()
        assert (right.payment, right.replayed) == (paid, True)
        assert {refusal_in(each.error).reason for each in wrongs} == {"IDEMPOTENCY_KEY_REUSED"}


def test_a_flight_goes_on_when_its_caller_gives_up(client: Client) -> None:
    request = creation(customer_id="sim_slow_400")
    with pytest.raises(grpc.RpcError) as raised:
        client.payments.CreatePayment(request, timeout=0.2)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    paid, trailer = client.with_trailer("CreatePayment", request)
    assert paid.state == pb.PAYMENT_STATE_CAPTURED
    assert trailer.items() >= {REPLAYED}


def test_a_crash_during_a_flight_is_settled_to_one_truth(start_server: StartServer) -> None:
    server = start_server()
    requests = {
        door: creation("5.00", request_id=door, order_id=door, customer_id="sim_slow_2000")
        for door in ("retried", "left alone")
    }
    seed = payment_pb2.PaymentRequest(
        order_id="seed", amount=5, currency="EUR", user_id="sim_slow_2000"
    )
    with client_of(server.target) as client:
        pending: list[Any] = [
            client.payments.CreatePayment.future(each) for each in requests.values()
        ]
        pending.append(client.seed.ProcessPayment.future(seed))
        soon(lambda: intents(server.store) == 3)
        server.stop(9)
        for each in pending:
            assert each.code() is grpc.StatusCode.UNAVAILABLE
    status = run_paycli("db", "status", "--store", f"sqlite:///{server.store}")
    assert "open at the processor  3" in status.stdout
    again = start_server()
    with client_of(again.target) as client:
        with refused("IDEMPOTENCY_KEY_REUSED"):  # also while it is settled
            client.create("6.00", request_id="retried", order_id="retried", customer_id="ada")
        paid = client.call("CreatePayment", requests["retried"])
        charged = client.call("ProcessPayment", seed)
        soon(lambda: intents(again.store) == 0)
        for door in requests:
            found = client.call("ListPayments", {"order_id": door}).payments
            assert [each.state for each in found] == [pb.PAYMENT_STATE_CAPTURED]
        assert client.get(paid.name) == paid
        assert client.call("ProcessPayment", seed) == charged
        alone, trailer = client.with_trailer("CreatePayment", requests["left alone"])
        assert trailer.items() >= {REPLAYED}
        assert alone.amount == requests["left alone"].amount
        stream = client.payments.WatchEvents(pb.WatchEventsRequest(), timeout=10)
        told = {each.payment.name for each in itertools.islice(stream, 3)}
        stream.cancel()
        assert told == {paid.name, alone.name, f"payments/{charged.payment_id}"}
    again.stop()
    assert run_paycli("db", "verify", "--store", f"sqlite:///{server.store}").returncode == 0


@pytest.mark.parametrize(("drain_s", "answered"), [("10", True), ("0.2", False)])
def test_a_stop_waits_for_a_flight_but_not_for_ever_and_the_next_start_settles_it(
    start_server: StartServer, drain_s: str, answered: bool
) -> None:
    server = start_server("--drain-timeout", drain_s)
    request = creation(customer_id="sim_slow_1000")
    with client_of(server.target) as client:
        pending = client.payments.CreatePayment.future(request)
        soon(lambda: intents(server.store) == 1)
        assert server.stop() == 0
        assert (pending.code() is grpc.StatusCode.OK) == answered
    assert intents(server.store) == (0 if answered else 1)
    again = start_server()
    with client_of(again.target) as client:
        paid, trailer = client.with_trailer("CreatePayment", request)
        assert paid.state == pb.PAYMENT_STATE_CAPTURED
        assert trailer.items() >= {REPLAYED} if answered else intents(again.store) == 0
        if answered:
            assert paid == pending.result()
        assert len(client.call("ListPayments", {}).payments) == 1


# -- authorizations run out


def ended(client: Client, name: str) -> Callable[[], bool]:
    return lambda: not client.get(name).HasField("expire_time")


def test_authorizations_run_out_by_schedule_but_what_was_captured_stays(
    start_server: StartServer,
) -> None:
    server = start_server("--authorization-ttl", "0.5")
    with client_of(server.target) as client:
        untouched, part, whole, void = (
            client.authorize("10.00", request_id=f"k{n}") for n in range(4)
        )
        assert untouched.expire_time.ToMicroseconds() - untouched.create_time.ToMicroseconds() == (
            500_000
        )
        client.capture(part.name, "4.00", request_id="part")
        client.capture(whole.name)
        client.void(void.name)
        time.sleep(max(0.0, part.expire_time.ToNanoseconds() / 1e9 - time.time()))
        for each in (untouched, part):  # swept or not, its time is over
            with pytest.raises(grpc.RpcError) as raised:
                client.capture(each.name, "1.00")
            assert refusal_of(raised.value).reason == "AUTHORIZATION_EXPIRED"
        soon(ended(client, untouched.name))
        soon(ended(client, part.name))
        for each in (untouched, part):
            with refused("AUTHORIZATION_EXPIRED"):
                client.capture(each.name, "1.00")
        for each in (whole, void):  # their time had no part in it
            with refused("STATE_FORBIDS"):
                client.capture(each.name, "1.00")
        expired, kept = client.get(untouched.name), client.get(part.name)
        assert expired.state == pb.PAYMENT_STATE_EXPIRED
        assert expired.voided_amount == expired.amount
        assert (kept.state, kept.captured_amount.units, kept.voided_amount.units) == (
            pb.PAYMENT_STATE_CAPTURED,
            4,
            6,
        )
        assert client.get(whole.name).version == client.get(void.name).version == 2
        assert client.authorize("10.00", request_id="k0") == untouched  # the first answer
        replayed = client.capture(part.name, "4.00", request_id="part")
        assert (replayed.state, replayed.version) == (pb.PAYMENT_STATE_PARTIALLY_CAPTURED, 2)
        client.refund(part.name)
        stream = client.payments.WatchEvents(
            pb.WatchEventsRequest(kinds=[pb.EVENT_KIND_EXPIRED]), timeout=10
        )
        told = list(itertools.islice(stream, 2))
        stream.cancel()
        assert {each.payment.name: each.amount.units for each in told} == {
            untouched.name: 10,
            part.name: 6,
        }


def test_what_runs_out_between_two_servers_is_given_back_at_the_start(
    start_server: StartServer,
) -> None:
    server = start_server("--authorization-ttl", "0.5")
    with client_of(server.target) as client:
        held = [client.authorize("1.00") for _ in range(3)]
    server.stop(9)
    time.sleep(0.6)
    server = start_server()  # whose own limit is seven days; the promise was made before
    with client_of(server.target) as client:
        for each in held:
            soon(ended(client, each.name))
            assert client.get(each.name).state == pb.PAYMENT_STATE_EXPIRED


def test_an_authorization_cannot_be_captured_after_its_time_even_before_the_sweep(
    start_server: StartServer,
) -> None:
    server = start_server("--authorization-ttl", "0.3")
    states: list[int] = []
    with client_of(server.target) as client:
        while pb.PAYMENT_STATE_AUTHORIZED not in states:  # sweeps come once a second
            held = client.authorize("10.00")
            time.sleep(max(0.0, held.expire_time.ToNanoseconds() / 1e9 - time.time()))
            with pytest.raises(grpc.RpcError) as raised:
                client.capture(held.name)
            said = refusal_of(raised.value)
            assert said.reason == "AUTHORIZATION_EXPIRED"
            states.append(client.get(held.name).state)
            assert len(states) < 30
    payment_id = held.name.removeprefix("payments/")
    assert said.code == "FAILED_PRECONDITION"
    assert said.message == (
        f"The authorization of payment {payment_id} ran out; nothing more can be captured. "
        "Authorize again."
    )
    assert said.metadata == {
        "paymentId": payment_id,
        "expireTimeUs": str(held.expire_time.ToMicroseconds()),
    }
    assert said.details["PreconditionFailure"]["violations"][0]["subject"] == payment_id
