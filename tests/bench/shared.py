"""A server over PostgreSQL against the least work that the same rows can take there.

The baseline writes the same rows by the same statement, unnest batches of 256 with conflict handling,
without a rule, a message or a look at what is stored; the other baseline is what most programs do, a
transaction for each payment. Database, server and client share the machine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import asyncpg

from paycli.payments import commands
from paycli.payments.batch import Stored, apply
from paycli.storage.postgres.writer import written_columns
from paycli.storage.schema import statement
from paycli.storage.stores import migrate_store
from tests import postgres
from tests.bench import batch, ids
from tests.processes import ready

ROUNDS: Final = 5
PAYMENTS: Final = 30_000
SINGLE_PAYMENTS: Final = 3_000
RAW_BATCH: Final = 256
CONNECTIONS: Final = 4  # of a client; the kernel deals them out to the workers

_numbers = count()


class Found(NamedTuple):
    """Payments a second, and medians of ratios of neighbouring rounds."""

    one: float
    two: float
    raw: float
    single: float
    one_ratio: float
    two_ratio: float
    single_ratio: float
    workers_ratio: float
    repeated_ratio: float
    hot_ratio: float


def compare(folder: Path, kind: str) -> Found:
    """Take turns, each on a database of its own; the first round is not counted."""
    with (
        postgres.new_postgres(shared_buffers="512MB", max_wal_size="8GB") as server,
        _serving(folder / "one", server, 1) as one,
        _serving(folder / "two", server, 2) as two,
    ):
        rounds = [_round(server, one, two, ids.KINDS[kind]) for _ in range(ROUNDS + 1)]
    return _found(rounds[1:])


def _found(rounds: list[dict[str, float]]) -> Found:
    def typical(name: str) -> float:
        return median(each[name] for each in rounds)

    def ratio(subject: str, baseline: str) -> float:
        return median(each[subject] / each[baseline] for each in rounds)

    return Found(
        typical("one"),
        typical("two"),
        typical("raw"),
        typical("single"),
        ratio("one", "raw"),
        ratio("two", "raw"),
        ratio("one", "single"),
        ratio("two", "one"),
        ratio("repeated", "one"),
        ratio("hot", "one"),
    )


def _round(
    server: postgres.Postgres, one: str, two: str, new_ids: Callable[[], ids.NewId]
) -> dict[str, float]:
    return {
        "one": _rate(one, _made(new_ids)),
        "two": _rate(two, _made(new_ids)),
        "repeated": _rate(one, _half_of_them_twice(new_ids)),
        "hot": _rate(one, batch.made(PAYMENTS, new_ids(), 1)),
        "raw": _raw(server, PAYMENTS, RAW_BATCH, 1, new_ids()),
        "single": _raw(server, SINGLE_PAYMENTS, 1, 16, new_ids()),
    }


def _made(new_ids: Callable[[], ids.NewId]) -> list[bytes]:
    return batch.made(PAYMENTS, new_ids(), batch.CUSTOMERS)


def _half_of_them_twice(new_ids: Callable[[], ids.NewId]) -> list[bytes]:
    half = batch.made(PAYMENTS // 2, new_ids(), batch.CUSTOMERS)
    return [each for pair in zip(half, half, strict=True) for each in pair]


def _rate(target: str, batches: list[bytes]) -> float:
    return PAYMENTS / asyncio.run(batch.send_batches(target, batches, CONNECTIONS))


@contextmanager
def _serving(folder: Path, server: postgres.Postgres, workers: int) -> Iterator[str]:
    folder.mkdir()
    arguments = ("serve", "--store", _new_store(server), "--workers", str(workers))
    with ready(folder, "Payment Processing Service ready!", *arguments) as (_, target):
        yield target


def _new_store(server: postgres.Postgres) -> str:
    name = f"bench_{next(_numbers)}"
    postgres.sql(server.url, f"CREATE DATABASE {name}")
    url = postgres.database(server.url, name)
    migrate_store(url)
    return url


def _raw(
    server: postgres.Postgres, payments: int, size: int, connections: int, new_id: ids.NewId
) -> float:
    """Payments a second of nothing but the statement."""
    url = _new_store(server)
    batches = iter(list(_columns(payments, size, new_id)))

    async def write() -> None:
        connection = await asyncpg.connect(url, server_settings={"search_path": "paycli"})
        for columns in batches:
            await connection.fetchval(statement("postgres", "write"), *columns)
        await connection.close()

    async def main() -> float:
        started = time.perf_counter()
        await asyncio.gather(*(write() for _ in range(connections)))
        return payments / (time.perf_counter() - started)

    return asyncio.run(main())


def _columns(payments: int, size: int, new_id: ids.NewId) -> Iterator[list[Any]]:
    for start in range(0, payments, size):
        creates = [
            commands.create(
                payment_id=f"pay_{time.time_ns() // 1_000_000:012x}{n:020x}",
                order_id=new_id(n),
                customer_id=f"customer-{n * 7919 % batch.CUSTOMERS}",
                currency="EUR",
                amount=1234,
                request_id=new_id(n),
                now_us=time.time_ns() // 1000,
            )
            for n in range(start, start + size)
        ]
        seqs = range(start + 1, start + 1 + size)
        yield written_columns(apply(creates, Stored(), seqs))


class Grown(NamedTuple):
    """A store that holds much against an empty one."""

    payments: int
    ratio: float
    fill_rate: float


def grow(folder: Path, payments: int, kind: str) -> Grown:
    """Fill one store and leave the other empty, then take turns; keys are of one kind throughout."""
    new = partial(_made, ids.KINDS[kind])
    with (
        postgres.new_postgres(shared_buffers="1GB", max_wal_size="8GB") as server,
        _serving(folder / "full", server, 1) as full,
        _serving(folder / "empty", server, 1) as empty,
    ):
        started = time.perf_counter()
        for _ in range(0, payments, PAYMENTS):
            _rate(full, new())
        rate = payments / (time.perf_counter() - started)
        return Grown(payments, _ratio(full, empty, new), rate)


def _ratio(full: str, new: str, make: Callable[[], list[bytes]]) -> float:
    pairs = [(_rate(full, make()), _rate(new, make())) for _ in range(ROUNDS + 1)][1:]
    return median(of_full / of_new for of_full, of_new in pairs)
