"""Two workers over a cluster of three nodes, clients under load, and the primary dies.

Every payment that was acknowledged is there exactly once, with the id that was told.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import asyncpg
import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from paycli.generated import payment_pb2, payment_pb2_grpc
from paycli.storage.postgres.pool import AWAY
from paycli.storage.stores import migrate_store, verify_store
from tests import patroni, postgres
from tests.processes import ready

CLIENTS: Final = 8
STALL_S: Final = 0.3
LATER_S: Final = 1.0  # it asks one node after another, and a frozen one takes its time
READY: Final = "Payment Processing Service ready!"
# The last of them when a commit was cut off: the same key tells what became of it.
RETRIED: Final = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
)


@pytest.fixture
def cluster() -> Iterator[patroni.Cluster]:
    """Three nodes with an empty store."""
    if why := patroni.missing():
        pytest.skip(f"THE FAILOVER WAS NOT TESTED: {why}")
    with patroni.new_cluster() as found:
        migrate_store(found.url)
        yield found


class Clients:
    """Each pays one payment after another, and retries with the same key until it is answered."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self.told: dict[str, str] = {}
        self.times: list[float] = []
        self.errors: list[grpc.RpcError] = []
        self._threads = [threading.Thread(target=self._pay) for _ in range(CLIENTS)]
        for each in self._threads:
            each.start()

    def stop(self) -> None:
        """Once each has its answer."""
        self._stop.set()
        for each in self._threads:
            each.join(90)
            assert not each.is_alive()

    def answered_after(self, moment: float) -> float:
        """Seconds until the first payment that was begun after that and is acknowledged."""
        while not (later := [each for each in self.times if each > moment]):
            time.sleep(0.02)
        return min(later) - moment

    def _pay(self) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        with grpc.insecure_channel(self._target, options) as channel:
            stub = payment_pb2_grpc.PaymentServiceStub(channel)
            while not self._stop.is_set():
                order = f"order-{next(self._numbers)}"
                response = self._until_answered(stub, order)
                assert response.status == "SUCCESS"
                self.told[order] = response.payment_id
                self.times.append(time.monotonic())

    def _until_answered(
        self, stub: payment_pb2_grpc.PaymentServiceStub, order: str
    ) -> payment_pb2.PaymentResponse:
        request = payment_pb2.PaymentRequest(
            order_id=order, amount=1.0, currency="EUR", user_id="ada"
        )
        while True:
            try:
                return stub.ProcessPayment(request, timeout=30)
            except grpc.RpcError as problem:
                self.errors.append(problem)
                if problem.code() not in RETRIED:
                    raise
                time.sleep(0.05)


class Health:
    """What the server says of itself, as it changes."""

    def __init__(self, target: str) -> None:
        self.said: list[str] = []
        self._channel = grpc.insecure_channel(target)
        stub = health_pb2_grpc.HealthStub(self._channel)
        self._stream = stub.Watch(health_pb2.HealthCheckRequest())
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> None:
        self._stream.cancel()
        self._thread.join(10)
        self._channel.close()

    def _watch(self) -> None:
        try:
            for each in self._stream:
                self.said.append(health_pb2.HealthCheckResponse.ServingStatus.Name(each.status))
        except grpc.RpcError:
            pass


class PlainWriter:
    """Writes as fast as the cluster lets it, one message after another: Patroni's own share."""

    def __init__(self, nodes: Sequence[patroni.Node]) -> None:
        self._nodes = nodes
        self._stop = threading.Event()
        self._times: list[float] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._write()))
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)

    def held_up_until(self, moment: float, end: float) -> float:
        """When the last stall between these moments was over."""
        times = [each for each in self._times if each > moment - 1]
        stalls = [after for before, after in pairwise(times) if after - before > STALL_S]
        return max((each for each in stalls if each <= end + LATER_S), default=moment)

    async def _write(self) -> None:
        for node in itertools.cycle(self._nodes):
            if self._stop.is_set():
                return
            with suppress(*AWAY, asyncpg.PostgresError):
                connection = await asyncpg.connect(node.url, timeout=0.5, command_timeout=1)
                try:
                    while not self._stop.is_set():
                        await connection.execute(
                            "SELECT pg_logical_emit_message(true, 'plain', '')"
                        )
                        self._times.append(time.monotonic())
                        await asyncio.sleep(0.01)
                finally:
                    connection.terminate()
            await asyncio.sleep(0.02)


Fault = Callable[[patroni.Node], None]


def fail_over(
    cluster: patroni.Cluster, folder: Path, faults: Sequence[Fault], said: Callable[[str], None]
) -> None:
    """Let the faults come one after another, under load; then look at what is there."""
    arguments = ("serve", "--workers", "2", "--store", cluster.url)
    with ready(folder, READY, *arguments) as (_, target):
        clients, health, plain = Clients(target), Health(target), PlainWriter(cluster.nodes)
        try:
            for fault in faults:
                time.sleep(2)
                node = cluster.wait_until_whole()
                fault(node)
                moment = time.monotonic()
                time.sleep(0.5)  # what was on its way
                first = clients.answered_after(moment + 0.5) + moment + 0.5
                time.sleep(1)
                until = plain.held_up_until(moment, first)
                said(
                    f"{fault.__name__}: the cluster takes writes after {until - moment:.1f} s, a "
                    f"payment is acknowledged {first - until:+.2f} s later"
                )
                if fault is patroni.Node.kill:
                    node.start()
                elif fault is patroni.Node.freeze:
                    node.thaw()
                    node.wait_until_it_follows()
            time.sleep(1)
        finally:
            clients.stop()
            health.stop()
            plain.stop()
        said(f"{len(clients.told):,} acknowledged, {len(clients.errors):,} calls ended otherwise")
        rows = postgres.sql(_writable(cluster), "SELECT order_id, payment_id FROM paycli.payment")
        kept = {str(order_id): str(payment_id) for order_id, payment_id in rows}
    assert kept == clients.told
    counts = (
        "SELECT count(*), count(DISTINCT order_id), count(DISTINCT payment_id) FROM paycli.payment"
    )
    assert postgres.sql(_writable(cluster), counts) == [(len(kept),) * 3]
    assert verify_store(cluster.url, lambda *_: None).payments == len(kept)
    assert "NOT_SERVING" in health.said
    assert health.said[-1] == "SERVING"
    refused = [each for each in clients.errors if each.code() is grpc.StatusCode.UNAVAILABLE]
    assert any(_retry_info(each) for each in refused)


def _writable(cluster: patroni.Cluster) -> str:
    return f"{cluster.url}?target_session_attrs=read-write"


def _retry_info(problem: grpc.RpcError) -> bool:
    trailers: dict[str, Any] = dict(problem.trailing_metadata() or ())  # type: ignore[arg-type]
    status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
    return any(each.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for each in status.details)


@pytest.mark.timeout(180)
def test_the_primary_dies_under_load_and_no_payment_is_lost_or_doubled(
    cluster: patroni.Cluster, tmp_path: Path
) -> None:
    fail_over(cluster, tmp_path, [patroni.Node.kill_postgres], print)


@pytest.mark.chaos
@pytest.mark.timeout(1200)
def test_primaries_and_whole_nodes_die_again_and_again(
    cluster: patroni.Cluster, tmp_path: Path
) -> None:
    rounds = [patroni.Node.kill_postgres, patroni.Node.kill, patroni.Node.freeze]
    fail_over(cluster, tmp_path, rounds * 3, print)
