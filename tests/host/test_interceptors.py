"""What stands around every call: faults are ours and told once, and the log has their cause."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from paycli.generated import payment_pb2
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.generated.paycli.payments.v1 import payments_pb2_grpc
from paycli.host.errors_to_statuses import errors_to_statuses
from paycli.host.interceptors import Interceptors, Method
from tests.conftest import Server
from tests.transports import MAKE_SERVER, make_server
from tests.wire import Refusal, client_of, refusal_of

KEY = "idempotency-key"
GET_PAYMENT = "/paycli.payments.v1.Payments/GetPayment"


class Faulty(payments_pb2_grpc.PaymentsServicer):
    """Fails in each of the ways that a method can."""

    async def GetPayment(self, request: Any, context: Any) -> pb.Payment:  # noqa: N802
        """Raises."""
        raise RuntimeError("secret")

    async def ListPayments(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Answers with what is no answer."""
        return "secret"

    async def VoidPayment(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Forgets to answer."""

    async def WatchEvents(  # noqa: N802
        self,
        request: Any,
        context: Any,
    ) -> AsyncIterator[pb.Event]:
        """Raises in the middle."""
        yield pb.Event(sequence=1)
        raise KeyError("secret")


async def _faults() -> dict[str, Refusal]:
    """What comes of each method of the faulty servicer, behind a port."""
    interceptors = Interceptors()
    interceptors.add([errors_to_statuses])
    server = make_server(interceptors)
    server.add(partial(payments_pb2_grpc.add_PaymentsServicer_to_server, Faulty()))
    (address,) = server.bind("127.0.0.1", 0)
    await server.start()
    said = {}
    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = payments_pb2_grpc.PaymentsStub(channel)
        for method, request in {
            "GetPayment": pb.GetPaymentRequest(),
            "ListPayments": pb.ListPaymentsRequest(),
            "VoidPayment": pb.VoidPaymentRequest(),
        }.items():
            with pytest.raises(grpc.RpcError) as raised:
                await getattr(stub, method)(request, timeout=20)
            said[method] = refusal_of(raised.value)
        stream = stub.WatchEvents(pb.WatchEventsRequest(), timeout=20)
        assert (await stream.read()).sequence == 1
        with pytest.raises(grpc.RpcError) as raised:
            await stream.read()
        said["WatchEvents"] = refusal_of(raised.value)
    await server.stop(0)
    return said


def test_a_fault_has_a_number_and_its_cause_stands_once_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    said = asyncio.run(_faults())
    for refusal in said.values():
        incident = refusal.metadata["incident"]
        assert re.fullmatch("[0-9a-f]{12}", incident)
        assert (refusal.code, refusal.reason) == ("INTERNAL", "INTERNAL")
        assert refusal.message == (
            f"The server failed (incident {incident}); what was asked for may have been carried "
            "out. Send it again with the same key to learn the outcome."
        )
        assert refusal.details.keys() == {"ErrorInfo"}
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == [
        f"/paycli.payments.v1.Payments/{method} failed; incident {refusal.metadata['incident']}"
        for method, refusal in said.items()
    ]
    assert caplog.text.count("Traceback (most recent call last)") == len(said)


def test_two_keys_in_one_call_are_refused_whatever_their_order(server: Server) -> None:
    request = payment_pb2.PaymentRequest(order_id="o", amount=5, currency="EUR", user_id="ada")
    with client_of(server.target) as client:
        for keys in (("a", "b"), ("b", "a"), ("a", "a")):
            with pytest.raises(grpc.RpcError) as raised:
                client.seed.ProcessPayment(request, metadata=tuple((KEY, key) for key in keys))
            said = refusal_of(raised.value)
            assert (said.code, said.metadata["field"]) == ("INVALID_ARGUMENT", KEY)
            assert said.message == "idempotency-key was sent 2 times; send it once."
        assert not client.call("ListPayments", {}).payments


def test_health_lists_all_services(channel: grpc.Channel) -> None:
    said = health_pb2_grpc.HealthStub(channel).List(health_pb2.HealthListRequest())
    assert {name: each.status for name, each in said.statuses.items()} == dict.fromkeys(
        ("", "payment.PaymentService", "paycli.payments.v1.Payments"), 1
    )


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_answers_under_both_its_names(channel: grpc.Channel, version: str) -> None:
    ask = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    names = [each.name for each in _first(ask, list_services="*").list_services_response.service]
    assert sorted(names) == [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "paycli.payments.v1.Payments",
        "payment.PaymentService",
    ]
    for name in names:  # what is listed can also be described
        found = _first(ask, file_containing_symbol=name)
        assert found.file_descriptor_response.file_descriptor_proto, name


def _first(
    ask: grpc.StreamStreamMultiCallable[
        reflection_pb2.ServerReflectionRequest, reflection_pb2.ServerReflectionResponse
    ],
    **request: str,
) -> reflection_pb2.ServerReflectionResponse:
    return next(ask(iter([reflection_pb2.ServerReflectionRequest(**request)]), timeout=20))


@pytest.mark.parametrize("transport", MAKE_SERVER)
def test_an_interceptor_is_put_around_a_method_once_at_however_many_addresses(
    transport: str,
) -> None:
    made: list[str] = []

    def counted(method: Method) -> Method:
        made.append(method.name)
        return method

    async def run() -> None:
        interceptors = Interceptors()
        interceptors.add([counted, errors_to_statuses])
        server = MAKE_SERVER[transport](interceptors)
        server.add(partial(payments_pb2_grpc.add_PaymentsServicer_to_server, Faulty()))
        addresses = server.bind("localhost", 0)
        await server.start()
        for address in addresses:
            async with grpc.aio.insecure_channel(address) as channel:
                stub: Any = payments_pb2_grpc.PaymentsStub(channel)
                with pytest.raises(grpc.RpcError):
                    await stub.GetPayment(pb.GetPaymentRequest(), timeout=20)
        await server.stop(0)

    asyncio.run(run())
    assert made.count(GET_PAYMENT) == 1


class ByTenant(grpc.GenericRpcHandler):
    """Has a method for each tenant; generated code cannot, but grpc lets people write this."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        tenant = dict(handler_call_details.invocation_metadata or ()).get("tenant", "")
        if tenant == "nobody":
            return None

        async def answer(request: bytes, context: Any) -> bytes:
            return str(tenant).encode()

        return grpc.unary_unary_rpc_method_handler(answer)


def test_a_handler_is_asked_with_each_call() -> None:
    async def run() -> list[object]:
        interceptors = Interceptors()
        interceptors.add([errors_to_statuses])
        server = MAKE_SERVER["aio"](interceptors)
        server.add(lambda each: each.add_generic_rpc_handlers((ByTenant(),)))
        (address,) = server.bind("127.0.0.1", 0)
        await server.start()
        said: list[object] = []
        async with grpc.aio.insecure_channel(address) as channel:
            for tenant in ("ada", "grace", "nobody", "ada"):
                call: Any = channel.unary_unary("/any.Service/Any")
                try:
                    said.append(await call(b"", metadata=(("tenant", tenant),), timeout=20))
                except grpc.aio.AioRpcError as problem:
                    said.append(problem.code())
        await server.stop(0)
        return said

    assert asyncio.run(run()) == [b"ada", b"grace", grpc.StatusCode.UNIMPLEMENTED, b"ada"]
