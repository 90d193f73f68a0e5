"""A server of each transport: its addresses, what it says of itself, and its end."""

from __future__ import annotations

import concurrent.futures
import contextlib
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from tests.conftest import Server, StartServer, run_paycli
from tests.wire import client_of

V1 = "grpc.reflection.v1.ServerReflection"
V1_ALPHA = "grpc.reflection.v1alpha.ServerReflection"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SLOW = "sim_slow_8000"  # a customer whose payments take so many ms


@pytest.fixture
def server(transport: str, start_server: StartServer) -> Server:
    patience = ("--drain-timeout", "30", "--processor-timeout", "60")
    return start_server("--transport", transport, *patience)


@contextlib.contextmanager
def channel_to(target: str) -> Iterator[grpc.Channel]:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    with grpc.insecure_channel(target, options=options) as channel:
        yield channel


def test_both_loopbacks_are_one_server(server: Server) -> None:
    for host in ("127.0.0.1", "[::1]"):
        with client_of(f"{host}:{server.port}") as client:
            assert client.pay("o1").status == "SUCCESS"
    with client_of(server.target) as client:
        assert client.pay("o2").status == "SUCCESS"


def test_a_port_that_is_taken_is_told_in_one_sentence(
    transport: str, server: Server, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'other.db'}"
    line = ("serve", "--transport", transport, "--port", str(server.port), "--store", store)
    said = run_paycli(*line, cwd=tmp_path)
    assert said.returncode == 1
    assert said.stderr == (
        f"Error: Cannot listen on 127.0.0.1:{server.port}: another program listens there. "
        "Stop it, or choose another --port (0: any).\n"
    )


@pytest.mark.parametrize("taken", ["127.0.0.1", "::1"])
def test_a_port_that_is_taken_on_one_loopback_is_taken(
    transport: str, taken: str, tmp_path: Path
) -> None:
    family = socket.AF_INET6 if ":" in taken else socket.AF_INET
    with socket.create_server((taken, 0), family=family) as other:
        port = str(other.getsockname()[1])
        said = run_paycli("serve", "--transport", transport, "--port", port, cwd=tmp_path)
    assert said.returncode == 1
    assert "another program listens there" in said.stderr
    assert said.stderr.count("\n") == 1


def test_health_is_told_of_the_server_and_of_each_service(server: Server) -> None:
    with channel_to(server.target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", "payment.PaymentService", "paycli.payments.v1.Payments"):
            assert (
                stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=20).status
                == SERVING
            )
        with pytest.raises(grpc.RpcError) as raised:
            stub.Check(health_pb2.HealthCheckRequest(service="none"), timeout=20)
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND
        assert stub.List(health_pb2.HealthListRequest(), timeout=20).statuses[""].status == SERVING
        assert next(stub.Watch(health_pb2.HealthCheckRequest(), timeout=20)).status == SERVING


@pytest.mark.parametrize("version", [V1, V1_ALPHA])
def test_reflection_shows_the_services(server: Server, version: str) -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="*")
    symbol = reflection_pb2.ServerReflectionRequest(file_containing_symbol="payment.PaymentService")
    with channel_to(server.target) as channel:
        ask = channel.stream_stream(
            f"/{version}/ServerReflectionInfo",
            reflection_pb2.ServerReflectionRequest.SerializeToString,
            reflection_pb2.ServerReflectionResponse.FromString,
        )
        listed, described = ask(iter((request, symbol)), timeout=20)
    names = {each.name for each in listed.list_services_response.service}
    assert {"payment.PaymentService", "grpc.health.v1.Health", V1, V1_ALPHA} <= names
    assert described.file_descriptor_response.file_descriptor_proto


def test_a_stop_says_so_lets_calls_end_and_takes_no_more(server: Server) -> None:
    with (
        client_of(server.target) as paying,
        client_of(server.target) as late,
        channel_to(server.target) as watching,
        concurrent.futures.ThreadPoolExecutor() as threads,
    ):
        watch = health_pb2_grpc.HealthStub(watching).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == SERVING
        late.pay("o0")
        slow = threads.submit(paying.pay, "o1", user_id=SLOW)
        _wait_for_a_payment_in(server)
        server.process.send_signal(signal.SIGTERM)
        assert next(watch).status == NOT_SERVING
        began, refused = time.monotonic(), None
        while refused is None:
            assert not slow.done()
            try:
                late.pay("o2")
            except grpc.RpcError as error:
                refused = error.code()
        assert time.monotonic() - began < 5  # and not at the end of the slow one
        assert refused in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        assert slow.result(20).status == "SUCCESS"
    assert server.process.wait(20) == 0


def _wait_for_a_payment_in(server: Server) -> None:
    while not server.payments_in_flight():
        time.sleep(0.01)


def test_a_second_signal_hurries(server: Server) -> None:
    with client_of(server.target) as client, concurrent.futures.ThreadPoolExecutor() as threads:
        slow = threads.submit(client.pay, "o1", user_id="sim_slow_60000")
        _wait_for_a_payment_in(server)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(1.5)
        assert server.process.poll() is None
        assert not slow.done()
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
        assert time.monotonic() - began < 10  # the drain would wait for 30
        with pytest.raises(grpc.RpcError):
            slow.result(20)


def test_what_was_acknowledged_outlives_a_kill(
    transport: str, server: Server, start_server: StartServer
) -> None:
    with client_of(server.target) as client:
        paid = [client.pay(f"o{n}").payment_id for n in range(20)]
    server.process.kill()
    server.process.wait()
    again = start_server("--transport", transport, port=server.port)
    with client_of(again.target) as client:
        assert [client.pay(f"o{n}").payment_id for n in range(20)] == paid
    assert again.stop() == 0
    assert "Error" not in again.stderr()


def test_a_stop_without_calls_is_quick_and_leaves_nothing(
    server: Server, transport: str, tmp_path: Path
) -> None:
    with channel_to(server.target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        assert stub.Check(health_pb2.HealthCheckRequest(), timeout=20).status == SERVING
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 10  # the drain would wait for 30
    assert server.stderr().count("\n") == 3  # the store, the addresses, the drain
