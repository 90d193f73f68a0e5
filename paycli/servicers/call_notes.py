"""What the line of a call in the log says of a payment: ids, amounts and states, and no customer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Final

from google.type.money_pb2 import Money

from paycli.generated import payment_pb2
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.host.interceptors import Context, Method
from paycli.host.observation.calls import current_call

_Notes = dict[str, object]


def noted(method: Method) -> Method:
    """An interceptor: what is worth knowing of request and answer goes into the line of the call."""
    behaviour = method.behaviour

    async def single(request: Any, context: Context) -> Any:
        call = current_call()
        if call is None:
            return await behaviour(request, context)
        call.notes |= _notes_of(request)
        response = await behaviour(request, context)
        call.notes |= _notes_of(response)
        return response

    async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
        call = current_call()
        if call is not None:
            call.notes |= _notes_of(request)
        async with aclosing(behaviour(request, context)) as responses:
            async for response in responses:
                yield response

    return method._replace(behaviour=stream if method.yields else single)


def _notes_of(message: object) -> _Notes:
    notes = _NOTES.get(type(message))
    return notes(message) if notes is not None else {}


def _of_money(money: Money) -> _Notes:
    """The amount as it was sent, right or wrong."""
    sign = "-" if money.units < 0 or money.nanos < 0 else ""
    fraction = f"{abs(money.nanos):09}".rstrip("0").ljust(2, "0")
    return {"amount": f"{sign}{abs(money.units)}.{fraction}", "currency": money.currency_code}


def _of_change(message: Any) -> _Notes:
    amount = _of_money(message.amount) if message.HasField("amount") else {}
    return {"payment": message.name, **amount}


def _of_creation(message: pb.CreatePaymentRequest) -> _Notes:
    return {"order_id": message.order_id, **_of_money(message.amount)}


def _of_payment(message: pb.Payment) -> _Notes:
    state = pb.PaymentState.Name(message.state)
    return {"payment": message.name, "state": state.removeprefix("PAYMENT_STATE_")}


def _of_refund(message: pb.Refund) -> _Notes:
    return {"refund": message.name, **_of_money(message.amount)}


def _of_seed_request(message: payment_pb2.PaymentRequest) -> _Notes:
    return {
        "order_id": message.order_id,
        "amount": repr(message.amount),
        "currency": message.currency,
    }


def _of_seed_response(message: payment_pb2.PaymentResponse) -> _Notes:
    return {"payment_id": message.payment_id, "status": message.status}


def _of_batch(message: pb.BatchCreatePaymentsRequest) -> _Notes:
    return {"payments": len(message.requests)}


_NOTES: Final[dict[type, Callable[[Any], _Notes]]] = {
    payment_pb2.PaymentRequest: _of_seed_request,
    payment_pb2.PaymentResponse: _of_seed_response,
    pb.BatchCreatePaymentsRequest: _of_batch,
    pb.CapturePaymentRequest: _of_change,
    pb.CreatePaymentRequest: _of_creation,
    pb.GetPaymentRequest: lambda message: {"payment": message.name},
    pb.GetRefundRequest: lambda message: {"refund": message.name},
    pb.Payment: _of_payment,
    pb.Refund: _of_refund,
    pb.RefundPaymentRequest: _of_change,
    pb.VoidPaymentRequest: lambda message: {"payment": message.name},
}
