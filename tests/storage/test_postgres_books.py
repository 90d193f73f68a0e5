"""`db` on a PostgreSQL store: what is changed behind paycli's back is seen; roles; copies."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from paycli.errors import CheckFailed, InputError, StoreError
from paycli.storage.postgres.migrate import migrate
from paycli.storage.postgres.pool import Address
from paycli.storage.postgres.verify import catalog
from paycli.storage.records import Verified
from paycli.storage.stores import (
    backup_store,
    inspect_store,
    migrate_store,
    open_store,
    restore_store,
    store_status,
    verify_store,
)
from tests import postgres
from tests.storage.test_books import LIVES, create, silent, url, written
from tests.storage.test_books import verify as verify_file

OTHERWISE = {
    "bigint": ("{} + 1", "0 - {}"),
    "integer": ("{} + 1", "0 - {}"),
    "smallint": ("{} + 1", "0 - {}"),
    "text": ("{} || 'x'", "''"),
}
HARMLESS = {("balance", "slot")}  # the sum of an account's rows is what counts
ROWS = 3


@pytest.fixture(scope="module")
def kept() -> str:
    """The same payments as in the SQLite stores of `test_books`, with the anchor of a backup."""
    store = postgres.new_store()

    async def write() -> None:
        async with open_store(store, lambda _: None) as opened:
            await opened.execute_all(LIVES)

    asyncio.run(write())
    anchor = verify_store(store, silent).anchor
    seq, _, digest = anchor.partition(":")
    postgres.sql(store, "INSERT INTO paycli.anchor VALUES ($1, $2)", int(seq), digest)
    return store


@pytest.fixture
def store(kept: str) -> str:
    """A copy of it."""
    return postgres.new_database(urlsplit(kept).path[1:])


def verify(store: str, since: str | None = None) -> Verified:
    return verify_store(store, silent, since)


async def columns_of(connection: asyncpg.Connection) -> list[tuple[str, str, str]]:
    query = (
        "SELECT table_name, column_name, data_type FROM information_schema.columns "
        "JOIN pg_tables ON tablename = table_name AND schemaname = table_schema "
        "WHERE table_schema = 'paycli' AND is_generated = 'NEVER' AND table_name <> 'migration'"
    )
    return [tuple(row) for row in await connection.fetch(query)]


def test_a_postgres_journal_has_the_anchor_of_the_same_journal_in_a_file(
    kept: str, tmp_path: Path
) -> None:
    written(tmp_path / "same.db", *LIVES)
    assert verify(kept) == verify_file(tmp_path / "same.db")


def test_each_column_of_each_row_changed_is_seen(kept: str, store: str) -> None:
    """What the tables refuse themselves cannot be there."""

    async def main() -> tuple[set[tuple[str, str]], list[str]]:
        tried, unseen = set(), []
        connection = await asyncpg.connect(store)
        await connection.execute("SET session_replication_role = replica; SET search_path = paycli")
        for table, column, kind in await columns_of(connection):
            for row in await connection.fetch(f"SELECT ctid, * FROM {table} LIMIT {ROWS}"):
                for otherwise in OTHERWISE[kind]:
                    value = otherwise.format(column)
                    change = (
                        f"UPDATE {table} SET {column} = {value} WHERE ctid = $1 "
                        f"AND {column} <> {value} RETURNING ctid"
                    )
                    try:
                        now = await connection.fetchval(change, row["ctid"])
                    except asyncpg.IntegrityConstraintViolationError:
                        continue
                    if now is None:
                        continue
                    tried.add((table, column))
                    if (table, column) not in HARMLESS and await asyncio.to_thread(
                        _is_right, store
                    ):
                        unseen.append(f"{table}.{column}: {value}")
                    back = f"UPDATE {table} SET {column} = $1 WHERE ctid = $2 RETURNING ctid, *"
                    row = await connection.fetchrow(back, row[column], now)
        await connection.close()
        return tried, unseen

    tried, unseen = asyncio.run(main())
    assert not unseen
    assert {table for table, _ in tried} == {"anchor", "balance", "entry", "intent", "payment"}
    assert len(tried) > 40
    assert verify(store) == verify(kept)


def _is_right(store: str) -> bool:
    try:
        verify(store)
    except CheckFailed:
        return False
    return True


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("DELETE FROM entry WHERE seq = 3", "breaks I5"),
        ("DELETE FROM payment WHERE payment_id = 'pay_other'", "breaks I5"),
        ("DELETE FROM balance", "breaks I4"),
        ("DROP TRIGGER entry_is_never_changed ON entry", "trigger entry_is_never_changed"),
        ("ALTER TABLE entry DISABLE TRIGGER entry_is_never_emptied", "trigger entry_is_never_em"),
        ("ALTER TABLE payment DROP CONSTRAINT payment_check2", "constraint payment.payment_check2"),
        ("DROP INDEX payment_by_order", "index payment_by_order"),
        (
            "ALTER TABLE entry DROP CONSTRAINT entry_request_key_is_used_once",
            "constraint entry.entry_request_key_is_used_once",
        ),
        (
            "CREATE OR REPLACE FUNCTION newest_seq() RETURNS bigint LANGUAGE sql AS 'SELECT 7::bigint'",
            "newest_seq",
        ),
        ("ALTER TABLE intent ALTER COLUMN seal DROP NOT NULL", "column intent.seal"),
    ],
)
def test_what_is_taken_away_is_seen(store: str, change: str, said: str) -> None:
    async def main() -> None:
        connection = await asyncpg.connect(store)
        await connection.execute("SET session_replication_role = replica; SET search_path = paycli")
        await connection.execute(change)
        await connection.close()

    asyncio.run(main())
    with pytest.raises(CheckFailed, match=said):
        verify(store)


def test_an_anchor_holds_while_the_store_goes_on_and_sees_what_is_cut_off(store: str) -> None:
    anchor = verify(store).anchor

    async def pay() -> None:
        async with open_store(store, lambda _: None) as opened:
            await opened.execute(create("later"))

    asyncio.run(pay())
    later = verify(store, anchor).anchor
    assert later != anchor
    with pytest.raises(CheckFailed, match="cut off"):
        verify(store, f"99:{'0' * 64}")
    with pytest.raises(CheckFailed, match="not what it was"):
        verify(store, f"3:{'0' * 64}")


def test_the_catalog_is_the_one_that_the_migrations_make() -> None:
    """Of a new store; else write it to sql/catalog.txt."""

    store = Address(postgres.new_store())

    async def main() -> set[str]:
        async with store.checking() as connection:
            return await catalog(connection)

    from paycli.storage import postgres as package

    kept = Path(package.__path__[0]) / "sql" / "catalog.txt"
    assert sorted(asyncio.run(main())) == kept.read_text().splitlines()


@contextmanager
def client_programs() -> Iterator[None]:
    """pg_dump and pg_restore of the server's version, on PATH."""
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{postgres.binaries()}:{before}"
    try:
        yield
    finally:
        os.environ["PATH"] = before


def test_a_backup_is_restored_with_the_anchor_of_its_journal(store: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.dump"
    with client_programs():
        backup_store(store, copy, silent)
        with pytest.raises(StoreError, match="nothing is overwritten"):
            backup_store(store, copy, silent)
        with pytest.raises(StoreError, match="has a store"):
            restore_store(copy, store, silent)
        other = postgres.new_database()
        restore_store(copy, other, silent)
        assert verify(other) == verify(store)
        assert len(postgres.sql(other, "SELECT * FROM paycli.anchor")) == 1
        (tmp_path / "cut.dump").write_bytes(copy.read_bytes()[:-200])
        empty = postgres.new_database()
        with pytest.raises(StoreError, match="pg_restore failed"):
            restore_store(tmp_path / "cut.dump", empty, silent)
        assert not postgres.sql(empty, "SELECT 1 FROM pg_namespace WHERE nspname = 'paycli'")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["copy.dump", "cut.dump"]


def test_a_backup_that_is_not_right_leaves_nothing(store: str, tmp_path: Path) -> None:
    async def damage() -> None:
        connection = await asyncpg.connect(store)
        await connection.execute("SET session_replication_role = replica; SET search_path = paycli")
        await connection.execute("DELETE FROM anchor; UPDATE balance SET amount = amount + 1")
        await connection.close()

    asyncio.run(damage())
    with client_programs():
        backup_store(store, tmp_path / "wrong.dump", silent)
        empty = postgres.new_database()
        with pytest.raises(CheckFailed, match=r"is not right, nothing was restored\. Account"):
            restore_store(tmp_path / "wrong.dump", empty, silent)
    assert not postgres.sql(empty, "SELECT 1 FROM pg_namespace WHERE nspname = 'paycli'")


def test_without_its_client_programs_there_is_another_way(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreError, match=r"pg_dump is not installed.*'paycli db copy'"):
        backup_store(store, tmp_path / "copy.dump", silent)


def test_status_and_inspection(store: str) -> None:
    found = store_status(store)
    assert found[1:8] == (1, False, False, 6, 8, 2, 2)
    assert found.bytes > 100_000
    assert inspect_store(store).usable
    empty = postgres.new_database()
    assert "serve' makes it" in inspect_store(empty).sentence
    with pytest.raises(StoreError, match="no store"):
        store_status(empty)
    nowhere = inspect_store(postgres.database(empty, "nowhere"))
    assert not nowhere.usable
    assert "There is no database" in nowhere.sentence

    async def serve() -> bool:
        async with open_store(store, lambda _: None):
            return (await asyncio.to_thread(store_status, store)).served

    assert asyncio.run(serve())


# -- roles


def role_of(store: str, name: str) -> str:
    """The URL of a new role without any rights, for the same store."""
    role = f"{name}_{urlsplit(store).path[1:]}"
    postgres.sql(store, f"CREATE ROLE {role} LOGIN")
    parts = urlsplit(store)
    return parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}").geturl()


def test_a_role_that_serves_cannot_touch_the_journal(store: str) -> None:
    serving = role_of(store, "serving")
    with pytest.raises(StoreError, match="db migrate --grant"):
        asyncio.run(_pay(serving, "one"))
    role = urlsplit(serving).username
    assert migrate_store(store, role) == (1, 1)
    asyncio.run(_pay(serving, "one"))
    verify(store)
    for forbidden in (
        "UPDATE paycli.entry SET amount = 1",
        "DELETE FROM paycli.entry",
        "TRUNCATE paycli.entry",
        "DELETE FROM paycli.payment",
        "UPDATE paycli.payment SET amount = 1",
        "UPDATE paycli.payment SET customer_id = ''",
        "DROP TABLE paycli.entry",
        "ALTER TABLE paycli.entry DISABLE TRIGGER ALL",
        "INSERT INTO paycli.migration VALUES (9, '')",
        "CREATE TABLE paycli.other ()",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            postgres.sql(serving, forbidden)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="append-only"):
        postgres.sql(store, "DELETE FROM paycli.entry")  # its owner cannot by mistake either


def test_a_role_that_may_create_nothing_is_told_who_makes_the_store() -> None:
    empty = postgres.new_database()
    with pytest.raises(StoreError, match="permission denied"):
        asyncio.run(_pay(role_of(empty, "guest"), "one"))
    with pytest.raises(InputError, match="not the name of a role"):
        migrate_store(empty, 'a"b')
    with pytest.raises(StoreError, match="does not exist"):
        migrate_store(empty, "nobody_of_that_name")


async def _pay(store: str, order: str) -> None:
    async with open_store(store, lambda _: None) as opened:
        await opened.execute(create(order))


def test_those_who_migrate_at_once_take_turns() -> None:
    empty = Address(postgres.new_database())

    async def main() -> list[tuple[int, int]]:
        return await asyncio.gather(*(migrate(empty) for _ in range(4)))

    assert sorted(asyncio.run(main())) == [(0, 1), (1, 1), (1, 1), (1, 1)]


def test_a_newer_schema_is_refused(store: str) -> None:
    postgres.sql(store, "INSERT INTO paycli.migration VALUES (2, 'of the future')")
    for do in (lambda: asyncio.run(_pay(store, "one")), lambda: verify(store)):
        with pytest.raises(StoreError, match="Use the newer paycli"):
            do()
    assert "newer paycli" in inspect_store(store).sentence


def test_the_url_of_a_file_takes_no_role(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--grant"):
        migrate_store(url(tmp_path / "s.db"), "somebody")
