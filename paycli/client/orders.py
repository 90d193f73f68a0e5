"""Rows of a file as payments to send: what the columns mean, and what is wrong with a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from paycli.client.charges import Charge, charge
from paycli.client.runs import Outcome
from paycli.errors import DocumentError, InputError, InvalidPayment
from paycli.rows import Row

COLUMNS: Final = ("order_id", "amount", "currency", "user_id", "idempotency_key")
_CUSTOMER: Final = "customer_id"  # what the rich contract calls the user


class Order(NamedTuple):
    """A payment to send, and the row that it comes from."""

    line: int
    fields: dict[str, str]
    charge: Charge


class Rejected(NamedTuple):
    """A row that is no payment, and why; its texts are empty if it could not be read."""

    line: int
    fields: dict[str, str]
    problem: InputError
    outcome: Outcome = Outcome.REJECTED


class Reading(NamedTuple):
    """How to read rows: the currency of those that name none, and what stands before the decimals."""

    currency: str = ""
    decimal: str = "."


def orders_of(rows: Iterable[Row | DocumentError], reading: Reading) -> Iterator[Order | Rejected]:
    """The payments of rows, in their order."""
    for row in rows:
        if isinstance(row, DocumentError):
            said = row.message.removeprefix(f"{row.path}:{row.line}: ")
            yield Rejected(row.line or 0, {}, InputError(said))
            continue
        try:
            yield Order(row.line, row.fields, _charge(row.fields, reading))
        except InvalidPayment as problem:
            yield Rejected(row.line, row.fields, InputError(problem.message, reason=problem.reason))
        except InputError as problem:
            yield Rejected(row.line, row.fields, problem)


def _charge(fields: dict[str, str], reading: Reading) -> Charge:
    """The charge of a row. Raises InvalidPayment, InputError."""
    order_id, key = fields.get("order_id", ""), fields.get("idempotency_key", "")
    if not order_id and not key:
        raise InputError(
            "order_id is missing, and so is idempotency_key: sent again, it would be paid twice."
        )
    amount = fields.get("amount", "")
    if not amount:
        raise InputError("amount is missing.")
    return charge(
        order_id=order_id,
        amount=_decimal(amount, reading.decimal),
        currency=fields.get("currency") or reading.currency,
        user_id=fields.get("user_id") or fields.get(_CUSTOMER, ""),
        idempotency_key=key,
    )


def _decimal(amount: str, point: str) -> str:
    if point == ".":
        if "," in amount:
            raise InputError(
                f"amount '{amount}' has a comma; --decimal , reads it as the decimal point."
            )
        return amount
    if "." in amount:
        raise InputError(f"amount '{amount}' has a point, which --decimal {point} does not expect.")
    return amount.replace(point, ".")
