"""A payment that no standby has is never acknowledged, whoever sends it again.

A commit whose wait for the standby was cut off (by an administrator, by a crash of the primary) can be
seen on the primary. Who finds it there writes nothing, would wait for nothing, and would acknowledge
what the next failover loses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Final, NamedTuple

import pytest

from paycli.errors import OutcomeOpen, StoreUnavailable
from paycli.payments.batch import Receipt
from paycli.payments.store import Health, Store
from paycli.storage.postgres import pool, writer
from paycli.storage.stores import open_store
from tests import postgres
from tests.postgres import Postgres
from tests.storage.test_conformance import make

PAID: Final = make(1)
WAITING: Final = (
    "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query = 'COMMIT'"
)
SESSIONS: Final = "SELECT pid FROM pg_stat_activity WHERE application_name = 'paycli'"
_PATIENCE_S: Final = 30.0


class Pair(NamedTuple):
    primary: Postgres
    standby: Postgres

    def lose_the_primary(self) -> None:
        """And go on with the standby, which has what it has."""
        self.primary.kill()
        if not self.standby.is_running():
            self.standby.start()
        self.standby.promote()


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A primary whose commits wait for its standby."""
    with postgres.new_postgres() as primary, postgres.new_folder() as folder:
        standby = primary.standby_in(folder)
        standby.start()
        try:
            postgres.sql(primary.url, "ALTER SYSTEM SET synchronous_standby_names = '*'")
            postgres.sql(primary.url, "SELECT pg_reload_conf()")
            yield Pair(primary, standby)
        finally:
            standby.kill()


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_COMMIT_S", 2.0)
    monkeypatch.setattr(pool, "_ANSWER_S", 2.0)


@pytest.fixture
def without_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A paycli that trusts what it sees."""
    monkeypatch.setattr(writer, "NOTE", "SELECT 1")
    monkeypatch.setattr(pool, "NOTE", "SELECT 1")


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(_PATIENCE_S):
        while not await holds():  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.05)


async def sql(url: str, query: str) -> list[tuple[object, ...]]:
    return await asyncio.to_thread(postgres.sql, url, query)


async def waits(primary: Postgres) -> bool:
    return bool(await sql(primary.url, WAITING))


async def cut_off(primary: Postgres) -> None:
    """As an administrator would who wonders what hangs there."""
    await until(lambda: waits(primary))
    await sql(primary.url, f"SELECT pg_cancel_backend(pid) FROM ({WAITING}) AS waiting")


async def crash(primary: Postgres) -> None:
    await until(lambda: waits(primary))
    await asyncio.to_thread(primary.kill)
    await asyncio.to_thread(primary.start)


async def seen_on(server: Postgres) -> int:
    rows = await sql(server.url, "SELECT payment_id FROM paycli.payment")
    return len(rows)


async def answer(store: Store) -> Receipt | None:
    """What the payment's key is answered with; None if nobody can say that it was paid."""
    try:
        return await store.execute(PAID)
    except (OutcomeOpen, StoreUnavailable):
        return None


async def acknowledged(store: Store) -> bool:
    receipt = await answer(store)
    return receipt is not None and receipt.payment.payment_id == PAID.payment_id


async def paid_on_the_primary_alone(
    pair: Pair, other: Store, happens: Callable[[Postgres], Awaitable[None]]
) -> bool:
    """Whether the payment is acknowledged when its key comes again, through another server."""
    async with open_store(pair.primary.url, lambda _: None) as store:
        await store.execute(make(2))
        await other.execute(make(3))
        await asyncio.to_thread(pair.standby.kill)
        paying = asyncio.create_task(answer(store))
        await happens(pair.primary)
        assert await paying is None
    assert await seen_on(pair.primary) == 3
    with suppress(TimeoutError):
        async with asyncio.timeout(6):
            await until(lambda: acknowledged(other))
            return True
    return False


HAPPENS: Final = pytest.mark.parametrize(
    "happens", [cut_off, pytest.param(crash, marks=pytest.mark.chaos)]
)


@HAPPENS
def test_it_is_acknowledged_only_once_the_standby_has_it(
    pair: Pair, happens: Callable[[Postgres], Awaitable[None]]
) -> None:
    async def main() -> None:
        async with open_store(pair.primary.url, lambda _: None) as other:
            assert not await paid_on_the_primary_alone(pair, other, happens)
            await asyncio.to_thread(pair.standby.start)
            await until(lambda: acknowledged(other))
            await asyncio.to_thread(pair.lose_the_primary)
            assert await seen_on(pair.standby) == 3

    asyncio.run(main())


@HAPPENS
def test_where_it_is_lost_its_key_pays_once(
    pair: Pair, happens: Callable[[Postgres], Awaitable[None]]
) -> None:
    both = f"{pair.primary.url.rpartition('/')[0]},127.0.0.1:{pair.standby.port}/postgres"

    async def main() -> None:
        async with open_store(both, lambda _: None) as other:
            assert not await paid_on_the_primary_alone(pair, other, happens)
            await asyncio.to_thread(pair.lose_the_primary)
            assert await seen_on(pair.standby) == 2
            await sql(pair.standby.url, "ALTER SYSTEM SET synchronous_standby_names = ''")
            await sql(pair.standby.url, "SELECT pg_reload_conf()")
            await until(lambda: acknowledged(other))
            assert (await other.execute(PAID)).replayed
            assert await seen_on(pair.standby) == 3

    asyncio.run(main())


@HAPPENS
@pytest.mark.usefixtures("without_the_guard")
def test_who_trusts_what_it_sees_acknowledges_what_is_lost(
    pair: Pair, happens: Callable[[Postgres], Awaitable[None]]
) -> None:
    async def main() -> None:
        async with open_store(pair.primary.url, lambda _: None) as other:
            assert await paid_on_the_primary_alone(pair, other, happens)
        await asyncio.to_thread(pair.lose_the_primary)
        assert await seen_on(pair.standby) == 2

    asyncio.run(main())


@HAPPENS
def test_nor_is_it_shown_by_the_server_that_saw_its_commit_fail(
    pair: Pair, happens: Callable[[Postgres], Awaitable[None]]
) -> None:
    async def main() -> None:
        async with open_store(pair.primary.url, lambda _: None) as store:
            await store.execute(make(2))
            assert await store.payment(PAID.payment_id) is None
            await asyncio.to_thread(pair.standby.kill)
            paying = asyncio.create_task(answer(store))
            await happens(pair.primary)
            assert await paying is None
            with pytest.raises(StoreUnavailable):
                await store.payment(PAID.payment_id)
            await asyncio.to_thread(pair.standby.start)
            await until(lambda: acknowledged(store))
            assert await store.payment(PAID.payment_id) is not None

    asyncio.run(main())


def test_a_store_that_waits_long_for_a_standby_leaves_no_sessions_behind(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_ANSWER_S", 0.2)

    async def main() -> None:
        heard: list[Health] = []
        async with open_store(pair.primary.url, heard.append):
            await asyncio.to_thread(pair.standby.kill)
            await asyncio.sleep(6)
            assert heard == [Health.PAUSED]
            sessions = await sql(pair.primary.url, SESSIONS)
            assert len(sessions) <= 3
            await asyncio.to_thread(pair.standby.start)
            await until(lambda: serves_again(heard))

    async def serves_again(heard: list[Health]) -> bool:
        return heard == [Health.PAUSED, Health.SERVING]

    asyncio.run(main())
