"""The writer is a process of its own: its end, the server's end, and signals that are for others."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import threading
import time
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from paycli.errors import OutcomeOpen, StoreUnavailable
from paycli.generated import payment_pb2, payment_pb2_grpc
from paycli.storage.failures import CommitFailed
from paycli.storage.sqlite_file import SqliteFile, is_held
from paycli.storage.sqlite_writer import SqliteWriter
from paycli.storage.stores import open_store, verify_store
from tests.conftest import InWriter, Server, StartServer
from tests.processes import children_of
from tests.storage.test_conformance import make, opened

SERVING = health_pb2.HealthCheckResponse.SERVING
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
    return "(zombie)" in Path(f"/proc/{pid}/status").read_text(encoding="ascii")


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


def test_a_killed_writer_stops_the_store_and_loses_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    failures: list[str] = []

    async def main() -> None:
        store = open_store(url, lambda: failures.append("broken"))
        before = await store.execute(make(1))
        (writer,) = children_of(os.getpid())
        under_way = [asyncio.ensure_future(store.execute(make(n))) for n in range(2, 50)]
        await asyncio.sleep(0)
        os.kill(writer, signal.SIGKILL)
        outcomes = await asyncio.gather(*under_way, return_exceptions=True)
        assert any(isinstance(outcome, OutcomeOpen) for outcome in outcomes)
        with pytest.raises(StoreUnavailable, match="was ended by signal 9"):
            await store.execute(make(50))
        assert await store.payment(before.payment.payment_id) == before.payment
        await store.close()
        async with opened(url) as again:
            assert await again.execute(make(1)) == before._replace(replayed=True)

    asyncio.run(main())
    assert failures == ["broken"]
    verify_store(url, lambda *_: None)


def test_a_writer_that_ends_while_nobody_pays_is_noticed_at_once(
    server: Server, start_server: StartServer
) -> None:
    paid = pay(server.target, "o1")
    os.kill(writer_of(server), signal.SIGKILL)
    with grpc.insecure_channel(server.target) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        deadline = time.monotonic() + 10
        while check(health_pb2.HealthCheckRequest()).status == SERVING:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    with pytest.raises(grpc.RpcError, match="was ended by signal 9") as refused:
        pay(server.target, "o2")
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE  # not begun, so nothing is unknown
    assert server.stop() == 0
    assert "the store stopped taking payments" in server.stderr()
    assert pay(start_server().target, "o1") == paid


def test_a_writer_that_cannot_start_stops_the_store(in_writer: InWriter, tmp_path: Path) -> None:
    in_writer(BREAKS)
    failures: list[str] = []

    async def main() -> None:
        store = open_store(f"sqlite:///{tmp_path}/s.db", lambda: failures.append("broken"))
        with pytest.raises((OutcomeOpen, StoreUnavailable), match="ended with exit code"):
            await store.execute(make(1))
        await store.close()

    asyncio.run(main())
    assert failures == ["broken"]


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
