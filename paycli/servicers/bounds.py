"""What a request may hold at most: checked before any work is done for it, for every service.

A short request cannot hold a long field, so it costs one comparison. Items of a list that are
answered one by one (a batch) are checked by whoever answers them, with `check`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from paycli.errors import InvalidPayment
from paycli.host.interceptors import Method
from paycli.payments.commands import TEXT_MAX
from paycli.payments.postings import CUSTOMER

LIST_MAX: Final = 1000
_REQUEST_BYTES_MAX: Final = 64 * 1024  # of a request that is no list; such a one keeps no memory
_LONGER: Final = {"account": len(CUSTOMER) + TEXT_MAX}
_FIELDS_MAX: Final = LIST_MAX + 100  # a request of a list has few fields besides its items
# How a field is written (protobuf's wire types), and the bytes of the two that are always as long.
_VARINT: Final = 0
_LENGTH_DELIMITED: Final = 2
_FIXED: Final = {1: 8, 5: 4}


def bounded(method: Method) -> Method:
    """An interceptor: requests that are out of bounds are refused."""
    assert method.read is not None
    return method._replace(read=reader(method.read))


def reader(parse: Callable[[bytes], Message]) -> Callable[[bytes], Message]:
    """A parser that raises InvalidPayment for a request that is out of bounds."""
    lists = [
        each.name for each in parse(b"").DESCRIPTOR.fields if each.is_repeated and each.message_type
    ]

    def read(raw: bytes) -> Message:
        if len(raw) > _REQUEST_BYTES_MAX:
            _check_size(raw, lists)
        request = parse(raw)
        check(request)
        return request

    return read


def check(message: Message, path: str = "") -> None:
    """Refuse texts, bytes and lists that are too long. Raises InvalidPayment."""
    if message.ByteSize() <= TEXT_MAX:  # one call, and true for nearly all items of a batch
        return
    for field, value in message.ListFields():
        name = path + field.name
        if not field.is_repeated:
            _check_value(field, value, name)
        elif field.message_type is None:
            if len(value) > TEXT_MAX:
                raise _too_long(name, len(value), "values", TEXT_MAX)
            for each in value:
                _check_value(field, each, name)


def _check_value(field: FieldDescriptor, value: Any, name: str) -> None:
    if isinstance(value, str | bytes):
        most = _LONGER.get(field.name, TEXT_MAX)
        if len(value) > most:
            unit = "characters" if isinstance(value, str) else "bytes"
            raise _too_long(name, len(value), unit, most)
    elif isinstance(value, Message):
        check(value, f"{name}.")


def _check_size(raw: bytes, lists: list[str]) -> None:
    """Refuse what would take much time or memory only to be read. Raises InvalidPayment."""
    if not lists:
        raise InvalidPayment(
            "",
            f"The request has {len(raw)} bytes; the most is {_REQUEST_BYTES_MAX}.",
            reason="REQUEST_TOO_LARGE",
            maximumBytes=_REQUEST_BYTES_MAX,
        )
    # A list may have some MiB, but two bytes are an item: items are counted before they are made.
    position = count = 0
    while position < len(raw):
        tag, position = _varint(raw, position)
        count += 1
        if count > _FIELDS_MAX:
            raise InvalidPayment(
                "",
                f"The request lists far more than {LIST_MAX} {' and '.join(lists)}.",
                reason="REQUEST_TOO_LARGE",
                maximum=LIST_MAX,
            )
        position = _after(raw, position, tag & 7)


def _after(raw: bytes, position: int, wire_type: int) -> int:
    """Where the value that begins here ends."""
    if wire_type == _LENGTH_DELIMITED:
        length, position = _varint(raw, position)
        return position + length
    if wire_type == _VARINT:
        return _varint(raw, position)[1]
    if wire_type in _FIXED:
        return position + _FIXED[wire_type]
    raise DecodeError("no field")


def _varint(raw: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(raw) and shift < 64:
        byte = raw[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise DecodeError("no number")


def _too_long(name: str, length: int, unit: str, most: int) -> InvalidPayment:
    return InvalidPayment(
        name, f"{name} has {length} {unit}; the most is {most}.", maximumLength=most
    )
