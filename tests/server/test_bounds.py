"""Every input has a bound: each field of each request is filled with too much, one after another.

The fields are found in the contracts, so one that is added later is covered here as well.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from paycli.generated import payment_pb2
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from tests.conftest import Server, servers_in
from tests.processes import rss_mb
from tests.server.wire import Client, Refusal, client_of, creation, refusal_in, refusal_of

FILES: Final = (payment_pb2, pb, health_pb2, reflection_pb2)
METHODS: Final = [
    method
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
MUCH: Final = 3_900_000


class Place(NamedTuple):
    """A field of a method's request, by the fields that lead to it."""

    method: MethodDescriptor
    path: tuple[FieldDescriptor, ...]

    def __str__(self) -> str:
        return f"{self.method.name}-{'.'.join(field.name for field in self.path)}"


def paths(
    kind: Descriptor, before: tuple[FieldDescriptor, ...] = ()
) -> Iterator[tuple[FieldDescriptor, ...]]:
    for field in kind.fields:
        yield (*before, field)
        if field.message_type is not None:
            yield from paths(field.message_type, (*before, field))


PLACES: Final = [Place(method, path) for method in METHODS for path in paths(method.input_type)]
LONG: Final = [
    place
    for place in PLACES
    if place.path[-1].type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
    or (place.path[-1].is_repeated and place.path[-1].message_type is None)
]
LISTS: Final = [each for each in PLACES if each.path[-1].is_repeated and each not in LONG]
TIMES: Final = [each for each in PLACES if each.path[-1].message_type is Timestamp.DESCRIPTOR]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with servers_in(tmp_path_factory.mktemp("bounds")) as start:
        yield start()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    with client_of(server.target) as opened:
        yield opened


@pytest.fixture(scope="module")
def channel(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.target) as opened:
        yield opened


def filled(place: Place, value: Any) -> Message:
    """A request that has nothing but the value at this place."""
    request: Message = GetMessageClass(place.method.input_type)()
    message: Any = request
    for field in place.path[:-1]:
        inner = getattr(message, field.name)
        message = inner.add() if field.is_repeated else inner
    last = place.path[-1]
    if last.is_repeated:
        getattr(message, last.name).extend(value)
    elif last.message_type is not None:
        getattr(message, last.name).CopyFrom(value)
    else:
        setattr(message, last.name, value)
    return request


def call(channel: grpc.Channel, method: MethodDescriptor, raw: bytes) -> bytes:
    """The first answer as it came."""
    name = f"/{method.containing_service.full_name}/{method.name}"
    if method.client_streaming:
        return next(channel.stream_stream(name, bytes, bytes)(iter([raw]), timeout=20))
    if method.server_streaming:
        return next(channel.unary_stream(name, bytes, bytes)(raw, timeout=20))
    return channel.unary_unary(name, bytes, bytes)(raw, timeout=20)


def refused(channel: grpc.Channel, method: MethodDescriptor, raw: bytes) -> Refusal:
    """The error that the call ends with, or, in a batch, its first item."""
    try:
        answer = call(channel, method, raw)
    except grpc.RpcError as error:
        return refusal_of(error)
    assert method.name == "BatchCreatePayments"
    return refusal_in(pb.BatchCreatePaymentsResponse.FromString(answer).results[0].error)


@pytest.mark.parametrize("length", [300, 10_000, MUCH])
@pytest.mark.parametrize("place", LONG, ids=str)
def test_no_field_takes_more_than_its_bound(
    channel: grpc.Channel, place: Place, length: int
) -> None:
    field = place.path[-1]
    one: Any = {FieldDescriptor.TYPE_STRING: "x", FieldDescriptor.TYPE_BYTES: b"x"}.get(field.type)
    value = [1] * length if one is None else [one * length] if field.is_repeated else one * length
    said = refused(channel, place.method, filled(place, value).SerializeToString())
    assert said.code == "INVALID_ARGUMENT"
    assert len(said.message) < 200
    assert said.reason == ("FIELD_INVALID" if length < MUCH else said.reason)
    if said.reason == "FIELD_INVALID":
        assert field.name in said.metadata["field"]
        assert str(length) in said.message


@pytest.mark.parametrize("place", LISTS, ids=str)
@pytest.mark.parametrize("length", [1001, 1_900_000])
def test_no_list_takes_more_than_its_bound(
    channel: grpc.Channel, place: Place, length: int
) -> None:
    number = place.path[-1].number
    raw = bytes((number << 3 | 2, 0)) * length  # the least that an item can be
    assert len(place.path) == 1
    said = refused(channel, place.method, raw)
    assert (said.code, "1000" in said.message) == ("INVALID_ARGUMENT", True)
    if length > 1001:  # counted, not made
        assert said.reason == "REQUEST_TOO_LARGE"


@pytest.mark.parametrize("place", TIMES, ids=str)
@pytest.mark.parametrize(
    "time",
    [
        Timestamp(seconds=253_402_300_800),
        Timestamp(seconds=-62_135_596_801),
        Timestamp(seconds=2**63 - 1),
        Timestamp(seconds=-(2**63)),
        Timestamp(nanos=-1),
        Timestamp(nanos=10**9),
    ],
    ids=lambda time: f"{time.seconds}.{time.nanos}",
)
def test_no_time_lies_outside_of_what_can_be_written(
    channel: grpc.Channel, place: Place, time: Timestamp
) -> None:
    said = refused(channel, place.method, filled(place, time).SerializeToString())
    assert (said.code, said.metadata["field"]) == ("INVALID_ARGUMENT", place.path[-1].name)


def test_the_first_and_the_last_time_can_be_asked_for(client: Client) -> None:
    request = pb.ListPaymentsRequest(
        created_from=Timestamp(seconds=-62_135_596_800),
        created_before=Timestamp(seconds=253_402_300_799, nanos=999_999_999),
    )
    made = client.create()
    assert made in client.call("ListPayments", request).payments


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
def test_bytes_that_are_no_request_are_refused(
    channel: grpc.Channel, method: MethodDescriptor
) -> None:
    for raw in (b"\xff" * 5, b"\xff" * 70_000, b"\x0a" * 70_000):
        said = refused(channel, method, raw)
        assert said.code == "INVALID_ARGUMENT"
        assert said.reason in ("REQUEST_UNREADABLE", "REQUEST_TOO_LARGE")


def test_random_bytes_are_an_answer_or_an_error_of_ours(channel: grpc.Channel) -> None:
    generator = random.Random(3)
    ours = [method for method in METHODS if method.containing_service.name != "Health"]
    for _ in range(500):
        method = generator.choice([each for each in ours if not each.server_streaming])
        raw, ended = generator.randbytes(generator.randrange(12)), None
        try:
            call(channel, method, raw)
        except grpc.RpcError as error:
            ended = refusal_of(error)
        assert ended is None or ended.code == "INVALID_ARGUMENT", raw


def test_what_is_wrong_with_an_item_does_not_fail_its_neighbours(client: Client) -> None:
    long = creation(customer_id="x" * 100_000)
    unknown = [creation(currency=f"X{n}") for n in range(100)]
    good, bad, *others, last = client.batch(creation(), long, *unknown, creation())
    assert good.HasField("payment")
    assert last.HasField("payment")
    assert refusal_in(bad.error).message == "customer_id has 100000 characters; the most is 255."
    assert {refusal_in(each.error).reason for each in others} == {"CURRENCY_UNKNOWN"}


def test_the_largest_batch_fits(client: Client) -> None:
    def largest(n: int) -> pb.CreatePaymentRequest:
        ids = dict.fromkeys(("request_id", "order_id", "customer_id"), f"{n:03}{'𝄞' * 252}")
        return creation("9999999999999.99", "USD", **ids)

    results = client.batch(*map(largest, range(1000)))
    assert len(results) == 1000
    assert all(each.HasField("payment") for each in results)


def test_long_names_leave_nothing_behind(server: Server) -> None:
    name = f"payments/{'x' * MUCH}"

    def crowd() -> float:
        with client_of(server.target) as client:
            calls = [
                client.payments.GetPayment.future(pb.GetPaymentRequest(name=name), timeout=60)
                for _ in range(60)
            ]
            assert {each.code() for each in calls} == {grpc.StatusCode.INVALID_ARGUMENT}
        return rss_mb(server.process.pid)

    crowd()
    after = [crowd() for _ in range(4)]
    assert after[-1] - after[0] < 4 * 60  # no more than one crowd's, whatever the allocator keeps


def test_metadata_has_a_bound(channel: grpc.Channel) -> None:
    check = channel.unary_unary("/grpc.health.v1.Health/Check", bytes, bytes)
    for _ in range(20):  # between grpc's own two limits it would be refused by chance
        assert check(b"", metadata=(("x", "x" * 15_000),), timeout=20)
        with pytest.raises(grpc.RpcError):
            check(b"", metadata=(("x", "x" * 20_000),), timeout=20)


def test_a_connection_has_so_many_calls_and_the_rest_wait_for_their_turn(client: Client) -> None:
    slow = [creation("1.00", customer_id="sim_slow_300") for _ in range(900)]
    many = [client.payments.CreatePayment.future(each, timeout=60) for each in slow]
    quick = [client.payments.CreatePayment.future(creation(), timeout=60) for _ in range(1500)]
    assert {each.code() for each in (*many, *quick)} == {grpc.StatusCode.OK}
