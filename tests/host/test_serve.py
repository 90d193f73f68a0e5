"""The server process: ready, polite to everybody, unharmed by bad peers, gone when told to."""

from __future__ import annotations

import contextlib
import random
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from paycli.generated import payment_pb2, payment_pb2_grpc
from paycli.generated.paycli.payments.v1 import payments_pb2, payments_pb2_grpc
from tests.conftest import Server, StartServer, run_paycli

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def pay(
    channel: grpc.Channel, order: str = "o1", amount: float = 99.99, **fields: str
) -> payment_pb2.PaymentResponse:
    request = payment_pb2.PaymentRequest(
        order_id=order, amount=amount, **({"currency": "EUR", "user_id": "ada"} | fields)
    )
    response = payment_pb2_grpc.PaymentServiceStub(channel).ProcessPayment(request, timeout=10)
    assert isinstance(response, payment_pb2.PaymentResponse)
    return response


def error_of(channel: grpc.Channel, **request: object) -> tuple[str, str, dict[str, str], set[str]]:
    """Status, reason, metadata, and the names of all details of the error a request gets."""
    with pytest.raises(grpc.RpcError) as raised:
        pay(channel, **request)  # type: ignore[arg-type] # wrong on purpose
    trailing = {item.key: item.value for item in raised.value.trailing_metadata()}
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    assert status.message == raised.value.details()
    infos = []
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            assert info.domain == "paycli.dev"
            infos.append(info)
    assert len(infos) == 1
    names = {detail.type_url.rpartition(".")[2] for detail in status.details}
    return raised.value.code().name, infos[0].reason, dict(infos[0].metadata), names


def test_ready_is_said_exactly_and_both_loopbacks_answer(server: Server) -> None:
    assert server.first_line == "Payment Processing Service ready!\n"
    for host in ("127.0.0.1", "[::1]"):
        with grpc.insecure_channel(f"{host}:{server.port}") as channel:
            assert pay(channel).status == "SUCCESS"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_signal_drains_and_exits_0(
    server: Server, number: signal.Signals, tmp_path: Path
) -> None:
    port_files = list(tmp_path.glob("port-*"))
    assert port_files
    assert server.stop(number) == 0
    assert "draining" in server.stderr()
    assert not list(tmp_path.glob("port-*"))


def test_calls_in_flight_at_a_stop_are_answered(server: Server) -> None:
    answers: list[str] = []
    stop = threading.Event()

    def keep_paying(worker: int) -> None:
        with grpc.insecure_channel(server.target) as channel, contextlib.suppress(grpc.RpcError):
            for n in range(100_000):
                answers.append(pay(channel, f"{worker}-{n}").payment_id)
                if stop.is_set():
                    return

    workers = [threading.Thread(target=keep_paying, args=(n,)) for n in range(8)]
    for worker in workers:
        worker.start()
    while len(answers) < 200:
        time.sleep(0.01)
    assert server.stop() == 0
    stop.set()
    for worker in workers:
        worker.join()
    with contextlib.closing(sqlite3.connect(server.store)) as connection:
        stored = {row[0] for row in connection.execute("SELECT payment_id FROM payment")}
    assert set(answers) <= stored
    assert len(stored) - len(answers) <= len(workers)


def test_a_hang_up_lets_calls_in_flight_end_unless_it_is_ignored(start_server: StartServer) -> None:
    server = start_server()
    nohup = start_server(
        command=("nohup", sys.executable, "-m", "paycli"), store=server.store.with_name("other.db")
    )
    for each in (server, nohup):
        with grpc.insecure_channel(each.target) as channel:
            stub = payment_pb2_grpc.PaymentServiceStub(channel)
            slow = payment_pb2.PaymentRequest(
                order_id="o1", amount=5, currency="EUR", user_id="sim_slow_1000"
            )
            call = stub.ProcessPayment.future(slow)
            while not each.payments_in_flight():
                assert not call.done()
                time.sleep(0.01)
            each.process.send_signal(signal.SIGHUP)
            assert call.result(20).status == "SUCCESS"
            if each is nohup:
                assert pay(channel, "o2").status == "SUCCESS"
    assert server.process.wait(20) == 0
    assert nohup.process.poll() is None


def test_connections_without_a_call_do_not_hold_up_a_stop(start_server: StartServer) -> None:
    """Silent ones, half a preface, no settings, an unread stream, an open reflection."""
    server = start_server("--drain-timeout", "60")
    with contextlib.ExitStack() as open_, grpc.insecure_channel(server.target) as channel:
        for said in (b"", PREFACE[:10], PREFACE, PREFACE + bytes(3) + b"\x04" + bytes(5)):
            peer = socket.create_connection(("127.0.0.1", server.port), timeout=5)
            open_.enter_context(peer)
            peer.sendall(said)
        pay(channel)
        stop = threading.Event()

        def ask_nothing_more() -> Iterator[reflection_pb2.ServerReflectionRequest]:
            yield reflection_pb2.ServerReflectionRequest(list_services="*")
            stop.wait(60)

        reflect = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo
        assert next(reflect(ask_nothing_more()))
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 9  # who says nothing is let go by itself after 10
        stop.set()


def test_a_port_file_never_shows_a_server_that_is_gone(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server()
    (port_file,) = tmp_path.glob("port-*")
    server.stop(signal.SIGKILL)
    assert port_file.read_text() == f"{server.port}\n"
    with subprocess.Popen(
        [sys.executable, "-m", "paycli", "serve", "--port", "0", "--port-file", str(port_file)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
    ) as process:
        try:
            while not (tmp_path / ".paycli").exists():  # the store comes after the port
                assert process.poll() is None
            assert not port_file.exists() or port_file.read_text() != f"{server.port}\n"
            while not port_file.exists():
                assert process.poll() is None
            port_file.write_text("1\n")  # a later server's
        finally:
            process.terminate()
    assert process.returncode == 0
    assert port_file.read_text() == "1\n"


def test_a_port_file_that_cannot_be_removed_is_a_warning(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server()
    (port_file,) = tmp_path.glob("port-*")
    port_file.unlink()
    port_file.mkdir()
    assert server.stop() == 0
    said = server.stderr()
    assert f"WARNING the port file {port_file} could not be removed" in said
    assert "Traceback" not in said


def test_clients_may_ping_every_few_seconds_with_calls_and_without(server: Server) -> None:
    """grpc's own limits end the connection of who pings three times within five minutes."""
    pings = [
        ("grpc.keepalive_time_ms", 1_200),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    states: list[grpc.ChannelConnectivity] = []
    with (
        grpc.insecure_channel(server.target, options=pings) as idle,
        grpc.insecure_channel(server.target, options=pings) as watching,
    ):
        pay(idle)
        idle.subscribe(states.append)
        events = payments_pb2_grpc.PaymentsStub(watching).WatchEvents(
            payments_pb2.WatchEventsRequest(after_sequence=1), timeout=60
        )
        time.sleep(7)
        pay(idle, "o2")
        assert next(events).payment.order_id == "o2"
        events.cancel()
    assert grpc.ChannelConnectivity.CONNECTING not in states
    assert grpc.ChannelConnectivity.IDLE not in states


def test_a_flood_of_pings_ends_its_connection(server: Server) -> None:
    ping = b"\x00\x00\x08\x06\x00" + bytes(4) + b"12345678"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as peer:
        peer.sendall(PREFACE + b"\x00\x00\x00\x04\x00" + bytes(4))
        with contextlib.suppress(ConnectionError):  # it may have had enough before the last one
            for _ in range(50):
                peer.sendall(ping)
        heard = b""
        with contextlib.suppress(ConnectionError):
            while more := peer.recv(4096):
                heard += more
    assert b"too_many_pings" in heard
    assert b"\x00\x03" + (1000).to_bytes(4, "big") in heard  # the most calls at a time


@pytest.mark.parametrize("kind", ["a path", "an abstract name"])
def test_systemd_is_told_of_the_start_and_of_the_stop(
    kind: str, start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = str(tmp_path / "notify") if kind == "a path" else f"@{tmp_path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(name.replace("@", "\0"))
        systemd.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        server = start_server()
        ready, status = systemd.recv(1024).decode().splitlines()
        assert ready == "READY=1"
        assert status == f"STATUS=Listening on 127.0.0.1:{server.port} and [::1]:{server.port}"
        server.process.send_signal(signal.SIGTERM)
        assert systemd.recv(1024) == b"STOPPING=1"
        assert server.process.wait(20) == 0


def test_a_second_server_on_the_port_or_the_file_is_refused(server: Server, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path}/other.db"
    taken = run_paycli("serve", "--port", str(server.port), "--store", other)
    assert (taken.returncode, taken.stdout) == (1, "")
    assert taken.stderr.count("\n") == 1
    assert "another program listens there" in taken.stderr
    held = run_paycli("serve", "--port", "0", "--store", f"sqlite:///{server.store}")
    assert (held.returncode, held.stdout) == (1, "")
    assert held.stderr.count("\n") == 1
    assert f"Another paycli server (process {server.process.pid}) is using" in held.stderr


def test_a_public_address_needs_a_word_of_consent(tmp_path: Path) -> None:
    refused = run_paycli("serve", "--host", "0.0.0.0", cwd=tmp_path)
    assert refused.returncode == 2
    assert "--allow-unprotected" in refused.stderr
    assert not list(tmp_path.iterdir())


def test_health_and_reflection_answer(channel: grpc.Channel) -> None:
    check = health_pb2_grpc.HealthStub(channel).Check
    for service in ("", "payment.PaymentService"):
        assert check(health_pb2.HealthCheckRequest(service=service)).status == 1
    reflect = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo
    request = reflection_pb2.ServerReflectionRequest(list_services="*")
    listed = next(iter(reflect(iter([request])))).list_services_response.service
    assert "payment.PaymentService" in {service.name for service in listed}


def test_who_watches_the_health_hears_of_a_stop_and_does_not_hold_it_up(server: Server) -> None:
    with grpc.insecure_channel(server.target) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch
        said = watch(health_pb2.HealthCheckRequest(service="payment.PaymentService"))
        assert next(said).status == health_pb2.HealthCheckResponse.SERVING
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert next(said).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert server.process.wait(20) == 0
        assert time.monotonic() - began < 5  # the drain would wait for 10


@pytest.mark.parametrize(
    ("request_fields", "reason", "field"),
    [
        ({"amount": float("nan")}, "AMOUNT_NOT_FINITE", "amount"),
        ({"amount": float("-inf")}, "AMOUNT_NOT_FINITE", "amount"),
        ({"amount": -1.0}, "AMOUNT_NOT_POSITIVE", "amount"),
        ({"amount": 0.0}, "AMOUNT_NOT_POSITIVE", "amount"),
        ({"amount": 0.001}, "AMOUNT_NOT_REPRESENTABLE", "amount"),
        ({"amount": 0.1 + 0.2}, "AMOUNT_NOT_REPRESENTABLE", "amount"),
        ({"amount": 1e300}, "AMOUNT_TOO_LARGE", "amount"),
        ({"currency": "eur"}, "CURRENCY_UNKNOWN", "currency"),
        ({"currency": "XXX"}, "CURRENCY_UNKNOWN", "currency"),
        ({"currency": ""}, "CURRENCY_UNKNOWN", "currency"),
        ({"order": ""}, "FIELD_INVALID", "order_id"),
        ({"order": "x" * 256}, "FIELD_INVALID", "order_id"),
        ({"order": "a\x1fb"}, "FIELD_INVALID", "order_id"),
        ({"user_id": "x" * 10_000}, "FIELD_INVALID", "user_id"),
    ],
)
def test_bad_fields_are_refused_with_details(
    channel: grpc.Channel, request_fields: dict[str, object], reason: str, field: str
) -> None:
    status, said, metadata, details = error_of(channel, **request_fields)
    assert (status, said, metadata["field"]) == ("INVALID_ARGUMENT", reason, field)
    assert details == {"ErrorInfo", "BadRequest"}


def test_nothing_is_written_for_what_is_refused(server: Server, channel: grpc.Channel) -> None:
    error_of(channel, amount=-1.0)
    assert pay(channel).status == "SUCCESS"
    with contextlib.closing(sqlite3.connect(server.store)) as connection:
        assert connection.execute("SELECT count(*) FROM payment").fetchone() == (1,)


def test_a_retry_is_answered_and_marked_and_a_changed_one_refused(channel: grpc.Channel) -> None:
    first = pay(channel)
    stub = payment_pb2_grpc.PaymentServiceStub(channel)
    request = payment_pb2.PaymentRequest(order_id="o1", amount=99.99, currency="EUR", user_id="ada")
    again, call = stub.ProcessPayment.with_call(request)
    assert again == first
    assert ("idempotency-replayed", "true") in call.trailing_metadata()
    status, reason, metadata, _ = error_of(channel, amount=99.98, currency="USD")
    assert (status, reason) == ("ALREADY_EXISTS", "IDEMPOTENCY_KEY_REUSED")
    assert metadata == {"firstPaymentId": first.payment_id, "differingFields": "amount, currency"}


def test_the_idempotency_key_of_the_metadata_comes_before_the_order(channel: grpc.Channel) -> None:
    stub = payment_pb2_grpc.PaymentServiceStub(channel)
    request = payment_pb2.PaymentRequest(order_id="o1", amount=5, currency="EUR", user_id="ada")
    one, same, other = (
        stub.ProcessPayment(request, metadata=(("idempotency-key", key),)).payment_id
        for key in ("k1", "k1", "k2")
    )
    assert one == same != other


def test_a_decline_is_an_answer_and_stays_one(channel: grpc.Channel) -> None:
    first = pay(channel, user_id="sim_decline_lost_card")
    assert first.status == "FAILED"
    assert pay(channel, user_id="sim_decline_lost_card") == first


def test_malformed_messages_and_wrong_methods_leave_it_serving(channel: grpc.Channel) -> None:
    method = "/payment.PaymentService/ProcessPayment"
    raw = channel.unary_unary(method, bytes, bytes)
    generator = random.Random(4)
    for size in (1, 2, 10, 100, 10_000):
        with pytest.raises(grpc.RpcError) as raised:
            raw(b"\xff" + generator.randbytes(size), timeout=5)
        assert raised.value.code() is not grpc.StatusCode.OK
    with pytest.raises(grpc.RpcError) as raised:
        raw(b"\x00" * (5 * 1024 * 1024), timeout=5)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    with pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary("/payment.PaymentService/Nonsense", bytes, bytes)(b"", timeout=5)
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert pay(channel).status == "SUCCESS"


def test_broken_and_half_open_connections_leave_it_serving(
    server: Server, channel: grpc.Channel
) -> None:
    generator = random.Random(7)
    peers = []
    for n in range(60):
        peer = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        if n % 3 == 0:
            peer.sendall(generator.randbytes(200))
        elif n % 3 == 1:
            peer.sendall(PREFACE + generator.randbytes(50))
        if n % 2:  # a reset instead of a goodbye
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()
        peers.append(peer)  # the others stay half open
    assert pay(channel).status == "SUCCESS"
    for peer in peers:
        peer.close()
    assert pay(channel, "o2").status == "SUCCESS"
    assert server.process.poll() is None
    assert server.stop() == 0


def test_a_port_file_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for wrong in (tmp_path / "no" / "such" / "port", folder):
        refused = run_paycli("serve", "--port", "0", "--port-file", wrong, cwd=tmp_path)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.startswith(f"Error: Cannot write the port file {wrong}: ")
        assert refused.stderr.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"folder", ".paycli"}


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("", "--host is empty"),
        ("no-such-host.invalid", "Cannot listen on no-such-host.invalid: the host is not known"),
        ("192.0.2.1", "Cannot listen on 192.0.2.1: Cannot assign requested address"),
    ],
)
@pytest.mark.parametrize("port", ["0", "50999"])
def test_a_host_that_is_not_ours_is_named(host: str, said: str, port: str) -> None:
    refused = run_paycli(
        *("serve", "--host", host, "--port", port, "--allow-unprotected"),
        *("--store", "sqlite:///:memory:"),
    )
    assert refused.returncode in (1, 2)
    assert said in refused.stderr.replace(f":{port}:", ":")
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("host", "target"),
    [
        ("[::1]", "[::1]"),
        ("127.1", "127.0.0.1"),
        ("pay.localhost", "127.0.0.1"),
        ("pay.localhost", "[::1]"),
    ],
)
def test_every_spelling_of_the_loopback_is_listened_on(
    host: str, target: str, start_server: StartServer
) -> None:
    server = start_server("--host", host)
    with grpc.insecure_channel(f"{target}:{server.port}") as channel:
        assert pay(channel).status == "SUCCESS"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_during_the_start_is_clean(number: signal.Signals, tmp_path: Path) -> None:
    """The store is opened after the signals are caught, so its lock file says "from now on"."""
    with subprocess.Popen(
        [sys.executable, "-m", "paycli", "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as process:
        while not (tmp_path / ".paycli/paycli.db.lock").exists():
            assert process.poll() is None
        process.send_signal(number)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 0, said
    assert "Error" not in said
    assert "Warning" not in said


def test_a_chosen_port_is_used(start_server: StartServer) -> None:
    first = start_server()
    first.stop()
    assert start_server(port=first.port).port == first.port


def test_one_order_of_two_customers_is_two_payments(channel: grpc.Channel) -> None:
    assert pay(channel, user_id="ada") != pay(channel, user_id="grace")


def test_a_broken_store_is_told_to_health_checks_and_payers(
    server: Server, channel: grpc.Channel
) -> None:
    with contextlib.closing(sqlite3.connect(server.store)) as connection:
        connection.execute("DROP VIEW posting")
        connection.execute("DROP TABLE entry")
    first, later = error_of(channel), error_of(channel)
    # Unless the server found out by itself, a moment before.
    assert first[1] in ("STORE_OUTCOME_UNKNOWN", "STORE_UNAVAILABLE")
    assert later[:2] == ("UNAVAILABLE", "STORE_UNAVAILABLE")
    assert later[3] == {"ErrorInfo", "RetryInfo"}
    check = health_pb2_grpc.HealthStub(channel).Check
    assert check(health_pb2.HealthCheckRequest()).status == 2
    refused = run_paycli("pay", "--amount", "5", "--target", server.target)
    assert (refused.returncode, refused.stdout) == (3, "")
    assert refused.stderr.startswith("Error: The store failed")
    assert server.stop() == 1


def test_a_second_signal_ends_the_wait_for_calls_in_flight(start_server: StartServer) -> None:
    server = start_server("--drain-timeout", "100", "--processor-timeout", "100")
    with grpc.insecure_channel(server.target) as channel:
        slow = payment_pb2.PaymentRequest(
            order_id="o1", amount=5, currency="EUR", user_id="sim_slow_60000"
        )
        call = payment_pb2_grpc.PaymentServiceStub(channel).ProcessPayment.future(slow)
        with contextlib.closing(sqlite3.connect(server.store)) as connection:
            while connection.execute("SELECT count(*) FROM intent").fetchone() == (0,):
                assert not call.done()
                time.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(0.5)
        assert server.stop() == 0
