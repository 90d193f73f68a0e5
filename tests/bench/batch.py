"""BatchCreatePayments end to end against the least work that the same rows can take.

The baseline is a tight loop in one process: multi-row inserts with conflict handling into the same
schema with the same durability, without a rule, a message or a socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple

import apsw
import grpc

from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.payments import commands, decide
from paycli.payments.payment import Entry, Payment
from paycli.scenarios.own_server import own_server
from paycli.storage.stores import open_store
from tests.bench import ids

BATCH = 1000
IN_FLIGHT = 4
ROUNDS = 5
CUSTOMERS = 10_000


class Comparison(NamedTuple):
    """Median payments per second of both, and the median of their ratios."""

    subject: float
    baseline: float
    ratio: float


def compare(folder: Path, payments: int, kind: str) -> Comparison:
    """Alternate rounds of `payments` on a fresh server and on a fresh file; the first is not counted."""
    pairs = []
    for number in range(ROUNDS + 1):
        with own_server() as server:
            subject = payments / asyncio.run(send(server.target, payments, kind))
        pairs.append((subject, payments / tight_loop(folder / f"{number}.db", payments, kind)))
    pairs = pairs[1:]
    return Comparison(
        median(pair[0] for pair in pairs),
        median(pair[1] for pair in pairs),
        median(pair[0] / pair[1] for pair in pairs),
    )


async def send(target: str, payments: int, kind: str) -> float:
    """Create so many payments in batches, some in flight together; returns the seconds it took.

    Messages are made before the clock starts: the client's own work is not what is measured.
    """
    return await send_batches(target, made(payments, ids.KINDS[kind](), CUSTOMERS))


def made(payments: int, new_id: ids.NewId, customers: int) -> list[bytes]:
    """Requests, each for a full batch."""
    return [
        pb.BatchCreatePaymentsRequest(
            requests=[
                {
                    "request_id": new_id(n),
                    "order_id": new_id(n),
                    "customer_id": f"customer-{n * 7919 % customers}",
                    "amount": {"currency_code": "EUR", "units": 12, "nanos": 340_000_000},
                }
                for n in range(start, start + BATCH)
            ]
        ).SerializeToString()
        for start in range(0, payments, BATCH)
    ]


async def send_batches(target: str, batches: Sequence[bytes], connections: int = 1) -> float:
    """The seconds until all are answered; so many are in flight together over each connection."""
    method = "/paycli.payments.v1.Payments/BatchCreatePayments"
    waiting = iter(batches)
    answers: list[bytes] = []

    async def worker(channel: grpc.aio.Channel) -> None:
        call = channel.unary_unary(method, request_serializer=bytes, response_deserializer=bytes)
        answers.extend([await call(batch) for batch in waiting])

    async with AsyncExitStack() as stack:
        own = [("grpc.use_local_subchannel_pool", 1)]
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(target, own))
            for _ in range(connections)
        ]
        started = time.perf_counter()
        await asyncio.gather(*(worker(each) for each in channels for _ in range(IN_FLIGHT)))
        elapsed_s = time.perf_counter() - started
    for answer in (answers[0], answers[-1]):
        results = pb.BatchCreatePaymentsResponse.FromString(answer).results
        assert len(results) == BATCH
        assert all(each.payment.state == pb.PAYMENT_STATE_CAPTURED for each in results)
    assert len(answers) == len(batches)
    return elapsed_s


def tight_loop(path: Path, payments: int, kind: str) -> float:
    """Write the same rows as fast as SQLite takes them; returns the seconds it took."""

    async def make_schema() -> None:
        async with open_store(f"sqlite:///{path}", lambda _: None):
            pass

    asyncio.run(make_schema())
    inserts = {
        table: f"INSERT INTO {table} ({', '.join(columns)}) "
        f"VALUES ({', '.join('?' * len(columns))}) ON CONFLICT DO NOTHING"
        for table, columns in (("payment", Payment._fields), ("entry", Entry._fields))
    }
    add = (
        "INSERT INTO balance VALUES (?, 'EUR', ?) "
        "ON CONFLICT DO UPDATE SET amount = amount + excluded.amount"
    )
    new_id = ids.KINDS[kind]()
    batches = [_rows(start, new_id) for start in range(0, payments, BATCH)]
    with contextlib.closing(apsw.Connection(str(path))) as connection:
        connection.pragma("synchronous", "full")
        connection.pragma("wal_autocheckpoint", 32_768)
        started = time.perf_counter()
        for rows, entries in batches:
            connection.execute("BEGIN IMMEDIATE")
            keys = json.dumps([entry.request_key for entry in entries])
            found = "SELECT * FROM json_each(?) JOIN entry ON request_key = value"
            assert not list(connection.execute(found, (keys,)))
            connection.executemany(inserts["payment"], rows)
            connection.executemany(inserts["entry"], entries)
            spent: dict[str, int] = {"merchant": sum(row.amount for row in rows)}
            for row in rows:
                account = f"customer/{row.customer_id}"
                spent[account] = spent.get(account, 0) - row.amount
            connection.executemany(add, sorted(spent.items()))
            connection.execute("COMMIT")
        return time.perf_counter() - started


def _rows(start: int, new_id: ids.NewId) -> tuple[list[Payment], list[Entry]]:
    made = [
        decide.create(
            commands.create(
                payment_id=f"pay_{1_700_000_000_000 + n:012x}{n * 7919 % 2**80:020x}",
                order_id=new_id(n),
                request_id=new_id(n),
                customer_id=f"customer-{n * 7919 % CUSTOMERS}",
                currency="EUR",
                amount=1234,
                now_us=(1_700_000_000_000 + n) * 1000,
            ),
            "",
            n,
        )
        for n in range(start + 1, start + BATCH + 1)
    ]
    return [payment for payment, _ in made], [entry for _, entry in made]
