"""What a request is about: the order, customer and amount that its message names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from google.protobuf.message import Message

from paycli.chaos.plan import Subject

_CUSTOMERS: Final = ("customer_id", "user_id", "customer")
_NANO: Final = Decimal("1e-9")


def subjects_of(request: object) -> Sequence[Subject]:
    """Of a message, and of those right within it, such as the payments of a batch."""
    if not isinstance(request, Message):
        return ()
    return [_subject(each) for each in (request, *_within(request))]


def _within(message: Message) -> Iterator[Message]:
    for field, value in message.ListFields():
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            yield from [value] if isinstance(value, Message) else value


def _subject(message: Message) -> Subject:
    fields = {field.name: value for field, value in message.ListFields()}
    customer = next((fields[name] for name in _CUSTOMERS if name in fields), None)
    return Subject(_text(fields.get("order_id")), _text(customer), _amount(fields.get("amount")))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _amount(value: Any) -> Decimal | None:
    """Of a double, the decimal that it was made of: the shortest that is read as it."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        return Decimal(repr(value))
    if isinstance(value, Message) and value.DESCRIPTOR.full_name == "google.type.Money":
        money: Any = value
        return Decimal(money.units) + Decimal(money.nanos) * _NANO
    return None
