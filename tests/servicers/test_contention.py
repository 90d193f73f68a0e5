"""Many clients on one payment: it never gives more than it has, and the books stay right."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import grpc
import pytest

from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from tests.conftest import Server, run_paycli
from tests.wire import Client, client_of, creation, money, refusal_of

CLIENTS = 64
CONNECTIONS = 8
CHANGES = 8
AUTHORIZED = 1000  # cents
REFUSALS = {"CAPTURE_EXCEEDS_AUTHORIZED", "REFUND_EXCEEDS_CAPTURED", "STATE_FORBIDS"}


class Done(NamedTuple):
    """A change that was carried out, by its request_id."""

    key: str
    method: str
    cents: int
    answer: bytes
    replayed: bool


def cents(amount: Any) -> int:
    return int(amount.units) * 100 + int(amount.nanos) // 10**7


def hammer(client: Client, name: str, seed: int) -> list[Done]:
    """Random captures and refunds, each sent once or twice, and now and then by a deadline."""
    chance, done = random.Random(seed), []
    for _ in range(CHANGES):
        method = chance.choice(["CapturePayment", "RefundPayment"])
        kind = pb.CapturePaymentRequest if method == "CapturePayment" else pb.RefundPaymentRequest
        asked = chance.randint(1, 60)
        request = kind(
            name=name,
            request_id=str(uuid.uuid4()),
            amount=money(f"{asked // 100}.{asked % 100:02}"),
        )
        for _ in range(chance.randint(1, 3)):
            try:
                answer, trailer = client.with_trailer(
                    method, request, timeout=chance.choice([0.01, 30, 30])
                )
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                    continue
                if refusal_of(error).reason in REFUSALS:
                    continue
                raise
            done.append(
                Done(
                    request.request_id,
                    method,
                    asked,
                    answer.SerializeToString(deterministic=True),
                    "idempotency-replayed" in trailer,
                )
            )
    return done


def test_64_clients_on_one_payment_never_exceed_it(server: Server) -> None:
    with ThreadPoolExecutor(CLIENTS) as pool, client_of(server.target) as client:
        held = client.authorize("10.00")
        opened = [client_of(server.target) for _ in range(CONNECTIONS)]
        clients = [each.__enter__() for each in opened]
        hammering = [
            pool.submit(hammer, clients[n % CONNECTIONS], held.name, n) for n in range(CLIENTS)
        ]
        answers = [done for each in hammering for done in each.result()]
        for each in opened:
            each.__exit__(None, None, None)
        final = client.get(held.name)
        captured, refunded = cents(final.captured_amount), cents(final.refunded_amount)
        assert 0 < refunded <= captured <= AUTHORIZED
        by_key: dict[str, set[bytes]] = {}
        for done in answers:
            by_key.setdefault(done.key, set()).add(done.answer)
        assert {len(each) for each in by_key.values()} == {1}  # one answer a key
        told = {done.key: done for done in answers}.values()
        for method, least, moved in (
            ("CapturePayment", 0, captured),
            ("RefundPayment", 0, refunded),
        ):
            known = sum(done.cents for done in told if done.method == method)
            assert least < known <= moved  # what timed out may have been carried out as well
        stream = client.payments.WatchEvents(pb.WatchEventsRequest(payment=held.name), timeout=30)
        counts = {pb.EVENT_KIND_CAPTURED: 0, pb.EVENT_KIND_REFUNDED: 0}
        for version in range(1, final.version + 1):
            event = next(stream)
            assert event.payment.version == version
            now = event.payment
            assert 0 <= cents(now.refunded_amount) <= cents(now.captured_amount) <= AUTHORIZED
            if event.kind in counts:
                counts[event.kind] += cents(event.amount)
        stream.cancel()
        assert event.payment == final
        assert list(counts.values()) == [captured, refunded]
    store = f"sqlite:///{server.store}"
    for stopped in (False, True):  # also while the server is there
        if stopped:
            assert server.stop() == 0
        verified = run_paycli("db", "verify", "--store", store)
        assert (verified.returncode, verified.stderr) == (0, "")


def test_64_clients_with_one_key_make_one_change(server: Server) -> None:
    with ThreadPoolExecutor(CLIENTS) as pool, client_of(server.target) as client:
        held = client.authorize("10.00")
        for method, kind in (
            ("CapturePayment", pb.CapturePaymentRequest),
            ("RefundPayment", pb.RefundPaymentRequest),
        ):
            request = kind(name=held.name, request_id=method, amount=money("7.00"))
            calls = [pool.submit(client.with_trailer, method, request) for _ in range(CLIENTS)]
            answers = [each.result() for each in calls]
            assert len({each.SerializeToString(deterministic=True) for each, _ in answers}) == 1
            assert sum("idempotency-replayed" not in trailer for _, trailer in answers) == 1
        final = client.get(held.name)
        assert (cents(final.captured_amount), cents(final.refunded_amount)) == (700, 700)
        assert final.version == 3


def test_one_order_through_both_doors_at_once_is_one_payment(server: Server) -> None:
    with ThreadPoolExecutor(CLIENTS) as pool, client_of(server.target) as client:
        for round_ in range(5):
            order = f"o{round_}"
            request = creation("10.00", request_id="", order_id=order)
            rich = [pool.submit(client.with_trailer, "CreatePayment", request) for _ in range(20)]
            seed = [pool.submit(client.pay, order) for _ in range(20)]
            batch = pool.submit(client.batch, request, request)
            names = {each.result()[0].name for each in rich}
            names |= {f"payments/{each.result().payment_id}" for each in seed}
            names |= {each.payment.name for each in batch.result()}
            assert len(names) == 1
        assert len(client.call("ListPayments", {}).payments) == 5


def test_a_caller_that_gives_up_in_the_queue_leaves_nothing_behind(server: Server) -> None:
    with (
        client_of(server.target) as client,
        contextlib.closing(sqlite3.connect(server.store)) as other,
    ):
        client.create(order_id="before")
        other.execute("BEGIN IMMEDIATE")  # nobody can write meanwhile
        first = client.payments.CreatePayment.future(creation(order_id="at the disk"))
        time.sleep(0.2)
        for n in range(5):
            with pytest.raises(grpc.RpcError) as raised:
                client.payments.CreatePayment(creation(order_id=f"gone {n}"), timeout=0.1)
            assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        patient = client.payments.CreatePayment.future(creation(order_id="patient"))
        other.rollback()
        assert (first.result().order_id, patient.result().order_id) == ("at the disk", "patient")
        found = client.call("ListPayments", {}).payments
        assert {each.order_id for each in found} == {"before", "at the disk", "patient"}
