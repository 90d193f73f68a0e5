"""Rows of a file as payments to send: what the columns mean, and what is wrong with a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from paycli.client.charges import Charge, charge
from paycli.client.fixture_payments import PAID, FixturePayment
from paycli.client.fixtures import Fixture, Unanswered
from paycli.client.runs import Outcome
from paycli.errors import DocumentError, InputError, InvalidPayment
from paycli.placeholders import UUID
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
            yield Rejected(row.line or 0, {}, InputError(_without_file(row)))
            continue
        try:
            yield Order(row.line, row.fields, _charge(row.fields, reading))
        except InvalidPayment as problem:
            yield Rejected(row.line, row.fields, InputError(problem.message, reason=problem.reason))
        except InputError as problem:
            yield Rejected(row.line, row.fields, problem)


def orders_of_fixture(
    fixture: Fixture, why_not: Callable[[FixturePayment], str], left_out: Outcome
) -> Iterator[Order | Rejected]:
    """The payments of a fixture; those for which `why_not` has a reason meet the end `left_out`.

    Raises DocumentError where the file cannot be read on.
    """
    for entry in fixture.to_send():
        if isinstance(entry, FixturePayment):
            fields = {name: str(value or "") for name, value in entry.charge.as_dict().items()}
            if not (why := why_not(entry)):
                yield Order(entry.line, fields, entry.charge)
                continue
            del fields["amount"]  # as a row it would be another payment
            yield Rejected(entry.line, fields, InputError(f"{why}."), left_out)
        elif fixture.is_broken:
            raise entry.problems[0]
        else:
            said = InputError(" ".join(map(_without_file, entry.problems)))
            is_unanswered = any(isinstance(each, Unanswered) for each in entry.problems)
            yield Rejected(entry.line, {}, said, left_out if is_unanswered else Outcome.REJECTED)


def why_not_among_many(payment: FixturePayment) -> str:
    """Why it is not sent as a row; "" if it may be."""
    alone = "pay the fixture without --from"
    if payment.charge.is_manual:
        return f"capture_method: a file of rows is taken at once, not held; {alone}"
    if payment.then:
        return f"then: nothing follows the payments of a file of rows; {alone}"
    if payment.expect != PAID:
        return f"expect: a file of rows is to be paid; {alone}"
    if payment.unknown_by == UUID:
        return "${uuid} makes it another payment each time; run again, it would be paid twice"
    return f"it refers to another payment; {alone}" if payment.unknown_by else ""


def why_not_known(payment: FixturePayment) -> str:
    """Why the file does not say which payment it is; "" if it does."""
    if payment.unknown_by == UUID:
        return "${uuid} makes it another payment each time; its key was told when it was sent"
    return "it refers to another payment's answer" if payment.unknown_by else ""


def _without_file(problem: DocumentError) -> str:
    """What is wrong; where, the row says."""
    return problem.message.removeprefix(f"{problem.where}: ")


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
