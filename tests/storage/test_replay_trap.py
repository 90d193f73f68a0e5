"""A commit that was cut off while it waited for its standby is seen, but on one disk alone.

A retry finds it. Whoever acknowledges that, without a wait of its own, loses a payment in a failover.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import pytest

from paycli.errors import OutcomeOpen, PaymentError
from paycli.payments.batch import Receipt
from paycli.storage.postgres import pool, writer
from paycli.storage.stores import migrate_store
from tests import postgres
from tests.storage.test_conformance import make, opened


@pytest.fixture
def servers() -> Iterator[tuple[postgres.Postgres, postgres.Postgres]]:
    """A primary with a store, and its synchronous standby."""
    with postgres.new_postgres() as primary:
        migrate_store(primary.url)
        with postgres.new_standby(primary) as standby:
            yield primary, standby


async def sql(server: postgres.Postgres, query: str) -> list[tuple[object, ...]]:
    return await asyncio.to_thread(postgres.sql, server.url, query)


async def cancel_the_wait(primary: postgres.Postgres) -> None:
    """As an administrator does who finds a session that hangs."""
    query = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    async with asyncio.timeout(10):
        while not await sql(primary, query):
            pass


@pytest.mark.parametrize("guarded", [True, False], ids=["as it is", "without its message"])
def test_a_replay_waits_for_the_standby_as_its_first_answer_did(
    servers: tuple[postgres.Postgres, postgres.Postgres],
    monkeypatch: pytest.MonkeyPatch,
    guarded: bool,
) -> None:
    primary, standby = servers
    monkeypatch.setattr(pool, "_CONFIRM_S", 1.0)
    if not guarded:
        monkeypatch.setattr(writer, "_AS_DURABLE", "SELECT 1")
        monkeypatch.setattr(pool, "_BEGIN", "SELECT 1")

    async def main() -> Receipt | PaymentError:
        async with opened(primary.url) as one, opened(primary.url) as two:
            await one.execute(make(1))
            assert (await two.execute(make(1))).replayed
            standby.kill()
            paying = asyncio.ensure_future(one.execute(make(2)))
            await cancel_the_wait(primary)
            with pytest.raises(OutcomeOpen, match="not known"):
                await paying
            assert len(await sql(primary, "SELECT * FROM paycli.payment")) == 2
            try:
                answer: Receipt | PaymentError = await two.execute(make(2))
            except PaymentError as problem:
                answer = problem
            primary.kill()
            return answer

    answer = asyncio.run(main())
    standby.start()
    postgres.sql(standby.url, "SELECT pg_promote()")
    postgres.sql(standby.url, "ALTER SYSTEM RESET synchronous_standby_names")
    postgres.sql(standby.url, "SELECT pg_reload_conf()")
    kept = postgres.sql(standby.url, "SELECT payment_id FROM paycli.payment ORDER BY payment_id")
    assert kept == [(make(1).payment_id,)]  # the second never reached it
    if not guarded:
        assert isinstance(answer, Receipt)  # acknowledged, and lost
        return
    assert isinstance(answer, PaymentError)

    async def retry() -> None:
        async with opened(standby.url) as store:
            assert not (await store.execute(make(2))).replayed
            assert (await store.execute(make(2))).replayed

    asyncio.run(retry())


def test_while_the_standby_is_away_nothing_is_acknowledged_and_then_all_goes_on(
    servers: tuple[postgres.Postgres, postgres.Postgres], monkeypatch: pytest.MonkeyPatch
) -> None:
    primary, standby = servers
    monkeypatch.setattr(pool, "_CONFIRM_S", 1.0)

    async def main() -> None:
        async with opened(primary.url) as store:
            await store.execute(make(1))
            standby.signal(signal.SIGSTOP)
            for create in (make(2), make(1), make(2)):
                with pytest.raises(PaymentError):
                    await store.execute(create)
            standby.signal(signal.SIGCONT)
            async with asyncio.timeout(20):
                while True:
                    try:
                        receipt = await store.execute(make(2))
                        break
                    except PaymentError:
                        await asyncio.sleep(0.05)
            assert receipt.replayed  # it was committed all the time
            rows = await sql(standby, "SELECT count(*) FROM paycli.payment")
            assert rows == [(2,)]

    asyncio.run(main())
