"""What a server of each transport does with peers that mean no good, and with those of a server that goes."""

from __future__ import annotations

import concurrent.futures
import contextlib
import socket
import struct
import time
from collections.abc import Iterator

import pytest
from hpack import Encoder

from tests.conftest import Server, StartServer
from tests.host.conformance import conftest
from tests.processes import rss_mb
from tests.wire import client_of

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
PING = b"\x00\x00\x08\x06\x00" + bytes(4) + b"12345678"
# Frames, flags and a setting of RFC 9113.
DATA, HEADERS, RST, SETTINGS, GOAWAY, WINDOW = 0, 1, 3, 4, 7, 8
ACK, END_HEADERS, INITIAL_WINDOW = 1, 4, 4
PAYMENT = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/payment.PaymentService/ProcessPayment"),
    (":authority", "localhost"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
]


@pytest.fixture
def server(transport: str, start_server: StartServer) -> Server:
    return start_server("--transport", transport)


@contextlib.contextmanager
def peer_of(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as peer:
        yield peer


def heard_by(peer: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    heard = b""
    with contextlib.suppress(ConnectionError):
        while more := peer.recv(65_536):
            heard += more
    return heard


def kinds_in(frames: bytes) -> list[int]:
    """Of frames of HTTP/2."""
    kinds, at = [], 0
    while at + 9 <= len(frames):
        kinds.append(frames[at + 3])
        at += 9 + int.from_bytes(frames[at : at + 3], "big")
    return kinds


@pytest.mark.parametrize(
    "said",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02" + bytes(600), PREFACE[:24] + b"\xff" * 64],
)
def test_what_is_no_grpc_ends_its_own_connection(server: Server, said: bytes) -> None:
    with peer_of(server) as peer:
        with contextlib.suppress(ConnectionError):
            peer.sendall(said)
        heard_by(peer)
    with client_of(server.target) as client:
        assert client.pay("o1").status == "SUCCESS"


def test_a_connection_has_so_many_calls_at_once(server: Server) -> None:
    with peer_of(server) as peer:
        peer.sendall(PREFACE)
        time.sleep(0.5)
        assert b"\x00\x03" + (1000).to_bytes(4, "big") in peer.recv(4096)


def test_a_flood_of_pings_ends_its_connection(server: Server) -> None:
    with peer_of(server) as peer:
        peer.settimeout(3)
        peer.sendall(PREFACE)
        with contextlib.suppress(ConnectionError):
            for _ in range(50):
                peer.sendall(PING)
        assert b"too_many_pings" in heard_by(peer)


def test_who_says_nothing_is_let_go(server: Server) -> None:
    with peer_of(server) as peer:
        peer.settimeout(15)
        heard_by(peer)


def test_a_request_that_is_too_large_is_not_kept(server: Server) -> None:
    before = rss_mb(server.process.pid)
    with peer_of(server) as peer:
        peer.settimeout(3)
        peer.sendall(PREFACE + _frame(HEADERS, END_HEADERS, 1, Encoder().encode(PAYMENT)))
        peer.sendall(_frame(DATA, 0, 1, struct.pack(">BI", 0, 200_000_000)))
        with contextlib.suppress(OSError):
            _send(peer, 100_000_000)
        assert rss_mb(server.process.pid) - before < 60


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _send(peer: socket.socket, most: int) -> None:
    """So many bytes more on the first stream, as far as the other side lets them come."""
    windows = {0: 65_530, 1: 65_530}
    received, sent = b"", 0
    while sent < most:
        if size := min(16_000, *windows.values()):
            peer.sendall(_frame(DATA, 0, 1, bytes(size)))
            sent += size
            windows = {stream: left - size for stream, left in windows.items()}
            continue
        received += peer.recv(65_536)
        while len(received) >= 9 + int.from_bytes(received[:3], "big"):
            end = 9 + int.from_bytes(received[:3], "big")
            kind, stream, payload = received[3], received[8], received[9:end]
            received = received[end:]
            if kind in (RST, GOAWAY):
                return
            if kind == WINDOW:
                windows[stream] += int.from_bytes(payload, "big")
            elif kind == SETTINGS and payload:
                given = dict(struct.iter_unpack(">HI", payload))
                windows[1] += given[INITIAL_WINDOW] - 65_535
                peer.sendall(_frame(SETTINGS, ACK, 0, b""))


def test_clients_are_told_to_go_elsewhere(server: Server) -> None:
    """As soon as the server is told to stop: those who stay have their calls refused."""
    with peer_of(server) as peer, client_of(server.target) as client:
        peer.sendall(PREFACE)
        with concurrent.futures.ThreadPoolExecutor() as threads:
            slow = threads.submit(client.pay, "o1", user_id="sim_slow_5000")
            while not server.payments_in_flight():
                time.sleep(0.01)
            server.process.terminate()
            peer.settimeout(2)
            heard = b""
            while GOAWAY not in kinds_in(heard):
                heard += peer.recv(4096) or pytest.fail("not a word")
            assert not slow.done()
            assert slow.result(20).status == "SUCCESS"
    assert server.process.wait(20) == 0


def test_what_is_lacking_is_tested() -> None:
    from tests.host.conformance import test_calls, test_servers

    there = {*vars(test_calls), *vars(test_servers), *globals()}
    assert {name for lacks in conftest.LACKS.values() for name in lacks} <= there
