"""Our own server, and in front of it somebody who spoils what goes through."""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc

from paycli.generated import payment_pb2
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.scenarios.own_server import own_server

Change = Callable[[bytes], bytes]
_V1 = "/paycli.payments.v1.Payments/"
_SEED = "/payment.PaymentService/ProcessPayment"


def whole_units(sent: bytes) -> bytes:
    request = payment_pb2.PaymentRequest.FromString(sent)
    request.amount = float(round(request.amount)) or 1.0
    return request.SerializeToString()


def another_order(sent: bytes) -> bytes:
    request = payment_pb2.PaymentRequest.FromString(sent)
    request.order_id += str(uuid.uuid4())
    return request.SerializeToString()


def ok(answer: bytes) -> bytes:
    response = payment_pb2.PaymentResponse.FromString(answer)
    response.status = "OK"
    return response.SerializeToString()


def without_one(answer: bytes) -> bytes:
    response = pb.ListPaymentsResponse.FromString(answer)
    del response.payments[-1:]
    return response.SerializeToString()


def a_cent_less(answer: bytes) -> bytes:
    response = pb.Balance.FromString(answer)
    for each in response.amounts:
        each.nanos -= 10_000_000 if each.nanos <= 0 and each.units <= 0 else 0
    return response.SerializeToString()


def slowly(sent: bytes) -> bytes:
    time.sleep(2.5)
    return sent


def dies(answer: bytes) -> bytes:
    if random.random() < 0.1:
        os._exit(1)
    return answer


REQUESTS: dict[str, dict[str, Change]] = {
    "rounds": {_SEED: whole_units},
    "knows no payment again": {_SEED: another_order},
    "is slow": {_SEED: slowly},
}
ANSWERS: dict[str, dict[str, Change]] = {
    "says OK": {_SEED: ok},
    "lists one too few": {f"{_V1}ListPayments": without_one},
    "is off by a cent": {f"{_V1}GetBalance": a_cent_less},
    "dies in mid-call": {_SEED: dies},
}
FAULTS = (*REQUESTS, *ANSWERS, "lies about its health")


class Between(grpc.GenericRpcHandler):
    def __init__(self, fault: str, channel: grpc.Channel) -> None:
        self._fault = fault
        self._channel = channel

    def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler[Any, Any]:
        method = handler_call_details.method
        keyed = "idempotency-key" if self._fault == "knows no payment again" else None
        metadata = [
            each
            for each in handler_call_details.invocation_metadata
            if each[0] not in (keyed, "user-agent")
        ]

        def forward(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            if self._fault == "lies about its health" and "grpc." not in method:
                context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
            spoil = REQUESTS.get(self._fault, {}).get(method, bytes)
            spoil_answer = ANSWERS.get(self._fault, {}).get(method, bytes)
            stub: Any = self._channel.stream_stream(method)
            call = stub(map(spoil, requests), metadata=metadata)
            context.add_callback(call.cancel)
            try:
                yield from map(spoil_answer, call)
                context.set_trailing_metadata(call.trailing_metadata())
            except grpc.RpcError as ended:
                failed: Any = ended
                context.set_trailing_metadata(failed.trailing_metadata() or ())
                context.abort(failed.code(), failed.details())

        return grpc.stream_stream_rpc_method_handler(forward)


def add_to(server: grpc.Server, fault: str, folder: Path) -> None:
    stack = ExitStack()  # until the process ends
    own = stack.enter_context(own_server(folder / "store.db"))
    server.add_generic_rpc_handlers((Between(fault, grpc.insecure_channel(own.target)),))
    server.__dict__["kept"] = stack
