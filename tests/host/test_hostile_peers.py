"""Peers that mean harm, or nonsense: others are served meanwhile, and memory stays where it was."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paycli.generated import payment_pb2, payment_pb2_grpc
from tests.conftest import Server, servers_in
from tests.processes import rss_mb

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PATH: Final = "/payment.PaymentService/ProcessPayment"
BOMB_MB: Final = 400
FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with servers_in(tmp_path_factory.mktemp("hostile")) as start:
        yield start()


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def headers(stream: int, *more: tuple[bytes, bytes]) -> bytes:
    """The frame that begins a call of the seed contract."""
    fields = [(b"te", b"trailers"), (b"content-type", b"application/grpc"), *more]
    block = b"\x83\x86\x04" + bytes([len(PATH)]) + PATH.encode() + b"\x01\x01x"
    block += b"".join(b"\0" + _string(name) + _string(value) for name, value in fields)
    return frame(1, 4, stream, block)


def _string(text: bytes) -> bytes:
    """With its length as HPACK has it (RFC 7541 5.1)."""
    if len(text) < 127:
        return bytes([len(text)]) + text
    rest, size = len(text) - 127, b"\x7f"
    while rest >= 128:
        size, rest = size + bytes([rest % 128 + 128]), rest // 128
    return size + bytes([rest]) + text


def message(body: bytes, *, compressed: bool = False) -> bytes:
    return struct.pack(">BI", compressed, len(body)) + body


def connected(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def pay(server: Server) -> str:
    """The status that somebody else's payment gets meanwhile."""
    with grpc.insecure_channel(server.target) as channel:
        request = payment_pb2.PaymentRequest(
            order_id=str(time.time_ns()), amount=1, currency="EUR", user_id="ada"
        )
        return (
            payment_pb2_grpc.PaymentServiceStub(channel).ProcessPayment(request, timeout=20).status
        )


def sent(server: Server, *parts: bytes) -> bytes:
    """What the server says to these bytes until it closes, or has been silent for a while."""
    said = b""
    with connected(server) as peer, contextlib.suppress(OSError):
        peer.settimeout(0.05)
        for part in parts:
            peer.sendall(part)
        while more := peer.recv(65_536):
            said += more
    return said


@FUZZ
@given(st.binary(max_size=400))
def test_bytes_that_are_no_http2(target: Server, noise: bytes) -> None:
    sent(target, noise)
    assert pay(target) == "SUCCESS"


@FUZZ
@given(
    st.lists(
        st.builds(
            frame,
            st.integers(0, 12),
            st.integers(0, 255),
            st.integers(0, 9),
            st.binary(max_size=60),
        ),
        max_size=12,
    )
)
def test_frames_that_make_no_sense(target: Server, frames: list[bytes]) -> None:
    sent(target, PREFACE, frame(4, 0, 0, b""), *frames)
    assert pay(target) == "SUCCESS"


@FUZZ
@given(st.binary(max_size=120), st.booleans(), st.booleans())
def test_messages_that_are_none(target: Server, noise: bytes, framed: bool, flag: bool) -> None:
    body = message(noise, compressed=flag) if framed else noise
    sent(target, PREFACE, frame(4, 0, 0, b""), headers(1), frame(0, 1, 1, body))
    assert pay(target) == "SUCCESS"


def test_a_bomb_is_refused_and_takes_no_memory(target: Server) -> None:
    packer, zeros = zlib.compressobj(9, wbits=31), bytes(1024 * 1024)
    packed = [packer.compress(zeros) for _ in range(BOMB_MB)]
    bomb = message(b"".join([*packed, packer.flush()]), compressed=True)
    before = rss_mb(target.process.pid)
    for _ in range(5):
        parts = [frame(0, 0, 1, bomb[at : at + 16_000]) for at in range(0, len(bomb), 16_000)]
        encoded = headers(1, (b"grpc-encoding", b"gzip"))
        sent(target, PREFACE, frame(4, 0, 0, b""), encoded, *parts[:3], frame(0, 1, 1, b""))
        sent(target, PREFACE, frame(4, 0, 0, b""), encoded, *parts, frame(0, 1, 1, b""))
    assert pay(target) == "SUCCESS"
    assert rss_mb(target.process.pid) < before + BOMB_MB / 4


def test_metadata_without_end(target: Server) -> None:
    before = rss_mb(target.process.pid)
    block = b"\0\x01a" + _string(bytes(15_000).replace(b"\0", b"a"))
    with connected(target) as peer, contextlib.suppress(OSError):
        peer.sendall(PREFACE + frame(4, 0, 0, b"") + frame(1, 0, 1, b"\x83\x86"))
        for _ in range(12_000):  # 180 MB
            peer.sendall(frame(9, 0, 1, block))
    assert pay(target) == "SUCCESS"
    assert rss_mb(target.process.pid) < before + 90


def test_streams_opened_and_reset_at_once(target: Server) -> None:
    """The rapid reset of CVE-2023-44487."""
    before = rss_mb(target.process.pid)
    with connected(target) as peer, contextlib.suppress(OSError):
        peer.sendall(PREFACE + frame(4, 0, 0, b""))
        for stream in range(1, 40_000, 2):
            peer.sendall(headers(stream) + frame(3, 0, stream, b"\0\0\0\x08"))
    assert pay(target) == "SUCCESS"
    assert rss_mb(target.process.pid) < before + 60


def test_a_crowd_that_connects_and_says_little(target: Server) -> None:
    parts = (b"", b"PRI * HT", PREFACE, PREFACE + frame(4, 0, 0, b"") + headers(1))
    _crowd(target, parts, 400)  # what connections cost is kept for the next
    before = rss_mb(target.process.pid)
    _crowd(target, parts, 400)
    assert rss_mb(target.process.pid) < before + 40


@pytest.mark.chaos
def test_ten_thousand_connections(tmp_path: Path) -> None:
    with servers_in(tmp_path) as start:
        server = start("--max-connections", "20000")
        parts = (b"", b"PRI * HT", PREFACE, PREFACE + frame(4, 0, 0, b"") + headers(1))
        for _ in range(5):  # what a connection took is kept for others, by whichever thread had it
            _crowd(server, parts, 10_000)
        before = rss_mb(server.process.pid)
        _crowd(server, parts, 10_000)
        assert rss_mb(server.process.pid) < before * 1.25


def _crowd(server: Server, parts: tuple[bytes, ...], count: int) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(count):
            peer = stack.enter_context(connected(server))
            peer.sendall(parts[number % len(parts)])
        assert pay(server) == "SUCCESS"


def test_who_connects_and_says_nothing_is_let_go(target: Server) -> None:
    with connected(target) as silent, connected(target) as slow:
        slow.sendall(b"PRI * HT")
        for peer in (silent, slow):
            peer.settimeout(60)
            with contextlib.suppress(ConnectionError):
                while peer.recv(100):
                    pass
        assert pay(target) == "SUCCESS"
