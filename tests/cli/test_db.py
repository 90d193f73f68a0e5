"""`paycli db`: each command on real stores, whole, old, foreign, damaged and tampered with."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from paycli.cli.app import run
from paycli.errors import CheckFailed
from paycli.payments.payment import Entry, Payment
from paycli.storage.schema import migrations
from paycli.storage.sqlite.file import APPLICATION_ID, SCHEMA_VERSION
from paycli.storage.stores import verify_store
from tests.conftest import Server, StartServer, run_paycli, servers_in
from tests.wire import Client, client_of, creation

COMMANDS = ("migrate", "verify", "status")


def db(command: str, path: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `paycli db`; in this process, because there are many of them."""
    line = ["db", command, *map(str, arguments), "--store", f"sqlite:///{path}"]
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        code = run(line)
    return subprocess.CompletedProcess(line, code, stdout.getvalue(), stderr.getvalue())


def problem_of(ended: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """The one sentence that a command failed with."""
    assert (ended.returncode, ended.stdout) == (code, ""), ended.stderr
    assert ended.stderr.startswith("Error: ")
    assert ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr.removeprefix("Error: ").rstrip("\n")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Raw SQL, without the rules: statement by statement, no CHECK."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA ignore_check_constraints = ON")
    try:
        yield connection
    finally:
        connection.close()


def fill(client: Client) -> None:
    """One payment for each life, named by its order."""
    for n in range(30):
        client.create("10.00", order_id=f"plain {n}", customer_id=f"c{n % 3}")
    client.create("10.00", order_id="charged")
    client.create("500", "JPY", order_id="yen")
    client.create("10.00", order_id="declined", customer_id="sim_decline_lost_card")
    client.authorize("10.00", order_id="held")
    part = client.authorize("10.00", order_id="part")
    client.capture(part.name, "4.00")
    client.refund(part.name, "1.00")
    final = client.authorize("10.00", order_id="final")
    client.capture(final.name, "4.00", final=True)
    client.void(client.authorize("10.00", order_id="voided").name)
    client.refund(client.create("10.00", order_id="refunded").name)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose server has stopped; tests copy it."""
    folder = tmp_path_factory.mktemp("db")
    with servers_in(folder) as start:
        server = start()
        with client_of(server.target) as client:
            fill(client)
        assert server.stop() == 0
    return server.store


@pytest.fixture
def store(kept: Path, tmp_path: Path) -> Path:
    """A copy of that store."""
    return Path(shutil.copy(kept, tmp_path / "copy.db"))


# -- what is right


def test_each_command_on_a_store_that_is_right(store: Path, tmp_path: Path) -> None:
    verified = db("verify", store)
    assert (verified.returncode, verified.stderr) == (0, "")
    right, anchor = verified.stdout.splitlines()
    assert right == "All is right: 38 payments, 43 journal entries."
    assert re.fullmatch(r"Anchor: 43:[0-9a-f]{64}", anchor)
    migrated = db("migrate", store)
    assert (migrated.returncode, migrated.stderr) == (0, "")
    assert migrated.stdout == f"Nothing to do: the schema has version {SCHEMA_VERSION}.\n"
    status = db("status", store)
    rows = dict(line.split(maxsplit=1) for line in status.stdout.splitlines()[:4])
    assert (status.returncode, status.stderr) == (0, "")
    assert rows == {
        "store": str(store),
        "schema": f"version {SCHEMA_VERSION}",
        "served": "no",
        "payments": "38",
    }
    copy, again = tmp_path / "backup.db", tmp_path / "new" / "again.db"
    backed = db("backup", store, copy)
    assert (backed.returncode, backed.stderr) == (0, "")
    assert backed.stdout.startswith(f"Backed up sqlite:///{store} to {copy} (")
    restored = db("restore", again, copy)
    assert (restored.returncode, restored.stderr) == (0, "")
    assert restored.stdout.startswith(f"Restored sqlite:///{again} from {copy} (")
    assert {path.name for path in tmp_path.iterdir()} == {
        "copy.db", "copy.db.lock", "backup.db", "new",
    }  # fmt: skip
    assert {path.name for path in again.parent.iterdir()} == {"again.db"}
    for path in (copy, again):
        assert db("verify", path).stdout == verified.stdout


def test_json_is_one_document(store: Path, tmp_path: Path) -> None:
    def document(command: str, path: Path, *arguments: str | Path) -> dict[str, object]:
        ended = db(command, path, *arguments, "--json")
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout.count("\n") == 1
        return dict(json.loads(ended.stdout))

    verified = document("verify", store)
    assert str(verified.pop("anchor")).startswith("43:")
    assert verified == {"verdict": "right", "payments": 38, "entries": 43, "open_intents": 0}
    assert document("migrate", store) == {"from": SCHEMA_VERSION, "to": SCHEMA_VERSION}
    assert document("status", store) == {
        "path": str(store),
        "schema_version": SCHEMA_VERSION,
        "needs_migration": False,
        "served": False,
        "payments": 38,
        "last_seq": 43,
        "open_authorizations": 2,
        "open_intents": 0,
        "bytes": store.stat().st_size,
    }
    copy = tmp_path / "backup.db"
    assert document("backup", store, copy) == {"bytes": copy.stat().st_size}
    other = tmp_path / "other.db"
    assert document("restore", other, copy) == {"bytes": copy.stat().st_size}
    failed = db("verify", tmp_path / "none.db", "--json")
    assert (failed.returncode, failed.stdout) == (1, "")
    error = json.loads(failed.stderr)["error"]
    assert (error["reason"], error["exit_code"]) == ("STORE_UNUSABLE", 1)


def test_an_empty_store_is_right_too(server: Server) -> None:
    verified = run_paycli("db", "verify", "--store", f"sqlite:///{server.store}")
    assert (verified.returncode, verified.stderr) == (0, "")
    assert verified.stdout.startswith("All is right: 0 payments, 0 journal entries.\nAnchor: 0:")


def test_a_backup_under_load_is_of_one_moment(start_server: StartServer, tmp_path: Path) -> None:
    server, stop = start_server(), threading.Event()
    paid: list[str] = []

    def keep_paying() -> None:
        with client_of(server.target) as client:
            while not stop.is_set():
                results = client.batch(*(creation("1.00") for _ in range(50)))
                held = client.authorize("2.00")
                client.capture(held.name, "1.00", final=True)
                paid.extend(each.payment.name for each in results)

    payers = [threading.Thread(target=keep_paying) for _ in range(3)]
    for payer in payers:
        payer.start()
    copies = []
    try:
        while not paid:
            time.sleep(0.01)
        for n in range(3):
            before = list(paid)
            copies.append((tmp_path / f"{n}.db", before))
            url = f"sqlite:///{server.store}"
            assert run_paycli("db", "backup", copies[-1][0], "--store", url).returncode == 0
            assert json.loads(db("status", server.store, "--json").stdout)["served"] is True
        assert db("verify", server.store).returncode == 0
    finally:
        stop.set()
        for payer in payers:
            payer.join()
    for copy, before in copies:
        assert db("verify", copy).returncode == 0
        with contextlib.closing(sqlite3.connect(copy)) as connection:
            there = {
                f"payments/{row[0]}" for row in connection.execute("SELECT payment_id FROM payment")
            }
        assert there >= set(before)
    assert server.stop() == 0
    restored = tmp_path / "restored.db"
    assert db("restore", restored, copies[-1][0]).returncode == 0
    again = start_server(store=restored)
    with client_of(again.target) as client:
        assert client.get(copies[-1][1][0])
        assert client.create()


# -- what stands in the way


def test_nothing_is_ever_overwritten(store: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_bytes(b"mine")
    assert problem_of(db("backup", store, taken)) == (
        f"{taken} exists; nothing is overwritten. Name another file."
    )
    assert problem_of(db("restore", taken, store)) == (
        f"{taken} exists; restore overwrites nothing. Move it away, or name another with --store."
    )
    assert taken.read_bytes() == b"mine"
    beside = Path(f"{tmp_path}/gone.db-wal")
    beside.write_bytes(b"what a crash left")
    assert f"{beside} exists" in problem_of(db("restore", tmp_path / "gone.db", store))
    assert {path.name for path in tmp_path.iterdir()} == {"copy.db", "taken", "gone.db-wal"}


@pytest.mark.parametrize("command", [*COMMANDS, "backup"])
def test_a_missing_store_is_named(command: str, tmp_path: Path) -> None:
    missing = tmp_path / "none.db"
    copy = [tmp_path / "copy"] if command == "backup" else []
    assert f"There is no store {missing}." in problem_of(db(command, missing, *copy))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_backup_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "none"
    said = problem_of(db("restore", tmp_path / "s.db", missing))
    assert said == f"There is no backup {missing}. Name the file that 'db backup' wrote."
    assert list(tmp_path.iterdir()) == []


def test_wrong_urls_are_wrong_usage(tmp_path: Path) -> None:
    for url in ("mysql://x", "store.db", "sqlite:///"):
        ended = run_paycli("db", "status", "--store", url)
        assert f"'{url}' is not a store" in problem_of(ended, 2)
    memory = run_paycli("db", "verify", "--store", "sqlite:///:memory:")
    assert "A store in memory ends with its server" in problem_of(memory, 2)


def foreign(path: Path) -> None:
    with opened(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")


def of_another_application(path: Path) -> None:
    with opened(path) as connection:
        connection.execute("PRAGMA application_id = 7")
        connection.execute("CREATE TABLE theirs (x)")


def newer(path: Path) -> None:
    with opened(path) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")


def text_file(path: Path) -> None:
    path.write_text("order_id,amount\n" * 500, encoding="utf-8")


@pytest.mark.parametrize("command", [*COMMANDS, "backup", "restore", "serve"])
@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (foreign, "{path} is the database of another program. Name another file."),
        (
            of_another_application,
            "{path} is the database of another program. Name another file.",
        ),
        (text_file, "{path} is not a SQLite database. Name another file."),
        (
            newer,
            (
                f"The store {{path}} has schema version {SCHEMA_VERSION + 1}; this paycli knows "
                f"{SCHEMA_VERSION}. Use the newer paycli that wrote it."
            ),
        ),
    ],
)
def test_a_file_that_is_no_store_of_ours_is_left_as_it_is(
    command: str, made: object, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "theirs.db"
    assert callable(made)
    made(path)
    before = path.read_bytes()
    if command == "serve":
        ended = run_paycli("serve", "--port", "0", "--store", f"sqlite:///{path}")
    elif command == "restore":
        ended = db("restore", tmp_path / "new.db", path)
    else:
        ended = db(command, path, *([tmp_path / "copy.db"] if command == "backup" else []))
    assert problem_of(ended) == sentence.format(path=path)
    assert path.read_bytes() == before
    assert {each.name for each in tmp_path.iterdir()} <= {"theirs.db", "theirs.db.lock"}


@pytest.mark.parametrize("command", ["verify", "status", "backup"])
def test_an_empty_file_has_no_store_in_it(command: str, tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    copy = [tmp_path / "copy"] if command == "backup" else []
    assert problem_of(db(command, path, *copy)) == f"{path} is empty; there is no store in it."
    assert path.stat().st_size == 0


@pytest.mark.parametrize("command", ["migrate", "serve"])
def test_a_store_in_use_is_not_touched(command: str, server: Server) -> None:
    arguments = ["serve", "--port", "0"] if command == "serve" else ["db", command]
    ended = run_paycli(*arguments, "--store", f"sqlite:///{server.store}")
    problem = problem_of(ended)
    assert re.match(r"Another paycli server \(process \d+\) is using the store ", problem)
    assert str(server.store) in problem


def test_a_file_in_the_way_of_a_folder_is_one_sentence(store: Path, tmp_path: Path) -> None:
    blocked = store / "x.db"
    for ended in (
        db("restore", blocked, store),
        db("backup", store, blocked),
        run_paycli("serve", "--port", "0", "--store", f"sqlite:///{blocked}"),
    ):
        assert str(blocked) in problem_of(ended)


def unprivileged(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """A command that folder permissions bind, also when root runs the tests."""
    line = [sys.executable, "-m", "paycli", *map(str, command)]
    if os.geteuid() == 0:
        bound = "-dac_override,-dac_read_search"
        line = ["setpriv", f"--bounding-set={bound}", f"--inh-caps={bound}", *line]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.skipif(
    os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write everywhere"
)
@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_a_folder_that_cannot_be_written_is_one_sentence(
    kept: Path, tmp_path: Path, mode: int
) -> None:
    folder = tmp_path / "sealed"
    folder.mkdir()
    inside = Path(shutil.copy(kept, folder / "store.db"))
    before = inside.read_bytes()
    folder.chmod(mode)
    url = f"sqlite:///{inside}"
    try:
        for command in (
            ["serve", "--port", "0", "--store", url],
            ["serve", "--port", "0", "--store", f"sqlite:///{folder}/new.db"],
            ["db", "migrate", "--store", url],
            ["db", "status", "--store", url],
            ["db", "verify", "--store", url],
            ["db", "backup", tmp_path / "copy.db", "--store", url],
            ["db", "backup", folder / "copy.db", "--store", f"sqlite:///{kept}"],
            ["db", "restore", kept, "--store", f"sqlite:///{folder}/new.db"],
            ["db", "restore", kept, "--store", f"sqlite:///{folder}/new/new.db"],
        ):
            said = problem_of(unprivileged(*command))
            assert str(folder) in said
            assert "ermission" in said, said
    finally:
        folder.chmod(0o755)
    assert inside.read_bytes() == before
    assert {path.name for path in folder.iterdir()} == {"store.db"}


# -- migrations


@pytest.fixture
def old(kept: Path, tmp_path: Path) -> Path:
    """The payments of the store in a file that only knows migration 1."""
    path = tmp_path / "old.db"
    with opened(path) as connection:
        connection.executescript(migrations("sqlite")[0].sql)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
        connection.execute("ATTACH ? AS kept", (str(kept),))
        for table, fields in (("payment", Payment._fields), ("entry", Entry._fields)):
            columns = ", ".join(fields)
            connection.execute(
                f"INSERT INTO {table} ({columns}) SELECT {columns} FROM kept.{table}"
            )
    return path


def balances(path: Path) -> list[tuple[str, str, int]]:
    with opened(path) as connection:
        return connection.execute("SELECT * FROM balance ORDER BY account, currency").fetchall()


def test_an_older_schema_is_only_changed_when_asked_and_keeps_every_cent(
    kept: Path, old: Path, start_server: StartServer, tmp_path: Path
) -> None:
    asks = (
        f"The store {old} has schema version 1; this paycli needs {SCHEMA_VERSION}. "
        "Back it up, then run 'paycli db migrate'."
    )
    serve = run_paycli("serve", "--port", "0", "--store", f"sqlite:///{old}")
    assert problem_of(serve) == asks
    assert problem_of(db("verify", old)) == asks
    status = db("status", old)
    assert "version 1; run 'paycli db migrate'" in status.stdout
    assert json.loads(db("status", old, "--json").stdout)["needs_migration"] is True
    copy = tmp_path / "before.db"
    assert db("backup", old, copy).returncode == 0
    migrated = db("migrate", old)
    assert migrated.stdout == f"Migrated the schema from version 1 to {SCHEMA_VERSION}.\n"
    assert balances(old) == balances(kept) != []
    assert db("verify", old).returncode == 0
    assert db("migrate", old).stdout.startswith("Nothing to do")
    server = start_server(store=old)
    with client_of(server.target) as client:
        assert client.create().name
    assert json.loads(db("migrate", copy, "--json").stdout) == {"from": 1, "to": SCHEMA_VERSION}


# -- damage


def test_a_damaged_file_is_one_sentence(store: Path, tmp_path: Path) -> None:
    whole = store.read_bytes()
    size = len(whole)
    page = int.from_bytes(whole[16:18], "big")
    damages = {
        "a page of noise": whole[:page] + os.urandom(page) + whole[2 * page :],
        "the last pages cut off": whole[: size - 3 * page],
        "half a page cut off": whole[: size - page // 2],
        "zeros in the middle": whole[: size // 2] + bytes(2 * page) + whole[size // 2 + 2 * page :],
        "no beginning": bytes(100) + whole[100:],
        "a schema of noise": whole[:100] + os.urandom(page - 100) + whole[page:],
    }
    for what, damaged in damages.items():
        store.write_bytes(damaged)
        said = problem_of(db("verify", store))
        assert "damaged" in said or "not a SQLite database" in said, (what, said)
        assert "Restore a backup" in said or "not a SQLite database" in said, (what, said)
        copied = db("backup", store, tmp_path / "copy.db")
        if copied.returncode:
            assert str(store) in problem_of(copied), what
        (tmp_path / "copy.db").unlink(missing_ok=True)


def test_each_flipped_page_is_found_or_harmless(store: Path) -> None:
    whole = store.read_bytes()
    page = int.from_bytes(whole[16:18], "big")
    verdicts = []
    for start in range(page, len(whole), 3 * page):
        flipped = bytearray(whole)
        for at in range(start, start + 8):  # the head of the page: its kind and its cells
            flipped[at] ^= 0xFF
        store.write_bytes(flipped)
        verdicts.append(db("verify", store).returncode)
    assert set(verdicts) == {1}


# -- tampering: each invariant broken through raw SQL, found, and named with who breaks it

ENTRY = "INSERT INTO entry VALUES ((SELECT max(seq) + 1 FROM entry), {values}, 0)"
TAMPERED = [
    ("I1", "charged", "UPDATE payment SET refunded = captured + 1 WHERE {who}"),
    ("I1", "charged", "UPDATE payment SET voided = 1 WHERE {who}"),
    ("I1", "held", "UPDATE payment SET captured = -1 WHERE {who}"),
    ("I1", "part", "UPDATE payment SET refunded = -100 WHERE {who}"),
    ("I2", "charged", "UPDATE entry SET amount = 0 WHERE {who}"),
    ("I2", "voided", "UPDATE entry SET amount = 0 WHERE {who} AND version = 2"),
    ("I4", "part", "UPDATE payment SET captured = captured + 1 WHERE {who}"),
    ("I4", "customer/c0", "UPDATE payment SET currency = 'USD' WHERE order_id = 'plain 3'"),
    ("I4", "merchant", "UPDATE balance SET amount = amount + 1 WHERE account = 'merchant'"),
    ("I4", "customer/c1", "DELETE FROM balance WHERE account = 'customer/c1'"),
    ("I4", "customer/x", "INSERT INTO balance VALUES ('customer/x', 'EUR', 1)"),
    ("I5", "charged", "DELETE FROM entry WHERE {who}"),
    ("I5", "part", "DELETE FROM entry WHERE {who} AND version = 2"),
    ("I5", "part", "DELETE FROM entry WHERE {who} AND version = 3"),
    ("I5", "held", "UPDATE payment SET version = 2 WHERE {who}"),
    ("I5", "plain 3", "UPDATE entry SET seq = 1000 WHERE {who}"),
    ("I5", "plain 3", "UPDATE entry SET kind = 2 WHERE {who}"),
    ("I5", "plain 3", "DELETE FROM payment WHERE {who}"),
    (
        "I5",
        "plain 3",
        ENTRY.format(values="{id}, 1, 1, 1000, 0, 1000, 0, 0, 1000, 0, 'new', '', 1"),
    ),
    (
        "I8",
        "declined",
        ENTRY.format(values="{id}, 2, 7, 100, 0, 0, 0, 100, 100, 0, 'new', '', 1")
        + "; UPDATE payment SET version = 2 WHERE {who}",
    ),
    (
        "I8",
        "voided",
        ENTRY.format(values="{id}, 3, 4, 100, 0, 100, 900, 0, 100, 0, 'new', '', 1")
        + "; UPDATE payment SET version = 3, captured = 100, voided = 900 WHERE {who}",
    ),
]


def tamper(path: Path, statements: str) -> None:
    """Raw SQL with the triggers away meanwhile."""
    with opened(path) as connection:
        triggers = connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
        ).fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.executescript(statements)
        for _, sql in triggers:
            connection.execute(sql)


@pytest.mark.parametrize(("invariant", "order", "statements"), TAMPERED)
def test_tampering_is_found_and_named(
    store: Path, invariant: str, order: str, statements: str
) -> None:
    with opened(store) as connection:
        found = connection.execute(
            "SELECT payment_id FROM payment WHERE order_id = ?", (order,)
        ).fetchone()
        payment_id = found[0] if found else ""
    sql = statements.format(who=f"payment_id = '{payment_id}'", id=f"'{payment_id}'")
    tamper(store, sql)
    failed = db("verify", store, "--json")
    assert (failed.returncode, failed.stdout) == (1, "")
    error = json.loads(failed.stderr)["error"]
    assert error["reason"] == "CHECK_FAILED"
    assert f"breaks {invariant}: " in error["message"]
    assert (payment_id or order) in error["message"]


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("DROP TRIGGER entry_is_never_changed", "trigger entry_is_never_changed"),
        ("DROP TRIGGER entry_is_never_deleted", "trigger entry_is_never_deleted"),
        ("DROP INDEX entry_of_payment", "index entry_of_payment"),
        ("CREATE TRIGGER mine AFTER INSERT ON entry BEGIN SELECT 1; END", "trigger mine"),
        ("ALTER TABLE payment ADD COLUMN note TEXT", "table payment"),
    ],
)
def test_a_changed_schema_is_found_and_named(store: Path, statement: str, named: str) -> None:
    with opened(store) as connection:
        connection.execute(statement)
    said = problem_of(db("verify", store))
    assert said.startswith("I3: ")
    assert named in said


def test_a_key_that_was_used_twice_is_found_and_named(store: Path) -> None:
    with opened(store) as connection:
        schema = dict(connection.execute("SELECT name, sql FROM sqlite_schema").fetchall())
        for name in ("entry_is_never_changed", "entry_is_never_deleted"):
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("DROP VIEW posting")
        connection.execute("ALTER TABLE entry RENAME TO kept")
        connection.execute("DROP INDEX entry_of_payment")
        connection.execute(schema["entry"].replace("UNIQUE", ""))
        connection.execute("INSERT INTO entry SELECT * FROM kept")
        connection.execute("DROP TABLE kept")
        for name in (
            "entry_of_payment",
            "posting",
            "entry_is_never_changed",
            "entry_is_never_deleted",
        ):
            if "never_changed" not in name:
                connection.execute(schema[name])
        connection.execute(
            "UPDATE entry SET request_key = (SELECT request_key FROM entry WHERE seq = 1) WHERE seq = 5"
        )
        connection.execute(schema["entry_is_never_changed"])
    said = problem_of(db("verify", store))
    assert said.startswith("Entries 1 and 5 break I6")


def test_a_key_that_its_index_does_not_know_is_found_and_named(store: Path) -> None:
    """As a damaged index page would have it; a retry of that key would pay again."""
    index = "sqlite_autoindex_entry_1"
    with opened(store) as connection:
        columns = "type, name, tbl_name, rootpage, sql"
        kept = connection.execute(f"SELECT {columns} FROM sqlite_schema WHERE name = '{index}'")
        row = kept.fetchone()
        (sql,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'entry'").fetchone()
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(f"DELETE FROM sqlite_schema WHERE name = '{index}'")
        _set_schema_of_entry(connection, sql.replace("UNIQUE", ""))
    tamper(store, "UPDATE entry SET request_key = 'key\x1fother' WHERE seq = 5")
    with opened(store) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", row)
        _set_schema_of_entry(connection, sql)
    assert problem_of(db("verify", store)).startswith("Entry 5 breaks I6: ")


def _set_schema_of_entry(connection: sqlite3.Connection, sql: str) -> None:
    connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'entry'", (sql,))
    (version,) = connection.execute("PRAGMA schema_version").fetchone()
    connection.execute(f"PRAGMA schema_version = {version + 1}")  # read it anew


@pytest.mark.parametrize("what", ["payments", "entries"])
def test_every_payment_is_looked_at(store: Path, what: str) -> None:
    """One cent more or less, anywhere, is found."""
    table = {"payments": "payment", "entries": "entry"}[what]
    key = {"payments": "payment_id", "entries": "seq"}[what]
    with opened(store) as connection:
        rows = [row[0] for row in connection.execute(f"SELECT {key} FROM {table}")]
    whole = store.read_bytes()
    for row in rows[::3]:
        for column in ("amount", "captured", "refunded"):
            store.write_bytes(whole)
            tamper(store, f"UPDATE {table} SET {column} = {column} + 1 WHERE {key} = '{row}'")
            with pytest.raises(CheckFailed):
                verify_store(f"sqlite:///{store}", lambda done, of_all: None)
