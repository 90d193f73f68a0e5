"""kill -9 under load, again and again: what was acknowledged is there exactly once."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
import time
from pathlib import Path

import grpc
import pytest

from paycli.generated import payment_pb2, payment_pb2_grpc
from tests.conftest import StartServer

WORKERS = 8


def load(target: str, round_: int, acknowledged: dict[str, str], lock: threading.Lock) -> None:
    """Pay until the server dies; remember only what was acknowledged."""

    def worker(number: int) -> None:
        with grpc.insecure_channel(target) as channel, contextlib.suppress(grpc.RpcError):
            stub = payment_pb2_grpc.PaymentServiceStub(channel)
            for n in range(1_000_000):
                order = f"{round_}-{number}-{n}"
                request = payment_pb2.PaymentRequest(
                    order_id=order, amount=1.25, currency="EUR", user_id="ada"
                )
                payment_id = stub.ProcessPayment(request, timeout=10).payment_id
                with lock:
                    acknowledged[order] = payment_id

    threads = [threading.Thread(target=worker, args=(n,)) for n in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def books(store: Path) -> dict[str, str]:
    """Check the postings and return the payment id of every stored order."""
    with contextlib.closing(sqlite3.connect(store)) as connection:
        assert connection.execute("SELECT sum(amount) FROM posting").fetchone()[0] in (0, None)
        counts = "SELECT (SELECT count(*) FROM payment), (SELECT count(*) FROM entry)"
        payments, entries = connection.execute(counts).fetchone()
        assert payments == entries
        legs = connection.execute("SELECT count(*) FROM posting").fetchone()[0]
        assert legs == 2 * payments
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return dict(connection.execute("SELECT order_id, payment_id FROM payment"))


@pytest.mark.parametrize(
    "rounds", [5, pytest.param(200, marks=[pytest.mark.chaos, pytest.mark.timeout(3600)])]
)
def test_what_was_acknowledged_survives_kill_9_exactly_once(
    start_server: StartServer, rounds: int
) -> None:
    acknowledged: dict[str, str] = {}
    lock = threading.Lock()
    generator = random.Random(9)
    for round_ in range(rounds):
        server = start_server()
        paying = threading.Thread(target=load, args=(server.target, round_, acknowledged, lock))
        before = len(acknowledged)
        paying.start()
        while len(acknowledged) < before + 20:
            time.sleep(0.005)
        time.sleep(generator.uniform(0, 0.3))
        server.process.kill()
        paying.join()
        stored = books(server.store)
        assert acknowledged.items() <= stored.items()
        # Each worker had at most one call in the air, which may or may not have been committed.
        assert len(stored) - len(acknowledged) <= WORKERS * (round_ + 1)
    server = start_server()
    with grpc.insecure_channel(server.target) as channel:
        stub = payment_pb2_grpc.PaymentServiceStub(channel)
        for order, payment_id in generator.sample(sorted(acknowledged.items()), 50):
            request = payment_pb2.PaymentRequest(
                order_id=order, amount=1.25, currency="EUR", user_id="ada"
            )
            assert stub.ProcessPayment(request).payment_id == payment_id
