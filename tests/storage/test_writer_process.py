"""The writer is a process of its own: its end, the server's end, and signals that are for others."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from paycli.errors import OutcomeOpen, StoreUnavailable
from paycli.generated import payment_pb2, payment_pb2_grpc
from paycli.payments.batch import Receipt
from paycli.payments.store import Health
from paycli.storage import group_commit
from paycli.storage.failures import CommitFailed
from paycli.storage.sqlite import writer_process
from paycli.storage.sqlite.file import SqliteFile
from paycli.storage.sqlite.lock import is_held
from paycli.storage.sqlite.writer import SqliteWriter
from paycli.storage.stores import open_store, verify_store
from tests.conftest import InWriter, Server, StartServer
from tests.processes import children_of
from tests.storage.test_conformance import make, opened

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
HANGS = "import time; time.sleep(60)"
BREAKS = "raise SystemExit(3)"


def pay(target: str, order: str) -> str:
    request = payment_pb2.PaymentRequest(order_id=order, amount=1, currency="EUR", user_id="ada")
    with grpc.insecure_channel(target) as channel:
        stub = payment_pb2_grpc.PaymentServiceStub(channel)
        return str(stub.ProcessPayment(request, timeout=10).payment_id)


def writer_of(server: Server) -> int:
    (writer,) = children_of(server.process.pid)
    return writer


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    try:
        return "(zombie)" in Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except FileNotFoundError:  # just now
        return True


def until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while not is_gone(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_writer_ends_with_its_server_and_lets_the_file_go(
    start_server: StartServer, end: signal.Signals
) -> None:
    server = start_server()
    writer = writer_of(server)
    paid = pay(server.target, "o1")
    server.stop(end)
    again = start_server()  # at once: a writer that is still ending is waited for
    until_gone(writer)
    assert pay(again.target, "o1") == paid


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_for_the_server_do_not_end_the_writer(
    server: Server, number: signal.Signals
) -> None:
    pay(server.target, "o1")
    os.kill(writer_of(server), number)
    pay(server.target, "o2")
    assert server.stop() == 0


def test_a_killed_writer_is_followed_by_another_and_nothing_is_lost(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    told: list[Health] = []

    async def main() -> None:
        async with open_store(url, told.append) as store:
            before = await store.execute(make(1))
            (writer,) = children_of(os.getpid(), "writer_process")
            under_way = [asyncio.ensure_future(store.execute(make(n))) for n in range(2, 50)]
            await asyncio.sleep(0)
            os.kill(writer, signal.SIGKILL)
            outcomes = await asyncio.gather(*under_way, return_exceptions=True)
            assert any(isinstance(outcome, OutcomeOpen) for outcome in outcomes)
            with pytest.raises(StoreUnavailable, match="was ended by signal 9"):
                await store.execute(make(50))
            await asyncio.wait_for(_until(lambda: told[-1:] == [Health.SERVING]), 10)
            for number in range(1, 51):
                receipt = await store.execute(make(number))
                acknowledged = (
                    number < 50 and number > 1 and isinstance(outcomes[number - 2], Receipt)
                )
                assert receipt.replayed or not acknowledged
            assert await store.execute(make(1)) == before._replace(replayed=True)

    asyncio.run(main())
    assert told == [Health.PAUSED, Health.SERVING]
    verify_store(url, lambda *_: None)


async def _until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 - it asks the system
        await asyncio.sleep(0.01)


def test_a_writer_that_ends_while_nobody_pays_is_missed_by_nobody(server: Server) -> None:
    paid = pay(server.target, "o1")
    before = writer_of(server)
    os.kill(before, signal.SIGKILL)
    until_gone(before)
    deadline = time.monotonic() + 10
    while children_of(server.process.pid) in ([], [before]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert health(server.target) == SERVING
    assert pay(server.target, "o1") == paid
    pay(server.target, "o2")
    assert server.stop() == 0
    assert "was ended by signal 9. Another one is started." in server.stderr()


def health(target: str) -> int:
    with grpc.insecure_channel(target) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        return int(check(health_pb2.HealthCheckRequest(), timeout=5).status)


def until_health(target: str, wanted: int) -> None:
    deadline = time.monotonic() + 20
    while health(target) != wanted:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def stand_still() -> Iterator[Callable[[int], None]]:
    """Stops a writer; at the end, whatever came of the test, it may go on and find its server gone."""
    stopped = []

    def stop(writer: int) -> None:
        stopped.append(writer)
        os.kill(writer, signal.SIGSTOP)

    yield stop
    for each in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGCONT)


def test_a_writer_that_stands_still_is_said_and_callers_are_kept_out(
    server: Server, stand_still: Callable[[int], None]
) -> None:
    pay(server.target, "o1")
    writer = writer_of(server)
    stand_still(writer)
    until_health(server.target, NOT_SERVING)
    with pytest.raises(grpc.RpcError, match="has not answered") as refused:
        pay(server.target, "o2")
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    os.kill(writer, signal.SIGCONT)
    until_health(server.target, SERVING)
    pay(server.target, "o2")
    assert server.stop() == 0


def test_a_writer_that_hangs_is_ended_and_its_callers_hear_something(
    tmp_path: Path, stand_still: Callable[[int], None]
) -> None:
    async def main() -> None:
        async with open_store(f"sqlite:///{tmp_path}/s.db", told.append) as store:
            await store.execute(make(1))
            (writer,) = children_of(os.getpid(), "writer_process")
            stand_still(writer)
            with pytest.raises(OutcomeOpen, match="did not answer"):  # it named no deadline
                await store.execute(make(2))
            await asyncio.wait_for(_until(lambda: told[-1:] == [Health.SERVING]), 10)
            await store.execute(make(2))

    told: list[Health] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(writer_process, "_HUNG_S", 3.0)  # a start takes a while
        asyncio.run(main())
    assert told == [Health.PAUSED, Health.SERVING]


def test_a_writer_that_hangs_with_nothing_to_do_holds_up_no_close(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand_still: Callable[[int], None]
) -> None:
    monkeypatch.setattr(writer_process, "_CLOSE_S", 0.2)
    monkeypatch.setattr(group_commit, "_BEAT_S", 60.0)  # nothing is under way

    async def main() -> None:
        async with asyncio.timeout(30), opened(f"sqlite:///{tmp_path}/s.db") as store:
            await store.execute(make(1))
            (writer,) = children_of(os.getpid(), "writer_process")
            stand_still(writer)
        assert is_gone(writer)

    asyncio.run(main())


def test_a_server_stops_though_its_writer_hangs(
    start_server: StartServer, stand_still: Callable[[int], None]
) -> None:
    server = start_server("--drain-timeout", "1")
    pay(server.target, "o1")
    writer = writer_of(server)
    stand_still(writer)
    with contextlib.ExitStack() as stack:
        channel = stack.enter_context(grpc.insecure_channel(server.target))
        stub = payment_pb2_grpc.PaymentServiceStub(channel)
        request = payment_pb2.PaymentRequest(order_id="o2", amount=1, currency="EUR")
        pending = stub.ProcessPayment.future(request)
        time.sleep(0.2)
        assert server.stop() == 0  # within the 20 s that the test gives it
        assert pending.code() is not grpc.StatusCode.OK
    until_gone(writer)
    pay(start_server().target, "o1")


def test_who_holds_the_store_is_named(
    server: Server, start_server: StartServer, stand_still: Callable[[int], None]
) -> None:
    with pytest.raises(AssertionError, match=f"server .process {server.process.pid}. is using"):
        start_server(store=server.store)
    writer = writer_of(server)
    stand_still(writer)
    server.stop(signal.SIGKILL)
    with pytest.raises(AssertionError, match=f"End it with 'kill -9 {writer}'"):
        start_server(store=server.store)
    os.kill(writer, signal.SIGKILL)
    start_server(store=server.store)


def test_another_program_that_holds_the_file_is_said_by_health(server: Server) -> None:
    pay(server.target, "o1")
    with contextlib.closing(sqlite3.connect(server.store, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        until_health(server.target, NOT_SERVING)
        with pytest.raises(grpc.RpcError, match="Another program holds the store") as refused:
            pay(server.target, "o2")
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        other.execute("ROLLBACK")
    until_health(server.target, SERVING)
    pay(server.target, "o2")


def test_a_writer_that_cannot_start_stops_the_store(in_writer: InWriter, tmp_path: Path) -> None:
    in_writer(BREAKS)
    told: list[Health] = []

    async def main() -> None:
        async with open_store(f"sqlite:///{tmp_path}/s.db", told.append) as store:
            with pytest.raises((OutcomeOpen, StoreUnavailable), match="ended with exit code"):
                await store.execute(make(1))
            await asyncio.wait_for(_until(lambda: told[-1:] == [Health.BROKEN]), 30)

    asyncio.run(main())
    assert told == [Health.PAUSED, Health.BROKEN]


def test_a_writer_that_failed_once_writes_no_more(tmp_path: Path) -> None:
    with contextlib.closing(SqliteFile(tmp_path / "s.db")) as file:
        connection = file.connect()
        writer = SqliteWriter(connection)
        writer.write([make(1)])
        connection.execute("ALTER TABLE balance RENAME TO mislaid")
        with pytest.raises(CommitFailed, match="no such table"):
            writer.write([make(2)])
        connection.execute("ROLLBACK; ALTER TABLE mislaid RENAME TO balance")
        with pytest.raises(CommitFailed, match="no such table"):  # as a batch already on its way
            writer.write([make(3)])


def test_a_start_waits_a_moment_for_a_writer_that_is_ending(tmp_path: Path) -> None:
    lock = os.open(tmp_path / "s.db.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    threading.Timer(0.2, os.close, (lock,)).start()

    async def main() -> None:
        async with opened(f"sqlite:///{tmp_path}/s.db") as store:
            await store.execute(make(1))

    asyncio.run(main())


def test_the_file_stays_locked_until_the_writer_has_ended(
    in_writer: InWriter, start_server: StartServer
) -> None:
    in_writer(HANGS)
    server = start_server()
    writer = writer_of(server)
    server.stop(signal.SIGKILL)
    assert is_held(server.store)
    os.kill(writer, signal.SIGKILL)
    until_gone(writer)
    assert not is_held(server.store)
