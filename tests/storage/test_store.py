"""What every store keeps and promises."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeVar

import apsw
import pytest

from paycli.errors import (
    Draining,
    InputError,
    KeyReused,
    OutcomeOpen,
    Overloaded,
    StoreError,
    StoreUnavailable,
)
from paycli.payments import commands
from paycli.payments.batch import Receipt
from paycli.payments.commands import Change, Create
from paycli.payments.payment import CaptureMethod, State
from paycli.payments.states import Action, state_of
from paycli.payments.store import Health, Store
from paycli.storage.schema import Migration, migrations
from paycli.storage.sqlite.file import SqliteFile
from paycli.storage.sqlite.lock import is_held
from paycli.storage.sqlite.store import SqliteStore
from paycli.storage.stores import open_store
from tests.conftest import InWriter

Used = TypeVar("Used")


def make(order: str, amount: int = 100, **changes: object) -> Create:
    fields: dict[str, object] = {
        "payment_id": f"pay_{order}",
        "order_id": order,
        "customer_id": "ada",
        "currency": "EUR",
        "amount": amount,
        "now_us": 7,
    }
    return commands.create(**(fields | changes))  # type: ignore[arg-type] # plain keyword data


def opened(url: str) -> AbstractAsyncContextManager[Store]:
    return open_store(url, lambda _: None)


async def open_and_close(url: str) -> None:
    async with opened(url):
        pass


def in_store(path: Path, use: Callable[[Store], Coroutine[object, object, Used]]) -> Used:
    """Open the store of the file, use it, close it, all in one event loop."""

    async def main() -> Used:
        async with opened(f"sqlite:///{path}") as store:
            return await use(store)

    return asyncio.run(main())


async def nothing(_: Store) -> None:
    """Only open and close."""


def postings(path: Path) -> list[tuple[str, int]]:
    query = "SELECT account, amount FROM posting ORDER BY seq, account, -amount"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return list(connection.execute(query))


def test_a_payment_is_there_with_its_postings_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "s.db"

    async def pay(store: Store) -> Receipt:
        return await store.execute(make("o1"))

    first = in_store(path, pay)
    again = in_store(path, pay)
    assert (first.replayed, again.replayed) == (False, True)
    assert again.payment == first.payment
    assert postings(path) == [("customer/ada", -100), ("merchant", 100)]


def test_commands_that_arrive_together_share_commits(tmp_path: Path) -> None:
    path = tmp_path / "s.db"

    async def pay_many(store: Store) -> None:
        receipts = await asyncio.gather(*(store.execute(make(f"o{n}")) for n in range(500)))
        assert [r.payment.order_id for r in receipts] == [f"o{n}" for n in range(500)]

    in_store(path, pay_many)
    assert len(postings(path)) == 1000


def test_concurrent_duplicates_make_one_payment(tmp_path: Path) -> None:
    path = tmp_path / "s.db"

    async def pay_twice(store: Store) -> list[Receipt]:
        same = [
            asyncio.ensure_future(store.execute(make("o1", payment_id=f"pay_{n}")))
            for n in range(20)
        ]
        other = asyncio.ensure_future(store.execute(make("o1", amount=101)))
        with pytest.raises(KeyReused):
            await other
        return list(await asyncio.gather(*same))

    receipts = in_store(path, pay_twice)
    assert len({receipt.payment.payment_id for receipt in receipts}) == 1
    assert [receipt.replayed for receipt in receipts] == [False] + [True] * 19
    assert len(postings(path)) == 2


def test_the_journal_carries_a_payment_through_its_life(tmp_path: Path) -> None:
    path = tmp_path / "s.db"

    async def live(store: Store) -> None:
        await store.execute(make("o1", capture_method=CaptureMethod.MANUAL))
        part = Change("k1", "pay_o1", Action.CAPTURE, 8, 30, final=True)
        captured = await store.execute(part)
        assert captured.payment.voided == 70
        await store.execute(Change("k2", "pay_o1", Action.REFUND, 9))
        assert (await store.execute(part)) == captured._replace(replayed=True)

    async def replay(store: Store) -> Receipt:
        return await store.execute(Change("k2", "pay_o1", Action.REFUND, 10))

    in_store(path, live)
    assert postings(path) == [
        ("customer/ada", -100),
        ("hold/pay_o1", 100),
        ("customer/ada", 70),
        ("hold/pay_o1", -30),
        ("hold/pay_o1", -70),
        ("merchant", 30),
        ("customer/ada", 30),
        ("merchant", -30),
    ]
    receipt = in_store(path, replay)
    assert receipt.replayed
    assert state_of(receipt.payment) is State.REFUNDED


def test_a_caller_that_gave_up_in_the_queue_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "s.db"

    async def give_up(store: Store) -> None:
        gone = asyncio.ensure_future(store.execute(make("gone")))
        gone.cancel()
        await store.execute(make("stays"))

    in_store(path, give_up)
    with apsw.Connection(str(path)) as connection:
        assert connection.execute("SELECT order_id FROM payment").get == "stays"


def test_closing_commits_what_waits_and_refuses_what_comes_after(tmp_path: Path) -> None:
    path = tmp_path / "s.db"

    async def main() -> None:
        async with opened(f"sqlite:///{path}") as store:
            waiting = [asyncio.ensure_future(store.execute(make(f"o{n}"))) for n in range(5)]
            await asyncio.sleep(0)
        assert all([(await each).payment for each in waiting])
        with pytest.raises(Draining):
            await store.execute(make("late"))

    asyncio.run(main())
    assert len(postings(path)) == 10


def test_a_program_that_keeps_the_file_to_itself_costs_an_error_and_not_the_store(
    tmp_path: Path, in_writer: InWriter
) -> None:
    in_writer("from paycli.storage.sqlite import file; file._BUSY_MS = 20")
    path = tmp_path / "s.db"

    async def beside_another(store: Store) -> None:
        await store.execute(make("o1"))
        with contextlib.closing(apsw.Connection(str(path))) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match="holds the store"):
                await store.execute(make("o2"))
            assert await store.payment("pay_o1") is not None
            other.execute("ROLLBACK")
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(StoreUnavailable):
                    assert not (await store.execute(make("o2"))).replayed
                    return
                await asyncio.sleep(0.05)

    in_store(path, beside_another)


def test_a_store_in_memory_needs_no_file() -> None:
    async def main() -> None:
        async with opened("sqlite:///:memory:") as store:
            assert (await store.execute(make("o1"))).payment.captured == 100

    asyncio.run(main())
    assert not Path(":memory:").exists()


def test_a_second_holder_of_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.db"

    async def open_again(_: Store) -> None:
        with pytest.raises(StoreError, match="Another paycli server"):
            await open_and_close(f"sqlite:///{path}")

    in_store(path, open_again)
    in_store(path, nothing)  # and free again afterwards


def test_who_has_patience_gets_the_file_when_the_first_holder_lets_it_go(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"

    async def wait_for_it() -> None:
        async with open_store(url, lambda _: None, patience_s=60):
            pass

    async def main() -> None:
        async with opened(url):
            waiting = asyncio.ensure_future(wait_for_it())
            await asyncio.sleep(0.1)  # its first try is over by then
            assert not waiting.done()
        await waiting

    asyncio.run(main())


def test_a_second_holder_through_a_link_is_refused(tmp_path: Path) -> None:
    path, link = tmp_path / "s.db", tmp_path / "link.db"
    link.symlink_to(path)

    async def open_again(_: Store) -> None:
        with pytest.raises(StoreError, match="Another paycli server"):
            await open_and_close(f"sqlite:///{link}")
        assert is_held(link)

    in_store(path, open_again)
    in_store(link, nothing)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"no database, just bytes" * 100, "not a SQLite database"), (b"", "")],
)
def test_a_file_that_is_no_database_is_left_alone(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "s.db"
    path.write_bytes(content)

    if not said:  # an empty file is an empty store
        in_store(path, nothing)
        return
    with pytest.raises(StoreError, match=said):
        in_store(path, nothing)
    assert path.read_bytes() == content


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with apsw.Connection(str(path)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    with pytest.raises(StoreError, match="another program"):
        in_store(path, nothing)


def test_a_store_of_a_newer_paycli_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    in_store(path, nothing)
    with apsw.Connection(str(path)) as connection:
        connection.pragma("user_version", 99)
    with pytest.raises(StoreError, match="schema version 99"):
        in_store(path, nothing)
    assert not is_held(path)


def test_whoever_leaves_a_store_in_a_hurry_closes_it_too(tmp_path: Path) -> None:
    path = tmp_path / "s.db"

    async def fail(store: Store) -> None:
        paying = asyncio.ensure_future(store.execute(make("o1")))
        await asyncio.sleep(0)
        paying.add_done_callback(lambda paid: paid.result())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        in_store(path, fail)
    assert not is_held(path)
    assert len(postings(path)) == 2


@pytest.mark.parametrize("url", ["", "mysql://x", "sqlite:///", "paycli.db", "sqlite://x.db"])
def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="is not a store"):
        asyncio.run(open_and_close(url))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be opened"):
        in_store(tmp_path / "file/s.db", nothing)


def test_a_folder_is_no_store_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="is not a file"):
        in_store(tmp_path / "folder", nothing)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_every_commit_is_on_disk_before_the_answer(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "s.db")
    with file.connect() as connection:
        assert (connection.pragma("synchronous"), connection.pragma("journal_mode")) == (2, "wal")
    connection.close()
    file.close()


def test_a_broken_store_takes_no_more_payments_and_says_so_once(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    failures: list[Health] = []

    async def main() -> None:
        async with open_store(f"sqlite:///{path}", failures.append) as store:
            await store.execute(make("o1"))
            with contextlib.closing(sqlite3.connect(path)) as connection:
                connection.execute("DROP VIEW posting")
                connection.execute("DROP TABLE entry")
            with pytest.raises(OutcomeOpen):
                await store.execute(make("o2"))
            with pytest.raises(StoreUnavailable):
                await store.execute(make("o3"))

    asyncio.run(main())
    assert failures == [Health.BROKEN]


def test_more_than_may_wait_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paycli.storage.group_commit.WAITING_MAX", 3)

    async def crowd(store: Store) -> None:
        at_once = (store.execute(make(f"o{n}")) for n in range(5))
        outcomes = await asyncio.gather(*at_once, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [Receipt] * 3 + [Overloaded] * 2

    in_store(tmp_path / "s.db", crowd)


def test_a_migration_that_fails_leaves_the_schema_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.db"
    broken = Migration(2, "broken", "CREATE TABLE half (a); CREATE nonsense")
    monkeypatch.setattr(
        "paycli.storage.sqlite.file.migrations", lambda _: (*migrations("sqlite"), broken)
    )
    with pytest.raises(StoreError, match="nonsense"):
        SqliteFile(path).connect()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)


def test_all_statements_of_a_read_see_the_same_moment(tmp_path: Path) -> None:
    path = tmp_path / "s.db"

    def count_twice(connection: apsw.Connection) -> list[int]:
        counts = [connection.execute("SELECT count(*) FROM balance").get]
        with contextlib.closing(sqlite3.connect(path, timeout=20)) as other:
            other.execute("INSERT INTO balance VALUES ('customer/meanwhile', 'EUR', 0)")
            other.commit()
        return [*counts, connection.execute("SELECT count(*) FROM balance").get]

    async def read(store: Store) -> None:
        assert isinstance(store, SqliteStore)
        assert await store._read(store._pages, count_twice) == [0, 0]

    in_store(path, read)
