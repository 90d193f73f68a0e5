"""A store that holds much against an empty one: rates of writing, pages, memory, and `db verify`.

The rows are made through the bulk path. `--payments 10000000` is the size of the budgets; it takes
about a quarter of an hour and 10 GB.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import grpc

from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.generated.paycli.payments.v1 import payments_pb2_grpc
from paycli.scenarios.own_server import OwnServer, own_server
from paycli.storage.stores import verify_store
from tests.bench import batch, unary
from tests.processes import rss_mb

ROUNDS = 5
ROUND_PAYMENTS = 20_000
PAGES = 200


class Stored(NamedTuple):
    """Ratios of a full store to an empty one, and what the full one took."""

    payments: int
    unary_ratio: float
    batch_ratio: float
    page_ratio: float
    memory_ratio: float
    rss_mb: float
    fill_rate: float
    verify_rate: float


def measure(folder: Path, payments: int, kind: str) -> Stored:
    """Fill one store, leave the other empty, and take turns; ids are of one kind throughout."""
    with own_server(folder / "empty.db") as empty, own_server(folder / "full.db") as full:
        # A server's memory first grows with its caches and arenas; what counts is what comes after.
        filled_s = asyncio.run(batch.send(full.target, payments // 5, kind))
        early_mb = rss_mb(full.pid)
        for _ in range(4):
            filled_s += asyncio.run(batch.send(full.target, payments // 5, kind))
        late_mb = rss_mb(full.pid)
        unary_ratio = _ratio(
            full, empty, lambda server: unary.one_round(server.target, server.pid, kind).rate
        )
        batch_ratio = _ratio(full, empty, partial(_batch_rate, kind))
        page_ratio = _ratio(full, empty, _seconds_a_page)
    started = time.perf_counter()
    verified = verify_store(f"sqlite:///{folder}/full.db", lambda *_: None)
    return Stored(
        payments,
        unary_ratio,
        batch_ratio,
        page_ratio,
        late_mb / early_mb,
        late_mb,
        payments / filled_s,
        verified.payments / (time.perf_counter() - started),
    )


def _ratio(full: OwnServer, empty: OwnServer, take: Callable[[OwnServer], float]) -> float:
    pairs = [(take(full), take(empty)) for _ in range(ROUNDS + 1)][1:]
    return median(of_full / of_empty for of_full, of_empty in pairs)


def _batch_rate(kind: str, server: OwnServer) -> float:
    return ROUND_PAYMENTS / asyncio.run(batch.send(server.target, ROUND_PAYMENTS, kind))


def _seconds_a_page(server: OwnServer) -> float:
    """Pages of one customer, of a state, of all, and of the journal."""
    with grpc.insecure_channel(server.target) as channel:
        stub = payments_pb2_grpc.PaymentsStub(channel)
        started = time.perf_counter()
        for number in range(PAGES // 4):
            customer = f"customer-{number}"
            stub.ListPayments(pb.ListPaymentsRequest(customer_id=customer, page_size=10))
            stub.ListPayments(pb.ListPaymentsRequest(page_size=10))
            state = pb.PAYMENT_STATE_AUTHORIZED
            stub.ListPayments(pb.ListPaymentsRequest(state=state, page_size=10))
            account = f"customer/{customer}"
            stub.ListPostings(pb.ListPostingsRequest(account=account, page_size=10))
        return (time.perf_counter() - started) / PAGES
