"""A server under all kinds of calls for a while: memory, open files and threads stay where they were."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import grpc
import pytest

from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from tests.conftest import Server, StartServer
from tests.processes import rss_mb
from tests.wire import Client, creation

PAUSE_S = 1.5  # what was left is let go of by then
ROUNDS = 3


class Used(NamedTuple):
    """What a server has at a moment."""

    files: int
    threads: int
    memory_mb: float


def used_by(server: Server) -> Used:
    at = Path(f"/proc/{server.process.pid}")
    files, threads = list((at / "fd").iterdir()), list((at / "task").iterdir())
    return Used(len(files), len(threads), rss_mb(server.process.pid))


def pays(client: Client) -> None:
    made = client.call("CreatePayment", creation())
    client.call("GetPayment", pb.GetPaymentRequest(name=made.name))


def is_refused(client: Client) -> None:
    client.call("GetPayment", pb.GetPaymentRequest(name="payments/none"))


def lists(client: Client) -> None:
    client.call("ListPayments", pb.ListPaymentsRequest(page_size=20))


def watches_and_leaves(client: Client) -> None:
    stream = client.payments.WatchEvents(pb.WatchEventsRequest(), timeout=30)
    next(iter(stream))
    stream.cancel()


def leaves_before_the_answer(client: Client) -> None:
    call = client.payments.CreatePayment.future(creation(customer_id="sim_slow_500"))
    call.cancel()


def is_late(client: Client) -> None:
    client.payments.CreatePayment(creation(customer_id="sim_slow_500"), timeout=0.02)


CALLS: tuple[Callable[[Client], None], ...] = (
    pays,
    is_refused,
    lists,
    watches_and_leaves,
    leaves_before_the_answer,
    is_late,
)


@pytest.mark.parametrize(
    "seconds", [4.0, pytest.param(120.0, marks=[pytest.mark.chaos, pytest.mark.timeout(900)])]
)
def test_nothing_grows(start_server: StartServer, seconds: float) -> None:
    server = start_server("--log-calls")
    listening = threading.Thread(target=_read_away, args=(server,))
    listening.start()
    _load(server, seconds)  # fills what is kept for the next
    time.sleep(PAUSE_S)
    used = [used_by(server)]
    # What leaks grows every time; what a busy machine fills late does not.
    while len(used) < 2 or (_grew(*used[-2:]) and len(used) <= ROUNDS):
        _load(server, seconds)
        time.sleep(PAUSE_S)
        used.append(used_by(server))
    server.stop()
    listening.join()
    assert not _grew(*used[-2:]), used


def _grew(before: Used, after: Used) -> bool:
    return (
        after.files > before.files + 5
        or after.threads > before.threads + 5
        or after.memory_mb > before.memory_mb * 1.2 + 10
    )


def _load(server: Server, seconds: float) -> None:
    until = time.monotonic() + seconds
    callers = [threading.Thread(target=_call, args=(server, each, until)) for each in CALLS]
    callers.append(threading.Thread(target=_connect, args=(server, until)))
    for each in callers:
        each.start()
    for each in callers:
        each.join()


def _call(server: Server, call: Callable[[Client], None], until: float) -> None:
    """Over a new connection now and then."""
    options = (("grpc.use_local_subchannel_pool", 1),)
    while time.monotonic() < until:
        with grpc.insecure_channel(server.target, options=options) as channel:
            client = Client(channel)
            for _ in range(50):
                with suppress(grpc.RpcError):
                    call(client)
                if time.monotonic() > until:
                    break


def _connect(server: Server, until: float) -> None:
    while time.monotonic() < until:
        with socket.create_connection(("127.0.0.1", server.port)) as peer:
            peer.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        time.sleep(0.01)


def _read_away(server: Server) -> None:
    """Its log, which would wait for a reader."""
    assert server.process.stderr is not None
    for _ in server.process.stderr:
        pass
