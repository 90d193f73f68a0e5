"""A client and two servicers, plain and asyncio, as people write them; every call is also made."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc.aio
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.wrappers_pb2 import Int64Value
from google.rpc.status_pb2 import Status
from google.type.money_pb2 import Money

from shop_project.gen import edition_pb2, hostile_pb2, legacy_pb2
from shop_project.gen.shop.v1 import shop_pb2, shop_pb2_grpc

NOON = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)


class Shop(shop_pb2_grpc.ShopServicer):
    """The servicer for grpc.server()."""

    def Buy(self, request: shop_pb2.Order, context: grpc.ServicerContext) -> shop_pb2.Receipt:
        if not request.order_id:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "order_id is missing")
        return shop_pb2.Receipt(receipt_id="r", status=Status(code=0), order=request)

    def Track(self, order: shop_pb2.Order, _: grpc.ServicerContext) -> Iterator[shop_pb2.Event]:
        for state in order.history:
            yield shop_pb2.Event(state=state)

    def Fill(
        self, request_iterator: Iterator[shop_pb2.Item], context: grpc.ServicerContext
    ) -> shop_pb2.Receipt:
        return shop_pb2.Receipt(receipt_id=",".join(item.name for item in request_iterator))

    def Haggle(
        self, request_iterator: Iterator[shop_pb2.Offer], context: grpc.ServicerContext
    ) -> Iterator[shop_pb2.Offer]:
        for offer in request_iterator:
            yield shop_pb2.Offer(cents=offer.cents // 2)


class AsyncShop(shop_pb2_grpc.ShopServicer):
    """The servicer for grpc.aio.server()."""

    async def Buy(
        self,
        request: shop_pb2.Order,
        context: grpc.aio.ServicerContext[shop_pb2.Order, shop_pb2.Receipt],
    ) -> shop_pb2.Receipt:
        if not request.order_id:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "order_id is missing")
        return shop_pb2.Receipt(receipt_id="r", status=Status(code=0), order=request)

    async def Track(
        self,
        request: shop_pb2.Order,
        context: grpc.aio.ServicerContext[shop_pb2.Order, shop_pb2.Event],
    ) -> None:
        for state in request.history:
            await context.write(shop_pb2.Event(state=state))

    async def Fill(
        self,
        request_iterator: AsyncIterator[shop_pb2.Item],
        context: grpc.aio.ServicerContext[shop_pb2.Item, shop_pb2.Receipt],
    ) -> shop_pb2.Receipt:
        return shop_pb2.Receipt(receipt_id=",".join([item.name async for item in request_iterator]))

    async def Haggle(
        self,
        request_iterator: AsyncIterator[shop_pb2.Offer],
        context: grpc.aio.ServicerContext[shop_pb2.Offer, shop_pb2.Offer],
    ) -> AsyncIterator[shop_pb2.Offer]:
        async for offer in request_iterator:
            yield shop_pb2.Offer(cents=offer.cents // 2)


def order() -> shop_pb2.Order:
    """All that a constructor takes."""
    line = shop_pb2.Order.Line(item=shop_pb2.Item(name="tea"), count=2)
    keywords: dict[str, Any] = {"class": "first", "from": {"order_id": "earlier"}}
    return shop_pb2.Order(
        order_id="o-1",
        state="PAID",
        kind=shop_pb2.Order.GIFT,
        lines=[line, {"item": {"name": "milk"}, "count": 1}],
        price=Money(currency_code="EUR", units=3),
        at=NOON,
        within=datetime.timedelta(hours=1),
        extra={"any": ["thing", 1]},
        rest=[1, "two"],
        size={"value": 5},
        mask=FieldMask(paths=["order_id"]),
        note=None,
        voucher={"code": "V"},
        labels={"a": "b"},
        by_number={1: line, 2: {"count": 7}},
        states={"first": "OPEN", "last": shop_pb2.PAID},
        history=["OPEN", shop_pb2.State.PAID],
        blobs=(b"x" for _ in range(2)),
        weight=1,
        day="MONDAY",
        seen=[NOON, {"seconds": 5}],
        **keywords,
    )


def fields(made: shop_pb2.Order) -> str:
    """What may be read and assigned."""
    made.order_id = "o-2"
    made.state = "OPEN"
    made.state = shop_pb2.PAID
    state: shop_pb2.State.ValueType = made.state
    made.day = "TUESDAY"
    made.at = NOON
    made.at.FromDatetime(NOON)
    made.within = datetime.timedelta(seconds=1)
    made.extra = {"other": 1}
    made.extra["more"] = True
    made.rest = ["x"]
    made.price.units += 1
    made.size.CopyFrom(Int64Value(value=6))
    made.labels["c"] = "d"
    made.by_number[3].count = 4
    made.states["x"] = "PAID"
    made.history.append("OPEN")
    made.history.append(shop_pb2.State.Value("PAID"))
    made.lines.add(count=3).item.name = "bread"
    made.note = "written"
    assert made.HasField("note")
    assert made.HasField("payment")
    made.ClearField("note")
    paid = made.WhichOneof("payment")
    which: str = made.voucher.code if paid == "voucher" else made.card
    assert getattr(made, "class") == "first"
    assert made.Line.COUNT_FIELD_NUMBER == 2
    assert shop_pb2.State.Name(state) == "PAID"
    assert shop_pb2.Order.DESCRIPTOR.full_name == "shop.v1.Order"
    assert shop_pb2.Order.FromString(made.SerializeToString()) == made
    return which


def other_files() -> None:
    """proto2 with groups and extensions, editions, and names that clash."""
    entry = legacy_pb2.Entry(key="k", mode="FAST", part=[{"text": "t"}])
    entry.Extensions[legacy_pb2.label] = "written"
    entry.Extensions[legacy_pb2.Entry.parent].key = "p"
    entry.Extensions[legacy_pb2.modes].append("SLOW")
    assert entry.HasExtension(legacy_pb2.label)
    assert entry.HasField("count") is False
    row = edition_pb2.Row(explicit="x", child={"implicit": "y"})
    assert row.HasField("explicit")
    hostile = hostile_pb2.Message(self="s", kwargs="k", kind="Value", none={"text": "t"})
    hostile.kind = hostile_pb2.Message.Kind.Value("keys")
    assert hostile.none.text == "t"
    assert hostile_pb2.Any(str={"value": "x"}, list="y").str.value == "x"


def call(target: str) -> None:
    """All four kinds of call on a plain channel."""
    with grpc.insecure_channel(target) as channel:
        stub = shop_pb2_grpc.ShopStub(channel)
        receipt = stub.Buy(order(), timeout=9, metadata=(("key", "value"),), wait_for_ready=True)
        assert fields(receipt.order) == "V"
        receipt, done = stub.Buy.with_call(order(), compression=grpc.Compression.Gzip)
        assert done.code() is grpc.StatusCode.OK
        assert stub.Buy.future(order()).result().receipt_id == "r"
        assert [event.state for event in stub.Track(order())] == [shop_pb2.OPEN, shop_pb2.PAID]
        assert stub.Fill(iter([shop_pb2.Item(name="tea")])).receipt_id == "tea"
        assert [offer.cents for offer in stub.Haggle(iter([shop_pb2.Offer(cents=8)]))] == [4]
        try:
            stub.Buy(shop_pb2.Order())
        except grpc.RpcError as refused:
            assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT


async def call_async(stub: shop_pb2_grpc.ShopStub[grpc.aio.Channel]) -> None:
    """The same on an asyncio channel, which an annotation names."""
    receipt = await stub.Buy(order(), timeout=9, metadata=[("key", "value")])
    assert fields(receipt.order) == "V"
    assert [event.state async for event in stub.Track(order())] == [shop_pb2.OPEN, shop_pb2.PAID]

    async def items() -> AsyncIterator[shop_pb2.Item]:
        yield shop_pb2.Item(name="tea")

    assert (await stub.Fill(items())).receipt_id == "tea"
    haggling = stub.Haggle()
    await haggling.write(shop_pb2.Offer(cents=8))
    await haggling.done_writing()
    assert [offer.cents async for offer in haggling] == [4]
    try:
        await stub.Buy(shop_pb2.Order())
    except grpc.aio.AioRpcError as refused:
        assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT


async def serve_async() -> None:
    """An asyncio server called by both clients."""
    server = grpc.aio.server()
    shop_pb2_grpc.add_ShopServicer_to_server(AsyncShop(), server)
    port = server.add_insecure_port("localhost:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
        await call_async(shop_pb2_grpc.ShopStub(channel))
    await asyncio.to_thread(call, f"localhost:{port}")
    await server.stop(None)


def serve() -> None:
    """A threaded server called by the plain client."""
    server = grpc.server(ThreadPoolExecutor(2))
    shop_pb2_grpc.add_ShopServicer_to_server(Shop(), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    call(f"localhost:{port}")
    server.stop(None).wait()


if __name__ == "__main__":
    other_files()
    serve()
    asyncio.run(serve_async())
    print("every call was made")
