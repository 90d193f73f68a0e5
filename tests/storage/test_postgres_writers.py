"""Several servers over one PostgreSQL database: what the conformance suite cannot bring about."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from paycli.errors import OutcomeOpen, StoreUnavailable
from paycli.payments.batch import Claimed, OnRecord, Receipt
from paycli.payments.commands import Change, Create, Resolve
from paycli.payments.queries import EventFilter
from paycli.payments.states import Action
from paycli.payments.store import Health, Store
from paycli.storage.postgres import writer
from paycli.storage.stores import open_store, verify_store
from tests import postgres
from tests.storage.test_conformance import MANUAL, do, intend, make, opened


@pytest.fixture
def url() -> str:
    """The URL of an empty store."""
    return postgres.new_store()


@asynccontextmanager
async def held(
    monkeypatch: pytest.MonkeyPatch, store: Store, create: Create
) -> AsyncIterator[asyncio.Event]:
    """A payment whose writer has done all but the commit; it goes on when the event is set."""
    reached, go_on = asyncio.Event(), asyncio.Event()
    commit = writer._commit

    async def wait(connection: asyncpg.Connection) -> None:
        monkeypatch.setattr(writer, "_commit", commit)  # of this one alone
        reached.set()
        await go_on.wait()
        await commit(connection)

    monkeypatch.setattr(writer, "_commit", wait)
    paying = asyncio.ensure_future(store.execute(create))
    await reached.wait()
    yield go_on
    go_on.set()
    await asyncio.wait((paying,))
    paying.exception()


async def numbers(store: Store, after: int = 0) -> tuple[list[int], int]:
    """The payments of the events after a seq, and where a watcher would go on."""
    found, reached = await store.events(after, EventFilter(), 100)
    return [int(each.payment.payment_id[-20:], 16) for each in found], reached


def test_a_watcher_waits_for_numbers_that_are_not_committed_yet(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with opened(url) as one, opened(url) as two:
            await one.execute(make(1))
            async with held(monkeypatch, one, make(2)) as go_on:
                later = [(await two.execute(make(number))).entry.seq for number in (3, 4)]
                for store in (one, two):
                    assert await numbers(store) == ([1], 1)
                    assert await store.newest_seq() == 1
                news = asyncio.ensure_future(two.news(1))
                await asyncio.wait((news,), timeout=0.3)
                assert not news.done()
                go_on.set()
                async with asyncio.timeout(10):
                    await news
            for store in (one, two):
                assert await numbers(store) == ([1, 2, 3, 4], later[-1])
                assert await numbers(store, 1) == ([2, 3, 4], later[-1])

    asyncio.run(main())


def test_a_writer_that_ends_in_the_middle_holds_nobody_up(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with opened(url) as one, opened(url) as two:
            async with held(monkeypatch, one, make(1)) as go_on:
                await two.execute(make(2))
                assert await numbers(two) == ([], 0)
                news = asyncio.ensure_future(two.news(0))
                await kill_sessions(url, "idle in transaction")
                async with asyncio.timeout(10):
                    await news
                assert (await numbers(two))[0] == [2]
                go_on.set()
            assert (await numbers(two))[0] == [
                2
            ]  # the first never was, and its callers know no more

    asyncio.run(main())


async def kill_sessions(url: str, state: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        killed = await connection.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'paycli' AND state = $1 AND datname = current_database()",
            state,
        )
        assert killed
    finally:
        await connection.close()


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_commit_whose_connection_goes_is_unknown_and_its_key_tells(url: str, cut: str) -> None:
    async def main() -> None:
        healths: list[Health] = []
        async with open_store(way.url, healths.append) as store:
            way.cut = cut
            with pytest.raises(OutcomeOpen) as told:
                await store.execute(make(1))
            assert told.value.reason == "STORE_OUTCOME_UNKNOWN"
            assert healths.pop() is Health.PAUSED
            receipt = await _once_it_serves(store, make(1))
            assert receipt.replayed is (cut == "after")
            assert healths.pop() is Health.SERVING
            assert (await numbers(store))[0] == [1]

    with postgres.way_to(url) as way:
        asyncio.run(main())


async def _once_it_serves(store: Store, create: Create) -> Receipt:
    async with asyncio.timeout(15):
        while True:
            try:
                return await store.execute(create)
            except StoreUnavailable:
                await asyncio.sleep(0.05)


def test_an_intent_and_a_creation_of_one_key_at_once_are_one_payment(url: str) -> None:
    """No index covers both tables."""

    async def main() -> None:
        async with opened(url) as one, opened(url) as two:
            for number in range(60):
                create = make(number, request_id=f"k{number}")
                other = make(number + 1000, request_id=f"k{number}", order_id=f"order-{number}")
                asked, paid = await asyncio.gather(
                    one.execute_all([intend(create)]),
                    two.execute_all([other]),
                )
                first, second = asked[0], paid[0]
                if isinstance(first, Claimed):
                    assert isinstance(second, OutcomeOpen)
                    await one.execute_all([Resolve(create.request_key, "c1", "")])
                else:
                    assert isinstance(second, Receipt)
                    assert isinstance(first, Receipt)
                    assert first.replayed
            assert len((await numbers(one))[0]) == 60
        await asyncio.to_thread(verify_store, url, lambda *_: None)

    asyncio.run(main())


@pytest.mark.parametrize("answered", [True, False])
def test_an_intent_that_another_server_records_meanwhile_is_the_other_ones(
    url: str, monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    """It asks, and maybe has its answer, between our look and our write."""

    async def main() -> None:
        async with opened(url) as one, opened(url) as two:
            load = writer.PostgresWriter._load

            async def slow(self: Any, connection: Any, commands: Any) -> Any:
                monkeypatch.setattr(writer.PostgresWriter, "_load", load)
                stored = await load(self, connection, commands)
                await two.execute_all([intend(make(1), "theirs")])
                if answered:
                    await two.execute_all([Resolve(make(1).request_key, "theirs", "")])
                return stored

            monkeypatch.setattr(writer.PostgresWriter, "_load", slow)
            (outcome,) = await one.execute_all([intend(make(1), "ours")])
            if answered:
                assert isinstance(outcome, Receipt)
                assert outcome.replayed
            else:
                assert outcome == OnRecord("theirs")

    asyncio.run(main())


def test_changes_of_one_payment_through_two_servers_take_turns(url: str) -> None:
    async def main() -> None:
        async with opened(url) as one, opened(url) as two:
            holds = [make(n, 1000, capture_method=MANUAL) for n in range(5)]
            await one.execute_all(holds)

            async def capture(store: Store, name: str) -> int:
                captures = [
                    do(hold, Action.CAPTURE, 70, key=f"{name}{n}{hold.payment_id}")
                    for n in range(10)
                    for hold in holds
                ]
                outcomes = await asyncio.gather(
                    *(store.execute_all([each]) for each in captures), return_exceptions=True
                )
                return sum(
                    isinstance(each, list) and isinstance(each[0], Receipt) for each in outcomes
                )

            done = await asyncio.gather(capture(one, "a"), capture(two, "b"))
            assert sum(done) == 5 * 14  # 14 * 70 <= 1000 < 15 * 70
            for hold in holds:
                payment = await two.payment(hold.payment_id)
                assert payment is not None
                assert (payment.captured, payment.version) == (980, 15)
        await asyncio.to_thread(verify_store, url, lambda *_: None)

    asyncio.run(main())


def test_a_hot_account_makes_nobody_wait_for_a_commit(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All payments go to the merchant; one whose commit hangs holds no other up."""

    async def main() -> None:
        async with opened(url) as one, opened(url) as two:
            async with held(monkeypatch, one, make(1)), asyncio.timeout(5):
                slots = set()
                for number in range(2, 30):
                    await two.execute(make(number))
                rows = await asyncio.to_thread(
                    postgres.sql, url, "SELECT slot FROM paycli.balance WHERE account = 'merchant'"
                )
                slots = {slot for (slot,) in rows}
                assert slots
            assert await one.balances("merchant") == [("EUR", 2900)]

    asyncio.run(main())


def test_texts_that_the_database_cannot_hold_find_nothing(url: str) -> None:
    async def main() -> None:
        async with opened(url) as store:
            assert await store.payment("pay_\0") is None
            assert await store.balances("customer/\0") == []
            assert await store.events(0, EventFilter(order_id="\0"), 5) == ([], 0)
            change = Change("k", "pay_\0", Action.VOID, 1)
            with pytest.raises(Exception, match="No payment"):
                await store.execute(change)

    asyncio.run(main())
