"""The cashier an agent is served by: each tool as one method, in plain data.

Each call opens a channel of its own. So what fails before it is open was not sent, and a service that
starts again is found by the next call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from typing import Any, Final, NamedTuple

import grpc

from paycli.client.charges import Charge, Paid, charge, send
from paycli.client.payments import Payments, Wanted
from paycli.client.records import Record
from paycli.errors import InputError, InvalidPayment, KeyReused
from paycli.mcp.keys import key_of_order, key_of_refund
from paycli.payments.commands import spelling
from paycli.payments.money import minor_from_decimal
from paycli.wire_names import SUCCESS

_PAID: Final = ("CAPTURED", "PARTIALLY_REFUNDED", "REFUNDED")
_HELD: Final = ("AUTHORIZED", "PARTIALLY_CAPTURED")
_NOT_PAID: Final = ("DECLINED", "VOIDED", "EXPIRED")
_UNPROVEN: Final = (
    "No payment of this order is on record. That proves nothing while one may be on its way; pay, with "
    "the same order_id, tells what became of it and pays once."
)


class Order(NamedTuple):
    """What an agent asks to pay, as it wrote it."""

    order_id: str
    amount: str
    currency: str
    customer_id: str = ""

    def charge(self) -> Charge:
        """The charge, checked, with the key of the order. Raises InputError, InvalidPayment."""
        _refuse_empty("order_id", self.order_id)
        try:
            return charge(
                order_id=self.order_id,
                amount=self.amount,
                currency=self.currency,
                user_id=self.customer_id,
                idempotency_key=key_of_order(self.order_id),
            )
        except InvalidPayment as refusal:
            if refusal.field == "user_id":
                refusal.rename("customer_id")
            raise


class Cashier:
    """Each method raises what the calls of `client` raise, and InputError."""

    def __init__(
        self, connect: Callable[[], AbstractContextManager[grpc.Channel]], timeout_s: float
    ) -> None:
        self._connect = connect
        self._timeout_s = timeout_s

    def pay(self, order: Order) -> Record:
        """Pay an order once. A declined payment is an answer: its status is FAILED."""
        checked = order.charge()
        with self._connect() as channel:
            paid = self._paid_before(Payments(channel, self._timeout_s), checked)
            if paid is None:
                paid = send(channel, checked, self._timeout_s)
        answer = paid.as_dict()
        answer["customer_id"] = answer.pop("user_id")
        return answer

    def get(self, payment_id: str) -> Record:
        """A payment as it stands, and its refunds."""
        _refuse_empty("payment_id", payment_id)
        with self._calls() as calls:
            return {**calls.get(payment_id), "refunds": list(calls.refunds(payment_id))}

    def list(self, wanted: Wanted, limit: int) -> Record:
        """At most so many payments, newest first, and whether there are more."""
        with self._calls() as calls:
            found = list(islice(calls.find(wanted), limit + 1))
        return {"payments": found[:limit], "more": len(found) > limit}

    def settle(self, order_id: str) -> Record:
        """What became of the payments of an order, by what is on record. Reads only."""
        _refuse_empty("order_id", order_id)
        with self._calls() as calls:
            found = list(calls.find(Wanted(order_id)))
        if not found:
            return {"outcome": "unknown", "message": _UNPROVEN, "payments": []}
        newest = found[0]["state"]
        if any(each["state"] in _PAID for each in found):
            outcome = "paid"
        else:  # a state that is not known proves nothing
            outcome = newest.lower() if newest in (*_HELD, *_NOT_PAID) else "unknown"
        return {"outcome": outcome, "payments": found}

    def refund(self, payment_id: str, reference: str, amount: str) -> Record:
        """Give back a part of a payment once; `reference` is kept as the refund's reason."""
        payment_id = _refunded(payment_id, reference)
        key = key_of_refund(payment_id, reference)
        with self._calls() as calls:
            made = calls.refund(payment_id, amount, reference, key)
        return {**made.record, "replayed": made.replayed}

    def to_refund(self, payment_id: str, reference: str, amount: str) -> tuple[Record, int]:
        """The payment that is refunded, and the amount in its minor units."""
        payment_id = _refunded(payment_id, reference)
        with self._calls() as calls:
            payment = calls.get(payment_id)
        return payment, minor_from_decimal(amount, payment["currency"])

    def _paid_before(self, calls: Payments, wanted: Charge) -> Paid | None:
        """The payment that this order has already, under whatever key. Raises InputError if it is another."""
        for found in calls.find(Wanted(wanted.order_id)):
            if found["state"] in _NOT_PAID:
                continue
            if found["state"] in _PAID and _is_of(found, wanted):
                # Under which key it was paid is not told; who sent it again with ours might pay twice.
                keyless = wanted._replace(idempotency_key="")
                return Paid(keyless, found["payment_id"], SUCCESS, True, "")
            raise InputError(
                f"Order {wanted.order_id} has payment {found['payment_id']} already: {found['amount']} "
                f"{found['currency']} by customer '{found['customer_id']}', {found['state']}. An order "
                "is paid once; what else is to be paid is another order.",
                reason=KeyReused.reason,
                metadata={"firstPaymentId": found["payment_id"]},
            )
        return None

    @contextmanager
    def _calls(self) -> Iterator[Payments]:
        with self._connect() as channel:
            yield Payments(channel, self._timeout_s)


def _is_of(found: Record, wanted: Charge) -> bool:
    asked: tuple[Any, ...] = (wanted.decimal_amount, wanted.currency, spelling(wanted.user_id))
    return asked == (found["amount"], found["currency"], found["customer_id"])


def _refunded(payment_id: str, reference: str) -> str:
    """The id of the payment in its one spelling. Raises InputError."""
    _refuse_empty("payment_id", payment_id)
    _refuse_empty("reference", reference)
    bare = payment_id.removeprefix("payments/")
    if "/" in bare:  # payments/payments/p, say, which would be a second key for the refunds of p
        raise InputError(
            f"'{payment_id}' is no payment_id; write it as pay, list and settle give it."
        )
    return bare


def _refuse_empty(name: str, value: str) -> None:
    if not value:
        raise InputError(f"{name} is empty.")
