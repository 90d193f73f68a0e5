"""The tools: what an agent sees of them is made of these signatures and docstrings."""

from __future__ import annotations

from collections.abc import Callable
from inspect import getdoc
from typing import Annotated, Any, Final, Literal

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp_types import ToolAnnotations
from pydantic import Field

from paycli.client.payments import Wanted
from paycli.mcp.cashier import Order
from paycli.mcp.confirmation import ToPay, ToRefund, refuse_unless
from paycli.mcp.desk import Desk

_LISTED_MAX: Final = 200
_State = Literal[
    "AUTHORIZED",
    "PARTIALLY_CAPTURED",
    "CAPTURED",
    "VOIDED",
    "EXPIRED",
    "DECLINED",
    "PARTIALLY_REFUNDED",
    "REFUNDED",
]
_OrderId = Annotated[str, Field(description="What is paid for, in the words of the business.")]
_PaymentId = Annotated[str, Field(description="As pay, list and settle give it.")]
_Amount = Annotated[
    str, Field(description="Major units as decimal text, such as '99.99'; exact or refused.")
]


def get(context: Context[Desk], payment_id: _PaymentId) -> dict[str, Any]:
    """A payment as it stands, with its refunds."""
    return _desk(context).cashier.get(payment_id)


def find(
    context: Context[Desk],
    order_id: Annotated[str, Field(description="Only of this order.")] = "",
    customer_id: Annotated[str, Field(description="Only of this customer.")] = "",
    state: Annotated[_State | None, Field(description="Only in this state.")] = None,
    limit: Annotated[int, Field(ge=1, le=_LISTED_MAX, description="At most so many.")] = 20,
) -> dict[str, Any]:
    """Payments, newest first; `more` says that there are others."""
    wanted = Wanted(order_id, customer_id, state)
    return _desk(context).cashier.list(wanted, limit)


def settle(context: Context[Desk], order_id: _OrderId) -> dict[str, Any]:
    """What became of an order after an error whose `retry` is `unknown`. Changes nothing.

    `outcome` is paid, the state of the newest payment in lower case, or unknown when none is on record,
    which proves nothing: pay with the same order_id then tells.
    """
    return _desk(context).cashier.settle(order_id)


def pay(
    context: Context[Desk],
    order_id: _OrderId,
    amount: _Amount,
    currency: Annotated[str, Field(description="ISO 4217, such as EUR.")],
    confirmed: ToPay,
    customer_id: Annotated[str, Field(description="Who pays; may be empty.")] = "",
) -> dict[str, Any]:
    """Pay an order, once: called again for the same order it pays nothing and gives the first answer.

    `status` is SUCCESS, or FAILED for a payment that was declined, which stays so: to try otherwise is
    another order. Another amount for the same order is refused. A person may be asked first.
    """
    refuse_unless(confirmed)
    return _desk(context).cashier.pay(Order(order_id, amount, currency, customer_id))


def refund(
    context: Context[Desk],
    payment_id: _PaymentId,
    reference: Annotated[
        str,
        Field(
            description="What this refund is for, in the words of the business, such as the number "
            "of a return. The same one is refunded once; another one is another refund."
        ),
    ],
    amount: _Amount,
    confirmed: ToRefund,
) -> dict[str, Any]:
    """Give back a part of a payment, or all, once for each `reference`. A person may be asked first."""
    refuse_unless(confirmed)
    return _desk(context).cashier.refund(payment_id, reference, amount)


_READS: Final = ToolAnnotations(read_only_hint=True, open_world_hint=True)
_MOVES: Final = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True
)
READING: Final[dict[str, Callable[..., Any]]] = {"get": get, "list": find, "settle": settle}
MOVING: Final[dict[str, Callable[..., Any]]] = {"pay": pay, "refund": refund}


def tools(*, moving: bool) -> list[Tool]:
    """Those that read, and those that move money if they are wanted."""
    found = [_tool(name, act, _READS) for name, act in READING.items()]
    if moving:
        found += [_tool(name, act, _MOVES) for name, act in MOVING.items()]
    return found


def _tool(name: str, act: Callable[..., Any], annotations: ToolAnnotations) -> Tool:
    tool = Tool.from_function(
        act, name, description=getdoc(act), annotations=annotations, structured_output=True
    )
    known = tool.fn_metadata.arg_model

    # A misspelt argument would be left out in silence, and its default taken.
    strict: Any = type(known.__name__, (known,), {}, extra="forbid")
    tool.fn_metadata.arg_model = strict
    tool.parameters = strict.model_json_schema(by_alias=True)
    return tool


def _desk(context: Context[Desk]) -> Desk:
    return context.request_context.lifespan_context
