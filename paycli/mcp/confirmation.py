"""A person's word before money moves: asked through the agent's client, which shows the question."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver import (
    AcceptedElicitation,
    Context,
    Elicit,
    ElicitationResult,
    Resolve,
)
from pydantic import BaseModel, Field

from paycli.errors import Refused
from paycli.mcp.cashier import Order
from paycli.mcp.desk import Desk
from paycli.payments.money import decimal_from_minor


class Confirmation(BaseModel):
    """Whether the money is moved."""

    confirm: bool = Field(title="Yes, move this money")


def ask_to_pay(
    context: Context[Desk], order_id: str, amount: str, currency: str, customer_id: str
) -> Elicit[Confirmation] | None:
    """The question before a payment; None where the allowance covers it."""
    charge = Order(order_id, amount, currency, customer_id).charge()
    customer = f", customer '{charge.user_id}'" if charge.user_id else ""
    return _ask(
        context,
        charge.amount,
        charge.currency,
        f"Pay {charge.decimal_amount} {charge.currency} for order '{charge.order_id}'{customer}?",
    )


def ask_to_refund(
    context: Context[Desk], payment_id: str, reference: str, amount: str
) -> Elicit[Confirmation] | None:
    """The question before a refund; None where the allowance covers it."""
    desk = context.request_context.lifespan_context
    payment, minor = desk.cashier.to_refund(payment_id, reference, amount)
    shown = f"{decimal_from_minor(minor, payment['currency'])} {payment['currency']}"
    return _ask(
        context,
        minor,
        payment["currency"],
        f"Refund {shown} of payment {payment['payment_id']}, order '{payment['order_id']}', "
        f"as '{reference}'?",
    )


def _ask(
    context: Context[Desk], amount: int, currency: str, question: str
) -> Elicit[Confirmation] | None:
    desk = context.request_context.lifespan_context
    if desk.allowance.covers(amount, currency):
        return None
    if not _can_ask(context):
        raise Refused(
            f"{question} That is more than --limit allows without a person's word, and this client "
            "cannot ask for it (it declares no elicitation). Nothing was done.",
            reason="CONFIRMATION_UNSUPPORTED",
        )
    return Elicit(f"{question} At {desk.target}.", Confirmation)


def _can_ask(context: Context[Any]) -> bool:
    """Whether the client shows forms; those of before there were kinds of them say nothing more."""
    capabilities = context.client_capabilities
    elicitation = capabilities.elicitation if capabilities is not None else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


ToPay = Annotated[ElicitationResult[Confirmation], Resolve(ask_to_pay)]
ToRefund = Annotated[ElicitationResult[Confirmation], Resolve(ask_to_refund)]


def refuse_unless(answer: ElicitationResult[Confirmation]) -> None:
    """Raise Refused unless a person said yes, or nobody had to be asked."""
    if isinstance(answer, AcceptedElicitation) and (answer.data is None or answer.data.confirm):
        return
    raise Refused(
        "It was not confirmed by a person. Nothing was done; do not ask again unless they want it.",
        reason="NOT_CONFIRMED",
    )
