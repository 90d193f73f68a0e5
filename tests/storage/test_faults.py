"""When the disk fails: nothing acknowledged is lost, nothing else is reported, and no lie is told."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from paycli.client.failures import error_info
from paycli.errors import OutcomeOpen, PaymentError, StoreUnavailable
from paycli.generated import payment_pb2, payment_pb2_grpc
from paycli.payments.batch import Receipt
from paycli.payments.commands import Create
from paycli.payments.states import Action
from paycli.payments.store import Health, Store
from paycli.storage.stores import open_store, verify_store
from tests.conftest import InWriter, StartServer
from tests.storage import faults
from tests.storage.test_conformance import do, make, opened

CLIENTS = 5
POSITIONS = [0, 1, 2, 3, 5, 8, 13, 21, 34]


@dataclass
class Ledger:
    """What the callers of one store were told."""

    acknowledged: dict[str, Receipt] = field(default_factory=dict)
    refused: dict[str, tuple[Create, PaymentError]] = field(default_factory=dict)

    async def pay(self, store: Store, number: int) -> None:
        """One client: pays, refunds a part now and then, until the store takes no more."""
        for n in range(100):
            create = make(number * 1000 + n)
            try:
                self.acknowledged[create.payment_id] = await store.execute(create)
                if n % 3 == 0:
                    await store.execute(do(create, Action.REFUND, 1, key=f"r{number}-{n}"))
            except PaymentError as refusal:
                self.refused.setdefault(create.payment_id, (create, refusal))
                if isinstance(refusal, StoreUnavailable):
                    return

    async def is_what_readers_see(self, store: Store) -> None:
        """Nothing acknowledged is missing, nothing refused is there."""
        for payment_id in self.acknowledged:
            assert await store.payment(payment_id) is not None
        for payment_id in self.refused.keys() - self.acknowledged.keys():
            assert await store.payment(payment_id) is None

    async def is_kept_by(self, url: str) -> None:
        """After a restart every answer is given again, and what was refused can be sent again."""
        async with opened(url) as store:
            for receipt in self.acknowledged.values():
                again = await store.execute(_again(receipt))
                assert again == receipt._replace(replayed=True)
            for payment_id, (create, refusal) in self.refused.items():
                if payment_id not in self.acknowledged and isinstance(refusal, StoreUnavailable):
                    assert await store.payment(payment_id) is None
                await store.execute(create)


@pytest.mark.parametrize("kind", faults.Kind)
@pytest.mark.parametrize("after", POSITIONS)
def test_a_failing_disk_loses_nothing_and_reports_nothing_else(
    in_writer: InWriter, kind: faults.Kind, after: int, tmp_path: Path
) -> None:
    told = Ledger()
    failures: list[Health] = []

    async def main() -> None:
        in_writer(faults.break_disk(kind, after))
        async with open_store(f"sqlite:///{tmp_path}/s.db", failures.append) as store:
            await asyncio.gather(*(told.pay(store, number) for number in range(CLIENTS)))
            async with asyncio.timeout(30):
                while failures[-1:] != [Health.BROKEN]:  # noqa: ASYNC110 - it comes from elsewhere
                    await asyncio.sleep(0.01)
            # A disk that fails at once keeps the writer from starting, which is tried again.
            assert failures in ([Health.BROKEN], [Health.PAUSED, Health.BROKEN])
            await told.is_what_readers_see(store)
            # What a power cut would leave at this moment, besides what an orderly stop leaves.
            for name in ("s.db", "s.db-wal"):
                shutil.copy(tmp_path / name, tmp_path / f"cut-{name}")

    asyncio.run(main())
    kinds = [type(refusal) for _, refusal in told.refused.values()]
    assert set(kinds) <= {OutcomeOpen, StoreUnavailable}
    in_writer("")
    for name in ("s.db", "cut-s.db"):
        asyncio.run(told.is_kept_by(f"sqlite:///{tmp_path}/{name}"))
        verify_store(f"sqlite:///{tmp_path}/{name}", lambda *_: None)


def _again(receipt: Receipt) -> Create:
    return make(int(receipt.payment.payment_id[-20:], 16))


@pytest.mark.parametrize("kind", [faults.Kind.FULL, faults.Kind.SYNC])
def test_a_server_on_a_failing_disk_says_so_and_serves_again_after_a_restart(
    kind: faults.Kind, in_writer: InWriter, start_server: StartServer
) -> None:
    in_writer(faults.break_disk(kind, 100))
    faulty = start_server()
    with grpc.insecure_channel(faulty.target) as channel:
        paid, reasons = _pay_until_refused(channel)
        assert reasons[0] == ("DEADLINE_EXCEEDED", "STORE_OUTCOME_UNKNOWN")
        assert reasons[1:] == [("UNAVAILABLE", "STORE_UNAVAILABLE")] * 3
        check = health_pb2_grpc.HealthStub(channel).Check
        status = check(health_pb2.HealthCheckRequest()).status
        assert status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert faulty.stop() == 1  # for a supervisor
    assert "the store stopped taking payments" in faulty.stderr()
    assert len(paid) > 3
    in_writer("")
    server = start_server()
    with grpc.insecure_channel(server.target) as channel:
        for order, payment_id in paid.items():
            assert _pay(channel, order) == payment_id


def _pay_until_refused(channel: grpc.Channel) -> tuple[dict[str, str], list[tuple[str, str]]]:
    paid: dict[str, str] = {}
    reasons: list[tuple[str, str]] = []
    for number in range(1000):
        try:
            paid[f"o{number}"] = _pay(channel, f"o{number}")
        except grpc.RpcError as ended:
            info = error_info(ended)
            assert info is not None
            reasons.append((ended.code().name, info.reason))
            if len(reasons) == 4:
                break
    return paid, reasons


def _pay(channel: grpc.Channel, order: str) -> str:
    request = payment_pb2.PaymentRequest(order_id=order, amount=1, currency="EUR", user_id="ada")
    return str(
        payment_pb2_grpc.PaymentServiceStub(channel).ProcessPayment(request, timeout=10).payment_id
    )
