"""`db copy`: all of a store comes over, whatever interrupts it, and nothing else is taken for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from paycli.errors import (
    CheckFailed,
    InputError,
    PaycliError,
    StoreError,
    StoreInUse,
    StoreUnavailable,
)
from paycli.payments.batch import Claimed, Receipt
from paycli.payments.commands import Command
from paycli.payments.payment import CaptureMethod, Payment
from paycli.payments.states import Action
from paycli.payments.store import Store
from paycli.storage import copying
from paycli.storage.anchors import anchor_of
from paycli.storage.records import Verified
from paycli.storage.sqlite.file import SCHEMA_VERSION
from paycli.storage.stores import (
    backup_store,
    copy_store,
    inspect_store,
    migrate_store,
    open_store,
    store_status,
    verify_store,
)
from tests import postgres
from tests.conftest import run_paycli
from tests.storage.test_books import (
    LIVES,
    NOW,
    change,
    create,
    silent,
    unguarded,
    url,
    written,
)
from tests.storage.test_postgres_books import role_of

MORE: tuple[Command, ...] = (
    create("å \u1e9b\u0323", customer_id="Zoë \U0001f600"),  # which NFC would change
    create("yen", currency="JPY"),
    create("final", capture_method=CaptureMethod.MANUAL, expires_us=NOW + 10**9),
    change("final", Action.CAPTURE, 1000),
    create("void", capture_method=CaptureMethod.MANUAL, expires_us=NOW + 10**9),
    change("void", Action.VOID),
    change("plain", Action.REFUND, 1000, "ünwanted"),
)
TABLES = {
    "payment": ", ".join(Payment._fields),
    "entry": "*",
    "intent": "*",
    "anchor": "*",
    "balance": "account, currency, sum(amount)",
}


def copy(source: str, target: str) -> Verified:
    """Without a progress bar."""
    return copy_store(source, target, lambda _: silent)


def write(store: str, *lives: Command) -> None:
    """Have these happen in a store, none of them refused."""

    async def main() -> None:
        async with open_store(store, lambda _: None) as opened:
            outcomes = await opened.execute_all(lives)
            assert all(isinstance(each, Receipt | Claimed) for each in outcomes)

    asyncio.run(main())


def rows_of(store: str, table: str) -> list[tuple[object, ...]]:
    """A table as it is kept, in the order of its first columns."""
    end = " GROUP BY account, currency" if table == "balance" else ""
    if store.startswith("postgres"):
        query = f"SELECT {TABLES[table]} FROM paycli.{table}{end}"
        rows = postgres.sql(store, query)
    else:
        with contextlib.closing(sqlite3.connect(store.removeprefix("sqlite:///"))) as connection:
            rows = connection.execute(f"SELECT {TABLES[table]} FROM {table}{end}").fetchall()
    return sorted(rows)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with payments in all states, as a restore left it: with an anchor in it."""
    folder = tmp_path_factory.mktemp("copy")
    written(folder / "first.db", *LIVES)
    backup_store(url(folder / "first.db"), folder / "kept.db", silent)
    return url(written(folder / "kept.db", *MORE))


@pytest.fixture(scope="module")
def shared(kept: str) -> str:
    """A PostgreSQL store with the same, but for the numbers between its entries that were lost."""
    store = postgres.new_store()
    write(store, *LIVES)
    postgres.sql(store, "SELECT nextval('paycli.entry_seq') FROM generate_series(1, 70)")
    write(store, *MORE)
    anchor = anchor_of(verify_store(store, silent).anchor)
    postgres.sql(store, "INSERT INTO paycli.anchor VALUES ($1, $2)", *anchor)
    return store


@pytest.fixture(params=["sqlite", "postgres"])
def source(request: pytest.FixtureRequest) -> str:
    store: str = request.getfixturevalue({"sqlite": "kept", "postgres": "shared"}[request.param])
    return store


@pytest.fixture(params=["sqlite", "postgres"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place where no store is yet."""
    return url(tmp_path / "new.db") if request.param == "sqlite" else postgres.new_database()


def test_all_comes_over_unchanged(source: str, target: str) -> None:
    assert copy(source, target) == verify_store(source, silent) == verify_store(target, silent)
    for table in TABLES:
        assert rows_of(target, table) == rows_of(source, table)
        assert rows_of(target, table)
    last = int(verify_store(target, silent).anchor.partition(":")[0])
    write(target, create("next"))
    assert rows_of(target, "entry")[-1][:2] == (last + 1, "pay_next")
    assert verify_store(target, silent, verify_store(source, silent).anchor).payments == 11


def test_an_empty_store_becomes_a_store(target: str) -> None:
    source = postgres.new_store()
    assert copy(source, target)[:3] == (0, 0, 0)
    write(target, create("first"))
    assert rows_of(target, "entry")[0][0] == 1


def test_once_more_is_the_same_and_then_the_target_has_payments_of_its_own(
    source: str, target: str
) -> None:
    assert copy(source, target) == copy(source, target)
    write(target, create("its own"))
    before = verify_store(target, silent)
    with pytest.raises(StoreError, match="holds other payments already, and nothing was copied"):
        copy(source, target)
    assert verify_store(target, silent) == before


# -- interruptions


class Interrupted(Exception):
    pass


def part(
    source: str, target: str, monkeypatch: pytest.MonkeyPatch, phase: str = "copied", pages: int = 3
) -> None:
    """A copy that ends after a few pages of two entries, or in a later phase."""
    with monkeypatch.context() as patch:
        for kind in ("sqlite", "postgres"):
            patch.setattr(f"paycli.storage.{kind}.copying.AT_ONCE", 2)
        count = iter(range(pages - 1))

        def progress(done: int, of_all: int) -> None:
            if next(count, None) is None:
                raise Interrupted

        with pytest.raises(Interrupted):
            copy_store(source, target, lambda what: progress if phase in what else silent)


def test_nobody_opens_a_part_of_a_store(
    source: str, target: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    part(source, target, monkeypatch)
    ways: tuple[Callable[[], object], ...] = (
        lambda: verify_store(target, silent),
        lambda: store_status(target),
        lambda: migrate_store(target),
        lambda: backup_store(target, tmp_path / "backup", silent),
        lambda: write(target, create("new")),
        lambda: copy(target, source),
    )
    for do in ways:
        with pytest.raises(StoreError, match=r"is not whole: .* Run the same 'paycli db copy'"):
            do()
    assert not inspect_store(target).usable
    assert "is not whole" in inspect_store(target).sentence


def test_what_happened_in_the_source_between_two_runs_comes_over(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = url(written(tmp_path / "s.db", *LIVES))
    part(source, target, monkeypatch)
    write(source, change("plain", Action.REFUND, 10), create("later", customer_id="new"))
    part(source, target, monkeypatch, phase="of the copy checked", pages=1)
    write(source, change("last", Action.REFUND, 10), *MORE[:2])
    assert copy(source, target) == verify_store(source, silent)
    for table in TABLES:
        assert rows_of(target, table) == rows_of(source, table)


def test_a_part_of_another_store_is_not_gone_on_with(
    source: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = url(written(tmp_path / "other.db", *map(create, "abcdefgh")))
    part(other, target, monkeypatch)
    with pytest.raises(StoreError, match="holds a part of another store than"):
        copy(source, target)
    assert copy(other, target).payments == 8


def change_in(store: str, query: str) -> None:
    """Behind paycli's back."""
    if store.startswith("sqlite"):
        with unguarded(Path(store.removeprefix("sqlite:///"))) as connection:
            connection.execute(query)
    else:

        async def main() -> None:
            connection = await asyncpg.connect(store)
            await connection.execute("SET session_replication_role = replica")
            await connection.execute("SET search_path = paycli")
            await connection.execute(query)
            await connection.close()

        asyncio.run(main())


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("UPDATE entry SET amount = amount + 1 WHERE seq = 1", r"^Entry 1 of payment pay_plain"),
        (
            "UPDATE payment SET captured = captured - 1 WHERE payment_id = 'pay_other'",
            r"^The copy in .* nobody can serve it\. .*pay_other breaks .* Remove it and copy again\.$",
        ),
        ("DELETE FROM entry WHERE seq = 2", "holds a part of another store than"),
    ],
)
def test_a_page_of_the_target_that_was_changed_is_noticed(
    source: str, target: str, monkeypatch: pytest.MonkeyPatch, query: str, sentence: str
) -> None:
    part(source, target, monkeypatch)
    change_in(target, query)
    with pytest.raises((CheckFailed, StoreError), match=sentence):
        copy(source, target)
    with pytest.raises(StoreError, match="is not whole"):
        write(target, create("new"))


def test_a_copy_that_is_right_in_itself_but_not_the_same_is_noticed(
    source: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = copying._prove

    async def prove(*given: object) -> None:
        gone = "DELETE FROM intent WHERE payment_id = 'pay_asked'"
        await asyncio.to_thread(change_in, target, gone)
        await really(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(copying, "_prove", prove)
    with pytest.raises(CheckFailed, match=r"It holds .*open_intents=1.* should hold .*=2"):
        copy(source, target)
    with pytest.raises(StoreError, match="is not whole"):
        write(target, create("new"))


@pytest.mark.parametrize("to", ["sqlite", "postgres"])
def test_killed_again_and_again_it_gets_there(tmp_path: Path, to: str) -> None:
    count = 3000
    source = tmp_path / "s.db"
    lives = [create(f"{n:05}", customer_id=f"c{n % 700}") for n in range(count)]
    refunds = [change(f"{n:05}", Action.REFUND, 1) for n in range(0, count, 3)]
    for at in range(0, count, 1000):
        written(source, *lives[at : at + 1000])
    written(source, *refunds)
    target = url(tmp_path / "t.db") if to == "sqlite" else postgres.new_database()
    for step, number in (
        ("add", 2),
        ("add", 3),
        ("add", 1),
        ("replace_rest", 1),
        ("finish", 1),
    ):
        copy_that_is_killed(url(source), target, step, number)
    assert copy(url(source), target) == verify_store(url(source), silent)
    for table in TABLES:
        assert rows_of(target, table) == rows_of(url(source), table)


def test_ctrl_c_ends_it_between_two_pages(tmp_path: Path) -> None:
    source, target = written(tmp_path / "s.db", *LIVES, *MORE), tmp_path / "t.db"
    program = f"""
import os, signal, sys
from paycli.cli.app import run
from paycli.storage.sqlite import copying

copying.AT_ONCE = 2
really = copying.SqliteTarget.add

async def add(*given):
    await really(*given)
    os.kill(os.getpid(), signal.SIGINT)

copying.SqliteTarget.add = add
sys.exit(run(["db", "copy", {url(source)!r}, {url(target)!r}]))
"""
    line = [sys.executable, "-c", program]
    ended = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
    assert len(rows_of(url(target), "entry")) == 2
    assert copy(url(source), url(target)) == verify_store(url(source), silent)


def copy_that_is_killed(source: str, target: str, step: str, number: int) -> None:
    """While it makes this step for the so many-th time, or right after it."""
    program = f"""
import os, signal, threading, time
from paycli.storage.postgres import copying as postgres
from paycli.storage.sqlite import copying as sqlite
from paycli.storage.stores import copy_store

postgres.AT_ONCE = sqlite.AT_ONCE = 300
left = {number}

def killed(really):
    async def step(*given):
        global left
        left -= 1
        if left == 0:
            threading.Timer(0.002, os.kill, (os.getpid(), signal.SIGKILL)).start()
        await really(*given)
        if left == 0:
            time.sleep(60)
    return step

for kind in (sqlite.SqliteTarget, postgres.PostgresTarget):
    kind.{step} = killed(kind.{step})
copy_store({source!r}, {target!r}, lambda what: lambda done, of_all: None)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


# -- refusals


@contextlib.asynccontextmanager
async def served(store: str) -> AsyncIterator[Store]:
    """As a server has it."""
    async with open_store(store, lambda _: None) as opened:
        await opened.payment("pay_none")
        yield opened


def test_a_store_that_is_served_is_neither_copied_nor_copied_to(tmp_path: Path) -> None:
    file, database = url(written(tmp_path / "s.db", *LIVES)), postgres.new_store()
    other, nowhere = postgres.new_store(), url(tmp_path / "new" / "t.db")

    async def main() -> None:
        async with served(file), served(database):
            for source, target in (
                (file, nowhere),
                (database, nowhere),
                (other, file),
                (other, database),
            ):
                with pytest.raises(StoreInUse, match=r"paycli server .*is using the store"):
                    await asyncio.to_thread(copy, source, target)

    asyncio.run(main())
    assert not (tmp_path / "new").exists()


def test_nothing_is_written_to_a_store_while_it_is_copied(source: str, tmp_path: Path) -> None:
    target = url(tmp_path / "t.db")
    refused: list[PaycliError] = []

    def progress(*_: int) -> None:
        with ThreadPoolExecutor(1) as beside, pytest.raises(PaycliError) as problem:
            beside.submit(write, source, create("meanwhile")).result()
        refused.append(problem.value)

    copied = copy_store(source, target, lambda what: progress if "copied" in what else silent)
    assert isinstance(refused[0], StoreInUse | StoreUnavailable)
    assert copied == verify_store(source, silent) == verify_store(target, silent)


def test_a_store_is_not_copied_to_itself(kept: str, shared: str, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(kept.removeprefix("sqlite:///"))
    for store, again in ((kept, url(link)), (shared, shared.replace("127.0.0.1", "localhost"))):
        before = verify_store(store, silent)
        with pytest.raises(InputError, match="are the same store"):
            copy(store, again)
        assert verify_store(store, silent) == before


def test_a_source_that_is_wrong_is_not_copied(kept: str, tmp_path: Path) -> None:
    store = Path(shutil.copy(kept.removeprefix("sqlite:///"), tmp_path / "s.db"))
    change_in(url(store), "UPDATE payment SET order_id = 'new' WHERE payment_id = 'pay_plain'")
    with pytest.raises(CheckFailed, match=r"^Entry 1 of payment pay_plain"):
        copy(url(store), url(tmp_path / "new" / "t.db"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        (SCHEMA_VERSION - 1, "Back it up, then run 'paycli db migrate'"),
        (99, "Use the newer paycli"),
    ],
)
def test_a_file_of_another_schema_is_neither_copied_nor_copied_to(
    tmp_path: Path, kept: str, version: int, sentence: str
) -> None:
    other = written(tmp_path / "s.db", *LIVES)
    with contextlib.closing(sqlite3.connect(other)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    for source, target in ((url(other), url(tmp_path / "new" / "t.db")), (kept, url(other))):
        with pytest.raises(StoreError, match=sentence):
            copy(source, target)
    assert not (tmp_path / "new").exists()


def test_a_database_of_a_newer_paycli_is_neither_copied_nor_copied_to(
    kept: str, tmp_path: Path
) -> None:
    other = postgres.new_store()
    postgres.sql(other, "INSERT INTO paycli.migration VALUES (99, 'newer')")
    for source, target in ((other, url(tmp_path / "t.db")), (kept, other)):
        with pytest.raises(StoreError, match="Use the newer paycli"):
            copy(source, target)
    assert not (tmp_path / "t.db").exists()


def test_only_its_owner_copies_into_a_database(kept: str) -> None:
    served = role_of(postgres.new_store(), "serving")
    migrate_store(
        served.replace(str(urlsplit(served).username), "postgres"), urlsplit(served).username
    )
    for target in (served, role_of(postgres.new_database(), "nobody")):
        with pytest.raises(StoreError, match=r"^Only its owner can copy into .*permission denied"):
            copy(kept, target)


def test_two_copies_into_one_store_take_turns(
    kept: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    part(kept, target, monkeypatch)

    def progress(*_: int) -> None:
        with ThreadPoolExecutor(1) as beside, pytest.raises(StoreError, match="Another"):
            beside.submit(copy, kept, target).result()

    copied = copy_store(kept, target, lambda what: progress if "copied" in what else silent)
    assert copied == verify_store(kept, silent)


# -- the command


def test_the_command_says_what_came_over_and_keeps_passwords_out_of_sight(
    kept: str, tmp_path: Path
) -> None:
    target = postgres.new_database()
    verified = verify_store(kept, silent)
    said = run_paycli("db", "copy", kept, target)
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout == (
        f"Copied {kept} to {target}: 10 payments, 15 journal entries, 2 open at the processor.\n"
        f"Anchor of both: {verified.anchor}\n"
    )
    again = run_paycli("db", "copy", target, url(tmp_path / "t.db"), "--json")
    assert json.loads(again.stdout) == {"verdict": "right", **verified._asdict()}
    refused = run_paycli("db", "copy", kept, "postgresql://me:secret@localhost/db")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "PGPASSWORD" in refused.stderr
    assert "secret" not in refused.stderr
