"""Loopback is never reached through a proxy: whoever is behind one is not whom we mean."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paycli.generated import payment_pb2
from tests.client.odd_service import service
from tests.conftest import Server, run_paycli, servers_in

ELSEWHERE = "pay_of_somebody_else"
WAYS = ("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY", "all_proxy", "by address")


class Proxy:
    """An HTTP proxy that leads to somebody else's payment service, whatever was asked for."""

    def __init__(self, listening: socket.socket, elsewhere: str) -> None:
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self.asked: list[str] = []
        self._elsewhere = elsewhere
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                stream, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._lead, args=(stream,), daemon=True).start()

    def _lead(self, stream: socket.socket) -> None:
        with stream:
            wanted = re.match(rb"CONNECT (\S+)", stream.recv(4096))
            self.asked.append(wanted[1].decode() if wanted else "")
            host, port = self._elsewhere.rsplit(":", 1)
            with socket.create_connection((host, int(port))) as behind:
                stream.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=_pump, args=(behind, stream), daemon=True)
                back.start()
                _pump(stream, behind)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    answer: Any = lambda *_: payment_pb2.PaymentResponse(payment_id=ELSEWHERE, status="SUCCESS")  # noqa: E731
    with service(answer) as elsewhere, socket.create_server(("127.0.0.1", 0)) as listening:
        yield Proxy(listening, elsewhere)
        listening.shutdown(socket.SHUT_RDWR)


def variables(proxy: Proxy) -> dict[str, dict[str, str]]:
    """Each way in which people or gRPC name a proxy."""
    by_name = {name: {name: proxy.url} for name in WAYS[:-1]}
    address = proxy.url.removeprefix("http://")
    return by_name | {
        "by address": {
            "GRPC_ADDRESS_HTTP_PROXY": address,
            "GRPC_ADDRESS_HTTP_PROXY_ENABLED_ADDRESSES": "127.0.0.0/8,::1/128",
        }
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with servers_in(tmp_path_factory.mktemp("server")) as start:
        yield start()


@pytest.mark.parametrize(
    ("way", "host"),
    [
        *((way, "localhost") for way in WAYS),
        *(("http_proxy", host) for host in ("LOCALHOST", "127.0.0.1", "[::1]", "pay.localhost")),
        *(("by address", host) for host in ("127.0.0.1", "[::1]")),
    ],
)
def test_loopback_is_paid_directly(server: Server, proxy: Proxy, way: str, host: str) -> None:
    target = f"{host}:{server.port}"
    paid = run_paycli("pay", "--amount", "5", "--target", target, env=variables(proxy)[way])
    assert proxy.asked == []
    if host != "pay.localhost":  # not every resolver knows what RFC 6761 says of it
        assert paid.returncode == 0, paid.stderr
        assert ELSEWHERE not in paid.stdout


@pytest.mark.parametrize("host", ["[::ffff:127.0.0.1]", "0.0.0.0"])
def test_addresses_that_lead_here_are_not_proxied_either(
    server: Server, proxy: Proxy, host: str
) -> None:
    target = f"{host}:{server.port}"
    env = variables(proxy)["http_proxy"]
    run_paycli("pay", "--amount", "5", "--target", target, "--plaintext", env=env)
    assert proxy.asked == []


def test_other_hosts_are_reached_through_the_proxy(proxy: Proxy) -> None:
    paid = run_paycli(
        *("pay", "--amount", "5", "--target", "payments.example:50051", "--plaintext"),
        env=variables(proxy)["http_proxy"],
    )
    assert ELSEWHERE in paid.stdout
    assert set(proxy.asked) == {"payments.example:50051"}


def test_smoke_and_doctor_call_what_is_here(proxy: Proxy, server: Server, tmp_path: Path) -> None:
    env = variables(proxy)["http_proxy"]
    smoke = run_paycli("smoke", cwd=tmp_path, env=env)
    assert smoke.returncode == 0, smoke.stdout + smoke.stderr
    line = ("doctor", "--port", str(server.port), "--store", f"sqlite:///{server.store}")
    doctor = run_paycli(*line, cwd=tmp_path, env=env)
    assert f"A gRPC server answers on port {server.port}." in doctor.stdout
    assert proxy.asked == []
