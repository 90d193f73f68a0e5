"""`paycli serve --workers` over one PostgreSQL database: processes that come and go, one truth."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import closing
from pathlib import Path

import grpc
import pytest

from paycli.generated.paycli.payments.v1 import payments_pb2, payments_pb2_grpc
from paycli.storage.postgres import migrate
from paycli.storage.schema import Migration, migrations
from paycli.storage.stores import migrate_store, verify_store
from tests import postgres
from tests.host.test_workers import Load, eventually, serving
from tests.processes import ready


@pytest.fixture
def store() -> str:
    """The URL of an empty store."""
    return postgres.new_store()


def orders_in(store: str) -> list[str]:
    rows = postgres.sql(store, "SELECT order_id FROM paycli.payment")
    return sorted(str(order) for (order,) in rows)


class Watcher:
    """Sees all events of a server, and where each one stands."""

    def __init__(self, target: str) -> None:
        self.seen: list[tuple[int, str]] = []
        options = (("grpc.use_local_subchannel_pool", 1),)
        self._channel = grpc.insecure_channel(target, options=options)
        stub = payments_pb2_grpc.PaymentsStub(self._channel)
        self._stream = stub.WatchEvents(payments_pb2.WatchEventsRequest())
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def close(self) -> None:
        self._stream.cancel()
        self._thread.join()
        self._channel.close()

    def _watch(self) -> None:
        try:
            for event in self._stream:
                self.seen.append((event.sequence, event.payment.order_id))
        except grpc.RpcError:
            pass


def test_a_worker_that_is_killed_loses_nothing_and_watchers_see_all_once(
    store: str, tmp_path: Path
) -> None:
    with serving(tmp_path, "--store", store, "--workers", "2") as workers:
        assert workers.count("ready!") == 1
        with closing(Load(workers.target)) as load:
            eventually(lambda: len(load.paid) > 100)
            before = workers.pids
            os.kill(min(before), signal.SIGKILL)
            count = len(load.paid)
            eventually(lambda: len(load.paid) > count + 100)
            eventually(lambda: len(workers.pids - before) == 1)
        watchers = [Watcher(workers.target) for _ in range(4)]  # of both, most likely
        try:
            eventually(lambda: all(len(each.seen) >= len(load.paid) for each in watchers))
        finally:
            for each in watchers:
                each.close()
        assert workers.stop() == 0
    kept = orders_in(store)
    assert len(set(kept)) == len(kept)
    assert set(load.paid) <= set(kept)  # and some whose answers went with the worker
    for each in watchers:
        assert each.seen == sorted(set(each.seen))
        assert sorted(order for _, order in each.seen) == kept
    assert verify_store(store, lambda *_: None).payments == len(kept)


def test_servers_of_two_machines_share_one_truth(store: str, tmp_path: Path) -> None:
    line = ("Payment Processing Service ready!", "serve", "--store", store)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with ready(tmp_path / "one", *line) as (_, one), ready(tmp_path / "two", *line) as (_, two):
        ids = [_paid(target, "coffee") for target in (one, two, one)]
        assert len(set(ids)) == 1
        with closing(Watcher(one)) as watcher:
            eventually(lambda: len(watcher.seen) == 1)
            began = time.monotonic()
            _paid(two, "cake")
            eventually(lambda: len(watcher.seen) == 2)
            assert time.monotonic() - began < 5
    assert orders_in(store) == ["cake", "coffee"]


def _paid(target: str, order: str) -> str:
    with grpc.insecure_channel(target) as channel:
        stub = payments_pb2_grpc.PaymentsStub(channel)
        request = payments_pb2.CreatePaymentRequest(
            order_id=order, customer_id="ada", amount={"currency_code": "EUR", "units": 3}
        )
        name: str = stub.CreatePayment(request, timeout=20).name
    return name


def test_servers_go_on_while_the_schema_is_migrated(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are of the version before; one that starts afterwards must be new."""
    later = Migration(
        len(migrations("postgres")) + 1,
        "of_the_future",
        "ALTER TABLE payment ADD COLUMN note text NOT NULL DEFAULT ''; "
        "ALTER TABLE entry ADD COLUMN origin text NOT NULL DEFAULT ''; "
        "ALTER TABLE intent ADD COLUMN origin text NOT NULL DEFAULT '';",
    )
    with serving(tmp_path, "--store", store, "--workers", "2") as workers:
        with closing(Load(workers.target)) as load:
            eventually(lambda: len(load.paid) > 50)
            steps = (*migrations("postgres"), later)
            monkeypatch.setattr(migrate, "migrations", lambda _: steps)
            monkeypatch.setattr(migrate, "SCHEMA_VERSION", later.version)
            assert migrate_store(store) == (later.version - 1, later.version)
            count = len(load.paid)
            eventually(lambda: len(load.paid) > count + 50)
        assert load.failed == []
    assert set(orders_in(store)) == set(load.paid)


@pytest.mark.chaos
@pytest.mark.timeout(180)
def test_what_a_server_left_open_when_it_died_is_settled_by_one_other(
    store: str, tmp_path: Path
) -> None:
    """Once its lease is over: the processor's time-out and half a minute."""
    line = ["Payment Processing Service ready!", "serve", "--store", store]
    line += ["--processor-timeout", "3"]
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    with (
        ready(tmp_path / "two", *line) as (_, two),
        ready(tmp_path / "three", *line) as (_, three),
    ):
        with (
            ready(tmp_path / "one", *line) as (process, one),
            grpc.insecure_channel(one) as channel,
        ):
            stub = payments_pb2_grpc.PaymentsStub(channel)
            asked = stub.CreatePayment.future(_slow(), timeout=20)
            intents = "SELECT count(*) FROM paycli.intent"
            eventually(lambda: postgres.sql(store, intents) == [(1,)])
            process.kill()
            with pytest.raises(grpc.RpcError):
                asked.result()
        for target in (two, three):
            with grpc.insecure_channel(target) as channel, pytest.raises(grpc.RpcError) as told:
                payments_pb2_grpc.PaymentsStub(channel).CreatePayment(_slow(), timeout=20)
            assert told.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            assert "Another server is asking" in str(told.value.details())
        eventually(lambda: postgres.sql(store, intents) == [(0,)])
        answers = []
        for target in (two, three):
            with grpc.insecure_channel(target) as channel:
                stub = payments_pb2_grpc.PaymentsStub(channel)
                answers.append(stub.CreatePayment(_slow(), timeout=20))
        assert answers[0] == answers[1]
        assert answers[0].state == payments_pb2.PAYMENT_STATE_CAPTURED
    assert orders_in(store) == ["slow"]
    assert verify_store(store, lambda *_: None).entries == 1


def _slow() -> payments_pb2.CreatePaymentRequest:
    return payments_pb2.CreatePaymentRequest(
        order_id="slow",
        customer_id="sim_slow_2500",
        amount={"currency_code": "EUR", "units": 3},
    )
