"""Fixtures: YAML files of payments to send.

defaults: {currency: EUR, user_id: alice}   # for every payment below
payments:
  - order_id: order-1
    amount: 99.99                           # exact: the digits are kept
  - order_id: order-${n}
    amount: 5
    repeat: 3                               # order-1, order-2, order-3
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from paycli import documents
from paycli.client.charges import Charge, charge
from paycli.documents import Node
from paycli.errors import DocumentError, InvalidPayment
from paycli.placeholders import expand
from paycli.wire_names import FAILED, SUCCESS

_TEXT_FIELDS: Final = ("order_id", "amount", "currency", "user_id", "idempotency_key")
_PAYMENT_KEYS: Final = (*_TEXT_FIELDS, "expect", "repeat")
_STATUSES: Final = (SUCCESS, FAILED)
_COUNT: Final = re.compile("[0-9]{1,9}")
_REPEAT_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class FixturePayment:
    """A charge of a fixture, the status it should get, and where it stands."""

    charge: Charge
    expect: str
    path: Path
    line: int


FixtureEntry = FixturePayment | DocumentError


@dataclass(frozen=True, slots=True)
class Fixture:
    """The payments of a file in order; a wrong one comes as its error, beside its neighbours.

    It can be gone through again, first to check and then to send.
    """

    path: Path
    _defaults: dict[str, Node]
    _entries: tuple[Node, ...]

    def __iter__(self) -> Iterator[FixtureEntry]:
        seen: dict[str, Node] = {}
        for entry in self._entries:
            try:
                fields = self._defaults | entry.fields("a payment", _PAYMENT_KEYS)
                repeat = fields["repeat"].parse("repeat", _repeat) if "repeat" in fields else 1
                for n in range(1, repeat + 1):
                    payment = _payment(self.path, entry, fields, n)
                    _refuse_twice(entry, payment.charge, seen)
                    yield payment
            except DocumentError as problem:
                yield problem


def read_fixture(path: Path) -> Fixture:
    """The payments of a fixture. Raises DocumentError when the file as a whole is none."""
    top = documents.read(path).fields("a fixture", ("defaults", "payments"))
    if "payments" not in top:
        raise DocumentError(path, "a fixture needs 'payments:', a list of what to send.", 1)
    defaults = top["defaults"].fields("defaults", _PAYMENT_KEYS) if "defaults" in top else {}
    entries = tuple(top["payments"].items("payments"))
    if not entries:
        raise top["payments"].error("payments is empty; list at least one.")
    return Fixture(path, defaults, entries)


def _refuse_twice(entry: Node, charge: Charge, seen: dict[str, Node]) -> None:
    """Refuse a payment that the service would take for the retry of one above."""
    above = seen.get(charge.request_key)
    if above is entry:
        raise entry.error(
            f"repeat makes {charge.name} more than once; write ${{n}} into its "
            f"{'idempotency_key' if charge.idempotency_key else 'order_id'}."
        )
    if above is not None:
        raise entry.error(f"{charge.name} stands in line {above.line} already; pay it once.")
    seen[charge.request_key] = entry


def _payment(path: Path, entry: Node, fields: dict[str, Node], n: int) -> FixturePayment:
    if "amount" not in fields:
        raise entry.error("amount is missing; write for example 'amount: 99.99'.")
    values = {"n": lambda: str(n)}
    text = {
        name: fields[name].parse(name, lambda written: expand(written, values))
        for name in _TEXT_FIELDS
        if name in fields
    }
    expect = fields["expect"].parse("expect", _status) if "expect" in fields else SUCCESS
    try:
        checked = charge(
            order_id=text.get("order_id", ""),
            amount=text["amount"],
            currency=text.get("currency", ""),
            user_id=text.get("user_id", ""),
            idempotency_key=text.get("idempotency_key", ""),
        )
    except InvalidPayment as problem:
        raise fields.get(problem.field, entry).error(problem.message) from problem
    return FixturePayment(checked, expect, path, entry.line)


def _repeat(written: str) -> int:
    if not _COUNT.fullmatch(written) or not 0 < int(written) <= _REPEAT_MAX:
        raise ValueError(f"'{written}' is not a number from 1 to {_REPEAT_MAX:,}.")
    return int(written)


def _status(written: str) -> str:
    if written not in _STATUSES:
        raise ValueError(f"'{written}' is not a status; write {' or '.join(_STATUSES)}.")
    return written
