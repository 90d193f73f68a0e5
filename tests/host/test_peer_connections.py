"""`serve --max-peer-connections`: one peer does not take what is there for all."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from paycli.host.protection.peer_connections import peer_of
from tests.conftest import StartServer, run_paycli

MOST = 3
CHAOS = Path(__file__).parents[2] / "configs" / "chaos.yaml"  # a front stands before the server


@contextlib.contextmanager
def connections(port: int, source: str, count: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                socket.create_connection(("127.0.0.1", port), source_address=(source, 0))
            )
            for _ in range(count)
        ]


def is_open(peer: socket.socket) -> bool:
    """Whether it is, a moment after what the server says first."""
    peer.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        try:
            return bool(peer.recv(1000)) and is_open(peer)
        except ConnectionError:
            return False
    return True


def wait_for_the_end_of(peers: list[socket.socket]) -> None:
    until = time.monotonic() + 30
    while any(is_open(each) for each in peers):
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.parametrize("more", [(), ("--chaos", str(CHAOS))], ids=["server", "front"])
def test_the_newest_of_a_peer_are_closed(start_server: StartServer, more: tuple[str, ...]) -> None:
    server = start_server("--max-peer-connections", str(MOST), *more)
    port = int(server.target.rpartition(":")[2])
    with connections(port, "127.0.0.1", MOST) as first, connections(port, "127.0.0.2", 2) as others:
        time.sleep(1.5)  # they have been seen
        with connections(port, "127.0.0.1", 2) as newest:
            wait_for_the_end_of(newest)
        assert all(is_open(each) for each in (*first, *others))
        paid = run_paycli("pay", "--amount", "5", "--target", f"[::1]:{port}")
        assert paid.returncode == 0, paid.stderr
    server.stop()
    assert "closed 2 connections of 127.0.0.1, beyond the 3 of a peer" in server.stderr()


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::1"),
    ],
)
def test_whose_address_it_is(address: str, peer: str) -> None:
    assert peer_of(address) == peer
