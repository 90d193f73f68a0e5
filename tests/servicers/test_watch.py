"""WatchEvents: everything once, in order; over restarts, under load, with readers of every kind."""

from __future__ import annotations

import contextlib
import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from tests.conftest import Server, StartServer
from tests.wire import Client, client_of, creation, refusal_of

SOON_S = 1.0
LONG = "𝄞" * 255


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with client_of(server.target) as opened:
        yield opened


def events(client: Client, count: int, after: int = 0, **wanted: Any) -> list[pb.Event]:
    """The next events, as many as are asked for."""
    request = pb.WatchEventsRequest(after_sequence=after, **wanted)
    stream = client.payments.WatchEvents(request, timeout=30)
    found = list(itertools.islice(stream, count))
    stream.cancel()
    return found


def kind(event: pb.Event) -> str:
    return pb.EventKind.Name(event.kind).removeprefix("EVENT_KIND_")


def soon(true: Callable[[], bool], within_s: float = 20) -> None:
    """Wait until it is true."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_events_tell_what_their_callers_were_told(client: Client) -> None:
    charged = client.create("10.00", order_id="o1")
    held = client.authorize("10.00")
    declined = client.create("1.00", customer_id="sim_decline_lost_card")
    part = client.capture(held.name, "4.00")
    refund = client.refund(held.name, "1.00")
    last = client.capture(held.name, "2.00", final=True)
    voided = client.void(client.authorize("3.00").name)
    found = events(client, 8)
    assert [each.sequence for each in found] == list(range(1, 9))
    assert [(kind(each), each.amount.units) for each in found] == [
        ("CHARGED", 10),
        ("AUTHORIZED", 10),
        ("DECLINED", 0),
        ("CAPTURED", 4),
        ("REFUNDED", 1),
        ("CAPTURED", 2),
        ("AUTHORIZED", 3),
        ("VOIDED", 3),
    ]
    told = [found[n].payment for n in (0, 1, 2, 3, 5, 7)]
    assert told == [charged, held, declined, part, last, voided]
    assert found[4].payment.refunded_amount == refund.amount
    assert found[4].create_time == refund.create_time
    assert events(client, 3, after=5) == found[5:]


def test_events_come_as_they_happen(client: Client) -> None:
    stream = client.payments.WatchEvents(pb.WatchEventsRequest(), timeout=30)
    for n in range(5):
        paid = client.create(order_id=f"o{n}")
        assert next(stream).payment == paid
    stream.cancel()


def test_each_filter_and_all_together(client: Client) -> None:
    names = []
    for n in range(12):
        held = client.authorize("10.00", order_id=f"o{n % 2}", customer_id=f"c{n % 3}")
        client.capture(held.name, "1.00")
        client.refund(held.name, "1.00")
        names.append(held.name)
    everything = events(client, 36)
    kinds: list[list[int]] = [[], [pb.EVENT_KIND_CAPTURED], [2, 7, 7], [1, 3]]
    for payment, order, customer, of_kinds, after in itertools.product(
        ["", names[4]], ["", "o0"], ["", "c1"], kinds, [0, 13, 35]
    ):
        fitting = [
            each
            for each in everything
            if each.sequence > after
            and payment in ("", each.payment.name)
            and order in ("", each.payment.order_id)
            and customer in ("", each.payment.customer_id)
            and (not of_kinds or each.kind in of_kinds)
        ]
        query: dict[str, Any] = {
            "payment": payment,
            "order_id": order,
            "customer_id": customer,
            "kinds": of_kinds,
        }
        stream = client.payments.WatchEvents(
            pb.WatchEventsRequest(after_sequence=after, **query), timeout=30
        )
        assert list(itertools.islice(stream, len(fitting))) == fitting, query
        stream.cancel()


def test_a_filter_that_fits_nothing_yet_waits(client: Client) -> None:
    for _ in range(3):
        client.create()
    for wanted in (
        pb.WatchEventsRequest(payment="payments/pay_none"),
        pb.WatchEventsRequest(order_id="late"),
        pb.WatchEventsRequest(kinds=[pb.EVENT_KIND_EXPIRED]),
    ):
        stream = client.payments.WatchEvents(wanted, timeout=0.3)
        with pytest.raises(grpc.RpcError) as raised:
            next(stream)
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def pay_until(done: threading.Event, target: str, writer: int, paid: set[str]) -> None:
    """Keep paying, whatever happens to the server; `paid` is what was acknowledged."""
    for n in itertools.count():
        with contextlib.suppress(grpc.RpcError), client_of(target) as client:
            for m in itertools.count():
                if done.is_set():
                    return
                requests = [creation(order_id=f"{writer}-{n}-{m}-{k}") for k in range(3)]
                paid.update(each.payment.name for each in client.batch(*requests))
        time.sleep(0.02)


def watch_until(over: Callable[[], bool], target: str, seen: list[pb.Event]) -> None:
    """Keep watching from the last number seen, whatever happens to the server."""
    while not over():
        after = seen[-1].sequence if seen else 0
        with contextlib.suppress(grpc.RpcError), client_of(target) as client:
            request = pb.WatchEventsRequest(after_sequence=after)
            seen.extend(client.payments.WatchEvents(request, timeout=2))
        time.sleep(0.02)


def test_a_watcher_misses_nothing_over_restarts_under_load(start_server: StartServer) -> None:
    paid: set[str] = set()
    seen: list[pb.Event] = []
    done = threading.Event()
    server = start_server()

    def over() -> bool:
        return done.is_set() and paid <= {each.payment.name for each in seen}

    threads = [
        threading.Thread(target=pay_until, args=(done, server.target, n, paid)) for n in range(4)
    ]
    threads.append(threading.Thread(target=watch_until, args=(over, server.target, seen)))
    for thread in threads:
        thread.start()
    for number in (signal.SIGTERM, signal.SIGKILL, None):
        wanted = len(seen) + 200
        soon(lambda wanted=wanted: len(seen) > wanted)  # type: ignore[misc] # bound now
        if number is not None:
            server.stop(number)
            server = start_server(port=server.port)
    done.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert [each.sequence for each in seen] == list(range(1, len(seen) + 1))
    names = [each.payment.name for each in seen]
    assert len(set(names)) == len(names)
    assert paid <= set(names)


def test_a_stop_ends_watching_within_a_second(server: Server, client: Client) -> None:
    client.create()
    ended: list[grpc.RpcError] = []

    def watch(request: pb.WatchEventsRequest) -> None:
        try:
            for _ in client.payments.WatchEvents(request):
                started.release()
        except grpc.RpcError as error:
            ended.append(error)

    started = threading.Semaphore(0)
    requests = [pb.WatchEventsRequest(), pb.WatchEventsRequest(customer_id="ada")] * 5
    watchers = [threading.Thread(target=watch, args=(each,)) for each in requests]
    for watcher in watchers:
        watcher.start()
    for _ in watchers:
        assert started.acquire(timeout=10)
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < SOON_S + 1  # with the time of a process to end
    for watcher in watchers:
        watcher.join(10)
    for error in ended:
        said = refusal_of(error)
        assert (said.code, said.reason) == ("UNAVAILABLE", "DRAINING")
        assert said.message == (
            "The server is stopping; watch again with the last sequence you saw."
        )
        assert said.details["RetryInfo"] == {"retryDelay": "1s"}
    assert len(ended) == len(watchers)


def fill(client: Client, thousands: int) -> None:
    """So many events of about 2 kB; gRPC itself keeps some MB of them for a reader."""
    for _ in range(thousands):
        client.batch(*(creation("1.00", order_id=LONG, customer_id=LONG) for _ in range(1000)))


def test_a_stop_does_not_wait_for_a_backlog(server: Server) -> None:
    with client_of(server.target) as client:
        fill(client, 8)
        busy = client.payments.WatchEvents(pb.WatchEventsRequest())
        read: list[int] = []

        def reading() -> None:
            with contextlib.suppress(grpc.RpcError):
                for event in busy:
                    read.append(event.sequence)
                    time.sleep(0.001)

        reader = threading.Thread(target=reading)
        reader.start()
        soon(lambda: len(read) > 10)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < SOON_S + 2
        assert "draining" in server.stderr()
        busy.cancel()
        reader.join(20)
        assert 10 < len(read) < 8000


def memory_of(server: Server) -> int:
    """Resident bytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_readers_that_sleep_cost_the_server_no_memory(server: Server) -> None:
    with client_of(server.target) as client, contextlib.ExitStack() as stack:
        fill(client, 5)
        asleep = []
        for _ in range(3):
            sleeper = stack.enter_context(client_of(server.target))
            asleep.append(sleeper.payments.WatchEvents(pb.WatchEventsRequest()))
            next(asleep[-1])
        before = memory_of(server)
        fill(client, 10)  # 20 MB of events for each of the sleepers
        assert memory_of(server) - before < 30 * 1024 * 1024
        assert [next(stream).sequence for stream in asleep] == [2] * 3
        assert [each.sequence for each in itertools.islice(asleep[0], 14_998)] == list(
            range(3, 15_001)
        )
        for stream in asleep:
            stream.cancel()


def test_a_hundred_watchers_at_once_all_see_everything(client: Client) -> None:
    streams = [client.payments.WatchEvents(pb.WatchEventsRequest(), timeout=60) for _ in range(100)]
    names = [client.create("1.00").name for _ in range(20)]
    names += [each.payment.name for each in client.batch(*(creation() for _ in range(80)))]
    for stream in streams:
        found = list(itertools.islice(stream, 100))
        assert [each.sequence for each in found] == list(range(1, 101))
        assert [each.payment.name for each in found] == names
        stream.cancel()
