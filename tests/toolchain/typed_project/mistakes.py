"""Each line with a mark is a mistake that both checkers must report; no other line may be."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import grpc.aio
from google.protobuf.timestamp_pb2 import Timestamp

from shop_project.gen import edition_pb2, hostile_pb2, legacy_pb2
from shop_project.gen.shop.v1 import shop_pb2, shop_pb2_grpc

order = shop_pb2.Order()

shop_pb2.Order(order_idd="misspelt")  # mistake
shop_pb2.Order("positional")  # mistake
shop_pb2.Order(order_id=5)  # mistake
shop_pb2.Order(weight="heavy")  # mistake
shop_pb2.Order(state=2)  # mistake
shop_pb2.Order(state=shop_pb2.Order.GIFT)  # mistake
shop_pb2.Order(lines=shop_pb2.Order.Line())  # mistake
shop_pb2.Order(lines=[shop_pb2.Item()])  # mistake
shop_pb2.Order(labels={"a": 1})  # mistake
shop_pb2.Order(by_number={"1": shop_pb2.Order.Line()})  # mistake
shop_pb2.Order(voucher=shop_pb2.Item())  # mistake
shop_pb2.Order(blobs=["text"])  # mistake
shop_pb2.Order(at=5)  # mistake
shop_pb2.Order(price=3.5)  # mistake
shop_pb2.Order(history=[2])  # mistake
hostile_pb2.Message(self=5)  # mistake
hostile_pb2.Message(none=hostile_pb2.Any())  # mistake
legacy_pb2.Entry(part=[5])  # mistake

order.order_idd = "misspelt"  # mistake
order.order_id = None  # mistake
order.state = 2  # mistake
order.state = shop_pb2.Order.GIFT  # mistake
order.voucher = shop_pb2.Voucher()  # mistake
order.lines.append({"count": 1})  # mistake
order.lines = []  # mistake
order.at = Timestamp()  # mistake
order.history.append(2)  # mistake
order.labels["a"] = 1  # mistake
order.states[5] = "PAID"  # mistake
order.by_number["1"].count = 1  # mistake
order.extra = 5  # mistake

order.HasField("vouchr")  # mistake
order.HasField("order_id")  # mistake
order.HasField("lines")  # mistake
order.ClearField("order_idd")  # mistake
order.WhichOneof("paiment")  # mistake
hostile_pb2.Empty().HasField("x")  # mistake
hostile_pb2.Empty().WhichOneof("x")  # mistake
edition_pb2.Row().HasField("implicit")  # mistake
order.WhichOneof("payment") == "credit"  # mistake

shop_pb2.PAYED  # mistake
shop_pb2.State.PAYED  # mistake
shop_pb2.State(2)  # mistake
shop_pb2.Ordr()  # mistake
shop_pb2.Order.LINE_FIELD_NUMBER  # mistake
number: shop_pb2.State.ValueType = 2  # mistake
order.Extensions[legacy_pb2.label]  # mistake
legacy_pb2.Entry().Extensions[legacy_pb2.label] = 5  # mistake


def call(stub: shop_pb2_grpc.ShopStub) -> str:
    stub.Buy(shop_pb2.Item())  # mistake
    stub.Buy({"order_id": "x"})  # mistake
    stub.Buy(order, timeout="soon")  # mistake
    stub.Buy(order, deadline=3)  # mistake
    stub.Byu(order)  # mistake
    stub.Fill(order)  # mistake
    stub.Fill(iter([order]))  # mistake
    stub.Track(order).receipt_id  # mistake
    stub.Track.with_call(order)  # mistake
    return stub.Buy(order)  # mistake


async def call_async(stub: shop_pb2_grpc.ShopStub[grpc.aio.Channel]) -> shop_pb2.Receipt:
    for _ in stub.Track(order):  # mistake
        pass
    await stub.Buy(shop_pb2.Item())  # mistake
    await stub.Track(order)  # mistake
    stub.Buy(order).receipt_id  # mistake
    call(stub)  # mistake
    return stub.Buy(order)  # mistake


shop_pb2_grpc.ShopStub("localhost:50051")  # mistake
shop_pb2_grpc.add_ShopServicer_to_server(object(), grpc.aio.server())  # mistake


class Shop(shop_pb2_grpc.ShopServicer):
    def Buy(self, request: shop_pb2.Order, context: grpc.ServicerContext) -> int:  # mistake
        return 5

    def Track(self, request: shop_pb2.Item, context: object) -> Iterator[shop_pb2.Event]:  # mistake
        yield shop_pb2.Event()

    async def Fill(self, request_iterator: Iterator[shop_pb2.Item]) -> shop_pb2.Receipt:  # mistake
        return shop_pb2.Receipt()


class Better(shop_pb2.Order):  # mistake
    pass
