"""Payment services that end calls in ways that ours does not: real gRPC servers, as others write them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from paycli.generated import payment_pb2, payment_pb2_grpc

OURS = "paycli.dev"
Answer = Callable[[payment_pb2.PaymentRequest, Any], payment_pb2.PaymentResponse | None]


class _Service(payment_pb2_grpc.PaymentServiceServicer):
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def ProcessPayment(  # noqa: N802 - the contract's name
        self, request: payment_pb2.PaymentRequest, context: grpc.ServicerContext
    ) -> payment_pb2.PaymentResponse:
        return self._answer(request, context)  # type: ignore[return-value]


@contextmanager
def serving(add: Callable[[Any, grpc.Server], None], servicer: object) -> Iterator[str]:
    """A plain grpcio server of a servicer, added as its generated code does; its address."""
    server = grpc.server(ThreadPoolExecutor(max_workers=8))
    add(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None)


def service(answer: Answer) -> AbstractContextManager[str]:
    """A plain service that answers so; its address."""
    return serving(payment_pb2_grpc.add_PaymentServiceServicer_to_server, _Service(answer))


def end(
    context: grpc.ServicerContext,
    code: grpc.StatusCode,
    message: str,
    *,
    domain: str | None = None,
    reason: str = "SOME_REASON",
    code_within: grpc.StatusCode | None = None,
) -> None:
    """End the call, with an ErrorInfo of a domain if one is named."""
    if domain is not None:
        detail = any_pb2.Any()
        detail.Pack(error_details_pb2.ErrorInfo(domain=domain, reason=reason))
        within = (code_within or code).value[0]
        status = status_pb2.Status(code=within, message=message, details=[detail])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, message)


def never(request: object, context: grpc.ServicerContext) -> None:
    """Answer when nobody waits any more."""
    gone = threading.Event()
    context.add_callback(gone.set)
    gone.wait(30)
