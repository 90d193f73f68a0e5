"""kill -9 under mixed load, again and again: every acknowledged answer is given again, byte for byte."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import grpc
import pytest
from google.protobuf.message import Message

from paycli.generated import payment_pb2
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.storage.stores import verify_store
from tests.conftest import StartServer

WORKERS = 8
SEED = "/payment.PaymentService/ProcessPayment"
RICH = "/paycli.payments.v1.Payments/"


@dataclass
class Acknowledged:
    """Requests and the answers that callers got, as bytes."""

    answers: list[tuple[str, bytes, bytes]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def call(self, channel: grpc.Channel, method: str, request: Message) -> bytes:
        """Call and remember what came back."""
        sent = request.SerializeToString(deterministic=True)
        answer = _call(channel, method, sent)
        with self.lock:
            self.answers.append((method, sent, answer))
        return answer


def _call(channel: grpc.Channel, method: str, request: bytes) -> bytes:
    invoke = channel.unary_unary(method, request_serializer=bytes, response_deserializer=bytes)
    answer = invoke(request, timeout=20)
    assert isinstance(answer, bytes)
    return answer


def _euros(amount: int) -> dict[str, object]:
    return {"currency_code": "EUR", "units": amount}


def _work(channel: grpc.Channel, told: Acknowledged, key: str, choice: random.Random) -> None:
    """One piece of business: a charge, a batch, or an authorization carried through its life."""
    match choice.randrange(3):
        case 0:
            request = payment_pb2.PaymentRequest(
                order_id=key, amount=1.25, currency="EUR", user_id="ada"
            )
            told.call(channel, SEED, request)
        case 1:
            orders = [
                {"order_id": f"{key}-{n}", "amount": _euros(n)}  # the first is refused: zero
                for n in range(choice.randrange(2, 30))
            ]
            told.call(channel, f"{RICH}BatchCreatePayments", pb.BatchCreatePaymentsRequest(requests=orders))  # fmt: skip
        case _:
            manual = pb.CreatePaymentRequest(
                order_id=key, amount=_euros(10), capture_method="CAPTURE_METHOD_MANUAL"
            )
            name = pb.Payment.FromString(told.call(channel, f"{RICH}CreatePayment", manual)).name
            for n in range(2):
                part = pb.CapturePaymentRequest(
                    request_id=f"{key}-c{n}", name=name, amount=_euros(3)
                )
                told.call(channel, f"{RICH}CapturePayment", part)
                refund = pb.RefundPaymentRequest(request_id=f"{key}-r{n}", name=name, amount=_euros(1))  # fmt: skip
                told.call(channel, f"{RICH}RefundPayment", refund)
            void = pb.VoidPaymentRequest(request_id=f"{key}-v", name=name)
            told.call(channel, f"{RICH}VoidPayment", void)


@contextlib.contextmanager
def load(target: str, run: str, told: Acknowledged) -> Iterator[None]:
    """Business from several clients until the server dies."""

    def worker(number: int) -> None:
        choice = random.Random(f"{run}-{number}")
        with grpc.insecure_channel(target) as channel, contextlib.suppress(grpc.RpcError):
            for n in range(1_000_000):
                _work(channel, told, f"{run}-{number}-{n}", choice)

    threads = [threading.Thread(target=worker, args=(n,)) for n in range(WORKERS)]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join()


def ask_again(target: str, told: Acknowledged) -> None:
    """Every request once more: the same bytes come back, but that batches say "replayed"."""
    with grpc.insecure_channel(target) as channel:
        for method, request, answer in told.answers:
            again = _call(channel, method, request)
            if method.endswith("BatchCreatePayments"):
                again, answer = _payments_of(again), _payments_of(answer)
            assert again == answer


def _payments_of(answer: bytes) -> bytes:
    response = pb.BatchCreatePaymentsResponse.FromString(answer)
    for result in response.results:
        result.ClearField("replayed")
    return response.SerializeToString(deterministic=True)


@pytest.mark.parametrize(
    "rounds", [12, pytest.param(300, marks=[pytest.mark.chaos, pytest.mark.timeout(7200)])]
)
def test_what_was_acknowledged_survives_kill_9(start_server: StartServer, rounds: int) -> None:
    moment = random.Random(9)
    told = Acknowledged()
    for round_ in range(rounds):
        server = start_server()
        ask_again(server.target, told)
        told = Acknowledged()
        with load(server.target, str(round_), told):
            while len(told.answers) < 10:
                time.sleep(0.002)
            time.sleep(moment.uniform(0, 0.3))
            server.process.kill()
            server.process.wait()
        verify_store(f"sqlite:///{server.store}", lambda *_: None)
    ask_again(start_server().target, told)
