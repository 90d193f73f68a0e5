"""Random business from several clients, with retries and crashes, against a model of ten lines."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import grpc
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from paycli.client.failures import error_info
from paycli.engine.engine import Engine
from paycli.engine.simulator import Simulator
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.generated.paycli.payments.v1 import payments_pb2_grpc
from paycli.host.errors_to_statuses import errors_to_statuses
from paycli.host.interceptors import Interceptors
from paycli.servicers.payments import PaymentsServicer
from paycli.storage.stores import open_store, verify_store
from tests.transports import make_server

Ran = TypeVar("Ran")
CLIENTS = 3


@dataclass
class Model:
    """What a payment must be, in cents."""

    authorized: int
    captured: int = 0
    voided: int = 0
    refunded: int = 0

    def change(self, action: str, amount: int, *, final: bool) -> bool:
        """Do it, if it is allowed; an amount of 0 means all that is left."""
        rest = self.authorized - self.captured - self.voided
        left = self.captured - self.refunded if action == "Refund" else rest
        amount = left if action == "Void" else amount or left
        if not 0 < amount <= left:
            return False
        self.captured += amount if action == "Capture" else 0
        self.refunded += amount if action == "Refund" else 0
        self.voided += amount if action == "Void" else 0
        self.voided += rest - amount if action == "Capture" and final else 0
        return True


class Service:
    """The real servicer over a real store behind a real port, in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name, "0.db")
        self._start()

    def run(self, work: Coroutine[Any, Any, Ran]) -> Ran:
        """Run in the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def _start(self) -> None:
        async def start() -> str:
            self.open = AsyncExitStack()
            store = await self.open.enter_async_context(
                open_store(f"sqlite:///{self.path}", lambda _: None)
            )
            engine = Engine(store, Simulator(), authorization_ttl_s=3600, processor_timeout_s=5)
            self.open.push_async_callback(engine.close)
            interceptors = Interceptors()
            interceptors.add([errors_to_statuses])
            server = make_server(interceptors)
            servicer = PaymentsServicer(engine, store)
            server.add(partial(payments_pb2_grpc.add_PaymentsServicer_to_server, servicer))
            (address,) = server.bind("127.0.0.1", 0)
            await server.start()
            self.open.push_async_callback(server.stop, 0)
            return address

        target = self.run(start())
        self.channels = [grpc.insecure_channel(target) for _ in range(CLIENTS)]
        self.stubs = [payments_pb2_grpc.PaymentsStub(channel) for channel in self.channels]

    def stop(self) -> None:
        """Stop in good order."""
        for channel in self.channels:
            channel.close()
        self.run(self.open.aclose())

    def restart(self, *, crash: bool) -> None:
        """Go on with the files as they are now; after a crash without an orderly stop."""
        if crash:
            copy = self.path.with_name(f"{int(self.path.stem) + 1}.db")
            for suffix in ("", "-wal"):
                shutil.copy(f"{self.path}{suffix}", f"{copy}{suffix}")
        self.stop()
        if crash:
            self.path = copy
        self._start()

    def close(self) -> None:
        """Let everything go."""
        self.stop()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
        self.folder.cleanup()


clients = st.integers(0, CLIENTS - 1)
amounts = st.integers(1, 300)


def euros(cents: int) -> dict[str, object]:
    return {"currency_code": "EUR", "units": cents // 100, "nanos": cents % 100 * 10_000_000}


def cents(money: Any) -> int:
    total, rest = divmod(money.units * 10**9 + money.nanos, 10**7)
    assert rest == 0
    return int(total)


class Business(RuleBasedStateMachine):
    """Each rule is something that a client does; the model says what must come of it."""

    payments: Bundle[str] = Bundle("payments")
    answered: Bundle[tuple[str, Any, bytes]] = Bundle("answered")

    def __init__(self) -> None:
        super().__init__()
        self.service = Service()
        self.models: dict[str, Model] = {}
        self.keys = 0

    def new_key(self) -> str:
        self.keys += 1
        return f"key-{self.keys}"

    def call(self, client: int, method: str, request: Any) -> Any:
        return getattr(self.service.stubs[client], method)(request, timeout=20)

    @initialize(target=payments)
    def first(self) -> str:
        self.long_lived = self.created(0, 100_000, manual=True)[0]
        return self.long_lived

    @rule(target=payments, client=clients, amount=amounts, manual=st.booleans())
    def create(self, client: int, amount: int, manual: bool) -> str:
        return self.created(client, amount, manual=manual)[0]

    @rule(target=answered, client=clients, amount=amounts, manual=st.booleans())
    def create_to_retry(self, client: int, amount: int, manual: bool) -> tuple[str, Any, bytes]:
        _, request, answer = self.created(client, amount, manual=manual)
        return "CreatePayment", request, answer

    def created(
        self, client: int, amount: int, *, manual: bool
    ) -> tuple[str, pb.CreatePaymentRequest, bytes]:
        request = pb.CreatePaymentRequest(
            request_id=self.new_key(),
            customer_id=f"customer-{client}",
            amount=euros(amount),
            capture_method=pb.CAPTURE_METHOD_MANUAL if manual else pb.CAPTURE_METHOD_AUTOMATIC,
        )
        payment = self.call(client, "CreatePayment", request)
        self.models[payment.name] = Model(amount, captured=0 if manual else amount)
        return payment.name, request, payment.SerializeToString(deterministic=True)

    @rule(
        target=payments,
        client=clients,
        wanted=st.lists(st.integers(0, 300), min_size=1, max_size=5),
    )
    def create_batch(self, client: int, wanted: list[int]) -> Any:
        requests = [{"request_id": self.new_key(), "amount": euros(each)} for each in wanted]
        request = pb.BatchCreatePaymentsRequest(requests=[*requests, requests[0]])
        results = self.call(client, "BatchCreatePayments", request).results
        assert [each.WhichOneof("outcome") for each in results[:-1]] == [
            "payment" if amount else "error" for amount in wanted
        ]
        assert results[-1].payment == results[0].payment
        assert results[-1].replayed == bool(wanted[0])
        made = [each.payment.name for each in results[:-1] if each.payment.name]
        for name, amount in zip(made, filter(None, wanted), strict=True):
            self.models[name] = Model(amount, captured=amount)
        return multiple(*made)

    @rule(
        target=answered,
        client=clients,
        name=payments,
        action=st.sampled_from(["Capture", "Void", "Refund"]),
        amount=st.integers(0, 120),
        final=st.booleans(),
    )
    def change(self, client: int, name: str, action: str, amount: int, final: bool) -> Any:
        return self.changed(client, name, action, amount, final=final)

    def changed(self, client: int, name: str, action: str, amount: int, *, final: bool) -> Any:
        request = self.change_request(action, name, amount, final=final)
        method = f"{action}Payment"
        if self.models[name].change(action, amount, final=final and action == "Capture"):
            answer = self.call(client, method, request)
            return method, request, answer.SerializeToString(deterministic=True)
        self.refused(client, method, request, "FAILED_PRECONDITION")
        return multiple()

    @rule(client=clients, action=st.sampled_from(["Capture", "Refund"]), amount=st.integers(1, 5))
    def nibble(self, client: int, action: str, amount: int) -> None:
        """Histories grow long on one payment, that small amounts never exhaust."""
        self.changed(client, self.long_lived, action, amount, final=False)

    def change_request(self, action: str, name: str, amount: int, *, final: bool) -> Any:
        fields: dict[str, Any] = {"request_id": self.new_key(), "name": name}
        if action != "Void" and amount:
            fields["amount"] = euros(amount)
        if action == "Capture":
            fields["final"] = final
        return getattr(pb, f"{action}PaymentRequest")(**fields)

    @rule(client=clients, told=answered)
    def retry(self, client: int, told: tuple[str, Any, bytes]) -> None:
        method, request, answer = told
        again, call = getattr(self.service.stubs[client], method).with_call(request)
        assert again.SerializeToString(deterministic=True) == answer
        assert dict(call.trailing_metadata())["idempotency-replayed"] == "true"

    @rule(client=clients, told=answered, name=payments)
    def reuse_a_key(self, client: int, told: tuple[str, Any, bytes], name: str) -> None:
        _, request, _ = told
        other = pb.CapturePaymentRequest(
            request_id=request.request_id, name=name, amount=euros(9999)
        )
        self.refused(client, "CapturePayment", other, "ALREADY_EXISTS")

    def refused(self, client: int, method: str, request: Any, code: str) -> None:
        with pytest.raises(grpc.RpcError) as ended:
            self.call(client, method, request)
        assert ended.value.code().name == code
        assert error_info(ended.value) is not None

    @rule(crash=st.booleans())
    def restart(self, crash: bool) -> None:
        self.service.restart(crash=crash)

    @invariant()
    def the_service_says_what_the_model_says(self) -> None:
        for name, model in self.models.items():
            payment = self.call(0, "GetPayment", pb.GetPaymentRequest(name=name))
            said = [
                cents(payment.authorized_amount),
                cents(payment.captured_amount),
                cents(payment.voided_amount),
                cents(payment.refunded_amount),
            ]
            assert said == [model.authorized, model.captured, model.voided, model.refunded]
        balance = self.call(0, "GetBalance", pb.GetBalanceRequest(account="merchant"))
        earned = sum(model.captured - model.refunded for model in self.models.values())
        assert sum(map(cents, balance.amounts)) == earned

    @invariant()
    def the_books_are_right(self) -> None:
        verified = verify_store(f"sqlite:///{self.service.path}", lambda *_: None)
        assert verified.payments == len(self.models)

    def teardown(self) -> None:
        self.service.close()


TestBusiness = Business.TestCase
TestBusiness.settings = settings(
    max_examples=15,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
