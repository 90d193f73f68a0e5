"""`db verify` looks at every column of every table: each is changed in turn, and the change is seen."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from paycli.errors import CheckFailed, InputError, PaymentError, StoreError
from paycli.payments import commands
from paycli.payments.batch import Claimed, Intent, Receipt
from paycli.payments.commands import Change, Command, Create, Declined, Intend
from paycli.payments.money import MINOR_UNITS_MAX
from paycli.payments.payment import CaptureMethod
from paycli.payments.states import Action
from paycli.storage.intents import sealed_row_of
from paycli.storage.records import Verified
from paycli.storage.schema import migrations
from paycli.storage.sqlite.file import APPLICATION_ID, SqliteFile
from paycli.storage.sqlite.writer import SqliteWriter
from paycli.storage.stores import (
    backup_store,
    migrate_store,
    open_store,
    restore_store,
    verify_store,
)

NOW = 1_790_000_000_000_000


def create(order: str, amount: int = 1000, **given: object) -> Create:
    """A payment of `amount`, with a key of its own so that no other column tells its order."""
    wanted: dict[str, object] = {
        "payment_id": f"pay_{order}",
        "order_id": order,
        "customer_id": "ada",
        "currency": "EUR",
        "amount": amount,
        "now_us": NOW,
        "request_id": f"id of {order}",
    }
    return commands.create(**(wanted | given))  # type: ignore[arg-type]


def change(order: str, action: Action, amount: int = 0, reason: str = "") -> Change:
    """Something that is done to a payment later."""
    return commands.change(
        payment_id=f"pay_{order}",
        action=action,
        now_us=NOW + 5,
        request_id=f"{action} {order}",
        amount=amount,
        reason=reason,
    )


LIVES: tuple[Command, ...] = (
    create("plain"),
    create("other", customer_id="bob"),
    Declined(create("declined", capture_method=CaptureMethod.MANUAL), "LOST_CARD"),
    create("held", capture_method=CaptureMethod.MANUAL, expires_us=NOW + 10**9),
    create("part", capture_method=CaptureMethod.MANUAL, expires_us=NOW + 10**9),
    change("part", Action.CAPTURE, 400),
    change("part", Action.REFUND, 100, "cold coffee"),
    Intend(create("asked", customer_id="eve"), "a claim", NOW + 10**7),
    Intend(change("other", Action.REFUND, 50, "late"), "another", NOW + 10**7),
    create("last", customer_id="carol"),
)


def written(path: Path, *lives: Command) -> Path:
    """A store in which these happened, none of them refused."""
    with contextlib.closing(SqliteFile(path)) as file:
        outcomes, _ = SqliteWriter(file.connect()).write(lives)
    assert all(isinstance(each, Receipt | Claimed) for each in outcomes)
    return path


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that is right, as it is after a restore of a backup: with an anchor in it."""
    folder = tmp_path_factory.mktemp("books")
    written(folder / "first.db", *LIVES)
    backup_store(url(folder / "first.db"), folder / "kept.db", silent)
    return folder / "kept.db"


@pytest.fixture
def store(kept: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copy(kept, tmp_path / "copy.db"))


def url(path: Path) -> str:
    """The store's URL."""
    return f"sqlite:///{path}"


def silent(done: int, of_all: int) -> None:
    """No progress bar."""


def verify(path: Path, since: str | None = None) -> Verified:
    """All of it."""
    return verify_store(url(path), silent, since)


@contextlib.contextmanager
def unguarded(path: Path) -> Iterator[sqlite3.Connection]:
    """Raw SQL with neither triggers nor CHECKs."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("PRAGMA synchronous = OFF")
        query = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
        triggers = connection.execute(query).fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        yield connection
        for _, sql in triggers:
            connection.execute(sql)


def columns() -> list[tuple[str, str, str]]:
    """(table, column, type) of the schema as it is now: a new column is tried by itself."""
    with contextlib.closing(SqliteFile(None)) as file:
        connection = file.connect()
        query = (
            "SELECT tables.name, columns.name, columns.type FROM sqlite_schema AS tables "
            "JOIN pragma_table_info(tables.name) AS columns WHERE tables.type = 'table' "
            "ORDER BY tables.name, columns.cid"
        )
        return [(str(a), str(b), str(c)) for a, b, c in connection.execute(query).fetchall()]


COLUMNS = columns()
OTHERWISE = {"INTEGER": ("{} + 1", "0 - {}", "{} + 1000000000000000"), "TEXT": ("{} || 'x'", "''")}


def rows_of(path: Path, table: str) -> list[tuple[object, ...]]:
    """The keys of a table's rows."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        keys = keys_of(connection, table)
        return connection.execute(f"SELECT {', '.join(keys)} FROM {table}").fetchall()


def keys_of(connection: sqlite3.Connection, table: str) -> list[str]:
    """The columns of a table's primary key."""
    query = "SELECT name FROM pragma_table_info(?) WHERE pk ORDER BY pk"
    return [name for (name,) in connection.execute(query, (table,))]


def test_the_books_are_right_and_each_table_has_rows_to_tamper_with(kept: Path) -> None:
    verified = verify(kept)
    assert verified[:3] == (6, 8, 2)
    assert {table for table, _, _ in COLUMNS} == {"anchor", "balance", "entry", "intent", "payment"}
    assert all(rows_of(kept, table) for table in {table for table, _, _ in COLUMNS})


@pytest.mark.parametrize(("table", "column", "kind"), COLUMNS)
def test_each_column_of_each_row_changed_is_seen(
    store: Path, kept: Path, table: str, column: str, kind: str
) -> None:
    unseen, tried = [], 0
    for row in rows_of(kept, table):
        for otherwise in OTHERWISE[kind]:
            shutil.copy(kept, store)
            with unguarded(store) as connection:
                where = " AND ".join(f"{key} = ?" for key in keys_of(connection, table))
                value = otherwise.format(column)
                changed = connection.execute(
                    f"UPDATE OR IGNORE {table} SET {column} = {value} WHERE {where} AND {column} <> {value}",
                    row,
                ).rowcount
            tried += changed
            try:
                verify(store)
            except CheckFailed:
                continue
            if changed:
                unseen.append((row, otherwise))
    assert tried
    assert not unseen


@pytest.mark.parametrize("table", ["payment", "entry", "balance", "intent"])
def test_each_row_removed_is_seen_but_an_intent(store: Path, kept: Path, table: str) -> None:
    for row in rows_of(kept, table):
        shutil.copy(kept, store)
        with unguarded(store) as connection:
            where = " AND ".join(f"{key} = ?" for key in keys_of(connection, table))
            connection.execute(f"DELETE FROM {table} WHERE {where}", row)
        if table == "intent":  # one that is not on record any more was withdrawn
            assert verify(store).open_intents == 1
            continue
        with pytest.raises(CheckFailed):
            verify(store)


@pytest.mark.parametrize("table", ["payment", "entry", "intent", "balance", "anchor"])
def test_an_invented_row_is_seen(store: Path, table: str) -> None:
    with unguarded(store) as connection:
        names = [name for of, name, _ in COLUMNS if of == table]
        texts = {name for of, name, kind in COLUMNS if of == table and kind == "TEXT"}
        keys = keys_of(connection, table)
        own = {
            "balance": {"amount": "0"},
            "entry": {"request_key": "'key\x1fnew'"},
            "intent": {"payment_id": "'pay_new'"},
        }.get(table, {})
        for key in keys[:1]:
            own[key] = f"max({key}) || 'x'" if key in texts else f"max({key}) + 1"
        values = ", ".join(own.get(name, name) for name in names)
        connection.execute(f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table}")
    with pytest.raises(CheckFailed):
        verify(store)


SWAPPED = {
    "customers": "UPDATE payment SET customer_id = iif(customer_id = 'ada', 'bob', 'ada') "
    "WHERE payment_id IN ('pay_plain', 'pay_other')",
    "order ids": "UPDATE payment SET order_id = iif(order_id = 'plain', 'other', 'plain') "
    "WHERE payment_id IN ('pay_plain', 'pay_other')",
    "sequence numbers": "UPDATE entry SET seq = 99 WHERE seq = 1; "
    "UPDATE entry SET seq = 1 WHERE seq = 2; UPDATE entry SET seq = 2 WHERE seq = 99; "
    "UPDATE payment SET created_seq = 3 - created_seq WHERE created_seq < 3",
    "keys": "UPDATE entry SET request_key = 'x' WHERE seq = 1; "
    "UPDATE entry SET request_key = 'key\x1fid of plain' WHERE seq = 2; "
    "UPDATE entry SET request_key = 'key\x1fid of other' WHERE seq = 1",
}


@pytest.mark.parametrize("what", SWAPPED)
def test_what_was_swapped_is_seen(store: Path, what: str) -> None:
    with unguarded(store) as connection:
        connection.executescript(SWAPPED[what])
    with pytest.raises(CheckFailed, match="breaks I3"):
        verify(store)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE payment SET currency = 'ZZZ'", "currency, 'ZZZ'"),
        (
            "UPDATE payment SET amount = 1000000000000000, authorized = 0",
            "amount, 1000000000000000",
        ),
    ],
)
def test_what_could_never_be_paid_is_named(store: Path, statement: str, said: str) -> None:
    with unguarded(store) as connection:
        connection.execute(f"{statement} WHERE payment_id = 'pay_declined'")
    with pytest.raises(CheckFailed, match=said):
        verify(store)


# -- the anchor


def cut_tail(path: Path) -> None:
    """Remove the last payment whole, with all that says it was ever there."""
    with unguarded(path) as connection:
        connection.executescript(
            "DELETE FROM entry WHERE payment_id = 'pay_last'; "
            "DELETE FROM payment WHERE payment_id = 'pay_last'; "
            "DELETE FROM balance WHERE account = 'customer/carol'; "
            "UPDATE balance SET amount = amount - 1000 WHERE account = 'merchant'; "
            "DELETE FROM anchor"
        )


def rewrite(path: Path) -> None:
    """Change an order id, and seal it anew as somebody would who knows how."""
    with unguarded(path) as connection:
        from paycli.payments.payment import Entry, Payment
        from paycli.payments.seals import seal

        connection.execute("UPDATE payment SET order_id = 'new' WHERE payment_id = 'pay_plain'")
        names = ", ".join(Payment._fields)
        payment = Payment(
            *connection.execute(f"SELECT {names} FROM payment WHERE created_seq = 1").fetchone()
        )
        names = ", ".join(Entry._fields)
        entry = Entry(*connection.execute(f"SELECT {names} FROM entry WHERE seq = 1").fetchone())
        connection.execute("UPDATE entry SET seal = ? WHERE seq = 1", (seal(payment, entry),))
        connection.execute("DELETE FROM anchor")


@pytest.mark.parametrize("consistently", [cut_tail, rewrite])
def test_a_consistent_edit_is_seen_by_an_anchor_alone(store: Path, consistently: object) -> None:
    anchor = verify(store).anchor
    assert callable(consistently)
    consistently(store)
    assert verify(store).anchor != anchor
    with pytest.raises(CheckFailed, match=r"breaks I[37]"):
        verify(store, anchor)


def test_an_anchor_holds_while_the_store_goes_on(tmp_path: Path) -> None:
    path = written(tmp_path / "s.db", *LIVES)
    anchor = verify(path).anchor
    written(path, create("new"), change("held", Action.CAPTURE), change("plain", Action.REFUND))
    later = verify(path, anchor).anchor
    assert later.startswith("11:")
    assert verify(path, later).anchor == later


def test_an_anchor_of_the_beginning_is_one(tmp_path: Path) -> None:
    path = written(tmp_path / "s.db")
    anchor = verify(path).anchor
    assert anchor.startswith("0:")
    written(path, *LIVES)
    verify(path, anchor)
    with pytest.raises(CheckFailed):
        verify(path, f"0:{'0' * 64}")


@pytest.mark.parametrize("text", ["8", "8:", "x:" + "0" * 64, "-1:" + "0" * 64, "8:" + "0" * 63])
def test_what_is_no_anchor_is_wrong_usage(store: Path, text: str) -> None:
    with pytest.raises(InputError, match="is not an anchor"):
        verify(store, text)


def test_a_restored_store_remembers_the_anchor_of_its_backup(store: Path, tmp_path: Path) -> None:
    restored = tmp_path / "restored.db"
    restore_store(store, url(restored), silent)
    with unguarded(restored) as connection:
        assert connection.execute("SELECT seq FROM anchor").fetchall() == [(8,)]
    written(restored, create("after"))
    verify(restored)


# -- restore and backup


def test_a_backup_that_is_wrong_is_not_restored(store: Path, tmp_path: Path) -> None:
    with unguarded(store) as connection:
        connection.execute("UPDATE payment SET order_id = 'new' WHERE payment_id = 'pay_plain'")
    with pytest.raises(CheckFailed, match=r"nothing was restored\. Entry 1 .* another backup\.$"):
        restore_store(store, url(tmp_path / "new" / "restored.db"), silent)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("page", [1, 2, 5])
def test_a_backup_with_a_page_of_noise_is_not_restored(
    store: Path, tmp_path: Path, page: int
) -> None:
    data = bytearray(store.read_bytes())
    data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    store.write_bytes(data)
    with pytest.raises((CheckFailed, StoreError), match="damaged"):
        restore_store(store, url(tmp_path / "restored.db"), silent)
    assert not (tmp_path / "restored.db").exists()


def test_a_backup_into_a_folder_that_is_not_there_names_the_folder(
    store: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "none" / "copy.db"
    with pytest.raises(StoreError) as problem:
        backup_store(url(store), copy, silent)
    assert problem.value.message == (
        f"Cannot write {copy}: there is no folder {copy.parent}. Make it, or name another file."
    )


def test_a_backup_is_on_disk_with_its_name(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    really = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    folder = tmp_path / "copies"
    folder.mkdir()
    backup_store(url(store), folder / "copy.db", silent)
    assert synced[-1] == folder


# -- an intent that paycli did not record


def test_an_invented_intent_is_never_taken_up_by_itself(tmp_path: Path) -> None:
    path = written(tmp_path / "s.db", Intend(create("asked"), "a claim", NOW))
    with unguarded(path) as connection:
        names = [name for table, name, _ in COLUMNS if table == "intent"]
        own = {"request_key": "'key\x1fmine'", "payment_id": "'pay_mine'"}
        values = ", ".join(own.get(name, name) for name in names)
        connection.execute(f"INSERT INTO intent SELECT {values} FROM intent")
    for _ in range(2):  # nor at the start after that
        assert open_after_start(path) == ["key\x1fid of asked"]
        with pytest.raises(CheckFailed, match="pay_mine breaks I6"):
            verify(path)


def open_after_start(path: Path) -> list[str]:
    """What a server would settle."""

    async def main() -> list[str]:
        async with open_store(url(path), lambda _: None) as store:
            return await store.open_intents(2**60, 10)

    return asyncio.run(main())


def test_an_intent_that_was_answered_is_named(store: Path) -> None:
    with unguarded(store) as connection:
        row = sealed_row_of(Intent(create("plain"), "ada", "", 0))
        connection.execute(f"INSERT INTO intent VALUES ({', '.join('?' * len(row))})", row)
    with pytest.raises(CheckFailed, match="entry 1 is its answer already"):
        verify(store)


# -- the largest balances


def test_the_least_balance_is_counted_right(tmp_path: Path) -> None:
    """-2^63, when a part of it is held; a unit more is refused, and the books stay right."""
    whole, rest = divmod(2**63, MINOR_UNITS_MAX)
    wanted = [create(f"n{n}", MINOR_UNITS_MAX) for n in range(whole)]
    path = written(tmp_path / "s.db", *wanted)
    written(path, create("held", rest, capture_method=CaptureMethod.MANUAL, expires_us=NOW + 9))
    with contextlib.closing(SqliteFile(path)) as file:
        connection = file.connect()
        query = "SELECT amount FROM balance WHERE account = 'customer/ada'"
        assert connection.execute(query).get == -(2**63)
        ((refused,), _) = SqliteWriter(connection).write([create("more", 1)])
    assert isinstance(refused, PaymentError)
    assert refused.reason == "BALANCE_LIMIT"
    assert verify(path).payments == whole + 1


def test_an_error_inside_the_check_is_not_that_the_store_cannot_be_opened(store: Path) -> None:
    damaged = bytearray(store.read_bytes())
    page = damaged.index(b"customer/ada") // 4096 * 4096  # where the balances are
    damaged[page : page + 8] = b"\xff" * 8
    store.write_bytes(damaged)
    with pytest.raises(CheckFailed, match="file is damaged"):
        verify(store)


# -- stores from before there were seals


def test_what_an_older_paycli_wrote_is_sealed_by_the_migration(kept: Path, tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for step in migrations("sqlite")[:3]:
            connection.executescript(step.sql)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 3")
        connection.execute("ATTACH ? AS kept", (str(kept),))
        for table in ("payment", "entry", "balance"):
            names = ", ".join(name for of, name, _ in COLUMNS if of == table and name != "seal")
            connection.execute(f"INSERT INTO {table} SELECT {names} FROM kept.{table}")
        names = "request_key, payment_id, order_id, customer_id, currency, amount, now_us"
        names += ", capture_method, expires_us, '', claim, lease_us"
        connection.execute(
            f"INSERT INTO intent SELECT {names} FROM kept.intent WHERE action = 'create'"
        )
    migrate_store(url(path))
    assert verify(path)[:3] == (*verify(kept)[:2], 1)
    assert verify(path).anchor == verify(kept).anchor
